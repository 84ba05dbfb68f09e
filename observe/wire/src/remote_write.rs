//! Prometheus remote write 1: snappy-compressed `prometheus.WriteRequest` to series, samples, native histograms.
//!
//! The messages are those of `prompb/remote.proto` and `types.proto`. Read straight from the bytes: label texts are
//! borrowed until they land in the arena. A series with bad labels is left out with all its items and counted; it does not
//! spoil the rest. Knows nothing of limits on series or of what a store thinks of a sample.

use base_signal::{Buckets, CounterReset, Exemplar, Labels, Metadata, MetricKind, NativeHistogram, SpanRun};
use observe_source::{MetricWrite, RejectReason};

use crate::compression::snappy_block;
use crate::proto::{Reader, WireValue};
use crate::{DecodeError, DecodeErrorKind, Decoded, Limits};

/// Decodes a request as it came: one snappy block.
pub fn decode_write_request(body: &[u8], limits: &Limits) -> Result<Decoded<MetricWrite>, DecodeError> {
    let limit_bytes = usize::try_from(limits.decoded_max_bytes).unwrap_or(usize::MAX);
    decode_message(&snappy_block(body, limit_bytes)?, limits)
}

/// Decodes the uncompressed message.
pub fn decode_message(body: &[u8], limits: &Limits) -> Result<Decoded<MetricWrite>, DecodeError> {
    // A sample takes at least 2 bytes on the wire and 24 here; everything else is smaller in proportion.
    let mut decoder = Decoder { decoded: Decoded::default(), left_bytes: limits.decoded_max_bytes, limits };
    let mut labels = Vec::new();
    let mut reader = Reader::new(body);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => decoder.series(value, &mut labels).map_err(|e| e.within("timeseries"))?,
            3 => decoder.metadata(value).map_err(|e| e.within("metadata"))?,
            _ => {}
        }
        labels.clear();
    }
    Ok(decoder.decoded)
}

struct Decoder<'l> {
    decoded: Decoded<MetricWrite>,
    left_bytes: u64,
    limits: &'l Limits,
}

impl Decoder<'_> {
    fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        let error = DecodeErrorKind::TooLarge(self.limits.decoded_max_bytes);
        self.left_bytes = self.left_bytes.checked_sub(bytes as u64).ok_or_else(|| DecodeError::new(error))?;
        Ok(())
    }

    fn series<'a>(&mut self, value: WireValue<'a>, pairs: &mut Vec<(&'a str, &'a str)>) -> Result<(), DecodeError> {
        let (bytes, offset) = value.bytes()?;
        // Labels come first in practice but need not: two passes keep that from mattering.
        let mut reader = Reader::at(bytes, offset);
        let (mut items, mut not_utf8) = (0u64, false);
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => match pair(value) {
                    Ok(pair) => pairs.push(pair),
                    Err(e) if *e.kind() == DecodeErrorKind::Utf8 => not_utf8 = true,
                    Err(e) => return Err(e.within("labels")),
                },
                2..=4 => items += 1,
                _ => {}
            }
        }
        let problem = if not_utf8 { Some("a label is not valid UTF-8".to_owned()) } else { label_problem(pairs) };
        if let Some(problem) = problem {
            for _ in 0..items.max(1) {
                self.decoded.rejects.reject(RejectReason::InvalidLabels, || problem.clone());
            }
            return Ok(());
        }
        self.charge(bytes.len())?;
        let series = self.decoded.write.series.push(pairs);
        let mut reader = Reader::at(bytes, offset);
        while let Some((number, value)) = reader.field()? {
            match number {
                2 => {
                    self.charge(24)?;
                    let (time_ms, sample) = sample(value).map_err(|e| e.within("samples"))?;
                    self.decoded.write.samples.push((series, time_ms, sample));
                }
                3 => {
                    self.charge(64)?;
                    match exemplar(value) {
                        Ok(exemplar) => self.decoded.write.exemplars.push((series, exemplar)),
                        Err(e) if *e.kind() == DecodeErrorKind::Utf8 => {
                            self.decoded
                                .rejects
                                .reject(RejectReason::InvalidLabels, || e.within("exemplars").to_string());
                        }
                        Err(e) => return Err(e.within("exemplars")),
                    }
                }
                4 => {
                    let (inner, _) = value.bytes()?;
                    self.charge(200 + inner.len() * 8)?;
                    match histogram(value).map_err(|e| e.within("histograms"))? {
                        Ok((time_ms, histogram)) => self.decoded.write.histograms.push((series, time_ms, histogram)),
                        Err(problem) => self.decoded.rejects.reject(RejectReason::Invalid, || problem),
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn metadata(&mut self, value: WireValue<'_>) -> Result<(), DecodeError> {
        let (bytes, offset) = value.bytes()?;
        self.charge(bytes.len() + 96)?;
        let mut reader = Reader::at(bytes, offset);
        let (mut family, mut metadata) = (String::new(), Metadata::default());
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => metadata.kind = kind(value.unsigned()?),
                2 => family = value.text()?.to_owned(),
                4 => metadata.help = value.text()?.to_owned(),
                5 => metadata.unit = value.text()?.to_owned(),
                _ => {}
            }
        }
        if !family.is_empty() {
            self.decoded.write.metadata.push((family, metadata));
        }
        Ok(())
    }
}

fn kind(number: u64) -> MetricKind {
    match number {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        4 => MetricKind::GaugeHistogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    }
}

/// A `Label`: name and value.
fn pair(value: WireValue<'_>) -> Result<(&str, &str), DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    let (mut name, mut text) = ("", "");
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => name = value.text()?,
            2 => text = value.text()?,
            _ => {}
        }
    }
    Ok((name, text))
}

/// The sender must sort labels by name, name each once, and name the metric.
fn label_problem(pairs: &[(&str, &str)]) -> Option<String> {
    let of = |what: &str| {
        let shown: Vec<_> = pairs.iter().take(8).map(|(n, v)| format!("{n}={v:?}")).collect();
        Some(format!("{what} in {{{}}}", shown.join(", ")).chars().take(300).collect())
    };
    for window in pairs.windows(2) {
        if let [(before, _), (after, _)] = window
            && before >= after
        {
            return of(if before == after { "a label name twice" } else { "labels not sorted by name" });
        }
    }
    if pairs.iter().any(|(name, _)| name.is_empty()) {
        return of("an empty label name");
    }
    if !pairs.iter().any(|(name, value)| *name == "__name__" && !value.is_empty()) {
        return of("no metric name (__name__)");
    }
    None
}

fn sample(value: WireValue<'_>) -> Result<(i64, f64), DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    let (mut time_ms, mut sample) = (0, 0.0);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => sample = value.double()?,
            2 => time_ms = value.unsigned()? as i64,
            _ => {}
        }
    }
    Ok((time_ms, sample))
}

fn exemplar(value: WireValue<'_>) -> Result<Exemplar, DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    let (mut pairs, mut time_ms, mut sample) = (Vec::new(), 0, 0.0);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => pairs.push(pair(value)?),
            2 => sample = value.double()?,
            3 => time_ms = value.unsigned()? as i64,
            _ => {}
        }
    }
    Ok(Exemplar { labels: Labels::from_pairs(pairs), time_ms, value: sample })
}

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
fn histogram(value: WireValue<'_>) -> Result<Result<(i64, NativeHistogram), String>, DecodeError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Writer;
    use crate::test_bytes::{labelled, sample_bytes};

    fn decode(fill: impl FnOnce(&mut Writer)) -> Decoded<MetricWrite> {
        let mut writer = Writer::default();
        fill(&mut writer);
        let body = snap::raw::Encoder::new().compress_vec(&writer.0).unwrap();
        decode_write_request(&body, &Limits::default()).unwrap()
    }

    #[test]
    fn samples_exemplars_and_metadata() {
        let decoded = decode(|w| {
            w.message(1, |s| {
                labelled(s, 1, &[("__name__", "up"), ("job", "x")]);
                s.bytes(2, &sample_bytes(1.5, 1000)).bytes(2, &sample_bytes(f64::NAN, -7));
                s.message(3, |e| {
                    labelled(e, 1, &[("traceID", "abc")]);
                    e.double(2, 0.25).varint(3, 1000);
                });
            });
            w.message(3, |m| {
                m.varint(1, 1).text(2, "up").text(4, "Is it?").text(5, "s");
            });
        });
        let write = decoded.write;
        assert_eq!(write.series.get(0).to_labels().to_string(), r#"{__name__="up", job="x"}"#);
        assert_eq!(write.samples[0], (0, 1000, 1.5));
        assert!(write.samples[1].1 == -7 && write.samples[1].2.is_nan());
        assert_eq!(write.exemplars[0].1.labels.get("traceID"), Some("abc"));
        assert_eq!((write.metadata[0].0.as_str(), write.metadata[0].1.kind), ("up", MetricKind::Counter));
        assert_eq!(decoded.rejects.rejected_count(), 0);
    }

    #[test]
    fn bad_labels_are_counted_and_the_rest_is_taken() {
        let decoded = decode(|w| {
            for labels in [
                &[("job", "x"), ("__name__", "up")][..],
                &[("__name__", "up"), ("job", "x"), ("job", "y")],
                &[("job", "x")],
                &[("", "x"), ("__name__", "up")],
                &[("__name__", "good")],
            ] {
                w.message(1, |s| {
                    labelled(s, 1, labels);
                    s.bytes(2, &sample_bytes(1.0, 1)).bytes(2, &sample_bytes(2.0, 2));
                });
            }
        });
        assert_eq!(decoded.write.samples.len(), 2);
        assert_eq!(decoded.rejects.rejected_count(), 8);
        let example = &decoded.rejects.rejected[&RejectReason::InvalidLabels].example;
        assert_eq!(example, r#"labels not sorted by name in {job="x", __name__="up"}"#);
    }

    #[test]
    fn native_histograms_become_absolute() {
        let decoded = decode(|w| {
            w.message(1, |s| {
                labelled(s, 1, &[("__name__", "h")]);
                s.message(4, |h| {
                    h.varint(1, 10).double(3, 4.5).varint(4, 6).double(5, 0.001).varint(6, 2);
                    h.message(11, |r| {
                        r.varint(1, 3).varint(2, 2);
                    });
                    // 3, then 3+2: zigzag 6 and 4.
                    h.bytes(12, &[6, 4]).varint(14, 2).varint(15, 99);
                });
                s.message(4, |h| {
                    h.varint(1, 10).bytes(12, &[6]);
                });
                s.message(4, |h| {
                    h.double(2, 1.5).double(7, 0.5).varint(15, 100);
                });
            });
        });
        let (_, time_ms, histogram) = &decoded.write.histograms[0];
        assert_eq!((*time_ms, histogram.schema, histogram.sum), (99, 3, 4.5));
        assert_eq!(histogram.positive_runs, [SpanRun { offset: -2, length: 2 }]);
        assert_eq!(histogram.counter_reset, CounterReset::NoReset);
        let integer = Buckets::Integer { count: 10, zero_count: 2, positive: vec![3, 5], negative: vec![] };
        assert_eq!(histogram.buckets, integer);
        let float = Buckets::Float { count: 1.5, zero_count: 0.5, positive: vec![], negative: vec![] };
        assert_eq!(decoded.write.histograms[1].2.buckets, float);
        let example = &decoded.rejects.rejected[&RejectReason::Invalid].example;
        assert_eq!(example, "native histogram with 1 positive buckets where its spans tell of 0");
    }

    #[test]
    fn errors_say_where() {
        let error = decode_message(&[0x0a, 0x02, 0x12, 0x05], &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), "timeseries (byte 4): the bytes end in the middle of a field");
        let small = Limits { decoded_max_bytes: 10, ..Limits::default() };
        let mut writer = Writer::default();
        writer.message(1, |s| {
            labelled(s, 1, &[("__name__", "up")]);
        });
        assert!(decode_message(&writer.0, &small).unwrap_err().is_too_large());
    }
}
