//! Why bytes could not be decoded: what, at which field and byte. Knows nothing of HTTP statuses, but says what is too large.

use std::fmt;

/// A request that cannot be read at all. Shown as `resourceSpans.scopeSpans.spans.name (byte 41): text is not valid UTF-8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    kind: DecodeErrorKind,
    /// Names of fields from the outside in.
    path: String,
    /// Offset in the uncompressed body.
    at_byte: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    #[error("the bytes end in the middle of a field")]
    Truncated,
    #[error("a number is longer than 10 bytes")]
    VarintTooLong,
    #[error("field number {0} is not between 1 and 536870911")]
    FieldNumber(u64),
    #[error("wire type {0} is not supported (groups left protobuf long ago)")]
    WireType(u8),
    #[error("{expected} expected, found {found}")]
    Type { expected: &'static str, found: String },
    #[error("text is not valid UTF-8")]
    Utf8,
    #[error("messages are nested deeper than {0}")]
    TooDeep(u32),
    #[error("it would take more than {0} bytes once decoded; send it in smaller requests")]
    TooLarge(u64),
    #[error("not valid JSON: {0}")]
    Json(String),
    #[error("not valid {encoding}: {reason}")]
    Compression { encoding: &'static str, reason: String },
    #[error("content encoding {0:?} is not supported; use gzip, zstd, deflate, snappy or none")]
    UnknownEncoding(String),
    #[error("{0}")]
    Content(String),
}

impl DecodeError {
    pub(crate) fn new(kind: DecodeErrorKind) -> Self {
        DecodeError { kind, path: String::new(), at_byte: None }
    }

    pub(crate) fn at(kind: DecodeErrorKind, byte: usize) -> Self {
        DecodeError { kind, path: String::new(), at_byte: Some(byte) }
    }

    /// The same error seen from one message further out.
    pub(crate) fn within(mut self, field: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{field}{dot}{}", self.path);
        self
    }

    pub fn kind(&self) -> &DecodeErrorKind {
        &self.kind
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether a smaller request could pass: HTTP 413 rather than 400.
    pub fn is_too_large(&self) -> bool {
        matches!(self.kind, DecodeErrorKind::TooLarge(_))
    }

    /// Whether another `Content-Encoding` could pass: HTTP 415.
    pub fn is_unsupported_encoding(&self) -> bool {
        matches!(self.kind, DecodeErrorKind::UnknownEncoding(_))
    }
}

impl From<DecodeErrorKind> for DecodeError {
    fn from(kind: DecodeErrorKind) -> Self {
        DecodeError::new(kind)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.is_empty(), self.at_byte) {
            (true, None) => {}
            (true, Some(byte)) => write!(f, "byte {byte}: ")?,
            (false, None) => write!(f, "{}: ", self.path)?,
            (false, Some(byte)) => write!(f, "{} (byte {byte}): ", self.path)?,
        }
        fmt::Display::fmt(&self.kind, f)
    }
}

impl std::error::Error for DecodeError {}
