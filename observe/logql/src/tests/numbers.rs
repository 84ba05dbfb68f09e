//! Numbers from lines.

use observe_source::Direction;

use super::{Ask, S, samples, store};
use crate::{Data, Engine, Query};

const LINES: &str = r#"
    app=a level=info  | 1  | took=10ms n=1 | pod=x
    app=a level=info  | 10 | took=20ms n=2 | pod=x
    app=a level=error | 20 | took=30ms n=3 | pod=y
    app=b level=info  | 30 | took=40ms n=x
    app=b level=info  | 60 | took=1s n=5
"#;

fn check(query: &str, at_s: i64, expect: &[&str]) {
    assert_eq!(samples(&store(LINES), query, at_s), expect, "{query}");
}

#[test]
fn grafana_s_health_probe() {
    let nothing = store("");
    assert_eq!(samples(&nothing, "vector(1)+vector(1)", 5), ["{} 2"]);
    assert_eq!(samples(&nothing, "1 + 2 * 3 - 4 / 2 ^ 2", 5), ["scalar 6"]);
    assert_eq!(samples(&nothing, "7 % 4 > 2", 5), ["scalar 1"]);
}

#[test]
fn windows_are_open_at_the_left() {
    check(r#"count_over_time({app="a", level="info"} | drop pod [9s])"#, 10, &[r#"{app="a", level="info"} 1"#]);
    check(r#"count_over_time({app="a", level="info"} | drop pod [9001ms])"#, 10, &[r#"{app="a", level="info"} 2"#]);
    check(r#"count_over_time({app="a", level="info"} | drop pod [10s])"#, 9, &[r#"{app="a", level="info"} 1"#]);
    check(r#"count_over_time({app="a", level="info"}[1s])"#, 9, &[]);
    check(r#"count_over_time({app="b"}[5s] offset 30s)"#, 60, &[r#"{app="b", level="info"} 1"#]);
}

#[test]
fn counts_rates_and_bytes() {
    check(
        r#"count_over_time({app="a"}[1m])"#,
        60,
        &[r#"{app="a", level="error", pod="y"} 1"#, r#"{app="a", level="info", pod="x"} 2"#],
    );
    check(r#"rate({app="b"}[1m])"#, 60, &[r#"{app="b", level="info"} 0.03333333333333333"#]);
    check(r#"bytes_over_time({app="b"}[1m])"#, 60, &[r#"{app="b", level="info"} 24"#]);
    check(r#"bytes_rate({app="b"} |= "1s" [10s])"#, 60, &[r#"{app="b", level="info"} 1.1"#]);
    check(r#"absent_over_time({app="zz"}[1m])"#, 60, &[r#"{app="zz"} 1"#]);
    check(r#"absent_over_time({app="a"}[1m])"#, 60, &[]);
}

#[test]
fn aggregations() {
    check(r#"sum(count_over_time({app=~".+"}[2m]))"#, 60, &["{} 5"]);
    check(r#"sum by (app) (count_over_time({app=~".+"}[2m]))"#, 60, &[r#"{app="a"} 3"#, r#"{app="b"} 2"#]);
    check(r#"sum without (level, pod) (rate({app=~".+"}[100s]))"#, 60, &[r#"{app="a"} 0.03"#, r#"{app="b"} 0.02"#]);
    check(r#"sum by (pod) (count_over_time({app=~".+"}[2m]))"#, 60, &["{} 2", r#"{pod="x"} 2"#, r#"{pod="y"} 1"#]);
    check(r#"max(count_over_time({app=~".+"}[2m]))"#, 60, &["{} 2"]);
    check(r#"min(count_over_time({app=~".+"}[2m]))"#, 60, &["{} 1"]);
    check(r#"count(count_over_time({app=~".+"}[2m]))"#, 60, &["{} 3"]);
    check(r#"avg by (level) (count_over_time({app=~".+"}[2m]))"#, 60, &[r#"{level="error"} 1"#, r#"{level="info"} 2"#]);
    check(r#"topk(1, sum by (app) (count_over_time({app=~".+"}[2m])))"#, 60, &[r#"{app="a"} 3"#]);
    check(
        r#"topk(2, sum by (app, level) (count_over_time({app=~".+"}[2m])))"#,
        60,
        &[r#"{app="a", level="info"} 2"#, r#"{app="b", level="info"} 2"#],
    );
    check(r#"bottomk(1, sum by (app) (count_over_time({app=~".+"}[2m])))"#, 60, &[r#"{app="b"} 2"#]);
    check(
        r#"topk by (level) (1, count_over_time({app="a"} | drop pod [2m]))"#,
        60,
        &[r#"{app="a", level="info"} 2"#, r#"{app="a", level="error"} 1"#],
    );
    check(r#"sort(sum by (app) (count_over_time({app=~".+"}[2m])))"#, 60, &[r#"{app="b"} 2"#, r#"{app="a"} 3"#]);
    check(
        r#"sum by (who) (label_replace(sum by (app) (count_over_time({app=~".+"}[2m])), "who", "the-$1", "app", "(.*)"))"#,
        60,
        &[r#"{who="the-a"} 3"#, r#"{who="the-b"} 2"#],
    );
}

#[test]
fn values_taken_from_labels() {
    check(
        r#"sum_over_time({app="a"} | logfmt | unwrap n [1m]) "#,
        30,
        &[
            r#"{app="a", level="error", pod="y", took="30ms"} 3"#,
            r#"{app="a", level="info", pod="x", took="10ms"} 1"#,
            r#"{app="a", level="info", pod="x", took="20ms"} 2"#,
        ],
    );
    check(r#"avg_over_time({app="a"} | logfmt | unwrap duration(took) [1m]) by (app)"#, 30, &[r#"{app="a"} 0.02"#]);
    check(r#"quantile_over_time(0.5, {app="a"} | logfmt | unwrap n [1m]) by (app)"#, 30, &[r#"{app="a"} 2"#]);
    check(r#"max_over_time({app="b"} | logfmt | unwrap n | __error__="" [1m]) by (app)"#, 60, &[r#"{app="b"} 5"#]);
    let failed = samples(&store(LINES), r#"max_over_time({app="b"} | logfmt | unwrap n [1m]) by (app)"#, 60);
    assert!(failed[0].starts_with("pipeline error: 'SampleExtractionErr' for series: '{"), "{failed:?}");
}

#[test]
fn operators() {
    let by_app = r#"sum by (app) (count_over_time({app=~".+"}[2m]))"#;
    check(&format!("{by_app} * 10"), 60, &[r#"{app="a"} 30"#, r#"{app="b"} 20"#]);
    check(&format!("10 / {by_app}"), 60, &[r#"{app="a"} 3.3333333333333335"#, r#"{app="b"} 5"#]);
    check(&format!("{by_app} > 2"), 60, &[r#"{app="a"} 3"#]);
    check(&format!("{by_app} > bool 2"), 60, &[r#"{app="a"} 1"#, r#"{app="b"} 0"#]);
    check(&format!("2 < {by_app}"), 60, &[r#"{app="a"} 3"#]);
    check(&format!("{by_app} / {by_app}"), 60, &[r#"{app="a"} 1"#, r#"{app="b"} 1"#]);
    let errors = r#"sum by (app, level) (count_over_time({level="error"}[2m]))"#;
    check(&format!("{errors} / ignoring (level) {by_app}"), 60, &[r#"{app="a"} 0.3333333333333333"#]);
    check(
        &format!("{errors} / on (app) group_left () {by_app}"),
        60,
        &[r#"{app="a", level="error"} 0.3333333333333333"#],
    );
    check(&format!("{by_app} / on (app) group_right () {errors}"), 60, &[r#"{app="a", level="error"} 3"#]);
    check(&format!("{by_app} and on (app) {errors}"), 60, &[r#"{app="a"} 3"#]);
    check(&format!("{by_app} unless on (app) {errors}"), 60, &[r#"{app="b"} 2"#]);
    check(&format!("{errors} or {by_app}"), 60, &[r#"{app="a"} 3"#, r#"{app="a", level="error"} 1"#, r#"{app="b"} 2"#]);
    check(r#"sum(count_over_time({app="zz"}[1m])) or vector(0)"#, 60, &["{} 0"]);
    let many = samples(&store(LINES), &format!("{by_app} / on () {by_app}"), 60);
    assert!(many[0].starts_with("found duplicate series for the match group {}"), "{many:?}");
}

#[test]
fn a_range_has_one_value_a_step() {
    let (logs, ask) = (store(LINES), Ask::new());
    let text = r#"sum by (app) (count_over_time({app=~".+"}[20s]))"#;
    let query = Query { text, tenant: &ask.tenant, budget: &ask.budget, cancel: &ask.cancel };
    let answer = Engine::default().query_range(&logs, &query, 0, 70 * S, 10_000, 0, Direction::Backward).unwrap();
    let Data::Matrix(series) = answer.data else { panic!("no matrix") };
    let shown: Vec<String> = series
        .iter()
        .map(|s| s.points.iter().fold(s.labels.to_string(), |t, p| format!("{t} {}@{}", p.value, p.time_ns / S)))
        .collect();
    assert_eq!(shown, [r#"{app="a"} 2@10 3@20 1@30"#, r#"{app="b"} 1@30 1@40 1@60 1@70"#]);
    let few = Engine::default().query_range(&logs, &query, 0, 20_000 * S, 1_000, 0, Direction::Backward).unwrap_err();
    assert!(few.to_string().starts_with("exceeded maximum resolution of 11000 points"), "{few}");
}

#[test]
fn every_function_over_values() {
    const VALUES: &str = r#"
        app=a | 1 | n=2 size=1KB took=1s
        app=a | 2 | n=4 size=2KB took=500ms
        app=a | 3 | n=9 size=1.5KiB took=1m
        app=a | 4 | other=1
    "#;
    let grouped = |function: &str, unwrap: &str| {
        let query = format!(r#"{function}{{app="a"}} | logfmt | unwrap {unwrap} [10s]) by (app)"#);
        samples(&store(VALUES), &query, 4).join("; ")
    };
    let a = |value: &str| format!(r#"{{app="a"}} {value}"#);
    assert_eq!(grouped("avg_over_time(", "n"), a("5"));
    assert_eq!(grouped("min_over_time(", "n"), a("2"));
    assert_eq!(grouped("max_over_time(", "n"), a("9"));
    assert_eq!(grouped("first_over_time(", "n"), a("2"));
    assert_eq!(grouped("last_over_time(", "n"), a("9"));
    assert_eq!(grouped("stdvar_over_time(", "n"), a("8.666666666666666"));
    assert_eq!(grouped("stddev_over_time(", "n"), a("2.943920288775949"));
    assert_eq!(grouped("quantile_over_time(0, ", "n"), a("2"));
    assert_eq!(grouped("quantile_over_time(0.75, ", "n"), a("6.5"));
    assert_eq!(grouped("quantile_over_time(1, ", "n"), a("9"));
    assert_eq!(grouped("quantile_over_time(2, ", "n"), a("inf"));
    assert_eq!(grouped("max_over_time(", "bytes(size)"), a("2000"));
    assert_eq!(grouped("max_over_time(", "duration_seconds(took)"), a("60"));
    let sums = |function: &str| {
        let query = format!(r#"{function}({{app="a"}} | logfmt n | unwrap n [10s])"#);
        samples(&store(VALUES), &query, 4).join("; ")
    };
    assert_eq!(sums("sum_over_time"), a("15"));
    assert_eq!(sums("rate"), a("1.5"));
    assert_eq!(sums("absent_over_time"), "");
    let refused = samples(&store(VALUES), r#"rate_counter({app="a"} | logfmt | unwrap n [10s])"#, 4);
    assert_eq!(
        refused,
        [
            "parse error at line 1, col 1: rate_counter cannot be evaluated yet; leave it out, or do that step in the client"
        ]
    );
    // A filter after unwrap leaves a line out; a value of another kind is an error.
    let kept = r#"max_over_time({app="a"} | logfmt | unwrap n | took="1s" [10s]) by (app)"#;
    assert_eq!(samples(&store(VALUES), kept, 4), [a("2")]);
}

#[test]
fn spread_and_order_of_series() {
    const MIX: &str = r#"
        app=a | 1 | v=1
        app=b | 1 | v=NaN
        app=c | 1 | v=3
    "#;
    let by_app = r#"max_over_time({app=~".+"} | logfmt | unwrap v [10s]) by (app)"#;
    let ask = |query: String| samples(&store(MIX), &query, 4);
    let (a, b, c) = (r#"{app="a"} 1"#, r#"{app="b"} NaN"#, r#"{app="c"} 3"#);
    // Not-a-number is last, either way.
    assert_eq!(ask(format!("sort({by_app})")), [a, c, b]);
    assert_eq!(ask(format!("sort_desc({by_app})")), [c, a, b]);
    assert_eq!(ask(format!("topk(2, {by_app})")), [c, a]);
    assert_eq!(ask(format!("bottomk(2, {by_app})")), [a, c]);
    assert_eq!(ask(format!("approx_topk(1, {by_app})")), [c]);
    let numbers = r#"max_over_time({app=~"a|c"} | logfmt | unwrap v [10s]) by (app)"#;
    assert_eq!(ask(format!("stdvar({numbers})")), ["{} 1"]);
    assert_eq!(ask(format!("stddev({numbers})")), ["{} 1"]);
    assert_eq!(ask(format!("max({numbers}) + min({numbers}) + avg({numbers}) + sum({numbers})")), ["{} 10"]);
}

#[test]
fn what_has_no_number() {
    let ask = |query: &str| samples(&store(LINES), query, 60).join("; ");
    assert_eq!(ask("sum(1)"), "sum needs series, not a number");
    assert_eq!(ask(r#"label_replace(1, "a", "b", "c", "d")"#), "label_replace needs series, not a number");
    let same = r#"label_replace(sum by (app) (count_over_time({app=~".+"}[2m])), "app", "x", "app", ".*")"#;
    assert_eq!(ask(same), r#"label_replace made two series with the same labels {app="x"}"#);
    let by_pod = r#"sum by (app, level) (count_over_time({app="a"}[2m]))"#;
    let by_app = r#"sum by (app) (count_over_time({app="a"}[2m]))"#;
    assert_eq!(
        ask(&format!("{by_pod} / on (app) {by_app}")),
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
    );
    // The labels of the one side that are asked for.
    let named = format!(r#"label_replace({by_app}, "team", "t", "", "")"#);
    assert_eq!(
        ask(&format!("{by_pod} * on (app) group_left (team) {named}")),
        r#"{app="a", level="error", team="t"} 3; {app="a", level="info", team="t"} 6"#
    );
}

#[test]
fn steps_and_limits_of_a_range() {
    let (logs, ask) = (store(LINES), Ask::new());
    let range = |text: &str, step_ms: i64| {
        let query = Query { text, tenant: &ask.tenant, budget: &ask.budget, cancel: &ask.cancel };
        Engine::default().query_range(&logs, &query, 0, 20 * S, step_ms, 0, Direction::Backward)
    };
    let points = |text: &str| {
        let Data::Matrix(series) = range(text, 10_000).unwrap().data else { panic!("no matrix") };
        let shown = |s: &crate::Series| {
            s.points.iter().fold(s.labels.to_string(), |t, p| format!("{t} {}@{}", p.value, p.time_ns / S))
        };
        series.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(points("1 + 1"), ["{} 2@0 2@10 2@20"]);
    // `or` fills the steps that the left side leaves open, of series with the same labels too.
    let app = |level: &str| format!(r#"sum by (app) (count_over_time({{app="a", level="{level}"}}[5s]))"#);
    assert_eq!(points(&format!("{} or {}", app("info"), app("error"))), [r#"{app="a"} 1@10 1@20"#]);
    for step_ms in [0, -1] {
        let error = range("1", step_ms).unwrap_err().to_string();
        assert_eq!(error, "zero or negative query resolution step widths are not accepted. Try a positive integer");
    }
    let fits = |seconds: i64| {
        let query = Query { text: "1", tenant: &ask.tenant, budget: &ask.budget, cancel: &ask.cancel };
        Engine::default().query_range(&logs, &query, 0, seconds * S, 1000, 0, Direction::Backward).is_ok()
    };
    // Intervals are counted, not points.
    assert!(fits(11_000) && !fits(11_001));
}
