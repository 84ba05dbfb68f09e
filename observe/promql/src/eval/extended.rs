//! `anchored` and `smoothed` windows: `rate`, `increase` and `delta` from what there was at the window's very borders, without
//! extrapolation. Anchored borders take the last sample before them, smoothed ones lie on the line between two samples.

use std::sync::Arc;

use base_signal::{CounterReset, NativeHistogram};

use super::native::Native;
use super::notes::{Notes, Remark};
use super::window::{Outcome, Window};
use crate::syntax::Extension;

/// The value at `time_ms` on the line between two points; a counter that was reset between them began at zero.
pub(super) fn between(before: (i64, f64), after: (i64, f64), time_ms: i64, counter: bool) -> f64 {
    let first = if counter && after.1 < before.1 { 0.0 } else { before.1 };
    first + (after.1 - first) * (time_ms - before.0) as f64 / (after.0 - before.0) as f64
}

/// The same of histograms; `None`, and said so, when they cannot be combined.
pub(super) fn between_histograms(
    before: (i64, &Arc<NativeHistogram>),
    after: (i64, &Arc<NativeHistogram>),
    time_ms: i64,
    counter: bool,
    notes: &mut Notes,
) -> Option<Native> {
    let (first, second) = (Native::new(before.1), Native::new(after.1));
    if first.is_custom() != second.is_custom() {
        notes.say(Remark::MixedSchemas);
        return None;
    }
    if time_ms == before.0 {
        return Some(first);
    }
    if time_ms == after.0 {
        return Some(second);
    }
    let fraction = (time_ms - before.0) as f64 / (after.0 - before.0) as f64;
    let mut found = second.clone();
    if counter && second.is_reset_after(&first) {
        found.multiply(fraction);
        return Some(found);
    }
    notes.combined(found.subtract(&first), "subtraction")?;
    found.multiply(fraction);
    notes.combined(found.add(&first), "addition")?;
    Some(found)
}

/// The places of the first and the last sample that count; `None` when there is nothing in the window.
fn ends(times_ms: &[i64], (start_ms, end_ms): (i64, i64), smoothed: bool) -> Option<(usize, usize)> {
    let mut last = times_ms.len().checked_sub(1)?;
    let before_last = times_ms.get(..last)?;
    let first = before_last.partition_point(|t| *t <= start_ms).saturating_sub(1);
    if smoothed {
        last = before_last.partition_point(|t| *t < end_ms);
    }
    let within = *times_ms.get(last)? > start_ms && !(smoothed && *times_ms.get(first)? > end_ms);
    within.then_some((first, last))
}

fn border(points: &dyn Fn(usize) -> Option<(i64, f64)>, at: usize, time_ms: i64, smoothed: Line) -> Option<f64> {
    let (sample_ms, value) = points(at)?;
    let (before, after) = match smoothed {
        Line::From { counter } if sample_ms < time_ms => (points(at), (points(at + 1), counter)),
        Line::To { counter } if at > 0 && sample_ms > time_ms => (points(at - 1), (points(at), counter)),
        _ => return Some(value),
    };
    Some(between(before?, after.0?, time_ms, after.1))
}

/// Whether a border lies on a line between samples, and on which side its own sample is.
#[derive(Clone, Copy)]
enum Line {
    None,
    From { counter: bool },
    To { counter: bool },
}

pub(super) fn change(window: &Window<'_>, counter: bool, rate: bool, notes: &mut Notes) -> Outcome {
    let found = match (window.values.is_empty(), window.histograms.is_empty()) {
        (false, false) => {
            notes.say(Remark::MixedTypes);
            return Outcome::Nothing;
        }
        (false, true) => float_change(window, counter, rate).map(Outcome::Float),
        (true, false) => histogram_change(window, counter, rate, notes).map(Outcome::Histogram),
        (true, true) => None,
    };
    found.unwrap_or(Outcome::Nothing)
}

fn float_change(window: &Window<'_>, counter: bool, rate: bool) -> Option<f64> {
    let smoothed = window.extension == Some(Extension::Smoothed);
    let (first, last) = ends(window.times_ms, (window.start_ms, window.end_ms), smoothed)?;
    let points = |i: usize| Some((*window.times_ms.get(i)?, *window.values.get(i)?));
    let (from, to) = if smoothed { (Line::From { counter }, Line::To { counter }) } else { (Line::None, Line::None) };
    let left = border(&points, first, window.start_ms, from)?;
    let right = border(&points, last, window.end_ms, to)?;
    let mut change = right - left;
    if counter {
        // What is at or beyond the borders is in them.
        let within_from = first + usize::from(points(first)?.0 <= window.start_ms);
        let within_to = last + usize::from(points(last)?.0 < window.end_ms);
        let mut before = left;
        for value in window.values.get(within_from..within_to).unwrap_or_default().iter().chain([&right]) {
            if *value < before {
                change += before;
            }
            before = *value;
        }
    }
    Some(if rate { change / ((window.end_ms - window.start_ms) as f64 / 1000.0) } else { change })
}

fn histogram_change(window: &Window<'_>, counter: bool, rate: bool, notes: &mut Notes) -> Option<Arc<NativeHistogram>> {
    let smoothed = window.extension == Some(Extension::Smoothed);
    let times_ms = window.histogram_times_ms;
    let (first, last) = ends(times_ms, (window.start_ms, window.end_ms), smoothed)?;
    let point = |i: usize| Some((*times_ms.get(i)?, window.histograms.get(i)?));
    let custom = |h: &NativeHistogram| h.schema == NativeHistogram::CUSTOM_SCHEMA;
    let kind = custom(point(first)?.1);
    for histogram in window.histograms.get(first..=last)? {
        if custom(histogram) != kind {
            notes.say(Remark::MixedSchemas);
            return None;
        }
        if counter && histogram.counter_reset == CounterReset::Gauge {
            notes.say(Remark::NotCounter);
        }
    }
    let from_line = smoothed && point(first)?.0 < window.start_ms;
    let left = match from_line {
        true => between_histograms(point(first)?, point(first + 1)?, window.start_ms, counter, notes)?,
        false => Native::new(point(first)?.1),
    };
    let right = match smoothed && last > 0 && point(last)?.0 > window.end_ms {
        true => between_histograms(point(last - 1)?, point(last)?, window.end_ms, counter, notes)?,
        false => Native::new(point(last)?.1),
    };
    if !counter && [&left, &right].iter().any(|border| border.hint != CounterReset::Gauge) {
        notes.say(Remark::NotGauge);
    }
    let mut change = right.clone();
    notes.combined(change.subtract(&left), "subtraction")?;
    if counter && let Some(lost) = lost_by_resets(window, (first, last), (&left, &right), from_line, notes)? {
        notes.combined(change.add(&lost), "addition")?;
    }
    if rate {
        change.divide((window.end_ms - window.start_ms) as f64 / 1000.0);
    }
    change.hint = CounterReset::Gauge;
    Some(change.finish())
}

/// What counters held when they began anew; the outer `None` when that cannot be added up.
fn lost_by_resets(
    window: &Window<'_>,
    (first, last): (usize, usize),
    (left, right): (&Native, &Native),
    from_line: bool,
    notes: &mut Notes,
) -> Option<Option<Native>> {
    let native = |i: usize| window.histograms.get(i).map(|h| Native::new(h));
    let (mut before, mut next) = (left.clone(), first + 1);
    // A reset that the line at the left border spans is in that border.
    if from_line && native(first + 1)?.is_reset_after(&native(first)?) {
        (before, next) = (native(first + 1)?, next + 1);
    }
    if next > last {
        return Some(None);
    }
    let mut lost: Option<Native> = None;
    let within = (next..last).map(native).chain([Some(right.clone())]);
    for histogram in within {
        let histogram = histogram?;
        if histogram.is_reset_after(&before) {
            match &mut lost {
                Some(lost) => notes.combined(lost.add(&before), "addition")?,
                None => lost = Some(before),
            }
        }
        before = histogram;
    }
    Some(lost)
}

/// The points of a range vector by itself, with the two at its borders.
pub(super) fn borders(points: &[(i64, f64)], (start_ms, end_ms): (i64, i64), smoothed: bool) -> Vec<(i64, f64)> {
    let times_ms: Vec<i64> = points.iter().map(|(time_ms, _)| *time_ms).collect();
    let mut last = match times_ms.len().checked_sub(1) {
        Some(last) => last,
        None => return Vec::new(),
    };
    let first = times_ms[..last].partition_point(|t| *t <= start_ms).saturating_sub(1);
    if smoothed {
        last = times_ms[..last].partition_point(|t| *t < end_ms);
    }
    if times_ms[last] <= start_ms {
        return Vec::new();
    }
    let point = |i: usize| points.get(i).copied();
    let (from, to) = match smoothed {
        true => (Line::From { counter: false }, Line::To { counter: false }),
        false => (Line::None, Line::None),
    };
    let (Some(left), Some(right)) = (border(&point, first, start_ms, from), border(&point, last, end_ms, to)) else {
        return Vec::new();
    };
    let within_from = first + usize::from(times_ms[first] <= start_ms);
    let within_to = last + usize::from(times_ms[last] < end_ms);
    let mut out = vec![(start_ms, left)];
    out.extend_from_slice(points.get(within_from..within_to).unwrap_or_default());
    out.push((end_ms, right));
    out
}
