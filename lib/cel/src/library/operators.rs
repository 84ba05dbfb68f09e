//! Operators: arithmetic that fails rather than overflows, order, equality, `in`, `size`, `type`. Knows no text but how it is joined.

use std::cmp::Ordering;
use std::sync::Arc;

use super::no;
use crate::env::{Cx, Run};
use crate::error::EvalError;
use crate::value::Value::{self, Bool, Bytes, Double, Duration, Int, List, Map, Text, Timestamp, Uint};

type Out = Result<Value, EvalError>;

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    ("!_(bool) -> bool", not),
    ("-_(int) -> int\n-_(double) -> double", negate),
    (
        "_+_(int, int) -> int\n_+_(uint, uint) -> uint\n_+_(double, double) -> double\n_+_(string, string) -> string\n_+_(bytes, bytes) -> bytes\n_+_(list<A>, list<A>) -> list<A>\n_+_(duration, duration) -> duration\n_+_(timestamp, duration) -> timestamp\n_+_(duration, timestamp) -> timestamp",
        add,
    ),
    (
        "_-_(int, int) -> int\n_-_(uint, uint) -> uint\n_-_(double, double) -> double\n_-_(duration, duration) -> duration\n_-_(timestamp, duration) -> timestamp\n_-_(timestamp, timestamp) -> duration",
        subtract,
    ),
    ("_*_(int, int) -> int\n_*_(uint, uint) -> uint\n_*_(double, double) -> double", multiply),
    ("_/_(int, int) -> int\n_/_(uint, uint) -> uint\n_/_(double, double) -> double", divide),
    ("_%_(int, int) -> int\n_%_(uint, uint) -> uint", modulo),
    ("_==_(A, A) -> bool", equal),
    ("_!=_(A, A) -> bool", different),
    (
        "_<_(bool, bool) -> bool\n_<_(int, int) -> bool\n_<_(int, uint) -> bool\n_<_(int, double) -> bool\n_<_(uint, uint) -> bool\n_<_(uint, int) -> bool\n_<_(uint, double) -> bool\n_<_(double, double) -> bool\n_<_(double, int) -> bool\n_<_(double, uint) -> bool\n_<_(string, string) -> bool\n_<_(bytes, bytes) -> bool\n_<_(timestamp, timestamp) -> bool\n_<_(duration, duration) -> bool",
        less,
    ),
    (
        "_<=_(bool, bool) -> bool\n_<=_(int, int) -> bool\n_<=_(int, uint) -> bool\n_<=_(int, double) -> bool\n_<=_(uint, uint) -> bool\n_<=_(uint, int) -> bool\n_<=_(uint, double) -> bool\n_<=_(double, double) -> bool\n_<=_(double, int) -> bool\n_<=_(double, uint) -> bool\n_<=_(string, string) -> bool\n_<=_(bytes, bytes) -> bool\n_<=_(timestamp, timestamp) -> bool\n_<=_(duration, duration) -> bool",
        less_or_equal,
    ),
    (
        "_>_(bool, bool) -> bool\n_>_(int, int) -> bool\n_>_(int, uint) -> bool\n_>_(int, double) -> bool\n_>_(uint, uint) -> bool\n_>_(uint, int) -> bool\n_>_(uint, double) -> bool\n_>_(double, double) -> bool\n_>_(double, int) -> bool\n_>_(double, uint) -> bool\n_>_(string, string) -> bool\n_>_(bytes, bytes) -> bool\n_>_(timestamp, timestamp) -> bool\n_>_(duration, duration) -> bool",
        greater,
    ),
    (
        "_>=_(bool, bool) -> bool\n_>=_(int, int) -> bool\n_>=_(int, uint) -> bool\n_>=_(int, double) -> bool\n_>=_(uint, uint) -> bool\n_>=_(uint, int) -> bool\n_>=_(uint, double) -> bool\n_>=_(double, double) -> bool\n_>=_(double, int) -> bool\n_>=_(double, uint) -> bool\n_>=_(string, string) -> bool\n_>=_(bytes, bytes) -> bool\n_>=_(timestamp, timestamp) -> bool\n_>=_(duration, duration) -> bool",
        greater_or_equal,
    ),
    ("@in(A, list<A>) -> bool\n@in(A, map<A, B>) -> bool", within),
    (
        "size(string) -> int\nsize(bytes) -> int\nsize(list<A>) -> int\nsize(map<A, B>) -> int\nstring.size() -> int\nbytes.size() -> int\nlist<A>.size() -> int\nmap<A, B>.size() -> int",
        size,
    ),
    ("type(A) -> type", type_of),
    ("dyn(A) -> dyn", as_it_is),
];

fn overflow() -> EvalError {
    EvalError::fails("integer overflow")
}

fn not(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Bool(value)] => Ok(Bool(!value)),
        _ => no("!_"),
    }
}

fn negate(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Int(value)] => value.checked_neg().map(Int).ok_or_else(overflow),
        [Double(value)] => Ok(Double(-value)),
        _ => no("-_"),
    }
}

/// Between the years 1 and 9999.
fn time(ns: i128) -> Out {
    let (first, last) = (-62_135_596_800_i128 * 1_000_000_000, 253_402_300_800_i128 * 1_000_000_000);
    if (first..last).contains(&ns) { Ok(Timestamp(ns)) } else { Err(EvalError::fails("timestamp overflow")) }
}

fn span(ns: Option<i64>) -> Out {
    ns.map(Duration).ok_or_else(|| EvalError::fails("duration overflow"))
}

fn add(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Int(a), Int(b)] => a.checked_add(*b).map(Int).ok_or_else(overflow),
        [Uint(a), Uint(b)] => a.checked_add(*b).map(Uint).ok_or_else(overflow),
        [Double(a), Double(b)] => Ok(Double(a + b)),
        [Text(a), Text(b)] => {
            cx.pay_text(a.len() + b.len())?;
            Ok(Value::from(format!("{a}{b}")))
        }
        [Bytes(a), Bytes(b)] => {
            cx.pay_text(a.len() + b.len())?;
            Ok(Bytes(a.iter().chain(b.iter()).copied().collect()))
        }
        [List(a), List(b)] => {
            let (a_len, b_len) = (a.items.len() as u64, b.items.len() as u64);
            // Sets and maps look for each item among the others.
            let ordered = matches!(a.keep, crate::value::Keep::Order);
            cx.pay(if ordered { a_len + b_len } else { a_len * b_len / 10 + a_len + b_len })?;
            Ok(List(a.joined(b)))
        }
        [Duration(a), Duration(b)] => span(a.checked_add(*b)),
        [Timestamp(a), Duration(b)] | [Duration(b), Timestamp(a)] => time(a + i128::from(*b)),
        _ => no("_+_"),
    }
}

fn subtract(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Int(a), Int(b)] => a.checked_sub(*b).map(Int).ok_or_else(overflow),
        [Uint(a), Uint(b)] => a.checked_sub(*b).map(Uint).ok_or_else(overflow),
        [Double(a), Double(b)] => Ok(Double(a - b)),
        [Duration(a), Duration(b)] => span(a.checked_sub(*b)),
        [Timestamp(a), Duration(b)] => time(a - i128::from(*b)),
        [Timestamp(a), Timestamp(b)] => span(i64::try_from(a - b).ok()),
        _ => no("_-_"),
    }
}

fn multiply(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Int(a), Int(b)] => a.checked_mul(*b).map(Int).ok_or_else(overflow),
        [Uint(a), Uint(b)] => a.checked_mul(*b).map(Uint).ok_or_else(overflow),
        [Double(a), Double(b)] => Ok(Double(a * b)),
        _ => no("_*_"),
    }
}

fn divide(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Int(_), Int(0)] | [Uint(_), Uint(0)] => Err(EvalError::fails("division by zero")),
        [Int(a), Int(b)] => a.checked_div(*b).map(Int).ok_or_else(overflow),
        [Uint(a), Uint(b)] => Ok(Uint(a / b)),
        [Double(a), Double(b)] => Ok(Double(a / b)),
        _ => no("_/_"),
    }
}

fn modulo(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Int(_), Int(0)] | [Uint(_), Uint(0)] => Err(EvalError::fails("modulus by zero")),
        [Int(a), Int(b)] => a.checked_rem(*b).map(Int).ok_or_else(overflow),
        [Uint(a), Uint(b)] => Ok(Uint(a % b)),
        _ => no("_%_"),
    }
}

fn same(cx: &mut Cx<'_>, args: &[Value]) -> Result<bool, EvalError> {
    let [a, b] = args else { return Err(EvalError::NoOverload("_==_".to_owned())) };
    let (a_weight, b_weight) = (a.weight(), b.weight());
    let unordered = matches!(a, List(list) if !matches!(list.keep, crate::value::Keep::Order));
    cx.pay(if unordered { a_weight.saturating_mul(b_weight) / 10 + 1 } else { a_weight.min(b_weight) })?;
    Ok(a.same(b))
}

fn equal(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    same(cx, args).map(Bool)
}

fn different(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    same(cx, args).map(|same| Bool(!same))
}

fn compared(args: &[Value], name: &str, fits: impl Fn(Ordering) -> bool) -> Out {
    let [a, b] = args else { return no(name) };
    let nan = |value: &Value| matches!(value, Double(number) if number.is_nan());
    match a.order(b) {
        Some(order) => Ok(Bool(fits(order))),
        None if nan(a) || nan(b) => Err(EvalError::fails("NaN values cannot be ordered")),
        None => no(name),
    }
}

fn less(_: &mut Cx<'_>, args: &[Value]) -> Out {
    compared(args, "_<_", Ordering::is_lt)
}

fn less_or_equal(_: &mut Cx<'_>, args: &[Value]) -> Out {
    compared(args, "_<=_", Ordering::is_le)
}

fn greater(_: &mut Cx<'_>, args: &[Value]) -> Out {
    compared(args, "_>_", Ordering::is_gt)
}

fn greater_or_equal(_: &mut Cx<'_>, args: &[Value]) -> Out {
    compared(args, "_>=_", Ordering::is_ge)
}

fn within(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [item, List(list)] => {
            cx.pay(list.items.len() as u64)?;
            Ok(Bool(list.items.iter().any(|other| other.same(item))))
        }
        [key, Map(map)] => Ok(Bool(key.key().is_some_and(|key| map.contains_key(&key)))),
        _ => no("@in"),
    }
}

fn size(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Text(text)] => {
            cx.pay_text(text.len())?;
            Ok(Value::count(text.chars().count()))
        }
        [Bytes(bytes)] => Ok(Value::count(bytes.len())),
        [List(list)] => Ok(Value::count(list.items.len())),
        [Map(map)] => Ok(Value::count(map.len())),
        _ => no("size"),
    }
}

fn type_of(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [value] => Ok(Value::Type(Arc::from(value.type_name()))),
        _ => no("type"),
    }
}

fn as_it_is(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [value] => Ok(value.clone()),
        _ => no("dyn"),
    }
}
