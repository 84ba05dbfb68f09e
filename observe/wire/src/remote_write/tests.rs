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

#[test]
fn every_kind_of_metadata() {
    // The numbers of `MetricMetadata.MetricType` in prompb/types.proto.
    let kinds =
        ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"];
    let decoded = decode(|w| {
        for number in 0..kinds.len() as u64 {
            w.message(3, |m| {
                m.varint(1, number).text(2, &format!("m{number}")).text(9, "of a later version");
            });
        }
        // Without a name it is of nothing.
        w.message(3, |m| {
            m.varint(1, 1);
        });
    });
    let words: Vec<_> = decoded.write.metadata.iter().map(|(_, m)| m.kind.as_str()).collect();
    assert_eq!(words, kinds);
}

#[test]
fn native_histograms_of_floats_custom_bounds_and_both_sides() {
    let bits = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let span = |w: &mut Writer, field: u32, length: u64| {
        w.message(field, |r| {
            r.varint(1, 0).varint(2, length).varint(9, 1);
        });
    };
    let decoded = decode(|w| {
        w.message(1, |s| {
            labelled(s, 1, &[("__name__", "h")]);
            // Floats, packed and one by one; -53 is zigzag 105.
            s.message(4, |h| {
                h.double(2, 5.5).varint(4, 105).bytes(13, &bits(&[1.5, 4.0])).bytes(16, &bits(&[2.5])).varint(14, 3);
                span(h, 11, 2);
            });
            s.message(4, |h| {
                h.double(2, 1.0).double(10, 1.0).double(13, 0.0).varint(14, 1).varint(99, 1);
                span(h, 8, 1);
                span(h, 11, 1);
            });
            // Integers on the negative side, their differences unpacked: 2, then 2 - 1.
            s.message(4, |h| {
                h.varint(1, 3).varint(9, 4).varint(9, 1);
                span(h, 8, 2);
            });
        });
    });
    let [custom, floats, integers] = decoded.write.histograms.as_slice() else { panic!("three were sent") };
    assert_eq!((custom.2.schema, custom.2.custom_bounds.as_slice()), (-53, [2.5].as_slice()));
    assert_eq!(custom.2.counter_reset, CounterReset::Gauge);
    let buckets = Buckets::Float { count: 5.5, zero_count: 0.0, positive: vec![1.5, 4.0], negative: vec![] };
    assert_eq!(custom.2.buckets, buckets);
    assert_eq!(floats.2.counter_reset, CounterReset::Reset);
    let buckets = Buckets::Float { count: 1.0, zero_count: 0.0, positive: vec![0.0], negative: vec![1.0] };
    assert_eq!(floats.2.buckets, buckets);
    let buckets = Buckets::Integer { count: 3, zero_count: 0, positive: vec![], negative: vec![2, 1] };
    assert_eq!(integers.2.buckets, buckets);
}

#[test]
fn native_histograms_that_cannot_be_are_left_out_with_a_reason() {
    let example = |fill: &dyn Fn(&mut Writer)| {
        let decoded = decode(|w| {
            w.message(1, |s| {
                labelled(s, 1, &[("__name__", "h")]);
                s.message(4, fill);
                s.bytes(2, &sample_bytes(1.0, 1));
            });
        });
        assert_eq!((decoded.write.histograms.len(), decoded.write.samples.len()), (0, 1));
        decoded.rejects.rejected[&RejectReason::Invalid].example.clone()
    };
    // Zigzag 18 is 9, 9 is -5.
    for (zigzag, schema) in [(18, "9"), (9, "-5")] {
        let why = example(&|h| {
            h.varint(4, zigzag);
        });
        assert_eq!(why, format!("native histogram schema {schema} is not known; -4 to 8 and -53 are"));
    }
    let why = example(&|h| {
        h.bytes(12, &[1]);
        h.message(11, |r| {
            r.varint(2, 1);
        });
    });
    assert_eq!(why, "native histogram with a negative bucket count");
    let why = example(&|h| {
        h.double(2, 1.0).double(10, 1.0);
    });
    assert_eq!(why, "native histogram with 1 negative buckets where its spans tell of 0");
}

#[test]
fn an_exemplar_that_is_no_text_is_left_out_and_a_broken_one_is_an_error() {
    let exemplar = |bytes: &'static [u8]| {
        move |w: &mut Writer| {
            w.message(1, |s| {
                labelled(s, 1, &[("__name__", "up")]);
                s.bytes(2, &sample_bytes(1.0, 1)).message(3, |e| {
                    e.message(1, |label| {
                        label.bytes(1, bytes).varint(9, 1);
                    });
                    e.varint(9, 1);
                });
            });
        }
    };
    let decoded = decode(exemplar(&[0xff]));
    assert_eq!((decoded.write.samples.len(), decoded.write.exemplars.len()), (1, 0));
    let example = &decoded.rejects.rejected[&RejectReason::InvalidLabels].example;
    assert!(example.starts_with("exemplars") && example.ends_with("text is not valid UTF-8"), "{example}");
    let mut request = Writer::default();
    request.message(1, |s| {
        labelled(s, 1, &[("__name__", "up")]);
        s.bytes(3, &[0x0a, 0x05]);
    });
    let error = decode_message(&request.0, &Limits::default()).unwrap_err().to_string();
    assert!(error.starts_with("timeseries.exemplars (byte "), "{error}");
}
