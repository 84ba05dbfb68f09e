//! Names, values, series, exemplars, metadata and faults of the Prometheus API.

use base_signal::{Exemplar, MetricKind};

use super::prometheus::{check, error, ok, server};
use super::*;

#[tokio::test]
async fn names_values_and_series() {
    let server = server();
    check(&server, "/api/v1/labels", &[], (200, ok(json!(["__name__", "host.name", "job"])))).await;
    check(&server, "/api/v1/labels", &[("match[]", "up")], (200, ok(json!(["__name__", "job"])))).await;
    let cut = json!({"status": "success", "data": ["__name__"], "warnings": ["results truncated due to limit"]});
    check(&server, "/api/v1/labels", &[("limit", "1")], (200, cut)).await;
    check(&server, "/api/v1/labels", &[("start", "121")], (200, ok(json!([])))).await;
    check(&server, "/api/v1/labels", &[("end", "-1")], (200, ok(json!([])))).await;
    check(&server, "/api/v1/labels", &[("start", "5"), ("end", "1")], (200, ok(json!([])))).await;
    let values = async |path: &str, expected: Value| assert_eq!(server.get(path).await, (200, ok(expected)), "{path}");
    values("/api/v1/label/job/values", json!(["a", "b", "c"])).await;
    values("/api/v1/label/job/values?match[]=load&match[]=up%7Bjob=%22b%22%7D", json!(["b", "c"])).await;
    values("/api/v1/label/U__host_2e_name/values", json!(["h\n\r\t\\\"1\""])).await;
    values("/api/v1/label/none/values", json!([])).await;
    let up = |job| json!({"__name__": "up", "job": job});
    check(&server, "/api/v1/series", &[("match[]", "up")], (200, ok(json!([up("a"), up("b")])))).await;
    let either = [("match[]", "up{job=\"b\"}"), ("match[]", "{job=\"a\"}")];
    check(&server, "/api/v1/series", &either, (200, ok(json!([up("a"), up("b")])))).await;
    let (_, limited) = server.get_with("/api/v1/series", &[("match[]", "up"), ("limit", "1")]).await;
    assert_eq!(limited["data"], json!([up("a")]));
    assert_eq!(limited["warnings"], json!(["results truncated due to limit"]));
}

#[tokio::test]
async fn exemplars() {
    let server = Server::new();
    let mut write = MetricWrite::default();
    let series = write.series.push(&mut vec![("__name__", "lat_bucket"), ("le", "1")]);
    for (time_ms, trace) in [(2500, "b"), (1000, "a")] {
        let labels = Labels::from_pairs([("trace_id", trace)]);
        write.exemplars.push((series, Exemplar { labels, time_ms, value: 0.75 }));
    }
    server.memory.metrics.lock().append(&write);
    let one = |trace: &str, time: Value| json!({"labels": {"trace_id": trace}, "value": "0.75", "timestamp": time});
    let found = |exemplars: Value| {
        let labels = json!({"__name__": "lat_bucket", "le": "1"});
        (200, ok(json!([{"seriesLabels": labels, "exemplars": exemplars}])))
    };
    let path = "/api/v1/query_exemplars";
    // As Grafana asks: the panel's whole expression.
    let query = "histogram_quantile(0.9, sum by (le) (rate(lat_bucket[5m])))";
    let both = json!([one("a", json!(1)), one("b", json!(2.5))]);
    check(&server, path, &[("query", query), ("start", "0"), ("end", "10")], found(both)).await;
    let late = json!([one("b", json!(2.5))]);
    check(&server, path, &[("query", query), ("start", "2"), ("end", "10")], found(late)).await;
    check(&server, path, &[("query", query), ("start", "3"), ("end", "10")], (200, ok(json!([])))).await;
    check(&server, path, &[("query", "up"), ("start", "0"), ("end", "10")], (200, ok(json!([])))).await;
    // No selector, no content.
    let none = (204, Value::String(String::new()));
    check(&server, path, &[("query", "1+1"), ("start", "0"), ("end", "10")], none).await;
    let (status, bad) = server.get_with(path, &[("query", "sum(")]).await;
    assert_eq!((status, &bad["errorType"]), (400, &json!("bad_data")));
}

#[tokio::test]
async fn metadata() {
    let server = Server::new();
    let entry = |kind, help: &str| Metadata { kind, help: help.into(), unit: String::new() };
    let metadata = vec![
        ("load".to_owned(), entry(MetricKind::Gauge, "How \"busy\"")),
        ("req_total".to_owned(), entry(MetricKind::Counter, "")),
    ];
    server.memory.metrics.lock().append(&MetricWrite { metadata, ..MetricWrite::default() });
    let load = json!([{"type": "gauge", "help": "How \"busy\"", "unit": ""}]);
    let requests = json!([{"type": "counter", "help": "", "unit": ""}]);
    let both = json!({"load": load, "req_total": requests});
    let table = [
        ("", 200, ok(both.clone())),
        ("?metric=req_total", 200, ok(json!({"req_total": requests}))),
        ("?metric=none", 200, ok(json!({}))),
        ("?limit=1", 200, ok(json!({"load": load}))),
        ("?limit=0", 200, ok(json!({}))),
        ("?limit=-1", 200, ok(both.clone())),
        ("?limit_per_metric=0", 200, ok(both.clone())),
        ("?limit_per_metric=1", 200, ok(both)),
        ("?limit=x", 400, error("bad_data", "limit must be a number")),
        ("?limit_per_metric=x", 400, error("bad_data", "limit_per_metric must be a number")),
    ];
    for (params, status, expected) in table {
        assert_eq!(server.get(&format!("/api/v1/metadata{params}")).await, (status, expected), "{params}");
    }
}

#[tokio::test]
async fn faults_have_prometheus_status_and_type() {
    let server = server();
    let unavailable = SourceError::Unavailable { reason: "no sync".into() };
    let storage = SourceError::Storage { reason: "seg-1: bad checksum".into() };
    let shed = SourceError::Shed { what: "memory", retry_after_ms: 1 };
    let budget = SourceError::Budget { wanted_bytes: 2, limit_bytes: 1 };
    let table = [
        (Fault::Error(budget), "/api/v1/query?query=up", 422, "execution"),
        (Fault::Error(unavailable.clone()), "/api/v1/query?query=up", 503, "unavailable"),
        (Fault::Error(shed), "/api/v1/query?query=up", 503, "unavailable"),
        (Fault::Error(storage.clone()), "/api/v1/query?query=up", 500, "internal"),
        (Fault::Error(SourceError::Cancelled), "/api/v1/query?query=up", 499, "canceled"),
        (Fault::Error(SourceError::Cancelled), "/api/v1/labels", 499, "canceled"),
        (Fault::Error(storage.clone()), "/api/v1/labels", 422, "execution"),
        (Fault::Error(storage), "/api/v1/metadata", 422, "execution"),
        (Fault::Panic, "/api/v1/query?query=up", 500, "internal"),
        (Fault::Panic, "/api/v1/series?match[]=up", 500, "internal"),
        (Fault::Hang, "/api/v1/query?query=up&timeout=20ms", 503, "timeout"),
        (Fault::Hang, "/api/v1/query_range?query=up&start=0&end=1&step=1&timeout=0.02", 503, "timeout"),
        (Fault::Hang, "/api/v1/label/job/values?timeout=20ms", 503, "timeout"),
    ];
    for (fault, path, status, kind) in table {
        server.fault(fault.clone());
        let (got, found) = server.get(path).await;
        assert_eq!((got, &found["errorType"]), (status, &json!(kind)), "{fault:?} {path}: {found}");
        assert_eq!((&found["status"], found["error"].as_str().is_some_and(|e| !e.is_empty())), (&json!("error"), true));
        if matches!(fault, Fault::Hang) {
            // The source was told that nobody waits any more.
            let told = server.memory.cancelled.notified();
            assert!(tokio::time::timeout(std::time::Duration::from_secs(20), told).await.is_ok(), "{path}");
        }
    }
    server.fault(Fault::None);
    assert_eq!(server.get("/api/v1/query?query=up").await.0, 200, "a fault harms no later query");
    // Evaluation that finds the data wrong.
    server.metric(&[("__name__", "up"), ("job", "a"), ("x", "1")], &[(0, 1.0)]);
    let many = [("query", "up * on (job) up"), ("time", "0")];
    let (status, found) = server.get_with("/api/v1/query", &many).await;
    assert_eq!((status, &found["errorType"]), (422, &json!("execution")), "{found}");
}

#[tokio::test]
async fn no_more_queries_at_once_than_allowed() {
    let server = Server::with(|api| {
        let timeout = std::time::Duration::from_millis(20);
        api.queries = Queries::new(QueryLimits { concurrency: 0, timeout, memory_bytes: 1 << 20 });
    });
    // Zero would answer nothing for ever: it is one. The server's own time limit holds where a client asks for more.
    assert_eq!(server.get("/api/v1/query?query=1&timeout=1h").await.0, 200);
    server.fault(Fault::Hang);
    let (status, found) = server.get("/api/v1/query?query=up&timeout=1h").await;
    assert_eq!((status, found["error"].clone()), (503, json!("query timed out in expression evaluation")));
}

#[tokio::test]
async fn a_tenant_is_wanted_where_tenancy_is_on() {
    let server = shared_server();
    let why = "no org id: with tenancy on, a request needs the header X-Scope-OrgID";
    assert_eq!(server.get("/api/v1/query?query=1").await, (400, error("bad_data", why)));
    let reply = server.ask("GET", "/api/v1/query?query=1", &[("x-scope-orgid", "team-a")], Body::empty()).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn which_prometheus_this_is() {
    let reply = Server::new().ask("GET", "/api/v1/status/buildinfo", &[], Body::empty()).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    let found: Value = serde_json::from_slice(&reply.bytes).unwrap();
    assert!(found["data"]["version"].as_str().is_some_and(|v| v.starts_with("3.")), "{found}");
    // With features Grafana would take it for Mimir.
    assert_eq!(found["data"]["features"], Value::Null);
}
