//! Whatever bytes come, a decoder answers or refuses; it never panics. Random bytes, broken good ones, and round trips.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::exposition::{Format, Item, TextWriter, format_float, parse};
use crate::otlp::{Encoding, LogOptions, MetricOptions, decode_logs, decode_metrics, decode_traces};
use crate::proto::Writer;
use crate::test_bytes::{attributes, labelled, sample_bytes};
use crate::{Limits, compression, loki_push, remote_write};

fn all(body: &[u8]) {
    let limits = Limits { decoded_max_bytes: 1 << 20, ..Limits::default() };
    let (logs, metrics) = (LogOptions { limits, ..Default::default() }, MetricOptions { limits, ..Default::default() });
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let _ = decode_traces(body, encoding, &limits);
        let _ = decode_logs(body, encoding, 1, &logs);
        let _ = decode_metrics(body, encoding, &metrics);
    }
    let _ = remote_write::decode_write_request(body, &limits);
    let _ = remote_write::decode_message(body, &limits);
    let _ = loki_push::decode_protobuf(body, &limits);
    let _ = loki_push::decode_message(body, &limits);
    let _ = loki_push::decode_json(body, &limits);
    for encoding in ["gzip", "zstd", "deflate", "snappy"] {
        let _ = compression::decode(encoding, body, 1 << 20);
    }
    let text = String::from_utf8_lossy(body);
    let _ = loki_push::parse_labels(&text);
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let _ = parse(&text, format, |_| {});
    }
    crate::detect_level(&[], &text);
}

/// Good requests of each kind, to be broken.
fn good() -> Vec<Vec<u8>> {
    let mut otlp = Writer::default();
    otlp.message(1, |group| {
        group.message(1, |resource| attributes(resource, 1, &[("service.name", "shop")]));
        group.message(2, |scoped| {
            scoped.message(2, |item| {
                item.bytes(1, &[7; 16]).bytes(2, &[7; 8]).text(5, "name").varint(6, 2);
                item.message(10, |histogram| {
                    histogram.varint(2, 2).message(1, |point| {
                        point.fixed64(3, 9).varint(6, 40).message(8, |b| {
                            b.varint(1, 1).bytes(2, &[1, 0, 0, 0, 9, 2]);
                        });
                    });
                });
            });
        });
    });
    let mut write = Writer::default();
    write.message(1, |series| {
        labelled(series, 1, &[("__name__", "up")]);
        series.bytes(2, &sample_bytes(1.0, 2)).message(4, |h| {
            h.varint(1, 3).bytes(12, &[6, 4]).message(11, |r| {
                r.varint(1, 1).varint(2, 2);
            });
        });
    });
    let json = br#"{"streams":[{"stream":{"a":"b"},"values":[["1","level=info x",{"k":"v"}]]}]}"#.to_vec();
    let text = b"# TYPE h histogram\nh_bucket{le=\"1\",a=\"\\\"\"} 2 3 # {t=\"x\"} 1 2\n# EOF\n".to_vec();
    vec![otlp.0, write.0, json, text]
}

proptest! {
    #[test]
    fn random_bytes(body in vec(any::<u8>(), 0..400)) {
        all(&body);
    }

    #[test]
    fn broken_requests(which in 0usize..4, changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let mut body = good().swap_remove(which);
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        all(&body);
        body.truncate(cut.index(body.len() + 1));
        all(&body);
    }

    #[test]
    fn remote_write_round_trip(samples in vec((any::<f64>(), any::<i64>()), 0..20), value in "[a-zA-Zé\"\\\\]{1,12}") {
        let mut writer = Writer::default();
        writer.message(1, |series| {
            labelled(series, 1, &[("__name__", "up"), ("label", &value)]);
            for (sample, time_ms) in &samples {
                series.bytes(2, &sample_bytes(*sample, *time_ms));
            }
        });
        let write = remote_write::decode_message(&writer.0, &Limits::default()).unwrap().write;
        prop_assert_eq!(write.series.get(0).get("label"), Some(value.as_str()));
        let bits: Vec<_> = write.samples.iter().map(|(_, t, v)| (v.to_bits(), *t)).collect();
        let expected: Vec<_> = samples.iter().map(|(v, t)| (v.to_bits(), *t)).collect();
        prop_assert_eq!(bits, expected);
    }

    #[test]
    fn a_label_value_survives_the_text(value in any::<String>(), number in any::<f64>()) {
        for format in [Format::Prometheus, Format::OpenMetrics] {
            let mut writer = TextWriter::new(format);
            writer.sample("m", &[("l", &value)], number);
            let text = writer.finish();
            let mut found = None;
            // A lone carriage return is part of a line, as Prometheus reads it; the label keeps it.
            parse(&text, format, |item| {
                if let Item::Sample(row) = item {
                    found = Some((row.labels[0].1.to_string(), format_float(row.value)));
                }
            }).unwrap();
            prop_assert_eq!(found, Some((value.clone(), format_float(number))));
        }
    }
}
