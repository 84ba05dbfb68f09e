//! Log lines brought to their pattern, and which error patterns are new since a release. Knows no log format and no query.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::evidence::Line;

/// Of a line so much is looked at; a stack trace beyond says nothing new.
const CHARS_MAX: usize = 300;
/// Patterns kept; more is a storm, and the first tell it as well.
const PATTERNS_MAX: usize = 20;

/// A pattern of error lines that appeared with the release.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorPattern {
    /// The line with what varies replaced: `<n>`, `<hex>`, `<uuid>`, `<ip>`, `<s>`.
    pub pattern: String,
    pub lines: usize,
    /// One of them as it was, cut.
    pub example: String,
    pub first_ms: i64,
}

/// Patterns among `new` that no line of `old` has, with at least `lines_min` lines; most lines first.
pub fn new_patterns(new: &[Line], old: &[Line], lines_min: usize) -> Vec<ErrorPattern> {
    let known: HashSet<String> = old.iter().map(|line| mask(&line.text)).collect();
    let mut found = BTreeMap::<String, ErrorPattern>::new();
    for line in new {
        let pattern = mask(&line.text);
        if known.contains(&pattern) {
            continue;
        }
        let fresh = || ErrorPattern {
            pattern: pattern.clone(),
            lines: 0,
            example: line.text.chars().take(CHARS_MAX).collect(),
            first_ms: line.time_ms,
        };
        let one = found.entry(pattern.clone()).or_insert_with(fresh);
        one.lines += 1;
        one.first_ms = one.first_ms.min(line.time_ms);
    }
    let mut found: Vec<ErrorPattern> = found.into_values().filter(|one| one.lines >= lines_min.max(1)).collect();
    found.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.pattern.cmp(&b.pattern)));
    found.truncate(PATTERNS_MAX);
    found
}

/// The line with quoted strings, UUIDs, addresses, hexadecimal and plain numbers replaced by what they are.
pub fn mask(line: &str) -> String {
    let chars: Vec<char> = line.chars().take(CHARS_MAX).collect();
    let mut out = String::with_capacity(chars.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if let Some(end) = quoted_end(&chars, at) {
            out.push_str("<s>");
            at = end;
        } else if is_word(c) && !at.checked_sub(1).and_then(|b| chars.get(b)).is_some_and(|b| is_word(*b)) {
            let rest = chars.get(at..).unwrap_or_default();
            let length = rest.iter().position(|c| !is_joined(*c)).unwrap_or(rest.len());
            let (masked, used) = token(rest.get(..length).unwrap_or_default());
            out.push_str(&masked);
            at += used;
        } else if c.is_whitespace() {
            if !out.ends_with(' ') {
                out.push(' ');
            }
            at += 1;
        } else {
            out.push(c);
            at += 1;
        }
    }
    out.trim().to_owned()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What can stand inside a UUID, an address or a number.
fn is_joined(c: char) -> bool {
    is_word(c) || ".:-".contains(c)
}

/// Past the closing quote, when a quoted string begins here. An apostrophe inside a word begins none.
fn quoted_end(chars: &[char], at: usize) -> Option<usize> {
    let quote = *chars.get(at).filter(|c| "\"'`".contains(**c))?;
    if at.checked_sub(1).and_then(|b| chars.get(b)).is_some_and(|b| is_word(*b)) {
        return None;
    }
    let (mut end, mut escaped) = (at + 1, false);
    while let Some(&c) = chars.get(end) {
        if c == quote && !escaped {
            return Some(end + 1);
        }
        escaped = c == '\\' && !escaped;
        end += 1;
    }
    None
}

/// The first token of this run of joined characters, masked, and how many characters it took.
fn token(run: &[char]) -> (String, usize) {
    let text: String = run.iter().collect();
    let whole = text.trim_end_matches(['.', ':', '-']);
    if run.len() >= 36 && is_uuid(whole) {
        return ("<uuid>".into(), whole.chars().count());
    }
    if let Some(length) = ip_length(whole) {
        return ("<ip>".into(), length);
    }
    let word: String = run.iter().take_while(|c| is_word(**c)).collect();
    let length = word.chars().count();
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let hex = word.strip_prefix("0x").unwrap_or(&word);
    let is_hex = !hex.is_empty() && hex.chars().all(|c| c.is_ascii_hexdigit());
    if word.starts_with("0x") && is_hex || is_hex && hex.len() >= 8 && digits > 0 && digits < hex.len() {
        return ("<hex>".into(), length);
    }
    if digits == 0 {
        return (word, length);
    }
    // `12ms`, `v2`, `worker7`: the letters say what it is, the digits vary.
    let mut out = String::new();
    for c in word.chars() {
        match c.is_ascii_digit() {
            true if !out.ends_with("<n>") => out.push_str("<n>"),
            true => {}
            false => out.push(c),
        }
    }
    // `3.25` is one number.
    let rest = run.get(length..).unwrap_or_default();
    let fraction = rest.iter().skip(1).take_while(|c| c.is_ascii_digit()).count();
    if rest.first() == Some(&'.') && fraction > 0 && out.ends_with("<n>") {
        return (out, length + 1 + fraction);
    }
    (out, length)
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Length of the address at the beginning: IPv4, or IPv6 with at least two colons; a port behind it stays.
fn ip_length(text: &str) -> Option<usize> {
    let four = text.split(':').next().unwrap_or_default();
    let marks = |mark: char| text.matches(mark).take(3).count();
    if marks('.') < 3 && marks(':') < 2 {
        return None;
    }
    if four.parse::<std::net::Ipv4Addr>().is_ok() {
        return Some(four.len());
    }
    text.parse::<std::net::Ipv6Addr>().is_ok().then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_masked() {
        let check = |line: &str, expect: &str| assert_eq!(mask(line), expect, "{line}");
        check("took 12ms, then 3.25 s", "took <n>ms, then <n> s");
        check("order 7f9c24e8-3b12-4fef-91e0-5a1c0b2d3e4f gone", "order <uuid> gone");
        check("dial 10.0.0.7:5432: refused", "dial <ip>:<n>: refused");
        check("dial fe80::1 refused", "dial <ip> refused");
        check("at 0xdeadbeef in deadbeef1234", "at <hex> in <hex>");
        check("user \"ann \\\"x\\\"\" can't pay 'now'", "user <s> can't pay <s>");
        check("2026-01-02T03:04:05.123Z  ERROR  pool=worker7", "<n>-<n>-<n>T<n>:<n>:<n>Z ERROR pool=worker<n>");
        check("decade facade", "decade facade");
        check("it's 'open", "it's 'open");
        check("", "");
        check("Größe 5 übrig", "Größe <n> übrig");
    }

    #[test]
    fn only_what_was_not_there_before() {
        let lines = |texts: &[&str]| -> Vec<Line> {
            texts.iter().enumerate().map(|(i, text)| Line { time_ms: i as i64, text: (*text).into() }).collect()
        };
        let old = lines(&["ERROR order 1 late"]);
        let new = lines(&[
            "ERROR order 77 late",
            "ERROR no column a1",
            "ERROR no column b2",
            "panic: x",
            "ERROR no column a9",
        ]);
        let found = new_patterns(&new, &old, 2);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].pattern.as_str(), found[0].lines, found[0].first_ms), ("ERROR no column a<n>", 2, 1));
        assert_eq!(new_patterns(&new, &old, 1).len(), 3);
        assert_eq!(new_patterns(&old, &new, 1), []);
    }
}
