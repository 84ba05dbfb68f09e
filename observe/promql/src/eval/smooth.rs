//! `x smoothed`: the value between the samples before and after the moment, instead of the last one before it. Range
//! functions are in `extended.rs`.

use std::sync::Arc;

use base_signal::{CounterReset, NativeHistogram, RangeMs};
use observe_source::SelectHints;

use super::column::{Series, Steps};
use super::extended::{between, between_histograms};
use super::notes::{Notes, Remark};
use super::select::Samples;
use super::{Evaluator, Result};
use crate::syntax::{Selector, Span};

/// A value at a moment.
enum Smoothed {
    Float(f64),
    Histogram(Arc<NativeHistogram>),
}

impl Evaluator<'_> {
    pub(super) fn smoothed(
        &mut self,
        selector: &Selector,
        span: Span,
        at: &Steps,
        steps: &Steps,
    ) -> Result<Vec<Series>> {
        let lookback_ms = self.engine.lookback_ms;
        let range = RangeMs::new(at.start_ms - lookback_ms + 1, at.end_ms + lookback_ms);
        let hints = SelectHints { step_ms: at.step_ms, ..SelectHints::default() };
        let (at, stats, mut out) = (*at, self.only_stats(), Vec::new());
        self.for_each_series(&selector.matchers, range, hints, |evaluator, labels, rows| {
            let samples = rows.samples(stats);
            let mut series = evaluator.column(labels.clone(), &at)?;
            let mut notes = Notes::default();
            for step in 0..at.count {
                let value = smooth(&samples, at.time_ms(step), lookback_ms, &mut notes);
                for remark in notes.take() {
                    evaluator.remark(span, remark, labels);
                }
                match value {
                    Some(Smoothed::Float(value)) => series.values[step] = value,
                    Some(Smoothed::Histogram(histogram)) => series.set_histogram(step, histogram),
                    None => {}
                }
            }
            if !series.is_empty() {
                out.push(series);
            }
            Ok(())
        })?;
        if at.count == 1 && steps.count > 1 {
            out = out.into_iter().map(|series| self.repeated(series, steps)).collect::<Result<_>>()?;
        }
        Ok(out)
    }
}

fn smooth(samples: &Samples, time_ms: i64, lookback_ms: i64, notes: &mut Notes) -> Option<Smoothed> {
    let near = |times_ms: &[i64]| {
        let from = times_ms.partition_point(|t| *t <= time_ms - lookback_ms);
        let to = times_ms.partition_point(|t| *t <= time_ms + lookback_ms);
        (from, times_ms.partition_point(|t| *t < time_ms), to)
    };
    let (from, next, to) = near(&samples.times_ms);
    let (histograms_from, next_histogram, histograms_to) = near(&samples.histogram_times_ms);
    match (from < to, histograms_from < histograms_to) {
        (false, false) => return None,
        (true, true) => {
            notes.say(Remark::MixedTypes);
            return None;
        }
        (true, false) => {
            let point = |i: usize| Some((*samples.times_ms.get(i)?, *samples.values.get(i)?)).filter(|_| i < to);
            let (before, after) = (next.checked_sub(1).filter(|i| *i >= from).and_then(point), point(next));
            return match (before, after) {
                (_, Some((after_ms, value))) if after_ms == time_ms => Some(Smoothed::Float(value)),
                (Some(before), Some(after)) => Some(Smoothed::Float(between(before, after, time_ms, false))),
                (Some((_, value)), None) => Some(Smoothed::Float(value)),
                (None, _) => None,
            };
        }
        (false, true) => {}
    }
    let point = |i: usize| {
        Some((*samples.histogram_times_ms.get(i)?, samples.histograms.get(i)?)).filter(|_| i < histograms_to)
    };
    let before = next_histogram.checked_sub(1).filter(|i| *i >= histograms_from).and_then(point);
    match (before, point(next_histogram)) {
        (_, Some((after_ms, histogram))) if after_ms == time_ms => Some(Smoothed::Histogram(histogram.clone())),
        (Some(before), Some(after)) => {
            let gauges = [before.1, after.1].iter().all(|h| h.counter_reset == CounterReset::Gauge);
            let found = between_histograms(before, after, time_ms, !gauges, notes)?;
            Some(Smoothed::Histogram(found.finish()))
        }
        (Some((_, histogram)), None) => {
            let histogram = NativeHistogram { counter_reset: CounterReset::Unknown, ..(**histogram).clone() };
            Some(Smoothed::Histogram(Arc::new(histogram)))
        }
        (None, _) => None,
    }
}
