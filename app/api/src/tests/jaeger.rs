//! Jaeger's API as its page and Grafana use it.

use super::*;

/// A span of a trace: (trace, span, parent, service, name, kind, start in ms after now, duration in ms, attributes).
fn span(id: [u8; 3], service: &str, name: &str, kind: u8, start_ms: i64, duration_ms: i64, attributes: Value) -> Value {
    let hex = |byte: u8, length: usize| format!("{byte:02x}").repeat(length);
    let parent = if id[2] == 0 { String::new() } else { hex(id[2], 8) };
    let start_ns = (NOW_MS + start_ms) * 1_000_000;
    let span = json!({
        "traceId": hex(id[0], 16), "spanId": hex(id[1], 8), "parentSpanId": parent, "name": name, "kind": kind,
        "startTimeUnixNano": start_ns.to_string(), "endTimeUnixNano": (start_ns + duration_ms * 1_000_000).to_string(),
        "attributes": attributes, "status": {"code": if name.contains("fail") { 2 } else if name.contains("good") { 1 } else { 0 }},
    });
    let resource = json!({"attributes": [attribute("service.name", service), attribute("host.name", "h1")]});
    json!({"resource": resource, "scopeSpans": [{"spans": [span]}]})
}

/// Trace 1: `shop` calls `cart`; trace 2: a failure of `cart`; trace 3: of `mail`, each kind of span.
async fn server() -> Server {
    let server = Server::new();
    let code = json!([{"key": "http.status_code", "value": {"intValue": "200"}}]);
    let spans = json!([
        span([1, 1, 0], "shop", "GET /", 2, -3000, 9, json!([])),
        span([1, 2, 1], "cart", "good get", 2, -2999, 5, code),
        span([2, 3, 0], "cart", "fail put", 2, -1000, 700, json!([attribute("user", "a:b")])),
        span([3, 4, 0], "mail", "send", 3, -500, 1, json!([])),
        span([3, 5, 4], "mail", "queue", 4, -499, 1, json!([])),
        span([3, 6, 4], "mail", "take", 5, -498, 1, json!([])),
        span([3, 7, 4], "mail", "work", 1, -497, 1, json!([])),
        span([3, 8, 4], "mail", "work", 2, -496, 1, json!([])),
    ]);
    assert_eq!(server.post_json("/v1/traces", json!({"resourceSpans": spans})).await.0, 200);
    server
}

fn ok(data: Value) -> Value {
    let total = data.as_array().map_or(0, Vec::len);
    json!({"data": data, "total": total, "limit": 0, "offset": 0, "errors": null})
}

fn failed(code: u16, text: &str) -> (u16, Value) {
    let errors = json!([{"code": code, "msg": text}]);
    (code, json!({"data": null, "total": 0, "limit": 0, "offset": 0, "errors": errors}))
}

#[tokio::test]
async fn services_and_operations() {
    let server = server().await;
    assert_eq!(server.get("/api/services").await, (200, ok(json!(["cart", "mail", "shop"]))));
    // Each name once, whatever its kinds.
    let names = json!(["queue", "send", "take", "work"]);
    assert_eq!(server.get("/api/services/mail/operations").await, (200, ok(names)));
    assert_eq!(server.get("/api/services/none/operations").await, (200, ok(json!([]))));
    let one = |name: &str, kind: &str| json!({"name": name, "spanKind": kind});
    let all = json!([
        one("queue", "producer"),
        one("send", "client"),
        one("take", "consumer"),
        one("work", "internal"),
        one("work", "server"),
    ]);
    assert_eq!(server.get("/api/operations?service=mail").await, (200, ok(all)));
    let servers = json!([one("work", "server")]);
    assert_eq!(server.get("/api/operations?service=mail&spanKind=server").await, (200, ok(servers)));
    assert_eq!(server.get("/api/operations").await, failed(400, "parameter 'service' is required"));
}

#[tokio::test]
async fn a_trace_comes_whole() {
    let server = server().await;
    let id = "01".repeat(16);
    let tag = |key: &str, kind: &str, value: Value| json!({"key": key, "type": kind, "value": value});
    let of = |span: u8, operation: &str, references: Value, start: i64, duration: i64, tags: Value, process: &str| {
        json!({
            "traceID": id, "spanID": format!("{span:02x}").repeat(8), "flags": 0, "operationName": operation,
            "references": references, "startTime": start, "duration": duration, "tags": tags, "logs": [],
            "processID": process, "warnings": null,
        })
    };
    let child = json!([{"refType": "CHILD_OF", "traceID": id, "spanID": "01".repeat(8)}]);
    let process = |name: &str| json!({"serviceName": name, "tags": [tag("host.name", "string", json!("h1"))]});
    let server_kind = tag("span.kind", "string", json!("server"));
    let good = json!([
        tag("http.status_code", "int64", json!(200)),
        server_kind,
        tag("otel.status_code", "string", json!("OK")),
    ]);
    let trace = json!({
        "traceID": id,
        "spans": [
            of(1, "GET /", json!([]), 1_699_999_997_000_000, 9000, json!([server_kind]), "p1"),
            of(2, "good get", child, 1_699_999_997_001_000, 5000, good, "p2"),
        ],
        "processes": {"p1": process("shop"), "p2": process("cart")},
        "warnings": null,
    });
    assert_eq!(server.get(&format!("/api/traces/{id}")).await, (200, ok(json!([trace]))));
    // A search finds it by its second span and still brings all.
    assert_eq!(server.get("/api/traces?service=cart&operation=good+get").await, (200, ok(json!([trace]))));
    // By ids, as the page compares traces; one that is not there is told beside the others.
    let (status, found) = server.get(&format!("/api/traces?traceID={id}&traceID={}", "0f".repeat(16))).await;
    assert_eq!((status, &found["data"]), (200, &json!([trace])));
    assert_eq!(found["errors"], json!([{"msg": "trace not found", "traceID": "0f".repeat(16)}]));
    assert_eq!(server.get("/api/traces/f").await, failed(404, "trace not found"));
    assert_eq!(server.get("/api/traces/x").await.0, 400);
}

#[tokio::test]
async fn searches() {
    let server = server().await;
    // The first digit of each trace's id, newest first.
    let table: [(&[(&str, &str)], &str); 26] = [
        (&[("service", "cart")], "2 1"),
        (&[("service", "cart"), ("limit", "1")], "2"),
        // The fewest is one.
        (&[("service", "cart"), ("limit", "0")], "2"),
        (&[("service", "cart"), ("operation", "fail put")], "2"),
        (&[("service", "cart"), ("operation", "all")], "2 1"),
        (&[("service", "cart"), ("operation", "none")], ""),
        (&[("service", "none")], ""),
        (&[("service", "cart"), ("start", "1699999998000000")], "2"),
        (&[("service", "cart"), ("end", "1699999998000000")], "1"),
        (&[("service", "cart"), ("minDuration", "5ms"), ("maxDuration", "5ms")], "1"),
        (&[("service", "cart"), ("minDuration", "5.1ms")], "2"),
        (&[("service", "cart"), ("minDuration", ""), ("maxDuration", "0s")], "2 1"),
        (&[("service", "cart"), ("tags", r#"{"error":"true"}"#)], "2"),
        (&[("service", "cart"), ("tags", r#"{"otel.status_code":"ERROR"}"#)], "2"),
        (&[("service", "cart"), ("tags", r#"{"otel.status_code":"OK"}"#)], "1"),
        (&[("service", "cart"), ("tags", r#"{"http.status_code":"200"}"#)], "1"),
        (&[("service", "cart"), ("tags", r#"{"host.name":"h1"}"#)], "2 1"),
        (&[("service", "cart"), ("tags", r#"{"host.name":"h1","user":"a:b"}"#)], "2"),
        (&[("service", "cart"), ("tags", "")], "2 1"),
        (&[("service", "cart"), ("tag", "user:a:b")], "2"),
        (&[("service", "cart"), ("tag", "user:a:b"), ("tag", "error:true")], "2"),
        (&[("service", "cart"), ("tag", "user:other")], ""),
        (&[("service", "mail"), ("tag", "span.kind:client")], "3"),
        (&[("service", "mail"), ("tag", "span.kind:producer"), ("operation", "queue")], "3"),
        (&[("service", "mail"), ("tag", "span.kind:consumer"), ("operation", "take")], "3"),
        (&[("service", "mail"), ("tag", "span.kind:internal"), ("operation", "send")], ""),
    ];
    for (params, expected) in table {
        let (status, found) = server.get_with("/api/traces", params).await;
        let ids: Vec<_> = found["data"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|t| t["traceID"].as_str().unwrap()[1..2].to_owned())
            .collect();
        assert_eq!((status, ids.join(" ").as_str()), (200, expected), "{params:?}: {found}");
    }
    let (_, servers) = server
        .get_with("/api/traces", &[("service", "mail"), ("tag", "span.kind:server"), ("operation", "send")])
        .await;
    assert_eq!(servers["data"], json!([]));
}

#[tokio::test]
async fn bad_searches_are_told() {
    let server = server().await;
    let duration = "unable to parse param 'minDuration': `5` is not a duration such as 1.5s or 200ms";
    let table = [
        ("", "parameter 'service' is required"),
        ("service=", "parameter 'service' is required"),
        ("service=a&start=x", "unable to parse param 'start': `x` is not a number of microseconds"),
        ("service=a&end=1.5", "unable to parse param 'end': `1.5` is not a number of microseconds"),
        ("service=a&limit=x", "invalid parameter \"limit\": `x` is not a whole number"),
        ("service=a&minDuration=5", duration),
        ("service=a&minDuration=2s&maxDuration=1s", "'maxDuration' should be greater than 'minDuration'"),
        ("service=a&tag=x", "malformed 'tag' parameter, expecting key:value, received: x"),
        ("service=a&tags=x", "malformed 'tags' parameter, cannot parse `x`: an object of strings is wanted"),
    ];
    for (params, text) in table {
        assert_eq!(server.get(&format!("/api/traces?{params}")).await, failed(400, text), "{params}");
    }
    let (status, found) = server.get("/api/traces?traceID=xyz").await;
    let text = found["errors"][0]["msg"].as_str().unwrap_or_default().to_owned();
    assert!(status == 400 && text.starts_with("cannot parse traceID param: "), "{found}");
}

#[tokio::test]
async fn faults_have_jaegers_form() {
    let server = server().await;
    let storage = SourceError::Storage { reason: "seg-1: bad checksum".into() };
    for path in ["/api/services", "/api/services/a/operations", "/api/operations?service=a", "/api/traces?service=a"] {
        server.fault(Fault::Error(storage.clone()));
        assert_eq!(server.get(path).await, failed(500, "seg-1: bad checksum"), "{path}");
        server.fault(Fault::Panic);
        let why = "the query ended in an internal error; the log has its trace";
        assert_eq!(server.get(path).await, failed(503, why), "{path}");
    }
    let server = shared_server();
    let why = "no org id: with tenancy on, a request needs the header X-Scope-OrgID";
    for path in ["/api/services", "/api/services/a/operations", "/api/operations?service=a", "/api/traces/1"] {
        assert_eq!(server.get(path).await, failed(400, why), "{path}");
    }
}
