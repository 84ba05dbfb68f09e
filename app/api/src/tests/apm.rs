//! Our own face: services with a verdict, as the page asks for them.

use super::*;

#[tokio::test]
async fn services_have_a_verdict() {
    let server = Server::new();
    let mut write = MetricWrite::default();
    let mut add = |status: &str, counts: [f64; 2]| {
        let labels = [
            ("__name__", "traces_spanmetrics_calls_total"),
            ("service", "cart"),
            ("span_kind", "SPAN_KIND_SERVER"),
            ("span_name", "GET /cart"),
            ("status_code", status),
        ];
        let series = write.series.push(&mut labels.to_vec());
        write.samples.push((series, NOW_MS - 60_000, counts[0]));
        write.samples.push((series, NOW_MS, counts[1]));
    };
    add("STATUS_CODE_UNSET", [100.0, 190.0]);
    add("STATUS_CODE_ERROR", [50.0, 60.0]);
    server.memory.metrics.lock().append(&write);
    let (status, found) = server.get("/apm/v1/services?start=1699999900&end=1700000000").await;
    assert_eq!(status, 200, "{found}");
    let service = &found["services"][0];
    assert_eq!((&service["name"], &service["verdict"]), (&json!("cart"), &json!("critical")));
    assert_eq!(service["reasons"], json!(["error ratio 10.0 %"]));
    let (_, found) = server.get("/apm/v1/services/cart/operations?start=1699999900&end=1700000000").await;
    assert_eq!(found["operations"][0]["name"], "GET /cart");
}

const RANGE: &str = "start=1699999900&end=1700000000";

/// Calls of a service: counts a minute ago and now, and half a minute ago what lies between.
fn calls(server: &Server, service: &str, kind: &str, status: &str, counts: [f64; 2]) {
    let labels = [
        ("__name__", "traces_spanmetrics_calls_total"),
        ("service", service),
        ("span_kind", kind),
        ("span_name", "GET /"),
        ("status_code", status),
    ];
    let half = (counts[0] + counts[1]) / 2.0;
    server.metric(&labels, &[(NOW_MS - 60_000, counts[0]), (NOW_MS - 30_000, half), (NOW_MS, counts[1])]);
}

async fn service(server: &Server, name: &str) -> Value {
    let (status, found) = server.get(&format!("/apm/v1/services?{RANGE}")).await;
    assert_eq!(status, 200, "{found}");
    let all = found["services"].as_array().unwrap();
    all.iter().find(|service| service["name"] == name).cloned().unwrap_or_else(|| panic!("no {name} in {found}"))
}

#[tokio::test]
async fn a_service_with_all_its_figures() {
    let server = Server::new();
    calls(&server, "cart", "SPAN_KIND_SERVER", "STATUS_CODE_UNSET", [0.0, 60.0]);
    // What it asks of others is no measure of how it does.
    calls(&server, "cart", "SPAN_KIND_CLIENT", "STATUS_CODE_ERROR", [0.0, 600.0]);
    for (le, count) in [("0.1", 30.0), ("0.2", 60.0), ("+Inf", 60.0)] {
        let labels = [
            ("__name__", "traces_spanmetrics_latency_bucket"),
            ("le", le),
            ("service", "cart"),
            ("span_kind", "SPAN_KIND_SERVER"),
            ("span_name", "GET /"),
        ];
        server.metric(&labels, &[(NOW_MS - 60_000, 0.0), (NOW_MS, count)]);
    }
    let info = |version, time_ms| {
        let labels = [("__name__", "target_info"), ("job", "shop/cart"), ("service_version", version)];
        server.metric(&labels, &[(time_ms, 1.0)]);
    };
    info("1.0.0", NOW_MS - 90_000);
    info("2.0.0", NOW_MS - 30_000);
    info("1.9.9", NOW_MS - 80_000);
    server.metric(&[("__name__", "queue"), ("service_name", "cart")], &[(NOW_MS, 1.0)]);
    let found = service(&server, "cart").await;
    let close = |name: &str, wanted: f64| {
        let got = found[name].as_f64().unwrap_or(f64::NAN);
        assert!((got - wanted).abs() < 1e-6, "{name}: wanted {wanted}, got {found}");
    };
    close("p50_seconds", 0.1);
    close("p95_seconds", 0.19);
    close("p99_seconds", 0.198);
    close("error_ratio", 0.0);
    assert!(found["rate"].as_f64().is_some_and(|rate| rate > 0.5), "{found}");
    assert_eq!((&found["verdict"], &found["reasons"], &found["version"]), (&json!("ok"), &json!([]), &json!("2.0.0")));
    assert_eq!(found["signals"], json!({"traces": false, "logs": false, "metrics": true}));
    let spark = found["sparkline"].as_array().unwrap();
    assert!(spark.iter().all(|p| p[0].as_f64().is_some_and(|t| t <= 1_700_000_000.0)), "{found}");
    assert_eq!(spark.last().map(|p| p[0].clone()), Some(json!(1_700_000_000.0)));
    let (_, operations) = server.get(&format!("/apm/v1/services/cart/operations?{RANGE}")).await;
    let kinds: Vec<_> = operations["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| (o["kind"].clone(), o["error_ratio"].clone()))
        .collect();
    assert_eq!(kinds, [(json!("SPAN_KIND_CLIENT"), json!(1.0)), (json!("SPAN_KIND_SERVER"), json!(0.0))]);
}

#[tokio::test]
async fn services_are_those_that_sent_anything() {
    let server = Server::new();
    assert_eq!(server.get("/apm/v1/services").await, (200, json!({"services": []})));
    assert_eq!(server.post_json("/v1/traces", one_trace()).await.0, 200);
    let line =
        json!({"streams": [{"stream": {"service_name": "mail"}, "values": [[(NOW_MS * 1_000_000).to_string(), "x"]]}]});
    assert_eq!(server.post_json("/loki/api/v1/push", line).await.0, 204);
    // Calls without an inbound one have a rate but nothing to judge; a name that nobody gave is none.
    calls(&server, "job", "SPAN_KIND_CLIENT", "STATUS_CODE_UNSET", [0.0, 60.0]);
    calls(&server, "idle", "SPAN_KIND_SERVER", "STATUS_CODE_UNSET", [5.0, 5.0]);
    server.metric(&[("__name__", "queue"), ("service_name", "unknown_service")], &[(NOW_MS, 1.0)]);
    let (_, found) = server.get(&format!("/apm/v1/services?{RANGE}")).await;
    let names: Vec<_> = found["services"].as_array().unwrap().iter().map(|s| s["name"].clone()).collect();
    assert_eq!(names, ["cart", "idle", "job", "mail"]);
    let signals = async |name: &str| service(&server, name).await["signals"].clone();
    assert_eq!(signals("cart").await, json!({"traces": true, "logs": false, "metrics": false}));
    assert_eq!(signals("mail").await, json!({"traces": false, "logs": true, "metrics": false}));
    for (name, verdict, ratio) in
        [("job", "client_only", json!(0.0)), ("idle", "unknown", Value::Null), ("mail", "unknown", Value::Null)]
    {
        let found = service(&server, name).await;
        assert_eq!((&found["verdict"], &found["error_ratio"]), (&json!(verdict), &ratio), "{found}");
        assert_eq!(found["p95_seconds"], Value::Null);
    }
    assert!(service(&server, "job").await["rate"].as_f64().is_some_and(|rate| rate > 0.5));
    let (_, idle) = server.get(&format!("/apm/v1/services/idle/operations?{RANGE}")).await;
    assert_eq!((&idle["operations"][0]["rate"], &idle["operations"][0]["error_ratio"]), (&json!(0.0), &Value::Null));
    // A name that PromQL would misread.
    let odd = "/apm/v1/services/a%22b%5C/operations";
    assert_eq!(server.get(odd).await, (200, json!({"operations": []})));
}

#[tokio::test]
async fn questions_that_cannot_be_answered() {
    let server = Server::new();
    let failed = |status: u16, text: &str| (status, json!({"error": {"message": text}}));
    let order = "invalid parameter \"end\": it must be after start";
    for path in ["/apm/v1/services", "/apm/v1/services/cart/operations"] {
        let ask = async |params: &str| server.get(&format!("{path}?{params}")).await;
        assert_eq!(ask("start=5&end=5").await, failed(400, order), "{path}");
        let time = "invalid parameter \"start\": cannot parse \"x\" to a valid timestamp";
        assert_eq!(ask("start=x").await, failed(400, time), "{path}");
        let time = "invalid parameter \"end\": cannot parse \"x\" to a valid timestamp";
        assert_eq!(ask("end=x").await, failed(400, time), "{path}");
        server.fault(Fault::Error(SourceError::Storage { reason: "seg-1: bad checksum".into() }));
        assert_eq!(ask("").await, failed(422, "expanding series: seg-1: bad checksum"), "{path}");
        server.fault(Fault::Panic);
        assert_eq!(ask("").await, failed(503, "the query ended in an internal error; the log has its trace"), "{path}");
        server.fault(Fault::None);
    }
    let why = "no org id: with tenancy on, a request needs the header X-Scope-OrgID";
    assert_eq!(shared_server().get("/apm/v1/services").await, failed(400, why));
    assert_eq!(server.get("/apm/v1/status").await, (200, json!({"version": "test"})));
}
