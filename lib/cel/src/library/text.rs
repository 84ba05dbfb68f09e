//! Texts: what the language has (`contains`, `matches`), and the strings library in its second version. Positions count characters.

use super::no;
use crate::env::{Cx, Run};
use crate::error::EvalError;
use crate::value::Value::{self, Bool, Int, List, Text};

type Out = Result<Value, EvalError>;

pub(super) const LANGUAGE: &[(&str, Run)] = &[
    ("string.contains(string) -> bool", contains),
    ("string.startsWith(string) -> bool", starts_with),
    ("string.endsWith(string) -> bool", ends_with),
    ("string.matches(string) -> bool\nmatches(string, string) -> bool", matches),
];

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    ("string.charAt(int) -> string", char_at),
    ("string.indexOf(string) -> int\nstring.indexOf(string, int) -> int", index_of),
    ("string.lastIndexOf(string) -> int\nstring.lastIndexOf(string, int) -> int", last_index_of),
    ("string.lowerAscii() -> string", lower),
    ("string.upperAscii() -> string", upper),
    ("string.replace(string, string) -> string\nstring.replace(string, string, int) -> string", replace),
    ("string.split(string) -> list<string>\nstring.split(string, int) -> list<string>", split),
    ("string.substring(int) -> string\nstring.substring(int, int) -> string", substring),
    ("string.trim() -> string", trim),
    ("list<string>.join() -> string\nlist<string>.join(string) -> string", join),
    ("strings.quote(string) -> string", quote),
];

fn contains(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Text(text), Text(part)] = args else { return no("contains") };
    cx.pay_text(text.len())?;
    Ok(Bool(text.contains(&**part)))
}

fn starts_with(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Text(text), Text(part)] = args else { return no("startsWith") };
    cx.pay_text(part.len())?;
    Ok(Bool(text.starts_with(&**part)))
}

fn ends_with(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Text(text), Text(part)] = args else { return no("endsWith") };
    cx.pay_text(part.len())?;
    Ok(Bool(text.ends_with(&**part)))
}

fn matches(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Text(text), Text(pattern)] = args else { return no("matches") };
    // cel-go's own charge: the text's tenths times the pattern's quarters.
    let (text_units, pattern_units) = (text.len() as u64 / 10 + 1, pattern.len() as u64 / 4 + 1);
    cx.pay(text_units.saturating_mul(pattern_units))?;
    Ok(Bool(cx.regex(pattern)?.is_match(text)))
}

fn out_of_range(at: i64) -> EvalError {
    EvalError::fails(format!("index out of range: {at}"))
}

/// Where the character of this number begins, in bytes; the text's end is a place too.
fn byte_of(text: &str, at: i64) -> Result<usize, EvalError> {
    let wanted = usize::try_from(at).map_err(|_| out_of_range(at))?;
    let mut places = text.char_indices().map(|(byte, _)| byte).chain([text.len()]);
    places.nth(wanted).ok_or_else(|| out_of_range(at))
}

fn char_at(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Text(text), Int(at)] = args else { return no("charAt") };
    cx.pay_text(text.len())?;
    let byte = byte_of(text, *at)?;
    Ok(Value::from(text.get(byte..).unwrap_or("").chars().take(1).collect::<String>()))
}

fn chars_before(text: &str, byte: usize) -> Value {
    Value::count(text.get(..byte).unwrap_or("").chars().count())
}

fn index_of(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let (text, part, from) = match args {
        [Text(text), Text(part)] => (text, part, 0),
        [Text(text), Text(part), Int(from)] => (text, part, byte_of(text, *from)?),
        _ => return no("indexOf"),
    };
    cx.pay_text(text.len())?;
    let found = text.get(from..).and_then(|tail| tail.find(&**part));
    Ok(found.map_or(Int(-1), |at| chars_before(text, from + at)))
}

fn last_index_of(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let (text, part, to) = match args {
        [Text(text), Text(part)] => (text, part, text.len()),
        // What begins at the given place still counts.
        [Text(text), Text(part), Int(to)] => (text, part, byte_of(text, *to)?.saturating_add(part.len())),
        _ => return no("lastIndexOf"),
    };
    cx.pay_text(text.len())?;
    let mut end = to.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let found = text.get(..end).and_then(|head| head.rfind(&**part));
    Ok(found.map_or(Int(-1), |at| chars_before(text, at)))
}

fn lower(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Text(text)] = args else { return no("lowerAscii") };
    cx.pay_text(text.len())?;
    Ok(Value::from(text.to_ascii_lowercase()))
}

fn upper(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Text(text)] = args else { return no("upperAscii") };
    cx.pay_text(text.len())?;
    Ok(Value::from(text.to_ascii_uppercase()))
}

fn replace(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let (text, old, new, most) = match args {
        [Text(text), Text(old), Text(new)] => (text, old, new, usize::MAX),
        // A negative number is all of them.
        [Text(text), Text(old), Text(new), Int(most)] => (text, old, new, usize::try_from(*most).unwrap_or(usize::MAX)),
        _ => return no("replace"),
    };
    let times = text.matches(&**old).count().min(most);
    cx.pay_text(text.len().saturating_add(times.saturating_mul(new.len())))?;
    Ok(Value::from(text.replacen(&**old, new, most)))
}

fn split(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let (text, by, most) = match args {
        [Text(text), Text(by)] => (text, by, -1),
        [Text(text), Text(by), Int(most)] => (text, by, *most),
        _ => return no("split"),
    };
    cx.pay_text(text.len().saturating_mul(4))?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if most == 0 {
        return Ok(Vec::new().into());
    }
    if by.is_empty() {
        let mut parts: Vec<Value> = Vec::new();
        let mut rest: &str = text;
        while let Some(c) = rest.chars().next() {
            if parts.len() + 1 == most {
                break;
            }
            parts.push(Value::from(c.to_string()));
            rest = rest.get(c.len_utf8()..).unwrap_or("");
        }
        if !rest.is_empty() {
            parts.push(Value::from(rest));
        }
        return Ok(parts.into());
    }
    Ok(text.splitn(most, &**by).map(Value::from).collect::<Vec<_>>().into())
}

fn substring(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let (text, from, to) = match args {
        [Text(text), Int(from)] => (text, *from, None),
        [Text(text), Int(from), Int(to)] => (text, *from, Some(*to)),
        _ => return no("substring"),
    };
    cx.pay_text(text.len())?;
    let end = to.map_or(Ok(text.len()), |to| byte_of(text, to))?;
    let start = byte_of(text, from)?;
    if start > end {
        let to = to.unwrap_or_default();
        return Err(EvalError::fails(format!("invalid substring range. start: {from}, end: {to}")));
    }
    Ok(Value::from(text.get(start..end).unwrap_or("")))
}

fn trim(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Text(text)] = args else { return no("trim") };
    cx.pay_text(text.len())?;
    Ok(Value::from(text.trim()))
}

fn join(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let (list, between) = match args {
        [List(list)] => (list, ""),
        [List(list), Text(between)] => (list, &**between),
        _ => return no("join"),
    };
    let mut parts: Vec<&str> = Vec::with_capacity(list.items.len());
    for item in list.items.iter() {
        let Text(text) = item else { return no("join") };
        parts.push(text);
    }
    let total: usize = parts.iter().map(|part| part.len() + between.len()).sum();
    cx.pay_text(total)?;
    Ok(Value::from(parts.join(between)))
}

fn quote(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Text(text)] = args else { return no("strings.quote") };
    cx.pay_text(text.len() * 2)?;
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(Value::from(out))
}
