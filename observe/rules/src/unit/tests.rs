//! Files of unit tests and what is said of them; the same files at promtool are a journey's.

use crate::RuleFile;
use crate::unit::{Rules, TestFile};

const RULES: &str = "groups:\n- name: g\n  rules:\n  - {alert: Down, expr: up == 0, for: 2m, annotations: {a: '{{ $labels.job }} {{ $value }}'}}\n  - {record: up:sum, expr: sum(up)}\n";

fn check(rules: &str, tests: &str, expect: &[&str]) {
    let file = RuleFile::parse(rules).unwrap();
    let said = match TestFile::parse(tests) {
        Err(faults) => faults.iter().map(|fault| format!("fault {fault}")).collect(),
        Ok(tests) => {
            let report = tests.run(&[Rules { path: "rules.yml", file: &file }]);
            let failures = report
                .failures
                .iter()
                .map(|f| format!("{}: {}{} want {} got {}", f.line, f.test, f.about, f.want, f.got));
            let mut said: Vec<String> = failures.collect();
            said.push(format!("{} passed", report.passed));
            said
        }
    };
    assert_eq!(said, expect, "{tests}");
}

/// One test over `up{job="a"} 1 0 0 0 …`.
fn one(cases: &str) -> String {
    format!(
        "tests:\n- name: 't, '\n  interval: 1m\n  input_series: [{{series: 'up{{job=\"a\"}}', values: '1 0x20'}}]\n{cases}"
    )
}

#[test]
fn expectations_are_met_or_told() {
    let alert = |at: &str, expected: &str| {
        one(&format!("  alert_rule_test: [{{eval_time: {at}, alertname: Down, exp_alerts: [{expected}]}}]\n"))
    };
    let expected = "{exp_labels: {job: a}, exp_annotations: {a: a 0}}";
    let shown = "{alertname=\"Down\", job=\"a\"} with {a=\"a 0\"}";
    check(RULES, &alert("2m", ""), &["1 passed"]);
    check(RULES, &alert("2m59s", ""), &["1 passed"]);
    check(RULES, &alert("3m", expected), &["1 passed"]);
    check(RULES, &alert("3m30s", expected), &["1 passed"]);
    check(RULES, &alert("2m", expected), &[&format!("5: t, alert Down at 2m want {shown} got no alert"), "0 passed"]);
    check(RULES, &alert("3m", ""), &[&format!("5: t, alert Down at 3m want no alert got {shown}"), "0 passed"]);
    let expr = |text: &str, expected: &str| {
        one(&format!("  promql_expr_test: [{{eval_time: 4m, expr: '{text}', exp_samples: [{expected}]}}]\n"))
    };
    check(RULES, &expr("up:sum", "{labels: 'up:sum', value: 0}"), &["1 passed"]);
    check(
        RULES,
        &expr("up:sum", "{labels: 'up:sum', value: 1}"),
        &["5: t, up:sum at 4m want up:sum 1 got up:sum 0", "0 passed"],
    );
    check(RULES, &expr("up:sum", ""), &["5: t, up:sum at 4m want no sample got up:sum 0", "0 passed"]);
    check(
        RULES,
        &expr("vector(0.1) * 3", "{labels: '{}', value: 0.3}"),
        &["5: t, vector(0.1) * 3 at 4m want {} 0.3 got {} 0.30000000000000004", "0 passed"],
    );
    let fuzzy = |text: &str| format!("fuzzy_compare: true\n{text}");
    check(RULES, &fuzzy(&expr("vector(0.1) * 3", "{labels: '{}', value: 0.3}")), &["1 passed"]);
    check(
        RULES,
        &fuzzy(&expr("vector(0.1) * 3", "{labels: '{}', value: 0.31}")),
        &["6: t, vector(0.1) * 3 at 4m want {} 0.31 got {} 0.30000000000000004", "0 passed"],
    );
}

#[test]
fn a_rule_that_fails_ends_its_test() {
    let rules = "groups:\n- name: g\n  rules:\n  - {record: r, expr: up * on(x) up, labels: {a: b}}\n  - {record: s, expr: '\"text\"'}\n";
    check(
        rules,
        &one("  promql_expr_test: [{eval_time: 4m, expr: up}]\n"),
        &["2: t, rule s at 0s want  got rule result is not a vector or scalar", "0 passed"],
    );
}

#[test]
fn the_order_of_groups_is_what_the_file_says() {
    let rules =
        "groups:\n- name: a\n  rules: [{record: of:b, expr: b}]\n- name: b\n  rules: [{record: b, expr: sum(up)}]\n";
    let test = |order: &str, samples: &str| {
        format!(
            "group_eval_order: [{order}]\n{}",
            one(&format!("  promql_expr_test: [{{eval_time: 0, expr: of:b, exp_samples: [{samples}]}}]\n"))
        )
    };
    check(rules, &test("b, a", "{labels: 'of:b', value: 1}"), &["1 passed"]);
    check(rules, &test("a, b", ""), &["1 passed"]);
}

#[test]
fn files_are_read_whole_or_not_at_all() {
    check(RULES, "", &["0 passed"]);
    check(RULES, "test: []\n", &["fault 1:1: unknown key `test` in a file of unit tests"]);
    check(RULES, "group_eval_order: [a, a]\n", &["fault 1:23: group name repeated in evaluation order: a"]);
    check(
        RULES,
        "evaluation_interval: 5\n",
        &["fault 1:22: `evaluation_interval`: unknown unit \"\" in duration \"5\""],
    );
    check(
        RULES,
        &one("  alert_rule_test: [{eval_time: 1m}]\n"),
        &["fault 5:21: an item under alert_rule_test misses required attribute alertname"],
    );
    check(
        RULES,
        &one("  promql_expr_test: [{expr: sum(}]\n"),
        &["fault 5:29: could not parse expression: 1:5: parse error: unclosed left parenthesis"],
    );
    check(
        RULES,
        "tests: [{input_series: [{series: 'up{a=~\"b\"}', values: 1}]}]\n",
        &["fault 1:34: `up{a=~\"b\"}` is no series: the label `a` must have one value"],
    );
    check(RULES, "tests: [{input_series: [{series: up, values: 1xx}]}]\n", &["fault 1:46: `1xx` is not a value"]);
    check(RULES, "tests: [{start_timestamp: soon}]\n", &["fault 1:27: cannot parse \"soon\" to a valid timestamp"]);
    check(
        RULES,
        &one("  alert_rule_test: [{eval_time: 200y, alertname: Down}]\n"),
        &["2: t, evaluation want  got more than 1000000 evaluations", "0 passed"],
    );
}

#[test]
fn a_group_may_ask_about_the_past() {
    let rules = "groups:\n- name: g\n  query_offset: 3m\n  rules: [{record: late, expr: up}]\n";
    let test = |at: &str, samples: &str| {
        one(&format!("  promql_expr_test: [{{eval_time: 9m, expr: 'timestamp({at})', exp_samples: [{samples}]}}]\n"))
    };
    // What is recorded has the time that it is about.
    check(rules, &test("late", "{labels: '{job=\"a\"}', value: 360}"), &["1 passed"]);
}
