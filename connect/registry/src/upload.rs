//! Sending blobs: whole when they are small, else in pieces, each of which can be taken up again where the registry says that it ends; or not at all,
//! when the registry has the blob in another repository. It holds one piece in memory.

use std::time::Duration;

use base_http::Incoming;
use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use url::Url;

use crate::call::Call;
use crate::place::{same_origin, shown};
use crate::{Client, Digest, Reference, RegistryError, Result};

/// Small enough to hold, large enough that a gigabyte is a hundred requests.
const PIECE_BYTES: usize = 8 << 20;
/// A registry may want larger pieces, within reason.
const PIECE_BYTES_MAX: usize = 64 << 20;
/// A piece over a slow line: 8 MiB in two minutes are 70 kB/s.
const PIECE_TIME: Duration = Duration::from_secs(120);
/// Troubles in a row before an upload is given up, and the first wait, which doubles.
const RESUMES_MAX: u32 = 5;
const RESUME_WAIT: Duration = Duration::from_millis(200);

/// An upload that has begun.
struct Upload<'a> {
    client: &'a Client,
    repository: &'a Reference,
    location: Url,
    /// What the registry has.
    sent_bytes: u64,
    doing: String,
}

impl Client {
    /// Sends a blob; false when the registry had it already. What does not have the digest is not kept.
    pub async fn upload(
        &self,
        repository: &Reference,
        digest: &Digest,
        mut pieces: BoxStream<'_, Result<Bytes>>,
    ) -> Result<bool> {
        if self.blob_size(repository, digest).await?.is_some() {
            return Ok(false);
        }
        let doing = format!("send the blob {digest} to `{}`", repository.familiar());
        let (mut upload, piece_bytes) = self.begin(repository, doing).await?;
        let mut hashing = digest.hashing();
        let mut piece = BytesMut::new();
        while let Some(bytes) = pieces.next().await {
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    upload.give_up().await;
                    return Err(error);
                }
            };
            hashing.add(&bytes);
            piece.extend_from_slice(&bytes);
            while piece.len() >= piece_bytes {
                let full = piece.split_to(piece_bytes).freeze();
                upload.send(full).await?;
            }
        }
        let got = hashing.finish();
        if got != *digest {
            let (doing, wanted) = (upload.doing.clone(), digest.clone());
            upload.give_up().await;
            return Err(RegistryError::WrongDigest { doing, wanted, got });
        }
        upload.finish(digest, piece.freeze()).await?;
        Ok(true)
    }

    /// The same of bytes that are here.
    pub async fn upload_whole(&self, repository: &Reference, bytes: Bytes) -> Result<Digest> {
        let digest = Digest::of(&bytes);
        self.upload(repository, &digest, stream::iter([Ok(bytes)]).boxed()).await?;
        Ok(digest)
    }

    /// Has the registry use what it has in another repository; false when it will not, and the blob must be sent.
    pub async fn mount(&self, repository: &Reference, digest: &Digest, from: &Reference) -> Result<bool> {
        let doing = format!("mount the blob {digest} in `{}`", repository.familiar());
        let mut url = self.url(&repository.registry, &format!("{}/blobs/uploads/", repository.repository))?;
        url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", &from.repository);
        let call = Call::new("POST", url.clone(), &repository.registry, doing.clone());
        let call = call.scope(&repository.repository, "pull,push").scope(&from.repository, "pull");
        let answer = self.send(call).await?;
        if answer.status == 201 {
            return Ok(true);
        }
        // It has begun an upload instead, which nobody will end.
        if let Ok(location) = location(&answer, &url, &doing) {
            Upload { client: self, repository, location, sent_bytes: 0, doing }.give_up().await;
        }
        Ok(false)
    }

    async fn begin<'a>(&'a self, repository: &'a Reference, doing: String) -> Result<(Upload<'a>, usize)> {
        let url = self.url(&repository.registry, &format!("{}/blobs/uploads/", repository.repository))?;
        let call = Call::new("POST", url.clone(), &repository.registry, doing.clone());
        let answer = self.send(call.scope(&repository.repository, "pull,push")).await?;
        let location = location(&answer, &url, &doing)?;
        let least = answer.header("oci-chunk-min-length").and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
        let piece_bytes = least.clamp(PIECE_BYTES, PIECE_BYTES_MAX);
        Ok((Upload { client: self, repository, location, sent_bytes: 0, doing }, piece_bytes))
    }
}

impl Upload<'_> {
    fn call(&self, method: &'static str, url: Url) -> Call {
        let call = Call::new(method, url, &self.repository.registry, self.doing.clone());
        Call { head_extra: PIECE_TIME, ..call }.scope(&self.repository.repository, "pull,push")
    }

    /// Sends one piece, from wherever the registry has it.
    async fn send(&mut self, piece: Bytes) -> Result<()> {
        let begin = self.sent_bytes;
        let end = begin + piece.len() as u64;
        let mut troubles = 0;
        while self.sent_bytes < end {
            let from = usize::try_from(self.sent_bytes - begin).unwrap_or(0);
            let rest = piece.slice(from..);
            let call = self.call("PATCH", self.location.clone());
            let call = call.header("content-type", "application/octet-stream");
            let call = call.header("content-range", format!("{}-{}", self.sent_bytes, end - 1));
            match self.client.send(call.body(rest)).await {
                Ok(answer) => {
                    self.location = location(&answer, &self.location, &self.doing)?;
                    self.sent_bytes = range_end(&answer).unwrap_or(end);
                    if !(begin..=end).contains(&self.sent_bytes) {
                        let reason = format!("it has {} bytes of the {end} that were sent", self.sent_bytes);
                        return Err(RegistryError::Garbled { doing: self.doing.clone(), reason });
                    }
                    troubles = if self.sent_bytes == end { 0 } else { troubles + 1 };
                    if troubles > RESUMES_MAX {
                        let reason = "it takes no more of the blob".to_owned();
                        return Err(RegistryError::Garbled { doing: self.doing.clone(), reason });
                    }
                }
                Err(error) if resumable(&error) && troubles < RESUMES_MAX => {
                    tokio::time::sleep(RESUME_WAIT * 2_u32.pow(troubles)).await;
                    troubles += 1;
                    self.ask_where(begin, end).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How much of the piece has arrived. What was lost before it is no longer in memory.
    async fn ask_where(&mut self, begin: u64, end: u64) -> Result<()> {
        let answer = match self.client.send(self.call("GET", self.location.clone())).await {
            Ok(answer) => answer,
            // Not back yet: the next try counts too.
            Err(error) if resumable(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        if let Ok(location) = location(&answer, &self.location, &self.doing) {
            self.location = location;
        }
        let has_bytes = range_end(&answer).unwrap_or(0);
        if !(begin..=end).contains(&has_bytes) {
            let reason = format!("it has {has_bytes} bytes of an upload of which it had acknowledged {begin}");
            return Err(RegistryError::Garbled { doing: self.doing.clone(), reason });
        }
        self.sent_bytes = has_bytes;
        Ok(())
    }

    /// The last piece, and the digest by which the registry keeps it.
    async fn finish(mut self, digest: &Digest, last: Bytes) -> Result<()> {
        // Whole when nothing went before: one request. Else as a piece that can be taken up again, and an empty end.
        let last = if self.sent_bytes == 0 || last.is_empty() {
            last
        } else {
            self.send(last).await?;
            Bytes::new()
        };
        let mut url = self.location.clone();
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        let call = self.call("PUT", url).header("content-type", "application/octet-stream");
        self.client.send(call.body(last)).await.map(drop)
    }

    /// Tells the registry that nothing more comes; it would find out by itself in a week.
    async fn give_up(self) {
        let _ = self.client.send(self.call("DELETE", self.location.clone())).await;
    }
}

/// 416 says that we and the registry disagree about where the piece begins.
fn resumable(error: &RegistryError) -> bool {
    error.is_transient() || matches!(error, RegistryError::Invalid { said, .. } if said.status == 416)
}

/// Where the upload goes on: at the registry itself, for our authorization goes along.
fn location(answer: &Incoming, base: &Url, doing: &str) -> Result<Url> {
    let refused = |to: &str, reason: &str| RegistryError::Redirect {
        doing: doing.to_owned(),
        to: to.split('?').next().unwrap_or_default().chars().take(300).collect(),
        reason: reason.to_owned(),
    };
    let to = answer.header("location").ok_or_else(|| refused("", "it does not say where the upload goes on"))?;
    let mut url = base.join(to).map_err(|error| refused(to, &error.to_string()))?;
    // Behind a proxy that ends TLS registries believe that they have none.
    if base.scheme() == "https" && url.scheme() == "http" && url.host_str() == base.host_str() {
        let _ = url.set_scheme("https");
        let _ = url.set_port(base.port());
    }
    if !same_origin(&url, base) {
        return Err(refused(&shown(&url), "an upload stays at its registry"));
    }
    Ok(url)
}

/// `0-1023` says that 1024 bytes are there; `0-0` is nothing, as registries begin.
fn range_end(answer: &Incoming) -> Option<u64> {
    let text = answer.header("range")?;
    let end: u64 = text.strip_prefix("bytes=").unwrap_or(text).split_once('-')?.1.trim().parse().ok()?;
    Some(if end == 0 { 0 } else { end.checked_add(1)? })
}
