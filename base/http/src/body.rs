//! Reading an answer's body for clients that speak hyper themselves (over a Unix socket, with upgrades, with a login of their own): chunk by chunk with
//! a limit on silence, whole with a limit on size, or as lines with a limit on each. It does not know what the bytes mean.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// Why the rest of a body is not had. `doing` is what the caller was about: "watch pods in namespace `shop`".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("{doing}: no end within {after_ms} ms")]
    Timeout { doing: String, after_ms: u64 },
    #[error("{doing}: the answer has more than {limit_bytes} bytes")]
    TooLarge { doing: String, limit_bytes: usize },
    #[error("{doing}: the connection broke: {reason}")]
    Broken { doing: String, reason: String },
}

type Result<T> = std::result::Result<T, BodyError>;

/// A body that is still arriving.
pub struct Body {
    incoming: Incoming,
    /// What is being done, for errors: "watch pods in namespace `shop`".
    doing: String,
    silence: Option<Duration>,
}

impl Body {
    /// `doing` is for errors; `silence` is `None` where silence is normal.
    pub fn new(incoming: Incoming, doing: String, silence: Option<Duration>) -> Self {
        Self { incoming, doing, silence }
    }

    pub fn doing(&self) -> &str {
        &self.doing
    }

    /// The next bytes; `None` at the end. Nothing is lost when it is dropped while waiting.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let next = self.incoming.frame();
            let next = match self.silence {
                None => next.await,
                Some(silence) => match tokio::time::timeout(silence, next).await {
                    Ok(next) => next,
                    Err(_) => {
                        return Err(BodyError::Timeout { doing: self.doing.clone(), after_ms: milliseconds(silence) });
                    }
                },
            };
            match next {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(BodyError::Broken { doing: self.doing.clone(), reason: root_cause(&error) });
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
    pub async fn whole(mut self, limit_bytes: usize) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(bytes) = self.chunk().await? {
            if all.len() + bytes.len() > limit_bytes {
                return Err(BodyError::TooLarge { doing: self.doing, limit_bytes });
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }

    /// The bytes as they come.
    pub fn chunks<E: From<BodyError> + 'static>(self) -> BoxStream<'static, std::result::Result<Bytes, E>> {
        Box::pin(stream::try_unfold(self, |mut body| async move { Ok(body.chunk().await?.map(|bytes| (bytes, body))) }))
    }
}

/// Lines of a body, each at most so long.
pub struct Lines {
    body: Body,
    buffer: BytesMut,
    /// Of the buffer, what is known to have no end of a line: a long line is not looked through again with every chunk.
    searched: usize,
    limit_bytes: usize,
    ended: bool,
}

/// A line without its end, or a piece of one that is longer than the limit.
pub enum Line {
    Whole(Bytes),
    Piece(Bytes),
}

impl Lines {
    pub fn new(body: Body, limit_bytes: usize) -> Self {
        Self { body, buffer: BytesMut::new(), searched: 0, limit_bytes, ended: false }
    }

    pub fn doing(&self) -> &str {
        self.body.doing()
    }

    /// The next line; `None` at the end. Nothing is lost when it is dropped while waiting.
    pub async fn next(&mut self) -> Result<Option<Line>> {
        loop {
            let end = self.buffer.get(self.searched..).unwrap_or_default().iter().position(|byte| *byte == b'\n');
            let end = end.map(|end| self.searched + end);
            if self.buffer.len() > self.limit_bytes && end.is_none_or(|end| end > self.limit_bytes) {
                self.searched = 0;
                return Ok(Some(Line::Piece(self.buffer.split_to(self.limit_bytes).freeze())));
            }
            if let Some(end) = end {
                self.searched = 0;
                let mut line = self.buffer.split_to(end + 1).freeze();
                line.truncate(end);
                return Ok(Some(Line::Whole(line)));
            }
            self.searched = self.buffer.len();
            if self.ended {
                self.searched = 0;
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty()).then_some(Line::Whole(rest)));
            }
            match self.body.chunk().await? {
                None => self.ended = true,
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
            }
        }
    }

    /// The next line that is not empty; one that is too long is an error.
    pub async fn message(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.next().await? {
                None => return Ok(None),
                Some(Line::Whole(line)) if line.trim_ascii().is_empty() => {}
                Some(Line::Whole(line)) => return Ok(Some(line)),
                Some(Line::Piece(_)) => {
                    return Err(BodyError::TooLarge { doing: self.body.doing.clone(), limit_bytes: self.limit_bytes });
                }
            }
        }
    }
}

/// A time as errors tell it.
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The innermost cause says what a person can act on.
pub fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
