//! The libraries of lists (`slice`, `flatten`, `distinct`, `sort`, `reverse`, `lists.range`) and of sets. Knows no text.

use std::cmp::Ordering;

use super::no;
use crate::env::{Cx, Run};
use crate::error::EvalError;
use crate::value::Value::{self, Bool, Int, List};

type Out = Result<Value, EvalError>;

pub(super) const SETS: &[(&str, Run)] = &[
    ("sets.contains(list<A>, list<A>) -> bool", contains),
    ("sets.equivalent(list<A>, list<A>) -> bool", equivalent),
    ("sets.intersects(list<A>, list<A>) -> bool", intersects),
];

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    ("list<A>.slice(int, int) -> list<A>", slice),
    ("list<list<A>>.flatten() -> list<A>\nlist<dyn>.flatten(int) -> list<dyn>", flatten),
    ("lists.range(int) -> list<int>", range),
    ("list<A>.reverse() -> list<A>", reverse),
    ("list<A>.distinct() -> list<A>", distinct),
    (
        "list<int>.sort() -> list<int>\nlist<uint>.sort() -> list<uint>\nlist<double>.sort() -> list<double>\nlist<bool>.sort() -> list<bool>\nlist<duration>.sort() -> list<duration>\nlist<timestamp>.sort() -> list<timestamp>\nlist<string>.sort() -> list<string>\nlist<bytes>.sort() -> list<bytes>",
        sort,
    ),
];

fn has(list: &[Value], item: &Value) -> bool {
    list.iter().any(|other| other.same(item))
}

fn pair<'v>(cx: &mut Cx<'_>, args: &'v [Value]) -> Result<(&'v [Value], &'v [Value]), EvalError> {
    let [List(a), List(b)] = args else { return Err(EvalError::NoOverload("sets".to_owned())) };
    cx.pay((a.items.len() as u64).saturating_mul(b.items.len() as u64))?;
    Ok((&a.items, &b.items))
}

fn contains(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    pair(cx, args).map(|(a, b)| Bool(b.iter().all(|item| has(a, item))))
}

fn equivalent(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    pair(cx, args).map(|(a, b)| Bool(b.iter().all(|item| has(a, item)) && a.iter().all(|item| has(b, item))))
}

fn intersects(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    pair(cx, args).map(|(a, b)| Bool(b.iter().any(|item| has(a, item))))
}

fn slice(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [List(list), Int(from), Int(to)] = args else { return no("slice") };
    let places = (usize::try_from(*from), usize::try_from(*to));
    let (Ok(start), Ok(end)) = places else {
        return Err(EvalError::fails(format!("cannot slice({from}, {to}), negative indexes not supported")));
    };
    let part = list
        .items
        .get(start..end)
        .ok_or_else(|| EvalError::fails(format!("cannot slice({from}, {to}), list is length {}", list.items.len())))?;
    cx.pay(part.len() as u64)?;
    Ok(part.to_vec().into())
}

fn flat(cx: &mut Cx<'_>, items: &[Value], depth: i64, out: &mut Vec<Value>) -> Result<(), EvalError> {
    for item in items {
        cx.pay(1)?;
        match item {
            List(inner) if depth > 0 => flat(cx, &inner.items, depth - 1, out)?,
            other => out.push(other.clone()),
        }
    }
    Ok(())
}

fn flatten(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let (list, depth) = match args {
        [List(list)] => (list, 1),
        [List(_), Int(depth)] if *depth < 0 => return Err(EvalError::fails("level must be non-negative")),
        [List(list), Int(depth)] => (list, *depth),
        _ => return no("flatten"),
    };
    let mut out = Vec::new();
    flat(cx, &list.items, depth, &mut out)?;
    Ok(out.into())
}

fn range(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Int(count)] = args else { return no("lists.range") };
    cx.pay(u64::try_from(*count).unwrap_or(0))?;
    Ok((0..*count).map(Int).collect::<Vec<_>>().into())
}

fn reverse(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [List(list)] = args else { return no("reverse") };
    cx.pay(list.items.len() as u64)?;
    Ok(list.items.iter().rev().cloned().collect::<Vec<_>>().into())
}

fn distinct(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [List(list)] = args else { return no("distinct") };
    let mut out: Vec<Value> = Vec::new();
    for item in list.items.iter() {
        cx.pay(out.len() as u64 / 4 + 1)?;
        if !has(&out, item) {
            out.push(item.clone());
        }
    }
    Ok(out.into())
}

fn sort(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [List(list)] = args else { return no("sort") };
    cx.pay(list.items.len() as u64 * 4)?;
    let mut items = list.items.as_ref().clone();
    if let Some(first) = items.first()
        && items.iter().any(|item| item.order(first).is_none() || item.type_name() != first.type_name())
    {
        return Err(EvalError::fails("list elements must have the same type"));
    }
    items.sort_by(|a, b| a.order(b).unwrap_or(Ordering::Equal));
    Ok(items.into())
}
