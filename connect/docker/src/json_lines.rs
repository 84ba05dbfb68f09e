//! A body as JSON messages, one a line. It does not know what they say.

use base_http::body::{Body, Lines};
use serde_json::Value;

use crate::{DockerError, Result};

/// One message of a stream is small; a progress line is some hundred bytes.
const LINE_BYTES_MAX: usize = 1 << 20;

pub(crate) struct JsonLines(Lines);

impl JsonLines {
    pub(crate) fn new(body: Body) -> Self {
        Self(Lines::new(body, LINE_BYTES_MAX))
    }

    pub(crate) fn doing(&self) -> &str {
        self.0.doing()
    }

    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>> {
        let Some(line) = self.0.message().await? else { return Ok(None) };
        let message = serde_json::from_slice(&line);
        message
            .map(Some)
            .map_err(|error| DockerError::Garbled { doing: self.doing().to_owned(), reason: error.to_string() })
    }
}
