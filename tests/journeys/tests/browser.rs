//! The page in a real Chromium: every page of the navigation and a trace's own page draw what the APIs say, without an error on the console, a request
//! that fails, or a serious accessibility fault; in light and dark, wide and narrow. The screenshots stay with the artefacts.

mod numbers;
mod sign_in;

use std::process::Command;

use serde_json::{Value, json};
use tests_journeys::{Engine, otlp, tools, wait};

const SECOND_NS: u64 = 1_000_000_000;
/// The first page must be there at once on a slow line.
const FIRST_LOAD_BYTES_MAX: u64 = 150_000;
const LINES: u64 = 200;

#[test]
fn the_page_shows_what_the_apis_say() {
    let engine = Engine::start("browser");
    let trace_id = fill(&engine);
    let trace_path = format!("/ui/traces/{trace_id}");
    let step = |path: &str, hook: &str| json!({"path": path, "waitFor": format!("[data-testid={hook}]")});
    let services = json!({"path": "/ui/services", "waitFor": "[data-testid=services-table] tr[data-service=shop]"});
    let logs = "/ui/logs?limit=1000&q=%7Bservice_name%3D%22shop%22%7D";
    let metrics = "/ui/metrics?q=queue_depth%7Bjob%3D%22shop%22%7D";
    let paths = [services, step(&trace_path, "waterfall"), step(logs, "log-list"), step(metrics, "metrics-chart")];
    let pages = walk(&engine, "light", &json!({"paths": paths}));
    harmless(&pages);

    let bytes = pages[0]["transferred_bytes"].as_u64().unwrap_or(u64::MAX);
    assert!(
        bytes <= FIRST_LOAD_BYTES_MAX,
        "the first page brings {bytes} bytes over the wire, at most {FIRST_LOAD_BYTES_MAX}"
    );
    let rate = field(&pages[0], "service", "shop", "rate");
    assert!(rate.is_some_and(|rate| rate > 0.0), "the service has a rate: {}", pages[0]["fields"]);

    let trace = engine.jaeger(&format!("traces/{trace_id}"), &[]);
    let spans = trace[0]["spans"].as_array().map_or(0, Vec::len);
    assert_eq!(
        (spans, hook(&pages[1], "trace-spans")),
        (2, Some(2.0)),
        "the trace has two spans, by the API and on the page"
    );
    assert_eq!(hook(&pages[1], "trace-duration"), Some(0.09), "{}", pages[1]["hooks"]);
    assert_eq!(hook(&pages[1], "trace-errors"), Some(1.0), "{}", pages[1]["hooks"]);
    for span in ["/checkout", "charge card"] {
        assert!(text(&pages[1]).contains(span), "the trace's page names its span {span}: {}", text(&pages[1]));
    }
    assert_eq!(hook(&pages[2], "log-list"), Some(LINES as f64), "every line is in the list");
    let last = pages[3]["fields"].as_array().into_iter().flatten().find(|field| field["field"] == "last");
    let last = last.and_then(|field| field["value"].as_str()?.parse::<f64>().ok());
    assert_eq!(last, engine.number("queue_depth{job=\"shop\"}"), "{}", pages[3]["fields"]);
    assert_eq!(last, Some(45.5));
}

#[test]
fn the_page_is_usable_in_the_dark_and_on_a_phone() {
    let engine = Engine::start("browser_dark_narrow");
    fill(&engine);
    harmless(&walk(&engine, "dark", &json!({"paths": ["/ui/"], "dark": true, "width": 390, "height": 844})));
}

/// A minute of a small shop: traces of two spans, lines, a gauge. Gives the id of one trace.
fn fill(engine: &Engine) -> String {
    let now = wait::now_ns();
    let mut spans = Vec::new();
    for number in 1..=60 {
        let start = now - number * SECOND_NS;
        spans.push(otlp::span(number, "/checkout", start, 80_000_000 + number * 1_000_000));
        let mut child = otlp::span(number, "charge card", start + 5_000_000, 40_000_000);
        child["spanId"] = json!(format!("{:016x}", number + 1_000_000));
        child["parentSpanId"] = json!(format!("{number:016x}"));
        child["kind"] = json!(3);
        if number % 10 == 0 {
            child["status"] = json!({"code": 2, "message": "declined"});
        }
        spans.push(child);
    }
    engine.send_otlp("traces", &otlp::spans("shop", &spans)).ok();
    let lines: Vec<(u64, String)> = (0..LINES)
        .map(|number| (now - number * SECOND_NS / 4, format!("level=info msg=\"order {number} placed\"")))
        .collect();
    let lines: Vec<(u64, &str)> = lines.iter().map(|(time, line)| (*time, line.as_str())).collect();
    let mut logs = otlp::logs("shop", &lines);
    // The newest line belongs to a trace.
    logs["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["traceId"] = json!(otlp::trace_id(10));
    engine.send_otlp("logs", &logs).ok();
    // From 42.5 to 48.5, and the last one is neither.
    let value = |ago: u64| 42.5 + ((ago + 3) % 7) as f64;
    let points: Vec<(u64, f64)> = (0..60).rev().map(|ago| (now - ago * SECOND_NS, value(ago))).collect();
    engine.send_otlp("metrics", &otlp::gauge("shop", "queue_depth", &points)).ok();
    wait::until("the service to be known", 30, || {
        let services = engine.jaeger("services", &[]);
        if services.to_string().contains("shop") { Ok(()) } else { Err(services) }
    });
    otlp::trace_id(10)
}

/// Visits the paths and, unless it shall `stay`, everything the navigation leads to.
fn walk(engine: &Engine, name: &str, wanted: &Value) -> Vec<Value> {
    let told = browse("walk", engine, name, wanted);
    told.as_array().expect("the walk tells of each page").clone()
}

/// Runs a script beside the journeys in Chromium; gives what it tells, and leaves that and its screenshots with the artefacts.
pub(crate) fn browse(script: &str, engine: &Engine, name: &str, wanted: &Value) -> Value {
    let folder = engine.artefacts().join(name);
    std::fs::create_dir_all(&folder).expect("the artefacts' folder can be written");
    let mut wanted = wanted.clone();
    wanted["url"] = json!(engine.url);
    wanted["chromium"] = json!(tools::system("chromium"));
    wanted["folder"] = json!(folder);
    let file = format!("{}/browser/{script}.cjs", env!("CARGO_MANIFEST_DIR"));
    let output =
        Command::new(tools::tool("node-browser")).arg(file).arg(wanted.to_string()).output().expect("node starts");
    assert!(output.status.success(), "{script} failed: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(folder.join(format!("{script}.json")), &output.stdout)
        .expect("the artefacts' folder can be written");
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

/// What must hold on every page.
pub(crate) fn harmless(pages: &[Value]) {
    for page in pages {
        let asked = &page["asked"];
        let sideways = page["sideways_px"].as_i64().unwrap_or(i64::MAX);
        assert!(sideways <= 0, "{asked} scrolls sideways by {sideways} px");
        assert_eq!(page["errors"], json!([]), "{asked} has errors");
        assert_eq!(page["serious"], json!([]), "{asked} shuts somebody out");
        assert!(text(page).len() > 30, "{asked} is empty: {}", text(page));
        assert!(page["title"].as_str().is_some_and(|title| !title.is_empty()), "{asked} has no title");
    }
}

fn text(page: &Value) -> &str {
    page["text"].as_str().unwrap_or_default()
}

/// The number an element with this `data-testid` carries.
fn hook(page: &Value, name: &str) -> Option<f64> {
    let hooks = page["hooks"].as_array()?;
    hooks.iter().find(|hook| hook["testid"] == name)?["value"].as_str()?.parse().ok()
}

/// The number of a field in the row whose `data-KEY` is so.
fn field(page: &Value, key: &str, row: &str, name: &str) -> Option<f64> {
    let fields = page["fields"].as_array()?;
    fields.iter().find(|field| field["row"][key] == row && field["field"] == name)?["value"].as_str()?.parse().ok()
}
