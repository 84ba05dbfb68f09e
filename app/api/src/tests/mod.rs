//! The faces as their clients see them, over the in-memory sources: a request in, the whole answer out.

mod apm;
mod contract;
mod deliveries;
mod deployments;
mod desk;
mod follow;
mod insides;
mod jaeger;
mod loki;
mod looks;
mod lookups;
mod office;
mod operators;
mod otlp;
mod prometheus;
mod services;
mod sign_in;
mod socket;
mod sockets;
mod targets;
mod writes;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use base_signal::{Labels, Matcher, Metadata, RangeNs, SpanKind, TenantId};
use base_world::sim::SimClock;
use futures_util::future::BoxFuture;
use observe_source::fake::{FakeLogs, FakeMetrics, FakeSpans};
use observe_source::{
    Annotations, Appended, Budget, Cancel, ExemplarSeries, LabelQuery, LogBatches, LogSource, LogWrite, MetricBatches,
    MetricSource, MetricWrite, SelectLogs, SelectMetrics, SelectSpans, SourceError, SpanBatches, SpanSource, SpanWrite,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{Api, Bodies, BodyLimits, Control, Queries, QueryLimits, Sink, Targets, Tokens, Watchers};

/// 2023-11-14T22:13:20Z
const NOW_MS: i64 = 1_700_000_000_000;

/// What is wrong with the sources and the sink.
#[derive(Clone, Debug, Default)]
enum Fault {
    #[default]
    None,
    Error(SourceError),
    /// Nothing comes until nobody waits any more.
    Hang,
    Panic,
}

/// Sink and sources in one: what is written can be asked for.
#[derive(Default)]
struct Memory {
    metrics: Mutex<FakeMetrics>,
    logs: Mutex<FakeLogs>,
    spans: Mutex<FakeSpans>,
    fault: Mutex<Fault>,
    /// What the engine still waits for.
    waits: Mutex<Option<String>>,
    targets: Mutex<Targets>,
    rules: Mutex<Vec<observe_rules::GroupState>>,
    /// What an admin ordered; `None` where nobody may.
    orders: Mutex<Option<Vec<String>>>,
    cancelled: Arc<tokio::sync::Notify>,
    /// Of spans, that were stored.
    requests: std::sync::atomic::AtomicUsize,
}

impl Memory {
    fn taken(&self, accepted: usize) -> BoxFuture<'_, Result<Appended, SourceError>> {
        let fault = self.fault.lock().clone();
        Box::pin(async move {
            match fault {
                Fault::Error(error) => Err(error),
                _ => Ok(Appended { accepted: accepted as u64, ..Appended::default() }),
            }
        })
    }

    fn asked(&self, cancel: Option<&Cancel>) -> Result<(), SourceError> {
        match (self.fault.lock().clone(), cancel) {
            (Fault::Error(error), _) => Err(error),
            (Fault::Panic, _) => panic!("a defect of the source"),
            (Fault::Hang, Some(cancel)) => {
                // Seconds at most: a query that nobody cancels must fail its test, not hold it.
                for _ in 0..20_000_000 {
                    if cancel.is_cancelled() {
                        self.cancelled.notify_one();
                        break;
                    }
                    std::thread::yield_now();
                }
                Err(SourceError::Cancelled)
            }
            (Fault::None | Fault::Hang, _) => Ok(()),
        }
    }
}

impl Sink for Memory {
    fn metrics(&self, _: TenantId, write: MetricWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        self.metrics.lock().append(&write);
        let all = Appended::all_of(&write);
        let taken = self.taken(write.len());
        Box::pin(async move { taken.await.map(|_| all) })
    }

    fn logs(&self, _: TenantId, write: LogWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        self.logs.lock().append(&write);
        self.taken(write.entries.len())
    }

    fn spans(&self, _: TenantId, write: SpanWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        let count = write.spans.len();
        self.spans.lock().append(write);
        self.requests.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.taken(count)
    }
}

impl MetricSource for Memory {
    fn select(&self, request: &SelectMetrics<'_>) -> Result<Box<dyn MetricBatches>, SourceError> {
        self.asked(Some(request.cancel))?;
        self.metrics.lock().select(request)
    }
    fn label_names(&self, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError> {
        self.asked(Some(query.cancel))?;
        self.metrics.lock().label_names(query)
    }
    fn label_values(&self, name: &str, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError> {
        self.asked(Some(query.cancel))?;
        self.metrics.lock().label_values(name, query)
    }
    fn series(&self, query: &LabelQuery<'_>) -> Result<(Vec<Labels>, Annotations), SourceError> {
        self.asked(Some(query.cancel))?;
        self.metrics.lock().series(query)
    }
    fn exemplars(&self, query: &LabelQuery<'_>) -> Result<Vec<ExemplarSeries>, SourceError> {
        self.asked(Some(query.cancel))?;
        self.metrics.lock().exemplars(query)
    }
    fn metadata(&self, tenant: &TenantId, metric: Option<&str>) -> Result<Vec<(String, Metadata)>, SourceError> {
        self.asked(None)?;
        self.metrics.lock().metadata(tenant, metric)
    }
}

impl LogSource for Memory {
    fn select_logs(&self, request: &SelectLogs<'_>) -> Result<Box<dyn LogBatches>, SourceError> {
        self.asked(Some(request.cancel))?;
        self.logs.lock().select_logs(request)
    }
    fn streams(
        &self,
        tenant: &TenantId,
        sets: &[Vec<Matcher>],
        range: RangeNs,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        self.asked(None)?;
        self.logs.lock().streams(tenant, sets, range, budget)
    }
}

impl SpanSource for Memory {
    fn select_spans(&self, request: &SelectSpans<'_>) -> Result<Box<dyn SpanBatches>, SourceError> {
        self.asked(Some(request.cancel))?;
        self.spans.lock().select_spans(request)
    }
    fn services(&self, tenant: &TenantId, range: RangeNs) -> Result<Vec<String>, SourceError> {
        self.asked(None)?;
        self.spans.lock().services(tenant, range)
    }
    fn operations(
        &self,
        tenant: &TenantId,
        service: &str,
        range: RangeNs,
    ) -> Result<Vec<(String, SpanKind)>, SourceError> {
        self.asked(None)?;
        self.spans.lock().operations(tenant, service, range)
    }
}

impl Control for Memory {
    fn ready(&self) -> Result<(), String> {
        self.waits.lock().clone().map_or(Ok(()), Err)
    }
    fn flush(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
    fn compact(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { self.ready() })
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
    fn targets(&self) -> Targets {
        self.targets.lock().clone()
    }
}

struct Server {
    memory: Arc<Memory>,
    desk: Arc<desk::Desk>,
    api: Api,
    router: axum::Router,
}

/// An answer as the client has it.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Reply {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Server {
    fn new() -> Server {
        Server::with(|_| {})
    }

    /// With other settings.
    fn with(change: impl FnOnce(&mut Api)) -> Server {
        let memory = Arc::new(Memory::default());
        let desk = Arc::new(desk::Desk::default());
        let clock = SimClock::at_ms(NOW_MS);
        let limits = BodyLimits { body_bytes: 64 << 10, in_flight_bytes: 256 << 10, ..BodyLimits::default() };
        let timeout = std::time::Duration::from_secs(20);
        let mut api = Api {
            metrics: memory.clone(),
            logs: memory.clone(),
            spans: memory.clone(),
            sink: memory.clone(),
            control: memory.clone(),
            insides: memory.clone(),
            deployments: desk.clone(),
            watchers: Watchers::new(3, desk.stop.subscribe()),
            clock: Arc::new(clock),
            counters: Arc::default(),
            bodies: Bodies::new(limits),
            deliveries: crate::Deliveries::default(),
            queries: Queries::new(QueryLimits { concurrency: 2, timeout, memory_bytes: 1 << 20 }),
            tokens: Tokens::default(),
            tenancy: false,
        };
        change(&mut api);
        Server { router: api.router(), memory, desk, api }
    }

    fn fault(&self, fault: Fault) {
        *self.memory.fault.lock() = fault;
    }

    /// Points of one series: (Unix ms, value).
    fn metric(&self, labels: &[(&str, &str)], points: &[(i64, f64)]) {
        let mut write = MetricWrite::default();
        let series = write.series.push(&mut labels.to_vec());
        write.samples.extend(points.iter().map(|(time_ms, value)| (series, *time_ms, *value)));
        self.memory.metrics.lock().append(&write);
    }

    async fn reply(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec();
        Reply { status, headers, bytes }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:4300");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.reply(request.body(body.into()).unwrap()).await
    }

    /// Status, and the body as JSON or, where it is none, as text.
    async fn send(&self, method: &str, path: &str, kind: &str, body: impl Into<Body>) -> (u16, Value) {
        let reply = self.ask(method, path, &[("content-type", kind)], body).await;
        (reply.status, serde_json::from_slice(&reply.bytes).unwrap_or_else(|_| Value::String(reply.text())))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, "", Body::empty()).await
    }

    async fn post_json(&self, path: &str, body: Value) -> (u16, Value) {
        self.send("POST", path, "application/json", body.to_string()).await
    }

    async fn get_with(&self, path: &str, params: &[(&str, &str)]) -> (u16, Value) {
        self.get(&format!("{path}?{}", form(params))).await
    }

    async fn post_form(&self, path: &str, params: &[(&str, &str)]) -> (u16, Value) {
        self.send("POST", path, "application/x-www-form-urlencoded", form(params)).await
    }
}

/// Parameters as a query string and as a form alike.
fn form(params: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

/// A server that reads whose data it is from each request.
fn shared_server() -> Server {
    Server::with(|api| api.tenancy = true)
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
