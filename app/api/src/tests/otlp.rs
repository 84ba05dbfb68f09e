//! OTLP over HTTP and gRPC, in and out again.

use observe_wire::proto::Writer;

use super::*;

#[tokio::test]
async fn a_trace_goes_in_by_otlp_and_out_by_jaeger() {
    let server = Server::new();
    assert_eq!(server.post_json("/v1/traces", one_trace()).await, (200, json!({})));
    assert_eq!(server.get("/api/services").await.1["data"], json!(["cart"]));
    assert_eq!(
        server.get("/api/operations?service=cart").await.1["data"],
        json!([{"name": "GET /cart", "spanKind": "server"}])
    );
    let found = server.get("/api/traces?service=cart&tags=%7B%22error%22%3A%22true%22%7D&minDuration=4ms").await.1;
    assert_eq!(found["data"][0]["spans"][0]["operationName"], "GET /cart");
    assert_eq!(found["data"][0]["spans"][0]["duration"], 5000);
    let (_, none) = server.get("/api/traces?service=cart&minDuration=6ms").await;
    assert_eq!(none["data"], json!([]));
    let (status, whole) = server.get("/api/traces/0af7651916cd43dd8448eb211c80319c").await;
    assert_eq!((status, &whole["data"][0]["processes"]["p1"]["serviceName"]), (200, &json!("cart")));
    let (status, error) = server.get("/api/traces/1").await;
    assert_eq!((status, &error["errors"][0]), (404, &json!({"code": 404, "msg": "trace not found"})));
    let (status, error) = server.get("/api/traces").await;
    assert_eq!((status, &error["errors"][0]["msg"]), (400, &json!("parameter 'service' is required")));
}

#[tokio::test]
async fn metrics_go_in_by_otlp_and_out_by_promql() {
    let server = Server::new();
    let point = json!({"timeUnixNano": "1700000000000000000", "asDouble": 1.5});
    let metric = json!({"name": "queue.depth", "unit": "By", "gauge": {"dataPoints": [point]}});
    let resource = json!({"attributes": [attribute("service.name", "cart")]});
    let body = json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]});
    assert_eq!(server.post_json("/v1/metrics", body).await, (200, json!({})));
    let (_, found) = server.get("/api/v1/query?query=queue_depth_bytes*2").await;
    assert_eq!(found["data"]["resultType"], "vector");
    assert_eq!(found["data"]["result"][0]["value"], json!([1_700_000_000, "3"]));
    let form = "query=queue_depth_bytes&start=1699999990&end=1700000005&step=5";
    let (_, found) = server.send("POST", "/api/v1/query_range", "application/x-www-form-urlencoded", form).await;
    assert_eq!(found["data"]["result"][0]["values"], json!([[1_700_000_000, "1.5"], [1_700_000_005, "1.5"]]));
    assert_eq!(found["data"]["result"][0]["metric"]["job"], "cart");
    let (_, names) = server.get("/api/v1/label/__name__/values?match[]=%7Bjob%3D%22cart%22%7D").await;
    assert!(names["data"].as_array().is_some_and(|n| n.contains(&json!("queue_depth_bytes"))), "{names}");
    let (status, error) = server.get("/api/v1/query?query=sum(").await;
    assert_eq!((status, &error["errorType"]), (400, &json!("bad_data")));
    assert!(error["error"].as_str().is_some_and(|text| text.contains("1:5: parse error")), "{error}");
    let (status, error) = server.get("/api/v1/query_range?query=up&start=2&end=1&step=1").await;
    assert_eq!((status, &error["status"]), (400, &json!("error")));
}

#[tokio::test]
async fn bad_input_gets_the_protocols_own_error() {
    let server = Server::new();
    let table = [
        ("/v1/traces", "application/json", "{", 400),
        ("/v1/traces", "application/x-protobuf", "\x0a\x7f", 400),
        ("/v1/traces", "text/plain", "x", 415),
        ("/v1/nothing", "application/json", "{}", 404),
        ("/api/v1/write", "application/x-protobuf", "not snappy", 400),
        ("/loki/api/v1/push", "text/html", "x", 415),
        ("/loki/api/v1/push", "application/json", "[]", 400),
    ];
    for (path, kind, body, expected) in table {
        let (status, answer) = server.send("POST", path, kind, body).await;
        assert_eq!(status, expected, "{path} {kind}: {answer}");
    }
    let (status, answer) = server.send("POST", "/v1/logs", "application/json", vec![b' '; 65 << 10]).await;
    assert_eq!((status, &answer["code"]), (413, &json!(3)));
}

/// One gRPC call: a frame in, the frame's message and the status out.
async fn call(server: &Server, method: &str, message: &[u8]) -> (Option<Vec<u8>>, String) {
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend_from_slice(message);
    let request = Request::builder().method("POST").uri(method).header("content-type", "application/grpc");
    let request = request.header("host", "127.0.0.1:4317").header("te", "trailers").body(Body::from(body)).unwrap();
    let response = server.router.clone().oneshot(request).await.unwrap();
    // A refusal has its status among the headers, an answer among the trailers.
    let early = response.headers().get("grpc-status").cloned();
    let collected = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
    let late = collected.trailers().and_then(|trailers| trailers.get("grpc-status").cloned());
    let bytes = collected.to_bytes();
    let status = early.or(late).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    (bytes.get(5..).map(<[u8]>::to_vec), status)
}

/// ExportTraceServiceRequest.resource_spans 1 / ResourceSpans.scope_spans 2 / ScopeSpans.spans 2; Span's trace_id 1, span_id
/// 2, name 5.
fn spans(ids: &[&[u8]]) -> Vec<u8> {
    let mut request = Writer::default();
    request.message(1, |resource_spans| {
        resource_spans.message(2, |scope_spans| {
            for id in ids {
                scope_spans.message(2, |span| {
                    span.bytes(1, id).bytes(2, &[9; 8]).text(5, "by grpc");
                });
            }
        });
    });
    request.0
}

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

#[tokio::test]
async fn a_trace_goes_in_by_grpc() {
    let server = Server::new();
    assert_eq!(call(&server, TRACES, &spans(&[&[7; 16]])).await, (Some(Vec::new()), "0".into()));
    let (_, found) = server.get("/api/traces/07070707070707070707070707070707").await;
    assert_eq!(found["data"][0]["spans"][0]["operationName"], "by grpc");
    for part in ["logs.v1.LogsService", "metrics.v1.MetricsService"] {
        let method = format!("/opentelemetry.proto.collector.{part}/Export");
        assert_eq!(call(&server, &method, b"").await, (Some(Vec::new()), "0".into()), "{part}");
    }
    // One of two is left out: ExportTraceServiceResponse.partial_success 1 / rejected_spans 1, error_message 2.
    let (reply, status) = call(&server, TRACES, &spans(&[&[8; 16], &[1; 3]])).await;
    let reply = reply.unwrap();
    assert_eq!((&reply[..1], &reply[2..4], status.as_str()), (&b"\x0a"[..], &b"\x08\x01"[..], "0"), "{reply:?}");
    assert!(String::from_utf8_lossy(&reply).contains("1 invalid (first: "), "{reply:?}");
}

#[tokio::test]
async fn grpc_refusals_have_their_codes() {
    let one = spans(&[&[7; 16]]);
    let status = async |server: &Server, message: &[u8]| call(server, TRACES, message).await.1;
    let server = Server::new();
    // 3 is INVALID_ARGUMENT, 8 RESOURCE_EXHAUSTED, 11 OUT_OF_RANGE, 14 UNAVAILABLE, 16 UNAUTHENTICATED.
    assert_eq!(status(&server, b"\x0a\x7f").await, "3");
    assert_eq!(status(&server, &vec![0; (64 << 10) + 1]).await, "11");
    server.fault(Fault::Error(SourceError::Shed { what: "memory", retry_after_ms: 1500 }));
    assert_eq!(status(&server, &one).await, "8");
    server.fault(Fault::Error(SourceError::Unavailable { reason: "no sync".into() }));
    assert_eq!(status(&server, &one).await, "14");
    assert_eq!(status(&shared_server(), &one).await, "16");
    let limits = BodyLimits { in_flight_bytes: 0, ..BodyLimits::default() };
    let busy = Server::with(|api| api.bodies = Bodies::new(limits));
    assert_eq!(status(&busy, &one).await, "8");
    assert_eq!(busy.api.counters.shed_total(), 1);
}

#[tokio::test]
async fn a_client_that_is_shed_is_told_when_to_come_back() {
    let server = Server::new();
    server.fault(Fault::Error(SourceError::Shed { what: "memory", retry_after_ms: 1500 }));
    let mut body = vec![0, 0, 0, 0, 0];
    let one = spans(&[&[7; 16]]);
    body[4] = u8::try_from(one.len()).unwrap();
    body.extend(one);
    let reply = server.ask("POST", TRACES, &[("content-type", "application/grpc"), ("te", "trailers")], body).await;
    let details = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD_NO_PAD,
        reply.header("grpc-status-details-bin"),
    )
    .unwrap();
    // google.rpc.RetryInfo's retry_delay: 1 s, 500,000,000 ns.
    let delay = b"\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01";
    assert!(details.ends_with(delay), "{details:?}");
    assert!(String::from_utf8_lossy(&details).contains("type.googleapis.com/google.rpc.RetryInfo"), "{details:?}");
}

#[tokio::test]
async fn what_was_left_out_is_told_as_partial_success() {
    let server = Server::new();
    let spans = json!([{"traceId": "00", "spanId": "b7ad6b7169203331", "name": "x"}]);
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
    for path in ["/v1/traces", "/otlp/v1/traces"] {
        let (status, answer) = server.post_json(path, body.clone()).await;
        assert_eq!((status, &answer["partialSuccess"]["rejectedSpans"]), (200, &json!("1")), "{answer}");
    }
}

#[tokio::test]
async fn every_path_of_otlp() {
    let server = Server::new();
    let all = [
        "/v1/traces",
        "/v1/logs",
        "/v1/metrics",
        "/otlp/v1/traces",
        "/otlp/v1/logs",
        "/otlp/v1/metrics",
        "/api/v1/otlp/v1/metrics",
    ];
    for path in all {
        assert_eq!(server.post_json(path, json!({})).await, (200, json!({})), "{path}");
    }
    // The two ports of its own serve OTLP and nothing else.
    let get = |path: &str| Request::builder().uri(path).header("host", "localhost").body(Body::empty()).unwrap();
    let post = |path: &str| {
        let request = Request::builder().method("POST").uri(path).header("host", "localhost");
        request.header("content-type", "application/json").body(Body::from("{}")).unwrap()
    };
    let http = server.api.otlp_http_router();
    assert_eq!(http.clone().oneshot(post("/v1/traces")).await.unwrap().status(), 200);
    assert_eq!(http.oneshot(get("/api/services")).await.unwrap().status(), 404);
    let grpc = server.api.otlp_grpc_router();
    assert_eq!(grpc.clone().oneshot(post("/v1/traces")).await.unwrap().status(), 404);
    let request = Request::builder().method("POST").uri(TRACES).header("host", "localhost");
    let request = request.header("content-type", "application/grpc").body(Body::from(vec![0; 5])).unwrap();
    assert_eq!(grpc.oneshot(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn too_much_once_decoded() {
    // Bodies of 4 KiB may become 16 KiB: a log record of a few bytes takes more than four times as much.
    let limits = BodyLimits { body_bytes: 4 << 10, ..BodyLimits::default() };
    let server = Server::with(|api| api.bodies = Bodies::new(limits));
    let records = vec![json!({"body": {"stringValue": ""}}); 100];
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
    let (status, answer) = server.post_json("/v1/logs", body).await;
    assert_eq!((status, &answer["code"]), (413, &json!(3)), "{answer}");
}
