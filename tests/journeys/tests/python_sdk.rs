//! An OpenTelemetry SDK that we did not write sends traces, metrics and logs, and each is found by the API its users ask.

use std::process::Command;

use serde_json::{Value, json};
use tests_journeys::{Engine, tools, wait};

#[test]
fn the_python_sdk_sends_three_signals_and_each_is_found() {
    let engine = Engine::start("python_sdk");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/sdk.py");
    let output = Command::new(tools::tool("python-sdk"))
        .arg(script)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &engine.otlp_http)
        .env("OTEL_SERVICE_NAME", "orders")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod")
        .output()
        .expect("Python starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "the SDK complains: {error}");
    let trace_id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert_eq!(trace_id.len(), 32, "the app prints its trace id");

    let services = engine.jaeger("services", &[]);
    assert!(services.as_array().is_some_and(|services| services.contains(&json!("orders"))), "{services}");
    let trace = engine.jaeger(&format!("traces/{trace_id}"), &[]);
    let spans = trace[0]["spans"].as_array().expect("the trace has spans");
    assert_eq!(names(spans), ["charge", "place order"], "{trace}");
    let child = spans.iter().find(|span| span["operationName"] == "charge").expect("the inner span is there");
    let parent = spans.iter().find(|span| span["operationName"] == "place order").expect("the outer span is there");
    assert_eq!(child["references"][0]["spanID"], parent["spanID"], "{trace}");
    let tag = |key: &str| {
        child["tags"].as_array().and_then(|tags| tags.iter().find(|tag| tag["key"] == key)).map(|tag| &tag["value"])
    };
    assert_eq!(tag("amount"), Some(&json!(12.5)), "{trace}");
    assert_eq!(tag("error"), Some(&json!(true)), "a failed span is marked as Jaeger does: {trace}");

    let window = (format!("{:.0}", wait::now_s() - 300.0), format!("{:.0}", wait::now_s() + 60.0));
    let query = [("query", "{service_name=\"orders\"} |= \"declined\""), ("start", &window.0), ("end", &window.1)];
    let logs = engine.loki("query_range", &query);
    assert_eq!(logs["result"][0]["values"][0][1], json!("card declined for order 42"), "{logs}");
    assert!(logs.to_string().contains(&trace_id), "the line carries its trace: {logs}");

    assert_eq!(engine.number("orders_placed_total{job=\"orders\",currency=\"EUR\"}"), Some(3.0));
    assert_eq!(engine.number("checkout_duration_seconds_count{job=\"orders\"}"), Some(2.0));
    assert_eq!(engine.number("checkout_duration_seconds_sum{job=\"orders\"}"), Some(0.75));
    assert_eq!(engine.number("queue_depth_ratio{job=\"orders\"} or queue_depth{job=\"orders\"}"), Some(7.0));
}

fn names(spans: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = spans.iter().filter_map(|span| span["operationName"].as_str()).collect();
    names.sort_unstable();
    names
}
