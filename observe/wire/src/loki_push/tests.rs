//! What a push becomes, from both encodings.

use super::*;
use crate::proto::Writer;
use crate::test_bytes::labelled;

fn shown(decoded: &Decoded<LogWrite>) -> Vec<String> {
    let show = |entry: &LogEntry| {
        let labels = decoded.write.streams.get(entry.stream).to_labels();
        let metadata: Vec<_> = entry.metadata.iter().map(|(n, v)| format!("{n}={v}")).collect();
        format!("{labels} {} {:?} {}", entry.time_ns, entry.line, metadata.join(","))
    };
    decoded.write.entries.iter().map(show).collect()
}

fn check_json(body: &str, expect: &[&str]) {
    assert_eq!(shown(&decode_json(body.as_bytes(), &Limits::default()).unwrap()), expect, "{body}");
}

#[test]
fn json_as_promtail_and_curl_send_it() {
    check_json(
        r#"{"streams":[{"stream":{"app":"shop"},"values":[["5","plain"],[6,"level=warn x",{"trace_id":"ab"}]]}]}"#,
        &[
            r#"{app="shop", service_name="shop"} 5 "plain" detected_level=unknown"#,
            r#"{app="shop", service_name="shop"} 6 "level=warn x" detected_level=warn,trace_id=ab"#,
        ],
    );
    check_json(
        r#"{"streams":[{"stream":{"env":"dev","level":"error"},"values":[["5","info: x"]]}]}"#,
        &[r#"{env="dev", level="error", service_name="unknown_service"} 5 "info: x" detected_level=error"#],
    );
    check_json(
        r#"{"streams":[{"stream":{"job":"j","container":"c","service_name":"mine"},"values":[["5","x",{"detected_level":"odd"}]]}]}"#,
        &[r#"{container="c", job="j", service_name="mine"} 5 "x" detected_level=odd"#],
    );
    check_json(r#"{"streams":[]}"#, &[]);
}

#[test]
fn json_errors_say_where() {
    for (body, expect) in [
        ("{", "not valid JSON: EOF while parsing an object at line 1 column 1"),
        ("{}", "streams: an array of streams is wanted"),
        (r#"{"streams":[{"values":[]}]}"#, "streams[0]: stream: an object of labels is wanted"),
        (
            r#"{"streams":[{"stream":{"a":1},"values":[]}]}"#,
            r#"streams[0].stream: the value of "a" must be a string, not 1"#,
        ),
        (
            r#"{"streams":[{"stream":{"a":"b"},"values":[["x","y"]]}]}"#,
            r#"streams[0].values[0]: "x" is not a time in Unix nanoseconds"#,
        ),
        (
            r#"{"streams":[{"stream":{"a":"b"},"values":[["1"]]}]}"#,
            r#"streams[0].values[0]: an entry is ["<nanoseconds>", "<line>"] or ["<nanoseconds>", "<line>", {metadata}]"#,
        ),
    ] {
        let error = decode_json(body.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), expect, "{body}");
    }
}

#[test]
fn protobuf_with_a_bad_stream_among_good_ones() {
    let mut writer = Writer::default();
    for labels in [r#"{app="shop"}"#, "{app=}", "{}"] {
        writer.message(1, |stream| {
            stream.text(1, labels);
            stream.message(2, |entry| {
                entry.message(1, |time| {
                    time.varint(1, 12).varint(2, 345);
                });
                entry.text(2, "hello");
                labelled(entry, 3, &[("span_id", "cd")]);
            });
        });
    }
    let body = snap::raw::Encoder::new().compress_vec(&writer.0).unwrap();
    let decoded = decode_protobuf(&body, &Limits::default()).unwrap();
    assert_eq!(
        shown(&decoded),
        [r#"{app="shop", service_name="shop"} 12000000345 "hello" detected_level=unknown,span_id=cd"#]
    );
    assert_eq!(
        decoded.rejects.message(),
        r#"2 invalid_labels (first: labels "{app=}": a quoted value expected at byte 5)"#
    );
}

#[test]
fn a_stream_with_a_name_that_is_none_is_left_out_and_the_rest_is_taken() {
    let body = r#"{"streams":[{"stream":{"a b":"x"},"values":[["1","lost"],["2","lost"]]},
        {"stream":{"app":"shop","level":"warn"},"values":[["5","kept",null],[6,"too",{"level":"debug"}]]}]}"#;
    let decoded = decode_json(body.as_bytes(), &Limits::default()).unwrap();
    let reject = &decoded.rejects.rejected[&RejectReason::InvalidLabels];
    assert_eq!((reject.count, reject.example.as_str()), (2, r#""a b" is not a label name"#));
    let levels: Vec<_> = shown(&decoded).iter().map(|line| line.contains("detected_level=warn")).collect();
    // Its own metadata goes before the stream's labels.
    assert_eq!(levels, [true, false], "{:?}", shown(&decoded));
    for (entry, why) in [
        (r#"[true,"x"]"#, "true is not a time in Unix nanoseconds"),
        (r#"["1",5]"#, "the line must be a string"),
        (r#"["1","x",5]"#, "structured metadata must be an object of strings"),
    ] {
        let body = format!(r#"{{"streams":[{{"stream":{{"a":"b"}},"values":[{entry}]}}]}}"#);
        let error = decode_json(body.as_bytes(), &Limits::default()).unwrap_err().to_string();
        assert_eq!(error, format!("streams[0].values[0]: {why}"));
    }
}
