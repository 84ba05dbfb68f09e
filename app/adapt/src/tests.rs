//! Questions become URLs that a real Prometheus and Loki take, and their answers become evidence.

use std::sync::Arc;

use operate_gate::{Answer, Language, Line, Question, Series, Subject, UserCheck};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::telemetry::{read, url};
use crate::{Checks, Places, Telemetry};

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
    let url = |base, language| url(base, &question(language));
    let expression = "query=sum%28rate%28x%7Ba%3D%22b+c%22%7D%5B1m%5D%29%29";
    assert_eq!(
        url("http://p:9090", Language::Promql),
        format!("http://p:9090/api/v1/query_range?{expression}&start=1700000000.250&end=1700000060.000&step=5.000")
    );
    assert_eq!(
        url("http://l:3100", Language::Logql),
        format!(
            "http://l:3100/loki/api/v1/query_range?{expression}&start=1700000000250000000&end=1700000060000000000&limit=2&direction=backward"
        )
    );
    assert_eq!(
        url("http://a:9093", Language::Alertmanager),
        "http://a:9093/api/v2/alerts?active=true&silenced=false&inhibited=false&filter=sum%28rate%28x%7Ba%3D%22b+c%22%7D%5B1m%5D%29%29"
    );
}

#[test]
fn spans_of_a_pod_are_told_from_the_rest_of_their_trace() {
    let expression = r#"{"service":"cart","k8s.pod.uid":"u-1"}"#.to_owned();
    let question = Question { expression, ..question(Language::Jaeger) };
    assert_eq!(
        url("http://j:16686", &question),
        "http://j:16686/api/traces?service=cart&tags=%7B%22k8s.pod.uid%22%3A%22u-1%22%7D&start=1700000000250000&end=1700000060000000&limit=2"
    );
    let pod = |uid: &str| json!({"tags": [{"key": "k8s.pod.uid", "value": uid}]});
    let span = |process: &str, start_us: i64| json!({"processID": process, "operationName": "GET /", "startTime": start_us, "tags": []});
    let spans = [span("p2", 1), span("p1", 1_700_000_002_000_999), span("p1", 1_700_000_001_000_000)];
    let trace = json!({"spans": spans, "processes": {"p1": pod("u-1"), "p2": pod("u-2")}});
    let points = vec![(1_700_000_001_000, 1.0), (1_700_000_002_000, 1.0)];
    let series = Series { labels: [("operation".to_owned(), "GET /".to_owned())].into(), points };
    assert_eq!(read(&question, &json!({"data": [trace]})), Some(Answer::Series(vec![series])));
    assert_eq!(read(&question, &json!({"data": []})), Some(Answer::Series(Vec::new())));
    assert_eq!(read(&question, &json!({"data": null, "errors": ["no"]})), None);
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

#[test]
fn alerts_of_an_alertmanager_are_series() {
    let alerts = json!([
        {"labels": {"alertname": "Down", "severity": "page"}, "status": {"state": "active"}},
        {"labels": {"alertname": "Quiet"}, "status": {"state": "suppressed"}},
    ]);
    let one = |labels: &[(&str, &str)], value| Series {
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        points: vec![(1_700_000_060_000, value)],
    };
    let expect = vec![one(&[("alertname", "Down"), ("severity", "page")], 1.0), one(&[("alertname", "Quiet")], 0.0)];
    check(Language::Alertmanager, alerts, Some(Answer::Series(expect)));
    check(Language::Alertmanager, json!({"data": []}), None);
}

/// A server of one thread that answers each request by a line of this list, the last again and again; gives its address and the heads it saw.
async fn serve(statuses: &'static [&'static str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, seen) = (listener.local_addr().expect("bound"), Arc::new(Mutex::new(Vec::new())));
    let heads = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut buffer = vec![0; 8192];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            let number = heads.lock().len();
            heads.lock().push(String::from_utf8_lossy(&buffer[..read]).into_owned());
            let status = statuses[number.min(statuses.len() - 1)];
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address.to_string(), seen)
}

async fn check_http(statuses: &'static [&'static str], ok: bool, says: &str, requests: usize) {
    let (address, seen) = serve(statuses).await;
    let check = UserCheck { name: "page".into(), http: Some(format!("http://{address}/x")), ..UserCheck::default() };
    let subject = Subject { checks: vec![check], ..Subject::default() };
    let evidence = Checks::new().expect("a client").run(&subject).await;
    let Some(Answer::Checked { ok: found, said }) = evidence.get("check.page") else { panic!("{evidence:?}") };
    assert!(*found == ok && said.contains(says), "{said}");
    assert_eq!(seen.lock().len(), requests);
}

#[tokio::test]
async fn a_page_is_asked_again_before_it_fails() {
    check_http(&["200 OK"], true, "status 200", 1).await;
    check_http(&["500 Oh", "204 Fine"], true, "status 204", 2).await;
    check_http(&["503 Oh"], false, "/x answers 503", 3).await;
}

#[tokio::test]
async fn the_engines_token_is_for_the_engine_alone_and_passwords_are_not_shown() {
    let (engine, seen_by_engine) = serve(&["404 No"]).await;
    let (stranger, seen_by_stranger) = serve(&["404 No"]).await;
    let places = Places {
        engine: format!("http://{engine}/"),
        token: Some("hush-hush-hush-hush".into()),
        prometheus: Some(format!("http://ann:secret@{stranger}")),
        ..Places::default()
    };
    let telemetry = Telemetry::new(&places).expect("clients");
    let metrics = telemetry.ask(vec![question(Language::Promql)]).await;
    let lines = telemetry.ask(vec![question(Language::Logql)]).await;
    assert!(seen_by_engine.lock()[0].contains("Bearer hush-hush"), "{lines:?}");
    let strangers = seen_by_stranger.lock()[0].clone();
    assert!(!strangers.contains("hush") && strangers.contains("authorization: Basic"), "{strangers}");
    let said = format!("{metrics:?}");
    assert!(said.contains("answers 404") && !said.contains("secret") && !said.contains("ann"), "{said}");
}
