//! The `*_over_time` functions: one number out of the samples of a window.

use super::math::{Kahan, Mean, quantile};
use super::native_total::Total;
use super::notes::{Notes, Remark};
use super::window::{Outcome, RangeFunction, Window};

pub(super) fn find(name: &str) -> Option<RangeFunction> {
    let (compute, floats_only): (fn(&Window<'_>, &mut Notes) -> Outcome, bool) = match name {
        "sum_over_time" => (|w, notes| summed(w, sum, false, notes), false),
        "avg_over_time" => (|w, notes| summed(w, mean, true, notes), false),
        "count_over_time" => (|w, _| Outcome::Float((w.values.len() + w.histograms.len()) as f64), false),
        "present_over_time" | "absent_over_time" => (|_, _| Outcome::Float(1.0), false),
        "last_over_time" => (|w, _| last(w), false),
        "first_over_time" => (|w, _| first(w), false),
        "min_over_time" => (|w, _| best(w, |value, best| value < best, false), true),
        "max_over_time" => (|w, _| best(w, |value, best| value > best, false), true),
        "ts_of_min_over_time" => (|w, _| best(w, |value, best| value <= best, true), true),
        "ts_of_max_over_time" => (|w, _| best(w, |value, best| value >= best, true), true),
        "ts_of_first_over_time" => (|w, _| time(first_ms(w.times_ms, w.histogram_times_ms, i64::min)), false),
        "ts_of_last_over_time" => (|w, _| time(last_ms(w.times_ms, w.histogram_times_ms)), false),
        "quantile_over_time" => (|w, _| floats(w, |values| quantile(w.args[0], &mut values.to_vec())), true),
        "stddev_over_time" => (|w, _| floats(w, |values| variance(values).sqrt()), true),
        "stdvar_over_time" => (|w, _| floats(w, variance), true),
        "mad_over_time" => (|w, _| floats(w, median_deviation), true),
        "double_exponential_smoothing" => (|w, _| smoothed(w), true),
        _ => return None,
    };
    Some(RangeFunction { compute, floats_only })
}

fn floats(window: &Window<'_>, compute: impl Fn(&[f64]) -> f64) -> Outcome {
    if window.values.is_empty() { Outcome::Nothing } else { Outcome::Float(compute(window.values)) }
}

fn summed(window: &Window<'_>, compute: fn(&[f64]) -> f64, is_mean: bool, notes: &mut Notes) -> Outcome {
    let Some((first, rest)) = window.histograms.split_first() else { return floats(window, compute) };
    if !window.values.is_empty() {
        notes.say(Remark::MixedTypes);
        return Outcome::Nothing;
    }
    let mut total = Total::starting_with(first, is_mean);
    let added = rest.iter().try_for_each(|histogram| total.add(histogram));
    if added.is_err() {
        notes.say(Remark::MixedSchemas);
        return Outcome::Nothing;
    }
    if total.told.hints_collided {
        notes.say(Remark::HintsCollide);
    }
    if total.told.bounds_differed {
        notes.say(Remark::BoundsDiffer("aggregation"));
    }
    Outcome::Histogram(total.finish())
}

fn sum(values: &[f64]) -> f64 {
    let mut sum = Kahan::default();
    values.iter().for_each(|value| sum.add(*value));
    if sum.sum.is_infinite() { sum.sum } else { sum.total() }
}

fn mean(values: &[f64]) -> f64 {
    let Some((first, rest)) = values.split_first() else { return f64::NAN };
    let mut mean = Mean::starting_with(*first);
    rest.iter().for_each(|value| mean.add(*value));
    mean.value()
}

fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares, mut count) = (Kahan::default(), Kahan::default(), 0.0);
    for value in values {
        count += 1.0;
        let delta = value - mean.total();
        mean.add(delta / count);
        squares.add(delta * (value - mean.total()));
    }
    squares.total() / count
}

fn median_deviation(values: &[f64]) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let median = quantile(0.5, &mut values.to_vec());
    let mut deviations: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
    quantile(0.5, &mut deviations)
}

/// The first of the best values, or the time of the last of them; any number is better than NaN.
fn best(window: &Window<'_>, better: fn(f64, f64) -> bool, wants_time: bool) -> Outcome {
    let (Some(first), Some(first_ms)) = (window.values.first(), window.times_ms.first()) else {
        return Outcome::Nothing;
    };
    let (mut best, mut best_ms) = (*first, *first_ms);
    for (value, time_ms) in window.values.iter().zip(window.times_ms) {
        if better(*value, best) || best.is_nan() {
            (best, best_ms) = (*value, *time_ms);
        }
    }
    Outcome::Float(if wants_time { best_ms as f64 / 1000.0 } else { best })
}

fn last(window: &Window<'_>) -> Outcome {
    let float_ms = window.times_ms.last();
    match (window.values.last(), window.histograms.last()) {
        (Some(value), histogram) if histogram.is_none() || window.histogram_times_ms.last() < float_ms => {
            Outcome::Float(*value)
        }
        (_, Some(histogram)) => Outcome::Histogram(histogram.clone()),
        _ => Outcome::Nothing,
    }
}

fn first(window: &Window<'_>) -> Outcome {
    let (float_ms, histogram_ms) = (window.times_ms.first(), window.histogram_times_ms.first());
    match (window.values.first(), window.histograms.first()) {
        (Some(value), histogram) if histogram.is_none() || float_ms < histogram_ms => Outcome::Float(*value),
        (_, Some(histogram)) => Outcome::Histogram(histogram.clone()),
        _ => Outcome::Nothing,
    }
}

fn first_ms(floats: &[i64], histograms: &[i64], pick: fn(i64, i64) -> i64) -> Option<i64> {
    floats.first().into_iter().chain(histograms.first()).copied().reduce(pick)
}

fn last_ms(floats: &[i64], histograms: &[i64]) -> Option<i64> {
    floats.last().into_iter().chain(histograms.last()).copied().max()
}

fn time(time_ms: Option<i64>) -> Outcome {
    time_ms.map_or(Outcome::Nothing, |time_ms| Outcome::Float(time_ms as f64 / 1000.0))
}

/// Holt's linear method: a level and a trend, each smoothed by its factor.
fn smoothed(window: &Window<'_>) -> Outcome {
    let [first, second, ..] = window.values else { return Outcome::Nothing };
    let [level_factor, trend_factor] = window.args;
    let (mut before, mut level, mut trend) = (0.0, *first, second - first);
    for (i, value) in window.values.iter().enumerate().skip(1) {
        if i > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        let next = level_factor * value + (1.0 - level_factor) * (level + trend);
        (before, level) = (level, next);
    }
    Outcome::Float(level)
}
