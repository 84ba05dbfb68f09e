//! Histograms: quantiles and fractions of classic buckets, and the parts of native ones.
//!
//! Classic buckets are series that differ only in `le`; they are put together by the rest of their labels once per query.

use ahash::HashMap;
use base_signal::Labels;

use super::column::{Series, Steps, is_missing, merge_same_labels};
use super::native::Native;
use super::{Evaluated, Evaluator, Result, dates, math, names, no_histograms};
use crate::syntax::{Call, Span, quote};

/// Counts of neighbouring buckets that differ by less are the same but for rounding.
const SMALL_DELTA: f64 = 1e-12;

/// The buckets of one histogram: upper bound and the place of the series, ascending by bound.
struct Classic {
    labels: Labels,
    bounds: Vec<(f64, usize)>,
}

/// Where counts had to be raised because a larger bucket held less than a smaller one.
#[derive(Clone, Copy, Debug)]
struct Forced {
    from_bound: f64,
    to_bound: f64,
    difference_max: f64,
    first_ms: i64,
    last_ms: i64,
    count: usize,
}

impl Evaluator<'_> {
    pub(super) fn histogram_quantile(&mut self, call: &Call, steps: &Steps) -> Result<Vec<Series>> {
        let q = self.arg_scalar(call, 0, steps)?;
        let (q_span, span) = (self.arg(call, 0)?.span, self.arg(call, 1)?.span);
        let series = self.arg_series(call, 1, steps)?;
        self.check_quantile(&q, q_span);
        let mut forced: Option<Forced> = None;
        let native = self.of_native("histogram_quantile", &series, steps, |step, histogram| {
            histogram.quantile(q.get(step).copied().unwrap_or(f64::NAN))
        })?;
        let out = self.classic(series, span, steps, |step, buckets| {
            let (value, changed) = bucket_quantile(q.get(step).copied().unwrap_or(f64::NAN), buckets);
            if let Some((from_bound, to_bound, difference_max)) = changed {
                let now_ms = steps.time_ms(step);
                let here = Forced { from_bound, to_bound, difference_max, first_ms: now_ms, last_ms: now_ms, count: 1 };
                forced = Some(forced.map_or(here, |before| before.and(here)));
            }
            value
        })?;
        if let Some(forced) = forced {
            self.info(
                span,
                format!(
                    "input to histogram_quantile needed to be fixed for monotonicity (see \
                     https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), \
                     from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                    super::functions::short(forced.from_bound),
                    super::functions::short(forced.to_bound),
                    two_digits(forced.difference_max),
                    forced.count,
                    dates::rfc3339(forced.first_ms),
                    dates::rfc3339(forced.last_ms)
                ),
            );
        }
        join("histogram_quantile", out, native, steps)
    }

    fn of_native(
        &mut self,
        what: &str,
        series: &[Series],
        steps: &Steps,
        compute: impl Fn(usize, &Native) -> f64,
    ) -> Result<Vec<Series>> {
        let mut out = Vec::new();
        for one in series.iter().filter(|one| one.histograms.is_some()) {
            let mut result = self.column(names::without_name(&one.labels), steps)?;
            for (step, value) in result.values.iter_mut().enumerate() {
                let Some(histogram) = one.histogram(step) else { continue };
                if histogram.sum.is_nan() {
                    return no_histograms(&format!("{what} of observations that are NaN"));
                }
                *value = compute(step, &Native::new(histogram));
            }
            out.push(result);
        }
        Ok(out)
    }

    pub(super) fn histogram_fraction(&mut self, call: &Call, steps: &Steps) -> Result<Vec<Series>> {
        let (lower, upper) = (self.arg_scalar(call, 0, steps)?, self.arg_scalar(call, 1, steps)?);
        let span = self.arg(call, 2)?.span;
        let series = self.arg_series(call, 2, steps)?;
        let at = |values: &[f64], step: usize| values.get(step).copied().unwrap_or(f64::NAN);
        let native = self.of_native("histogram_fraction", &series, steps, |step, histogram| {
            histogram.fraction(at(&lower, step), at(&upper, step))
        })?;
        let out = self.classic(series, span, steps, |step, buckets| {
            bucket_fraction(at(&lower, step), at(&upper, step), buckets)
        })?;
        join("histogram_fraction", out, native, steps)
    }

    fn classic(
        &mut self,
        series: Vec<Series>,
        span: Span,
        steps: &Steps,
        mut compute: impl FnMut(usize, &mut Vec<(f64, f64)>) -> f64,
    ) -> Result<Vec<Series>> {
        let mut places: HashMap<Labels, usize> = HashMap::default();
        let mut histograms: Vec<Classic> = Vec::new();
        for (i, one) in series.iter().enumerate() {
            let le = one.labels.get("le").unwrap_or_default();
            if one.values.iter().all(|value| is_missing(*value)) {
                continue;
            }
            let Some(bound) = parse_bound(le) else {
                self.warn(span, format!("bucket label \"le\" is missing or has a malformed value of {}", quote(le)));
                continue;
            };
            let labels = one.labels.without(|name| name == "le");
            let place = *places.entry(labels.clone()).or_insert(histograms.len());
            if place == histograms.len() {
                histograms.push(Classic { labels, bounds: Vec::new() });
            }
            if let Some(histogram) = histograms.get_mut(place) {
                histogram.bounds.push((bound, i));
            }
        }
        let mut out = Vec::with_capacity(histograms.len());
        let mut buckets = Vec::new();
        for mut histogram in histograms {
            histogram.bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut result = self.column(names::without_name(&histogram.labels), steps)?;
            for (step, value) in result.values.iter_mut().enumerate() {
                buckets.clear();
                let present =
                    histogram.bounds.iter().filter_map(|(bound, i)| Some((*bound, series.get(*i)?.float(step)?)));
                buckets.extend(present);
                if !buckets.is_empty() {
                    *value = compute(step, &mut buckets);
                }
            }
            out.push(result);
        }
        merge_same_labels(out)
    }

    /// `histogram_count`, `histogram_sum` and their like: floats are left out.
    pub(super) fn histogram_part(&mut self, call: &Call, steps: &Steps) -> Result<Evaluated> {
        let series = self.arg_series(call, 0, steps)?;
        let mut out = Vec::new();
        for one in series.iter().filter(|one| one.histograms.is_some()) {
            let mut result = self.column(names::without_name(&one.labels), steps)?;
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

/// Results of classic and of native histograms. Where both have the same labels at one moment neither is right.
fn join(what: &str, mut classic: Vec<Series>, native: Vec<Series>, steps: &Steps) -> Result<Vec<Series>> {
    for one in &native {
        for other in classic.iter().filter(|other| other.labels == one.labels) {
            if (0..steps.count).any(|step| other.is_present(step) && one.is_present(step)) {
                return no_histograms(&format!("{what} of classic and native histograms of the same labels"));
            }
        }
    }
    classic.extend(native);
    merge_same_labels(classic)
}

impl Forced {
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

/// Buckets of one bound are one bucket.
fn coalesce(buckets: &mut Vec<(f64, f64)>) {
    buckets.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            earlier.1 += later.1;
        }
        same
    });
}

/// Makes the counts ascend. Says where, when the difference was more than rounding: lowest and highest bound, difference.
fn force_monotonic(buckets: &mut [(f64, f64)]) -> Option<(f64, f64, f64)> {
    let mut forced: Option<(f64, f64, f64)> = None;
    let mut before = buckets.first()?.1;
    for (bound, count) in buckets.iter_mut().skip(1) {
        if *count == before {
            continue;
        }
        if math::almost_equal(before, *count, SMALL_DELTA) {
            *count = before;
        } else if *count < before {
            let difference = before - *count;
            let (low, high, most) = forced.unwrap_or((f64::INFINITY, f64::NEG_INFINITY, 0.0));
            forced = Some((low.min(*bound), high.max(*bound), most.max(difference)));
            *count = before;
        } else {
            before = *count;
        }
    }
    forced
}

/// The quantile of sorted cumulative buckets, linear within a bucket; what was forced is told beside it.
fn bucket_quantile(q: f64, buckets: &mut Vec<(f64, f64)>) -> (f64, Option<(f64, f64, f64)>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
        return (f64::NAN, None);
    }
    coalesce(buckets);
    let forced = force_monotonic(buckets);
    let [first, .., before_last, last] = buckets.as_slice() else {
        let [first, last] = buckets.as_slice() else { return (f64::NAN, forced) };
        return (interpolate(q, &[*first, *last], first, last), forced);
    };
    let _ = first;
    (interpolate(q, buckets, before_last, last), forced)
}

fn interpolate(q: f64, buckets: &[(f64, f64)], before_last: &(f64, f64), last: &(f64, f64)) -> f64 {
    let observations = last.1;
    if observations == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * observations;
    let place =
        buckets[..buckets.len() - 1].partition_point(|(_, count)| rank.is_nan() || count.is_nan() || *count < rank);
    if place == buckets.len() - 1 {
        return before_last.0;
    }
    let (end, mut count) = buckets[place];
    if place == 0 && end <= 0.0 {
        return end;
    }
    let mut start = 0.0;
    if place > 0 {
        let (bound, below) = buckets[place - 1];
        start = bound;
        count -= below;
        rank -= below;
    }
    start + (end - start) * (rank / count)
}

/// The share of observations between two values, of sorted cumulative buckets.
fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<(f64, f64)>) -> f64 {
    if buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    let total = buckets.last().map_or(0.0, |(_, count)| *count);
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let mut below = if buckets[0].0 > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    let mut rank = 0.0;
    let (mut lower_rank, mut upper_rank) = (None, None);
    for (i, (bound, count)) in buckets.iter().copied().enumerate() {
        if i > 0 {
            below = buckets[i - 1].0;
        }
        let within = |value: f64| {
            if below == f64::NEG_INFINITY { count } else { rank + (count - rank) * (value - below) / (bound - below) }
        };
        for (value, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_none() && below >= value {
                *found = Some(rank);
            }
            if found.is_none() && below < value && bound > value {
                *found = Some(within(value));
            }
        }
        rank = count;
    }
    let rank_of = |found: Option<f64>| found.filter(|rank| *rank <= total).unwrap_or(total);
    (rank_of(upper_rank) - rank_of(lower_rank)) / total
}
