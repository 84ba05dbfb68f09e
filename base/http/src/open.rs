//! An answer that is read as it comes and may never end: server-sent events, a log that is followed. It knows no form of either.

use std::time::Duration;

use bytes::Bytes;

use crate::{Client, HttpError, Limits, told};

/// An answer whose body is still coming. Dropped, the connection is closed.
#[derive(Debug)]
pub struct Opened {
    pub status: u16,
    pub content_type: String,
    url: String,
    silence_max: Duration,
    response: reqwest::Response,
}

impl Client {
    /// A GET with extra headers; any status is an answer. Neither the head nor any piece of the body may take longer than `silence_max`;
    /// the whole may take for ever, and whoever reads bounds what he keeps.
    pub async fn open(&self, url: &str, headers: &[(&str, &str)], silence_max: Duration) -> Result<Opened, HttpError> {
        let mut request = self.authorized(self.inner.get(url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = tokio::time::timeout(silence_max, request.send()).await;
        let response = sent.map_err(|_| silent(url, silence_max))?;
        let response = response.map_err(|error| told(url, &error, limits(silence_max)))?;
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        Ok(Opened { status: response.status().as_u16(), content_type, url: url.to_owned(), silence_max, response })
    }
}

impl Opened {
    /// The next piece; `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        match tokio::time::timeout(self.silence_max, self.response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| told(&self.url, &error, limits(self.silence_max))),
            Err(_) => Err(silent(&self.url, self.silence_max)),
        }
    }
}

fn silent(url: &str, silence_max: Duration) -> HttpError {
    HttpError::Timeout { url: url.to_owned(), timeout_ms: silence_max.as_millis() }
}

fn limits(timeout: Duration) -> Limits {
    Limits { timeout, body_bytes: usize::MAX }
}
