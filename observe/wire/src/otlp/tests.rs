//! The three signals in both encodings. The JSON bodies are written by hand, the protobuf ones by a separate encoder.

use base_signal::{Buckets, SpanKind, StatusCode, Value, is_stale_nan};
use observe_source::{Increase, Increment, LogWrite, MetricWrite, RejectReason, SpanWrite};

use super::*;
use crate::Decoded;
use crate::proto::Writer;
use crate::test_bytes::attributes;

pub(super) fn spans(body: &str) -> Decoded<SpanWrite> {
    decode_traces(body.as_bytes(), Encoding::Json, &Limits::default()).unwrap()
}

pub(super) fn metrics(body: &str) -> Decoded<MetricWrite> {
    decode_metrics(body.as_bytes(), Encoding::Json, &MetricOptions::default()).unwrap()
}

pub(super) fn logs(body: &str) -> Decoded<LogWrite> {
    decode_logs(body.as_bytes(), Encoding::Json, 777, &LogOptions::default()).unwrap()
}

fn check_metrics(resource: &str, metric: &str, expect: &[&str]) {
    let body = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{resource}]}},"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#
    );
    let write = metrics(&body).write;
    let show = |(series, time_ms, value): &(u32, i64, f64)| {
        let value = if is_stale_nan(*value) { "stale".to_owned() } else { value.to_string() };
        format!("{} {time_ms} {value}", write.series.get(*series).to_labels())
    };
    assert_eq!(write.samples.iter().map(show).collect::<Vec<_>>(), expect, "{metric}");
}

const SHOP: &str = r#"{"key":"service.name","value":{"stringValue":"shop"}},{"key":"service.instance.id","value":{"stringValue":"i1"}}"#;

#[test]
fn a_span_in_json() {
    let decoded = spans(
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeSpans":[{"scope":{"name":"lib","version":"1"},"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C",
        "spanId":"EEE19B7EC3C1B174","parentSpanId":"","name":"GET /","kind":"SPAN_KIND_SERVER","startTimeUnixNano":"1544712660000000000",
        "end_time_unix_nano":1544712661000000000,"status":{"code":2,"message":"bad"},"unknownField":{"x":[1]},
        "attributes":[{"key":"n","value":{"intValue":"-3"}},{"key":"bare","value":{"intValue":7}},{"key":"none","value":null},
        {"key":"empty","value":{}},{"key":"raw","value":{"bytesValue":"AQI="}},{"key":"d","value":{"doubleValue":"NaN"}},
        {"key":"list","value":{"arrayValue":{"values":[{"boolValue":true},{}]}}},
        {"key":"map","value":{"kvlistValue":{"values":[{"key":"k","value":{"stringValue":"v"}}]}}}],
        "events":[{"timeUnixNano":"1","name":"e"}],"links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}]}]}]}]}"#,
    );
    let span = &decoded.write.spans[0];
    assert_eq!(span.trace_id.to_string(), "5b8efff798038103d269b633813fc60c");
    assert_eq!((span.span_id.to_string().as_str(), span.parent_span_id.is_zero()), ("eee19b7ec3c1b174", true));
    assert_eq!((span.kind, span.status.code, span.duration_ns()), (SpanKind::Server, StatusCode::Error, 1_000_000_000));
    assert_eq!((span.resource.service_name(), span.scope.name.as_str()), ("shop", "lib"));
    let shown: Vec<_> = span.attributes.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(
        shown,
        ["n=-3", "bare=7", "none=", "empty=", "raw=\"0102\"", "d=\"NaN\"", "list=[true,null]", r#"map={"k":"v"}"#]
    );
    assert_eq!((span.events.len(), span.links[0].span_id), (1, span.span_id));
}

#[test]
fn a_span_in_protobuf_says_the_same_as_in_json() {
    let mut writer = Writer::default();
    writer.message(1, |group| {
        group.message(1, |resource| attributes(resource, 1, &[("service.name", "shop")]));
        group.message(2, |scoped| {
            scoped.message(1, |scope| {
                scope.text(1, "lib");
            });
            scoped.message(2, |span| {
                span.bytes(1, &[0xab; 16])
                    .bytes(2, &[0xcd; 8])
                    .text(5, "GET /")
                    .varint(6, 2)
                    .fixed64(7, 5)
                    .fixed64(8, 9);
                attributes(span, 9, &[("a", "b")]);
                span.message(9, |kv| {
                    kv.text(1, "n").message(2, |any| {
                        any.varint(3, -3i64 as u64);
                    });
                });
                span.message(15, |status| {
                    status.text(2, "bad").varint(3, 2);
                });
            });
            // Ids of the wrong length: this span alone is left out.
            scoped.message(2, |span| {
                span.bytes(1, &[1; 15]).bytes(2, &[0xcd; 8]).text(5, "broken");
            });
        });
    });
    let decoded = decode_traces(&writer.0, Encoding::Protobuf, &Limits::default()).unwrap();
    let (trace, span) = ("ab".repeat(16), "cd".repeat(8));
    let json = spans(&format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},
        "scopeSpans":[{{"scope":{{"name":"lib"}},"spans":[{{"traceId":"{trace}","spanId":"{span}","name":"GET /","kind":2,
        "startTimeUnixNano":"5","endTimeUnixNano":"9","status":{{"message":"bad","code":"STATUS_CODE_ERROR"}},"attributes":[
        {{"key":"a","value":{{"stringValue":"b"}}}},{{"key":"n","value":{{"intValue":"-3"}}}}]}}]}}]}}]}}"#
    ));
    assert_eq!(decoded.write.spans, json.write.spans);
    assert_eq!(decoded.write.spans[0].attributes[1].1, Value::Int(-3));
    assert_eq!(
        decoded.rejects.message(),
        "1 invalid (first: span \"broken\" has a trace id of 15 bytes and a span id of 8; 16 and 8, not all zero, are wanted)"
    );
}

#[test]
fn gauges_and_sums() {
    check_metrics(
        SHOP,
        r#"{"name":"queue.size","unit":"{item}","gauge":{"dataPoints":[{"asInt":"3","timeUnixNano":"2000000","attributes":[
           {"key":"a.b","value":{"stringValue":"2"}},{"key":"a_b","value":{"stringValue":"1"}},{"key":"job","value":{"stringValue":"own"}}]}]}}"#,
        &[r#"{__name__="queue_size", a_b="2;1", instance="i1", job="shop", service_name="shop"} 2 3"#],
    );
    // An empty attribute is none, so the resource's wins; a float64 keeps its last bit.
    check_metrics(
        SHOP,
        r#"{"name":"g","gauge":{"dataPoints":[{"asDouble":0.15696529448667917,"timeUnixNano":0,"attributes":[
           {"key":"service_name","value":{"stringValue":""}}]}]}}"#,
        &[r#"{__name__="g", instance="i1", job="shop", service_name="shop"} 0 0.15696529448667917"#],
    );
    check_metrics(
        "",
        r#"{"name":"hits","sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[{"asDouble":1.5,"timeUnixNano":3000000},
           {"flags":1,"timeUnixNano":"4000000"}]}}"#,
        &[r#"{__name__="hits_total"} 3 1.5"#, r#"{__name__="hits_total"} 4 stale"#],
    );
}

#[test]
fn classic_histograms_and_summaries() {
    check_metrics(
        "",
        r#"{"name":"lat","unit":"s","histogram":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE","dataPoints":[
           {"count":"6","sum":1.25,"bucketCounts":["1","2","3"],"explicitBounds":[0.005,1],"timeUnixNano":"1000000"}]}}"#,
        &[
            r#"{__name__="lat_seconds_sum"} 1 1.25"#,
            r#"{__name__="lat_seconds_count"} 1 6"#,
            r#"{__name__="lat_seconds_bucket", le="0.005"} 1 1"#,
            r#"{__name__="lat_seconds_bucket", le="1"} 1 3"#,
            r#"{__name__="lat_seconds_bucket", le="+Inf"} 1 6"#,
        ],
    );
    check_metrics(
        "",
        r#"{"name":"gc","summary":{"dataPoints":[{"count":2,"sum":3,"quantileValues":[{"quantile":0.99,"value":2}],"timeUnixNano":"1000000"}]}}"#,
        &[r#"{__name__="gc_sum"} 1 3"#, r#"{__name__="gc_count"} 1 2"#, r#"{__name__="gc", quantile="0.99"} 1 2"#],
    );
}

#[test]
fn target_info_carries_the_rest_of_the_resource() {
    let resource = format!(
        r#"{SHOP},{{"key":"service.namespace","value":{{"stringValue":"eu"}}}},{{"key":"host.name","value":{{"stringValue":"h"}}}},{{"key":"service.version","value":{{"stringValue":"2"}}}}"#
    );
    check_metrics(
        &resource,
        r#"{"name":"up","gauge":{"dataPoints":[{"asInt":1,"timeUnixNano":"5000000"}]}}"#,
        &[
            r#"{__name__="up", instance="i1", job="eu/shop", service_name="shop", service_version="2"} 5 1"#,
            r#"{__name__="target_info", host_name="h", instance="i1", job="eu/shop", service_version="2"} 5 1"#,
        ],
    );
}

#[test]
fn delta_points_are_increases() {
    let decoded = metrics(
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"d","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[
            {"asInt":2,"startTimeUnixNano":"1000000","timeUnixNano":"3000000"}]}},
        {"name":"e","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"count":"1","scale":0,"zeroCount":"1"}]}},
        {"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"3","bucketCounts":["1","2"],"explicitBounds":[1]}]}},
        {"name":"ok","gauge":{"dataPoints":[{"asInt":1}]}},{"name":"novalue","gauge":{"dataPoints":[{}]}}]}]}]}"#,
    );
    let write = decoded.write;
    assert_eq!((write.samples.len(), write.histograms.len(), write.created.len()), (1, 0, 0));
    let first = Increase { series: 0, start_ms: 1, time_ms: 3, by: Increment::Float(2.0) };
    // One of the sum, one of the native histogram, and of the classic one its count and two buckets.
    assert_eq!((&write.increases[0], write.increases.len()), (&first, 5));
    assert!(matches!(&write.increases[1].by, Increment::Histogram(histogram) if histogram.count() == 1.0));
    assert_eq!(decoded.rejects.rejected[&RejectReason::Invalid].count, 1);
}

#[test]
fn exponential_histograms_exemplars_start_times_and_metadata_in_protobuf() {
    let mut writer = Writer::default();
    writer.message(1, |group| {
        group.message(2, |scoped| {
            scoped.message(2, |metric| {
                metric.text(1, "lat").text(2, "How long").text(3, "ms");
                metric.message(10, |histogram| {
                    histogram.varint(2, 2).message(1, |point| {
                        point.fixed64(2, 1_000_000).fixed64(3, 2_000_000).fixed64(4, 7).double(5, 9.5).varint(6, 4);
                        point.fixed64(7, 1).message(8, |buckets| {
                            // Offset -1 (zigzag 1), packed counts 2 and 4.
                            buckets.varint(1, 1).bytes(2, &[2, 4]);
                        });
                        point.message(11, |exemplar| {
                            exemplar.fixed64(2, 1_500_000).double(3, 0.5).bytes(4, &[2; 8]).bytes(5, &[1; 16]);
                            attributes(exemplar, 7, &[("k", "v")]);
                        });
                    });
                });
            });
        });
    });
    let write = decode_metrics(&writer.0, Encoding::Protobuf, &MetricOptions::default()).unwrap().write;
    assert_eq!(write.series.get(0).get("__name__"), Some("lat_milliseconds"));
    let (_, time_ms, native) = &write.histograms[0];
    assert_eq!((*time_ms, native.schema, native.sum, native.zero_threshold), (2, 2, 9.5, 1e-128));
    let expected = Buckets::Integer { count: 7, zero_count: 1, positive: vec![2, 4], negative: vec![] };
    assert_eq!((&native.buckets, native.positive_runs[0].offset), (&expected, 0));
    assert_eq!(write.created, [(0, 1)]);
    assert_eq!(
        write.exemplars[0].1.labels.to_string(),
        format!(r#"{{k="v", span_id="{}", trace_id="{}"}}"#, "02".repeat(8), "01".repeat(16))
    );
    let (family, metadata) = &write.metadata[0];
    assert_eq!(
        (family.as_str(), metadata.help.as_str(), metadata.unit.as_str()),
        ("lat_milliseconds", "How long", "ms")
    );
}

#[test]
fn histogram_exemplars_belong_to_their_bucket() {
    let write = metrics(
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[
        {"count":2,"bucketCounts":[1,0,1],"explicitBounds":[1,2],"exemplars":[{"asDouble":1},{"asInt":"5"}]}]}}]}]}]}"#,
    )
    .write;
    let le = |i: usize| write.series.get(write.exemplars[i].0).get("le").unwrap();
    assert_eq!((le(0), le(1)), ("1", "+Inf"));
}

#[test]
fn logs_as_loki_would_take_them() {
    let decoded = logs(
        r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},
        {"key":"k8s.pod.name","value":{"stringValue":"p"}},{"key":"host.name","value":{"stringValue":"h"}}]},
        "scopeLogs":[{"scope":{"name":"lib"},"logRecords":[
        {"timeUnixNano":"5","severityNumber":17,"severityText":"Oops","body":{"stringValue":"it broke"},
         "traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708",
         "attributes":[{"key":"http.request","value":{"kvlistValue":{"values":[{"key":"path","value":{"stringValue":"/x"}},{"key":"n","value":{"intValue":4}}]}}}]},
        {"observedTimeUnixNano":"6","body":{"kvlistValue":{"values":[{"key":"level","value":{"stringValue":"warn"}}]}}},
        {"severityNumber":"SEVERITY_NUMBER_INFO","body":null}]}]},
        {"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","severityText":"WARNING","body":{"stringValue":"x"}}]}]}]}"#,
    );
    let show = |i: usize| {
        let entry = &decoded.write.entries[i];
        let metadata: Vec<_> = entry.metadata.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let labels = decoded.write.streams.get(entry.stream).to_labels();
        format!("{labels} {} {} {}", entry.time_ns, entry.line, metadata.join(","))
    };
    assert_eq!(
        show(0),
        "{k8s_pod_name=\"p\", service_name=\"shop\"} 5 it broke detected_level=error,host_name=h,http_request_n=4,\
         http_request_path=/x,scope_name=lib,severity_number=17,severity_text=Oops,span_id=0102030405060708,\
         trace_id=0102030405060708090a0b0c0d0e0f10"
    );
    assert!(show(1).ends_with(r#"6 {"level":"warn"} detected_level=warn,host_name=h,scope_name=lib"#), "{}", show(1));
    assert!(show(2).ends_with("777  detected_level=info,host_name=h,scope_name=lib,severity_number=9"), "{}", show(2));
    assert_eq!(show(3), r#"{service_name="unknown_service"} 1 x detected_level=warn,severity_text=WARNING"#);
}

#[test]
fn errors_name_the_field_and_the_value() {
    for (body, expect) in [
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{},{"traceId":"xyz"}]}]}]}"#,
            "resourceSpans[0].scopeSpans[0].spans[1].traceId: an id in hexadecimal expected, found \"xyz\"",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"soon"}]}]}]}"#,
            "resourceSpans[0].scopeSpans[0].spans[0].startTimeUnixNano: a whole number expected, found \"soon\"",
        ),
        (r#"{"resourceSpans":[7]}"#, "resourceSpans[0]: an object expected, found 7"),
        ("[]", "an object expected, found an array"),
        ("{", "not valid JSON: EOF while parsing an object at line 1 column 1"),
    ] {
        let error = decode_traces(body.as_bytes(), Encoding::Json, &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
    // resourceSpans.scopeSpans.spans.name with a broken byte.
    let error =
        decode_traces(b"\x0a\x09\x12\x07\x12\x05\x2a\x03a\xffb", Encoding::Protobuf, &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "resourceSpans.scopeSpans.spans.name (byte 9): text is not valid UTF-8");
}

#[test]
fn limits_hold_before_memory_is_taken() {
    // A map in a map in a map…, in protobuf.
    let mut nested = Writer::default();
    for _ in 0..100 {
        let mut outer = Writer::default();
        outer.message(6, |map| {
            map.message(1, |pair| {
                pair.bytes(2, &nested.0);
            });
        });
        nested = outer;
    }
    let mut body = Writer::default();
    body.message(1, |group| {
        group.message(1, |resource| {
            resource.message(1, |pair| {
                pair.bytes(2, &nested.0);
            });
        });
    });
    let error = decode_traces(&body.0, Encoding::Protobuf, &Limits::default()).unwrap_err();
    assert!(error.to_string().ends_with("messages are nested deeper than 32"), "{error}");

    // A million empty spans of two bytes each.
    let spans = b"\x12\x00".repeat(1_000_000);
    let mut body = Writer::default();
    body.message(1, |group| {
        group.bytes(2, &spans);
    });
    let error =
        decode_traces(&body.0, Encoding::Protobuf, &Limits { decoded_max_bytes: 1 << 20, depth_max: 32 }).unwrap_err();
    assert!(error.is_too_large(), "{error}");
}

/// Requests in which much is said once and holds for many items.
#[test]
fn what_is_shared_cannot_blow_a_request_up() {
    let limits = Limits { decoded_max_bytes: 8 << 20, ..Limits::default() };
    let large = "x".repeat(10_000);
    let mut body = Writer::default();
    body.message(1, |group| {
        group.message(1, |resource| attributes(resource, 1, &[("large", &large)]));
        group.message(2, |scoped| {
            (0..10_000).for_each(|_| {
                scoped.message(2, |_| {});
            });
        });
    });
    let options = LogOptions { limits, ..LogOptions::default() };
    let error = decode_logs(&body.0, Encoding::Protobuf, 1, &options).unwrap_err();
    assert!(error.is_too_large(), "100 MB of structured metadata: {error}");

    let mut body = Writer::default();
    body.message(1, |group| {
        group.message(2, |scoped| {
            scoped.message(2, |metric| {
                metric.text(1, "h").message(9, |histogram| {
                    histogram.varint(2, 2).message(1, |point| {
                        attributes(point, 9, &[("large", &large)]);
                        point.bytes(6, &[0; 8 * 10_001]).bytes(7, &[0; 8 * 10_000]);
                    });
                });
            });
        });
    });
    let options = MetricOptions { limits, ..MetricOptions::default() };
    let error = decode_metrics(&body.0, Encoding::Protobuf, &options).unwrap_err();
    assert!(error.is_too_large(), "100 MB of labels: {error}");

    let list = format!(r#"{{"resourceSpans":[{}0]}}"#, "0,".repeat(600_000));
    assert!(decode_traces(list.as_bytes(), Encoding::Json, &limits).unwrap_err().is_too_large());
}

#[test]
fn content_types() {
    for (given, expect) in [
        ("application/x-protobuf", Some(Encoding::Protobuf)),
        ("application/json; charset=utf-8", Some(Encoding::Json)),
        ("Application/JSON", Some(Encoding::Json)),
        ("text/plain", None),
        ("", None),
    ] {
        assert_eq!(Encoding::from_content_type(given), expect, "{given}");
    }
}
