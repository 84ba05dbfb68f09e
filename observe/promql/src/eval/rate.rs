//! How fast something changes: `rate`, `increase`, `delta` with Prometheus' extrapolation to the window's borders,
//! `irate`, `idelta`, `resets`, `changes`, `deriv`, `predict_linear`.

use base_signal::CounterReset;

use super::math::linear_regression;
use super::native::{Native, Unfit};
use super::window::{Outcome, RangeFunction, Remark, Window};

pub(super) fn find(name: &str) -> Option<RangeFunction> {
    let (compute, floats_only): (fn(&Window<'_>) -> Outcome, bool) = match name {
        "rate" => (|w| extrapolated(w, true, true), false),
        "increase" => (|w| extrapolated(w, true, false), false),
        "delta" => (|w| extrapolated(w, false, false), false),
        "irate" => (|w| last_two(w, true), false),
        "idelta" => (|w| last_two(w, false), false),
        "resets" => (|w| count_pairs(w, |a, b| b < a, |a, b| b.is_reset_after(a)), false),
        "changes" => (|w| count_pairs(w, |a, b| a != b && !(a.is_nan() && b.is_nan()), |a, b| Ok(!b.equals(a))), false),
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
            (true, _) => extrapolated_histograms(window, is_counter, is_rate),
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
    let at_first = if *first >= 0.0 && change > 0.0 { Some(first / change) } else { None };
    let factor = stretch(window, (*first_ms, *last_ms), values.len(), at_first.filter(|_| is_counter), is_rate);
    Outcome::Float(change * factor)
}

/// By how much a change grows when it is stretched to the window's borders, or per second of the window. `at_first` is
/// what a counter held at its first sample, in parts of the change: it tells how long ago the counter was at zero.
fn stretch(
    window: &Window<'_>,
    (first_ms, last_ms): (i64, i64),
    samples: usize,
    at_first: Option<f64>,
    is_rate: bool,
) -> f64 {
    let mut to_start_s = (first_ms - window.start_ms) as f64 / 1000.0;
    let mut to_end_s = (window.end_ms - last_ms) as f64 / 1000.0;
    let sampled_s = (last_ms - first_ms) as f64 / 1000.0;
    let mean_distance_s = sampled_s / (samples - 1) as f64;
    let near_s = mean_distance_s * 1.1;
    if to_start_s >= near_s {
        to_start_s = mean_distance_s / 2.0;
    }
    if let Some(to_zero_s) = at_first.map(|part| sampled_s * part).filter(|to_zero_s| *to_zero_s < to_start_s) {
        to_start_s = to_zero_s;
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
    factor
}

/// The same for two or more histograms, bucket by bucket.
fn extrapolated_histograms(window: &Window<'_>, is_counter: bool, is_rate: bool) -> Outcome {
    let histograms: Vec<Native> = window.histograms.iter().map(|h| Native::new(h)).collect();
    let ([first, .., last], [first_ms, .., last_ms]) = (histograms.as_slice(), window.histogram_times_ms) else {
        return Outcome::Nothing;
    };
    let gauge = |h: &Native| h.hint == CounterReset::Gauge;
    let remark = match is_counter {
        true if histograms.iter().any(gauge) => Some(Remark::NotCounter),
        false if !(gauge(first) && gauge(last)) => Some(Remark::NotGauge),
        _ => None,
    };
    let mut change = match histogram_change(&histograms, is_counter) {
        Ok(change) => change,
        Err(unfit) => return Outcome::combined(Err(unfit)),
    };
    let (count, first_count) = (change.count.total(), first.count.total());
    let at_first = if count > 0.0 && first_count >= 0.0 { Some(first_count / count) } else { None };
    let times_ms = (*first_ms, *last_ms);
    change.multiply(stretch(window, times_ms, histograms.len(), at_first.filter(|_| is_counter), is_rate));
    match remark {
        Some(remark) => Outcome::Remarked(Some(change.finish()), remark),
        None => Outcome::Histogram(change.finish()),
    }
}

fn histogram_change(histograms: &[Native], is_counter: bool) -> Result<Native, Unfit> {
    let [first, second, ..] = histograms else { return Err(Unfit::Unsupported) };
    let last = histograms.last().unwrap_or(second);
    // What came before a reset right behind it does not matter, not even its layout.
    let first = if is_counter && second.is_reset_after(first)? { Native::nothing_like(second) } else { first.clone() };
    let between = histograms.get(1..histograms.len() - 1).unwrap_or_default();
    if is_counter && between.iter().any(|h| h.is_custom() != first.is_custom()) {
        return Err(Unfit::Mixed);
    }
    let mut change = last.clone();
    change.subtract(&first)?;
    if is_counter {
        let mut before = &first;
        for histogram in &histograms[1..] {
            if histogram.is_reset_after(before)? {
                change.add(before)?;
            }
            before = histogram;
        }
    }
    change.hint = CounterReset::Gauge;
    Ok(change)
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
        (true, true) => return last_two_histograms(window, is_rate),
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

fn last_two_histograms(window: &Window<'_>, is_rate: bool) -> Outcome {
    let (Some([before, last]), Some([before_ms, last_ms])) =
        (window.histograms.last_chunk::<2>(), window.histogram_times_ms.last_chunk::<2>())
    else {
        return Outcome::Nothing;
    };
    let (before, last) = (Native::new(before), Native::new(last));
    let gauges = [&before, &last].map(|h| h.hint == CounterReset::Gauge);
    let remark = match is_rate {
        true if gauges.contains(&true) => Some(Remark::NotCounter),
        false if gauges.contains(&false) => Some(Remark::NotGauge),
        _ => None,
    };
    let change = || {
        let mut change = last.clone();
        if !is_rate || !last.is_reset_after(&before)? {
            change.subtract(&before)?;
        }
        Ok(change)
    };
    let mut change = match change() {
        Ok(change) => change,
        Err(unfit) => return Outcome::combined(Err(unfit)),
    };
    change.hint = CounterReset::Gauge;
    if is_rate {
        change.divide((last_ms - before_ms) as f64 / 1000.0);
    }
    match remark {
        Some(remark) => Outcome::Remarked(Some(change.finish()), remark),
        None => Outcome::Histogram(change.finish()),
    }
}

/// Counts neighbours; a float beside a histogram always counts.
fn count_pairs(
    window: &Window<'_>,
    floats: impl Fn(f64, f64) -> bool,
    histograms: impl Fn(&Native, &Native) -> Result<bool, Unfit>,
) -> Outcome {
    if window.histograms.is_empty() {
        return Outcome::Float(window.values.windows(2).filter(|pair| floats(pair[0], pair[1])).count() as f64);
    }
    let of_floats = window.times_ms.iter().zip(window.values).map(|(t, value)| (*t, Err(*value)));
    let of_histograms = window.histogram_times_ms.iter().zip(window.histograms).map(|(t, h)| (*t, Ok(Native::new(h))));
    let mut samples: Vec<_> = of_floats.chain(of_histograms).collect();
    samples.sort_by_key(|(time_ms, _)| *time_ms);
    let mut count = 0.0;
    for pair in samples.windows(2) {
        let counts = match (&pair[0].1, &pair[1].1) {
            (Err(before), Err(after)) => Ok(floats(*before, *after)),
            (Ok(before), Ok(after)) => histograms(before, after),
            _ => Ok(true),
        };
        match counts {
            Ok(counts) => count += f64::from(u8::from(counts)),
            Err(unfit) => return Outcome::combined(Err(unfit)),
        }
    }
    Outcome::Float(count)
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
