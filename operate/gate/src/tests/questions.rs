//! Every question word for word: what a real Prometheus and Loki will be asked.

use super::golden;
use super::story::RELEASED_MS;
use crate::{Language, Question, Settings, Side, Slo, Subject, UserCheck, questions, questions_before};

fn written(questions: &[Question]) -> String {
    let mut text = String::new();
    for question in questions {
        let at = |ms: i64| (ms - RELEASED_MS) / 1000;
        let language = if question.language == Language::Promql { "promql" } else { "logql" };
        text.push_str(&format!(
            "{} ({}), {language} from {} s to {} s, step {} s{}\n    {}\n",
            question.id,
            question.label,
            at(question.start_ms),
            at(question.end_ms),
            question.step_ms / 1000,
            if question.limit > 0 { format!(", {} lines", question.limit) } else { String::new() },
            question.expression
        ));
    }
    text
}

fn side(version: &str, instances: &[&str], containers: &[&str]) -> Side {
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Side { version: Some(version.into()), instances: own(instances), containers: own(containers) }
}

#[test]
fn against_its_past() {
    let subject = Subject { service: "cart".into(), released_ms: RELEASED_MS, ..Subject::default() };
    golden("questions_past", &written(&questions(&subject, &Settings::default(), RELEASED_MS + 62_000)));
}

#[test]
fn side_by_side_with_checks() {
    let subject = Subject {
        service: "cart \"eu\"".into(),
        new: side("2.0", &[], &["cart-green-1", "cart-green-2"]),
        old: side("1.9", &["cart-blue:80", "cart-blue.2"], &["cart-blue"]),
        released_ms: RELEASED_MS,
        side_by_side: true,
        matchers: [("cluster".to_owned(), "eu".to_owned())].into(),
        known_since_ms: Some(RELEASED_MS - 3 * 86_400_000),
        hosts: vec!["node-1:9100".into()],
        checks: vec![
            UserCheck { name: "queue".into(), promql: Some("sum(queue_length)".into()), ..UserCheck::default() },
            UserCheck { promql: Some("up == 0".into()), max: Some(0.0), ..UserCheck::default() },
            UserCheck { http: Some("/healthz".into()), ..UserCheck::default() },
        ],
        ..Subject::default()
    };
    golden("questions_beside", &written(&questions(&subject, &Settings::default(), RELEASED_MS + 300_000)));
}

#[test]
fn before_a_release() {
    let subject = Subject { service: "cart".into(), released_ms: RELEASED_MS, ..Subject::default() };
    let slo: Slo = serde_json::from_str(r#"{"availability": 99.9, "latency": {"p95": "500ms"}}"#).unwrap();
    golden("questions_before", &written(&questions_before(&subject, &Settings::default(), &slo, RELEASED_MS)));
}

#[test]
fn nothing_is_asked_of_the_new_version_before_a_window_is_whole() {
    let subject = Subject { service: "cart".into(), released_ms: RELEASED_MS, ..Subject::default() };
    let asked = questions(&subject, &Settings::default(), RELEASED_MS + 9000);
    assert!(asked.iter().all(|question| question.language == Language::Logql || !question.id.ends_with(".new")));
    // What is asked of the past is the same at every look, so that answers can be kept.
    let past = |now_ms: i64| -> Vec<Question> {
        let all = questions(&subject, &Settings::default(), now_ms);
        all.into_iter().filter(|question| !question.id.ends_with(".new")).collect()
    };
    assert_eq!(past(RELEASED_MS + 10_000), past(RELEASED_MS + 290_000));
}
