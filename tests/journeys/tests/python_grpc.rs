//! An OpenTelemetry SDK that we did not write sends all three signals over gRPC with gzip, from four threads: every number is exact, not only there.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tests_journeys::{Engine, tools};

/// What `apps/sdk_grpc.py load` sells: four threads, the sales of each numbered from 0.
const SALES: u64 = 1000;

#[test]
fn the_python_sdk_over_grpc_with_gzip_is_counted_exactly() {
    let engine = Engine::start("python_grpc");
    let wire = Wire::to(&engine.otlp_grpc);
    let counted =
        |filter: &str| engine.number(&format!("sum(traces_spanmetrics_calls_total{{service=\"billing\"{filter}}})"));
    // Twice, because a counter that starts at the right number may still rise by a wrong one.
    let mut trace_id = String::new();
    for run in 1..=2 {
        trace_id = load(&wire.url);
        let times = run as f64;
        assert_eq!(counted(""), Some(2.0 * SALES as f64 * times), "each sale is two spans");
        assert_eq!(counted(",span_name=\"book\",status_code=\"STATUS_CODE_ERROR\""), Some(100.0 * times));
        assert_eq!(counted(",span_kind=\"SPAN_KIND_SERVER\""), Some(SALES as f64 * times));
        let lines =
            engine.loki("query", &[("query", "sum(count_over_time({service_name=\"billing\"} |= \"sold\" [10m]))")]);
        assert_eq!(lines["result"][0]["value"][1], json!((SALES / 2 * run).to_string()), "{lines}");
        for (query, once) in [
            ("sum(sales_total{job=\"billing\"})", 1000.0),
            ("sum(sales_total{job=\"billing\",shop=\"shop-3\"})", 250.0),
            ("sum(sale_amount_bytes_count{job=\"billing\"})", 1000.0),
            // 0 + 1 + … + 249, in each of four threads.
            ("sum(sale_amount_bytes_sum{job=\"billing\"})", 124_500.0),
            ("sum(sale_amount_bytes_bucket{job=\"billing\",le=\"10\"})", 44.0),
            ("sum(sale_amount_bytes_bucket{job=\"billing\",le=\"100\"})", 404.0),
            ("sum(sale_amount_bytes_bucket{job=\"billing\",le=\"1000\"})", 1000.0),
            ("sum(sale_amount_bytes_bucket{job=\"billing\",le=\"+Inf\"})", 1000.0),
        ] {
            assert_eq!(engine.number(query), Some(once * times), "{query} after run {run}");
        }
    }
    let trace = engine.jaeger(&format!("traces/{trace_id}"), &[]);
    let spans = trace[0]["spans"].as_array().expect("the trace has spans");
    let named = |name: &str| {
        spans.iter().find(|span| span["operationName"] == name).unwrap_or_else(|| panic!("no {name}: {trace}"))
    };
    assert_eq!(spans.len(), 2, "{trace}");
    assert_eq!(named("book")["references"][0]["spanID"], named("POST /sales")["spanID"], "{trace}");

    // All came over gRPC, and packed: fewer bytes passed than were unpacked. Ids, a third of it all, cannot be packed.
    let items = |signal| engine.own_number("apm_ingest_items_total", &[("signal", signal), ("protocol", "otlp_grpc")]);
    assert_eq!((items("traces"), items("logs")), (4.0 * SALES as f64, SALES as f64));
    let unpacked = engine.own_number("apm_ingest_bytes_total", &[("protocol", "otlp_grpc")]);
    let packed = wire.sent_bytes.load(Ordering::Relaxed);
    assert!(packed > 0 && (packed as f64) < unpacked * 0.6, "{packed} bytes passed, {unpacked} unpacked: no gzip?");
}

fn load(endpoint: &str) -> String {
    let output = Command::new(tools::tool("python-grpc"))
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/apps/sdk_grpc.py"), "load"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("OTEL_SERVICE_NAME", "billing")
        .output()
        .expect("Python starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "the SDK complains: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A relay that counts what clients send.
struct Wire {
    url: String,
    sent_bytes: Arc<AtomicU64>,
}

impl Wire {
    fn to(engine: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let url = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        let engine = engine.trim_start_matches("http://").to_owned();
        let sent_bytes = Arc::new(AtomicU64::new(0));
        let counter = sent_bytes.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&engine).expect("the engine listens");
                let twin = |stream: &TcpStream| stream.try_clone().expect("a socket can be doubled");
                let (back, forth, counter) = ((twin(&server), twin(&client)), (client, server), counter.clone());
                std::thread::spawn(move || pass(back, &AtomicU64::new(0)));
                std::thread::spawn(move || pass(forth, &counter));
            }
        });
        Self { url, sent_bytes }
    }
}

fn pass((mut from, mut to): (TcpStream, TcpStream), counter: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        counter.fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
