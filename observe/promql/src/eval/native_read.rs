//! What is read out of one native histogram: quantiles, fractions, variance, and what is left when it is trimmed. Within a
//! bucket observations are taken to lie exponentially, in the zero bucket and in custom ones evenly.

use super::functions::short;
use super::math::Kahan;
use super::native::Native;

/// One bucket with its bounds.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    lower: f64,
    upper: f64,
    count: f64,
    /// Neither the zero bucket nor a negative one.
    positive: bool,
}

/// What observations that are NaN did to a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nans {
    /// The quantile is among them.
    Result,
    /// They count as the largest ones.
    Skew,
    /// They are in no fraction.
    Excluded,
}

impl Native {
    /// The buckets that hold something, ascending, the zero bucket among them.
    fn ascending(&self) -> Vec<Bucket> {
        self.all_ascending().into_iter().filter(|bucket| bucket.count != 0.0).collect()
    }

    /// The same with the empty ones that are told of.
    fn all_ascending(&self) -> Vec<Bucket> {
        let bucket = |index: i32, count: &Kahan| {
            let (lower, upper) = if self.is_custom() {
                let bound = |i: i32| usize::try_from(i).ok().and_then(|i| self.custom_bounds.get(i)).copied();
                (bound(index - 1).unwrap_or(f64::NEG_INFINITY), bound(index).unwrap_or(f64::INFINITY))
            } else {
                // What reaches into the zero bucket begins where that ends.
                (self.bound(index.saturating_sub(1)).max(self.zero_threshold), self.bound(index))
            };
            Bucket { lower, upper, count: count.total(), positive: true }
        };
        let negative = self.negative.iter().rev().map(|(index, count)| {
            let mirrored = bucket(*index, count);
            Bucket { lower: -mirrored.upper, upper: -mirrored.lower, positive: false, ..mirrored }
        });
        let zero = (!self.is_custom() && self.zero.total() > 0.0).then(|| self.zero_bucket());
        let positive = self.positive.iter().map(|(index, count)| bucket(*index, count));
        negative.chain(zero).chain(positive).collect()
    }

    fn zero_bucket(&self) -> Bucket {
        let width = self.zero_threshold;
        Bucket { lower: -width, upper: width, count: self.zero.total(), positive: false }
    }

    /// When there is nothing on one side of it, the zero bucket ends at zero there.
    fn one_sided(&self, bucket: &mut Bucket) {
        if self.negative.is_empty() && !self.positive.is_empty() {
            bucket.lower = 0.0;
        } else if self.positive.is_empty() && !self.negative.is_empty() {
            bucket.upper = 0.0;
        }
    }

    /// As Prometheus prints one: `{count:3, sum:5, [-0.5,0.5]:1, (1,2]:2}`.
    pub(super) fn show(&self) -> String {
        let mut out = format!("{{count:{}, sum:{}", short(self.count.total()), short(self.sum.total()));
        for bucket in self.ascending() {
            let zero = !self.is_custom() && bucket.lower == -bucket.upper && bucket.lower <= 0.0 && !bucket.positive;
            let (open, close) = match () {
                () if zero || bucket.lower == f64::NEG_INFINITY => ('[', ']'),
                () if bucket.positive => ('(', ']'),
                () => ('[', ')'),
            };
            let (lower, upper, count) = (short(bucket.lower), short(bucket.upper), short(bucket.count));
            out.push_str(&format!(", {open}{lower},{upper}{close}:{count}"));
        }
        out.push('}');
        out
    }

    /// Whether some observations are in no bucket, because they are NaN.
    fn has_nans(&self, buckets: &[Bucket]) -> bool {
        self.sum.total().is_nan() && buckets.iter().map(|bucket| bucket.count).sum::<f64>() < self.count.total()
    }

    pub(super) fn quantile(&self, q: f64) -> (f64, Option<Nans>) {
        if q < 0.0 {
            return (f64::NEG_INFINITY, None);
        }
        if q > 1.0 {
            return (f64::INFINITY, None);
        }
        let total = self.count.total();
        if total == 0.0 || q.is_nan() {
            return (f64::NAN, None);
        }
        let sum_is_nan = self.sum.total().is_nan();
        let mut buckets = self.ascending();
        let forward = sum_is_nan || q < 0.5;
        if !forward {
            buckets.reverse();
        }
        let mut rank = if forward { q * total } else { (1.0 - q) * total };
        let mut passed = 0.0;
        let mut found = Bucket::default();
        for bucket in &buckets {
            found = *bucket;
            passed += bucket.count;
            if passed >= rank {
                break;
            }
        }
        if self.is_custom() {
            if found.lower == f64::NEG_INFINITY {
                if found.upper <= 0.0 {
                    return (found.upper, None);
                }
                found.lower = 0.0;
            } else if found.upper == f64::INFINITY {
                return (found.lower, None);
            }
        } else if found.lower < 0.0 && found.upper > 0.0 {
            self.one_sided(&mut found);
        }
        let passed = passed.min(total);
        if passed < rank {
            return if sum_is_nan { (f64::NAN, Some(Nans::Result)) } else { (found.upper, None) };
        }
        rank = if forward { rank - (passed - found.count) } else { passed - rank };
        let skew = self.has_nans(&buckets).then_some(Nans::Skew);
        // Looking for what is in no bucket, Prometheus goes on to the last one, and stays there.
        let all = self.all_ascending();
        if let Some(last) = all.last().filter(|last| sum_is_nan && last.upper > found.upper.max(found.lower)) {
            found = *last;
        }
        let fraction = rank / found.count;
        if self.is_custom() || (found.lower <= 0.0 && found.upper >= 0.0) {
            return (found.lower + (found.upper - found.lower) * fraction, skew);
        }
        let (lower, upper) = (found.lower.abs().log2(), found.upper.abs().log2());
        let value = if found.lower > 0.0 {
            (lower + (upper - lower) * fraction).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - fraction)).exp2()
        };
        (value, skew)
    }

    /// The variance of the observations, each taken to be in the middle of its bucket.
    pub(super) fn variance(&self) -> f64 {
        let mean = self.sum.total() / self.count.total();
        let mut squares = Kahan::default();
        for bucket in self.ascending() {
            let value = if self.is_custom() {
                (bucket.upper + bucket.lower) / 2.0
            } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
                0.0
            } else {
                (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
            };
            let delta = value - mean;
            squares.add(bucket.count * delta * delta);
        }
        squares.total() / self.count.total()
    }

    /// The share of observations between two values.
    pub(super) fn fraction(&self, lower: f64, upper: f64) -> (f64, Option<Nans>) {
        let total = self.count.total();
        if total == 0.0 || lower.is_nan() || upper.is_nan() {
            return (f64::NAN, None);
        }
        if lower >= upper {
            return (0.0, None);
        }
        let mut rank = 0.0;
        let mut found = [None, None];
        let buckets = self.ascending();
        for mut bucket in buckets.iter().copied() {
            let zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if zero {
                self.one_sided(&mut bucket);
            }
            for (value, found) in [lower, upper].into_iter().zip(&mut found) {
                if found.is_none() && bucket.lower >= value {
                    *found = Some(rank);
                }
                if found.is_none() && bucket.upper > value {
                    *found = Some(if self.is_custom() && bucket.lower == f64::NEG_INFINITY {
                        bucket.count
                    } else {
                        rank + bucket.count * bucket.part_below(value, self.is_custom() || zero)
                    });
                }
            }
            rank += bucket.count;
        }
        let nans = self.has_nans(&buckets);
        // Sums that are NaN come of infinite observations too; then all are in buckets.
        let most = if self.sum.total().is_nan() { rank } else { total };
        let [lower_rank, upper_rank] = found.map(|rank| rank.filter(|rank| *rank <= most).unwrap_or(most));
        ((upper_rank - lower_rank) / total, nans.then_some(Nans::Excluded))
    }

    /// Without the observations above (`upper`) or below `at`; in the bucket that holds `at`, a part of them.
    pub(super) fn trimmed(mut self, at: f64, upper: bool) -> Native {
        let (mut count, mut sum, mut changed) = (0.0, 0.0, false);
        let custom = self.is_custom();
        let (has_positive, has_negative) = (populated(&self.positive), populated(&self.negative));
        for negative in [false, true] {
            let indices: Vec<i32> = if negative {
                self.negative.keys().copied().collect()
            } else {
                self.positive.keys().copied().collect()
            };
            for index in indices {
                let (lower, higher) = self.bounds(index);
                let side = if negative { &mut self.negative } else { &mut self.positive };
                let Some(slot) = side.get_mut(&index).filter(|slot| slot.total() != 0.0) else { continue };
                let (lower, higher) = if negative { (-higher, -lower) } else { (lower, higher) };
                let bucket = Bucket { lower, upper: higher, count: slot.total(), positive: !negative };
                let (kept, middle) = bucket.trimmed(at, upper, custom);
                count += kept;
                sum += middle * kept;
                if kept != bucket.count {
                    *slot = Kahan::starting_with(kept);
                    changed = true;
                }
            }
        }
        if self.zero.total() > 0.0 {
            let mut bucket = self.zero_bucket();
            if has_negative && !has_positive {
                bucket.upper = 0.0;
            } else if has_positive && !has_negative {
                bucket.lower = 0.0;
            }
            let (kept, middle) = bucket.trimmed_zero(at, upper);
            count += kept;
            sum += middle * kept;
            if kept != bucket.count {
                self.zero = Kahan::starting_with(kept);
                changed = true;
            }
        }
        if changed {
            (self.count, self.sum) = (Kahan::starting_with(count), Kahan::starting_with(sum));
        }
        self
    }

    fn bounds(&self, index: i32) -> (f64, f64) {
        if !self.is_custom() {
            return (self.bound(index.saturating_sub(1)), self.bound(index));
        }
        let bound = |i: i32| usize::try_from(i).ok().and_then(|i| self.custom_bounds.get(i)).copied();
        (bound(index - 1).unwrap_or(f64::NEG_INFINITY), bound(index).unwrap_or(f64::INFINITY))
    }
}

fn populated(buckets: &std::collections::BTreeMap<i32, Kahan>) -> bool {
    buckets.values().any(|count| count.total() != 0.0)
}

impl Bucket {
    fn part_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, value) = (self.lower.abs().log2(), self.upper.abs().log2(), value.abs().log2());
        if self.lower > 0.0 { (value - lower) / (upper - lower) } else { 1.0 - (value - upper) / (lower - upper) }
    }

    /// What is kept of this bucket, and the middle of where that lies.
    fn trimmed(&self, at: f64, upper: bool, custom: bool) -> (f64, f64) {
        let (whole, holds) =
            if upper { (self.upper <= at, self.lower < at) } else { (self.lower >= at, self.upper > at) };
        if whole {
            return (self.count, self.middle(self.lower, self.upper, custom));
        }
        if !holds {
            return (0.0, 0.0);
        }
        if self.lower == f64::NEG_INFINITY {
            return self.trimmed_below(at, upper);
        }
        if self.upper == f64::INFINITY {
            // How observations lie up to infinity is not known.
            return if upper || at < self.lower { (0.0, 0.0) } else { (self.count, at) };
        }
        let under = if at <= self.lower {
            0.0
        } else if at >= self.upper {
            self.count
        } else {
            self.count * self.part_below(at, custom)
        };
        if upper {
            (under, self.middle(self.lower, at, custom))
        } else {
            (self.count - under, self.middle(at, self.upper, custom))
        }
    }

    /// The first custom bucket, which has no lower bound: taken to begin at zero when its end is above.
    fn trimmed_below(&self, at: f64, upper: bool) -> (f64, f64) {
        let ends = self.upper.is_finite();
        if upper {
            if at >= self.upper {
                return (self.count, 0.0);
            }
            if at > 0.0 && self.upper > 0.0 && ends {
                return (self.count * at / self.upper, at / 2.0);
            }
            return if self.upper <= 0.0 { (self.count, at) } else { (0.0, 0.0) };
        }
        if at <= self.lower {
            return (self.count, 0.0);
        }
        if at >= 0.0 && self.upper > at && ends {
            return (self.count * (1.0 - at / self.upper), (at + self.upper) / 2.0);
        }
        (0.0, 0.0)
    }

    fn trimmed_zero(&self, at: f64, upper: bool) -> (f64, f64) {
        let (low, high) = (self.lower, self.upper);
        let whole = (self.count, (low + high) / 2.0);
        if at <= low {
            return if upper { (0.0, 0.0) } else { whole };
        }
        if at >= high {
            return if upper { whole } else { (0.0, 0.0) };
        }
        if upper {
            (self.count * ((at - low) / (high - low)), (low + at) / 2.0)
        } else {
            (self.count * ((high - at) / (high - low)), (at + high) / 2.0)
        }
    }

    fn middle(&self, lower: f64, upper: f64, linear: bool) -> f64 {
        if lower.is_infinite() {
            return match () {
                () if upper.is_infinite() => 0.0,
                () if upper > 0.0 => upper / 2.0,
                () => upper,
            };
        }
        if upper.is_infinite() {
            return lower;
        }
        if linear {
            return (lower + upper) / 2.0;
        }
        let geometric = (lower * upper).abs().sqrt();
        if self.positive { geometric } else { -geometric }
    }
}
