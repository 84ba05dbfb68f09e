//! Kubernetes' library of lists: `isSorted`, `sum`, `min`, `max`, `indexOf`, `lastIndexOf`. Knows no text.

use std::cmp::Ordering;

use lib_cel::{Cx, EvalError, Run, Value};

use super::{Out, no};

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    (
        "list<int>.isSorted() -> bool\nlist<uint>.isSorted() -> bool\nlist<double>.isSorted() -> bool\nlist<bool>.isSorted() -> bool\nlist<duration>.isSorted() -> bool\nlist<timestamp>.isSorted() -> bool\nlist<string>.isSorted() -> bool\nlist<bytes>.isSorted() -> bool",
        is_sorted,
    ),
    // An empty list's sum has the list's type.
    ("list<int>.sum() -> int", |cx, args| sum(cx, args, Value::Int(0))),
    ("list<uint>.sum() -> uint", |cx, args| sum(cx, args, Value::Uint(0))),
    ("list<double>.sum() -> double", |cx, args| sum(cx, args, Value::Double(0.0))),
    ("list<duration>.sum() -> duration", |cx, args| sum(cx, args, Value::Duration(0))),
    (
        "list<int>.min() -> int\nlist<uint>.min() -> uint\nlist<double>.min() -> double\nlist<bool>.min() -> bool\nlist<duration>.min() -> duration\nlist<timestamp>.min() -> timestamp\nlist<string>.min() -> string\nlist<bytes>.min() -> bytes",
        |cx, args| extreme(cx, args, "min", Ordering::is_lt),
    ),
    (
        "list<int>.max() -> int\nlist<uint>.max() -> uint\nlist<double>.max() -> double\nlist<bool>.max() -> bool\nlist<duration>.max() -> duration\nlist<timestamp>.max() -> timestamp\nlist<string>.max() -> string\nlist<bytes>.max() -> bytes",
        |cx, args| extreme(cx, args, "max", Ordering::is_gt),
    ),
    ("list<A>.indexOf(A) -> int", index_of),
    ("list<A>.lastIndexOf(A) -> int", last_index_of),
];

fn items<'v>(cx: &mut Cx<'_>, args: &'v [Value], name: &str) -> Result<&'v [Value], EvalError> {
    match args.first() {
        Some(Value::List(list)) => {
            cx.pay(list.items.len() as u64)?;
            Ok(&list.items)
        }
        _ => Err(EvalError::NoOverload(name.to_owned())),
    }
}

fn order(a: &Value, b: &Value) -> Result<Ordering, EvalError> {
    a.order(b).ok_or_else(|| EvalError::NoOverload(format!("{} and {}", a.type_name(), b.type_name())))
}

fn is_sorted(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let items = items(cx, args, "isSorted")?;
    for pair in items.windows(2) {
        if let [a, b] = pair
            && order(a, b)?.is_gt()
        {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

fn sum(cx: &mut Cx<'_>, args: &[Value], zero: Value) -> Out {
    let overflow = || EvalError::fails("integer overflow");
    items(cx, args, "sum")?.iter().try_fold(zero, |sum, item| match (sum, item) {
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int).ok_or_else(overflow),
        (Value::Uint(a), Value::Uint(b)) => a.checked_add(*b).map(Value::Uint).ok_or_else(overflow),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::Duration(a), Value::Duration(b)) => a.checked_add(*b).map(Value::Duration).ok_or_else(overflow),
        _ => no("sum"),
    })
}

fn extreme(cx: &mut Cx<'_>, args: &[Value], name: &str, better: fn(Ordering) -> bool) -> Out {
    let items = items(cx, args, name)?;
    let (first, rest) = items.split_first().ok_or_else(|| EvalError::fails(format!("{name} called on empty list")))?;
    rest.iter().try_fold(first, |best, item| Ok(if better(order(item, best)?) { item } else { best })).cloned()
}

fn index_of(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let list = items(cx, args, "indexOf")?;
    let Some(wanted) = args.get(1) else { return no("indexOf") };
    Ok(list.iter().position(|item| item.same(wanted)).map_or(Value::Int(-1), Value::count))
}

fn last_index_of(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let list = items(cx, args, "lastIndexOf")?;
    let Some(wanted) = args.get(1) else { return no("lastIndexOf") };
    Ok(list.iter().rposition(|item| item.same(wanted)).map_or(Value::Int(-1), Value::count))
}
