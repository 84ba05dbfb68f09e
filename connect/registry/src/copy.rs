//! An image from one place to another, with all it is made of and byte for byte, so that its digest stays: what is there already is not sent, what the
//! registry has in another repository is mounted, and the rest flows through. It keeps nothing on this machine's disk.

use std::collections::HashSet;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};

use crate::manifest::{Content, choose};
use crate::{Blob, Client, Descriptor, Digest, Manifest, Platform, Reference, RegistryError, Result};

/// As deep as indexes lie in each other.
const DEPTH_MAX: usize = 4;

/// What a copy did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    pub digest: Digest,
    /// Blobs that were there already or were mounted.
    pub blobs_there: usize,
    pub blobs_sent: usize,
    pub bytes_sent: u64,
}

/// A copy that goes on.
struct Work<'a> {
    client: &'a Client,
    from: &'a Reference,
    to: &'a Reference,
    done: HashSet<Digest>,
    copied: Copied,
    each: &'a mut (dyn FnMut(&Descriptor) + Send),
}

impl Client {
    /// Copies all of it, or the part for one platform. `each` hears of every blob that is sent.
    pub async fn copy(
        &self,
        from: &Reference,
        to: &Reference,
        platform: Option<&Platform>,
        each: &mut (dyn FnMut(&Descriptor) + Send),
    ) -> Result<Copied> {
        let mut manifest = self.manifest(from).await?;
        if let (Some(platform), Content::Index(index)) = (platform, manifest.content()?) {
            manifest = self.manifest(&from.pinned(&choose(&index, platform)?.digest)).await?;
        }
        let copied = Copied { digest: manifest.digest.clone(), blobs_there: 0, blobs_sent: 0, bytes_sent: 0 };
        let mut work = Work { client: self, from, to, done: HashSet::new(), copied, each };
        work.manifest(&manifest, to.clone(), 0).await?;
        Ok(work.copied)
    }
}

impl Work<'_> {
    /// What it is made of first: a registry takes no manifest whose parts it does not have.
    fn manifest<'b>(&'b mut self, manifest: &'b Manifest, to: Reference, depth: usize) -> BoxFuture<'b, Result<()>> {
        async move {
            if depth > DEPTH_MAX {
                let reason = format!("indexes lie more than {DEPTH_MAX} deep in each other");
                return Err(RegistryError::Garbled { doing: format!("copy `{}`", self.from), reason });
            }
            match manifest.content()? {
                Content::Index(parts) => {
                    for part in parts {
                        if self.done.insert(part.digest.clone()) {
                            let inner = self.client.manifest(&self.from.pinned(&part.digest)).await?;
                            self.manifest(&inner, self.to.pinned(&part.digest), depth + 1).await?;
                        }
                    }
                }
                Content::Image { config, layers } => {
                    for part in layers.iter().chain([&config]).filter(|part| !part.is_foreign()) {
                        if self.done.insert(part.digest.clone()) {
                            self.blob(part).await?;
                        }
                    }
                }
            }
            self.client.put_manifest(&to, manifest).await
        }
        .boxed()
    }

    async fn blob(&mut self, part: &Descriptor) -> Result<()> {
        let (client, from, to) = (self.client, self.from, self.to);
        let there = client.blob_size(to, &part.digest).await?.is_some()
            || from.registry == to.registry && client.mount(to, &part.digest, from).await?;
        if there {
            self.copied.blobs_there += 1;
            return Ok(());
        }
        (self.each)(part);
        let blob = client.blob(from, part).await?;
        client.upload(to, &part.digest, pieces(blob)).await?;
        self.copied.blobs_sent += 1;
        self.copied.bytes_sent += part.size_bytes;
        Ok(())
    }
}

fn pieces(blob: Blob) -> BoxStream<'static, Result<bytes::Bytes>> {
    stream::try_unfold(blob, |mut blob| async move { Ok(blob.chunk().await?.map(|bytes| (bytes, blob))) }).boxed()
}
