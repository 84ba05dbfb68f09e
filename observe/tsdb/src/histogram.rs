//! A chunk of native histograms of whole numbers (encoding 2): counts as changes of changes, buckets as what each differs
//! from the one beside it.

use base_signal::{Buckets, CounterReset, NativeHistogram, is_stale_nan};

use crate::bits::{BitReader, BitWriter};
use crate::bytes::Malformed;
use crate::layout::{Head, Layout, reset_at};
use crate::varbit::{Xor, put_int, put_uint, take_int, take_uint};

type Result<T> = std::result::Result<T, Malformed>;

/// The counts of one histogram: buckets as differences to their neighbours, positive ones first.
struct Counts {
    count: u64,
    zero_count: u64,
    buckets: Vec<i64>,
}

/// A number that is written as the change of its change.
#[derive(Clone, Copy, Default)]
struct Change {
    value: i64,
    delta: i64,
}

impl Change {
    fn put(&mut self, to: &mut BitWriter, value: i64) {
        let delta = value.wrapping_sub(self.value);
        put_int(to, delta.wrapping_sub(self.delta));
        *self = Change { value, delta };
    }

    fn take(&mut self, from: &mut BitReader<'_>) -> Result<i64> {
        self.delta = self.delta.wrapping_add(take_int(from)?);
        self.value = self.value.wrapping_add(self.delta);
        Ok(self.value)
    }
}

/// A chunk being written, with the layout of its first histogram.
pub(crate) struct HistogramChunk {
    to: BitWriter,
    time: Change,
    count: Change,
    zero_count: Change,
    sum: Xor,
    buckets: Vec<Change>,
    begun: bool,
}

impl HistogramChunk {
    /// After the three bytes of its head.
    pub(crate) fn new(layout: &Layout) -> Self {
        let mut to = BitWriter::after(vec![0, 0, 0]);
        layout.put(&mut to);
        let buckets = vec![Change::default(); layout.positive_buckets() + layout.negative_buckets()];
        let (time, count, zero_count) = <(Change, Change, Change)>::default();
        HistogramChunk { to, time, count, zero_count, sum: Xor::default(), buckets, begun: false }
    }

    pub(crate) fn len(&self) -> usize {
        self.to.len()
    }

    /// Of the chunk's layout, or stale.
    pub(crate) fn push(&mut self, time: i64, sum: f64, histogram: (u64, u64, &[u64], &[u64])) {
        let stale = is_stale_nan(sum);
        let counts = if stale { Counts { count: 0, zero_count: 0, buckets: Vec::new() } } else { counts(histogram) };
        if self.begun {
            self.time.put(&mut self.to, time);
            if stale {
                // Whatever these say, nobody reads it.
                self.to.bits(0, 2);
            } else {
                self.count.put(&mut self.to, counts.count as i64);
                self.zero_count.put(&mut self.to, counts.zero_count as i64);
            }
            self.sum.put(&mut self.to, sum.to_bits());
            for (change, bucket) in self.buckets.iter_mut().zip(counts.buckets) {
                change.put(&mut self.to, bucket);
            }
            return;
        }
        self.begun = true;
        put_int(&mut self.to, time);
        put_uint(&mut self.to, counts.count);
        put_uint(&mut self.to, counts.zero_count);
        self.to.bits(sum.to_bits(), 64);
        counts.buckets.iter().for_each(|bucket| put_int(&mut self.to, *bucket));
        self.time.value = time;
        self.count.value = counts.count as i64;
        self.zero_count.value = counts.zero_count as i64;
        self.sum = Xor::starting(sum.to_bits());
        self.buckets = counts.buckets.into_iter().map(|value| Change { value, delta: 0 }).collect();
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.to.into_bytes()
    }
}

fn counts((count, zero_count, positive, negative): (u64, u64, &[u64], &[u64])) -> Counts {
    let mut buckets = Vec::with_capacity(positive.len() + negative.len());
    for side in [positive, negative] {
        let mut before = 0u64;
        for bucket in side {
            buckets.push(bucket.wrapping_sub(before) as i64);
            before = *bucket;
        }
    }
    Counts { count, zero_count, buckets }
}

/// Calls `each` with every histogram; a stale one is empty. Start timestamps, where chunks have them, are passed over.
pub(crate) fn read(data: &[u8], with_starts: bool, mut each: impl FnMut(i64, NativeHistogram)) -> Result<()> {
    let mut from = BitReader::new(data);
    let Some(Head { samples, flags, starts, layout }) = Head::take(&mut from, with_starts)? else { return Ok(()) };
    let (mut time, mut count, mut zero_count) = <(Change, Change, Change)>::default();
    let (mut sum, mut buckets) = (Xor::default(), Vec::new());
    let expected = layout.positive_buckets() + layout.negative_buckets();
    for place in 0..samples {
        if place == 0 {
            time.value = take_int(&mut from)?;
            count.value = take_uint(&mut from)? as i64;
            zero_count.value = take_uint(&mut from)? as i64;
            sum = Xor::starting(from.bits(64)?);
            for _ in 0..expected {
                buckets.push(Change { value: take_int(&mut from)?, delta: 0 });
            }
        } else {
            time.take(&mut from)?;
            count.take(&mut from)?;
            zero_count.take(&mut from)?;
            sum.take(&mut from)?;
            // A marker has none.
            if !is_stale_nan(f64::from_bits(sum.bits)) {
                for bucket in &mut buckets {
                    bucket.take(&mut from)?;
                }
            }
        }
        starts.skip(&mut from, place)?;
        let stale = is_stale_nan(f64::from_bits(sum.bits));
        let reset = reset_at(flags, place);
        let histogram = if stale {
            stale_histogram(reset, Buckets::Integer { count: 0, zero_count: 0, positive: vec![], negative: vec![] })
        } else {
            let (positive, negative) = buckets.split_at(layout.positive_buckets().min(buckets.len()));
            let (positive, negative) = (absolute(&from, positive)?, absolute(&from, negative)?);
            let (count, zero_count) = (count.value as u64, zero_count.value as u64);
            NativeHistogram {
                schema: layout.schema,
                counter_reset: reset,
                zero_threshold: layout.zero_threshold,
                sum: f64::from_bits(sum.bits),
                positive_runs: layout.positive.clone(),
                negative_runs: layout.negative.clone(),
                buckets: Buckets::Integer { count, zero_count, positive, negative },
                custom_bounds: layout.custom_bounds.clone(),
            }
        };
        each(time.value, histogram);
    }
    Ok(())
}

fn absolute(from: &BitReader<'_>, changes: &[Change]) -> Result<Vec<u64>> {
    let mut before = 0u64;
    let mut add = |change: &Change| {
        before = before.wrapping_add(change.value as u64);
        before
    };
    let buckets: Vec<u64> = changes.iter().map(&mut add).collect();
    // A bucket above 2^63 is no count: a difference went below zero.
    let sound = buckets.iter().all(|bucket| *bucket <= i64::MAX as u64);
    if sound { Ok(buckets) } else { Err(from.malformed("a bucket that counts less than nothing")) }
}

/// The end of a series.
pub(crate) fn stale_histogram(counter_reset: CounterReset, buckets: Buckets) -> NativeHistogram {
    NativeHistogram {
        schema: 0,
        counter_reset,
        zero_threshold: 0.0,
        sum: base_signal::stale_nan(),
        positive_runs: Vec::new(),
        negative_runs: Vec::new(),
        buckets,
        custom_bounds: Vec::new(),
    }
}
