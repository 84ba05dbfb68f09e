//! Histograms: quantiles and fractions of classic buckets, and the parts of native ones.
//!
//! Classic buckets are series that differ only in `le`; they are put together by the rest of their labels once per query.

use ahash::HashMap;
use base_signal::Labels;

use super::column::{Series, Steps, is_missing, merge_same_labels};
use super::native::Native;
use super::native_read::Nans;
use super::{Evaluated, Evaluator, Result, cumulative, dates, names};
use crate::syntax::{Call, Span, quote};

/// The buckets of one histogram: upper bound and the place of the series, ascending by bound.
struct Classic {
    labels: Labels,
    bounds: Vec<(f64, usize)>,
    /// Steps at which there is a native histogram of the same labels: neither is then right.
    conflicts: Vec<usize>,
}

/// The histograms among the series of a vector.
struct Input {
    series: Vec<Series>,
    /// Places of the series that hold native ones.
    native: Vec<usize>,
    classic: Vec<Classic>,
    span: Span,
}

/// Where counts had to be raised because a larger bucket held less than a smaller one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forced {
    from_bound: f64,
    to_bound: f64,
    difference_max: f64,
    first_ms: i64,
    last_ms: i64,
    count: usize,
}

/// What of a native histogram at a step, by its metric's name.
type OfNative<'a> = dyn FnMut(usize, &Native, &str) -> Option<(f64, Option<Nans>)> + 'a;
/// What of classic buckets (bound, count) at a step.
type OfClassic<'a, E> = dyn FnMut(&mut E, usize, &mut Vec<(f64, f64)>, &str) -> Option<f64> + 'a;

impl Evaluator<'_> {
    pub(super) fn histogram_quantile(&mut self, call: &Call, steps: &Steps) -> Result<Vec<Series>> {
        let q = self.arg_scalar(call, 0, steps)?;
        let (q_span, span) = (self.arg(call, 0)?.unwrapped().span, self.arg(call, 1)?.unwrapped().span);
        let series = self.arg_series(call, 1, steps)?;
        self.check_quantile(&q, q_span);
        let input = self.histograms(series, span, steps);
        self.quantiles(&input, steps, &|step| q.get(step).copied(), &|labels| labels.clone())
    }

    /// One result for each of several quantiles, told apart by a label.
    pub(super) fn histogram_quantiles(&mut self, call: &Call, steps: &Steps) -> Result<Vec<Series>> {
        let span = self.arg(call, 0)?.unwrapped().span;
        let series = self.arg_series(call, 0, steps)?;
        let label = self.arg_string(call, 1)?;
        let mut wanted: Vec<Vec<f64>> = Vec::new();
        for i in 2..call.args.len() {
            let q = self.arg_scalar(call, i, steps)?;
            let q_span = self.arg(call, i)?.unwrapped().span;
            self.check_quantile(&q, q_span);
            wanted.push(q);
        }
        let input = self.histograms(series, span, steps);
        let mut out = Vec::new();
        for q in &wanted {
            // The label says which quantile it is, and that may change from step to step.
            let mut values: Vec<u64> = q.iter().map(|q| q.to_bits()).collect();
            values.sort_unstable();
            values.dedup();
            for bits in values {
                let at = |step: usize| q.get(step).copied().filter(|q| q.to_bits() == bits);
                let shown = open_metrics(f64::from_bits(bits));
                let labelled = |labels: &Labels| {
                    let mut labels = labels.to_builder();
                    labels.set(label.clone(), shown.clone());
                    labels.build()
                };
                out.extend(self.quantiles(&input, steps, &at, &labelled)?);
            }
        }
        merge_same_labels(out)
    }

    /// The quantile `q` says at each step, of all histograms.
    fn quantiles(
        &mut self,
        input: &Input,
        steps: &Steps,
        q: &dyn Fn(usize) -> Option<f64>,
        labelled: &dyn Fn(&Labels) -> Labels,
    ) -> Result<Vec<Series>> {
        self.of_all(
            input,
            steps,
            labelled,
            &mut |step, histogram, _| q(step).map(|q| histogram.quantile(q)),
            &mut |evaluator, step, buckets, metric| {
                let (value, forced) = cumulative::quantile(q(step)?, buckets);
                if let Some((from_bound, to_bound, difference_max)) = forced {
                    let now_ms = steps.time_ms(step);
                    let here =
                        Forced { from_bound, to_bound, difference_max, first_ms: now_ms, last_ms: now_ms, count: 1 };
                    let told = evaluator.forced.entry(metric.to_owned());
                    told.and_modify(|(before, _)| *before = before.and(here)).or_insert((here, input.span));
                }
                Some(value)
            },
        )
    }

    pub(super) fn histogram_fraction(&mut self, call: &Call, steps: &Steps) -> Result<Vec<Series>> {
        let (lower, upper) = (self.arg_scalar(call, 0, steps)?, self.arg_scalar(call, 1, steps)?);
        let span = self.arg(call, 2)?.unwrapped().span;
        let series = self.arg_series(call, 2, steps)?;
        let input = self.histograms(series, span, steps);
        let at = |values: &[f64], step: usize| values.get(step).copied().unwrap_or(f64::NAN);
        self.of_all(
            &input,
            steps,
            &Labels::clone,
            &mut |step, histogram, _| Some(histogram.fraction(at(&lower, step), at(&upper, step))),
            &mut |_, step, buckets, _| Some(cumulative::fraction(at(&lower, step), at(&upper, step), buckets)),
        )
    }

    /// A column for each histogram: `of_native` and `of_classic` say what of it, if anything, at a step.
    fn of_all(
        &mut self,
        input: &Input,
        steps: &Steps,
        labelled: &dyn Fn(&Labels) -> Labels,
        of_native: &mut OfNative<'_>,
        of_classic: &mut OfClassic<'_, Self>,
    ) -> Result<Vec<Series>> {
        let mut out = Vec::new();
        for one in input.native.iter().filter_map(|place| input.series.get(*place)) {
            let metric = names::metric_name(&one.labels);
            let mut result = self.column(labelled(&one.labels), steps)?;
            result.drop_name = true;
            for (step, value) in result.values.iter_mut().enumerate() {
                let Some(histogram) = one.histogram(step) else { continue };
                let Some((found, nans)) = of_native(step, &Native::new(histogram), metric) else { continue };
                *value = found;
                if let Some(nans) = nans {
                    self.info(input.span, of_metric(nans_text(nans), metric));
                }
            }
            out.push(result);
        }
        let mut buckets = Vec::new();
        for histogram in &input.classic {
            let metric = names::metric_name(&histogram.labels);
            let mut result = self.column(labelled(&histogram.labels), steps)?;
            result.drop_name = true;
            for (step, value) in result.values.iter_mut().enumerate() {
                if histogram.conflicts.binary_search(&step).is_ok() {
                    continue;
                }
                buckets.clear();
                let present = histogram.bounds.iter();
                buckets.extend(present.filter_map(|(bound, i)| Some((*bound, input.series.get(*i)?.float(step)?))));
                if !buckets.is_empty()
                    && let Some(found) = of_classic(self, step, &mut buckets, metric)
                {
                    *value = found;
                }
            }
            out.push(result);
        }
        merge_same_labels(out)
    }

    /// Finds the histograms, says what is no bucket, and leaves out where classic and native ones meet.
    fn histograms(&mut self, mut series: Vec<Series>, span: Span, steps: &Steps) -> Input {
        let mut places: HashMap<Labels, usize> = HashMap::default();
        let mut classic: Vec<Classic> = Vec::new();
        for (i, one) in series.iter().enumerate() {
            let le = one.labels.get("le").unwrap_or_default();
            if one.values.iter().all(|value| is_missing(*value)) {
                continue;
            }
            let Some(bound) = parse_bound(le) else {
                let text = format!("bucket label \"le\" is missing or has a malformed value of {}", quote(le));
                self.warn(span, of_metric(text, names::metric_name(&one.labels)));
                continue;
            };
            let labels = one.labels.without(|name| name == "le");
            let place = *places.entry(labels.clone()).or_insert(classic.len());
            if place == classic.len() {
                classic.push(Classic { labels, bounds: Vec::new(), conflicts: Vec::new() });
            }
            if let Some(histogram) = classic.get_mut(place) {
                histogram.bounds.push((bound, i));
            }
        }
        classic.iter_mut().for_each(|histogram| histogram.bounds.sort_by(|a, b| a.0.total_cmp(&b.0)));
        let native: Vec<usize> = (0..series.len()).filter(|i| series[*i].histograms.is_some()).collect();
        for place in &native {
            let Some(twin) = places.get(&series[*place].labels).and_then(|twin| classic.get_mut(*twin)) else {
                continue;
            };
            for step in 0..steps.count {
                let buckets = twin.bounds.iter().any(|(_, i)| series[*i].float(step).is_some());
                if buckets && series[*place].histogram(step).is_some() {
                    twin.conflicts.push(step);
                    series[*place].clear_histogram(step);
                }
            }
            if !twin.conflicts.is_empty() {
                let text = "vector contains a mix of classic and native histograms";
                self.warn(span, of_metric(text, names::metric_name(&series[*place].labels)));
            }
        }
        Input { series, native, classic, span }
    }

    /// `histogram_count`, `histogram_sum` and their like: floats are left out.
    pub(super) fn histogram_part(&mut self, call: &Call, steps: &Steps) -> Result<Evaluated> {
        let series = self.arg_series(call, 0, steps)?;
        let mut out = Vec::new();
        for one in series.iter().filter(|one| one.histograms.is_some()) {
            let mut result = self.column(one.labels.clone(), steps)?;
            result.drop_name = true;
            for (step, value) in result.values.iter_mut().enumerate() {
                let Some(histogram) = one.histogram(step) else { continue };
                *value = match call.function.name {
                    "histogram_count" => histogram.count(),
                    "histogram_sum" => histogram.sum,
                    "histogram_stdvar" => Native::new(histogram).variance(),
                    "histogram_stddev" => Native::new(histogram).variance().sqrt(),
                    _ => histogram.sum / histogram.count(),
                };
            }
            out.push(result);
        }
        Ok(Evaluated::Series(merge_same_labels(out)?))
    }
}

fn nans_text(nans: Nans) -> &'static str {
    match nans {
        Nans::Result => "input to histogram_quantile has NaN observations, result is NaN",
        Nans::Skew => "input to histogram_quantile has NaN observations, result is skewed higher",
        Nans::Excluded => "input to histogram_fraction has NaN observations, which are excluded from all fractions",
    }
}

fn of_metric(text: impl Into<String>, metric: &str) -> String {
    let text = text.into();
    if metric.is_empty() { text } else { format!("{text} for metric name {}", quote(metric)) }
}

/// A number as OpenMetrics writes it: with a point or an exponent, always.
fn open_metrics(value: f64) -> String {
    let text = crate::syntax::format_number_short(value);
    if !value.is_finite() || text.contains(['e', '.']) { text } else { format!("{text}.0") }
}

impl Forced {
    pub(super) fn text(&self, metric: &str) -> String {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        format!(
            "{}, from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            of_metric(text, metric),
            super::functions::short(self.from_bound),
            super::functions::short(self.to_bound),
            two_digits(self.difference_max),
            self.count,
            dates::rfc3339(self.first_ms),
            dates::rfc3339(self.last_ms)
        )
    }

    fn and(self, other: Forced) -> Forced {
        Forced {
            from_bound: self.from_bound.min(other.from_bound),
            to_bound: self.to_bound.max(other.to_bound),
            difference_max: self.difference_max.max(other.difference_max),
            first_ms: self.first_ms.min(other.first_ms),
            last_ms: self.last_ms.max(other.last_ms),
            count: self.count + other.count,
        }
    }
}

fn parse_bound(le: &str) -> Option<f64> {
    // Rust reads the same spellings of infinity as Go; neither wants an empty text.
    le.parse::<f64>().ok().filter(|bound| !bound.is_nan())
}

/// Go's `%.2g`.
fn two_digits(value: f64) -> String {
    let rounded = format!("{value:.1e}").parse().unwrap_or(value);
    if rounded >= 100.0 {
        let text = format!("{rounded:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{mantissa}e+{exponent:0>2}");
    }
    super::functions::short(rounded)
}
