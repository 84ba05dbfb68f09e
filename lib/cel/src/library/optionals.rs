//! Values that may be missing: `optional.of`, `orValue`, `hasValue`. Selection by `.?` and `[?…]` is the language's.
//! Knows no map.

use super::no;
use crate::env::{Cx, Run};
use crate::error::EvalError;
use crate::value::Value::{self, Bool, List, Optional};

type Out = Result<Value, EvalError>;

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    ("optional.of(A) -> optional<A>", of),
    ("optional.ofNonZeroValue(A) -> optional<A>", of_non_zero),
    ("optional.none() -> optional<A>", none),
    ("optional<A>.hasValue() -> bool", has_value),
    ("optional<A>.value() -> A", value),
    ("optional<A>.or(optional<A>) -> optional<A>", or),
    ("optional<A>.orValue(A) -> A", or_value),
    ("list<A>.first() -> optional<A>", first),
    ("list<A>.last() -> optional<A>", last),
    ("optional.unwrap(list<optional<A>>) -> list<A>\nlist<optional<A>>.unwrapOpt() -> list<A>", unwrap),
];

fn of(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [value] => Ok(Value::some(value.clone())),
        _ => no("optional.of"),
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Int(value) => *value == 0,
        Value::Uint(value) => *value == 0,
        Value::Double(value) => *value == 0.0,
        Value::Text(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Duration(ns) => *ns == 0,
        Value::Timestamp(ns) => *ns == -62_135_596_800_000_000_000,
        Value::List(list) => list.items.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Optional(inner) => inner.is_none(),
        Value::Type(_) | Value::Opaque(_) => false,
    }
}

fn of_non_zero(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [value] if is_zero(value) => Ok(Optional(None)),
        [value] => Ok(Value::some(value.clone())),
        _ => no("optional.ofNonZeroValue"),
    }
}

fn none(_: &mut Cx<'_>, _: &[Value]) -> Out {
    Ok(Optional(None))
}

fn has_value(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Optional(inner)] => Ok(Bool(inner.is_some())),
        _ => no("hasValue"),
    }
}

fn value(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Optional(Some(inner))] => Ok((**inner).clone()),
        [Optional(None)] => Err(EvalError::fails("optional.none() dereference")),
        _ => no("value"),
    }
}

fn or(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Optional(None), other @ Optional(_)] => Ok(other.clone()),
        [some @ Optional(Some(_)), Optional(_)] => Ok(some.clone()),
        _ => no("or"),
    }
}

fn or_value(_: &mut Cx<'_>, args: &[Value]) -> Out {
    match args {
        [Optional(None), other] => Ok(other.clone()),
        [Optional(Some(inner)), _] => Ok((**inner).clone()),
        _ => no("orValue"),
    }
}

fn first(_: &mut Cx<'_>, args: &[Value]) -> Out {
    let [List(list)] = args else { return no("first") };
    Ok(list.items.first().cloned().map_or(Optional(None), Value::some))
}

fn last(_: &mut Cx<'_>, args: &[Value]) -> Out {
    let [List(list)] = args else { return no("last") };
    Ok(list.items.last().cloned().map_or(Optional(None), Value::some))
}

/// The values that are there.
fn unwrap(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [List(list)] = args else { return no("optional.unwrap") };
    cx.pay(list.items.len() as u64)?;
    let mut out = Vec::new();
    for item in list.items.iter() {
        match item {
            Optional(Some(inner)) => out.push((**inner).clone()),
            Optional(None) => {}
            _ => return no("optional.unwrap"),
        }
    }
    Ok(out.into())
}
