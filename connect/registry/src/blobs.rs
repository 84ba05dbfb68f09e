//! Reading blobs: layers and configurations, as they come, checked against size and digest on the way. It unpacks nothing.

use base_http::Incoming;
use bytes::Bytes;

use crate::call::{Call, trouble};
use crate::digest::Hashing;
use crate::{Client, Descriptor, Digest, Reference, RegistryError, Result};

/// A blob that is arriving. Its last piece is held back until all of it has the right digest: whoever reads to the end has what was asked for, and
/// whoever is lied to never has it whole.
pub struct Blob {
    incoming: Incoming,
    hashing: Option<Hashing>,
    wanted: Digest,
    size_bytes: u64,
    got_bytes: u64,
    held: Option<Bytes>,
    doing: String,
    registry: String,
}

impl Client {
    /// Whether the blob is there, and how large it is.
    pub async fn blob_size(&self, repository: &Reference, digest: &Digest) -> Result<Option<u64>> {
        let call = self.blob_call("HEAD", repository, digest, "look at")?;
        match self.send(call).await {
            Ok(answer) => Ok(Some(answer.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins to read a blob.
    pub async fn blob(&self, repository: &Reference, part: &Descriptor) -> Result<Blob> {
        let call = self.blob_call("GET", repository, &part.digest, "read")?;
        let doing = call.doing.clone();
        let incoming = self.send(call).await?;
        let (wanted, size_bytes, registry) = (part.digest.clone(), part.size_bytes, repository.registry.clone());
        let hashing = Some(wanted.hashing());
        Ok(Blob { incoming, hashing, wanted, size_bytes, got_bytes: 0, held: None, doing, registry })
    }

    /// A small blob whole, such as a configuration.
    pub async fn blob_whole(&self, repository: &Reference, part: &Descriptor, limit_bytes: u64) -> Result<Bytes> {
        let mut blob = self.blob(repository, part).await?;
        if part.size_bytes > limit_bytes {
            return Err(RegistryError::TooLarge { doing: blob.doing, limit: limit_bytes, unit: "bytes" });
        }
        let mut all = Vec::new();
        while let Some(bytes) = blob.chunk().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all.into())
    }

    fn blob_call(&self, method: &'static str, repository: &Reference, digest: &Digest, verb: &str) -> Result<Call> {
        let url = self.url(&repository.registry, &format!("{}/blobs/{digest}", repository.repository))?;
        let doing = format!("{verb} the blob {digest} of `{}`", repository.familiar());
        Ok(Call::new(method, url, &repository.registry, doing).scope(&repository.repository, "pull"))
    }
}

impl Blob {
    /// The next bytes; `None` at the end, when all of it was what it should be.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        while self.hashing.is_some() {
            match self.incoming.chunk().await.map_err(|error| trouble(&self.doing, &self.registry, error))? {
                Some(bytes) if bytes.is_empty() => {}
                Some(bytes) => {
                    self.got_bytes += bytes.len() as u64;
                    if self.got_bytes > self.size_bytes {
                        return Err(self.wrong_size());
                    }
                    if let Some(hashing) = &mut self.hashing {
                        hashing.add(&bytes);
                    }
                    if let Some(before) = self.held.replace(bytes) {
                        return Ok(Some(before));
                    }
                }
                None => {
                    if self.got_bytes != self.size_bytes {
                        return Err(self.wrong_size());
                    }
                    let got = self.hashing.take().map(Hashing::finish);
                    if let Some(got) = got.filter(|got| *got != self.wanted) {
                        self.held = None;
                        let (doing, wanted) = (self.doing.clone(), self.wanted.clone());
                        return Err(RegistryError::WrongDigest { doing, wanted, got });
                    }
                }
            }
        }
        Ok(self.held.take())
    }

    fn wrong_size(&mut self) -> RegistryError {
        // Whoever asks again gets nothing either.
        (self.hashing, self.held) = (None, None);
        let (doing, wanted_bytes, got_bytes) = (self.doing.clone(), self.size_bytes, self.got_bytes);
        RegistryError::WrongSize { doing, wanted_bytes, got_bytes }
    }
}
