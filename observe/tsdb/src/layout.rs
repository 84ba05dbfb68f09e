//! What all histograms of a chunk share: schema, threshold of the zero bucket, runs of buckets, custom bounds.

use base_signal::{CounterReset, NativeHistogram, SpanRun};

use crate::bits::{BitReader, BitWriter};
use crate::bytes::Malformed;
use crate::varbit::{put_int, put_uint, take_int, take_uint};
use crate::xor2::Starts;

type Result<T> = std::result::Result<T, Malformed>;

/// Of one histogram, both sides together: what a store takes too.
const BUCKETS_MAX: u64 = 65_536;
/// What the histograms of one chunk may take when they are unpacked: a chunk of Prometheus holds about 1 kB.
const UNPACKED_BYTES_MAX: u64 = 256 << 20;
/// Thresholds 2^-243 to 2^10 are one byte: their exponent and this.
const EXPONENT_BIAS: i32 = 243;
/// Custom bounds up to this, counted in thousandths, are numbers.
const THOUSANDTHS_MAX: f64 = 33_554_430.0;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub(crate) schema: i32,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Vec<SpanRun>,
    pub(crate) negative: Vec<SpanRun>,
    pub(crate) custom_bounds: Vec<f64>,
}

impl Layout {
    /// What a histogram has; one that is stale has none.
    pub(crate) fn of(histogram: &NativeHistogram) -> Self {
        if histogram.is_stale() {
            let (positive, negative, custom_bounds) = (Vec::new(), Vec::new(), Vec::new());
            return Layout { schema: 0, zero_threshold: 0.0, positive, negative, custom_bounds };
        }
        let custom = histogram.schema == NativeHistogram::CUSTOM_SCHEMA;
        Layout {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            positive: histogram.positive_runs.clone(),
            negative: histogram.negative_runs.clone(),
            custom_bounds: if custom { histogram.custom_bounds.clone() } else { Vec::new() },
        }
    }

    pub(crate) fn put(&self, to: &mut BitWriter) {
        put_threshold(to, self.zero_threshold);
        put_int(to, i64::from(self.schema));
        for runs in [&self.positive, &self.negative] {
            put_uint(to, runs.len() as u64);
            for run in runs {
                put_uint(to, u64::from(run.length));
                put_int(to, i64::from(run.offset));
            }
        }
        if self.schema == NativeHistogram::CUSTOM_SCHEMA {
            put_uint(to, self.custom_bounds.len() as u64);
            self.custom_bounds.iter().for_each(|bound| put_bound(to, *bound));
        }
    }

    /// `samples` are to follow: together they may take so much memory and no more.
    pub(crate) fn take(from: &mut BitReader<'_>, samples: u64) -> Result<Self> {
        let zero_threshold = take_threshold(from)?;
        let schema = take_int(from)?;
        if !(-4..=8).contains(&schema) && schema != i64::from(NativeHistogram::CUSTOM_SCHEMA) {
            return Err(from.malformed("a histogram of an unknown schema"));
        }
        let schema = schema as i32;
        let (positive, negative) = (take_runs(from)?, take_runs(from)?);
        let mut custom_bounds = Vec::new();
        if schema == NativeHistogram::CUSTOM_SCHEMA {
            for _ in 0..take_count(from)? {
                custom_bounds.push(take_bound(from)?);
            }
        }
        let layout = Layout { schema, zero_threshold, positive, negative, custom_bounds };
        let buckets = layout.buckets(&layout.positive) + layout.buckets(&layout.negative);
        if buckets + layout.custom_bounds.len() as u64 > BUCKETS_MAX {
            return Err(from.malformed("a histogram of more than 65536 buckets"));
        }
        let runs = (layout.positive.len() + layout.negative.len() + layout.custom_bounds.len()) as u64;
        if samples.saturating_mul(200 + (runs + buckets) * 8) > UNPACKED_BYTES_MAX {
            return Err(from.malformed("histograms of more than 256 MiB in one chunk"));
        }
        Ok(layout)
    }

    fn buckets(&self, runs: &[SpanRun]) -> u64 {
        runs.iter().map(|run| u64::from(run.length)).sum()
    }

    pub(crate) fn positive_buckets(&self) -> usize {
        self.buckets(&self.positive) as usize
    }

    pub(crate) fn negative_buckets(&self) -> usize {
        self.buckets(&self.negative) as usize
    }
}

/// A number of things that take a bit at least.
fn take_count(from: &mut BitReader<'_>) -> Result<u64> {
    let count = take_uint(from)?;
    if count > from.remaining() { Err(from.malformed("more parts than there are bytes for")) } else { Ok(count) }
}

fn take_runs(from: &mut BitReader<'_>) -> Result<Vec<SpanRun>> {
    let mut runs = Vec::new();
    for _ in 0..take_count(from)? {
        let (length, offset) = (take_uint(from)?, take_int(from)?);
        let length = u32::try_from(length).map_err(|_| from.malformed("a run of too many buckets"))?;
        let offset = i32::try_from(offset).map_err(|_| from.malformed("a run too far away"))?;
        runs.push(SpanRun { offset, length });
    }
    Ok(runs)
}

/// The exponent of a power of two that has a byte of its own, as `frexp` counts it: half of 2^exponent.
fn byte_of(threshold: f64) -> Option<u8> {
    let bits = threshold.to_bits();
    let (exponent, mantissa) = ((bits >> 52) as i32 & 0x7ff, bits & ((1 << 52) - 1));
    let is_power = bits >> 63 == 0 && mantissa == 0 && (1..0x7ff).contains(&exponent);
    let byte = exponent - 1022 + EXPONENT_BIAS;
    (is_power && (1..=254).contains(&byte)).then_some(byte as u8)
}

fn put_threshold(to: &mut BitWriter, threshold: f64) {
    if threshold.to_bits() == 0 {
        return to.bits(0, 8);
    }
    match byte_of(threshold) {
        Some(byte) => to.bits(u64::from(byte), 8),
        None => {
            to.bits(255, 8);
            to.bits(threshold.to_bits(), 64);
        }
    }
}

fn take_threshold(from: &mut BitReader<'_>) -> Result<f64> {
    match from.bits(8)? {
        0 => Ok(0.0),
        255 => from.bits(64).map(f64::from_bits),
        byte => Ok(f64::from_bits((byte as i64 - i64::from(EXPONENT_BIAS) + 1022).unsigned_abs() << 52)),
    }
}

fn put_bound(to: &mut BitWriter, bound: f64) {
    let thousandths = (bound * 1000.0).round() as u64;
    let near = (0.0..=THOUSANDTHS_MAX).contains(&(bound * 1000.0));
    // As it will be read: with the same bits, -0 too.
    if near && (thousandths as f64 / 1000.0).to_bits() == bound.to_bits() {
        return put_uint(to, thousandths + 1);
    }
    to.bit(false);
    to.bits(bound.to_bits(), 64);
}

fn take_bound(from: &mut BitReader<'_>) -> Result<f64> {
    match take_uint(from)? {
        0 => from.bits(64).map(f64::from_bits),
        number => Ok((number - 1) as f64 / 1000.0),
    }
}

/// What a chunk of histograms begins with.
pub(crate) struct Head {
    pub(crate) samples: u64,
    /// What is known of resets.
    pub(crate) flags: u8,
    /// Which samples have a start timestamp.
    pub(crate) starts: Starts,
    pub(crate) layout: Layout,
}

impl Head {
    /// Three bytes and the layout; `None` for a chunk without samples, which has none.
    pub(crate) fn take(from: &mut BitReader<'_>, with_starts: bool) -> Result<Option<Self>> {
        let (samples, flags, starts) = if with_starts {
            let flags = (from.bits(2)? << 6) as u8;
            (from.bits(14)?, flags, Starts::of(from.bits(8)? as u8))
        } else {
            (from.bits(16)?, from.bits(8)? as u8, Starts::NONE)
        };
        if samples > from.remaining() {
            return Err(from.malformed("more samples than there are bytes for"));
        }
        if samples == 0 {
            return Ok(None);
        }
        let layout = Layout::take(from, samples)?;
        Ok(Some(Self { samples, flags, starts, layout }))
    }
}

/// The first two bits of a chunk's third byte.
pub(crate) fn reset_bits(reset: CounterReset) -> u8 {
    match reset {
        CounterReset::Unknown => 0b0000_0000,
        CounterReset::NoReset => 0b0100_0000,
        CounterReset::Reset => 0b1000_0000,
        CounterReset::Gauge => 0b1100_0000,
    }
}

pub(crate) fn reset_of(flags: u8) -> CounterReset {
    match flags >> 6 {
        0b00 => CounterReset::Unknown,
        0b01 => CounterReset::NoReset,
        0b10 => CounterReset::Reset,
        _ => CounterReset::Gauge,
    }
}

/// What is known of a histogram at this place of its chunk. That there was no reset since the one before is only true as
/// long as the one before is there: whoever reads a part of a chunk cannot rely on it, so it is not handed out.
pub(crate) fn reset_at(flags: u8, place: u64) -> CounterReset {
    match (reset_of(flags), place) {
        (CounterReset::Gauge, _) => CounterReset::Gauge,
        (CounterReset::Reset, 0) => CounterReset::Reset,
        _ => CounterReset::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_and_bounds_come_back_with_their_bits() {
        let two = |power: i32| 2f64.powi(power);
        let table = [
            (0.0, 8),
            (two(-128), 8),
            (two(-243), 8),
            (two(10), 8),
            (two(-244), 72),
            (two(11), 72),
            (-0.0, 72),
            (0.001, 72),
            (-two(-3), 72),
            (f64::MIN_POSITIVE / 2.0, 72),
            (f64::INFINITY, 72),
        ];
        for (threshold, bits) in table {
            let mut to = BitWriter::default();
            put_threshold(&mut to, threshold);
            let bytes = to.into_bytes();
            assert_eq!(bytes.len() * 8, bits, "{threshold}");
            let back = take_threshold(&mut BitReader::new(&bytes)).map(f64::to_bits);
            assert_eq!(back, Ok(threshold.to_bits()), "{threshold}");
        }
        // As the documents say: the usual threshold of client libraries is 116.
        assert_eq!((byte_of(two(-128)), byte_of(two(-243)), byte_of(two(10))), (Some(116), Some(1), Some(254)));
        for bound in [0.0, -0.0, 0.005, 0.1, 33_554.43, 33_554.431, 1e9, -1.0, 1.0 / 3.0, f64::INFINITY, 0.0001] {
            let mut to = BitWriter::default();
            put_bound(&mut to, bound);
            let back = take_bound(&mut BitReader::new(&to.into_bytes())).map(f64::to_bits);
            assert_eq!(back, Ok(bound.to_bits()), "{bound}");
        }
    }
}
