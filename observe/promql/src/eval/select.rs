//! Selectors: samples of the source to columns. The source's batches are turned into columns one by one, so the raw samples
//! of a query are never in memory at once.

use std::sync::Arc;

use base_signal::{Labels, NativeHistogram, RangeMs, is_stale_nan};
use observe_source::{MetricBatch, Reservation, SelectHints, SelectMetrics};

use super::column::{Series, Steps, missing};
use super::{Evaluator, Result, execution};
use crate::answer::SeriesPoints;
use crate::plan;
use crate::syntax::{Expr, ExprKind, RangeSelector, Selector};

/// What of the found sample an instant selector returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Value,
    /// The sample's own time in seconds: `timestamp(x)`.
    Time,
}

/// The samples of one series, stale markers left out, floats and histograms apart.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) times_ms: Vec<i64>,
    pub(super) values: Vec<f64>,
    pub(super) histogram_times_ms: Vec<i64>,
    pub(super) histograms: Vec<Arc<NativeHistogram>>,
    /// For samples that outlive the batch they came from.
    pub(super) _charge: Option<Reservation>,
}

/// The rows of one series in a batch.
struct Rows<'b> {
    times_ms: &'b [i64],
    values: &'b [f64],
    histograms: &'b [(usize, NativeHistogram)],
    first_row: usize,
}

impl Rows<'_> {
    fn histogram(&self, row: usize) -> Option<&NativeHistogram> {
        let wanted = self.first_row + row;
        let found = self.histograms.binary_search_by_key(&wanted, |(row, _)| *row).ok()?;
        self.histograms.get(found).map(|(_, histogram)| histogram)
    }
}

impl Evaluator<'_> {
    pub(super) fn instant_selector(
        &mut self,
        selector: &Selector,
        steps: &Steps,
        wanted: Wanted,
    ) -> Result<Vec<Series>> {
        refuse_extension(selector)?;
        let reading = self.modifiers(&selector.modifiers)?;
        let at = reading.steps(steps);
        if at.count == 0 {
            return Ok(Vec::new());
        }
        let lookback_ms = self.engine.lookback_ms;
        let range = RangeMs::new(at.start_ms - lookback_ms + 1, at.end_ms);
        let mut out = Vec::new();
        self.for_each_series(selector, range, SelectHints { step_ms: steps.step_ms, ..SelectHints::default() }, {
            let out = &mut out;
            move |evaluator, labels, rows| {
                let mut series = evaluator.column(labels.clone(), &at)?;
                let mut next = 0;
                for step in 0..at.count {
                    let time_ms = at.time_ms(step);
                    while rows.times_ms.get(next).is_some_and(|t| *t <= time_ms) {
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
                        _ if wanted == Wanted::Time => series.values[step] = sample_ms as f64 / 1000.0,
                        Some(histogram) => series.set_histogram(step, Arc::new(histogram.clone())),
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
        function: &str,
        mut each: impl FnMut(&mut Self, &Labels, Samples) -> Result<()>,
    ) -> Result<()> {
        refuse_extension(&range.selector)?;
        if at.count == 0 {
            return Ok(());
        }
        let hints = SelectHints {
            step_ms: at.step_ms,
            function: Some(function.to_owned()),
            window_ms,
            ..SelectHints::default()
        };
        let read = RangeMs::new(at.start_ms - window_ms + 1, at.end_ms);
        self.for_each_series(&range.selector, read, hints, |evaluator, labels, rows| {
            let mut samples = Samples::default();
            for (row, time_ms) in rows.times_ms.iter().enumerate() {
                match rows.histogram(row) {
                    Some(histogram) if histogram.is_stale() => {}
                    Some(histogram) => {
                        samples.histogram_times_ms.push(*time_ms);
                        samples.histograms.push(Arc::new(histogram.clone()));
                    }
                    None if is_stale_nan(rows.values[row]) => {}
                    None => {
                        samples.times_ms.push(*time_ms);
                        samples.values.push(rows.values[row]);
                    }
                }
            }
            if samples.times_ms.is_empty() && samples.histograms.is_empty() {
                return Ok(());
            }
            each(evaluator, labels, samples)
        })
    }

    fn for_each_series(
        &mut self,
        selector: &Selector,
        range: RangeMs,
        hints: SelectHints,
        mut each: impl FnMut(&mut Self, &Labels, Rows<'_>) -> Result<()>,
    ) -> Result<()> {
        let request = SelectMetrics {
            tenant: self.query.tenant,
            matchers: &selector.matchers,
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
            each(self, labels, Rows { times_ms, values, histograms, first_row: rows.start })?;
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
                self.for_each_samples(range, &at, window_ms, "", |_, labels, samples| {
                    let points: Vec<_> = samples.times_ms.iter().copied().zip(samples.values).collect();
                    charges.push(budget.reserve(points.len() as u64 * 16)?);
                    let histograms = samples.histogram_times_ms.iter().copied().zip(samples.histograms).collect();
                    out.push(SeriesPoints { labels: labels.clone(), points, histograms });
                    Ok(())
                })?;
            }
            ExprKind::Subquery(subquery) => {
                let window_ms = plan::duration_ms(&subquery.range, &self.outer, false)?;
                let at = self.modifiers(&subquery.modifiers)?.steps(&steps);
                for (labels, samples) in self.subquery(subquery, &at, window_ms)? {
                    let points = samples.times_ms.iter().copied().zip(samples.values).collect();
                    let histograms = samples.histogram_times_ms.iter().copied().zip(samples.histograms).collect();
                    out.push(SeriesPoints { labels, points, histograms });
                }
            }
            _ => return execution("a range vector was wanted"),
        }
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(out)
    }
}

fn refuse_extension(selector: &Selector) -> Result<()> {
    match selector.extension {
        Some(extension) => {
            execution(format!("the {} modifier is not supported yet", format!("{extension:?}").to_lowercase()))
        }
        None => Ok(()),
    }
}
