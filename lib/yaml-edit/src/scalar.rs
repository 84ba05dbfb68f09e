//! What a scalar's text means, in two dialects, and how a text must be written so that it means itself in both. Knows no tree.

use serde_json::Number;

use crate::node::Style;

/// By whose rules unquoted words are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// YAML 1.2's core schema: `true`, `false`, `null`, decimal, `0o` and `0x`. <https://yaml.org/spec/1.2.2/#103-core-schema>
    #[default]
    Core,
    /// As kubectl, Helm and kustomize read: YAML 1.1's booleans (`yes`, `on`, `n`), octal `0644`, `0b`, `_` between digits.
    Kubectl,
}

/// A scalar's meaning, its text borrowed.
#[derive(Debug, Clone, PartialEq)]
pub enum Word<'t> {
    Null,
    Bool(bool),
    Number(Number),
    Text(&'t str),
}

/// What a scalar means. Quoted text and block scalars are text; a tag decides before the look of the word.
pub fn resolve<'t>(text: &'t str, style: Style, tag: Option<&str>, dialect: Dialect) -> Word<'t> {
    match tag {
        Some("tag:yaml.org,2002:str" | "!" | "tag:yaml.org,2002:binary") => return Word::Text(text),
        Some(
            "tag:yaml.org,2002:int" | "tag:yaml.org,2002:float" | "tag:yaml.org,2002:bool" | "tag:yaml.org,2002:null",
        ) => {}
        _ if !matches!(style, Style::Plain | Style::Absent) => return Word::Text(text),
        _ => {}
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Word::Null,
        "true" | "True" | "TRUE" => return Word::Bool(true),
        "false" | "False" | "FALSE" => return Word::Bool(false),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" if dialect == Dialect::Kubectl => {
            return Word::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" if dialect == Dialect::Kubectl => {
            return Word::Bool(false);
        }
        _ => {}
    }
    // Most words are no numbers: tell them by their first sign.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Word::Text(text);
    }
    number(text, dialect).map_or(Word::Text(text), Word::Number)
}

fn number(text: &str, dialect: Dialect) -> Option<Number> {
    match dialect {
        Dialect::Core => core_int(text),
        Dialect::Kubectl => go_int(text),
    }
    .or_else(|| {
        let plain = if dialect == Dialect::Kubectl { text.replace('_', "") } else { text.to_owned() };
        if !looks_float(&plain) {
            return None;
        }
        plain.trim_start_matches('+').parse::<f64>().ok().and_then(Number::from_f64)
    })
}

fn core_int(text: &str) -> Option<Number> {
    if let Some(octal) = text.strip_prefix("0o") {
        return u64::from_str_radix(octal, 8).ok().filter(|_| !octal.starts_with('+')).map(Number::from);
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+')).map(Number::from);
    }
    decimal(text)
}

fn decimal(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let negative = text.starts_with('-');
    if negative { text.parse::<i64>().ok().map(Number::from) } else { digits.parse::<u64>().ok().map(Number::from) }
}

/// Go's `strconv.ParseInt(text, 0, 64)` after `_` was taken out: a prefix chooses the base, and a leading 0 means octal.
fn go_int(text: &str) -> Option<Number> {
    let plain = if text.contains('_') { text.replace('_', "") } else { text.to_owned() };
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, plain.get(1..)?),
        b'+' => (false, plain.get(1..)?),
        _ => (false, plain.as_str()),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, lower.get(2..)?),
        [b'0', b'b', ..] => (2, lower.get(2..)?),
        [b'0', b'o', ..] => (8, lower.get(2..)?),
        [b'0', _, ..] => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    if body.is_empty() || !body.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let value = u64::from_str_radix(body, radix).ok()?;
    if negative { i64::try_from(-i128::from(value)).ok().map(Number::from) } else { Some(Number::from(value)) }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn looks_float(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = body.split_once(['e', 'E']).map_or((body, None), |(m, e)| (m, Some(e)));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fine = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty()) && exponent_fine
}

/// Whether a text may stand unquoted and still be this text, for every reader.
pub(crate) fn plain_safe(text: &str, in_flow: bool) -> bool {
    let Some(first) = text.chars().next() else { return false };
    if text.trim() != text || text.starts_with("---") || text.starts_with("...") || text.ends_with(':') {
        return false;
    }
    if matches!(first, '-' | '?' | ':') && text.chars().nth(1).is_none_or(|c| c == ' ' || in_flow) {
        return false;
    }
    if matches!(
        first,
        ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' | '=' | '<'
    ) {
        return false;
    }
    if text.contains(": ") || text.contains(" #") || text.chars().any(unprintable) {
        return false;
    }
    if in_flow && text.contains([',', '[', ']', '{', '}', ':']) {
        return false;
    }
    // Dates, times and sexagesimal numbers are something else to some readers.
    let numberish = first.is_ascii_digit() || matches!(first, '+' | '-' | '.');
    if numberish && text.chars().all(|c| c.is_ascii_digit() || "+-._:eExXoObBTZ ".contains(c)) {
        return text.contains('.') && text.split('.').count() > 2 && !text.contains(':');
    }
    if matches!(text.to_ascii_lowercase().as_str(), ".nan" | ".inf" | "-.inf" | "+.inf") {
        return false;
    }
    [Dialect::Core, Dialect::Kubectl]
        .iter()
        .all(|&dialect| matches!(resolve(text, Style::Plain, None, dialect), Word::Text(_)))
}

fn unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// In double quotes, as both YAML and JSON read it.
pub(crate) fn double(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if unprintable(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// In single quotes, if it can be written so on one line.
pub(crate) fn single(text: &str) -> Option<String> {
    (!text.chars().any(unprintable)).then(|| format!("'{}'", text.replace('\'', "''")))
}
