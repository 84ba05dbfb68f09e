//! What a release may say of the telemetry of its pods, from what was and was not answered.

use super::*;
use crate::evidence::{Answer, Line, Series};

const BEGAN_MS: i64 = 1_700_000_000_000;

fn arrival(signals: &[Signal]) -> Arrival {
    let (service, unproven) = ("cart".to_owned(), Unproven::Warn);
    Arrival { service, signals: signals.to_vec(), probed: false, within_ms: 180_000, unproven, admitted: false }
}

fn pods() -> [Instance; 2] {
    ["a", "b"].map(|name| Instance { pod: format!("cart-{name}"), uid: format!("uid-{name}"), begun_ms: BEGAN_MS })
}

/// Series with a point so many seconds after the pods began.
fn at(s: i64, value: f64) -> Answer {
    Answer::Series(vec![Series { points: vec![(BEGAN_MS + s * 1_000, value)], ..Series::default() }])
}

fn line(s: i64) -> Answer {
    let lines = vec![Line { time_ms: BEGAN_MS + s * 1_000, text: "hello".into() }];
    Answer::Lines { lines, truncated: false }
}

fn failed() -> Answer {
    Answer::Failed { reason: "connection refused".into() }
}

const ALL: [Signal; 3] = [Signal::Metrics, Signal::Traces, Signal::Logs];

/// `after_s` seconds into the step, which began ten seconds after the pods; all that is not answered has not come.
fn check(arrival: &Arrival, answers: &[(&str, Answer)], after_s: i64, kind: &str, words: &[&str]) {
    let since_ms = BEGAN_MS + 10_000;
    let now_ms = since_ms + after_s * 1_000;
    let mut evidence = Evidence::new();
    for question in questions_arrival(arrival, &pods(), now_ms) {
        let nothing = match question.language {
            Language::Logql => Answer::Lines { lines: Vec::new(), truncated: false },
            _ => Answer::Series(Vec::new()),
        };
        evidence.insert(question.id, nothing);
    }
    for (id, answer) in answers {
        assert!(evidence.insert((*id).to_owned(), answer.clone()).is_some(), "{id} is not asked");
    }
    let found = arrived(arrival, &pods(), &evidence, since_ms, now_ms);
    let text = format!("{found:?}");
    assert!(text.starts_with(kind), "{text} is no {kind}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in {text}");
    }
}

const SAMPLE: &str = "arrival.metrics";
const SPAN: &str = "arrival.traces.1";
const LINE: &str = "arrival.logs";

#[test]
fn all_that_is_expected_passes_with_its_times() {
    let came = [(SAMPLE, at(12, 1.0)), (SPAN, at(9, 1.0)), (LINE, line(8))];
    let told = "pod cart-a and 1 more, the first sample came 12 s after it began, the first span 9 s after, the first log line 8 s after";
    check(&arrival(&ALL), &came, 4, "All", &[told]);
    check(&arrival(&[Signal::Metrics]), &came[..1], 4, "All", &["the first sample came 12 s after"]);
}

#[test]
fn what_has_not_come_is_waited_for() {
    check(&arrival(&ALL), &[], 179, "Wait", &["waits for the first sample, span and log line of pod cart-a"]);
    check(&arrival(&ALL), &[(SAMPLE, at(12, 1.0))], 20, "Wait", &["span and log line", "a sample has come"]);
    // One that serves requests must make spans.
    let counted = [(SAMPLE, at(12, 1.0)), ("arrival.requests", at(13, 4.0))];
    check(&arrival(&ALL), &counted, 100, "Wait", &["span"]);
}

#[test]
fn without_requests_no_span_is_no_fault() {
    let sample = [(SAMPLE, at(12, 1.0))];
    // Long before the time is over: a sample came, and half a minute passed.
    check(&arrival(&ALL), &sample, 40, "Quiet", &["no span and log line", "nobody called it", "logged nothing"]);
    check(&arrival(&ALL), &[(SAMPLE, at(12, 1.0)), (SPAN, at(9, 1.0))], 40, "Quiet", &["no log line"]);
    let counted = [(SAMPLE, at(12, 1.0)), ("arrival.requests", at(13, 4.0))];
    check(&arrival(&ALL), &counted, 180, "Missing { signals: [Traces]", &["although it counted 4 requests"]);
}

#[test]
fn nothing_at_all_is_nothing_and_not_unknown() {
    let expect = ["no sample, span and log line of pod cart-a and 1 more arrived within 180 s"];
    check(&arrival(&ALL), &[], 180, "Nothing { signals: [Metrics, Traces, Logs]", &expect);
    // A span came, so the way is there: it is the samples that do not come.
    check(&arrival(&ALL), &[(SPAN, at(9, 1.0))], 180, "Missing { signals: [Metrics]", &["the first span came 9 s"]);
    // Of an agent that sends spans only, and that is called.
    let spans = Arrival { probed: true, ..arrival(&[Signal::Traces]) };
    check(&spans, &[], 180, "Nothing", &["no span"]);
    check(&arrival(&[Signal::Traces]), &[], 180, "Quiet", &["nobody called it"]);
}

#[test]
fn who_cannot_be_asked_is_no_proof_of_anything() {
    check(&arrival(&ALL), &[(SAMPLE, failed())], 10, "Wait", &[]);
    check(&arrival(&ALL), &[(SAMPLE, failed())], 180, "Unknown", &["sample", "connection refused"]);
    // What did come is enough where the rest may not come.
    check(&arrival(&ALL), &[(SAMPLE, at(12, 1.0)), (LINE, failed())], 180, "Quiet", &["no span and log line"]);
}

#[test]
fn the_questions_are_of_these_pods_only() {
    let asked = questions_arrival(&arrival(&ALL), &pods(), BEGAN_MS + 60_000);
    let expressions: Vec<&str> = asked.iter().map(|question| question.expression.as_str()).collect();
    assert_eq!(
        expressions[..4],
        [
            "min by (k8s_pod_uid) (target_info{k8s_pod_uid=~\"uid-a|uid-b\"})",
            "{\"service\":\"cart\",\"k8s.pod.uid\":\"uid-a\"}",
            "{\"service\":\"cart\",\"k8s.pod.uid\":\"uid-b\"}",
            "sum({__name__=~\"(http|rpc)_server_(request_|call_)?duration(_milliseconds|_seconds)?_count\",instance=~\".*(cart-a|cart-b).*\"})",
        ]
    );
    assert_eq!(expressions[4], "{service_name=~\"cart|unknown_service\"} | k8s_pod_uid=~\"uid-a|uid-b\"");
    assert_eq!((asked[0].start_ms, asked[0].end_ms), (BEGAN_MS - 30_000, BEGAN_MS + 60_000));
    // A hundred pods are not a hundred questions.
    let many: Vec<Instance> =
        (0..100).map(|n| Instance { pod: format!("p{n}"), uid: format!("u{n}"), begun_ms: BEGAN_MS }).collect();
    assert_eq!(questions_arrival(&arrival(&[Signal::Traces]), &many, BEGAN_MS).len(), 11);
}
