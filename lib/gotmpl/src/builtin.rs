//! The functions that Go's templates have by themselves. Knows no template.

use crate::format::sprintf;
use crate::value::Value;

pub(crate) const NAMES: [&str; 17] = [
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "urlquery", "eq", "ne", "lt",
    "le", "gt", "ge",
];

/// `and` and `or` are not here: not all of their arguments are evaluated.
pub(crate) fn call(name: &str, args: &[Value]) -> Result<Value, String> {
    let missing = || format!("wrong number of args for {name}: got {}", args.len());
    let first = args.first().ok_or_else(missing);
    Ok(match name {
        "not" => Value::Bool(!first?.is_true()),
        "len" => Value::Int(length(first?)?),
        "index" => index(first?, &args[1..])?,
        "slice" => slice(first?, &args[1..])?,
        "print" => Value::Text(print(args)),
        "println" => Value::Text(args.iter().map(shown).collect::<Vec<_>>().join(" ") + "\n"),
        "printf" => match first? {
            Value::Text(pattern) => Value::Text(sprintf(pattern, &args[1..])?),
            other => return Err(format!("wrong type for value; expected string; got {}", other.type_name())),
        },
        "html" => Value::Text(html(&print(args))),
        "urlquery" => Value::Text(url_query(&print(args))),
        "eq" => {
            let (first, others) = (first?, &args[1..]);
            if others.is_empty() {
                return Err("missing argument for comparison".to_owned());
            }
            let mut found = false;
            for other in others {
                found |= equal(first, other)?;
            }
            Value::Bool(found)
        }
        _ => {
            let [left, right] = args else { return Err(missing()) };
            Value::Bool(match name {
                "ne" => !equal(left, right)?,
                "lt" => less(left, right)?,
                "le" => less(left, right)? || equal(left, right)?,
                "gt" => !less(left, right)? && !equal(left, right)?,
                _ => !less(left, right)?,
            })
        }
    })
}

/// As Go's `fmt` prints an operand: nothing is `<nil>` there.
pub(crate) fn shown(value: &Value) -> String {
    if *value == Value::Nil { "<nil>".to_owned() } else { value.show() }
}

/// A blank stands between two of which neither is a text.
fn print(args: &[Value]) -> String {
    let mut out = String::new();
    let is_text = |value: &Value| matches!(value, Value::Text(_));
    for (i, arg) in args.iter().enumerate() {
        if i > 0 && !is_text(arg) && !is_text(&args[i - 1]) {
            out.push(' ');
        }
        out.push_str(&shown(arg));
    }
    out
}

fn length(value: &Value) -> Result<i64, String> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Texts(map) => map.len(),
        Value::Map(map) => map.len(),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    i64::try_from(length).map_err(|_| "it is too long".to_owned())
}

fn index(value: &Value, keys: &[Value]) -> Result<Value, String> {
    let mut value = value.clone();
    for key in keys {
        value = match (&value, key) {
            (Value::Texts(_) | Value::Map(_), Value::Text(key)) => value.field(key)?,
            (Value::List(items), Value::Int(at)) => {
                let found = usize::try_from(*at).ok().and_then(|at| items.get(at));
                found.cloned().ok_or_else(|| format!("index out of range: {at}"))?
            }
            (Value::Text(text), Value::Int(at)) => {
                let found = usize::try_from(*at).ok().and_then(|at| text.as_bytes().get(at));
                found.map(|byte| Value::Int(i64::from(*byte))).ok_or_else(|| format!("index out of range: {at}"))?
            }
            (of, by) => return Err(format!("can't index item of type {} by {}", of.type_name(), by.type_name())),
        };
    }
    Ok(value)
}

fn slice(value: &Value, bounds: &[Value]) -> Result<Value, String> {
    let bound = |at: usize, default: usize| match bounds.get(at) {
        None => Ok(default),
        Some(Value::Int(bound)) => usize::try_from(*bound).map_err(|_| format!("index out of range: {bound}")),
        Some(other) => Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    let out_of_range = || "index out of range".to_owned();
    match value {
        Value::Text(text) => {
            let found = text.get(bound(0, 0)?..bound(1, text.len())?);
            found.map(|part| Value::Text(part.to_owned())).ok_or_else(out_of_range)
        }
        Value::List(items) => {
            let found = items.get(bound(0, 0)?..bound(1, items.len())?);
            found.map(|part| Value::List(part.to_vec())).ok_or_else(out_of_range)
        }
        other => Err(format!("can't slice item of type {}", other.type_name())),
    }
}

fn incompatible(left: &Value, right: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", left.type_name(), right.type_name())
}

fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        _ => Err(incompatible(left, right)),
    }
}

fn less(left: &Value, right: &Value) -> Result<bool, String> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Ok(a < b),
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (Value::Text(a), Value::Text(b)) => Ok(a < b),
        (Value::Bool(_), Value::Bool(_)) => Err("invalid type for comparison".to_owned()),
        _ => Err(incompatible(left, right)),
    }
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// As a part of a URL's query: a blank becomes `+`.
pub fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
