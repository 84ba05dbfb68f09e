//! Files of a container, whether it runs or not, as tar files. It does not know what is in them.

use std::io;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::Method;

use crate::call::{Call, Payload, SILENCE_MAX, SLOW, segment};
use crate::containers::{absent_is_none, object};
use crate::{Engine, Result, Stream};

fn call(method: Method, name: &str, verb: &'static str, file: &str) -> Call {
    let path = format!("/containers/{}/archive", segment(name, false));
    Call::new(method, path, verb, object(name)).query("path", file)
}

impl Engine {
    /// Whether a path is there; links are not followed.
    pub async fn has_file(&self, container: &str, path: &str) -> Result<bool> {
        let call = call(Method::HEAD, container, "look into", path);
        Ok(absent_is_none(self.done(call).await)?.is_some())
    }

    /// A file or a whole folder as a tar file; `None` where it is not there.
    pub async fn read_files(&self, container: &str, path: &str) -> Result<Option<Stream<Bytes>>> {
        let call = call(Method::GET, container, "read files of", path).within(SLOW).silent_for(SILENCE_MAX);
        Ok(absent_is_none(self.open(call).await)?.map(|answer| answer.body.chunks()))
    }

    /// Unpacks a tar file in a folder of the container, in its volumes as well; the folder must be there.
    pub async fn write_files(
        &self,
        container: &str,
        folder: &str,
        tar: BoxStream<'static, io::Result<Bytes>>,
    ) -> Result<()> {
        let mut call = call(Method::PUT, container, "write files into", folder);
        call.payload = Payload::Tar(tar);
        self.done(call.within(SILENCE_MAX)).await.map(drop)
    }
}
