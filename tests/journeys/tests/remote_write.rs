//! A team points its Prometheus at us. The real server scrapes itself and remote-writes; then the real promtool asks us and it the same questions, and
//! every answer must be the same.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use tests_journeys::prometheus::{Prometheus, alike};
use tests_journeys::{Engine, tools};

/// Seconds of data the questions look back on.
const HISTORY_S: f64 = 20.0;

#[test]
fn prometheus_writes_and_promtool_reads_the_same() {
    let engine = Engine::start("remote_write");
    let prometheus = Prometheus::start(&engine, "prometheus.WriteRequest");
    let at = prometheus.wait_for_history(&engine, HISTORY_S);
    let url = prometheus.url.clone();

    let time = format!("--time={at:.3}");
    for query in [
        "up",
        "prometheus_build_info",
        "prometheus_http_requests_total",
        "count({job=\"prometheus\"})",
        "count by (__name__) ({job=\"prometheus\", __name__=~\"go_.*\"})",
        "sum by (job) (rate(prometheus_http_requests_total[1m]))",
        "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[1m])))",
        "topk(3, max by (handler) (prometheus_http_requests_total)) > 0",
        "absent(up{job=\"nothing\"})",
    ] {
        same(&engine, &url, &["instant", &time], &[&our_job(query)]);
    }
    let (start, end) = (format!("--start={:.3}", at - HISTORY_S + 5.0), format!("--end={at:.3}"));
    for query in ["up", "sum by (handler) (rate(prometheus_http_requests_total[15s]))", "process_resident_memory_bytes"]
    {
        same(&engine, &url, &["range", &start, &end, "--step=1s"], &[&our_job(query)]);
    }
    same(&engine, &url, &["series", "--match=prometheus_build_info", "--match={job=\"prometheus\",code=\"200\"}"], &[]);
    same(&engine, &url, &["labels"], &["handler"]);
    same(&engine, &url, &["labels"], &["code"]);
}

/// The engine watches itself too; the comparison is about what Prometheus wrote.
fn our_job(query: &str) -> String {
    match query {
        "up" | "prometheus_build_info" | "prometheus_http_requests_total" | "process_resident_memory_bytes" => {
            format!("{query}{{job=\"prometheus\"}}")
        }
        _ => {
            query.replace("_total[", "_total{job=\"prometheus\"}[").replace("_bucket[", "_bucket{job=\"prometheus\"}[")
        }
    }
}

/// promtool's answer from us is promtool's answer from Prometheus.
fn same(engine: &Engine, url: &str, options: &[&str], rest: &[&str]) {
    let ours = ask(&engine.url, options, rest);
    let theirs = ask(url, options, rest);
    assert!(theirs != "[]" && !theirs.is_empty(), "Prometheus has no answer to {options:?} {rest:?}");
    if let (Some(ours), Some(theirs)) = (parsed(&ours), parsed(&theirs)) {
        assert!(
            alike(&ours, &theirs),
            "promtool query {options:?} {rest:?}\n--- apm\n{ours}\n--- Prometheus\n{theirs}"
        );
        return;
    }
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    if lines(&ours) != lines(&theirs) {
        panic!("promtool query {options:?} {rest:?}\n--- apm\n{ours}\n--- Prometheus\n{theirs}");
    }
}

fn ask(url: &str, options: &[&str], rest: &[&str]) -> String {
    let (kind, options) = options.split_first().expect("the first word is the kind of query");
    let mut command = Command::new(tools::tool("promtool"));
    command.args(["query", "-o", "json", kind]).args(options).arg(url).args(rest);
    let output = command.output().expect("promtool starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {options:?} {rest:?} against {url}: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// promtool prints JSON for queries, and plain lines for labels.
fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}
