//! What was wrong with a query, in Loki's words and places.

use std::fmt;

use super::Span;

/// Why a text is not LogQL. `line` and `column` count from 1, in characters; 0 and 0 when the whole query is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub message: String,
    pub line: usize,
    pub column: usize,
    /// Where in the text, in bytes: for editors that underline.
    pub start: usize,
    pub end: usize,
}

impl ParseError {
    pub(crate) fn at(text: &str, span: Span, message: impl Into<String>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        ParseError {
            message: message.into(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            start: span.start,
            end: span.end,
        }
    }

    /// About the query as a whole.
    pub(crate) fn whole(text: &str, message: impl Into<String>) -> Self {
        ParseError { message: message.into(), line: 0, column: 0, start: 0, end: text.len() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, 0) => write!(f, "parse error : {}", self.message),
            (line, column) => write!(f, "parse error at line {line}, col {column}: {}", self.message),
        }
    }
}

impl std::error::Error for ParseError {}
