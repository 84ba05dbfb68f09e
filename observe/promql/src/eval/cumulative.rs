//! Classic buckets as numbers: upper bounds and cumulative counts, ascending. What is read out of them.

use super::math;

/// Counts of neighbouring buckets that differ by less are the same but for rounding.
const SMALL_DELTA: f64 = 1e-12;

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
pub(super) fn quantile(q: f64, buckets: &mut Vec<(f64, f64)>) -> (f64, Option<(f64, f64, f64)>) {
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
pub(super) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<(f64, f64)>) -> f64 {
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
