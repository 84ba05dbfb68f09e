//! What a request to an instrumented axum service leaves behind: spans, metrics, logs, headers, health.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so at once")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use lib_instrument::testing::Captured;
use lib_instrument::{Dependency, Telemetry, health_router};
use tower::ServiceExt as _;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn app(telemetry: &Telemetry) -> Router {
    let routes = Router::new()
        .route(
            "/items/{id}",
            get(|| async {
                tracing::info!(stock = 3, "looked up");
                "ok"
            }),
        )
        .route("/broken", get(|| async { (StatusCode::BAD_GATEWAY, "no") }))
        .route(
            "/fails",
            get(|| async {
                tracing::error!(error = "disk full", "cannot write");
                StatusCode::INTERNAL_SERVER_ERROR
            }),
        )
        .route("/panics", get(|| async { panic_now() }))
        .route("/panics/told", get(|| async { panic_with(Some(7)) }))
        .route("/panics/silent", get(|| async { panic_with(None) }))
        .layer(telemetry.http_layer());
    telemetry.metrics_router().unwrap().merge(routes)
}

fn panic_now() -> &'static str {
    let empty: Vec<u8> = Vec::new();
    assert!(!empty.is_empty(), "the shelf is empty");
    "unreachable"
}

fn panic_with(shelf: Option<u8>) -> &'static str {
    match shelf {
        Some(number) => std::panic::panic_any(format!("shelf {number} is empty")),
        None => std::panic::panic_any(7_u8),
    }
}

async fn answer(app: Router, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String, String) {
    let mut request = Request::builder().uri(path).header("host", "cart.example:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let id = response.headers().get("x-request-id").map_or("", |v| v.to_str().unwrap()).to_owned();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, id, String::from_utf8(body.to_vec()).unwrap())
}

/// One request, and the lines it must leave: the answer, the span with its attributes, the metrics, the logs.
async fn check(path: &str, headers: &[(&str, &str)], expect: &[&str]) {
    let (telemetry, captured) = Captured::start("cart");
    let (status, id, body) = answer(app(&telemetry), path, headers).await;
    let mut seen = format!("answer {status} {body}\nid {id}\n");
    for span in captured.spans() {
        seen += &format!("span {} {} trace={} parent={}", span.kind, span.name, span.trace_id, span.parent_span_id);
        seen += &format!(" error={}", span.error.as_deref().unwrap_or("-"));
        for (key, value) in span.attributes.iter().chain(span.events.iter().flat_map(|(_, attributes)| attributes)) {
            seen += &format!(" {key}={value}");
        }
        seen += "\n";
    }
    for log in captured.logs() {
        assert!(log.span_id.is_some(), "{log:?}");
        seen += &format!("log {} {} trace={}", log.severity, log.body, log.trace_id.unwrap_or_default());
        for (key, value) in &log.attributes {
            seen += &format!(" {key}={value}");
        }
        seen += "\n";
    }
    for part in expect {
        assert!(seen.contains(part), "{path}: `{part}` is missing in\n{seen}");
    }
    assert_eq!(captured.metric("http.server.active_requests", &[]), Some(0.0));
    let code = status.as_str();
    assert_eq!(captured.metric("http.server.request.duration", &[("http.response.status_code", code)]), Some(1.0));
}

#[tokio::test]
async fn a_request_leaves_a_span_named_after_its_route_in_the_callers_trace() {
    check(
        "/items/42?full=1",
        &[("traceparent", CALLER), ("x-request-id", "order-7")],
        &[
            "answer 200 OK ok",
            "id order-7",
            "span server GET /items/{id} trace=0af7651916cd43dd8448eb211c80319c parent=b7ad6b7169203331 error=-",
            " http.request.method=GET http.response.status_code=200 http.route=/items/{id}",
            " server.address=cart.example server.port=8080 url.path=/items/42 url.query=full=1",
            "log INFO looked up trace=0af7651916cd43dd8448eb211c80319c",
            " request_id=order-7 stock=3",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_failure_is_an_error_on_the_span() {
    check("/broken", &[], &["answer 502", "error= error.type=502"]).await;
}

#[tokio::test]
async fn a_logged_error_is_an_exception_on_the_span() {
    check(
        "/fails",
        &[],
        &["answer 500", "error=disk full error.type=500", "exception.message=disk full", "log ERROR cannot write"],
    )
    .await;
}

#[tokio::test]
async fn a_panic_is_answered_500_and_recorded() {
    check(
        "/panics",
        &[("x-request-id", "p1")],
        &[
            r#"answer 500 Internal Server Error {"error":"internal error","request_id":"p1"}"#,
            "exception.message=the shelf is empty exception.type=panic",
            "log ERROR the handler panicked; answered 500",
            "error=the shelf is empty error.type=500",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_panic_of_any_payload_is_recorded() {
    check("/panics/told", &[], &["answer 500", "exception.message=shelf 7 is empty exception.type=panic"]).await;
    check("/panics/silent", &[], &["answer 500", "exception.message=panic with a payload that is no text"]).await;
}

#[tokio::test]
async fn the_caller_is_on_the_span() {
    let (telemetry, captured) = Captured::start("cart");
    let peer = axum::extract::ConnectInfo(std::net::SocketAddr::from(([10, 1, 2, 3], 40_000)));
    let request = Request::builder().uri("/items/1").header("host", "cart.example").header("user-agent", "curl/8");
    let request = request.extension(peer).version(axum::http::Version::HTTP_2).body(Body::empty()).unwrap();
    app(&telemetry).oneshot(request).await.unwrap();
    let span = captured.span("GET /items/{id}").unwrap();
    let attribute = |name: &str| span.attributes.get(name).map(String::as_str);
    assert_eq!(attribute("client.address"), Some("10.1.2.3"));
    assert_eq!(attribute("user_agent.original"), Some("curl/8"));
    assert_eq!((attribute("server.address"), attribute("server.port")), (Some("cart.example"), None));
    assert_eq!(attribute("network.protocol.version"), Some("2"));
}

#[tokio::test]
async fn an_outgoing_request_that_fails_says_why() {
    let (telemetry, captured) = Captured::start("cart");
    let outgoing = telemetry.outgoing();
    let url = "https://stock.example/items/9".parse().unwrap();
    let method = axum::http::Method::GET;
    let refused =
        outgoing.run(&method, &url, "/items/{id}", |_| async { Err::<StatusCode, _>("connection refused") }).await;
    assert_eq!(refused, Err("connection refused"));
    let span = captured.span("GET /items/{id}").unwrap();
    assert_eq!(span.error.as_deref(), Some("connection refused"));
    assert_eq!(
        (span.attributes["error.type"].as_str(), span.attributes["server.port"].as_str()),
        ("request_failed", "443")
    );
    assert_eq!(span.events[0].1["exception.message"], "connection refused");
    let missing = outgoing.run(&method, &url, "/missing", |_| async { Ok::<_, String>(StatusCode::NOT_FOUND) }).await;
    assert_eq!(missing, Ok(StatusCode::NOT_FOUND));
    let span = captured.span("GET /missing").unwrap();
    assert_eq!((span.error.as_deref(), span.attributes["error.type"].as_str()), (Some(""), "404"));
    for (label, value) in [("error.type", "request_failed"), ("http.response.status_code", "404")] {
        assert_eq!(captured.metric("http.client.request.duration", &[(label, value)]), Some(1.0), "{value}");
    }
}

#[tokio::test]
async fn an_unknown_path_does_not_become_a_label() {
    check("/etc/passwd", &[], &["answer 404", "span server GET trace=", "url.path=/etc/passwd"]).await;
}

#[tokio::test]
async fn an_unusable_request_id_is_replaced() {
    let (telemetry, _captured) = Captured::start("cart");
    let long = "x".repeat(129);
    for unusable in ["", "two words", long.as_str()] {
        let (_, id, _) = answer(app(&telemetry), "/items/1", &[("x-request-id", unusable)]).await;
        assert_eq!(id.len(), 32, "{unusable:?} gave {id:?}");
    }
}

#[tokio::test]
async fn an_outgoing_request_is_a_client_span_whose_context_the_server_continues() {
    let (telemetry, captured) = Captured::start("cart");
    let server = app(&telemetry);
    let url = "http://stock.example/items/9".parse().unwrap();
    let status = telemetry
        .outgoing()
        .run(&axum::http::Method::GET, &url, "/items/{id}", |headers| async move {
            let mut request = Request::builder().uri("/items/9").body(Body::empty()).unwrap();
            request.headers_mut().extend(headers);
            server.oneshot(request).await
        })
        .await
        .unwrap()
        .status();
    assert_eq!(status, StatusCode::OK);
    let spans = captured.spans();
    let client = spans.iter().find(|span| span.kind == "client").unwrap();
    let server = spans.iter().find(|span| span.kind == "server").unwrap();
    assert_eq!((&server.trace_id, &server.parent_span_id), (&client.trace_id, &client.span_id));
    assert_eq!(client.attributes["server.address"], "stock.example");
    assert_eq!(captured.metric("http.client.request.duration", &[("url.template", "/items/{id}")]), Some(1.0));
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let (telemetry, _captured) = Captured::start("cart");
    telemetry
        .meter("shop")
        .u64_counter("orders")
        .with_description("Orders\nplaced")
        .build()
        .add(2, &[lib_instrument::opentelemetry::KeyValue::new("order.kind", "a \"b\"\\")]);
    answer(app(&telemetry), "/items/42", &[]).await;
    let (_, _, text) = answer(app(&telemetry), "/metrics", &[]).await;
    for line in [
        "# HELP orders_total Orders\\nplaced",
        "# TYPE orders_total counter",
        r#"orders_total{order_kind="a \"b\"\\"} 2"#,
        "# TYPE http_server_request_duration_seconds histogram",
        r#"http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/items/{id}",network_protocol_version="1.1",url_scheme="http"} 1"#,
        r#"le="+Inf"} 1"#,
        r#"target_info{service_name="cart"} 1"#,
    ] {
        assert!(text.contains(line), "`{line}` is missing in\n{text}");
    }
}

#[tokio::test]
async fn health_tells_each_dependency() {
    let check = async |dependencies: Vec<Dependency>, path: &str, expect: &str| {
        let (status, _, body) = answer(health_router(dependencies), path, &[]).await;
        let mut value: serde_json::Value = serde_json::from_str(&body).unwrap();
        for dependency in value["dependencies"].as_array_mut().unwrap() {
            let latency = dependency.as_object_mut().unwrap().remove("latency_ms").unwrap();
            assert!(latency.as_f64().unwrap() >= 0.0);
        }
        assert_eq!(format!("{} {value}", status.as_u16()), expect);
    };
    let up = || Dependency::new("cache", || async { Ok(()) });
    let down = || Dependency::new("db", || async { Err("connection refused".to_owned()) });
    let hangs =
        || Dependency::new("mail", std::future::pending).time_limit(std::time::Duration::from_millis(20)).optional();
    check(
        vec![up()],
        "/readyz",
        r#"200 {"dependencies":[{"name":"cache","required":true,"state":"up"}],"status":"ok"}"#,
    )
    .await;
    check(
        vec![down()],
        "/readyz",
        r#"503 {"dependencies":[{"error":"connection refused","name":"db","required":true,"state":"down"}],"status":"unready"}"#,
    )
    .await;
    check(
        vec![down()],
        "/healthz",
        r#"200 {"dependencies":[{"error":"connection refused","name":"db","required":true,"state":"down"}],"status":"degraded"}"#,
    )
    .await;
    check(
        vec![hangs()],
        "/readyz",
        r#"200 {"dependencies":[{"error":"no answer within 20 ms","name":"mail","required":false,"state":"down"}],"status":"degraded"}"#,
    )
    .await;
    let broken = || Dependency::new("bug", || async { panic!("a defect of the check") });
    check(
        vec![broken()],
        "/readyz",
        r#"503 {"dependencies":[{"error":"the check panicked","name":"bug","required":true,"state":"down"}],"status":"unready"}"#,
    )
    .await;
    assert!(format!("{:?}", up()).contains("name: \"cache\""));
}
