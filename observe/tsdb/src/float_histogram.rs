//! A chunk of native histograms of floats (encoding 3): every count and bucket as what changed of its bits.

use base_signal::{Buckets, NativeHistogram, is_stale_nan};

use crate::bits::{BitReader, BitWriter};
use crate::bytes::Malformed;
use crate::histogram::stale_histogram;
use crate::layout::{Head, Layout, reset_at};
use crate::varbit::{Xor, put_int, take_int};

type Result<T> = std::result::Result<T, Malformed>;

/// A chunk being written, with the layout of its first histogram.
pub(crate) struct FloatHistogramChunk {
    to: BitWriter,
    time: i64,
    delta: i64,
    /// Count, count of the zero bucket, sum.
    totals: [Xor; 3],
    buckets: Vec<Xor>,
    begun: bool,
}

impl FloatHistogramChunk {
    pub(crate) fn new(layout: &Layout) -> Self {
        let mut to = BitWriter::after(vec![0, 0, 0]);
        layout.put(&mut to);
        let buckets = vec![Xor::default(); layout.positive_buckets() + layout.negative_buckets()];
        FloatHistogramChunk { to, time: 0, delta: 0, totals: Default::default(), buckets, begun: false }
    }

    pub(crate) fn len(&self) -> usize {
        self.to.len()
    }

    /// Of the chunk's layout, or stale.
    pub(crate) fn push(&mut self, time: i64, sum: f64, histogram: (f64, f64, &[f64], &[f64])) {
        let (count, zero_count, positive, negative) = histogram;
        let none: (f64, f64, &[f64], &[f64]) = (0.0, 0.0, &[], &[]);
        let (count, zero_count, positive, negative) =
            if is_stale_nan(sum) { none } else { (count, zero_count, positive, negative) };
        let totals = [count, zero_count, sum];
        let buckets = positive.iter().chain(negative);
        if self.begun {
            let delta = time.wrapping_sub(self.time);
            put_int(&mut self.to, delta.wrapping_sub(self.delta));
            self.delta = delta;
            for (xor, value) in self.totals.iter_mut().zip(totals) {
                xor.put(&mut self.to, value.to_bits());
            }
            for (xor, value) in self.buckets.iter_mut().zip(buckets) {
                xor.put(&mut self.to, value.to_bits());
            }
        } else {
            self.begun = true;
            put_int(&mut self.to, time);
            for (xor, value) in self.totals.iter_mut().zip(&totals).chain(self.buckets.iter_mut().zip(buckets)) {
                self.to.bits(value.to_bits(), 64);
                *xor = Xor::starting(value.to_bits());
            }
        }
        self.time = time;
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.to.into_bytes()
    }
}

/// Calls `each` with every histogram; a stale one is empty. Start timestamps, where chunks have them, are passed over.
pub(crate) fn read(data: &[u8], with_starts: bool, mut each: impl FnMut(i64, NativeHistogram)) -> Result<()> {
    let mut from = BitReader::new(data);
    let Some(Head { samples, flags, starts, layout }) = Head::take(&mut from, with_starts)? else { return Ok(()) };
    let (mut time, mut delta) = (0i64, 0i64);
    let (mut totals, mut buckets) = ([Xor::default(); 3], Vec::new());
    let expected = layout.positive_buckets() + layout.negative_buckets();
    for place in 0..samples {
        if place == 0 {
            time = take_int(&mut from)?;
            for total in &mut totals {
                *total = Xor::starting(from.bits(64)?);
            }
            for _ in 0..expected {
                buckets.push(Xor::starting(from.bits(64)?));
            }
        } else {
            delta = delta.wrapping_add(take_int(&mut from)?);
            time = time.wrapping_add(delta);
            for total in &mut totals {
                total.take(&mut from)?;
            }
            // A marker has none.
            if !is_stale_nan(f64::from_bits(totals[2].bits)) {
                for bucket in &mut buckets {
                    bucket.take(&mut from)?;
                }
            }
        }
        starts.skip(&mut from, place)?;
        let [count, zero_count, sum] = totals.map(|total| f64::from_bits(total.bits));
        let reset = reset_at(flags, place);
        if is_stale_nan(sum) {
            let nothing = Buckets::Float { count: 0.0, zero_count: 0.0, positive: vec![], negative: vec![] };
            each(time, stale_histogram(reset, nothing));
            continue;
        }
        let floats = |part: &[Xor]| part.iter().map(|bucket| f64::from_bits(bucket.bits)).collect();
        let (positive, negative) = buckets.split_at(layout.positive_buckets().min(buckets.len()));
        let buckets = Buckets::Float { count, zero_count, positive: floats(positive), negative: floats(negative) };
        each(
            time,
            NativeHistogram {
                schema: layout.schema,
                counter_reset: reset,
                zero_threshold: layout.zero_threshold,
                sum,
                positive_runs: layout.positive.clone(),
                negative_runs: layout.negative.clone(),
                buckets,
                custom_bounds: layout.custom_bounds.clone(),
            },
        );
    }
    Ok(())
}
