//! Text to pieces: what is printed as it stands, and actions as words. Knows no grammar.

use crate::value::Value;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    Action(Action),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Action {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) words: Vec<Word>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Word {
    pub(crate) kind: Kind,
    /// Whether it follows the one before without a blank.
    pub(crate) glued: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Dot,
    /// `.name`
    Field(String),
    /// With its `$`.
    Variable(String),
    Name(String),
    Literal(Value),
    Pipe,
    Declare,
    Assign,
    Comma,
    Open,
    Close,
}

/// The line and what is wrong there.
pub(crate) type Bad = (usize, String);

pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, Bad> {
    let (mut out, mut rest, mut line, mut trim) = (Vec::new(), text, 1, false);
    while let Some((before, after)) = rest.split_once("{{") {
        let cut_behind = after.starts_with('-') && after[1..].starts_with(char::is_whitespace);
        push_text(&mut out, before, trim, cut_behind);
        line += newlines(before);
        let inside = if cut_behind { after[1..].trim_start() } else { after };
        line += newlines(&after[..after.len() - inside.len()]);
        let (action, tail) = match inside.strip_prefix("/*") {
            Some(comment) => (None, comment_end(comment).ok_or((line, "unclosed comment".to_owned()))?),
            None => {
                let (action, tail) = action(inside, line)?;
                (Some(action), tail)
            }
        };
        line += newlines(&inside[..inside.len() - tail.len()]);
        out.extend(action.map(Piece::Action));
        trim = text[..text.len() - tail.len()].ends_with("-}}") && ends_trimming(&text[..text.len() - tail.len()]);
        rest = tail;
    }
    push_text(&mut out, rest, trim, false);
    Ok(out)
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|b| *b == b'\n').count()
}

/// `x -}}` trims, `x-}}` does not.
fn ends_trimming(done: &str) -> bool {
    done.strip_suffix("-}}").is_some_and(|inside| inside.ends_with(char::is_whitespace) || inside.ends_with("*/"))
}

fn push_text(out: &mut Vec<Piece>, text: &str, trim_start: bool, trim_end: bool) {
    let text = if trim_start { text.trim_start() } else { text };
    let text = if trim_end { text.trim_end() } else { text };
    if !text.is_empty() {
        out.push(Piece::Text(text.to_owned()));
    }
}

fn comment_end(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("*/")?;
    after.strip_prefix("}}").or_else(|| after.trim_start().strip_prefix("-}}"))
}

fn action(text: &str, line: usize) -> Result<(Action, &str), Bad> {
    let (mut rest, mut words, mut glued) = (text, Vec::new(), false);
    loop {
        let at = line + newlines(&text[..text.len() - rest.len()]);
        let trimmed = rest.trim_start();
        glued &= trimmed.len() == rest.len();
        let closed = trimmed.strip_prefix("}}").or_else(|| match trimmed.len() < rest.len() {
            true => trimmed.strip_prefix("-}}"),
            false => None,
        });
        if let Some(tail) = closed {
            let text = text[..text.len() - trimmed.len()].trim().to_owned();
            return Ok((Action { line, text, words }, tail));
        }
        let (kind, tail) = word(trimmed).map_err(|why| (at, why))?;
        words.push(Word { kind, glued });
        glued = true;
        rest = tail;
    }
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()))
}

fn word(text: &str) -> Result<(Kind, &str), String> {
    let first = text.chars().next().ok_or("unclosed action")?;
    let rest = &text[first.len_utf8()..];
    let next = rest.chars().next().unwrap_or(' ');
    Ok(match first {
        '|' => (Kind::Pipe, rest),
        ',' => (Kind::Comma, rest),
        '(' => (Kind::Open, rest),
        ')' => (Kind::Close, rest),
        '=' => (Kind::Assign, rest),
        ':' if next == '=' => (Kind::Declare, &rest[1..]),
        '.' if next.is_ascii_digit() => number(text)?,
        '.' if is_name(next) => {
            let (name, tail) = name(rest);
            (Kind::Field(name.to_owned()), ended(tail)?)
        }
        '.' => (Kind::Dot, rest),
        '$' => {
            let (name, tail) = name(rest);
            (Kind::Variable(format!("${name}")), ended(tail)?)
        }
        '"' | '`' => {
            let (string, tail) = string(first, rest)?;
            (Kind::Literal(Value::Text(string)), tail)
        }
        '\'' => {
            let (string, tail) = string('\'', rest).map_err(|_| "unterminated character constant")?;
            let mut chars = string.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => (Kind::Literal(Value::Int(i64::from(u32::from(c)))), tail),
                _ => return Err("malformed character constant".to_owned()),
            }
        }
        '+' | '-' if next.is_ascii_digit() || next == '.' => number(text)?,
        c if c.is_ascii_digit() => number(text)?,
        c if is_name(c) => {
            let (name, tail) = name(text);
            let kind = match name {
                "true" => Kind::Literal(Value::Bool(true)),
                "false" => Kind::Literal(Value::Bool(false)),
                name => Kind::Name(name.to_owned()),
            };
            (kind, ended(tail)?)
        }
        c => return Err(format!("unexpected {:?} in command", c.to_string())),
    })
}

/// What may follow a name.
fn ended(tail: &str) -> Result<&str, String> {
    match tail.chars().next() {
        Some(c) if !(c.is_whitespace() || matches!(c, '.' | ',' | '|' | ':' | ')' | '(' | '}' | '=')) => {
            Err(format!("bad character U+{:04X} '{c}'", u32::from(c)))
        }
        _ => Ok(tail),
    }
}

fn number(text: &str) -> Result<(Kind, &str), String> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_hex = body.starts_with("0x") || body.starts_with("0X");
    let mut before = ' ';
    let in_number = |c: char| {
        let sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E') && !is_hex;
        before = c;
        c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || sign
    };
    let mut in_number = in_number;
    let length = body.find(|c| !in_number(c)).unwrap_or(body.len());
    let (digits, tail) = body.split_at(length);
    let bad = || format!("bad number syntax: {digits:?}");
    let plain = digits.replace('_', "").to_ascii_lowercase();
    let negative = text.starts_with('-');
    let whole = match (plain.get(..2), plain.get(2..)) {
        (Some("0x"), Some(digits)) => Some(i64::from_str_radix(digits, 16)),
        (Some("0b"), Some(digits)) => Some(i64::from_str_radix(digits, 2)),
        (Some("0o"), Some(digits)) => Some(i64::from_str_radix(digits, 8)),
        _ => plain.bytes().all(|b| b.is_ascii_digit()).then(|| plain.parse()),
    };
    let value = match whole {
        Some(whole) => {
            let whole: i64 = whole.map_err(|_| bad())?;
            Value::Int(if negative { -whole } else { whole })
        }
        None => {
            let is_number = plain.starts_with(|c: char| c.is_ascii_digit() || c == '.');
            let value: f64 = plain.parse().ok().filter(|_| is_number).ok_or_else(bad)?;
            Value::Float(if negative { -value } else { value })
        }
    };
    Ok((Kind::Literal(value), tail))
}

/// A text up to its quote, which stood before it.
fn string(quote: char, text: &str) -> Result<(String, &str), String> {
    let open = || match quote {
        '`' => "unterminated raw quoted string".to_owned(),
        _ => "unterminated quoted string".to_owned(),
    };
    if quote == '`' {
        return text.split_once('`').map(|(raw, tail)| (raw.to_owned(), tail)).ok_or_else(open);
    }
    let (mut out, mut chars) = (String::new(), text.chars());
    loop {
        match chars.next().filter(|c| *c != '\n').ok_or_else(open)? {
            c if c == quote => return Ok((out, chars.as_str())),
            '\\' => {
                let escaped = chars.next().ok_or_else(open)?;
                let code = |chars: &mut std::str::Chars<'_>, digits: usize| {
                    let hex: String = chars.by_ref().take(digits).collect();
                    u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32).ok_or("invalid syntax")
                };
                out.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'v' => '\u{b}',
                    'x' => code(&mut chars, 2)?,
                    'u' => code(&mut chars, 4)?,
                    'U' => code(&mut chars, 8)?,
                    '\\' | '\'' | '"' => escaped,
                    _ => return Err("invalid syntax".to_owned()),
                });
            }
            c => out.push(c),
        }
    }
}
