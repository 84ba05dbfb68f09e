//! The real thing over loopback: what is emitted arrives at a recorder of OTLP/HTTP, also when the last flush runs on
//! the very runtime that serves the recorder.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use lib_instrument::Instrument;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

type Received = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;

/// Answers 200 to everything and remembers it.
async fn recorder() -> (String, Received) {
    let received = Received::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
    let memory = received.clone();
    let app = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
        memory.lock().await.push((uri.path().to_owned(), headers, body));
        StatusCode::OK
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, received)
}

fn holds(body: &Bytes, text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn traces_logs_and_metrics_arrive_with_their_resource() {
    let (url, received) = recorder().await;
    let telemetry = Instrument::new("cart")
        .version("1.2.0")
        .environment(move |name| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(url.clone()),
            "OTEL_RESOURCE_ATTRIBUTES" => Some("team=checkout".to_owned()),
            _ => None,
        })
        .install()
        .unwrap();
    tracing::info_span!("pack the basket").in_scope(|| tracing::warn!("one item is missing"));
    telemetry.meter("shop").u64_counter("baskets.packed").build().add(1, &[]);

    // The recorder lives on this single-threaded runtime: a flush that blocked it could never finish.
    assert!(telemetry.flush().await);
    assert!(Instrument::new("again").environment(|_| None).install().is_err(), "a second install must say so");
    assert!(telemetry.shutdown().await);

    let received = received.lock().await;
    for (path, text) in
        [("/v1/traces", "pack the basket"), ("/v1/logs", "one item is missing"), ("/v1/metrics", "baskets.packed")]
    {
        let found = received.iter().any(|(to, headers, body)| {
            to == path
                && headers["content-type"] == "application/x-protobuf"
                && [text, "cart", "1.2.0", "checkout"].iter().all(|text| holds(body, text))
        });
        assert!(
            found,
            "{path} did not receive `{text}`; received: {:?}",
            received.iter().map(|r| &r.0).collect::<Vec<_>>()
        );
    }
}
