//! `'%s is %d'.format([…])`: the verbs s, d, f, e, b, o, x, X and %, to the letter as cel-go 0.26 writes them, which is what API servers run. Knows
//! no other function.

use super::convert::double_text;
use super::no;
use crate::calendar::{duration_text, timestamp_text};
use crate::env::{Cx, Run};
use crate::error::EvalError;
use crate::value::Key;
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
        let verb = chars.next().ok_or_else(|| EvalError::fails("unexpected end of string"))?;
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

/// How many digits behind the point when nothing is said.
const PRECISION: usize = 6;

fn said(verb: char, precision: Option<usize>, value: &Value) -> Result<String, EvalError> {
    let precision = precision.unwrap_or(PRECISION);
    Ok(match (verb, value) {
        ('s', value) => shown(value)?,
        ('d', Int(value)) => value.to_string(),
        ('d', Uint(value)) => value.to_string(),
        ('f', value) if let Some(value) = number(value) => fixed(value, precision),
        ('e', value) if let Some(value) = number(value) => scientific(value, precision),
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
        _ => return Err(wrong(verb, value)),
    })
}

fn wrong(verb: char, value: &Value) -> EvalError {
    let rule = match verb {
        's' => {
            "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"
        }
        'd' => "decimal clause can only be used on integers",
        'f' => "fixed-point clause can only be used on doubles",
        'e' => "scientific clause can only be used on doubles",
        'b' => "only integers and bools can be formatted as binary",
        'o' => "octal clause can only be used on integers",
        'x' | 'X' => "only integers, byte buffers, and strings can be formatted as hex",
        _ => {
            let why = format!("could not parse formatting clause: unrecognized formatting clause \"{verb}\"");
            return EvalError::fails(why);
        }
    };
    EvalError::fails(format!("error during formatting: {rule}, was given {}", value.type_name()))
}

/// What is no number stands in a text by its name.
fn number(value: &Value) -> Option<f64> {
    match value {
        Double(value) => Some(*value),
        Text(text) => match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn not_finite(value: f64) -> Option<&'static str> {
    match value {
        _ if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("∞"),
        f64::NEG_INFINITY => Some("-∞"),
        _ => None,
    }
}

/// With a comma between thousands: cel-go writes numbers as in American English.
fn fixed(value: f64, precision: usize) -> String {
    if let Some(name) = not_finite(value) {
        return name.to_owned();
    }
    let text = format!("{value:.precision$}");
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, rest) = digits.find('.').map_or((digits, ""), |at| digits.split_at(at));
    let mut out = String::from(sign);
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

/// `1.500000 × 10⁰¹`: always six digits; what is given as precision is the width, since golang.org/x/text takes it so.
fn scientific(value: f64, width: usize) -> String {
    let text = not_finite(value).map_or_else(
        || {
            let text = format!("{value:.PRECISION$e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, digits) = exponent.strip_prefix('-').map_or(("", exponent), |digits| ("⁻", digits));
            let raised = |digit: char| digit.to_digit(10).and_then(|at| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(at as usize));
            let digits: String = format!("{digits:0>2}").chars().filter_map(raised).collect();
            format!("{mantissa} × 10{sign}{digits}")
        },
        str::to_owned,
    );
    format!("{text:>width$}")
}

fn signed(value: i64, digits: impl Fn(u64) -> String) -> String {
    format!("{}{}", if value < 0 { "-" } else { "" }, digits(value.unsigned_abs()))
}

/// As `%s` says it.
fn shown(value: &Value) -> Result<String, EvalError> {
    Ok(match value {
        Value::Null => "null".to_owned(),
        Bool(value) => value.to_string(),
        Int(value) => value.to_string(),
        Uint(value) => value.to_string(),
        Double(value) => double_text(*value),
        Text(text) => text.to_string(),
        Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Duration(ns) => duration_text(*ns),
        Value::Timestamp(ns) => timestamp_text(*ns),
        List(list) => {
            let parts: Result<Vec<String>, EvalError> = list.items.iter().map(literal).collect();
            format!("[{}]", parts?.join(", "))
        }
        Value::Map(map) => {
            let pair = |(key, value): (&Key, &Value)| Ok((literal(&key.value())?, literal(value)?));
            let mut pairs = map.iter().map(pair).collect::<Result<Vec<(String, String)>, EvalError>>()?;
            pairs.sort();
            let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Type(name) => name.to_string(),
        Value::Optional(_) | Value::Opaque(_) => return Err(wrong('s', value)),
    })
}

/// Within a list or a map a value is as one would write it.
fn literal(value: &Value) -> Result<String, EvalError> {
    Ok(match value {
        Text(text) => format!("{text:?}"),
        Bytes(bytes) => format!("b{:?}", String::from_utf8_lossy(bytes)),
        Double(value) if value.is_finite() => format!("{value:.PRECISION$}"),
        Double(value) => format!("{:?}", double_text(*value)),
        Value::Duration(ns) => format!("duration({:?})", duration_text(*ns)),
        Value::Timestamp(ns) => format!("timestamp({:?})", timestamp_text(*ns)),
        other => shown(other)?,
    })
}
