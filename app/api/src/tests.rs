//! The faces as their clients see them, over the in-memory sources: a request in, the whole answer out.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use base_signal::{Labels, Matcher, Metadata, RangeNs, SpanKind, TenantId};
use base_world::sim::SimClock;
use futures_util::future::BoxFuture;
use observe_source::fake::{FakeLogs, FakeMetrics, FakeSpans};
use observe_source::{
    Annotations, Appended, Budget, ExemplarSeries, LabelQuery, LogBatches, LogSource, LogWrite, MetricBatches,
    MetricSource, MetricWrite, SelectLogs, SelectMetrics, SelectSpans, SourceError, SpanBatches, SpanSource, SpanWrite,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{Api, Bodies, BodyLimits, Control, Queries, QueryLimits, Sink, Tokens};

/// 2023-11-14T22:13:20Z
const NOW_MS: i64 = 1_700_000_000_000;

/// Sink and sources in one: what is written can be asked for.
#[derive(Default)]
struct Memory {
    metrics: Mutex<FakeMetrics>,
    logs: Mutex<FakeLogs>,
    spans: Mutex<FakeSpans>,
    shed: Mutex<bool>,
}

impl Memory {
    fn taken(&self, accepted: usize) -> BoxFuture<'_, Result<Appended, SourceError>> {
        let shed = *self.shed.lock();
        Box::pin(async move {
            match shed {
                true => Err(SourceError::Shed { what: "memory", retry_after_ms: 1500 }),
                false => Ok(Appended { accepted: accepted as u64, ..Appended::default() }),
            }
        })
    }
}

impl Sink for Memory {
    fn metrics(&self, _: TenantId, write: MetricWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        self.metrics.lock().append(&write);
        self.taken(write.len())
    }

    fn logs(&self, _: TenantId, write: LogWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        self.logs.lock().append(&write);
        self.taken(write.entries.len())
    }

    fn spans(&self, _: TenantId, write: SpanWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        let count = write.spans.len();
        self.spans.lock().append(write);
        self.taken(count)
    }
}

impl MetricSource for Memory {
    fn select(&self, request: &SelectMetrics<'_>) -> Result<Box<dyn MetricBatches>, SourceError> {
        self.metrics.lock().select(request)
    }
    fn label_names(&self, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError> {
        self.metrics.lock().label_names(query)
    }
    fn label_values(&self, name: &str, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError> {
        self.metrics.lock().label_values(name, query)
    }
    fn series(&self, query: &LabelQuery<'_>) -> Result<(Vec<Labels>, Annotations), SourceError> {
        self.metrics.lock().series(query)
    }
    fn exemplars(&self, query: &LabelQuery<'_>) -> Result<Vec<ExemplarSeries>, SourceError> {
        self.metrics.lock().exemplars(query)
    }
    fn metadata(&self, tenant: &TenantId, metric: Option<&str>) -> Result<Vec<(String, Metadata)>, SourceError> {
        self.metrics.lock().metadata(tenant, metric)
    }
}

impl LogSource for Memory {
    fn select_logs(&self, request: &SelectLogs<'_>) -> Result<Box<dyn LogBatches>, SourceError> {
        self.logs.lock().select_logs(request)
    }
    fn streams(
        &self,
        tenant: &TenantId,
        sets: &[Vec<Matcher>],
        range: RangeNs,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        self.logs.lock().streams(tenant, sets, range, budget)
    }
}

impl SpanSource for Memory {
    fn select_spans(&self, request: &SelectSpans<'_>) -> Result<Box<dyn SpanBatches>, SourceError> {
        self.spans.lock().select_spans(request)
    }
    fn services(&self, tenant: &TenantId, range: RangeNs) -> Result<Vec<String>, SourceError> {
        self.spans.lock().services(tenant, range)
    }
    fn operations(
        &self,
        tenant: &TenantId,
        service: &str,
        range: RangeNs,
    ) -> Result<Vec<(String, SpanKind)>, SourceError> {
        self.spans.lock().operations(tenant, service, range)
    }
}

impl Control for Memory {
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
    fn flush(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
    fn compact(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
    fn reload(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Err("prometheus.yml:3:1: unknown key".into()) })
    }
    fn status(&self) -> Value {
        json!({"version": "test"})
    }
    fn metrics_text(&self) -> String {
        "up 1\n".into()
    }
}

struct Server {
    memory: Arc<Memory>,
    router: axum::Router,
}

impl Server {
    fn new() -> Server {
        let memory = Arc::new(Memory::default());
        let clock = SimClock::at_ms(NOW_MS);
        let limits = BodyLimits { body_bytes: 64 << 10, in_flight_bytes: 256 << 10, ..BodyLimits::default() };
        let timeout = std::time::Duration::from_secs(20);
        let api = Api {
            metrics: memory.clone(),
            logs: memory.clone(),
            spans: memory.clone(),
            sink: memory.clone(),
            control: memory.clone(),
            clock: Arc::new(clock),
            counters: Arc::default(),
            bodies: Bodies::new(limits),
            queries: Queries::new(QueryLimits { concurrency: 2, timeout, memory_bytes: 1 << 20 }),
            tokens: Tokens::default(),
            tenancy: false,
        };
        Server { router: api.router(), memory }
    }

    /// Status, and the body as JSON or, where it is none, as text.
    async fn send(&self, method: &str, path: &str, kind: &str, body: impl Into<Body>) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", kind);
        let request = request.header("host", "127.0.0.1:4300").body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, "", Body::empty()).await
    }

    async fn post_json(&self, path: &str, body: Value) -> (u16, Value) {
        self.send("POST", path, "application/json", body.to_string()).await
    }
}

fn attribute(name: &str, value: &str) -> Value {
    json!({"key": name, "value": {"stringValue": value}})
}

fn one_trace() -> Value {
    let span = json!({
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "GET /cart", "kind": 2,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000005000000", "status": {"code": 2},
        "attributes": [attribute("http.route", "/cart")],
    });
    let resource = json!({"attributes": [attribute("service.name", "cart")]});
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]})
}

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
async fn lines_go_in_by_push_and_out_by_query_range() {
    let server = Server::new();
    let ns = |s: i64| (NOW_MS * 1_000_000 + s * 1_000_000_000).to_string();
    let values = json!([[ns(-2), "first"], [ns(-1), "second error", {"trace_id": "abc"}]]);
    let body = json!({"streams": [{"stream": {"service_name": "cart"}, "values": values}]});
    assert_eq!(server.post_json("/loki/api/v1/push", body).await.0, 204);
    let path = "/loki/api/v1/query_range?query=%7Bservice_name%3D%22cart%22%7D%20%7C%3D%20%22error%22";
    let (_, found) = server.get(path).await;
    assert_eq!(found["data"]["resultType"], "streams");
    assert_eq!(found["data"]["result"][0]["values"], json!([[ns(-1), "second error"]]));
    assert_eq!(found["data"]["result"][0]["stream"]["trace_id"], "abc");
    assert_eq!(server.get("/loki/api/v1/label/service_name/values").await.1["data"], json!(["cart"]));
    let (status, probe) = server.get("/loki/api/v1/query?query=vector(1)%2Bvector(1)").await;
    assert_eq!((status, &probe["data"]["result"][0]["value"][1]), (200, &json!("2")));
    let (status, error) = server.get("/loki/api/v1/query_range?query=%7Ba%3D%22b%22").await;
    assert_eq!(status, 400);
    assert!(error.as_str().is_some_and(|text| text.starts_with("parse error at line 1, col")), "{error}");
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
    *server.memory.shed.lock() = true;
    let (status, answer) = server.post_json("/v1/traces", one_trace()).await;
    assert_eq!((status, &answer["code"]), (429, &json!(8)));
}

#[tokio::test]
async fn operators_and_the_page() {
    let server = Server::new();
    assert_eq!(server.get("/-/ready").await, (200, json!("apm is Ready.\n")));
    assert_eq!(server.send("POST", "/-/flush", "", Body::empty()).await.0, 200);
    let (status, why) = server.send("POST", "/-/reload", "", Body::empty()).await;
    assert_eq!((status, why), (500, json!("prometheus.yml:3:1: unknown key\n")));
    assert_eq!(server.get("/").await.0, 307);
    let (status, frame) = server.get("/ui/traces/0af7").await;
    assert!(status == 200 && frame.as_str().is_some_and(|html| html.contains("<html")), "{status} {frame}");
    assert_eq!(server.get("/ui/assets/missing.js").await.0, 404);
}

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

#[tokio::test]
async fn a_trace_goes_in_by_grpc() {
    use observe_wire::proto::Writer;
    let server = Server::new();
    // ExportTraceServiceRequest.resource_spans 1 / ResourceSpans.scope_spans 2 / ScopeSpans.spans 2; Span's trace_id 1,
    // span_id 2, name 5.
    let mut request = Writer::default();
    request.message(1, |resource_spans| {
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(2, |span| {
                span.bytes(1, &[7; 16]).bytes(2, &[9; 8]).text(5, "by grpc");
            });
        });
    });
    let method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    assert_eq!(call(&server, method, &request.0).await, (Some(Vec::new()), "0".into()));
    let (_, found) = server.get("/api/traces/07070707070707070707070707070707").await;
    assert_eq!(found["data"][0]["spans"][0]["operationName"], "by grpc");
    // 3 is INVALID_ARGUMENT, 8 RESOURCE_EXHAUSTED.
    assert_eq!(call(&server, method, b"\x0a\x7f").await.1, "3");
    *server.memory.shed.lock() = true;
    assert_eq!(call(&server, method, &request.0).await.1, "8");
}
