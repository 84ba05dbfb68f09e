//! How fast something changes over a window: `rate`, `increase`, `delta` with Prometheus' extrapolation to the window's
//! borders, `deriv`, `predict_linear`. What looks at neighbouring samples only is in `pairs.rs`.

use base_signal::CounterReset;

use super::extended;
use super::math::linear_regression;
use super::native::Native;
use super::notes::{Notes, Remark};
use super::pairs::{began_anew, overlaps};
use super::window::{Outcome, RangeFunction, Window};

pub(super) fn find(name: &str) -> Option<RangeFunction> {
    let (compute, floats_only): (fn(&Window<'_>, &mut Notes) -> Outcome, bool) = match name {
        "rate" => (|w, notes| change(w, true, true, notes), false),
        "increase" => (|w, notes| change(w, true, false, notes), false),
        "delta" => (|w, notes| change(w, false, false, notes), false),
        "deriv" => (|w, _| deriv(w), true),
        "predict_linear" => (|w, _| predict_linear(w), true),
        _ => return None,
    };
    Some(RangeFunction { compute, floats_only })
}

fn change(window: &Window<'_>, counter: bool, rate: bool, notes: &mut Notes) -> Outcome {
    if window.extension.is_some() {
        return extended::change(window, counter, rate, notes);
    }
    let found = match (window.values.is_empty(), window.histograms.is_empty()) {
        (false, false) => {
            notes.say(Remark::MixedTypes);
            return Outcome::Nothing;
        }
        (false, true) => floats(window, counter, rate, notes),
        (true, false) => histograms(window, counter, rate, notes),
        (true, true) => None,
    };
    found.unwrap_or(Outcome::Nothing)
}

/// The change over the window, stretched to its borders where the samples come near enough to them: nearer than 1.1 times
/// their mean distance. Where they do not, half a mean distance is added, for the series is taken to begin or end there. A
/// counter is never stretched below zero, and begins where its first sample says that it began.
fn floats(window: &Window<'_>, counter: bool, rate: bool, notes: &mut Notes) -> Option<Outcome> {
    let (times_ms, values) = (window.times_ms, window.values);
    let (first, last) = (values.first()?, values.last()?);
    let starts_ms = if counter { window.starts_ms } else { &[] };
    let mut change = last - first;
    let mut overlap = false;
    for i in (1..values.len()).filter(|_| counter) {
        let starts = (starts_ms.get(i - 1).copied().unwrap_or(0), starts_ms.get(i).copied().unwrap_or(0));
        overlap |= overlaps(starts, times_ms[i - 1]);
        if values[i] < values[i - 1] || began_anew(starts, (times_ms[i - 1], times_ms[i])) {
            change += values[i - 1];
        }
    }
    if overlap {
        notes.say(Remark::Overlap);
    }
    let began_ms = began(window, starts_ms, *times_ms.first()?);
    if began_ms.is_some() {
        change += first;
    }
    let at_first = if counter && *first >= 0.0 && change > 0.0 { Some(first / change) } else { None };
    let factor = stretch(window, times_ms, began_ms, at_first, rate)?;
    Some(Outcome::Float(change * factor))
}

/// When the first sample says that its counter began within the window, before itself.
fn began(window: &Window<'_>, starts_ms: &[i64], first_ms: i64) -> Option<i64> {
    starts_ms.first().copied().filter(|start_ms| *start_ms != 0 && *start_ms > window.start_ms && *start_ms < first_ms)
}

/// By how much a change grows when it is stretched to the window's borders, or per second of the window; `None` for a
/// single sample. `at_first` is what a counter held at its first sample, in parts of the change: it tells how long ago
/// the counter was at zero.
fn stretch(
    window: &Window<'_>,
    times_ms: &[i64],
    began_ms: Option<i64>,
    at_first: Option<f64>,
    rate: bool,
) -> Option<f64> {
    let (first_ms, last_ms) = (*times_ms.first()?, *times_ms.last()?);
    let gaps = times_ms.len() - 1;
    let mut to_start_s = (first_ms - window.start_ms) as f64 / 1000.0;
    let mut to_end_s = (window.end_ms - last_ms) as f64 / 1000.0;
    let mut sampled_s = (last_ms - first_ms) as f64 / 1000.0;
    let mean_distance_s = if gaps > 0 { sampled_s / gaps as f64 } else { 0.0 };
    let near_s = mean_distance_s * 1.1;
    match began_ms {
        Some(began_ms) => {
            to_start_s = 0.0;
            sampled_s = (last_ms - began_ms) as f64 / 1000.0;
        }
        None if gaps == 0 => return None,
        None => {
            if to_start_s >= near_s {
                to_start_s = mean_distance_s / 2.0;
            }
            let to_zero_s = at_first.map(|part| sampled_s * part);
            if let Some(to_zero_s) = to_zero_s.filter(|to_zero_s| *to_zero_s < to_start_s) {
                to_start_s = to_zero_s;
            }
        }
    }
    if to_end_s >= near_s {
        to_end_s = mean_distance_s / 2.0;
    }
    let mut factor = 1.0;
    if sampled_s != 0.0 {
        factor = (sampled_s + to_start_s + to_end_s) / sampled_s;
    }
    if rate {
        factor /= (window.end_ms - window.start_ms) as f64 / 1000.0;
    }
    Some(factor)
}

/// The same for histograms, bucket by bucket.
fn histograms(window: &Window<'_>, counter: bool, rate: bool, notes: &mut Notes) -> Option<Outcome> {
    let histograms: Vec<Native> = window.histograms.iter().map(|h| Native::new(h)).collect();
    let first = histograms.first()?;
    let times_ms = window.histogram_times_ms;
    let starts_ms = if counter { window.histogram_starts_ms } else { &[] };
    let mut change = match histograms.len() {
        1 => None,
        _ => Some(histogram_change(window, &histograms, starts_ms, counter, notes)?),
    };
    let began_ms = began(window, starts_ms, *times_ms.first()?);
    if began_ms.is_some() {
        match &mut change {
            Some(change) => notes.combined(change.add(first), "addition")?,
            None => change = Some(first.clone()),
        }
    }
    let mut change = change?;
    let (count, first_count) = (change.count.total(), first.count.total());
    let at_first = if counter && count > 0.0 && first_count >= 0.0 { Some(first_count / count) } else { None };
    change.multiply(stretch(window, times_ms, began_ms, at_first, rate)?);
    Some(Outcome::Histogram(change.finish()))
}

fn histogram_change(
    window: &Window<'_>,
    histograms: &[Native],
    starts_ms: &[i64],
    counter: bool,
    notes: &mut Notes,
) -> Option<Native> {
    let (first, second, last) = (histograms.first()?, histograms.get(1)?, histograms.last()?);
    let gauge = |h: &Native| h.hint == CounterReset::Gauge;
    if counter && (gauge(first) || gauge(last)) {
        notes.say(Remark::NotCounter);
    }
    let times_ms = window.histogram_times_ms;
    let anew = |i: usize| {
        let starts = (starts_ms.get(i - 1).copied().unwrap_or(0), starts_ms.get(i).copied().unwrap_or(0));
        began_anew(starts, (times_ms[i - 1], times_ms[i]))
    };
    // What came before a reset right behind it does not matter, not even its layout.
    let reset_at_once = counter && (anew(1) || second.is_reset_after(first));
    let first = if reset_at_once { Native::nothing_like(second) } else { first.clone() };
    if last.is_custom() != first.is_custom() {
        notes.say(Remark::MixedSchemas);
        return None;
    }
    let between = histograms.get(1..histograms.len() - 1).unwrap_or_default();
    let mut schema = last.schema.min(first.schema);
    for histogram in between.iter().filter(|_| counter) {
        if gauge(histogram) {
            notes.say(Remark::NotCounter);
        }
        schema = schema.min(histogram.schema);
        if histogram.is_custom() != first.is_custom() {
            notes.say(Remark::MixedSchemas);
            return None;
        }
    }
    let mut change = last.at_schema(schema);
    notes.combined(change.subtract(&first), "subtraction")?;
    if counter {
        let mut before = &first;
        let mut overlap = false;
        for (i, histogram) in histograms.iter().enumerate().skip(1) {
            let starts = (starts_ms.get(i - 1).copied().unwrap_or(0), starts_ms.get(i).copied().unwrap_or(0));
            overlap |= overlaps(starts, times_ms[i - 1]);
            if anew(i) || histogram.is_reset_after(before) {
                notes.combined(change.add(before), "addition")?;
            }
            before = histogram;
        }
        if overlap {
            notes.say(Remark::Overlap);
        }
    } else if !(gauge(histograms.first()?) && gauge(last)) {
        notes.say(Remark::NotGauge);
    }
    change.hint = CounterReset::Gauge;
    Some(change)
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
