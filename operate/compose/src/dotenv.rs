//! Files of variables, as compose reads `.env` and `env_file`: `NAME=value` a line, `export` before it, quotes, comments, variables in values
//! that are not in single quotes (compose specification, "Env_file format"). It opens no file.

use std::sync::Arc;

use crate::interpolate::{Bad, Variables};
use crate::node::{Finding, Place};

const TEXT_BYTES_MAX: usize = 1 << 20;

/// Names and values in the order of the file; a name alone takes its value from the environment, if it has one.
pub(crate) fn variables(
    file: &str,
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, Finding> {
    read(file, text, lookup, false)
}

/// The same by itself: a variable that the lines before do not set is an error at its line, and so is a name without a value.
pub fn variables_strictly(file: &str, text: &str) -> Result<Vec<(String, String)>, Finding> {
    read(file, text, &|_| None, true)
}

fn read(
    file: &str,
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    strict: bool,
) -> Result<Vec<(String, String)>, Finding> {
    let file: Arc<str> = file.into();
    let place = |line: usize, column: usize| Place { file: Arc::clone(&file), line, column };
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("it has {} bytes, at most {TEXT_BYTES_MAX} are read", text.len());
        return Err(Finding::new(&place(1, 1), message, "is it a file of variables?"));
    }
    let mut found: Vec<(String, String)> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate();
    while let Some((number, whole)) = lines.next() {
        let line = whole.trim_start();
        let column = whole.len() - line.len() + 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let end = line.find(['=', ':']).unwrap_or(line.len());
        let name = line[..end].trim();
        let good = |c: char| c.is_alphanumeric() || "_.-[]".contains(c);
        if name.is_empty() || !name.chars().all(good) {
            // The line is not shown: it may hold a secret.
            let place = place(number + 1, column);
            return Err(Finding::new(
                &place,
                "this line has no name of a variable",
                "write NAME=value, or # before it",
            ));
        }
        let Some(value) = line.get(end + 1..) else {
            match lookup(name) {
                Some(value) => found.push((name.to_owned(), value)),
                None if strict => {
                    let message = format!("`{name}` has no value");
                    return Err(Finding::new(&place(number + 1, column), message, "write NAME=value"));
                }
                None => {}
            }
            continue;
        };
        let value = value.trim_start();
        let (mut raw, quote) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => (value[1..].to_owned(), Some(quote)),
            _ => (unquoted(value).to_owned(), None),
        };
        if let Some(quote) = quote {
            // A quoted value may go on over several lines.
            loop {
                if let Some(end) = quote_end(&raw, quote) {
                    raw.truncate(end);
                    break;
                }
                let Some((_, next)) = lines.next() else {
                    let place = place(number + 1, column);
                    return Err(Finding::new(&place, format!("the quote of `{name}` is not closed"), "close it"));
                };
                raw.push('\n');
                raw.push_str(next);
            }
        }
        let value = if quote == Some('\'') {
            raw
        } else {
            let known = |wanted: &str| {
                lookup(wanted)
                    .or_else(|| found.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| value.clone()))
            };
            let mut variables = Variables { lookup: &known, unset: Vec::new() };
            let raw = if quote == Some('"') { unescaped(&raw) } else { raw };
            let filled = variables.text(&raw, 0).map_err(|bad| {
                let message = match bad {
                    Bad::Form(_) => format!("the value of `{name}` has a dollar that begins no variable"),
                    Bad::Required { name, says } => format!("the variable `{name}` is not set: {says}"),
                };
                Finding::new(&place(number + 1, column), message, "single quotes keep a value as it is")
            })?;
            if let Some(unset) = variables.unset.first().filter(|_| strict) {
                let message = format!("the variable `{unset}` is not set in the lines before");
                let hint = "set it there, or write a default: `${NAME:-default}`";
                return Err(Finding::new(&place(number + 1, column), message, hint));
            }
            filled
        };
        found.push((name.to_owned(), value));
    }
    Ok(found)
}

/// Up to a comment, which begins after a space.
fn unquoted(value: &str) -> &str {
    let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
    let value = if value.starts_with('#') { "" } else { &value[..end] };
    value.trim_end()
}

fn quote_end(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !escaped {
            return Some(at);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('t')) => out.push('\t'),
            // A dollar that is escaped is no variable's.
            ('\\', Some('$')) => out.push_str("$$"),
            ('\\', Some(c @ ('"' | '\\'))) => out.push(c),
            ('\\', Some(c)) => out.extend(['\\', c]),
            (c, _) => out.push(c),
        }
    }
    out
}
