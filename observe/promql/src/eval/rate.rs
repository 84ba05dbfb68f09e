//! How fast something changes: `rate`, `increase`, `delta` with Prometheus' extrapolation to the window's borders,
//! `irate`, `idelta`, `resets`, `changes`, `deriv`, `predict_linear`.

use super::math::linear_regression;
use super::window::{Outcome, RangeFunction, Window};

pub(super) fn find(name: &str) -> Option<RangeFunction> {
    let (compute, floats_only): (fn(&Window<'_>) -> Outcome, bool) = match name {
        "rate" => (|w| extrapolated(w, true, true), false),
        "increase" => (|w| extrapolated(w, true, false), false),
        "delta" => (|w| extrapolated(w, false, false), false),
        "irate" => (|w| last_two(w, true), false),
        "idelta" => (|w| last_two(w, false), false),
        "resets" => (|w| count_pairs(w, |before, after| after < before), false),
        "changes" => (|w| count_pairs(w, |a, b| a != b && !(a.is_nan() && b.is_nan())), false),
        "deriv" => (deriv, true),
        "predict_linear" => (predict_linear, true),
        _ => return None,
    };
    Some(RangeFunction { compute, floats_only })
}

/// The change over the window, stretched to its borders where the samples come near enough to them: nearer than 1.1 times
/// their mean distance. Where they do not, half a mean distance is added, for the series is taken to begin or end there. A
/// counter is never stretched below zero.
fn extrapolated(window: &Window<'_>, is_counter: bool, is_rate: bool) -> Outcome {
    if !window.histograms.is_empty() {
        return match (window.values.is_empty(), window.histograms.len()) {
            (false, _) => Outcome::Mixed,
            (true, 1) => Outcome::Nothing,
            (true, _) => Outcome::NoHistograms,
        };
    }
    let (times_ms, values) = (window.times_ms, window.values);
    let ([first_ms, .., last_ms], [first, .., last]) = (times_ms, values) else { return Outcome::Nothing };
    let mut change = last - first;
    if is_counter {
        for pair in values.windows(2) {
            if pair[1] < pair[0] {
                change += pair[0];
            }
        }
    }
    let mut to_start_s = (first_ms - window.start_ms) as f64 / 1000.0;
    let mut to_end_s = (window.end_ms - last_ms) as f64 / 1000.0;
    let sampled_s = (last_ms - first_ms) as f64 / 1000.0;
    let mean_distance_s = sampled_s / (values.len() - 1) as f64;
    let near_s = mean_distance_s * 1.1;
    if to_start_s >= near_s {
        to_start_s = mean_distance_s / 2.0;
    }
    if is_counter {
        let mut to_zero_s = to_start_s;
        if change > 0.0 && *first >= 0.0 {
            to_zero_s = sampled_s * (first / change);
        }
        if to_zero_s < to_start_s {
            to_start_s = to_zero_s;
        }
    }
    if to_end_s >= near_s {
        to_end_s = mean_distance_s / 2.0;
    }
    let mut factor = 1.0;
    if sampled_s != 0.0 {
        factor = (sampled_s + to_start_s + to_end_s) / sampled_s;
    }
    if is_rate {
        factor /= (window.end_ms - window.start_ms) as f64 / 1000.0;
    }
    Outcome::Float(change * factor)
}

fn last_two(window: &Window<'_>, is_rate: bool) -> Outcome {
    let newest_float_ms = window.times_ms.iter().rev().take(2);
    let newest_histogram_ms = window.histogram_times_ms.iter().rev().take(2);
    let mut newest: Vec<(i64, bool)> =
        newest_float_ms.map(|t| (*t, false)).chain(newest_histogram_ms.map(|t| (*t, true))).collect();
    newest.sort();
    let Some([(before_ms, before_histogram), (last_ms, last_histogram)]) = newest.last_chunk::<2>() else {
        return Outcome::Nothing;
    };
    match (before_histogram, last_histogram) {
        (false, false) => {}
        (true, true) => return Outcome::NoHistograms,
        _ => return Outcome::Mixed,
    }
    let Some([before, last]) = window.values.last_chunk::<2>() else { return Outcome::Nothing };
    if last_ms == before_ms {
        return Outcome::Nothing;
    }
    // After a reset the counter began at zero.
    let mut change = if is_rate && last < before { *last } else { last - before };
    if is_rate {
        change /= (last_ms - before_ms) as f64 / 1000.0;
    }
    Outcome::Float(change)
}

fn count_pairs(window: &Window<'_>, counts: impl Fn(f64, f64) -> bool) -> Outcome {
    if !window.histograms.is_empty() {
        return Outcome::NoHistograms;
    }
    Outcome::Float(window.values.windows(2).filter(|pair| counts(pair[0], pair[1])).count() as f64)
}

fn deriv(window: &Window<'_>) -> Outcome {
    match window.times_ms {
        [first_ms, _, ..] => Outcome::Float(linear_regression(window.times_ms, window.values, *first_ms).0),
        _ => Outcome::Nothing,
    }
}

fn predict_linear(window: &Window<'_>) -> Outcome {
    if window.values.len() < 2 {
        return Outcome::Nothing;
    }
    let (slope, intercept) = linear_regression(window.times_ms, window.values, window.step_ms);
    Outcome::Float(slope * window.args[0] + intercept)
}
