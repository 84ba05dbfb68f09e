//! Functions of neighbouring samples: `irate`, `idelta`, `resets`, `changes`; and what two samples say of when their counter
//! began.

use base_signal::CounterReset;

use super::native::Native;
use super::notes::{Notes, Remark};
use super::window::{Outcome, RangeFunction, Window};
use crate::syntax::Extension;

pub(super) fn find(name: &str) -> Option<RangeFunction> {
    let compute: fn(&Window<'_>, &mut Notes) -> Outcome = match name {
        "irate" => |w, notes| last_two(w, true, notes).unwrap_or(Outcome::Nothing),
        "idelta" => |w, notes| last_two(w, false, notes).unwrap_or(Outcome::Nothing),
        "resets" => |w, _| {
            count_pairs(w, |before, after| {
                began_anew((before.start_ms, after.start_ms), (before.time_ms, after.time_ms))
                    || match (&before.value, &after.value) {
                        (Value::Float(before), Value::Float(after)) => after < before,
                        (Value::Histogram(before), Value::Histogram(after)) => after.is_reset_after(before),
                        _ => true,
                    }
            })
        },
        "changes" => |w, _| {
            count_pairs(w, |before, after| match (&before.value, &after.value) {
                (Value::Float(a), Value::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
                (Value::Histogram(a), Value::Histogram(b)) => !b.equals(a),
                _ => true,
            })
        },
        _ => return None,
    };
    Some(RangeFunction { compute, floats_only: false })
}

/// Whether a counter began anew between two samples, by when they say that it began. A start at or behind the sample's own
/// time, or before the sample before, says nothing.
pub(super) fn began_anew((before_ms, start_ms): (i64, i64), (earlier_ms, time_ms): (i64, i64)) -> bool {
    if before_ms == start_ms || start_ms == 0 || start_ms >= time_ms || start_ms < earlier_ms {
        return false;
    }
    // A start right at the sample before it is that of a delta, unless that sample did not know its own start.
    start_ms > earlier_ms || (before_ms <= earlier_ms && before_ms != 0 && before_ms != earlier_ms)
}

pub(super) fn overlaps((before_ms, start_ms): (i64, i64), earlier_ms: i64) -> bool {
    start_ms != 0 && start_ms < earlier_ms && start_ms != before_ms
}

enum Value {
    Float(f64),
    Histogram(Box<Native>),
}

struct Sample {
    time_ms: i64,
    /// 0 when not known.
    start_ms: i64,
    value: Value,
}

/// Floats and histograms in the order of their times, from the places given.
fn samples(window: &Window<'_>, from: usize, histograms_from: usize) -> Vec<Sample> {
    let float = |i: usize| Sample {
        time_ms: window.times_ms[i],
        start_ms: window.starts_ms.get(i).copied().unwrap_or(0),
        value: Value::Float(window.values[i]),
    };
    let histogram = |i: usize| Sample {
        time_ms: window.histogram_times_ms[i],
        start_ms: window.histogram_starts_ms.get(i).copied().unwrap_or(0),
        value: Value::Histogram(Box::new(Native::new(&window.histograms[i]))),
    };
    let floats = (from..window.values.len()).map(float);
    let mut samples: Vec<_> = floats.chain((histograms_from..window.histograms.len()).map(histogram)).collect();
    if !window.histograms.is_empty() {
        samples.sort_by_key(|sample| sample.time_ms);
    }
    samples
}

fn count_pairs(window: &Window<'_>, counts: impl Fn(&Sample, &Sample) -> bool) -> Outcome {
    let mut samples = samples(window, 0, 0);
    if window.extension == Some(Extension::Anchored) {
        let within = samples.partition_point(|sample| sample.time_ms <= window.start_ms);
        if within == samples.len() {
            return Outcome::Nothing;
        }
        // The last sample before the window is what it begins with.
        samples.drain(..within.saturating_sub(1));
    }
    Outcome::Float(samples.windows(2).filter(|pair| counts(&pair[0], &pair[1])).count() as f64)
}

fn last_two(window: &Window<'_>, rate: bool, notes: &mut Notes) -> Option<Outcome> {
    let back = |count: usize| count.saturating_sub(2);
    let samples = samples(window, back(window.values.len()), back(window.histograms.len()));
    let [before, last] = samples.last_chunk::<2>()?;
    if last.time_ms == before.time_ms {
        return None;
    }
    let seconds = (last.time_ms - before.time_ms) as f64 / 1000.0;
    let anew = began_anew((before.start_ms, last.start_ms), (before.time_ms, last.time_ms));
    match (&before.value, &last.value) {
        (Value::Float(first), Value::Float(second)) => {
            // After a reset the counter began at zero.
            let change = if rate && (anew || second < first) { *second } else { second - first };
            Some(Outcome::Float(if rate { change / seconds } else { change }))
        }
        (Value::Histogram(first), Value::Histogram(second)) => {
            let gauges = [first, second].map(|histogram| histogram.hint == CounterReset::Gauge);
            match rate {
                true if gauges.contains(&true) => notes.say(Remark::NotCounter),
                false if gauges.contains(&false) => notes.say(Remark::NotGauge),
                _ => {}
            }
            let mut change = (**second).clone();
            if !rate || !(anew || second.is_reset_after(first)) {
                notes.combined(change.subtract(first), "subtraction")?;
            }
            change.hint = CounterReset::Gauge;
            if rate {
                change.divide(seconds);
            }
            Some(Outcome::Histogram(change.finish()))
        }
        _ => {
            notes.say(Remark::MixedTypes);
            None
        }
    }
}
