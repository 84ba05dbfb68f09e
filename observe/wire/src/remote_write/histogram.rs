//! `prometheus.Histogram`: a native histogram, its bucket counts made absolute. Knows no series.

use base_signal::{Buckets, CounterReset, NativeHistogram, SpanRun};

use crate::DecodeError;
use crate::proto::{Reader, WireValue};

/// The fields of a `Histogram` before it is known whether it is an integer one.
#[derive(Default)]
struct Raw {
    count: u64,
    float_count: Option<f64>,
    zero_count: u64,
    float_zero_count: Option<f64>,
    negative_deltas: Vec<i64>,
    negative_counts: Vec<f64>,
    positive_deltas: Vec<i64>,
    positive_counts: Vec<f64>,
}

/// The outer error is of the bytes, the inner one of what they mean.
pub(crate) fn decode(value: WireValue<'_>) -> Result<Result<(i64, NativeHistogram), String>, DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    let mut raw = Raw::default();
    let mut time_ms = 0;
    let mut histogram = NativeHistogram {
        schema: 0,
        counter_reset: CounterReset::Unknown,
        zero_threshold: 0.0,
        sum: 0.0,
        positive_runs: Vec::new(),
        negative_runs: Vec::new(),
        buckets: Buckets::Integer { count: 0, zero_count: 0, positive: Vec::new(), negative: Vec::new() },
        custom_bounds: Vec::new(),
    };
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => raw.count = value.unsigned()?,
            2 => raw.float_count = Some(value.double()?),
            3 => histogram.sum = value.double()?,
            4 => histogram.schema = i32::try_from(value.zigzag()?).unwrap_or(i32::MAX),
            5 => histogram.zero_threshold = value.double()?,
            6 => raw.zero_count = value.unsigned()?,
            7 => raw.float_zero_count = Some(value.double()?),
            8 => histogram.negative_runs.push(run(value)?),
            9 => zigzags(value, &mut raw.negative_deltas)?,
            10 => doubles(value, &mut raw.negative_counts)?,
            11 => histogram.positive_runs.push(run(value)?),
            12 => zigzags(value, &mut raw.positive_deltas)?,
            13 => doubles(value, &mut raw.positive_counts)?,
            14 => histogram.counter_reset = reset_hint(value.unsigned()?),
            15 => time_ms = value.unsigned()? as i64,
            16 => doubles(value, &mut histogram.custom_bounds)?,
            _ => {}
        }
    }
    Ok(finish(raw, histogram).map(|histogram| (time_ms, histogram)))
}

fn finish(raw: Raw, mut histogram: NativeHistogram) -> Result<NativeHistogram, String> {
    let schema = histogram.schema;
    if !(-4..=8).contains(&schema) && schema != NativeHistogram::CUSTOM_SCHEMA {
        return Err(format!("native histogram schema {schema} is not known; -4 to 8 and -53 are"));
    }
    let integer = raw.float_count.is_none();
    let (positive, negative) = if integer {
        (raw.positive_deltas.len(), raw.negative_deltas.len())
    } else {
        (raw.positive_counts.len(), raw.negative_counts.len())
    };
    fits("positive", &histogram.positive_runs, positive)?;
    fits("negative", &histogram.negative_runs, negative)?;
    histogram.buckets = match raw.float_count {
        None => Buckets::Integer {
            count: raw.count,
            zero_count: raw.zero_count,
            positive: absolute(&raw.positive_deltas)?,
            negative: absolute(&raw.negative_deltas)?,
        },
        Some(count) => Buckets::Float {
            count,
            zero_count: raw.float_zero_count.unwrap_or(0.0),
            positive: raw.positive_counts,
            negative: raw.negative_counts,
        },
    };
    Ok(histogram)
}

fn fits(side: &str, runs: &[SpanRun], buckets: usize) -> Result<(), String> {
    let said: u64 = runs.iter().map(|run| u64::from(run.length)).sum();
    if said == buckets as u64 {
        return Ok(());
    }
    Err(format!("native histogram with {buckets} {side} buckets where its spans tell of {said}"))
}

/// Counts travel as differences to the one before.
fn absolute(deltas: &[i64]) -> Result<Vec<u64>, String> {
    let mut count = 0i64;
    let mut next = |delta: &i64| {
        count = count.checked_add(*delta)?;
        u64::try_from(count).ok()
    };
    let counts: Option<Vec<u64>> = deltas.iter().map(&mut next).collect();
    counts.ok_or_else(|| "native histogram with a negative bucket count".to_owned())
}

fn reset_hint(number: u64) -> CounterReset {
    match number {
        1 => CounterReset::Reset,
        2 => CounterReset::NoReset,
        3 => CounterReset::Gauge,
        _ => CounterReset::Unknown,
    }
}

/// A `BucketSpan`.
fn run(value: WireValue<'_>) -> Result<SpanRun, DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    let mut run = SpanRun { offset: 0, length: 0 };
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => run.offset = value.zigzag()? as i32,
            2 => run.length = value.unsigned()? as u32,
            _ => {}
        }
    }
    Ok(run)
}

fn zigzags(value: WireValue<'_>, list: &mut Vec<i64>) -> Result<(), DecodeError> {
    match value {
        WireValue::Bytes(bytes, offset) => {
            let mut reader = Reader::at(bytes, offset);
            while !reader.is_empty() {
                list.push(WireValue::Varint(reader.varint()?).zigzag()?);
            }
        }
        single => list.push(single.zigzag()?),
    }
    Ok(())
}

fn doubles(value: WireValue<'_>, list: &mut Vec<f64>) -> Result<(), DecodeError> {
    match value {
        WireValue::Bytes(bytes, offset) => {
            let mut reader = Reader::at(bytes, offset);
            while !reader.is_empty() {
                list.push(f64::from_bits(reader.fixed64()?));
            }
        }
        single => list.push(single.double()?),
    }
    Ok(())
}
