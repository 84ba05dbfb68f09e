//! A series' points as Prometheus's chunks: floats by difference and XOR (the Gorilla paper's idea, in the form of
//! `tsdb/docs/format/chunks.md`), native histograms one to a chunk, because only what stays the same from one to the next would be saved by more.

use base_signal::{Buckets, CounterReset, NativeHistogram, SpanRun};
use observe_source::MetricBatch;

use super::bits::Bits;

/// As Prometheus cuts them.
pub const SAMPLES_PER_CHUNK: usize = 120;

/// Encodings by number: see `chunkenc.Encoding`.
const XOR: u64 = 1;
const HISTOGRAM: u64 = 2;
const FLOAT_HISTOGRAM: u64 = 3;

pub(super) struct Chunk {
    pub(super) time_min_ms: i64,
    pub(super) time_max_ms: i64,
    pub(super) encoding: u64,
    pub(super) data: Vec<u8>,
}

/// The chunks of series `i`, ascending in time.
pub(super) fn chunks(batch: &MetricBatch, i: usize) -> impl Iterator<Item = Chunk> + '_ {
    let rows = batch.rows(i);
    let (mut row, end) = (rows.start, rows.end);
    // Which histogram is the next.
    let mut next = batch.histograms.partition_point(|(at, _)| *at < row);
    std::iter::from_fn(move || {
        if row >= end {
            return None;
        }
        if let Some((at, found)) = batch.histograms.get(next)
            && *at == row
        {
            let time_ms = batch.times_ms[row];
            (row, next) = (row + 1, next + 1);
            return Some(histogram(time_ms, found));
        }
        let stop = batch.histograms.get(next).map_or(end, |(at, _)| *at).min(end).min(row + SAMPLES_PER_CHUNK);
        let chunk = floats(&batch.times_ms[row..stop], &batch.values[row..stop]);
        row = stop;
        Some(chunk)
    })
}

fn floats(times_ms: &[i64], values: &[f64]) -> Chunk {
    let mut out = Bits::default();
    out.bits(times_ms.len() as u64, 16);
    let (mut delta_ms, mut before) = (0i64, Xor::default());
    for (at, (time_ms, value)) in times_ms.iter().zip(values).enumerate() {
        if at == 0 {
            out.varint(*time_ms);
            out.double(*value);
            before.bits = value.to_bits();
            continue;
        }
        let fresh_ms = time_ms.wrapping_sub(times_ms[at - 1]);
        match at {
            1 => out.uvarint(fresh_ms as u64),
            _ => put_change(&mut out, fresh_ms.wrapping_sub(delta_ms)),
        }
        delta_ms = fresh_ms;
        before.put(&mut out, value.to_bits());
    }
    let (first, last) = (times_ms.first().copied(), times_ms.last().copied());
    Chunk { time_min_ms: first.unwrap_or(0), time_max_ms: last.unwrap_or(0), encoding: XOR, data: out.bytes }
}

/// How much a distance differs from the one before.
fn put_change(out: &mut Bits, change: i64) {
    if change == 0 {
        return out.bit(false);
    }
    for (ones, count) in [(1u32, 14u32), (2, 17), (3, 20)] {
        let half = 1i64 << (count - 1);
        if (-half + 1..=half).contains(&change) {
            out.bits((1 << (ones + 1)) - 2, ones + 1);
            return out.bits(change as u64, count);
        }
    }
    out.bits(0b1111, 4);
    out.bits(change as u64, 64);
}

/// The value before, and which of its bits were written.
#[derive(Default)]
struct Xor {
    bits: u64,
    /// (leading, trailing) zeros of the window.
    window: Option<(u32, u32)>,
}

impl Xor {
    fn put(&mut self, out: &mut Bits, bits: u64) {
        let difference = bits ^ self.bits;
        self.bits = bits;
        if difference == 0 {
            return out.bit(false);
        }
        out.bit(true);
        // There are five bits for it.
        let (leading, trailing) = (difference.leading_zeros().min(31), difference.trailing_zeros());
        if let Some((from, to)) = self.window.filter(|(from, to)| leading >= *from && trailing >= *to) {
            out.bit(false);
            return out.bits(difference >> to, 64 - from - to);
        }
        self.window = Some((leading, trailing));
        out.bit(true);
        out.bits(u64::from(leading), 5);
        let count = 64 - leading - trailing;
        // All 64 do not fit six bits and are written as 0.
        out.bits(u64::from(count), 6);
        out.bits(difference >> trailing, count);
    }
}

fn histogram(time_ms: i64, histogram: &NativeHistogram) -> Chunk {
    let mut out = Bits::default();
    out.bits(1, 16);
    out.bits(reset_bits(histogram.counter_reset), 8);
    let stale = histogram.is_stale();
    let none: &[SpanRun] = &[];
    let runs = |runs: &'_ [SpanRun]| if stale { none.to_vec() } else { runs.to_vec() };
    put_threshold(&mut out, if stale { 0.0 } else { histogram.zero_threshold });
    let schema = if stale { 0 } else { histogram.schema };
    out.small(i64::from(schema));
    put_runs(&mut out, &runs(&histogram.positive_runs));
    put_runs(&mut out, &runs(&histogram.negative_runs));
    if schema == NativeHistogram::CUSTOM_SCHEMA {
        out.small_unsigned(histogram.custom_bounds.len() as u64);
        for bound in &histogram.custom_bounds {
            // A zero bit: the bound follows as it is.
            out.bit(false);
            out.double(*bound);
        }
    }
    out.small(time_ms);
    let encoding = match &histogram.buckets {
        Buckets::Integer { count, zero_count, positive, negative } => {
            out.small_unsigned(if stale { 0 } else { *count });
            out.small_unsigned(if stale { 0 } else { *zero_count });
            out.double(histogram.sum);
            for counts in [positive, negative].into_iter().filter(|_| !stale) {
                let mut before = 0i64;
                for count in counts {
                    out.small((*count as i64).wrapping_sub(before));
                    before = *count as i64;
                }
            }
            HISTOGRAM
        }
        Buckets::Float { count, zero_count, positive, negative } => {
            out.double(if stale { 0.0 } else { *count });
            out.double(if stale { 0.0 } else { *zero_count });
            out.double(histogram.sum);
            for counts in [positive, negative].into_iter().filter(|_| !stale) {
                counts.iter().for_each(|count| out.double(*count));
            }
            FLOAT_HISTOGRAM
        }
    };
    Chunk { time_min_ms: time_ms, time_max_ms: time_ms, encoding, data: out.bytes }
}

fn reset_bits(hint: CounterReset) -> u64 {
    match hint {
        CounterReset::Unknown => 0,
        CounterReset::NoReset => 0b0100_0000,
        CounterReset::Reset => 0b1000_0000,
        CounterReset::Gauge => 0b1100_0000,
    }
}

fn put_threshold(out: &mut Bits, threshold: f64) {
    if threshold == 0.0 {
        return out.bits(0, 8);
    }
    // Powers of two have a shorter form, which readers do not need.
    out.bits(255, 8);
    out.double(threshold);
}

fn put_runs(out: &mut Bits, runs: &[SpanRun]) {
    out.small_unsigned(runs.len() as u64);
    for run in runs {
        out.small_unsigned(u64::from(run.length));
        out.small(i64::from(run.offset));
    }
}
