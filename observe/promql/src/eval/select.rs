//! Selectors: samples of the source to columns. The source's batches are turned into columns one by one, so the raw samples
//! of a query are never in memory at once.

use std::sync::Arc;

use base_signal::{Buckets, CounterReset, Labels, Matcher, NativeHistogram, RangeMs, is_stale_nan};
use observe_source::{MetricBatch, Reservation, SelectHints, SelectMetrics};

use super::column::{Series, Steps, missing};
use super::native::Native;
use super::window::Reach;
use super::{Evaluator, Result, execution, extended, names};
use crate::answer::SeriesPoints;
use crate::plan;
use crate::syntax::{Expr, ExprKind, Extension, RangeSelector, Selector, Span};

/// What of the found sample an instant selector returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Value,
    /// The sample's own time in seconds: `timestamp(x)`.
    Time,
    /// As above for floats, histograms as they are.
    FloatTime,
    /// When what the sample counts began, in seconds: `start_timestamp(x)`.
    Start,
}

/// The samples of one series, stale markers left out, floats and histograms apart.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) times_ms: Vec<i64>,
    pub(super) values: Vec<f64>,
    pub(super) histogram_times_ms: Vec<i64>,
    pub(super) histograms: Vec<Arc<NativeHistogram>>,
    /// When what a sample counts began, 0 where that is not known; empty where no sample tells.
    pub(super) starts_ms: Vec<i64>,
    pub(super) histogram_starts_ms: Vec<i64>,
    /// The name is no longer the samples' own: they come of a subquery.
    pub(super) drop_name: bool,
    /// For samples that outlive the batch they came from.
    pub(super) _charge: Option<Reservation>,
}

/// The rows of one series in a batch.
pub(super) struct Rows<'b> {
    times_ms: &'b [i64],
    values: &'b [f64],
    histograms: &'b [(usize, NativeHistogram)],
    starts: &'b [(usize, i64)],
    first_row: usize,
}

impl Rows<'_> {
    fn start_ms(&self, row: usize) -> i64 {
        let wanted = self.first_row + row;
        let found = self.starts.binary_search_by_key(&wanted, |(row, _)| *row);
        found.ok().and_then(|found| self.starts.get(found)).map_or(0, |(_, start_ms)| *start_ms)
    }

    /// All but stale markers, floats and histograms apart.
    pub(super) fn samples(&self, stats: bool) -> Samples {
        let mut samples = Samples::default();
        // Nearly all series: floats, none of them a marker.
        if self.histograms.is_empty() && self.starts.is_empty() && !self.values.iter().copied().any(is_stale_nan) {
            (samples.times_ms, samples.values) = (self.times_ms.to_vec(), self.values.to_vec());
            return samples;
        }
        let mut reader = Reader::new(stats, i64::MAX);
        for (row, time_ms) in self.times_ms.iter().enumerate() {
            match self.histogram(row) {
                Some(histogram) if histogram.is_stale() => {}
                Some(histogram) => {
                    samples.histogram_times_ms.push(*time_ms);
                    samples.histograms.push(reader.read(*time_ms, histogram));
                    if !self.starts.is_empty() {
                        samples.histogram_starts_ms.push(self.start_ms(row));
                    }
                }
                None if is_stale_nan(self.values[row]) => {}
                None => {
                    samples.times_ms.push(*time_ms);
                    samples.values.push(self.values[row]);
                    if !self.starts.is_empty() {
                        samples.starts_ms.push(self.start_ms(row));
                    }
                }
            }
        }
        samples
    }

    fn histogram(&self, row: usize) -> Option<&NativeHistogram> {
        let wanted = self.first_row + row;
        let found = self.histograms.binary_search_by_key(&wanted, |(row, _)| *row).ok()?;
        self.histograms.get(found).map(|(_, histogram)| histogram)
    }
}

/// Reads histograms as Prometheus' storage hands them out: that a counter was reset is found by comparison, whatever was
/// said when it was written. Where only counts and sums are asked for, buckets are left out and the comparison is made
/// here, once, between neighbours.
struct Reader {
    stats: bool,
    /// Neighbours further apart than this are not compared.
    apart_ms: i64,
    before: Option<(i64, Native)>,
}

impl Reader {
    fn new(stats: bool, apart_ms: i64) -> Self {
        Reader { stats, apart_ms, before: None }
    }

    fn read(&mut self, time_ms: i64, histogram: &NativeHistogram) -> Arc<NativeHistogram> {
        let mut hint = histogram.counter_reset;
        if hint == CounterReset::Reset {
            hint = CounterReset::Unknown;
        }
        if !self.stats {
            return Arc::new(NativeHistogram { counter_reset: hint, ..histogram.clone() });
        }
        let mut native = Native::new(histogram);
        native.hint = hint;
        let near = |before_ms: i64| time_ms.saturating_sub(before_ms) <= self.apart_ms;
        if let (CounterReset::Unknown, Some((_, before))) = (hint, self.before.as_ref().filter(|b| near(b.0))) {
            hint = if native.is_reset_after(before) { CounterReset::Reset } else { CounterReset::NoReset };
        }
        self.before = Some((time_ms, native));
        Arc::new(NativeHistogram {
            schema: histogram.schema,
            counter_reset: hint,
            zero_threshold: 0.0,
            sum: histogram.sum,
            positive_runs: Vec::new(),
            negative_runs: Vec::new(),
            buckets: Buckets::Float {
                count: histogram.count(),
                zero_count: 0.0,
                positive: Vec::new(),
                negative: Vec::new(),
            },
            custom_bounds: Vec::new(),
        })
    }
}

impl Evaluator<'_> {
    pub(super) fn instant_selector(
        &mut self,
        selector: &Selector,
        span: Span,
        steps: &Steps,
        wanted: Wanted,
    ) -> Result<Vec<Series>> {
        let reading = self.modifiers(&selector.modifiers)?;
        let at = reading.steps(steps);
        if at.count == 0 {
            return Ok(Vec::new());
        }
        // When a sample was is asked of samples that there are, not of points on a line between them.
        if selector.extension == Some(Extension::Smoothed) && !matches!(wanted, Wanted::Time | Wanted::Start) {
            return self.smoothed(selector, span, &at, steps);
        }
        self.selected(&selector.matchers, reading, steps, wanted)
    }

    /// The last sample before each step of all series that match.
    pub(super) fn selected(
        &mut self,
        matchers: &[Matcher],
        reading: plan::Reading,
        steps: &Steps,
        wanted: Wanted,
    ) -> Result<Vec<Series>> {
        let at = reading.steps(steps);
        if at.count == 0 {
            return Ok(Vec::new());
        }
        let lookback_ms = self.engine.lookback_ms;
        let range = RangeMs::new(at.start_ms - lookback_ms + 1, at.end_ms);
        let mut out = Vec::new();
        self.for_each_series(matchers, range, SelectHints { step_ms: steps.step_ms, ..SelectHints::default() }, {
            let out = &mut out;
            move |evaluator, labels, rows| {
                let mut series = evaluator.column(labels.clone(), &at)?;
                let mut reader = Reader::new(evaluator.only_stats(), lookback_ms);
                let (mut next, mut read) = (0, None);
                for step in 0..at.count {
                    let time_ms = at.time_ms(step);
                    while let Some(sample_ms) = rows.times_ms.get(next).filter(|t| **t <= time_ms) {
                        if reader.stats
                            && let Some(histogram) = rows.histogram(next).filter(|h| !h.is_stale())
                        {
                            read = Some((next, reader.read(*sample_ms, histogram)));
                        }
                        next += 1;
                    }
                    let Some(row) = next.checked_sub(1) else { continue };
                    let (sample_ms, value) = (rows.times_ms[row], rows.values[row]);
                    if sample_ms <= time_ms - lookback_ms {
                        continue;
                    }
                    match rows.histogram(row) {
                        Some(histogram) if histogram.is_stale() => {}
                        None if is_stale_nan(value) => {}
                        None if wanted == Wanted::FloatTime => series.values[step] = sample_ms as f64 / 1000.0,
                        _ if wanted == Wanted::Time => series.values[step] = sample_ms as f64 / 1000.0,
                        _ if wanted == Wanted::Start => series.values[step] = rows.start_ms(row) as f64 / 1000.0,
                        Some(histogram) => {
                            let known = read.as_ref().filter(|(of, _)| *of == row).map(|(_, read)| read.clone());
                            series.set_histogram(step, known.unwrap_or_else(|| reader.read(sample_ms, histogram)));
                        }
                        None => series.values[step] = value,
                    }
                }
                if !series.is_empty() {
                    out.push(series);
                }
                Ok(())
            }
        })?;
        if reading.fixed_ms.is_some() && steps.count > 1 {
            out = out.into_iter().map(|series| self.repeated(series, steps)).collect::<Result<_>>()?;
        }
        Ok(out)
    }

    /// One value at all steps.
    pub(super) fn repeated(&self, one: Series, steps: &Steps) -> Result<Series> {
        let mut series = self.column(one.labels.clone(), steps)?;
        series.values.fill(one.values.first().copied().unwrap_or_else(missing));
        series.histograms = one.histogram(0).map(|histogram| vec![Some(histogram.clone()); steps.count]);
        Ok(series)
    }

    /// Hands the samples of each series to `each`; the windows of all steps are within.
    pub(super) fn for_each_samples(
        &mut self,
        range: &RangeSelector,
        at: &Steps,
        window_ms: i64,
        reach: Reach,
        function: &str,
        mut each: impl FnMut(&mut Self, &Labels, Samples) -> Result<()>,
    ) -> Result<()> {
        if at.count == 0 {
            return Ok(());
        }
        let hints = SelectHints {
            step_ms: at.step_ms,
            function: Some(function.to_owned()),
            window_ms: window_ms + reach.before_ms + reach.after_ms,
            ..SelectHints::default()
        };
        let read = RangeMs::new(at.start_ms - window_ms - reach.before_ms + 1, at.end_ms + reach.after_ms);
        let stats = self.only_stats();
        self.for_each_series(&range.selector.matchers, read, hints, |evaluator, labels, rows| {
            let samples = rows.samples(stats);
            if samples.times_ms.is_empty() && samples.histograms.is_empty() {
                return Ok(());
            }
            each(evaluator, labels, samples)
        })
    }

    pub(super) fn for_each_series(
        &mut self,
        matchers: &[Matcher],
        range: RangeMs,
        hints: SelectHints,
        mut each: impl FnMut(&mut Self, &Labels, Rows<'_>) -> Result<()>,
    ) -> Result<()> {
        let request = SelectMetrics {
            tenant: self.query.tenant,
            matchers,
            range,
            hints,
            budget: self.query.budget,
            cancel: self.query.cancel,
        };
        let mut batches = self.source.select(&request)?;
        while let Some(batch) = batches.next()? {
            self.query.cancel.check()?;
            let _charge = self.budget().reserve(batch.size_bytes() as u64)?;
            self.batch(&batch, &mut each)?;
        }
        self.annotations.merge(batches.annotations());
        Ok(())
    }

    fn batch(
        &mut self,
        batch: &MetricBatch,
        each: &mut impl FnMut(&mut Self, &Labels, Rows<'_>) -> Result<()>,
    ) -> Result<()> {
        for (i, labels) in batch.series.iter().enumerate() {
            let rows = batch.rows(i);
            let first = batch.histograms.partition_point(|(row, _)| *row < rows.start);
            let last = batch.histograms.partition_point(|(row, _)| *row < rows.end);
            let columns =
                (batch.times_ms.get(rows.clone()), batch.values.get(rows.clone()), batch.histograms.get(first..last));
            let (Some(times_ms), Some(values), Some(histograms)) = columns else {
                return execution(format!("the source returned a broken batch for {}", super::names::show(labels)));
            };
            let starts_from = batch.starts.partition_point(|(row, _)| *row < rows.start);
            let starts_to = batch.starts.partition_point(|(row, _)| *row < rows.end);
            let starts = batch.starts.get(starts_from..starts_to).unwrap_or_default();
            each(self, labels, Rows { times_ms, values, histograms, starts, first_row: rows.start })?;
        }
        Ok(())
    }

    /// A range vector by itself, which only an instant query can answer.
    pub(crate) fn matrix(&mut self, expr: &Expr) -> Result<Vec<SeriesPoints>> {
        let steps = self.outer;
        let mut out = Vec::new();
        match &expr.unwrapped().kind {
            ExprKind::Range(range) => {
                let window_ms = plan::duration_ms(&range.range, &self.outer, false)?;
                let at = self.modifiers(&range.selector.modifiers)?.steps(&steps);
                let budget = self.budget();
                let mut charges = Vec::new();
                let extension = range.selector.extension;
                let reach = extension.map(|extension| self.reach_of(extension)).unwrap_or_default();
                let borders = (at.start_ms - window_ms, at.start_ms);
                self.for_each_samples(range, &at, window_ms, reach, "", |_, labels, samples| {
                    let mut points: Vec<_> = samples.times_ms.iter().copied().zip(samples.values).collect();
                    charges.push(budget.reserve(points.len() as u64 * 16)?);
                    if let Some(extension) = extension {
                        if !samples.histograms.is_empty() {
                            let word = format!("{extension:?}").to_lowercase();
                            return execution(format!("{word} modifier is not supported with histograms"));
                        }
                        points = extended::borders(&points, borders, extension == Extension::Smoothed);
                    }
                    let histograms: Vec<_> =
                        samples.histogram_times_ms.iter().copied().zip(samples.histograms).collect();
                    if !points.is_empty() || !histograms.is_empty() {
                        out.push(SeriesPoints { labels: labels.clone(), points, histograms });
                    }
                    Ok(())
                })?;
            }
            ExprKind::Subquery(subquery) => {
                let window_ms = plan::duration_ms(&subquery.range, &self.outer, false)?;
                let at = self.modifiers(&subquery.modifiers)?.steps(&steps);
                for (labels, samples) in self.subquery(subquery, &at, window_ms)? {
                    let points = samples.times_ms.iter().copied().zip(samples.values).collect();
                    let histograms = samples.histogram_times_ms.iter().copied().zip(samples.histograms).collect();
                    let labels = if samples.drop_name { names::without_name(&labels) } else { labels };
                    out.push(SeriesPoints { labels, points, histograms });
                }
            }
            _ => return execution("a range vector was wanted"),
        }
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        if out.windows(2).any(|pair| pair[0].labels == pair[1].labels) {
            return execution("vector cannot contain metrics with the same labelset");
        }
        Ok(out)
    }
}
