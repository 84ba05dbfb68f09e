//! What a request becomes, and what is wrong with broken ones.

use base_signal::{Buckets, CounterReset, MetricKind, SpanRun};

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
