//! Services as the page gets them: rates over the time that there is data for, verdicts, and those that nobody calls.

use super::*;

/// A counter of calls: (seconds before now, value), in the order of time.
fn add(server: &Server, service: &str, kind: &str, status: &str, samples: &[(i64, f64)]) {
    let mut write = MetricWrite::default();
    let labels = [
        ("__name__", "traces_spanmetrics_calls_total"),
        ("service", service),
        ("span_kind", kind),
        ("span_name", "GET /cart"),
        ("status_code", status),
    ];
    let series = write.series.push(&mut labels.to_vec());
    for (ago_s, value) in samples {
        write.samples.push((series, NOW_MS - ago_s * 1000, *value));
    }
    server.memory.metrics.lock().append(&write);
}

const UNSET: &str = "STATUS_CODE_UNSET";
const ERROR: &str = "STATUS_CODE_ERROR";
const SERVER: &str = "SPAN_KIND_SERVER";
const CLIENT: &str = "SPAN_KIND_CLIENT";

async fn services(server: &Server, range_s: i64) -> Vec<Value> {
    let end = NOW_MS / 1000;
    let (status, found) = server.get(&format!("/apm/v1/services?start={}&end={end}", end - range_s)).await;
    assert_eq!(status, 200, "{found}");
    found["services"].as_array().unwrap().clone()
}

#[tokio::test]
async fn services_have_a_verdict() {
    let server = Server::new();
    add(&server, "cart", SERVER, UNSET, &[(60, 100.0), (0, 190.0)]);
    add(&server, "cart", SERVER, ERROR, &[(60, 50.0), (0, 60.0)]);
    let service = &services(&server, 100).await[0];
    assert_eq!((&service["name"], &service["verdict"]), (&json!("cart"), &json!("critical")));
    assert_eq!(service["reasons"], json!(["error ratio 10.0 %"]));
    let (_, found) = server.get("/apm/v1/services/cart/operations?start=1699999900&end=1700000000").await;
    assert_eq!(found["operations"][0]["name"], "GET /cart");
}

/// Two calls a second for `seconds`, seen every ten.
fn steady(seconds: i64) -> Vec<(i64, f64)> {
    (0..=seconds / 10).rev().map(|i| (i * 10, (seconds - i * 10) as f64 * 2.0)).collect()
}

#[tokio::test]
async fn a_rate_is_over_the_time_that_there_is_data_for() {
    for (data_s, range_s, over_s) in [(120, 900, 120), (1800, 900, 900), (890, 900, 900), (30, 900, 30)] {
        let server = Server::new();
        add(&server, "cart", SERVER, UNSET, &steady(data_s));
        let service = &services(&server, range_s).await[0];
        assert_eq!(service["rate_over_seconds"], json!(f64::from(over_s)), "{data_s} of {range_s}");
        let rate = service["rate"].as_f64().unwrap();
        assert!((1.9..2.1).contains(&rate), "{data_s} s of data in {range_s} s: {rate}/s");
        let end = NOW_MS / 1000;
        let path = format!("/apm/v1/services/cart/operations?start={}&end={end}", end - range_s);
        let operation = &server.get(&path).await.1["operations"][0];
        assert_eq!((&operation["rate"], &operation["rate_over_seconds"]), (&json!(rate), &json!(f64::from(over_s))));
    }
}

#[tokio::test]
async fn who_only_calls_is_shown_by_its_own_calls() {
    let server = Server::new();
    add(&server, "load", CLIENT, UNSET, &steady(900));
    add(&server, "load", CLIENT, ERROR, &steady(900));
    add(&server, "load", "SPAN_KIND_INTERNAL", UNSET, &steady(900));
    add(&server, "both", CLIENT, ERROR, &steady(900));
    add(&server, "both", SERVER, UNSET, &steady(900));
    let found = services(&server, 900).await;
    let row = |i: usize| (found[i]["name"].clone(), found[i]["verdict"].clone(), found[i]["error_ratio"].clone());
    assert_eq!(row(0), (json!("both"), json!("ok"), json!(0.0)), "judged by what it answers");
    assert_eq!(row(1), (json!("load"), json!("client_only"), json!(0.5)));
    assert_eq!(found[1]["reasons"].as_array().map(Vec::len), Some(1));
    assert!(found[1]["sparkline"].as_array().is_some_and(|points| points.len() > 10), "{}", found[1]);
    assert!((3.9..4.1).contains(&found[1]["rate"].as_f64().unwrap()), "{}", found[1]);
}
