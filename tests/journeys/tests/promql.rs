//! PromQL is what Prometheus says it is: every expression of `data/promql.txt` is asked of it and of us over the same samples, at one moment and over a range,
//! and the answers must be the same. All differences are told at once.

use serde_json::Value;
use tests_journeys::prometheus::{Prometheus, alike};
use tests_journeys::{Engine, http};

#[test]
fn every_expression_gives_the_answer_of_prometheus() {
    let engine = Engine::start("promql");
    let prometheus = Prometheus::start(&engine, "prometheus.WriteRequest");
    let at = prometheus.wait_for_history(&engine, 30.0);
    let (start, end) = (format!("{:.3}", at - 15.0), format!("{at:.3}"));
    let mut differences = Vec::new();
    for expression in expressions() {
        for (path, rest) in [
            ("query", vec![("time", end.as_str())]),
            ("query_range", vec![("start", &start), ("end", &end), ("step", "1")]),
        ] {
            let parameters: Vec<(&str, &str)> = std::iter::once(("query", expression)).chain(rest).collect();
            let (ours, theirs) = (ask(&engine.url, path, &parameters), ask(&prometheus.url, path, &parameters));
            assert!(!theirs.is_string(), "Prometheus refuses {expression}: {theirs}");
            if !alike(&ours, &theirs) {
                differences.push(format!(
                    "{path} {expression}\n    apm        {}\n    Prometheus {}",
                    short(&ours),
                    short(&theirs)
                ));
            }
        }
    }
    let _ = std::fs::write(engine.artefacts().join("differences.txt"), differences.join("\n"));
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

/// The `data` of an answer, or its error.
fn ask(url: &str, path: &str, parameters: &[(&str, &str)]) -> Value {
    let mut answer = http::get(&format!("{url}/api/v1/{path}"), parameters).json();
    if answer["status"] == "success" { answer["data"].take() } else { answer["errorType"].take() }
}

fn expressions() -> impl Iterator<Item = &'static str> {
    include_str!("../data/promql.txt").lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn short(answer: &Value) -> String {
    answer.to_string().chars().take(600).collect()
}
