//! Every number on the page is the API's, in its own column and unit; rows stand in their order; links lead where they say.

use serde_json::{Value, json};
use tests_journeys::{Engine, otlp, wait};

use super::{SECOND_NS, fill, harmless, hook, walk};

/// The worst first; what cannot be judged last.
const SERVICES: [(&str, &str); 5] =
    [("failing", "critical"), ("slow", "warning"), ("shop", "ok"), ("caller", "client_only"), ("mailer", "unknown")];

#[test]
fn numbers_stand_in_their_columns_and_links_lead_on() {
    let engine = Engine::start("browser_numbers");
    let trace_id = fill(&engine);
    others(&engine);
    let step = |path: &str, wait_for: &str| json!({"path": path, "waitFor": wait_for});
    let paths = [
        step("/ui/services?from=now-1h", "[data-testid=services-table] tr[data-service=mailer]"),
        step("/ui/services/shop", "[data-testid=chart-latency] [data-series=p99] [data-field=last]"),
        step("/ui/traces?service=shop", "[data-testid=trace-list] tr[data-trace-id]"),
        step(&format!("/ui/traces/{trace_id}"), "[data-testid=waterfall] [data-span-id]"),
        step("/ui/logs?q=%7Bservice_name%3D%22shop%22%7D", "[data-testid=log-list] li"),
        step("/ui/logs?limit=50&q=%7Bservice_name%3D%22shop%22%7D", "[data-testid=log-volume][data-value='200']"),
        step("/ui/metrics?q=queue_depth%7Bjob%3D%22shop%22%7D", "[data-testid=metrics-chart] td[data-field=last]"),
    ];
    let pages = walk(&engine, "pages", &json!({"paths": paths, "stay": true}));
    harmless(&pages);
    let [services, service, traces, trace, logs, few_logs, metrics] = pages.as_slice() else {
        panic!("seven pages: {pages:?}")
    };

    services_page(&engine, services);
    service_page(&engine, service);
    traces_page(traces);
    trace_page(trace, &trace_id);
    logs_page(logs);
    let shown = ["log-list", "log-count", "log-volume"].map(|name| hook(few_logs, name));
    assert_eq!(shown, [Some(50.0), Some(50.0), Some(200.0)], "the volume is of all lines");
    let number = |name: &str| value(metrics, "metrics-chart", "", name);
    assert_eq!(["last", "min", "max"].map(number), [Some(45.5), Some(42.5), Some(48.5)]);
    assert!(number("avg").is_some_and(|avg| (42.6..48.4).contains(&avg)), "{:?}", number("avg"));
    for page in &pages {
        written_as_meant(page);
    }
}

fn services_page(engine: &Engine, page: &Value) {
    let found: Vec<(String, String)> = rows(page, "services-table")
        .map(|row| {
            let name = text(&row["service"]);
            let verdict = fields(page).find(|f| f["row"]["service"] == name.as_str() && f["field"] == "verdict");
            (name, verdict.map_or_else(String::new, |f| text(&f["value"])))
        })
        .collect();
    let expected: Vec<(String, String)> = SERVICES.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
    assert_eq!(found, expected, "the worst first");
    let api = engine.get("/apm/v1/services", &[]).ok().json();
    for service in api["services"].as_array().into_iter().flatten() {
        let name = text(&service["name"]);
        // These do not depend on when they are asked for; the rate does.
        for field in ["error_ratio", "p50_seconds", "p95_seconds", "p99_seconds"] {
            same(value(page, "services-table", &name, field), service[field].as_f64(), &format!("{field} of {name}"));
        }
        let rate = value(page, "services-table", &name, "rate");
        assert_eq!(rate.is_some_and(|rate| rate > 0.0), service["rate"].is_number(), "the rate of {name}: {rate:?}");
    }
    // Sixty calls in the fifteen seconds before they came, and not sixty in an hour.
    let rate = value(page, "services-table", "shop", "rate").unwrap_or_default();
    assert!((0.2..8.0).contains(&rate), "the rate is over the time that there is data for: {rate}");
    for link in page["links"].as_array().into_iter().flatten() {
        assert!(text(link).ends_with("from=now-1h"), "the range goes along: {link}");
    }
}

fn service_page(engine: &Engine, page: &Value) {
    let api = engine.get("/apm/v1/services/shop/operations", &[]).ok().json();
    for operation in api["operations"].as_array().into_iter().flatten() {
        let name = text(&operation["name"]);
        for field in ["error_ratio", "p50_seconds", "p95_seconds", "p99_seconds"] {
            same(
                value(page, "operations-table", &name, field),
                operation[field].as_f64(),
                &format!("{field} of {name}"),
            );
        }
    }
    assert_eq!(rows(page, "operations-table").count(), 2, "{}", page["rows"]);
    let last = |series: &str| value(page, "legend", series, "last").unwrap_or(f64::NAN);
    let latencies = ["p50", "p95", "p99"].map(last);
    assert!(latencies.is_sorted() && (0.08..0.25).contains(&latencies[0]), "{latencies:?}");
    let anchors: Vec<&Value> = page["anchors"].as_array().into_iter().flatten().collect();
    assert!(!anchors.is_empty(), "the latency chart has exemplars");
    for anchor in anchors {
        assert_eq!(text(&anchor["href"]), format!("/ui/traces/{}", text(&anchor["id"])));
    }
}

fn traces_page(page: &Value) {
    let ids: Vec<String> = rows(page, "trace-list").map(|row| text(&row["traceId"])).collect();
    let newest_first: Vec<String> = (1..=60).map(otlp::trace_id).collect();
    assert_eq!(ids, newest_first);
    for row in rows(page, "trace-list") {
        let link = format!("/ui/traces/{}", text(&row["traceId"]));
        assert_eq!(row["links"][0], link.as_str(), "{row}");
    }
    // The eleventh shop trace took 80 + 11 ms; each tenth failed in its second span.
    let id = otlp::trace_id(11);
    let of = |id: &str, name| value(page, "trace-list", id, name);
    assert_eq!([of(&id, "duration_seconds"), of(&id, "spans"), of(&id, "errors")], [Some(0.091), Some(2.0), Some(0.0)]);
    assert_eq!(of(&otlp::trace_id(20), "errors"), Some(1.0));
}

fn trace_page(page: &Value, trace_id: &str) {
    let spans: Vec<[String; 4]> = rows(page, "waterfall")
        .map(|row| [text(&row["level"]), text(&row["start"]), text(&row["value"]), text(&row["error"])])
        .collect();
    let expected = [["1", "0", "90000", "false"], ["2", "5000", "40000", "true"]];
    assert_eq!(spans, expected, "level, start and duration in microseconds, failed");
    for (hook, words) in [("to-logs", trace_id), ("to-metrics", "shop")] {
        let link = page["hooks"].as_array().into_iter().flatten().find(|h| h["testid"] == hook);
        let link = link.map_or_else(String::new, |link| text(&link["href"]));
        assert!(link.contains(words) && link.contains("from=") && link.contains("to="), "{hook}: {link}");
    }
}

fn logs_page(page: &Value) {
    let times: Vec<u64> = rows(page, "log-list").filter_map(|row| text(&row["ns"]).parse().ok()).collect();
    assert!(times.len() > 20 && times.is_sorted_by(|a, b| a > b), "the newest first: {times:?}");
    let newest = rows(page, "log-list").next().expect("a line");
    let link = format!("/ui/traces/{}", otlp::trace_id(10));
    assert!(text(&newest["links"][0]).starts_with(&link), "the line leads to its trace: {newest}");
    assert_eq!((hook(page, "log-count"), hook(page, "log-volume")), (Some(200.0), Some(200.0)));
}

/// What is written is the number beside it, in the unit and under the head of its column.
fn written_as_meant(page: &Value) {
    const HEADS: [(&str, &str); 8] = [
        ("rate", "Requests"),
        ("error_ratio", "Errors"),
        ("p50_seconds", "p50"),
        ("p95_seconds", "p95"),
        ("p99_seconds", "p99"),
        ("duration_seconds", "Duration"),
        ("spans", "Spans"),
        ("errors", "Errors"),
    ];
    for field in fields(page) {
        let (name, written) = (text(&field["field"]), text(&field["text"]));
        let Some((_, head)) = HEADS.into_iter().find(|(known, _)| *known == name) else { continue };
        assert_eq!(text(&field["head"]), head, "{field}");
        match text(&field["value"]).parse::<f64>() {
            Ok(value) if name == "errors" && value == 0.0 => assert_eq!(written, "–"),
            Ok(value) => {
                let read = read(&written).unwrap_or_else(|| panic!("`{written}` is a number with its unit: {field}"));
                assert!((read.0 - value).abs() <= value.abs() * 0.06, "{read:?} is written, {value} is meant: {field}");
                let unit = match name.as_str() {
                    "rate" => "/s",
                    "error_ratio" => "%",
                    "spans" | "errors" => "",
                    _ => "s",
                };
                assert_eq!(read.1, unit, "{field}");
            }
            Err(_) => assert_eq!(written, "–", "nothing is written as nothing: {field}"),
        }
    }
}

/// "9.5 ms" is (0.0095, "s"), "4.2 %" is (0.042, "%"), "18.3/s" is (18.3, "/s").
fn read(written: &str) -> Option<(f64, &'static str)> {
    let end = written.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(written.len());
    let (number, unit) = written.split_at_checked(end)?;
    let (scale, unit) = match unit.trim() {
        "" => (1.0, ""),
        "/s" => (1.0, "/s"),
        "%" => (0.01, "%"),
        "s" => (1.0, "s"),
        "ms" => (1e-3, "s"),
        "µs" => (1e-6, "s"),
        _ => return None,
    };
    Some((number.parse::<f64>().ok()? * scale, unit))
}

/// Services of every verdict beside the shop.
fn others(engine: &Engine) {
    let now = wait::now_ns();
    let calls = |first: u64, name: &str, kind: u64, duration_ms: u64, failed_every: u64| -> Vec<Value> {
        let call = |number: u64| {
            let mut span = otlp::span(first + number, name, now - number * SECOND_NS, duration_ms * 1_000_000);
            span["kind"] = json!(kind);
            if number.is_multiple_of(failed_every) {
                span["status"] = json!({"code": 2});
            }
            span
        };
        (1..=20).map(call).collect()
    };
    engine.send_otlp("traces", &otlp::spans("failing", &calls(1000, "/pay", 2, 30, 5))).ok();
    engine.send_otlp("traces", &otlp::spans("slow", &calls(2000, "/report", 2, 3000, 100))).ok();
    engine.send_otlp("traces", &otlp::spans("caller", &calls(3000, "/pay", 3, 40, 4))).ok();
    engine.send_otlp("logs", &otlp::logs("mailer", &[(now, "sent")])).ok();
    wait::until("every service to be judged", 60, || {
        let found = engine.get("/apm/v1/services", &[]).ok().json();
        let verdict = |(name, word): (&str, &str)| {
            let mut all = found["services"].as_array().into_iter().flatten();
            all.any(|service| service["name"] == name && service["verdict"] == word)
        };
        if SERVICES.into_iter().all(verdict) { Ok(()) } else { Err(found) }
    });
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn fields(page: &Value) -> impl Iterator<Item = &Value> {
    page["fields"].as_array().into_iter().flatten()
}

fn rows<'p>(page: &'p Value, table: &'p str) -> impl Iterator<Item = &'p Value> {
    page["rows"].as_array().into_iter().flatten().filter(move |row| row["table"] == table)
}

/// The number of a field in a table, in the row that is about `about`, whatever it is.
fn value(page: &Value, table: &str, about: &str, name: &str) -> Option<f64> {
    let ours = |field: &&Value| {
        let row = &field["row"];
        let keys = ["service", "operation", "traceId", "series"];
        let is_row = about.is_empty() || keys.into_iter().any(|key| row[key] == about);
        // A chart's legend stands inside the chart.
        field["field"] == name && is_row && (field["table"] == table || field["table"] == "legend")
    };
    text(&fields(page).find(ours)?["value"]).parse().ok()
}

fn same(page: Option<f64>, api: Option<f64>, what: &str) {
    let (Some(page), Some(api)) = (page, api) else {
        assert_eq!(page, api, "{what}");
        return;
    };
    assert!((page - api).abs() <= api.abs() * 1e-6, "{what}: {page} on the page, {api} by the API");
}
