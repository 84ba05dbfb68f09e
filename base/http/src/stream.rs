//! Requests of any method whose answer is read piece by piece: for what is too large to hold, and for protocols that need the headers. Nothing is
//! followed, nothing unpacked, nobody's password added: what the other side sent is what the caller sees. It does not know what the bytes mean.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;

use crate::{Client, HttpError, cause};

/// What is sent along.
pub enum Payload {
    None,
    Whole(Bytes),
    /// As it comes; with its length when it is known, else in chunks.
    Pieces {
        pieces: BoxStream<'static, io::Result<Bytes>>,
        length: Option<u64>,
    },
}

/// One request. Headers are the caller's alone, also `Authorization`.
pub struct Request {
    /// `GET`, `HEAD`, `PUT`, …
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub payload: Payload,
    /// From connecting to the head of the answer, the sending of the payload included.
    pub head_max: Duration,
    /// Longest silence inside of the answer's body.
    pub silence_max: Duration,
}

/// An answer whose body is still arriving. Any status is an answer.
pub struct Incoming {
    pub status: u16,
    /// Without query: it may hold a signature.
    pub url: String,
    inner: reqwest::Response,
    silence_max: Duration,
}

impl Client {
    /// Sends it and waits for the head of the answer. The client must be one of [`Client::verbatim`].
    pub async fn open(&self, request: Request) -> Result<Incoming, HttpError> {
        let Request { method, url, headers, payload, head_max, silence_max } = request;
        let shown = url.split('?').next().unwrap_or_default().to_owned();
        let broken = |reason: String| HttpError::Broken { url: shown.clone(), reason };
        let method = method.parse::<reqwest::Method>().map_err(|error| broken(error.to_string()))?;
        let mut sending = self.inner.request(method, &url);
        for (name, value) in headers {
            sending = sending.header(name, value);
        }
        sending = match payload {
            Payload::None => sending,
            Payload::Whole(bytes) => sending.body(bytes),
            Payload::Pieces { pieces, length } => {
                let sending = sending.body(reqwest::Body::wrap_stream(pieces));
                match length {
                    Some(length) => sending.header("content-length", length),
                    None => sending,
                }
            }
        };
        match tokio::time::timeout(head_max, sending.send()).await {
            Err(_) => Err(HttpError::Timeout { url: shown, timeout_ms: head_max.as_millis() }),
            Ok(Err(error)) if error.is_connect() => Err(HttpError::Connect { url: shown, reason: cause(&error) }),
            Ok(Err(error)) => Err(broken(cause(&error))),
            Ok(Ok(inner)) => Ok(Incoming { status: inner.status().as_u16(), url: shown, inner, silence_max }),
        }
    }
}

impl Incoming {
    /// A header's first value; `None` too where it is no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    /// All values of a header that are text.
    pub fn headers(&self, name: &str) -> Vec<String> {
        self.inner.headers().get_all(name).iter().filter_map(|value| Some(value.to_str().ok()?.to_owned())).collect()
    }

    /// The next bytes; `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        match tokio::time::timeout(self.silence_max, self.inner.chunk()).await {
            Err(_) => Err(HttpError::Timeout { url: self.url.clone(), timeout_ms: self.silence_max.as_millis() }),
            Ok(Err(error)) => Err(HttpError::Broken { url: self.url.clone(), reason: cause(&error) }),
            Ok(Ok(chunk)) => Ok(chunk),
        }
    }

    /// All that is left, at most `limit_bytes`, and within `whole_max`: a drip of bytes is never silent and never ends.
    pub async fn whole(mut self, limit_bytes: usize, whole_max: Duration) -> Result<Bytes, HttpError> {
        let url = self.url.clone();
        let reading = async {
            let mut all = BytesMut::new();
            while let Some(bytes) = self.chunk().await? {
                if all.len() + bytes.len() > limit_bytes {
                    return Err(HttpError::TooLarge { url: self.url.clone(), limit_bytes });
                }
                all.extend_from_slice(&bytes);
            }
            Ok(all.freeze())
        };
        let timeout = Err(HttpError::Timeout { url, timeout_ms: whole_max.as_millis() });
        tokio::time::timeout(whole_max, reading).await.unwrap_or(timeout)
    }
}
