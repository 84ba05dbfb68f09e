//! `rate`, `count_over_time` and their like: lines become one column a series.
//!
//! A line at `t` counts at every step `T` with `T - range < t <= T`. Counts and bytes are added at the first such step and
//! taken away after the last, so that a line costs the same however much the ranges overlap; whole numbers, so exact.

use ahash::AHashMap;
use base_signal::{Labels, RangeNs};
use observe_source::Direction;

use super::{Column, QueryError, Run, Steps, logs, samples};
use crate::pipeline::{ERROR, Pipeline, Row, passes};
use crate::syntax::{Conversion, Expr, Grouping, RangeAggregation, RangeOp, Unwrap, parse_bytes, parse_duration_ns};

const NS_PER_S: f64 = 1e9;

/// Differences from step to step of one series.
struct Counted {
    labels: Labels,
    lines: Vec<i64>,
    bytes: Vec<i64>,
}

/// Values of one series, oldest first.
pub(super) struct Unwrapped {
    pub(super) labels: Labels,
    pub(super) samples: Vec<(i64, f64)>,
}

/// `summed_by` is the grouping of a `sum` around it: counts can be added up per group at once.
pub(super) fn evaluate(
    run: &mut Run<'_>,
    expr: &Expr,
    aggregation: &RangeAggregation,
    summed_by: Option<&Grouping>,
) -> Result<Vec<Column>, QueryError> {
    if aggregation.op == RangeOp::RateCounter {
        let refused = crate::pipeline::not_yet(expr.span, aggregation.op.name());
        return Err(run.refused(refused));
    }
    let pipeline = Pipeline::new(&aggregation.log.stages).map_err(|refused| run.refused(refused))?;
    let steps = run.steps;
    let first = steps.start_ns.saturating_sub(aggregation.offset_ns);
    let range = RangeNs::new(
        first.saturating_sub(aggregation.range_ns).saturating_add(1),
        steps.last().saturating_sub(aggregation.offset_ns),
    );
    let (mut counted, mut unwrapped): (Vec<Counted>, Vec<Unwrapped>) = Default::default();
    let mut known: AHashMap<Labels, usize> = AHashMap::new();
    let mut batches = logs::select(run, &aggregation.log, range, Direction::Forward)?;
    while let Some(batch) = batches.next()? {
        run.query.cancel.check()?;
        for i in 0..batch.len() {
            let line = batch.line(i);
            run.statistics.lines += 1;
            run.statistics.bytes += line.len() as u64;
            let metadata = batch.metadata.get(i).map_or(&[][..], Vec::as_slice);
            let mut row = Row::new(line, batch.labels(i), metadata);
            if !pipeline.run(&mut row) {
                continue;
            }
            let mut value = None;
            if let Some(unwrap) = &aggregation.unwrap {
                match unwrapped_value(unwrap, &mut row) {
                    Some(number) => value = Some(number),
                    None => continue,
                }
            }
            if let Some(error) = row.error() {
                return Err(pipeline_error(error, &row));
            }
            run.statistics.lines_returned += 1;
            let labels = match aggregation.grouping.as_ref().or(summed_by) {
                Some(grouping) => row.grouped(grouping),
                None => row.labels(),
            };
            let time_ns = batch.times_ns.get(i).copied().unwrap_or_default().saturating_add(aggregation.offset_ns);
            let fresh = !known.contains_key(&labels);
            if fresh {
                run.hold(labels.as_bytes().len() + 160 + steps.count * 32)?;
            }
            let next = known.len();
            let at = *known.entry(labels.clone()).or_insert(next);
            match value {
                Some(value) => {
                    run.hold(16)?;
                    if fresh {
                        unwrapped.push(Unwrapped { labels, samples: Vec::new() });
                    }
                    if let Some(series) = unwrapped.get_mut(at) {
                        series.samples.push((time_ns, value));
                    }
                }
                None => {
                    if fresh {
                        let zero = vec![0; steps.count + 1];
                        counted.push(Counted { labels, lines: zero.clone(), bytes: zero });
                    }
                    if let Some(series) = counted.get_mut(at) {
                        series.add(steps, aggregation.range_ns, time_ns, row.line.len());
                    }
                }
            }
        }
    }
    run.annotations.merge(batches.annotations());
    let columns: Vec<Column> = if aggregation.unwrap.is_some() {
        unwrapped.into_iter().map(|series| samples::column(series, aggregation, steps)).collect()
    } else {
        counted.into_iter().map(|series| series.column(aggregation)).collect()
    };
    Ok(if aggregation.op == RangeOp::Absent { absent(aggregation, &columns, steps) } else { columns })
}

impl Counted {
    fn add(&mut self, steps: Steps, range_ns: i64, time_ns: i64, bytes: usize) {
        // The first step at or after the line, and the first at which the line is too old.
        let ceil = |ns: i64| {
            let from_start = i128::from(ns) - i128::from(steps.start_ns);
            let step = i128::from(steps.step_ns.max(1));
            usize::try_from((from_start + step - 1).div_euclid(step).max(0)).unwrap_or(usize::MAX).min(steps.count)
        };
        let (enters, leaves) = (ceil(time_ns), ceil(time_ns.saturating_add(range_ns)));
        for (at, sign) in [(enters, 1), (leaves, -1)] {
            if let (Some(lines), Some(total)) = (self.lines.get_mut(at), self.bytes.get_mut(at)) {
                *lines += sign;
                *total += sign * bytes as i64;
            }
        }
    }

    fn column(self, aggregation: &RangeAggregation) -> Column {
        let seconds = aggregation.range_ns as f64 / NS_PER_S;
        let (mut lines, mut bytes) = (0, 0);
        let steps = self.lines.len().saturating_sub(1);
        let value = |(more_lines, more_bytes): (&i64, &i64)| {
            lines += more_lines;
            bytes += more_bytes;
            (lines > 0).then(|| match aggregation.op {
                RangeOp::Rate => lines as f64 / seconds,
                RangeOp::Bytes => bytes as f64,
                RangeOp::BytesRate => bytes as f64 / seconds,
                _ => lines as f64,
            })
        };
        Column { labels: self.labels, values: self.lines.iter().zip(&self.bytes).take(steps).map(value).collect() }
    }
}

/// The number that `unwrap` takes from a label, which is then no longer one. `None` leaves the line out.
fn unwrapped_value(unwrap: &Unwrap, row: &mut Row<'_>) -> Option<f64> {
    let text = row.get(&unwrap.label);
    if text.is_empty() {
        return None;
    }
    let number = match unwrap.conversion {
        Conversion::None => text.trim().parse::<f64>().ok(),
        Conversion::Duration => parse_duration_ns(text).map(|ns| ns as f64 / NS_PER_S),
        Conversion::Bytes => parse_bytes(text).map(|bytes| bytes as f64),
    };
    match number {
        Some(_) => row.remove(&unwrap.label),
        None => {
            let details = format!("{} has the value {text:?}, which is no number of that kind", unwrap.label);
            row.fail("SampleExtractionErr", details);
        }
    }
    let kept = unwrap.filters.iter().all(|filter| passes(filter, row));
    kept.then_some(number.unwrap_or(f64::NAN))
}

fn pipeline_error(error: &str, row: &Row<'_>) -> QueryError {
    let labels = row.labels();
    QueryError::Execution(format!(
        "pipeline error: '{error}' for series: '{labels}'.\n\
         Use a label filter to intentionally skip this error. (e.g | {ERROR}!=\"{error}\").\n\
         To skip all potential errors you can match empty errors.(e.g {ERROR}=\"\")\n\
         The label filter can also be specified after unwrap. (e.g | unwrap latency | {ERROR}=\"\" )"
    ))
}

/// 1 at the steps at which there is nothing, labelled with what the selector wants.
fn absent(aggregation: &RangeAggregation, columns: &[Column], steps: Steps) -> Vec<Column> {
    let there = |i: usize| columns.iter().any(|column| column.values.get(i).is_some_and(Option::is_some));
    let values: Vec<_> = (0..steps.count).map(|i| (!there(i)).then_some(1.0)).collect();
    let equal = aggregation.log.selector.matchers.iter().filter(|m| m.op == base_signal::MatchOp::Equal);
    let labels = Labels::from_pairs(equal.map(|m| (m.name.as_str(), m.value.as_str())));
    vec![Column { labels, values }]
}
