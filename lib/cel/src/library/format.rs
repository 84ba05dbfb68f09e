//! `'%s is %d'.format([…])`: the verbs s, d, f, e, b, o, x, X and %, as the strings library has them. Knows no other function.

use super::convert::double_text;
use super::no;
use crate::calendar::{duration_text, timestamp_text};
use crate::env::{Cx, Run};
use crate::error::EvalError;
use crate::value::Value::{self, Bool, Bytes, Double, Int, List, Text, Uint};

type Out = Result<Value, EvalError>;

pub(super) const FUNCTIONS: &[(&str, Run)] = &[("string.format(list<dyn>) -> string", format)];

fn format(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Text(text), List(list)] = args else { return no("format") };
    cx.pay_text(text.len())?;
    let mut out = String::with_capacity(text.len());
    let mut items = list.items.iter();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut precision = None;
        if chars.next_if_eq(&'.').is_some() {
            let mut number = 0_usize;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                number = (number * 10 + digit as usize).min(1000);
                chars.next();
            }
            precision = Some(number);
        }
        let verb = chars.next().ok_or_else(|| EvalError::fails("unexpected end of format string"))?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = items.next().ok_or_else(|| EvalError::fails(format!("index {} out of range", list.items.len())))?;
        let said = said(verb, precision, value)?;
        cx.pay_text(said.len())?;
        out.push_str(&said);
    }
    Ok(Value::from(out))
}

fn said(verb: char, precision: Option<usize>, value: &Value) -> Result<String, EvalError> {
    let wrong = || {
        EvalError::fails(format!(
            "error during formatting: %{verb} does not take a value of type {}",
            value.type_name()
        ))
    };
    Ok(match (verb, value) {
        ('s', value) => shown(value),
        ('d', Int(value)) => value.to_string(),
        ('d', Uint(value)) => value.to_string(),
        ('d' | 'f' | 'e', Double(value)) if !value.is_finite() => if value.is_nan() {
            "NaN"
        } else if *value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned(),
        ('f', Double(value)) => format!("{value:.*}", precision.unwrap_or(6)),
        ('e', Double(value)) => {
            let text = format!("{value:.*e}", precision.unwrap_or(6));
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        ('b', Bool(value)) => u8::from(*value).to_string(),
        ('b', Int(value)) => signed(*value, |n| format!("{n:b}")),
        ('b', Uint(value)) => format!("{value:b}"),
        ('o', Int(value)) => signed(*value, |n| format!("{n:o}")),
        ('o', Uint(value)) => format!("{value:o}"),
        ('x', Int(value)) => signed(*value, |n| format!("{n:x}")),
        ('X', Int(value)) => signed(*value, |n| format!("{n:X}")),
        ('x', Uint(value)) => format!("{value:x}"),
        ('X', Uint(value)) => format!("{value:X}"),
        ('x', Text(text)) => text.bytes().map(|b| format!("{b:02x}")).collect(),
        ('X', Text(text)) => text.bytes().map(|b| format!("{b:02X}")).collect(),
        ('x', Bytes(bytes)) => bytes.iter().map(|b| format!("{b:02x}")).collect(),
        ('X', Bytes(bytes)) => bytes.iter().map(|b| format!("{b:02X}")).collect(),
        ('d' | 'f' | 'e' | 'b' | 'o' | 'x' | 'X', _) => return Err(wrong()),
        _ => {
            return Err(EvalError::fails(format!(
                "could not parse formatting clause: unrecognized formatting clause \"{verb}\""
            )));
        }
    })
}

fn signed(value: i64, digits: impl Fn(u64) -> String) -> String {
    format!("{}{}", if value < 0 { "-" } else { "" }, digits(value.unsigned_abs()))
}

/// As `%s` says it; lists and maps with their parts.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Bool(value) => value.to_string(),
        Int(value) => value.to_string(),
        Uint(value) => value.to_string(),
        Double(value) if value.is_infinite() => if *value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        Double(value) => double_text(*value),
        Text(text) => text.to_string(),
        Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Duration(ns) => duration_text(*ns),
        Value::Timestamp(ns) => timestamp_text(*ns),
        List(list) => format!("[{}]", list.items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let pairs: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", shown(&key.value()), shown(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Optional(Some(inner)) => format!("optional({})", shown(inner)),
        Value::Optional(None) => "optional.none".to_owned(),
        Value::Type(name) => name.to_string(),
        Value::Opaque(value) => value.type_name().to_owned(),
    }
}
