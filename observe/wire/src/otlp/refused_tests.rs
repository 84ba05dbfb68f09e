//! What is left out or refused of OTLP, and why.

use base_signal::Value;
use observe_source::RejectReason;

use super::tests::{logs, metrics, spans};
use super::*;

#[test]
fn metrics_that_are_left_out_say_why() {
    let example = |metric: &str| {
        let decoded = metrics(&format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#));
        assert!(
            decoded
                .write
                .samples
                .iter()
                .all(|(series, ..)| { decoded.write.series.get(*series).get("__name__") == Some("target_info") })
        );
        decoded.rejects.rejected.get(&RejectReason::Invalid).map(|r| (r.count, r.example.clone()))
    };
    let none = |metric: &str| assert_eq!(example(metric), None, "{metric}");
    // No data at all is nothing to refuse.
    none(r#"{"name":"x"}"#);
    none(r#"{"name":"x","gauge":{}}"#);
    let check = |metric: &str, count: u64, why: &str| {
        let (found, example) = example(metric).unwrap();
        assert_eq!(found, count, "{metric}");
        assert!(example.contains(why), "{example}");
    };
    let two = r#"[{"asInt":1},{"asInt":2}]"#;
    check(&format!(r##"{{"name":"#+!","gauge":{{"dataPoints":{two}}}}}"##), 2, "has no letter or digit");
    let histogram = r#"{"count":"3","bucketCounts":["1","2","3"],"explicitBounds":[1]}"#;
    check(
        &format!(r#"{{"name":"h","histogram":{{"aggregationTemporality":2,"dataPoints":[{histogram}]}}}}"#),
        1,
        "a point of h has 3 bucket counts for 1 bounds; one more is wanted",
    );
    check(
        r#"{"name":"e","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"count":"1","scale":-9}]}}"#,
        1,
        "a point of e: scale -9 is below -4, the coarsest that can be stored",
    );
    check(r#"{"name":"g","gauge":{"dataPoints":[{}]}}"#, 1, "a point of g has no value");
}

#[test]
fn json_that_is_of_another_kind() {
    let error =
        |body: &str| decode_traces(body.as_bytes(), Encoding::Json, &Limits::default()).unwrap_err().to_string();
    let span = |inside: &str| error(&format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{inside}}}]}}]}}]}}"#));
    let at = "resourceSpans[0].scopeSpans[0].spans[0]";
    let table = [
        (r#""name":5"#, "name: a string expected, found 5"),
        (r#""name":true"#, "name: a string expected, found true"),
        (r#""name":{}"#, "name: a string expected, found an object"),
        (r#""startTimeUnixNano":"soon""#, "startTimeUnixNano: a whole number expected, found \"soon\""),
        (r#""startTimeUnixNano":1.5"#, "startTimeUnixNano: a whole number expected, found 1.5"),
        (r#""startTimeUnixNano":false"#, "startTimeUnixNano: a whole number expected, found false"),
        (r#""status":7"#, "status: an object expected, found 7"),
        (
            r#""attributes":[{"key":"a","value":{"boolValue":"maybe"}}]"#,
            "attributes[0].value.boolValue: true or false expected, found \"maybe\"",
        ),
        (
            r#""attributes":[{"key":"a","value":{"doubleValue":"x"}}]"#,
            "attributes[0].value.doubleValue: a number expected, found \"x\"",
        ),
        (
            r#""attributes":[{"key":"a","value":{"doubleValue":true}}]"#,
            "attributes[0].value.doubleValue: a number expected, found true",
        ),
    ];
    for (inside, expect) in table {
        assert_eq!(span(inside), format!("{at}.{expect}"), "{inside}");
    }
    // What proto's JSON allows beside the plain spellings.
    let decoded = spans(
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c",
        "spanId":"eee19b7ec3c1b174","startTimeUnixNano":"1e3","endTimeUnixNano":2000.0,"status":null,"attributes":[
        {"key":"a","value":{"boolValue":"true"}},{"key":"b","value":{"boolValue":"false"}}]}]}]}]}"#,
    );
    let span = &decoded.write.spans[0];
    assert_eq!((span.start_ns, span.end_ns), (1000, 2000));
    assert_eq!(
        span.attributes.iter().map(|(_, v)| v.clone()).collect::<Vec<_>>(),
        [Value::Bool(true), Value::Bool(false)]
    );
}

#[test]
fn events_and_scopes_of_log_records_are_kept() {
    let decoded = logs(
        r#"{"resourceLogs":[{"scopeLogs":[{"scope":{"name":"lib","attributes":[{"key":"k","value":{"stringValue":"v"}}]},
        "logRecords":[{"eventName":"login","body":{"stringValue":"x"}}]}]}]}"#,
    );
    let metadata: Vec<_> = decoded.write.entries[0].metadata.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert!(metadata.contains(&"event_name=login".to_owned()), "{metadata:?}");
    assert!(
        metadata.contains(&"scope_k=v".to_owned()) && metadata.contains(&"scope_name=lib".to_owned()),
        "{metadata:?}"
    );
}

#[test]
fn partial_success_names_what_was_rejected() {
    let told = |signal| String::from_utf8(export_response(signal, Encoding::Json, 1, "no")).unwrap();
    assert!(told(Signal::Logs).contains(r#""rejectedLogRecords":"1""#), "{}", told(Signal::Logs));
    assert!(told(Signal::Traces).contains(r#""rejectedSpans":"1""#), "{}", told(Signal::Traces));
}
