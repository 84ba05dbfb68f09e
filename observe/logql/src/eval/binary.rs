//! Operators between numbers and series. Matching follows Prometheus, whose rules Loki shares.

use ahash::AHashMap;
use base_signal::Labels;

use super::{Column, QueryError, Value};
use crate::pipeline::compare;
use crate::syntax::{Binary, BinaryOp, Matching};

pub(super) fn apply(binary: &Binary, left: Value, right: Value) -> Result<Value, QueryError> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => Ok(Value::Number(match compute(binary.op, a, b) {
            Some(number) => number,
            None => f64::from(u8::from(compare(binary.op, a, b))),
        })),
        (Value::Vector(columns), Value::Number(b)) => Ok(Value::Vector(each(columns, |a| (a, b), |a| a, binary))),
        (Value::Number(a), Value::Vector(columns)) => Ok(Value::Vector(each(columns, |b| (a, b), |b| b, binary))),
        (Value::Vector(a), Value::Vector(b)) if binary.op.is_set() => Ok(Value::Vector(sets(binary, a, b))),
        (Value::Vector(a), Value::Vector(b)) => matched(binary, a, b).map(Value::Vector),
    }
}

/// `None` for a comparison.
fn compute(op: BinaryOp, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Subtract => a - b,
        BinaryOp::Multiply => a * b,
        BinaryOp::Divide => a / b,
        BinaryOp::Modulo => a % b,
        BinaryOp::Power => a.powf(b),
        _ => return None,
    })
}

/// The outcome for one pair; `kept` is what a filtering comparison lets through.
fn pair(binary: &Binary, a: f64, b: f64, kept: f64) -> Option<f64> {
    compute(binary.op, a, b).or_else(|| match (compare(binary.op, a, b), binary.bool_result) {
        (holds, true) => Some(f64::from(u8::from(holds))),
        (holds, false) => holds.then_some(kept),
    })
}

fn each(
    mut columns: Vec<Column>,
    sides: impl Fn(f64) -> (f64, f64),
    kept: impl Fn(f64) -> f64,
    binary: &Binary,
) -> Vec<Column> {
    for value in columns.iter_mut().flat_map(|column| &mut column.values) {
        *value = value.and_then(|v| {
            let (a, b) = sides(v);
            pair(binary, a, b, kept(v))
        });
    }
    columns
}

fn key(labels: &Labels, matching: Option<&Matching>) -> Labels {
    match matching {
        None => labels.clone(),
        Some(m) => labels.without(|name| m.labels.iter().any(|label| label == name) != m.on),
    }
}

fn sets(binary: &Binary, left: Vec<Column>, right: Vec<Column>) -> Vec<Column> {
    let matching = binary.matching.as_ref();
    let present = |columns: &[Column]| {
        let mut by_key: AHashMap<Labels, Vec<bool>> = AHashMap::new();
        for column in columns {
            let steps = by_key.entry(key(&column.labels, matching)).or_insert_with(|| vec![false; column.values.len()]);
            steps.iter_mut().zip(&column.values).for_each(|(there, value)| *there |= value.is_some());
        }
        by_key
    };
    let filter = |columns: Vec<Column>, other: &AHashMap<Labels, Vec<bool>>, wanted: bool| {
        let mut columns = columns;
        for column in &mut columns {
            let there = other.get(&key(&column.labels, matching));
            for (i, value) in column.values.iter_mut().enumerate() {
                if there.and_then(|t| t.get(i)).copied().unwrap_or(false) != wanted {
                    *value = None;
                }
            }
        }
        columns
    };
    match binary.op {
        BinaryOp::And => filter(left, &present(&right), true),
        BinaryOp::Unless => filter(left, &present(&right), false),
        _ => {
            let added = filter(right, &present(&left), false);
            merge(left, added)
        }
    }
}

/// Series of the same labels become one; the left has the word where both have a value.
fn merge(mut left: Vec<Column>, right: Vec<Column>) -> Vec<Column> {
    let known: AHashMap<Labels, usize> = left.iter().enumerate().map(|(i, c)| (c.labels.clone(), i)).collect();
    for column in right {
        match known.get(&column.labels).and_then(|i| left.get_mut(*i)) {
            Some(ours) => {
                ours.values.iter_mut().zip(column.values).for_each(|(ours, theirs)| *ours = ours.or(theirs));
            }
            None => left.push(column),
        }
    }
    left
}

fn matched(binary: &Binary, left: Vec<Column>, right: Vec<Column>) -> Result<Vec<Column>, QueryError> {
    let matching = binary.matching.as_ref();
    let group = matching.and_then(|m| m.group.as_ref());
    // The "many" side is the left unless group_right says otherwise.
    let swapped = matches!(group, Some((false, _)));
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let mut ones: AHashMap<Labels, &Column> = AHashMap::new();
    for column in &one {
        if ones.insert(key(&column.labels, matching), column).is_some() {
            let side = if swapped { "left" } else { "right" };
            let text = format!(
                "found duplicate series for the match group {} on the {side} hand-side of the operation; \
                 many-to-many matching not allowed: matching labels must be unique on one side",
                key(&column.labels, matching)
            );
            return Err(QueryError::Execution(text));
        }
    }
    let mut used: AHashMap<Labels, usize> = AHashMap::new();
    let mut results: Vec<Column> = Vec::new();
    for column in many {
        let key = key(&column.labels, matching);
        let Some(other) = ones.get(&key) else { continue };
        if group.is_none() && used.insert(key.clone(), 0).is_some() {
            let text = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
            return Err(QueryError::Execution(text.into()));
        }
        let labels = match (matching, group) {
            (None, _) => column.labels.clone(),
            (Some(_), None) => key,
            (Some(_), Some((_, include))) => {
                let mut builder = column.labels.to_builder();
                for name in include {
                    builder.set(name.as_str(), other.labels.get(name).unwrap_or_default());
                }
                builder.build()
            }
        };
        let values = column.values.iter().zip(&other.values).map(|(mine, theirs)| {
            let (mine, theirs) = ((*mine)?, (*theirs)?);
            let (a, b) = if swapped { (theirs, mine) } else { (mine, theirs) };
            pair(binary, a, b, a)
        });
        results.push(Column { values: values.collect(), labels });
    }
    Ok(results)
}
