//! The gate in front of a release.

use super::story::RELEASED_MS;
use crate::{Answer, Evidence, Freeze, Reason, Series, Slo, Subject, before};

fn series(labels: &[(&str, &str)], value: f64) -> Series {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Series { labels, points: vec![(RELEASED_MS, value)] }
}

fn calls(all: f64, errors: f64) -> Answer {
    Answer::Series(vec![
        series(&[("status_code", "STATUS_CODE_UNSET")], all - errors),
        series(&[("status_code", "STATUS_CODE_ERROR")], errors),
    ])
}

fn evidence() -> Evidence {
    let buckets = [("0.256", 900.0), ("0.512", 980.0), ("1.024", 1000.0), ("+Inf", 1000.0)];
    let buckets = buckets.iter().map(|(le, count)| series(&[("le", le)], *count)).collect();
    Evidence::from([
        ("budget.window".to_owned(), calls(1e6, 500.0)),
        ("budget.hour".to_owned(), calls(1e4, 5.0)),
        ("budget.latency".to_owned(), Answer::Series(buckets)),
        ("alerts".to_owned(), Answer::Series(vec![series(&[("alertname", "Slow"), ("severity", "warning")], 1.0)])),
    ])
}

/// With one answer replaced: is it open, and what does it say?
#[track_caller]
fn check(replaced: &[(&str, Answer)], freezes: &[Freeze], open: bool, says: &str) {
    let slo: Slo = serde_json::from_str(r#"{"availability": 99.9, "latency": {"p95": "512ms"}}"#).unwrap();
    let mut evidence = evidence();
    evidence.extend(replaced.iter().map(|(id, answer)| ((*id).to_owned(), answer.clone())));
    let subject = Subject { service: "cart".into(), environment: "prod".into(), ..Subject::default() };
    let found = before(&subject, &slo, freezes, &evidence, RELEASED_MS);
    assert!(found.open == open && found.sentence.contains(says), "{found:?}");
}

#[test]
fn open_and_shut() {
    let failed = Answer::Failed { reason: "timeout after 10s".into() };
    let alert = |labels: &[(&str, &str)]| Answer::Series(vec![series(labels, 1.0)]);
    check(&[], &[], true, "50.0 % of its error budget are left");
    check(&[("budget.window", calls(1e6, 950.0))], &[], false, "5.00 % of the error budget of 4w2d are left");
    check(&[("budget.window", calls(1e6, 5000.0))], &[], false, "-400 %");
    check(&[("budget.hour", calls(1e4, 200.0))], &[], false, "20.0 times as fast");
    check(&[("budget.window", failed.clone())], &[], false, "budget.window is unknown: timeout after 10s");
    check(&[("alerts", failed)], &[], false, "alerts is unknown");
    check(&[("budget.window", Answer::Series(vec![]))], &[], true, "60.0 %");
    check(
        &[("alerts", alert(&[("alertname", "Down"), ("severity", "critical")]))],
        &[],
        false,
        "alert Down (critical)",
    );
    check(&[("alerts", alert(&[("alertname", "Down")]))], &[], false, "alert Down");
    let page = alert(&[("alertname", "Paged"), ("severity", "page")]);
    check(&[("alertmanager", page)], &[], false, "alert Paged (page)");
    check(
        &[("alertmanager", Answer::Failed { reason: "refused".into() })],
        &[],
        false,
        "alertmanager is unknown: refused",
    );
    check(&[("alertmanager", Answer::Series(vec![]))], &[], true, "50.0 %");
}

#[test]
fn frozen() {
    let freeze = |from_s: i64, to_s: i64, environments: &[&str]| Freeze {
        from_ms: RELEASED_MS + from_s * 1000,
        to_ms: RELEASED_MS + to_s * 1000,
        reason: "year's end".into(),
        environments: environments.iter().map(|name| (*name).to_owned()).collect(),
    };
    check(&[], &[freeze(-60, 3600, &[])], false, "frozen for 1h: year's end");
    check(&[], &[freeze(-60, 3600, &["prod"])], false, "frozen");
    check(&[], &[freeze(-60, 3600, &["dev"])], true, "may be released");
    check(&[], &[freeze(-60, 0, &[]), freeze(60, 120, &[])], true, "may be released");
}

#[test]
fn every_reason_is_told() {
    let subject = Subject { service: "cart".into(), ..Subject::default() };
    let slo = Slo { availability: Some(99.9), ..Slo::default() };
    let found = before(&subject, &slo, &[], &Evidence::new(), RELEASED_MS);
    assert_eq!(found.reasons.len(), 3, "{found:?}");
    assert!(found.reasons.iter().all(|reason| matches!(reason, Reason::Unknown { .. })));
    assert!(found.sentence.contains("(and 2 more)"));
}

#[test]
fn objectives_as_they_are_written() {
    let text = r#"{"availability":99.9,"latency":{"p99.9":"1s500ms"},"window":"4w"}"#;
    let slo: Slo = serde_json::from_str(text).unwrap();
    let latency = slo.latency.clone().unwrap();
    assert_eq!((latency.percentile, latency.within.as_millis()), (99.9, 1500));
    assert_eq!(serde_json::from_str::<Slo>(&serde_json::to_string(&slo).unwrap()).unwrap(), slo);
    let check = |latency: &str, says: &str| {
        let error = serde_json::from_str::<Slo>(&format!(r#"{{"latency": {latency}}}"#)).unwrap_err().to_string();
        assert!(error.contains(says), "{latency}: {error}");
    };
    check(r#"{"p95": "fast"}"#, "`fast` is not a duration");
    check(r#"{"p0": "1s"}"#, "`p0` is no percentile");
    check(r#"{"p95": "1s", "p99": "2s"}"#, "2 latency objectives");
    check("{}", "0 latency objectives");
}
