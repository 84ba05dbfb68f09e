//! Functions over the values of a window: what stands after `unwrap`.

use super::range::Unwrapped;
use super::{Column, Steps};
use crate::syntax::{RangeAggregation, RangeOp};

/// One value a step at which the window `(T - range, T]` holds samples.
pub(super) fn column(series: Unwrapped, aggregation: &RangeAggregation, steps: Steps) -> Column {
    let samples = &series.samples;
    let values = (0..steps.count).map(|i| {
        let end_ns = steps.time(i);
        let from = samples.partition_point(|(time, _)| *time <= end_ns.saturating_sub(aggregation.range_ns));
        let to = samples.partition_point(|(time, _)| *time <= end_ns);
        let window = samples.get(from..to).unwrap_or_default();
        (!window.is_empty()).then(|| over(window, aggregation))
    });
    Column { values: values.collect(), labels: series.labels }
}

fn over(window: &[(i64, f64)], aggregation: &RangeAggregation) -> f64 {
    let values = window.iter().map(|(_, value)| *value);
    let count = window.len() as f64;
    match aggregation.op {
        RangeOp::Sum => values.sum(),
        RangeOp::Rate => values.sum::<f64>() / (aggregation.range_ns as f64 / 1e9),
        RangeOp::Avg => values.sum::<f64>() / count,
        RangeOp::Min => values.fold(f64::NAN, f64::min),
        RangeOp::Max => values.fold(f64::NAN, f64::max),
        RangeOp::StdVar => variance(values),
        RangeOp::StdDev => variance(values).sqrt(),
        RangeOp::Quantile => quantile(aggregation.parameter.unwrap_or(f64::NAN), values.collect()),
        RangeOp::First => window.first().map_or(f64::NAN, |(_, value)| *value),
        RangeOp::Last => window.last().map_or(f64::NAN, |(_, value)| *value),
        // These count lines, or were refused.
        RangeOp::Count | RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Absent | RangeOp::RateCounter => count,
    }
}

/// Of the population (Welford's way, which does not cancel).
pub(super) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut sum) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        sum += delta * (value - mean);
    }
    sum / count
}

/// Linear between the two nearest ranks, as Prometheus's `quantile`.
fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if q.is_nan() || values.is_empty() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let at = |i: usize| values.get(i.min(values.len() - 1)).copied().unwrap_or(f64::NAN);
    let (low, weight) = (rank.floor(), rank - rank.floor());
    at(low as usize) * (1.0 - weight) + at(low as usize + 1) * weight
}
