//! Arithmetic of native histograms: add, subtract, scale, notice resets. Buckets are kept by index, so that histograms of
//! another layout need no care; of two resolutions the coarser one wins, of two zero buckets the wider one, and of custom
//! bounds those that both have. What is read out of one is in `native_read.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use base_signal::{Buckets, CounterReset, NativeHistogram, SpanRun};

use super::math::Kahan;

/// Exponential and custom buckets cannot be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mixed;

/// What there is to say of two histograms that were combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Combined {
    /// Their custom bounds differed; only common ones were kept.
    pub(super) bounds_differed: bool,
    /// One was marked as a reset, the other as none.
    pub(super) hints_collided: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Native {
    pub(super) schema: i32,
    pub(super) custom_bounds: Vec<f64>,
    pub(super) zero_threshold: f64,
    pub(super) hint: CounterReset,
    pub(super) count: Kahan,
    pub(super) sum: Kahan,
    pub(super) zero: Kahan,
    pub(super) positive: BTreeMap<i32, Kahan>,
    pub(super) negative: BTreeMap<i32, Kahan>,
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

    pub(super) fn at_schema(&self, schema: i32) -> Native {
        let by = self.schema - schema;
        if by <= 0 || self.is_custom() {
            return self.clone();
        }
        let coarser = |buckets: &BTreeMap<i32, Kahan>| {
            let mut out: BTreeMap<i32, Kahan> = BTreeMap::new();
            for (index, count) in buckets {
                let into = out.entry((index.saturating_sub(1) >> by) + 1).or_default();
                into.add(count.sum);
                into.add(count.compensation);
            }
            out
        };
        Native { schema, positive: coarser(&self.positive), negative: coarser(&self.negative), ..self.clone() }
    }

    /// What the zero bucket holds when it is widened to `threshold`, and how wide it then is: a bucket that is not empty
    /// belongs to it whole.
    fn widened_zero(&self, threshold: f64) -> (Kahan, f64) {
        let mut threshold = threshold;
        loop {
            let (mut zero, before) = (self.zero, threshold);
            if threshold == self.zero_threshold {
                return (zero, threshold);
            }
            for buckets in [&self.positive, &self.negative] {
                for (index, count) in buckets.iter().filter(|(_, count)| count.total() != 0.0) {
                    if self.bound(index.saturating_sub(1)) >= threshold {
                        break;
                    }
                    zero.add(count.sum);
                    zero.add(count.compensation);
                    threshold = threshold.max(self.bound(*index));
                }
            }
            // Where a bucket made it wider, buckets of the other sign are looked at again.
            if threshold == before {
                return (zero, threshold);
            }
        }
    }

    fn widen_zero(&mut self, threshold: f64) {
        (self.zero, self.zero_threshold) = self.widened_zero(threshold);
        let (schema, width) = (self.schema, self.zero_threshold);
        for buckets in [&mut self.positive, &mut self.negative] {
            buckets.retain(|index, _| bound_of(schema, index.saturating_sub(1)) >= width);
        }
    }

    /// Makes both zero buckets as wide; gives what the other one's then holds.
    fn reconcile_zero(&mut self, other: &Native) -> Kahan {
        let (mut zero, mut threshold) = (other.zero, other.zero_threshold);
        while threshold != self.zero_threshold {
            if self.zero_threshold > threshold {
                (zero, threshold) = other.widened_zero(self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                self.widen_zero(threshold);
            }
            if threshold.is_nan() || self.zero_threshold.is_nan() {
                break;
            }
        }
        zero
    }

    /// The same buckets under fewer bounds, all of which are among its own.
    fn under_bounds(&self, bounds: &[f64]) -> BTreeMap<i32, Kahan> {
        let mut out: BTreeMap<i32, Kahan> = BTreeMap::new();
        for (index, count) in &self.positive {
            let own = usize::try_from(*index).ok().and_then(|i| self.custom_bounds.get(i));
            let into = own.map_or(bounds.len(), |own| bounds.partition_point(|bound| bound < own));
            let into = out.entry(i32::try_from(into).unwrap_or(i32::MAX)).or_default();
            into.add(count.sum);
            into.add(count.compensation);
        }
        out
    }

    fn combine(&mut self, other: &Native, add: impl Fn(&mut Kahan, f64)) -> Result<Combined, Mixed> {
        if self.is_custom() != other.is_custom() {
            return Err(Mixed);
        }
        let mut told = Combined::default();
        self.hint = match (self.hint, other.hint) {
            (a, b) if a == b => a,
            (CounterReset::Gauge, _) | (_, CounterReset::Gauge) => CounterReset::Gauge,
            (CounterReset::Unknown, _) | (_, CounterReset::Unknown) => CounterReset::Unknown,
            _ => {
                told.hints_collided = true;
                CounterReset::Unknown
            }
        };
        let both = |into: &mut Kahan, more: &Kahan| {
            add(into, more.sum);
            add(into, more.compensation);
        };
        let mut other = std::borrow::Cow::Borrowed(other);
        if self.is_custom() {
            if self.custom_bounds != other.custom_bounds {
                told.bounds_differed = true;
                let common = common_bounds(&self.custom_bounds, &other.custom_bounds);
                self.positive = self.under_bounds(&common);
                other.to_mut().positive = other.under_bounds(&common);
                self.custom_bounds = common;
            }
        } else {
            let zero = self.reconcile_zero(&other);
            both(&mut self.zero, &zero);
            let schema = self.schema.min(other.schema);
            if schema < self.schema {
                *self = self.at_schema(schema);
            }
            if schema < other.schema {
                other = std::borrow::Cow::Owned(other.at_schema(schema));
            }
        }
        both(&mut self.count, &other.count);
        both(&mut self.sum, &other.sum);
        let (custom, schema, width) = (self.is_custom(), self.schema, self.zero_threshold);
        for (own, more) in [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)] {
            // What lies within the zero bucket has been counted there.
            for (index, count) in more.iter().filter(|(index, _)| custom || bound_of(schema, **index) > width) {
                both(own.entry(*index).or_default(), count);
            }
        }
        Ok(told)
    }

    pub(super) fn add(&mut self, other: &Native) -> Result<Combined, Mixed> {
        self.combine(other, |own, more| own.sum += more)
    }

    pub(super) fn subtract(&mut self, other: &Native) -> Result<Combined, Mixed> {
        self.combine(other, |own, less| own.sum -= less)
    }

    /// For long sums: what rounding loses is kept aside.
    pub(super) fn add_exactly(&mut self, other: &Native) -> Result<Combined, Mixed> {
        self.combine(other, Kahan::add)
    }

    pub(super) fn overflows(&self) -> bool {
        let buckets = self.positive.values().chain(self.negative.values());
        buckets.chain([&self.count, &self.sum, &self.zero]).any(|number| number.sum.is_infinite())
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
    pub(super) fn is_reset_after(&self, before: &Native) -> bool {
        match self.hint {
            CounterReset::Reset => return true,
            CounterReset::NoReset => return false,
            CounterReset::Unknown | CounterReset::Gauge => {}
        }
        if self.count.total() < before.count.total() {
            return true;
        }
        if self.is_custom() {
            if !before.is_custom() {
                return true;
            }
            if self.custom_bounds != before.custom_bounds {
                let common = common_bounds(&self.custom_bounds, &before.custom_bounds);
                let (own, old) = (self.under_bounds(&common), before.under_bounds(&common));
                let count = |buckets: &BTreeMap<i32, Kahan>, i: i32| buckets.get(&i).map_or(0.0, |c| c.total());
                return (0..=common.len() as i32).any(|i| count(&own, i) < count(&old, i));
            }
        }
        if self.schema > before.schema || self.zero_threshold < before.zero_threshold {
            return true;
        }
        let (zero, threshold) = before.widened_zero(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero.total() < zero.total() {
            return true;
        }
        let before = before.at_schema(self.schema);
        let fell = |own: &BTreeMap<i32, Kahan>, old: &BTreeMap<i32, Kahan>| {
            let mut outside =
                old.iter().filter(|(index, _)| self.is_custom() || self.bound(**index) > self.zero_threshold);
            outside.any(|(index, count)| match own.get(index) {
                Some(own) => own.total() < count.total(),
                None => count.total() != 0.0,
            })
        };
        fell(&self.positive, &before.positive) || fell(&self.negative, &before.negative)
    }

    /// The upper bound of an exponential bucket.
    pub(super) fn bound(&self, index: i32) -> f64 {
        bound_of(self.schema, index)
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

/// Bucket `index` ends at `2^(index * 2^-schema)`.
pub(super) fn bound_of(schema: i32, index: i32) -> f64 {
    if schema <= 0 {
        return f64::exp2(f64::from(index) * f64::exp2(f64::from(-schema)));
    }
    let per_power = 1i32 << schema.min(8);
    let fraction = f64::from(index.rem_euclid(per_power)) / f64::from(per_power);
    f64::exp2(fraction) * f64::exp2(f64::from(index.div_euclid(per_power)))
}

fn common_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().copied().filter(|bound| b.contains(bound)).collect()
}
