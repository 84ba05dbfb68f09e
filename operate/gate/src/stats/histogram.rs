//! A quantile from counts above bounds, finer than the buckets seem to allow. Knows no PromQL and no time.
//!
//! `histogram_quantile` draws a straight line through a bucket; with bounds that double, a service that became 30 % slower
//! can then look 55 % slower or 10 %, depending on where its quantile lies. Latency's upper tail is close to a power law
//! inside one bucket, so here the share above a bound is interpolated on logarithms of both axes.

/// A quantile and how sure it can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantile {
    pub(crate) value: f64,
    /// Variance of ln(value) if the observations were independent.
    pub(crate) log_variance: f64,
}

/// `above(i)` observations are larger than `bounds[i]` (ascending, finite), of `total`. `None` when there are none, or when the
/// quantile lies above the last bound, where nothing is known of its value.
pub(crate) fn quantile(q: f64, bounds: &[f64], above: impl Fn(usize) -> f64, total: f64) -> Option<Quantile> {
    let wanted = (1.0 - q) * total;
    if !(total > 0.0 && wanted > 0.0) {
        return None;
    }
    let at = (0..bounds.len()).find(|bucket| above(*bucket) <= wanted)?;
    let (high_bound, high) = (*bounds.get(at)?, above(at));
    let (low_bound, low) = match at.checked_sub(1) {
        Some(before) => (*bounds.get(before)?, above(before)),
        // Below the first bound: as if the bucket began at half of it.
        None => (high_bound / 2.0, total),
    };
    // Half an observation stands for none: a logarithm needs something, and rounding down would be too sure.
    let high = high.max(0.5_f64.min(wanted * 0.5));
    let low = low.max(wanted);
    let width = (high_bound / low_bound).ln();
    let steepness = (low / high).ln() / width;
    if !(steepness.is_finite() && steepness > 0.0) {
        return None;
    }
    let value = low_bound * ((low / wanted).ln() / steepness).exp();
    // Delta method: the variance of the share at that value, over the square of its slope.
    let log_variance = q / ((1.0 - q) * total * steepness * steepness);
    Some(Quantile { value, log_variance })
}

/// Share of observations above `limit`, from cumulative buckets (upper bound, count), ascending and ending in +Inf;
/// interpolated as [`quantile`] does. Above the last finite bound that bound's share stands: no more is known.
pub(crate) fn share_above(limit: f64, buckets: &[(f64, f64)]) -> Option<f64> {
    let total = buckets.last().filter(|(bound, _)| *bound == f64::INFINITY)?.1;
    if !(total > 0.0 && limit > 0.0) {
        return None;
    }
    let share = |count: f64| ((total - count) / total).clamp(0.0, 1.0);
    let at = buckets.iter().position(|(bound, _)| *bound >= limit)?;
    let (high_bound, high) = *buckets.get(at)?;
    let (low_bound, low) = match at.checked_sub(1).and_then(|before| buckets.get(before)) {
        Some((bound, count)) => (*bound, share(*count)),
        None => (high_bound / 2.0, 1.0),
    };
    let high = share(high);
    if high_bound == f64::INFINITY || low <= 0.0 {
        return Some(low);
    }
    // A logarithm needs something: half an observation stands for none.
    let floor = (0.5 / total).min(low);
    let part = ((limit / low_bound).ln() / (high_bound / low_bound).ln()).clamp(0.0, 1.0);
    if part >= 1.0 { Some(high) } else { Some(low * (high.max(floor) / low).powf(part)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::normal_above;

    fn bounds() -> Vec<f64> {
        (0..14).map(|n| 0.002 * f64::from(1u32 << n)).collect()
    }

    /// A lognormal of this median and spread, put into the buckets: its 95th percentile must come back.
    fn check(median: f64, spread: f64, off_max: f64) {
        let bounds = bounds();
        let above: Vec<f64> = bounds.iter().map(|b| 1e6 * normal_above((b / median).ln() / spread)).collect();
        let got = quantile(0.95, &bounds, |i| above[i], 1e6).unwrap().value;
        let true_value = median * (1.644854 * spread).exp();
        let off = (got / true_value - 1.0).abs();
        assert!(off < off_max, "median {median}: {got} instead of {true_value}");
    }

    #[test]
    fn near_the_truth_wherever_in_the_bucket_it_lies() {
        for step in 0..20 {
            check(0.05 * 1.05_f64.powi(step), 0.8, 0.05);
            check(0.05 * 1.05_f64.powi(step), 0.4, 0.09);
        }
    }

    #[test]
    fn nothing_is_invented() {
        let bounds = bounds();
        assert_eq!(quantile(0.95, &bounds, |_| 0.0, 0.0), None);
        assert_eq!(quantile(0.95, &bounds, |_| 100.0, 100.0), None, "all above the last bound");
        assert_eq!(quantile(0.95, &[], |_| 0.0, 10.0), None);
        let all_fast = quantile(0.95, &bounds, |_| 0.0, 100.0).unwrap();
        assert!(all_fast.value < 0.002);
    }
}
