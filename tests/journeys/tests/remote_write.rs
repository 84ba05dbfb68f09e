//! A team points its Prometheus at us. The real server scrapes itself and remote-writes; then the real promtool asks us and it the same questions, and
//! every answer must be the same.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tests_journeys::{Engine, Peer, http, peer, tools, wait};

/// Seconds of data the questions look back on.
const HISTORY_S: f64 = 20.0;

#[test]
fn prometheus_writes_version_1_and_promtool_reads_the_same() {
    check("remote_write_1", "prometheus.WriteRequest");
}

#[test]
fn prometheus_writes_version_2_and_promtool_reads_the_same() {
    check("remote_write_2", "io.prometheus.write.v2.Request");
}

fn check(journey: &str, message: &str) {
    let engine = Engine::start(journey);
    let (prometheus, url) = start_prometheus(&engine, message);

    wait::until("some seconds of samples in Prometheus", 90, || {
        let count = number(&url, "count_over_time(up{job=\"prometheus\"}[5m])").unwrap_or(0.0);
        if count >= HISTORY_S { Ok(()) } else { Err(count) }
    });
    // A moment that both have passed, so that the answers are about the same samples.
    let at = wait::now_s();
    wait::until("our copy to reach that moment", 60, || {
        let seen = number(&engine.url, "timestamp(up{job=\"prometheus\"})").unwrap_or(0.0);
        if seen > at + 1.0 { Ok(()) } else { Err((seen, at, prometheus.printed())) }
    });
    // Prometheus itself appends a scrape some milliseconds after its timestamp.
    std::thread::sleep(Duration::from_millis(500));

    let time = format!("--time={at:.3}");
    for query in [
        "up",
        "prometheus_build_info",
        "prometheus_http_requests_total",
        "count({job=\"prometheus\"})",
        "count by (__name__) ({job=\"prometheus\", __name__=~\"go_.*\"})",
        "sum by (job) (rate(prometheus_http_requests_total[1m]))",
        "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[1m])))",
        "topk(3, max by (handler) (prometheus_http_requests_total)) > 0",
        "absent(up{job=\"nothing\"})",
    ] {
        same(&engine, &url, &["instant", &time], &[&our_job(query)]);
    }
    let (start, end) = (format!("--start={:.3}", at - HISTORY_S + 5.0), format!("--end={at:.3}"));
    for query in ["up", "sum by (handler) (rate(prometheus_http_requests_total[15s]))", "process_resident_memory_bytes"]
    {
        same(&engine, &url, &["range", &start, &end, "--step=1s"], &[&our_job(query)]);
    }
    same(&engine, &url, &["series", "--match=prometheus_build_info", "--match={job=\"prometheus\",code=\"200\"}"], &[]);
    same(&engine, &url, &["labels"], &["handler"]);
    same(&engine, &url, &["labels"], &["code"]);
}

/// The engine watches itself too; the comparison is about what Prometheus wrote.
fn our_job(query: &str) -> String {
    match query {
        "up" | "prometheus_build_info" | "prometheus_http_requests_total" | "process_resident_memory_bytes" => {
            format!("{query}{{job=\"prometheus\"}}")
        }
        _ => {
            query.replace("_total[", "_total{job=\"prometheus\"}[").replace("_bucket[", "_bucket{job=\"prometheus\"}[")
        }
    }
}

fn start_prometheus(engine: &Engine, message: &str) -> (Peer, String) {
    let port = peer::free_port();
    let home = engine.artefacts();
    let config = format!(
        "global: {{ scrape_interval: 1s }}\n\
         scrape_configs:\n- job_name: prometheus\n  static_configs: [{{ targets: ['127.0.0.1:{port}'] }}]\n\
         remote_write:\n- url: {}/api/v1/write\n  protobuf_message: {message}\n  queue_config: {{ batch_send_deadline: 500ms }}\n",
        engine.url
    );
    let file = home.join("prometheus.yml");
    std::fs::write(&file, config).expect("the artefacts' folder can be written");
    let mut command = Command::new(tools::tool("prometheus"));
    command.arg(format!("--config.file={}", file.display())).arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.arg(format!("--storage.tsdb.path={}", engine.home().join("prometheus").display()));
    // Version 2 carries metadata with each series, which Prometheus keeps only with this feature.
    command.arg("--enable-feature=metadata-wal-records");
    let mut prometheus = Peer::start(&mut command, home.join("prometheus.log"));
    let url = format!("http://127.0.0.1:{port}");
    wait::until("Prometheus to be ready", 60, || {
        assert!(prometheus.ended().is_none(), "Prometheus ended:\n{}", prometheus.printed());
        http::try_get(&format!("{url}/-/ready"), &[])
            .and_then(|reply| if reply.status == 200 { Ok(()) } else { Err(reply.text()) })
    });
    (prometheus, url)
}

fn number(url: &str, query: &str) -> Option<f64> {
    let answer = http::get(&format!("{url}/api/v1/query"), &[("query", query)]).ok().json();
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

/// promtool's answer from us is promtool's answer from Prometheus.
fn same(engine: &Engine, url: &str, options: &[&str], rest: &[&str]) {
    let ours = ask(&engine.url, options, rest);
    let theirs = ask(url, options, rest);
    assert!(theirs != "[]" && !theirs.is_empty(), "Prometheus has no answer to {options:?} {rest:?}");
    if alike(&parsed(&ours), &parsed(&theirs)) {
        return;
    }
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    if lines(&ours) != lines(&theirs) {
        panic!("promtool query {options:?} {rest:?}\n--- apm\n{ours}\n--- Prometheus\n{theirs}");
    }
}

fn ask(url: &str, options: &[&str], rest: &[&str]) -> String {
    let (kind, options) = options.split_first().expect("the first word is the kind of query");
    let mut command = Command::new(tools::tool("promtool"));
    command.args(["query", "-o", "json", kind]).args(options).arg(url).args(rest);
    let output = command.output().expect("promtool starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {options:?} {rest:?} against {url}: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// Equal, whatever the order of a vector; numbers up to the last bits, because a sum may be taken in another order.
fn alike(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Null, Value::Null) => false,
        (Value::Array(ours), Value::Array(theirs)) => {
            let sorted = |values: &[Value]| {
                let mut values: Vec<&Value> = values.iter().collect();
                values.sort_by_key(|value| value["metric"].to_string());
                values.into_iter().cloned().collect::<Vec<Value>>()
            };
            let (ours, theirs) = (sorted(ours), sorted(theirs));
            ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(ours, theirs)| alike(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, value)| theirs.get(key).is_some_and(|other| alike(value, other)))
        }
        (Value::String(ours), Value::String(theirs)) => ours == theirs || close(ours.parse().ok(), theirs.parse().ok()),
        (ours, theirs) => ours == theirs,
    }
}

fn close(ours: Option<f64>, theirs: Option<f64>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-12 * ours.abs().max(theirs.abs()),
        _ => false,
    }
}

#[test]
fn the_comparison_sees_a_difference() {
    let check = |ours: &str, theirs: &str, same: bool| {
        assert_eq!(alike(&parsed(ours), &parsed(theirs)), same, "{ours} {theirs}")
    };
    let one = r#"[{"metric":{"job":"a"},"value":[1,"0.30000000000000004"]},{"metric":{"job":"b"},"value":[1,"2"]}]"#;
    check(one, one, true);
    check(one, r#"[{"metric":{"job":"b"},"value":[1,"2"]},{"metric":{"job":"a"},"value":[1,"0.3"]}]"#, true);
    check(one, r#"[{"metric":{"job":"a"},"value":[1,"0.3001"]},{"metric":{"job":"b"},"value":[1,"2"]}]"#, false);
    check(one, r#"[{"metric":{"job":"a"},"value":[1,"0.3"]}]"#, false);
    check(one, r#"[{"metric":{"job":"a"},"value":[2,"0.3"]},{"metric":{"job":"b"},"value":[1,"2"]}]"#, false);
    check("not json", "not json", false);
}
