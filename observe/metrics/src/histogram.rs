//! Native histograms, exemplars and metadata as bytes: the same in the log and in segments. Floats keep their bits.

use base_signal::{Buckets, CounterReset, Exemplar, Labels, Metadata, MetricKind, NativeHistogram, SpanRun};
use observe_block::codec::{self, Malformed, Reader};

type Result<T> = std::result::Result<T, Malformed>;

const FLOAT: u8 = 1;

pub(crate) fn put_histogram(out: &mut Vec<u8>, histogram: &NativeHistogram) {
    let is_float = matches!(histogram.buckets, Buckets::Float { .. });
    let reset = match histogram.counter_reset {
        CounterReset::Unknown => 0u8,
        CounterReset::Reset => 1,
        CounterReset::NoReset => 2,
        CounterReset::Gauge => 3,
    };
    out.push(u8::from(is_float) | reset << 1);
    codec::put_zigzag(out, i64::from(histogram.schema));
    codec::put_f64(out, histogram.zero_threshold);
    codec::put_f64(out, histogram.sum);
    for runs in [&histogram.positive_runs, &histogram.negative_runs] {
        codec::put_varint(out, runs.len() as u64);
        for run in runs {
            codec::put_zigzag(out, i64::from(run.offset));
            codec::put_varint(out, u64::from(run.length));
        }
    }
    match &histogram.buckets {
        Buckets::Integer { count, zero_count, positive, negative } => {
            codec::put_varint(out, *count);
            codec::put_varint(out, *zero_count);
            for counts in [positive, negative] {
                codec::put_varint(out, counts.len() as u64);
                counts.iter().for_each(|count| codec::put_varint(out, *count));
            }
        }
        Buckets::Float { count, zero_count, positive, negative } => {
            codec::put_f64(out, *count);
            codec::put_f64(out, *zero_count);
            for counts in [positive, negative] {
                codec::put_varint(out, counts.len() as u64);
                counts.iter().for_each(|count| codec::put_f64(out, *count));
            }
        }
    }
    codec::put_varint(out, histogram.custom_bounds.len() as u64);
    histogram.custom_bounds.iter().for_each(|bound| codec::put_f64(out, *bound));
}

pub(crate) fn take_histogram(reader: &mut Reader<'_>) -> Result<NativeHistogram> {
    let flags = reader.u8("histogram flags")?;
    let counter_reset = match flags >> 1 {
        0 => CounterReset::Unknown,
        1 => CounterReset::Reset,
        2 => CounterReset::NoReset,
        3 => CounterReset::Gauge,
        _ => return Err(reader.malformed("histogram flags")),
    };
    let schema = i32::try_from(reader.zigzag("schema")?).map_err(|_| reader.malformed("schema"))?;
    let (zero_threshold, sum) = (reader.f64("zero threshold")?, reader.f64("sum")?);
    let (positive_runs, negative_runs) = (take_runs(reader)?, take_runs(reader)?);
    let buckets = if flags & FLOAT != 0 {
        Buckets::Float {
            count: reader.f64("count")?,
            zero_count: reader.f64("zero count")?,
            positive: take_floats(reader)?,
            negative: take_floats(reader)?,
        }
    } else {
        Buckets::Integer {
            count: reader.varint("count")?,
            zero_count: reader.varint("zero count")?,
            positive: take_integers(reader)?,
            negative: take_integers(reader)?,
        }
    };
    let custom_bounds = take_floats(reader)?;
    Ok(NativeHistogram {
        schema,
        counter_reset,
        zero_threshold,
        sum,
        positive_runs,
        negative_runs,
        buckets,
        custom_bounds,
    })
}

fn take_runs(reader: &mut Reader<'_>) -> Result<Vec<SpanRun>> {
    let count = reader.count("runs")?;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        let offset = i32::try_from(reader.zigzag("run offset")?).map_err(|_| reader.malformed("run offset"))?;
        runs.push(SpanRun { offset, length: reader.varint_u32("run length")? });
    }
    Ok(runs)
}

fn take_integers(reader: &mut Reader<'_>) -> Result<Vec<u64>> {
    (0..reader.count("buckets")?).map(|_| reader.varint("bucket")).collect()
}

fn take_floats(reader: &mut Reader<'_>) -> Result<Vec<f64>> {
    (0..reader.count("floats")?).map(|_| reader.f64("float")).collect()
}

pub(crate) fn put_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    codec::put_bytes(out, exemplar.labels.as_bytes());
    codec::put_zigzag(out, exemplar.time_ms);
    codec::put_f64(out, exemplar.value);
}

pub(crate) fn take_exemplar(reader: &mut Reader<'_>) -> Result<Exemplar> {
    let labels = take_labels(reader)?;
    Ok(Exemplar { labels, time_ms: reader.zigzag("exemplar time")?, value: reader.f64("exemplar value")? })
}

pub(crate) fn take_labels(reader: &mut Reader<'_>) -> Result<Labels> {
    let bytes = reader.bytes("labels")?;
    Labels::from_bytes(bytes).ok_or_else(|| reader.malformed("labels"))
}

pub(crate) fn put_metadata(out: &mut Vec<u8>, family: &str, metadata: &Metadata) {
    for text in [family, metadata.kind.as_str(), &metadata.help, &metadata.unit] {
        codec::put_bytes(out, text.as_bytes());
    }
}

pub(crate) fn take_metadata(reader: &mut Reader<'_>) -> Result<(String, Metadata)> {
    let family = reader.str("family")?.to_owned();
    let kind = MetricKind::parse(reader.str("kind")?).unwrap_or_default();
    let (help, unit) = (reader.str("help")?.to_owned(), reader.str("unit")?.to_owned());
    Ok((family, Metadata { kind, help, unit }))
}

/// The same to the last bit; `==` would call NaN sums different and 0 and -0 the same.
pub(crate) fn histogram_bytes(histogram: &NativeHistogram) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_histogram(&mut bytes, histogram);
    bytes
}
