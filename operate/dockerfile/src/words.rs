//! Words of an instruction: split at blanks outside of quotes, quotes taken away, JSON arrays of strings with a place for
//! each. Does not know instructions.

use std::ops::Range;

use crate::syntax::{Logical, Word};

/// Words separated by blanks; quotes and the escape character hold blanks together.
pub(crate) fn split(text: &str, from: usize, escape: char) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut skip = false;
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < from) {
        if skip {
            skip = false;
            continue;
        }
        match quote {
            Some(open) => {
                if c == escape && open == '"' {
                    skip = true;
                } else if c == open {
                    quote = None;
                }
            }
            None if c.is_whitespace() => {
                if let Some(start) = start.take() {
                    words.push(start..at);
                }
                continue;
            }
            None if c == escape => skip = true,
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
        }
        start.get_or_insert(at);
    }
    if let Some(start) = start {
        words.push(start..text.len());
    }
    words
}

/// A word without its quotes and escapes.
pub(crate) fn unquote(raw: &str, escape: char) -> String {
    if !raw.contains(['"', '\'', escape]) {
        return raw.to_owned();
    }
    let mut out = String::with_capacity(raw.len());
    let mut quote = None;
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            Some('\'') if c != '\'' => out.push(c),
            _ if c == escape => match chars.next() {
                // Inside of double quotes only these lose their escape; `\$` keeps it, so that it is no variable later.
                Some(next @ ('"' | '\\')) => out.push(next),
                Some('$') => out.push_str("\\$"),
                Some(next) if quote.is_none() => out.push(next),
                Some(next) => out.extend([c, next]),
                None => out.push(c),
            },
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            _ => out.push(c),
        }
    }
    out
}

pub(crate) fn word(logical: &Logical, range: Range<usize>, escape: char) -> Word {
    let raw = logical.text.get(range.clone()).unwrap_or("").to_owned();
    Word { value: unquote(&raw, escape), raw, span: logical.span(range.clone()), range }
}

/// A JSON array of strings over the whole range; `None` when it is anything else.
pub(crate) fn json_array(logical: &Logical, range: Range<usize>) -> Option<Vec<Word>> {
    let text = logical.text.get(range.clone())?;
    let bytes = text.as_bytes();
    let mut at = 0;
    let blank = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        at
    };
    let mut words = Vec::new();
    at = blank(at);
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    at = blank(at + 1);
    if bytes.get(at) == Some(&b']') {
        return (blank(at + 1) == bytes.len()).then_some(words);
    }
    loop {
        let start = at;
        if bytes.get(at) != Some(&b'"') {
            return None;
        }
        at += 1;
        while *bytes.get(at)? != b'"' {
            at += if bytes.get(at) == Some(&b'\\') { 2 } else { 1 };
        }
        at += 1;
        let raw = text.get(start..at)?;
        let value: String = serde_json::from_str(raw).ok()?;
        let place = range.start + start..range.start + at;
        words.push(Word { value, raw: raw.to_owned(), span: logical.span(place.clone()), range: place });
        at = blank(at);
        match bytes.get(at)? {
            b',' => at = blank(at + 1),
            b']' => return (blank(at + 1) == bytes.len()).then_some(words),
            _ => return None,
        }
    }
}
