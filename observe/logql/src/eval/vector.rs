//! Aggregations over series, step by step, and `label_replace`.

use std::cmp::Ordering;

use ahash::AHashMap;
use base_signal::{Labels, Pattern};

use super::samples::variance;
use super::{Column, QueryError, Run, Value, range};
use crate::syntax::{AggregateOp, Aggregation, ExprKind, Grouping, LabelReplace, RangeOp};

/// Largest first; not-a-number last.
pub(super) fn descending(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => b.total_cmp(&a),
    }
}

/// Smallest first; not-a-number last.
pub(super) fn ascending(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => a.total_cmp(&b),
    }
}

pub(super) fn aggregate(run: &mut Run<'_>, aggregation: &Aggregation) -> Result<Vec<Column>, QueryError> {
    let all = Grouping { without: false, labels: Vec::new() };
    let grouping = aggregation.grouping.as_ref().unwrap_or(&all);
    if let (AggregateOp::Sum, ExprKind::Range(inner)) = (aggregation.op, &aggregation.of.kind) {
        let counts = matches!(inner.op, RangeOp::Count | RangeOp::Rate | RangeOp::Bytes | RangeOp::BytesRate);
        if counts && inner.unwrap.is_none() {
            return range::evaluate(run, &aggregation.of, inner, Some(grouping));
        }
    }
    let columns = match run.value(&aggregation.of)? {
        Value::Vector(columns) => columns,
        Value::Number(_) => {
            return Err(QueryError::Invalid(format!("{} needs series, not a number", aggregation.op.name())));
        }
    };
    match aggregation.op {
        AggregateOp::Sort | AggregateOp::SortDesc => Ok(columns),
        AggregateOp::TopK | AggregateOp::ApproxTopK => {
            Ok(best(columns, grouping, aggregation.parameter.unwrap_or(0), run.steps.count, descending))
        }
        AggregateOp::BottomK => {
            Ok(best(columns, grouping, aggregation.parameter.unwrap_or(0), run.steps.count, ascending))
        }
        op => Ok(fold(columns, grouping, op, run.steps.count)),
    }
}

fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    let named = |name: &str| grouping.labels.iter().any(|label| label == name);
    labels.without(|name| named(name) == grouping.without)
}

/// Indices of the columns of each group, groups in order of first appearance.
fn groups(columns: &[Column], grouping: &Grouping) -> Vec<(Labels, Vec<usize>)> {
    let mut known: AHashMap<Labels, usize> = AHashMap::new();
    let mut groups: Vec<(Labels, Vec<usize>)> = Vec::new();
    for (i, column) in columns.iter().enumerate() {
        let labels = group_labels(&column.labels, grouping);
        let next = groups.len();
        let at = *known.entry(labels.clone()).or_insert(next);
        if at == next {
            groups.push((labels, Vec::new()));
        }
        if let Some((_, members)) = groups.get_mut(at) {
            members.push(i);
        }
    }
    groups
}

fn fold(columns: Vec<Column>, grouping: &Grouping, op: AggregateOp, steps: usize) -> Vec<Column> {
    let one = |(labels, members): (Labels, Vec<usize>)| {
        let values = (0..steps).map(|step| {
            let here = |member: &usize| columns.get(*member)?.values.get(step).copied().flatten();
            let present: Vec<f64> = members.iter().filter_map(here).collect();
            (!present.is_empty()).then(|| of(&present, op))
        });
        Column { values: values.collect(), labels }
    };
    groups(&columns, grouping).into_iter().map(one).collect()
}

fn of(values: &[f64], op: AggregateOp) -> f64 {
    let all = values.iter().copied();
    match op {
        AggregateOp::Sum => all.sum(),
        AggregateOp::Avg => all.sum::<f64>() / values.len() as f64,
        AggregateOp::Min => all.fold(f64::NAN, f64::min),
        AggregateOp::Max => all.fold(f64::NAN, f64::max),
        AggregateOp::StdVar => variance(all),
        AggregateOp::StdDev => variance(all).sqrt(),
        _ => values.len() as f64,
    }
}

/// The first `k` of each group at each step, in the given order; ties go to the smaller label set.
fn best(
    mut columns: Vec<Column>,
    grouping: &Grouping,
    k: usize,
    steps: usize,
    order: fn(f64, f64) -> Ordering,
) -> Vec<Column> {
    columns.sort_by(|a, b| a.labels.cmp(&b.labels));
    for (_, members) in groups(&columns, grouping) {
        for step in 0..steps {
            let here = |member: &usize| Some((*member, columns.get(*member)?.values.get(step).copied().flatten()?));
            let mut present: Vec<(usize, f64)> = members.iter().filter_map(here).collect();
            present.sort_by(|a, b| order(a.1, b.1));
            for (member, _) in present.into_iter().skip(k) {
                if let Some(value) = columns.get_mut(member).and_then(|column| column.values.get_mut(step)) {
                    *value = None;
                }
            }
        }
    }
    columns.retain(|column| column.values.iter().any(Option::is_some));
    columns
}

pub(super) fn label_replace(run: &mut Run<'_>, replace: &LabelReplace) -> Result<Vec<Column>, QueryError> {
    let pattern = Pattern::anchored(&replace.regex).map_err(|error| QueryError::Invalid(error.to_string()))?;
    let Value::Vector(mut columns) = run.value(&replace.of)? else {
        return Err(QueryError::Invalid("label_replace needs series, not a number".into()));
    };
    let mut known = AHashMap::new();
    for column in &mut columns {
        let source = column.labels.get(&replace.source).unwrap_or_default();
        if let Some(captures) = pattern.regex().captures(source) {
            let mut value = String::new();
            captures.expand(&replace.replacement, &mut value);
            let mut builder = column.labels.to_builder();
            builder.set(replace.target.as_str(), value);
            column.labels = builder.build();
        }
        if known.insert(column.labels.clone(), ()).is_some() {
            let text = format!("label_replace made two series with the same labels {}", column.labels);
            return Err(QueryError::Execution(text));
        }
    }
    Ok(columns)
}
