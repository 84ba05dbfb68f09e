//! From text to tokens with spans. Keywords stay identifiers: where one is a keyword is the parser's business.

use super::units::{parse_bytes, parse_duration_ns};
use super::{BinaryOp, ParseError, Span};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Ident(String),
    String(String),
    Number(f64),
    DurationNs(i64),
    Bytes(u64),
    /// `--strict`
    Flag(String),
    Sign(&'static str),
    End,
}

/// Longest first, so that the first that fits is the right one.
const SIGNS: [&str; 29] = [
    "|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=", "=", ">", "<", "|", "{", "}", "(", ")", "[", "]", ",",
    "+", "-", "*", "/", "%", "^", ".", ":",
];

/// Signs of binary operators; the words `and`, `or`, `unless` are the rest.
pub const BINARY_SIGNS: [(&str, BinaryOp); 15] = [
    ("or", BinaryOp::Or),
    ("and", BinaryOp::And),
    ("unless", BinaryOp::Unless),
    ("==", BinaryOp::Equal),
    ("!=", BinaryOp::NotEqual),
    (">", BinaryOp::Greater),
    (">=", BinaryOp::GreaterEqual),
    ("<", BinaryOp::Less),
    ("<=", BinaryOp::LessEqual),
    ("+", BinaryOp::Add),
    ("-", BinaryOp::Subtract),
    ("*", BinaryOp::Multiply),
    ("/", BinaryOp::Divide),
    ("%", BinaryOp::Modulo),
    ("^", BinaryOp::Power),
];

/// How an operator is written.
pub fn sign_text(op: BinaryOp) -> &'static str {
    BINARY_SIGNS.iter().find(|(_, o)| *o == op).map_or("", |(text, _)| text)
}

/// Words that Loki's errors name by themselves instead of as IDENTIFIER.
const KEYWORDS: [&str; 24] = [
    "by",
    "without",
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "json",
    "regexp",
    "logfmt",
    "unpack",
    "pattern",
    "offset",
    "unwrap",
    "and",
    "or",
    "unless",
    "line_format",
    "label_format",
    "decolorize",
    "drop",
    "keep",
    "vector",
    "label_replace",
];

impl Token {
    /// The name by which an error speaks of it.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Ident(word) if KEYWORDS.contains(&word.as_str()) => word.clone(),
            Token::Ident(_) => "IDENTIFIER".into(),
            Token::String(_) => "STRING".into(),
            Token::Number(_) => "NUMBER".into(),
            Token::DurationNs(_) => "DURATION".into(),
            Token::Bytes(_) => "BYTES".into(),
            Token::Flag(_) => "PARSER_FLAG".into(),
            Token::Sign(sign) => (*sign).into(),
            Token::End => "$end".into(),
        }
    }
}

/// All tokens, the last one `End`.
pub(super) fn lex(text: &str) -> Result<Vec<(Token, Span)>, ParseError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let Some(first) = rest.chars().next() else { break };
        let (token, len) = match first {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            '"' => string(text, at)?,
            '`' => match rest[1..].find('`') {
                Some(len) => (Token::String(rest[1..=len].to_owned()), len + 2),
                None => {
                    return Err(ParseError::at(text, Span { start: at, end: text.len() }, "literal not terminated"));
                }
            },
            c if c.is_ascii_digit() || (c == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) => {
                number(text, at)?
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let len =
                    rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
                (Token::Ident(rest[..len].to_owned()), len)
            }
            '-' if rest.starts_with("--") && rest[2..].starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let len =
                    rest[2..].find(|c: char| !(c.is_ascii_alphabetic() || c == '-')).map_or(rest.len(), |i| i + 2);
                (Token::Flag(rest[2..len].to_owned()), len)
            }
            c => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => {
                    let span = Span { start: at, end: at + c.len_utf8() };
                    return Err(ParseError::at(text, span, format!("syntax error: unexpected character {c:?}")));
                }
            },
        };
        tokens.push((token, Span { start: at, end: at + len }));
        at += len;
    }
    tokens.push((Token::End, Span { start: text.len(), end: text.len() }));
    Ok(tokens)
}

/// A number, a duration or a size: they begin alike.
fn number(text: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let rest = &text[at..];
    let mut len = rest.find(|c: char| !(c.is_alphanumeric() || c == '.')).unwrap_or(rest.len());
    // The sign of an exponent belongs to the number: 1e-3.
    let exponent = rest[..len].ends_with(['e', 'E']) && !rest.starts_with("0x");
    if exponent && rest[len..].starts_with(['+', '-']) && rest[len + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        len += 1 + rest[len + 1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - len - 1);
    }
    let word = &rest[..len];
    let token = if let Ok(number) = word.parse::<f64>() {
        Token::Number(number)
    } else if let Some(hex) = word.strip_prefix("0x").and_then(|h| u32::from_str_radix(h, 16).ok()) {
        Token::Number(f64::from(hex))
    } else if let Some(ns) = parse_duration_ns(word) {
        Token::DurationNs(ns)
    } else if let Some(bytes) = parse_bytes(word) {
        Token::Bytes(bytes)
    } else {
        let span = Span { start: at, end: at + len };
        let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        return Err(ParseError::at(text, span, format!("unknown unit \"{unit}\" in duration \"{word}\"")));
    };
    Ok((token, len))
}

/// A double-quoted string with Go's escapes.
fn string(text: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let start = Span { start: at, end: text.len() };
    let unterminated = || ParseError::at(text, start, "literal not terminated");
    let mut bytes = Vec::new();
    let body = &text[at + 1..];
    let mut chars = body.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => {
                let value = String::from_utf8(bytes).map_err(|_| ParseError::at(text, start, "string is not UTF-8"))?;
                return Ok((Token::String(value), i + 2));
            }
            '\n' => return Err(unterminated()),
            '\\' => {
                let bad = || {
                    let span = Span { start: at + 1 + i, end: (at + 3 + i).min(text.len()) };
                    ParseError::at(text, span, "invalid char escape")
                };
                let (_, escape) = chars.next().ok_or_else(unterminated)?;
                let mut code = |digits: usize, radix: u32, first: Option<char>| -> Option<u32> {
                    let mut value = first.map_or(Some(0), |c| c.to_digit(radix))?;
                    for _ in 0..digits {
                        value = value * radix + chars.next()?.1.to_digit(radix)?;
                    }
                    Some(value)
                };
                match escape {
                    'a' => bytes.push(7),
                    'b' => bytes.push(8),
                    'f' => bytes.push(12),
                    'n' => bytes.push(b'\n'),
                    'r' => bytes.push(b'\r'),
                    't' => bytes.push(b'\t'),
                    'v' => bytes.push(11),
                    '\\' | '"' => bytes.push(escape as u8),
                    'x' => bytes.push(code(2, 16, None).ok_or_else(bad)? as u8),
                    '0'..='3' => bytes.push(code(2, 8, Some(escape)).ok_or_else(bad)? as u8),
                    'u' | 'U' => {
                        let digits = if escape == 'u' { 4 } else { 8 };
                        let c = code(digits, 16, None).and_then(char::from_u32).ok_or_else(bad)?;
                        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                    _ => return Err(bad()),
                }
            }
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err(unterminated())
}
