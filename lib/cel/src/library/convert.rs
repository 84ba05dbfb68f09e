//! From one type to another: `int`, `uint`, `double`, `string`, `bytes`, `bool`, `duration`, `timestamp`. Knows no operator.

use super::no;
use crate::calendar::{SECOND_NS, duration, duration_text, timestamp, timestamp_text};
use crate::env::{Cx, Run};
use crate::error::EvalError;
use crate::value::Value::{self, Bool, Bytes, Double, Duration, Int, Text, Timestamp, Uint};

type Out = Result<Value, EvalError>;

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    (
        "int(int) -> int\nint(uint) -> int\nint(double) -> int\nint(string) -> int\nint(timestamp) -> int\nint(duration) -> int",
        int,
    ),
    ("uint(uint) -> uint\nuint(int) -> uint\nuint(double) -> uint\nuint(string) -> uint", uint),
    ("double(double) -> double\ndouble(int) -> double\ndouble(uint) -> double\ndouble(string) -> double", double),
    (
        "string(string) -> string\nstring(bool) -> string\nstring(int) -> string\nstring(uint) -> string\nstring(double) -> string\nstring(bytes) -> string\nstring(timestamp) -> string\nstring(duration) -> string",
        string,
    ),
    ("bytes(bytes) -> bytes\nbytes(string) -> bytes", bytes),
    ("bool(bool) -> bool\nbool(string) -> bool", boolean),
    ("duration(duration) -> duration\nduration(string) -> duration\nduration(int) -> duration", to_duration),
    ("timestamp(timestamp) -> timestamp\ntimestamp(string) -> timestamp\ntimestamp(int) -> timestamp", to_timestamp),
];

fn range() -> EvalError {
    EvalError::fails("integer overflow")
}

fn wrong(to: &str) -> EvalError {
    EvalError::fails(format!("type conversion error from 'string' to '{to}'"))
}

#[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
fn int(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Int(value)] => Ok(Int(*value)),
        [Uint(value)] => i64::try_from(*value).map(Int).map_err(|_| range()),
        [Double(value)] if value.abs() < 9_223_372_036_854_774_784.0 => Ok(Int(*value as i64)),
        [Double(_)] => Err(range()),
        [Text(text)] => text.parse().map(Int).map_err(|_| wrong("int")),
        [Timestamp(ns)] => Ok(Int(i64::try_from(ns.div_euclid(i128::from(SECOND_NS))).unwrap_or(0))),
        [Duration(ns)] => Ok(Int(*ns)),
        _ => no("int"),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
fn uint(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Uint(value)] => Ok(Uint(*value)),
        [Int(value)] => u64::try_from(*value).map(Uint).map_err(|_| EvalError::fails("unsigned integer overflow")),
        [Double(value)] if *value >= 0.0 && *value < 18_446_744_073_709_549_568.0 => Ok(Uint(*value as u64)),
        [Double(_)] => Err(EvalError::fails("unsigned integer overflow")),
        [Text(text)] => text.parse().map(Uint).map_err(|_| wrong("uint")),
        _ => no("uint"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "as the language has it")]
fn double(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Double(value)] => Ok(Double(*value)),
        [Int(value)] => Ok(Double(*value as f64)),
        [Uint(value)] => Ok(Double(*value as f64)),
        [Text(text)] => text.parse().map(Double).map_err(|_| wrong("double")),
        _ => no("double"),
    }
}

/// As Go's shortest form: an exponent below 1e-4 and from 1e21 on.
pub(crate) fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value != 0.0 && !(1e-4..1e21).contains(&value.abs()) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    value.to_string()
}

fn string(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Text(text)] => Ok(Text(text.clone())),
        [Bool(value)] => Ok(Value::from(value.to_string())),
        [Int(value)] => Ok(Value::from(value.to_string())),
        [Uint(value)] => Ok(Value::from(value.to_string())),
        [Double(value)] => Ok(Value::from(double_text(*value))),
        [Bytes(bytes)] => {
            cx.pay_text(bytes.len())?;
            let text = std::str::from_utf8(bytes)
                .map_err(|_| EvalError::fails("invalid UTF-8 in bytes, cannot convert to string"))?;
            Ok(Value::from(text))
        }
        [Timestamp(ns)] => Ok(Value::from(timestamp_text(*ns))),
        [Duration(ns)] => Ok(Value::from(duration_text(*ns))),
        _ => no("string"),
    }
}

fn bytes(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Bytes(bytes)] => Ok(Bytes(bytes.clone())),
        [Text(text)] => {
            cx.pay_text(text.len())?;
            Ok(Bytes(text.as_bytes().into()))
        }
        _ => no("bytes"),
    }
}

fn boolean(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Bool(value)] => Ok(Bool(*value)),
        [Text(text)] => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Bool(false)),
            _ => Err(wrong("bool")),
        },
        _ => no("bool"),
    }
}

fn to_duration(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Duration(ns)] | [Int(ns)] => Ok(Duration(*ns)),
        [Text(text)] => duration(text).map(Duration).ok_or_else(|| wrong("google.protobuf.Duration")),
        _ => no("duration"),
    }
}

fn to_timestamp(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Timestamp(ns)] => Ok(Timestamp(*ns)),
        [Text(text)] => timestamp(text).map(Timestamp).ok_or_else(|| wrong("google.protobuf.Timestamp")),
        [Int(seconds)] => Ok(Timestamp(i128::from(*seconds) * i128::from(SECOND_NS))),
        _ => no("timestamp"),
    }
}
