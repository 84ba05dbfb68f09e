//! A write as a `prometheus.WriteRequest`, for whoever passes it on. When a counter began is lost on the way: the message has no place for it.

use base_signal::{Buckets, CounterReset, Exemplar, LabelsRef, Metadata, MetricKind, NativeHistogram, SpanRun};
use observe_source::MetricWrite;

use crate::proto::Writer;

/// The uncompressed message. Two of them one after the other are one message with the series of both.
pub fn encode_message(write: &MetricWrite) -> Vec<u8> {
    let mut out = Writer::default();
    let by_series = |mut rows: Vec<(u32, usize)>| {
        // Stable: the items of a series stay in their order.
        rows.sort_by_key(|(series, _)| *series);
        rows.into_iter().peekable()
    };
    let mut samples = by_series(write.samples.iter().enumerate().map(|(i, row)| (row.0, i)).collect());
    let mut histograms = by_series(write.histograms.iter().enumerate().map(|(i, row)| (row.0, i)).collect());
    let mut exemplars = by_series(write.exemplars.iter().enumerate().map(|(i, row)| (row.0, i)).collect());
    for (series, set) in (0u32..).zip(write.series.iter()) {
        let mut one = Writer::default();
        while let Some((_, i)) = samples.next_if(|(of, _)| *of == series) {
            if let Some((_, time_ms, value)) = write.samples.get(i) {
                one.message(2, |sample| {
                    sample.double(1, *value).varint(2, *time_ms as u64);
                });
            }
        }
        while let Some((_, i)) = exemplars.next_if(|(of, _)| *of == series) {
            if let Some((_, exemplar)) = write.exemplars.get(i) {
                one.message(3, |out| put_exemplar(out, exemplar));
            }
        }
        while let Some((_, i)) = histograms.next_if(|(of, _)| *of == series) {
            if let Some((_, time_ms, histogram)) = write.histograms.get(i) {
                one.message(4, |out| put_histogram(out, *time_ms, histogram));
            }
        }
        if !one.0.is_empty() {
            out.message(1, |out| {
                put_labels(out, set);
                out.0.extend_from_slice(&one.0);
            });
        }
    }
    for (family, metadata) in &write.metadata {
        out.message(3, |out| put_metadata(out, family, metadata));
    }
    out.0
}

pub(crate) fn put_labels(out: &mut Writer, set: LabelsRef<'_>) {
    for (name, value) in set.iter() {
        out.message(1, |pair| {
            pair.text(1, name).text(2, value);
        });
    }
}

fn put_exemplar(out: &mut Writer, exemplar: &Exemplar) {
    put_labels(out, exemplar.labels.as_ref());
    out.double(2, exemplar.value).varint(3, exemplar.time_ms as u64);
}

fn put_metadata(out: &mut Writer, family: &str, metadata: &Metadata) {
    let kind = match metadata.kind {
        MetricKind::Unknown => 0,
        MetricKind::Counter => 1,
        MetricKind::Gauge => 2,
        MetricKind::Histogram => 3,
        MetricKind::GaugeHistogram => 4,
        MetricKind::Summary => 5,
        MetricKind::Info => 6,
        MetricKind::StateSet => 7,
    };
    out.varint(1, kind).text(2, family).text(4, &metadata.help).text(5, &metadata.unit);
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

pub(crate) fn put_histogram(out: &mut Writer, time_ms: i64, histogram: &NativeHistogram) {
    let runs = |out: &mut Writer, field: u32, runs: &[SpanRun]| {
        for run in runs {
            out.message(field, |out| {
                out.varint(1, zigzag(i64::from(run.offset))).varint(2, u64::from(run.length));
            });
        }
    };
    // Counts travel as differences to the one before.
    let differences = |out: &mut Writer, field: u32, counts: &[u64]| {
        let (mut packed, mut before) = (Writer::default(), 0);
        for count in counts {
            packed.put_varint(zigzag((*count as i64).wrapping_sub(before)));
            before = *count as i64;
        }
        if !counts.is_empty() {
            out.bytes(field, &packed.0);
        }
    };
    let doubles = |out: &mut Writer, field: u32, numbers: &[f64]| {
        let packed: Vec<u8> = numbers.iter().flat_map(|number| number.to_bits().to_le_bytes()).collect();
        if !packed.is_empty() {
            out.bytes(field, &packed);
        }
    };
    out.double(3, histogram.sum).varint(4, zigzag(i64::from(histogram.schema))).double(5, histogram.zero_threshold);
    match &histogram.buckets {
        Buckets::Integer { count, zero_count, positive, negative } => {
            out.varint(1, *count).varint(6, *zero_count);
            differences(out, 9, negative);
            differences(out, 12, positive);
        }
        Buckets::Float { count, zero_count, positive, negative } => {
            out.double(2, *count).double(7, *zero_count);
            doubles(out, 10, negative);
            doubles(out, 13, positive);
        }
    }
    runs(out, 8, &histogram.negative_runs);
    runs(out, 11, &histogram.positive_runs);
    let hint = match histogram.counter_reset {
        CounterReset::Unknown => 0,
        CounterReset::Reset => 1,
        CounterReset::NoReset => 2,
        CounterReset::Gauge => 3,
    };
    out.varint(14, hint).varint(15, time_ms as u64);
    doubles(out, 16, &histogram.custom_bounds);
}

#[cfg(test)]
mod tests {
    use base_signal::{LabelArena, Labels, stale_nan};

    use super::*;
    use crate::Limits;
    use crate::remote_write::decode_message;

    fn histogram(buckets: Buckets, counter_reset: CounterReset) -> NativeHistogram {
        NativeHistogram {
            schema: -2,
            counter_reset,
            zero_threshold: 0.001,
            sum: -4.5,
            positive_runs: vec![SpanRun { offset: -3, length: 2 }, SpanRun { offset: 4, length: 1 }],
            negative_runs: vec![SpanRun { offset: 0, length: 1 }],
            buckets,
            custom_bounds: Vec::new(),
        }
    }

    fn write() -> MetricWrite {
        let mut series = LabelArena::default();
        let up = series.push(&mut vec![("__name__", "up"), ("job", "x")]);
        // Known, but nothing is said of it now.
        series.push(&mut vec![("__name__", "silent")]);
        let took = series.push(&mut vec![("__name__", "took"), ("ö", "\u{1f980}")]);
        let whole =
            Buckets::Integer { count: 9, zero_count: 1, positive: vec![3, 5, 0], negative: vec![u64::MAX >> 1] };
        let float = Buckets::Float { count: 0.5, zero_count: 0.1, positive: vec![1.5, 2.5, 0.0], negative: vec![7.0] };
        let exemplar = Exemplar { labels: Labels::from_pairs([("trace_id", "ab")]), time_ms: -5, value: 0.25 };
        let metadata = Metadata { kind: MetricKind::Histogram, help: "How long.".into(), unit: "s".into() };
        MetricWrite {
            series,
            samples: vec![
                (took, 7, f64::MIN_POSITIVE),
                (up, 1000, 1.5),
                (up, -2, stale_nan()),
                (up, 1001, f64::INFINITY),
            ],
            histograms: vec![
                (took, 2000, histogram(whole, CounterReset::NoReset)),
                (took, 2001, histogram(float, CounterReset::Gauge)),
            ],
            exemplars: vec![(took, exemplar)],
            metadata: vec![("took".into(), metadata)],
            created: Vec::new(),
            starts: Vec::new(),
            increases: Vec::new(),
        }
    }

    /// By labels, since indices are the reader's own; bits, so that NaNs count.
    fn told(write: &MetricWrite) -> Vec<String> {
        let of = |series: u32| write.series.get(series).to_labels();
        let mut told: Vec<String> = Vec::new();
        told.extend(write.samples.iter().map(|(s, t, v)| format!("{} {t} {:x}", of(*s), v.to_bits())));
        told.extend(write.histograms.iter().map(|(s, t, h)| format!("{} {t} {h:?}", of(*s))));
        told.extend(write.exemplars.iter().map(|(s, e)| format!("{} {e:?}", of(*s))));
        told.extend(write.metadata.iter().map(|m| format!("{m:?}")));
        told.sort();
        told
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let decoded = decode_message(&encode_message(&write()), &Limits::default()).unwrap();
        assert_eq!(decoded.rejects.rejected_count(), 0);
        assert_eq!(told(&decoded.write), told(&write()));
        // The order within a series is kept.
        let times: Vec<i64> = decoded.write.samples.iter().map(|(_, time_ms, _)| *time_ms).collect();
        assert_eq!(times, [1000, -2, 1001, 7]);
    }

    #[test]
    fn two_messages_are_one() {
        let twice = [encode_message(&write()), encode_message(&write())].concat();
        let decoded = decode_message(&twice, &Limits::default()).unwrap();
        assert_eq!(decoded.write.len(), 2 * write().len());
    }
}
