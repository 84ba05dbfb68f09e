//! A position in one line of an exposition: names, quoted texts, numbers. Knows nothing of what a line means.

use std::borrow::Cow;

/// What was wanted where; the line number is added by the reader.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) column: usize,
    pub(super) what: String,
}

pub(super) struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Cursor { line, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or_default()
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.line.len()
    }

    pub(super) fn problem(&self, what: String) -> Problem {
        Problem { column: self.at + 1, what }
    }

    pub(super) fn wanted(&self, what: &str) -> Problem {
        let found = match self.rest().chars().next() {
            Some(c) => format!("{c:?}"),
            None => "the end of the line".to_owned(),
        };
        Problem { column: self.at + 1, what: format!("{what} expected, found {found}") }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    pub(super) fn eat(&mut self, token: u8) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    /// Blanks and tabs.
    pub(super) fn space(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.at > start
    }

    fn while_byte(&mut self, fits: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&fits) {
            self.at += 1;
        }
        self.line.get(start..self.at).unwrap_or_default()
    }

    /// A metric name: letters, digits, `_`, `:`; not a digit first.
    pub(super) fn metric_name(&mut self) -> Option<&'a str> {
        self.peek().filter(|b| !b.is_ascii_digit())?;
        let name = self.while_byte(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':');
        (!name.is_empty()).then_some(name)
    }

    pub(super) fn label_name(&mut self) -> Option<&'a str> {
        self.peek().filter(|b| !b.is_ascii_digit())?;
        let name = self.while_byte(|b| b.is_ascii_alphanumeric() || b == b'_');
        (!name.is_empty()).then_some(name)
    }

    /// Up to the next blank.
    pub(super) fn word(&mut self) -> &'a str {
        self.while_byte(|b| b != b' ' && b != b'\t')
    }

    /// A text in double quotes; `\\`, `\"` and `\n` are escapes, any other backslash stays.
    pub(super) fn quoted(&mut self) -> Result<Cow<'a, str>, Problem> {
        if !self.eat(b'"') {
            return Err(self.wanted("a text in double quotes"));
        }
        let start = self.at;
        let bytes = self.line.as_bytes();
        let mut escaped = false;
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'"' => {
                    let raw = self.line.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(if escaped { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) });
                }
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.line.len();
        Err(self.wanted("a closing double quote"))
    }
}

/// Undoes the escapes of label values and help texts.
pub(super) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some(c @ ('\\' | '"')) => text.push(c),
            Some(c) => text.extend(['\\', c]),
            None => text.push('\\'),
        }
    }
    text
}

/// A sample's value: a decimal number, `NaN`, or `Inf` with or without a sign, in any case. What a float64 cannot hold is
/// none; hexadecimal floats and underscores are not read.
pub(super) fn number(word: &str) -> Option<f64> {
    let fits = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    if word.bytes().all(fits) {
        return word.parse().ok().filter(|number: &f64| number.is_finite());
    }
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let infinite = unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity");
    (infinite || word.eq_ignore_ascii_case("nan")).then(|| word.parse().ok()).flatten()
}
