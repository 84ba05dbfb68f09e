//! Reading an answer's body: chunk by chunk with a limit on silence, whole with a limit on size, or as lines of JSON with a limit on each. It does not
//! know what the bytes mean.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::{DockerError, Result, Stream};

/// One JSON message of a stream is small; a progress line is some hundred bytes.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A body that is still arriving.
pub(crate) struct Body {
    incoming: Incoming,
    /// What is being done, for errors: "logs of container `web`".
    pub(crate) doing: String,
    /// Longest silence; `None` where silence is normal.
    silence: Option<Duration>,
}

impl Body {
    pub(crate) fn new(incoming: Incoming, doing: String, silence: Option<Duration>) -> Self {
        Self { incoming, doing, silence }
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let next = self.incoming.frame();
            let next = match self.silence {
                None => next.await,
                Some(silence) => match tokio::time::timeout(silence, next).await {
                    Ok(next) => next,
                    Err(_) => {
                        let after_ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
                        return Err(DockerError::Timeout { doing: self.doing.clone(), after_ms });
                    }
                },
            };
            match next {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(DockerError::Broken { doing: self.doing.clone(), reason: root_cause(&error) });
                }
                // Trailers carry nothing here.
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// All of it, at most `limit_bytes`.
    pub(crate) async fn whole(mut self, limit_bytes: usize) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(bytes) = self.chunk().await? {
            if all.len() + bytes.len() > limit_bytes {
                return Err(DockerError::TooLarge { doing: self.doing, limit_bytes });
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }

    /// The bytes as they come.
    pub(crate) fn chunks(self) -> Stream<Bytes> {
        Box::pin(stream::try_unfold(self, |mut body| async move { Ok(body.chunk().await?.map(|bytes| (bytes, body))) }))
    }
}

/// JSON messages, one a line.
pub(crate) struct JsonLines {
    body: Body,
    buffer: BytesMut,
    ended: bool,
}

impl JsonLines {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new(), ended: false }
    }

    pub(crate) fn doing(&self) -> &str {
        &self.body.doing
    }

    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return self.parse(&line).map(Some);
            }
            if self.ended {
                let rest = self.buffer.split();
                return if rest.trim_ascii().is_empty() { Ok(None) } else { self.parse(&rest).map(Some) };
            }
            match self.body.chunk().await? {
                None => self.ended = true,
                Some(bytes) if self.buffer.len() + bytes.len() > LINE_BYTES_MAX && !bytes.contains(&b'\n') => {
                    return Err(DockerError::TooLarge { doing: self.doing().to_owned(), limit_bytes: LINE_BYTES_MAX });
                }
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
            }
        }
    }

    fn parse(&self, line: &[u8]) -> Result<Value> {
        serde_json::from_slice(line)
            .map_err(|error| DockerError::Garbled { doing: self.doing().to_owned(), reason: error.to_string() })
    }
}

/// The innermost cause says what a person can act on.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
