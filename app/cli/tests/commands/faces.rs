//! All three signals in by OTLP and out by the APIs that Grafana knows: before and after flush, compaction, a clean end and a hard one.

use serde_json::{Value, json};

use crate::engine::{Engine, gauge, log, now_ns, span, up};
use crate::home::Home;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The project's file; the metrics of this machine would be noise here.
const FILE: &str = "version: 1\nproject: shop\nobserve: { memory: 1GB, retention: 36h, host_metrics: false }\n";

fn check(engine: &Engine, path: &str, parameters: &[(&str, &str)], field: &str, expect: &Value) {
    let reply = engine.get(path, parameters);
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    assert_eq!(reply.json().pointer(field), Some(expect), "{path}");
}

/// What was sent at `second` is answered, whole.
fn check_all(engine: &Engine, second: u64) {
    let (time, start) = (second.to_string(), (second - 60).to_string());
    let labels = json!({"__name__": "basket_size", "job": "cart", "service_name": "cart"});
    let metric = json!([{"metric": labels, "value": [second, "21.5"]}]);
    check(engine, "/api/v1/query", &[("query", "basket_size"), ("time", &time)], "/data/result", &metric);
    let stream = json!({"detected_level": "info", "service_name": "cart", "severity_text": "INFO"});
    let lines = json!([{"stream": stream, "values": [[format!("{second}000000000"), "sold 3"]]}]);
    let query = [("query", "{service_name=\"cart\"}"), ("start", start.as_str())];
    check(engine, "/loki/api/v1/query_range", &query, "/data/result", &lines);
    check(engine, "/api/services", &[], "/data", &json!(["cart"]));
    check(engine, "/api/services/cart/operations", &[], "/data", &json!(["GET /cart"]));
    let span = json!({
        "traceID": TRACE, "spanID": "00000000000000a1", "operationName": "GET /cart", "references": [], "flags": 0,
        "startTime": second * 1_000_000, "duration": 25_000, "logs": [], "processID": "p1", "warnings": null,
        "tags": [{"key": "span.kind", "type": "string", "value": "server"}]
    });
    let trace = json!([{
        "traceID": TRACE, "spans": [span], "warnings": null,
        "processes": {"p1": {"serviceName": "cart", "tags": []}}
    }]);
    check(engine, &format!("/api/traces/{TRACE}"), &[], "/data", &trace);
    engine.becomes("sum(traces_spanmetrics_calls_total{service=\"cart\"})", Some(1.0));
}

/// Replaces what differs from run to run.
fn mask(value: &mut Value, keys: &[&str]) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                if keys.contains(&key.as_str()) && !inner.is_null() { *inner = json!("…") } else { mask(inner, keys) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, keys)),
        _ => {}
    }
}

fn check_status(engine: &Engine, home: &Home) {
    let mut status = engine.status();
    assert_eq!(status["pid"], engine.pid());
    assert_eq!(status["url"], engine.url);
    mask(
        &mut status,
        &["started_at", "now", "pid", "url", "address", "used_bytes", "rss_bytes", "free_bytes", "series"],
    );
    mask(&mut status, &["first_seen", "last_seen"]);
    mask(&mut status["signals"]["metrics"], &["received"]);
    let seen = json!({"received": 1, "rejected": 0, "first_seen": "…", "last_seen": "…"});
    let expect = json!({
        "version": env!("CARGO_PKG_VERSION"), "started_at": "…", "now": "…", "pid": "…", "url": "…",
        "project": "shop", "data_dir": home.path("data/apm/shop"), "demo": false, "findings": [], "shed": 0, "series": "…",
        "listeners": [{"name": "http", "address": "…"}, {"name": "otlp_grpc", "address": "…"}, {"name": "otlp_http", "address": "…"}],
        "memory": {"limit_bytes": 64 << 20, "used_bytes": "…", "rss_bytes": "…"},
        "disk": {"used_bytes": "…", "limit_bytes": 1 << 30, "free_bytes": "…"}, "retention_seconds": 36 * 3600,
        "signals": {"metrics": {"received": "…", "rejected": 0, "first_seen": "…", "last_seen": "…"}, "logs": seen, "traces": seen},
    });
    assert_eq!(status, expect);
}

const FAMILIES: &str = "\
# TYPE apm_ingest_items_total counter
# TYPE apm_ingest_bytes_total counter
# TYPE apm_ingest_undecodable_requests_total counter
# TYPE apm_ingest_rejected_total counter
# TYPE apm_ingest_shed_total counter
# TYPE apm_memory_limit_bytes gauge
# TYPE apm_memory_used_bytes gauge
# TYPE apm_series gauge
# TYPE apm_disk_free_bytes gauge
# TYPE process_resident_memory_bytes gauge
# TYPE process_start_time_seconds gauge
# TYPE apm_disk_used_bytes gauge
# TYPE apm_build_info gauge";

fn check_metrics(engine: &Engine) {
    let text = engine.get("/metrics", &[]).body;
    let families: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(families.join("\n"), FAMILIES);
    let build = format!("apm_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    for line in [build.as_str(), "apm_memory_limit_bytes 67108864"] {
        assert!(text.lines().any(|found| found == line), "`{line}` is missing in:\n{text}");
    }
}

fn greeting(home: &Home, stdout: &str, engine: &Engine) -> String {
    let addresses = [(&engine.url, "PAGE"), (&engine.otlp_http, "HTTP"), (&engine.otlp_grpc, "GRPC")];
    let text = addresses.iter().fold(home.masked(stdout), |text, (address, name)| text.replace(*address, name));
    let (before, after) = text.split_once(" in ").expect("the time to get ready");
    format!("{before} in{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
}

const GREETING: &str = "apm VERSION is ready in ms

  page   PAGE
  otlp   HTTP http   GRPC grpc
  data   HOME/data/apm/shop kept 36 hours

  Send something:  apm run -- python app.py
  Ctrl-C ends it.
";

#[test]
fn what_goes_in_comes_out_and_is_found_again_after_any_end() {
    let home = Home::new();
    home.write("apm.yaml", FILE);
    // The environment wins over the file.
    let mut command = up(&home, &["--retention-size", "1GB"]);
    let command = command.env("APM_OBSERVE__MEMORY", "64MB");
    let engine = Engine::start_as(&home, command, None);
    let registry = home.path(&format!("state/apm/engines/{}.json", engine.pid()));
    let entry: Value = serde_json::from_str(&std::fs::read_to_string(&registry).unwrap()).unwrap();
    assert_eq!((&entry["url"], &entry["project"]), (&json!(engine.url), &json!("shop")));

    let second = now_ns() / 1_000_000_000 - 5;
    let time_ns = second * 1_000_000_000;
    for (signal, body) in [
        ("metrics", gauge("cart", "basket.size", 21.5, time_ns)),
        ("logs", log("cart", "sold 3", time_ns)),
        ("traces", span("cart", TRACE, "GET /cart", time_ns)),
    ] {
        let reply = engine.send(signal, &body);
        assert_eq!((reply.status, reply.body.as_str()), (200, "{}"), "{signal}");
    }
    check_all(&engine, second);
    check_status(&engine, &home);
    check_metrics(&engine);
    for order in ["flush", "compact", "reload"] {
        let reply = engine.ask("POST", &format!("/-/{order}"), "");
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{order}");
        check_all(&engine, second);
    }
    assert_eq!(engine.get("/-/ready", &[]).body, "apm is Ready.\n");
    let expected = greeting(&home, &engine.process().stdout(), &engine);
    assert_eq!(expected, GREETING);

    let ended = engine.terminate();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(!registry.exists(), "the engine left its entry");

    let engine = Engine::start_as(&home, command, None);
    check_all(&engine, second);
    // What is acknowledged now is in the log only; the hard end must not take it.
    let reply = engine.send("logs", &log("bill", "paid", time_ns));
    assert_eq!(reply.status, 200, "{}", reply.body);
    engine.process().signal(rustix::process::Signal::KILL);
    drop(engine);

    let engine = Engine::start_as(&home, command, None);
    check_all(&engine, second);
    let query = [("query", "{service_name=\"bill\"}")];
    let line = json!([format!("{time_ns}"), "paid"]);
    check(&engine, "/loki/api/v1/query_range", &query, "/data/result/0/values/0", &line);
    engine.process().signal(rustix::process::Signal::INT);
    assert_eq!(engine.terminate().code, Some(0));
}

#[test]
fn a_folder_that_cannot_be_read_is_refused_and_left_alone() {
    let home = Home::new();
    let engine = Engine::start(&home, &[]);
    assert_eq!(engine.send("metrics", &gauge("cart", "basket.size", 21.5, now_ns())).status, 200);
    assert_eq!(engine.terminate().code, Some(0));
    let manifests = ["MANIFEST", "MANIFEST.copy"].map(|name| home.path("data/apm/default/metrics").join(name));
    for path in &manifests {
        std::fs::write(path, "not ours").expect("a file is written");
    }
    let ended = home.start(&mut up(&home, &[])).ended();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), ""));
    for expect in ["error: ", "MANIFEST", "help: if the folder cannot be mended, move it away and start again"] {
        assert!(ended.stderr.contains(expect), "`{expect}` is missing in:\n{}", ended.stderr);
    }
    assert_eq!(std::fs::read_to_string(&manifests[0]).unwrap(), "not ours");
}
