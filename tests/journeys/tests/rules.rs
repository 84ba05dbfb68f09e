//! Rules as Prometheus evaluates them: the same samples and the same files at a real Prometheus and at us come to the same series, the same states and the
//! same alerts at an Alertmanager. And `apm test rules` says of promtool's unit tests what promtool says.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tests_journeys::prometheus::{Prometheus, alike};
use tests_journeys::remote_write::{Series, request};
use tests_journeys::{Engine, http, peer, wait};

const RULES: &str = r#"
groups:
- name: shop
  interval: 1s
  labels: {team: shop, tier: group}
  rules:
  - record: job:errors:ratio
    expr: sum by (job) (errors) / sum by (job) (requests)
    labels: {tier: rule}
  - alert: HighErrors
    expr: job:errors:ratio > 0.1
    for: 2s
    keep_firing_for: 3s
    labels:
      severity: '{{ if gt $value 0.5 }}page{{ else }}ticket{{ end }}'
    annotations:
      summary: '{{ $labels.job }} fails {{ $value | humanizePercentage }} of {{ with printf "sum(requests{job=%q})" .Labels.job | query }}{{ . | first | value | humanize }}{{ end }} at {{ $externalLabels.site }}'
  - alert: Slow
    expr: errors > 0
    for: 20m
- name: broken
  interval: 1s
  limit: 1
  rules:
  - record: too_many
    expr: requests
  - record: the_same
    expr: requests
    labels: {job: x}
  - alert: TwiceTheSame
    expr: requests
    labels: {job: x}
  - record: many_to_many
    expr: requests * on(nothing) requests
"#;

/// A small Alertmanager: keeps what is posted; the first so many posts are refused.
struct Listener {
    url: String,
    posts: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Listener {
    fn start(refused: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = listener.local_addr().expect("an address").to_string();
        let posts = Arc::<Mutex<Vec<(String, Value)>>>::default();
        let (kept, left) = (posts.clone(), AtomicU64::new(refused));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut reader = BufReader::new(stream.try_clone().expect("a handle can be doubled"));
                let (mut first, mut length) = (String::new(), 0);
                let _ = reader.read_line(&mut first);
                loop {
                    let mut line = String::new();
                    let _ = reader.read_line(&mut line);
                    let line = line.trim().to_ascii_lowercase();
                    if let Some(text) = line.strip_prefix("content-length:") {
                        length = text.trim().parse().unwrap_or(0);
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                let _ = reader.read_exact(&mut body);
                let fine = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err();
                let status = if fine { "200 OK" } else { "503 Service Unavailable" };
                if fine {
                    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                    kept.lock().push((path, serde_json::from_slice(&body).unwrap_or(Value::Null)));
                }
                let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        Listener { url, posts }
    }

    /// What was heard of alerts, each kind once: its labels, its annotations, where it comes from, and whether it has ended.
    fn heard(&self) -> Vec<Value> {
        let now = wait::now_s();
        let mut heard: Vec<Value> = Vec::new();
        for alert in self.posts.lock().iter().flat_map(|(_, body)| body.as_array().cloned().unwrap_or_default()) {
            let path = alert["generatorURL"].as_str().and_then(|url| url.split_once("/graph")).map(|(_, path)| path);
            let ended = seconds(&alert["endsAt"]) <= now;
            assert!(seconds(&alert["startsAt"]) <= now && seconds(&alert["startsAt"]) > now - 300.0, "{alert}");
            let shown =
                json!({"labels": alert["labels"], "annotations": alert["annotations"], "from": path, "ended": ended});
            if !heard.contains(&shown) {
                heard.push(shown);
            }
        }
        heard.sort_by_key(Value::to_string);
        heard
    }
}

/// Seconds since 1970 of an RFC 3339 time of today or the days around it: only the clock's part is compared.
fn seconds(time: &Value) -> f64 {
    let text = time.as_str().unwrap_or_default();
    let (date, clock) = text.split_once('T').expect("a time");
    let parts: Vec<f64> = clock.trim_end_matches('Z').split(':').map(|part| part.parse().unwrap_or(0.0)).collect();
    let days: Vec<i64> = date.split('-').map(|part| part.parse().unwrap_or(0)).collect();
    // Days since 1970 of the civil calendar (Howard Hinnant's `days_from_civil`).
    let (year, month, day) = (days[0] - i64::from(days[1] <= 2), days[1], days[2]);
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let number = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    number as f64 * 86_400.0 + parts[0] * 3600.0 + parts[1] * 60.0 + parts[2]
}

/// What both must say alike: series of rules, rules and alerts, without times.
fn told(url: &str) -> Value {
    let get = |path: &str, parameters: &[(&str, &str)]| {
        http::get(&format!("{url}/api/v1/{path}"), parameters).ok().json()["data"].take()
    };
    let series = |query: &str| {
        let mut found = get("query", &[("query", query)])["result"].take();
        let list = found.as_array_mut().expect("a vector");
        // Moments differ, and with them since when something holds.
        list.iter_mut().for_each(|series| series["value"] = series["value"][1].take());
        list.sort_by_key(|series| series["metric"].to_string());
        found
    };
    let mut rules = get("rules", &[]);
    for group in rules["groups"].as_array_mut().expect("groups") {
        (group["evaluationTime"], group["lastEvaluation"]) = (Value::Null, Value::Null);
        group["file"] = Value::Null;
        for rule in group["rules"].as_array_mut().expect("rules") {
            (rule["evaluationTime"], rule["lastEvaluation"]) = (Value::Null, Value::Null);
            without_times(&mut rule["alerts"]);
            if let Some(error) = rule["lastError"].as_str() {
                // Which of two duplicates is named first is left to chance.
                rule["lastError"] = error.split("[{").next().unwrap_or_default().into();
            }
        }
    }
    let mut alerts = get("alerts", &[])["alerts"].take();
    without_times(&mut alerts);
    json!({
        "alerts series": series("ALERTS"),
        "for state": series("ALERTS_FOR_STATE * 0"),
        "recorded": series("{__name__=~\"job:.*|too_many|the_same|many_to_many\"}"),
        "rules": rules,
        "alerts": alerts,
    })
}

fn without_times(alerts: &mut Value) {
    if let Some(alerts) = alerts.as_array_mut() {
        for alert in alerts.iter_mut() {
            alert["activeAt"] = Value::Null;
            if alert["keepFiringSince"].is_string() {
                alert["keepFiringSince"] = Value::Null;
            }
        }
        alerts.sort_by_key(|alert| alert["labels"].to_string());
    }
}

#[test]
fn rules_come_to_what_they_come_to_in_prometheus() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file is written");
    let (ours, theirs) = (Listener::start(2), Listener::start(0));
    let config = |listener: &Listener, rules: &str| {
        format!(
            "global: {{ evaluation_interval: 1s, external_labels: {{ site: ulm }} }}\nrule_files: ['{rules}']\nalerting:\n\
             \x20 alertmanagers:\n  - path_prefix: /am/\n    timeout: 2s\n    static_configs: [{{ targets: ['{}'] }}]\n",
            listener.url
        )
    };
    write("shop-rules.yml", RULES);
    write("apm.yaml", "version: 1\nobserve: { scrape: prometheus.yml }\n");
    write("prometheus.yml", &config(&ours, "*-rules.yml"));
    let settings = folder.path().join("apm.yaml");
    let mut engine = Engine::start_with("rules", &["--config", settings.to_str().expect("UTF-8")], &[]);
    let rules = folder.path().join("shop-rules.yml");
    let prometheus = Prometheus::launch(
        &engine,
        peer::free_port(),
        &config(&theirs, &rules.display().to_string()),
        &["--web.enable-remote-write-receiver"],
    );

    let push = |engine: &Engine, errors: [f64; 2]| {
        let now_ms = (wait::now_s() * 1000.0) as i64;
        let one =
            |name: &str, job: &str, value: f64| Series::new(&[("__name__", name), ("job", job)], vec![(now_ms, value)]);
        let series = [
            one("requests", "cart", 2000.0),
            one("requests", "pay", 1234.5),
            one("errors", "cart", errors[0]),
            one("errors", "pay", errors[1]),
        ];
        for url in [&engine.url, &prometheus.url] {
            let headers = [
                ("content-type", "application/x-protobuf"),
                ("content-encoding", "snappy"),
                ("x-prometheus-remote-write-version", "0.1.0"),
            ];
            http::post(&format!("{url}/api/v1/write"), &headers, request(&series)).ok();
        }
    };
    let both = |engine: &Engine, what: &str, reached: &dyn Fn(&Value) -> bool| {
        let _ = fs::create_dir_all(engine.artefacts());
        wait::until(what, 60, || {
            let (ours, theirs) = (told(&engine.url), told(&prometheus.url));
            let _ = fs::write(engine.artefacts().join("ours.json"), format!("{ours:#}"));
            let _ = fs::write(engine.artefacts().join("theirs.json"), format!("{theirs:#}"));
            match (alike(&ours, &theirs), reached(&ours)) {
                (true, true) => Ok(ours),
                (alike, reached) => Err(format!("alike: {alike}, reached: {reached}; see ours.json and theirs.json")),
            }
        })
    };
    let state_of = |told: &Value, name: &str| -> Vec<String> {
        let alerts = told["alerts"].as_array().cloned().unwrap_or_default();
        let named = alerts.iter().filter(|alert| alert["labels"]["alertname"] == name);
        named.map(|alert| format!("{} {}", alert["labels"]["job"], alert["state"]).replace('"', "")).collect()
    };

    push(&engine, [1500.0, 0.0]);
    let fired = both(&engine, "the alert to fire at both", &|told| state_of(told, "HighErrors") == ["cart firing"]);
    assert_eq!(state_of(&fired, "Slow"), ["cart pending"]);
    assert_eq!(fired["recorded"].as_array().map(Vec::len), Some(2), "{fired:#}");
    let summary = "cart fails 75% of 2k at ulm";
    assert!(
        fired["alerts"].to_string().contains(summary) && fired["alerts"].to_string().contains("\"page\""),
        "{fired:#}"
    );
    let broken = fired["rules"]["groups"].as_array().expect("groups").iter().find(|group| group["name"] == "broken");
    let broken = &broken.expect("the group of broken rules")["rules"];
    assert!(broken.as_array().expect("rules").iter().all(|rule| rule["health"] == "err"), "{broken:#}");

    // Another of the same rule, and the first with other labels: what had them ends.
    push(&engine, [400.0, 1000.0]);
    let moved = both(&engine, "the other alert to fire at both", &|told| {
        state_of(told, "HighErrors") == ["cart firing", "pay firing"] && told["alerts"].to_string().contains("ticket")
    });
    assert_eq!(state_of(&moved, "Slow"), ["cart pending", "pay pending"]);

    // A restart: `for` of the slow one goes on where it stood, and Prometheus is left as it is.
    let since = |engine: &Engine| -> Vec<f64> {
        let found = engine.prometheus("alerts", &[])["alerts"].take();
        let slow: Vec<Value> = found.as_array().cloned().unwrap_or_default();
        let slow = slow.iter().filter(|alert| alert["labels"]["alertname"] == "Slow");
        slow.map(|alert| seconds(&alert["activeAt"])).collect()
    };
    let before = since(&engine);
    engine.kill();
    let killed_at = wait::now_s();
    engine.restart();
    let restored = wait::until("what was stored to be taken up", 30, || match since(&engine) {
        since if since.len() == 2 && since.iter().all(|since| *since < killed_at) => Ok(since),
        since => Err((since, killed_at)),
    });
    assert!(before.iter().zip(&restored).all(|(before, after)| after >= before), "{before:?} {restored:?}");
    both(&engine, "both to say the same after the restart", &|told| {
        told["alerts series"].to_string().contains("pending")
    });

    push(&engine, [0.0, 0.0]);
    both(&engine, "all to be well at both", &|told| {
        told["alerts"].as_array().is_some_and(Vec::is_empty)
            && told["alerts series"].as_array().is_some_and(Vec::is_empty)
    });
    wait::until("both Alertmanagers to have heard the same", 90, || {
        let (ours, theirs) = (ours.heard(), theirs.heard());
        if ours == theirs && ours.iter().any(|alert| alert["ended"] == true) { Ok(()) } else { Err((ours, theirs)) }
    });
    assert!(ours.posts.lock().iter().all(|(path, _)| path == "/am/api/v2/alerts"));
    let managers = engine.prometheus("alertmanagers", &[]);
    assert_eq!(managers["activeAlertmanagers"][0]["url"], format!("http://{}/am/api/v2/alerts", ours.url));

    // A file that is wrong changes nothing; one without the group ends its series.
    write("shop-rules.yml", &RULES.replace("sum by (job) (errors) /", "sum by (job) (errors /"));
    let reply = engine.post("/-/reload", &[], "");
    assert_eq!(reply.status, 500, "{}", reply.text());
    assert!(reply.text().contains("shop-rules.yml:8:"), "{}", reply.text());
    assert_eq!(engine.prometheus("rules", &[])["groups"].as_array().map(Vec::len), Some(2));
    write("shop-rules.yml", "groups: []\n");
    assert_eq!(engine.post("/-/reload", &[], "").status, 200);
    wait::until("the rules to be gone", 30, || match engine.prometheus("rules", &[]) {
        rules if rules == json!({"groups": []}) => Ok(()),
        rules => Err(rules),
    });
    wait::until("the recorded series to have ended", 30, || match engine.number("count(job:errors:ratio)") {
        None => Ok(()),
        found => Err(found),
    });
}

#[test]
fn unit_tests_come_to_what_promtool_says() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/rules");
    let mut files: Vec<_> =
        fs::read_dir(&data).expect("the folder of data").map(|e| e.expect("an entry").path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".test.yml"));
    files.sort();
    let run = |program: &Path, words: &[&str], file: &Path| {
        let output = std::process::Command::new(program).args(words).arg(file).output().expect("it starts");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    };
    let apm = std::env::var_os("APM_BIN").map(std::path::PathBuf::from).expect("APM_BIN names the program");
    let promtool = tests_journeys::tools::tool("promtool");
    let (mut good, mut bad) = (0, 0);
    for file in &files {
        let ((ours, we_said), (theirs, they_said)) =
            (run(&apm, &["test", "rules"], file), run(&promtool, &["test", "rules"], file));
        assert_eq!(ours, theirs, "{}\n--- apm\n{we_said}\n--- promtool\n{they_said}", file.display());
        // Each tells which cases are wrong: the expectations that were missed are said by both.
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        assert_eq!(ours, name.starts_with("good"), "{name}: {we_said}");
        if ours { good += 1 } else { bad += 1 }
    }
    assert!(good >= 5 && bad >= 10, "{good} good and {bad} wrong files");
}
