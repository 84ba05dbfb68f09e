//! Questions become URLs that a real Prometheus and Loki take, and their answers become evidence.

use operate_gate::{Answer, Language, Line, Question, Series};
use serde_json::{Value, json};

use crate::telemetry::{read, url};

fn question(language: Language) -> Question {
    Question {
        id: "q".into(),
        label: "q".into(),
        language,
        expression: "sum(rate(x{a=\"b c\"}[1m]))".into(),
        start_ms: 1_700_000_000_250,
        end_ms: 1_700_000_060_000,
        step_ms: 5_000,
        limit: 2,
    }
}

#[test]
fn a_question_is_a_url_of_the_api() {
    let url = |language| url("http://p:9090", "http://l:3100", &question(language));
    let expression = "query=sum%28rate%28x%7Ba%3D%22b+c%22%7D%5B1m%5D%29%29";
    assert_eq!(
        url(Language::Promql),
        format!("http://p:9090/api/v1/query_range?{expression}&start=1700000000.250&end=1700000060.000&step=5.000")
    );
    assert_eq!(
        url(Language::Logql),
        format!(
            "http://l:3100/loki/api/v1/query_range?{expression}&start=1700000000250000000&end=1700000060000000000&limit=2&direction=backward"
        )
    );
}

fn check(language: Language, body: Value, expect: Option<Answer>) {
    assert_eq!(read(&question(language), &body), expect);
}

#[test]
fn an_answer_is_read_or_refused_as_a_whole() {
    let matrix = json!({"status": "success", "data": {"resultType": "matrix", "result": [
        {"metric": {"service": "cart"}, "values": [[1_700_000_000.25, "1.5"], [1_700_000_005, "+Inf"]]},
    ]}});
    let points = vec![(1_700_000_000_250, 1.5), (1_700_000_005_000, f64::INFINITY)];
    let series = Series { labels: [("service".to_owned(), "cart".to_owned())].into(), points };
    check(Language::Promql, matrix, Some(Answer::Series(vec![series])));
    check(Language::Promql, json!({"data": {"result": []}}), Some(Answer::Series(Vec::new())));
    check(Language::Promql, json!({"data": {"result": [{"metric": {}, "values": [[1, "no number"]]}]}}), None);
    check(Language::Promql, json!("a page of a proxy"), None);

    let streams = json!({"data": {"resultType": "streams", "result": [
        {"stream": {}, "values": [["1700000002000000000", "late"]]},
        {"stream": {}, "values": [["1700000001000000000", "early"]]},
    ]}});
    let line = |time_ms, text: &str| Line { time_ms, text: text.into() };
    let lines = vec![line(1_700_000_001_000, "early"), line(1_700_000_002_000, "late")];
    check(Language::Logql, streams, Some(Answer::Lines { lines, truncated: true }));
    check(Language::Logql, json!({"data": {"result": [{"values": [["x", "y"]]}]}}), None);
}

/// RFC 4231, test case 2, and what a receiver is told when there is no key.
#[test]
fn a_signature_is_the_hmac_of_the_body() {
    use operate_execute::Deliver as _;
    let hook = |url, secret| crate::Webhook::new(base_http::Secret::new(url), secret, &[]).expect("a receiver");
    let url = "http://127.0.0.1:1/T0KEN";
    let expect = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hook(url, Some(&b"Jefe"[..])).signature(b"what do ya want for nothing?").as_deref(), Some(expect));
    assert_eq!(hook(url, None).signature(b"x"), None);
    assert!(hook(url, None).id() != hook("http://127.0.0.1:1/other", None).id());
    assert!(!hook(url, None).id().contains("T0KEN"));
}
