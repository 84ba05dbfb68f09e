//! `key=value key="quoted value"` lines. Source: the logfmt package of go-kit, as Loki uses it.

use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotLogfmt(pub(super) &'static str);

/// Calls `found` for every pair in turn; a bare key has an empty value. A malformed part is skipped up to the next
/// space, or ends it with an error when `strict`.
pub(super) fn pairs<'a>(
    line: &'a str,
    strict: bool,
    found: &mut dyn FnMut(&'a str, Cow<'a, str>),
) -> Result<(), NotLogfmt> {
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(|c: char| c <= ' ');
        if rest.is_empty() {
            return Ok(());
        }
        let key_end = rest.find(|c: char| c <= ' ' || c == '=' || c == '"').unwrap_or(rest.len());
        let (key, after) = rest.split_at(key_end);
        if key.is_empty() || after.starts_with('"') {
            if strict {
                return Err(NotLogfmt(if key.is_empty() { "unexpected '='" } else { "unexpected '\"'" }));
            }
            rest = after.find(|c: char| c <= ' ').map_or("", |i| &after[i..]);
            continue;
        }
        let Some(value) = after.strip_prefix('=') else {
            found(key, Cow::Borrowed(""));
            rest = after;
            continue;
        };
        if value.starts_with('"') {
            match quoted(value) {
                Some((text, tail)) => {
                    found(key, text);
                    rest = tail;
                }
                None if strict => return Err(NotLogfmt("a quoted value has no end")),
                None => return Ok(()),
            }
        } else {
            let end = value.find(|c: char| c <= ' ').unwrap_or(value.len());
            let (text, tail) = value.split_at(end);
            if strict && text.contains(['=', '"']) {
                return Err(NotLogfmt("unexpected '=' or '\"' in a value"));
            }
            found(key, Cow::Borrowed(text));
            rest = tail;
        }
    }
}

/// The text between quotes and what follows; escapes are JSON's.
fn quoted(value: &str) -> Option<(Cow<'_, str>, &str)> {
    let body = value.get(1..)?;
    let mut escaped = false;
    for (i, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                let (inner, tail) = (body.get(..i)?, body.get(i + 1..)?);
                return Some((unescape(inner), tail));
            }
            _ => {}
        }
    }
    None
}

fn unescape(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                out.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
            }
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    Cow::Owned(out)
}
