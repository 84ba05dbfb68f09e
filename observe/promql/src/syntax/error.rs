//! What a refused query is told, and where. Knows nothing of the grammar.

use std::fmt;

/// Bytes `start..end` of the query text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Span { start, end }
    }

    /// From the start of this to the end of `other`.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end }
    }
}

/// A query that is not PromQL. Displayed as Prometheus words it: `1:5: parse error: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub span: Span,
    /// From 1; 0 when the query is empty.
    pub line: usize,
    /// In bytes, from 1; 0 when the query is empty.
    pub column: usize,
    pub message: String,
}

impl ParseError {
    pub(crate) fn at(query: &str, span: Span, message: impl Into<String>) -> Self {
        let (line, column) = line_column(query, span.start).unwrap_or_default();
        ParseError { span, line, column, message: message.into() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "unknown position: parse error: {}", self.message);
        }
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Line and byte column from 1 of a byte offset; `None` for an empty query or an offset past its end.
pub(crate) fn line_column(query: &str, offset: usize) -> Option<(usize, usize)> {
    if query.is_empty() {
        return None;
    }
    let before = query.as_bytes().get(..offset)?;
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    Some((line, offset - line_start + 1))
}
