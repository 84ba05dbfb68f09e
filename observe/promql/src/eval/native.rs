//! Arithmetic of native histograms: add, subtract, scale, notice resets. Buckets are kept by index, so that histograms of
//! another layout need no care; of two resolutions the coarser one wins.
//!
//! Not done: zero buckets of different widths, and custom bounds that differ. They are refused as [`Unfit`].

use std::collections::BTreeMap;
use std::sync::Arc;

use base_signal::{Buckets, CounterReset, NativeHistogram, SpanRun};

use super::math::Kahan;

/// Why two histograms cannot be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Exponential and custom buckets: never.
    Mixed,
    /// Not yet.
    Unsupported,
}

#[derive(Clone, Debug)]
pub(super) struct Native {
    schema: i32,
    custom_bounds: Vec<f64>,
    zero_threshold: f64,
    pub(super) hint: CounterReset,
    pub(super) count: Kahan,
    pub(super) sum: Kahan,
    zero: Kahan,
    positive: BTreeMap<i32, Kahan>,
    negative: BTreeMap<i32, Kahan>,
}

/// One bucket with its bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    pub(super) lower: f64,
    pub(super) upper: f64,
    pub(super) count: f64,
}

impl Native {
    pub(super) fn new(histogram: &NativeHistogram) -> Self {
        let number = Kahan::starting_with;
        let of_runs = |runs: &[SpanRun], counts: &mut dyn Iterator<Item = f64>| {
            let mut buckets = BTreeMap::new();
            let mut index = 0i32;
            for run in runs {
                index = index.saturating_add(run.offset);
                for _ in 0..run.length {
                    let Some(count) = counts.next() else { return buckets };
                    buckets.insert(index, number(count));
                    index = index.saturating_add(1);
                }
            }
            buckets
        };
        let (zero, positive, negative) = match &histogram.buckets {
            Buckets::Integer { zero_count, positive, negative, .. } => (
                *zero_count as f64,
                of_runs(&histogram.positive_runs, &mut positive.iter().map(|c| *c as f64)),
                of_runs(&histogram.negative_runs, &mut negative.iter().map(|c| *c as f64)),
            ),
            Buckets::Float { zero_count, positive, negative, .. } => (
                *zero_count,
                of_runs(&histogram.positive_runs, &mut positive.iter().copied()),
                of_runs(&histogram.negative_runs, &mut negative.iter().copied()),
            ),
        };
        Native {
            schema: histogram.schema,
            custom_bounds: histogram.custom_bounds.clone(),
            zero_threshold: histogram.zero_threshold,
            hint: histogram.counter_reset,
            count: number(histogram.count()),
            sum: number(histogram.sum),
            zero: number(zero),
            positive,
            negative,
        }
    }

    /// Nothing observed, in the layout of `like`.
    pub(super) fn nothing_like(like: &Native) -> Self {
        let zero = Kahan::default();
        let none = BTreeMap::new;
        Native {
            hint: CounterReset::Unknown,
            count: zero,
            sum: zero,
            zero,
            positive: none(),
            negative: none(),
            ..like.clone()
        }
    }

    pub(super) fn is_custom(&self) -> bool {
        self.schema == NativeHistogram::CUSTOM_SCHEMA
    }

    /// In the canonical layout: no empty buckets.
    pub(super) fn finish(&self) -> Arc<NativeHistogram> {
        let lay = |buckets: &BTreeMap<i32, Kahan>| {
            let (mut runs, mut counts, mut next) = (Vec::<SpanRun>::new(), Vec::new(), 0i32);
            for (index, count) in buckets.iter().filter(|(_, count)| count.total() != 0.0) {
                match runs.last_mut() {
                    Some(run) if *index == next => run.length += 1,
                    _ => runs.push(SpanRun { offset: index.saturating_sub(next), length: 1 }),
                }
                counts.push(count.total());
                next = index.saturating_add(1);
            }
            (runs, counts)
        };
        let ((positive_runs, positive), (negative_runs, negative)) = (lay(&self.positive), lay(&self.negative));
        Arc::new(NativeHistogram {
            schema: self.schema,
            counter_reset: self.hint,
            zero_threshold: self.zero_threshold,
            sum: self.sum.total(),
            positive_runs,
            negative_runs,
            buckets: Buckets::Float { count: self.count.total(), zero_count: self.zero.total(), positive, negative },
            custom_bounds: self.custom_bounds.clone(),
        })
    }

    fn at_schema(&self, schema: i32) -> Native {
        let by = self.schema - schema;
        if by <= 0 || self.is_custom() {
            return self.clone();
        }
        let coarser = |buckets: &BTreeMap<i32, Kahan>| {
            let mut out: BTreeMap<i32, Kahan> = BTreeMap::new();
            for (index, count) in buckets {
                let index = (index.saturating_sub(1) >> by) + 1;
                out.entry(index).or_default().sum += count.total();
            }
            out
        };
        Native { schema, positive: coarser(&self.positive), negative: coarser(&self.negative), ..self.clone() }
    }

    fn fits(&self, other: &Native) -> Result<(), Unfit> {
        if self.is_custom() != other.is_custom() {
            return Err(Unfit::Mixed);
        }
        let same = self.zero_threshold == other.zero_threshold && self.custom_bounds == other.custom_bounds;
        if same { Ok(()) } else { Err(Unfit::Unsupported) }
    }

    fn combine(&mut self, other: &Native, add: impl Fn(&mut Kahan, f64)) -> Result<(), Unfit> {
        self.fits(other)?;
        let schema = self.schema.min(other.schema);
        if schema < self.schema {
            *self = self.at_schema(schema);
        }
        let other = other.at_schema(schema);
        add(&mut self.count, other.count.total());
        add(&mut self.sum, other.sum.total());
        add(&mut self.zero, other.zero.total());
        for (own, more) in [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)] {
            for (index, count) in more {
                add(own.entry(*index).or_default(), count.total());
            }
        }
        self.hint = match (self.hint, other.hint) {
            (a, b) if a == b => a,
            (CounterReset::Gauge, _) | (_, CounterReset::Gauge) => CounterReset::Gauge,
            _ => CounterReset::Unknown,
        };
        Ok(())
    }

    pub(super) fn add(&mut self, other: &Native) -> Result<(), Unfit> {
        self.combine(other, |own, more| own.sum += more)
    }

    pub(super) fn subtract(&mut self, other: &Native) -> Result<(), Unfit> {
        self.combine(other, |own, less| own.sum -= less)
    }

    /// For long sums: what rounding loses is kept aside.
    pub(super) fn add_exactly(&mut self, other: &Native) -> Result<(), Unfit> {
        self.combine(other, Kahan::add)
    }

    fn each(&mut self, change: impl Fn(f64) -> f64) {
        let buckets = self.positive.values_mut().chain(self.negative.values_mut());
        for number in buckets.chain([&mut self.count, &mut self.sum, &mut self.zero]) {
            (number.sum, number.compensation) = (change(number.sum), change(number.compensation));
        }
    }

    pub(super) fn multiply(&mut self, factor: f64) {
        self.each(|number| number * factor);
        if factor < 0.0 {
            self.hint = CounterReset::Gauge;
        }
    }

    pub(super) fn divide(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive.clear();
            self.negative.clear();
            for number in [&mut self.count, &mut self.sum, &mut self.zero] {
                *number = Kahan::starting_with(number.total() / divisor);
            }
            return;
        }
        self.each(|number| number / divisor);
        if divisor < 0.0 {
            self.hint = CounterReset::Gauge;
        }
    }

    /// Whether a counter began anew between `before` and this one.
    pub(super) fn is_reset_after(&self, before: &Native) -> Result<bool, Unfit> {
        match self.hint {
            CounterReset::Reset => return Ok(true),
            CounterReset::NoReset => return Ok(false),
            CounterReset::Unknown | CounterReset::Gauge => {}
        }
        if self.count.total() < before.count.total() {
            return Ok(true);
        }
        if self.is_custom() != before.is_custom() || self.schema > before.schema {
            return Ok(true);
        }
        if self.zero_threshold < before.zero_threshold {
            return Ok(true);
        }
        self.fits(before)?;
        let before = before.at_schema(self.schema);
        let fell = |own: &BTreeMap<i32, Kahan>, old: &BTreeMap<i32, Kahan>| {
            old.iter().any(|(index, count)| own.get(index).map_or(0.0, |c| c.total()) < count.total())
        };
        Ok(self.zero.total() < before.zero.total()
            || fell(&self.positive, &before.positive)
            || fell(&self.negative, &before.negative))
    }

    /// The buckets that hold something, ascending, the zero bucket among them.
    fn ascending(&self) -> Vec<Bucket> {
        let bucket = |index: i32, count: &Kahan| {
            let (lower, upper) = if self.is_custom() {
                let bound = |i: i32| usize::try_from(i).ok().and_then(|i| self.custom_bounds.get(i)).copied();
                (bound(index - 1).unwrap_or(f64::NEG_INFINITY), bound(index).unwrap_or(f64::INFINITY))
            } else {
                (self.bound(index.saturating_sub(1)), self.bound(index))
            };
            Bucket { lower, upper, count: count.total() }
        };
        let negative = self.negative.iter().rev().map(|(index, count)| {
            let mirrored = bucket(*index, count);
            Bucket { lower: -mirrored.upper, upper: -mirrored.lower, ..mirrored }
        });
        let width = self.zero_threshold;
        let zero = (!self.is_custom()).then(|| Bucket { lower: -width, upper: width, count: self.zero.total() });
        let positive = self.positive.iter().map(|(index, count)| bucket(*index, count));
        negative.chain(zero).chain(positive).filter(|bucket| bucket.count != 0.0).collect()
    }

    /// The upper bound of an exponential bucket.
    fn bound(&self, index: i32) -> f64 {
        if self.schema <= 0 {
            return f64::exp2(f64::from(index) * f64::exp2(f64::from(-self.schema)));
        }
        let per_power = 1i32 << self.schema.min(8);
        let fraction = f64::from(index.rem_euclid(per_power)) / f64::from(per_power);
        f64::exp2(fraction) * f64::exp2(f64::from(index.div_euclid(per_power)))
    }

    /// The quantile, exponential within a bucket, linear in the zero bucket and in custom ones.
    pub(super) fn quantile(&self, q: f64) -> f64 {
        if q < 0.0 {
            return f64::NEG_INFINITY;
        }
        if q > 1.0 {
            return f64::INFINITY;
        }
        let total = self.count.total();
        if total == 0.0 || q.is_nan() {
            return f64::NAN;
        }
        let mut buckets = self.ascending();
        let forward = self.sum.total().is_nan() || q < 0.5;
        if !forward {
            buckets.reverse();
        }
        let mut rank = if forward { q * total } else { (1.0 - q) * total };
        let mut passed = 0.0;
        let mut found = Bucket { lower: 0.0, upper: 0.0, count: 0.0 };
        for bucket in buckets {
            found = bucket;
            passed += bucket.count;
            if passed >= rank {
                break;
            }
        }
        if self.is_custom() {
            if found.lower == f64::NEG_INFINITY {
                if found.upper <= 0.0 {
                    return found.upper;
                }
                found.lower = 0.0;
            } else if found.upper == f64::INFINITY {
                return found.lower;
            }
        } else if found.lower < 0.0 && found.upper > 0.0 {
            if self.negative.is_empty() && !self.positive.is_empty() {
                found.lower = 0.0;
            } else if self.positive.is_empty() && !self.negative.is_empty() {
                found.upper = 0.0;
            }
        }
        let passed = passed.min(total);
        if passed < rank {
            return if self.sum.total().is_nan() { f64::NAN } else { found.upper };
        }
        rank = if forward { rank - (passed - found.count) } else { passed - rank };
        let fraction = rank / found.count;
        if self.is_custom() || (found.lower <= 0.0 && found.upper >= 0.0) {
            return found.lower + (found.upper - found.lower) * fraction;
        }
        let (lower, upper) = (found.lower.abs().log2(), found.upper.abs().log2());
        if found.lower > 0.0 {
            (lower + (upper - lower) * fraction).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - fraction)).exp2()
        }
    }
}

impl Native {
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

    /// The share of observations between two values; not for observations that are NaN.
    pub(super) fn fraction(&self, lower: f64, upper: f64) -> f64 {
        let total = self.count.total();
        if total == 0.0 || lower.is_nan() || upper.is_nan() {
            return f64::NAN;
        }
        if lower >= upper {
            return 0.0;
        }
        let mut rank = 0.0;
        let mut found = [None, None];
        for mut bucket in self.ascending() {
            let zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if zero && self.negative.is_empty() && !self.positive.is_empty() {
                bucket.lower = 0.0;
            } else if zero && self.positive.is_empty() && !self.negative.is_empty() {
                bucket.upper = 0.0;
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
        let [lower_rank, upper_rank] = found.map(|rank| rank.filter(|rank| *rank <= total).unwrap_or(total));
        (upper_rank - lower_rank) / total
    }

    /// The same observations in the same buckets, whatever the layout on paper.
    pub(super) fn equals(&self, other: &Native) -> bool {
        let (own, other) = (self.finish(), other.finish());
        let same_bits = |a: f64, b: f64| a.to_bits() == b.to_bits();
        own.schema == other.schema
            && same_bits(own.sum, other.sum)
            && own.zero_threshold == other.zero_threshold
            && own.custom_bounds == other.custom_bounds
            && own.positive_runs == other.positive_runs
            && own.negative_runs == other.negative_runs
            && own.buckets == other.buckets
    }
}

impl Bucket {
    fn part_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, value) = (self.lower.abs().log2(), self.upper.abs().log2(), value.abs().log2());
        if self.lower > 0.0 { (value - lower) / (upper - lower) } else { 1.0 - (value - upper) / (lower - upper) }
    }
}

/// Whether some were marked as resets and others as none: their sum cannot say.
pub(super) fn hints_collide<'h>(histograms: impl Iterator<Item = &'h NativeHistogram>) -> bool {
    let (mut reset, mut no_reset) = (false, false);
    for histogram in histograms {
        reset |= histogram.counter_reset == CounterReset::Reset;
        no_reset |= histogram.counter_reset == CounterReset::NoReset;
    }
    reset && no_reset
}

/// The sum, or the mean, of one or more.
pub(super) fn sum<'h>(
    mut histograms: impl Iterator<Item = &'h NativeHistogram>,
    mean: bool,
) -> Result<Option<Arc<NativeHistogram>>, Unfit> {
    let Some(first) = histograms.next() else { return Ok(None) };
    let mut total = Native::new(first);
    let mut count = 1.0;
    for histogram in histograms {
        total.add_exactly(&Native::new(histogram))?;
        count += 1.0;
    }
    if total.count.sum.is_infinite() || total.sum.sum.is_infinite() {
        return Err(Unfit::Unsupported);
    }
    if mean {
        total.divide(count);
    }
    Ok(Some(total.finish()))
}
