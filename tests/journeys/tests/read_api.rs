//! The read API is Prometheus's: some hundreds of requests, good, bad and odd, go to the real server and to us over the same samples, and status, type and
//! JSON must be the same. Then its own clients: a Prometheus that reads from us and writes to us, and promtool.

use std::process::Command;

use serde_json::{Value, json};
use tests_journeys::prometheus::{Prometheus, alike, number};
use tests_journeys::remote_write::{Series, request};
use tests_journeys::{Engine, http, peer, tools, wait};

/// Between two samples, in seconds.
const STEP_S: i64 = 15;

/// Samples that end at `end_s`, in Unix seconds.
fn fixture(end_s: i64) -> Vec<Series> {
    let times = || (0..=20).map(move |i| (end_s - (20 - i) * STEP_S) * 1000);
    let points = |of: fn(i64) -> f64| (0..).zip(times()).map(|(i, time)| (time, of(i))).collect::<Vec<_>>();
    let own = |labels: &[(&'static str, &'static str)]| [&[("fixture", "yes")], labels].concat();
    let mut all = Vec::new();
    for (job, of) in [("a", (|_| 1.0) as fn(i64) -> f64), ("b", |i| (i % 2) as f64), ("c", |i| i as f64 * 0.1)] {
        all.push(Series::new(&own(&[("__name__", "api_up"), ("job", job)]), points(of)));
    }
    for (code, of) in [("200", (|i| (i * 30) as f64) as fn(i64) -> f64), ("500", |i| (i / 4) as f64)] {
        all.push(Series::new(&own(&[("__name__", "api_requests_total"), ("code", code), ("job", "a")]), points(of)));
    }
    let dotted = [("__name__", "api.dotted"), ("http.route", "/x"), ("ü", "ö\n\"\\")];
    all.push(Series::new(&own(&dotted), points(|i| i as f64)));
    let mut took = Series::new(&own(&[("__name__", "api_took"), ("job", "a")]), Vec::new());
    took.histograms = (0u64..).zip(times()).map(|(i, t)| (t, vec![i, 2 * i, 0, 3], i as f64 * 1.5)).collect();
    all.push(took);
    all
}

fn write(url: &str, body: &[u8]) {
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    http::post(&format!("{url}/api/v1/write"), &headers, body).ok();
}

/// The engine and a Prometheus with the same samples, and the time of the last, in Unix seconds.
fn both(journey: &str) -> (Engine, Prometheus, i64) {
    let engine = Engine::start_with(journey, &["--admin-api"], &[]);
    let flags = ["--web.enable-remote-write-receiver", "--web.enable-admin-api"];
    let prometheus = Prometheus::launch(&engine, peer::free_port(), "global: {}\n", &flags);
    let end_s = wait::now_s() as i64;
    let body = request(&fixture(end_s));
    write(&engine.url, &body);
    write(&prometheus.url, &body);
    (engine, prometheus, end_s)
}

/// One line of `data/read_api.txt`.
struct Asked<'l> {
    line: &'l str,
    /// Only status and fields are compared.
    loose: bool,
    methods: Vec<&'l str>,
    path: &'l str,
    parameters: Vec<(String, String)>,
}

impl<'l> Asked<'l> {
    fn parse(line: &'l str, end_s: i64) -> Self {
        let (loose, rest) = line.strip_prefix('~').map_or((false, line), |rest| (true, rest));
        let (methods, rest) = match rest.split_once(' ') {
            Some((method @ ("GET" | "POST" | "PUT"), rest)) => (vec![method], rest),
            _ => (vec!["GET", "POST"], rest),
        };
        let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), filled(value, end_s))
        };
        // A query may hold an `=`, never a `&`.
        let parameters = parameters.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
        Asked { line, loose, methods, path, parameters }
    }

    fn send(&self, url: &str, method: &str) -> http::Reply {
        let url = format!("{url}/api/v1/{}", self.path);
        let form = reqwest::Url::parse_with_params("http://x", &self.parameters).expect("parameters make a URL");
        let form = form.query().unwrap_or_default();
        match method {
            "POST" => http::post(&url, &[("content-type", "application/x-www-form-urlencoded")], form),
            method => http::request(method, &format!("{url}?{form}")),
        }
    }
}

/// `{-60}` is a time, `%2B` what a parameter cannot hold as it is.
fn filled(value: &str, end_s: i64) -> String {
    let value = value.replace("%2B", "+");
    let Some((offset, rest)) = value.strip_prefix('{').and_then(|rest| rest.split_once('}')) else { return value };
    match offset.parse::<i64>() {
        Ok(offset) => format!("{}{rest}", end_s + offset),
        Err(_) => value,
    }
}

/// What differs, if anything does.
fn difference(asked: &Asked<'_>, ours: &http::Reply, theirs: &http::Reply) -> Option<String> {
    let parsed = |reply: &http::Reply| serde_json::from_slice::<Value>(&reply.body).ok();
    let (mine, other) = (parsed(ours), parsed(theirs));
    let same_body = match (&mine, &other) {
        _ if asked.loose && other.is_none() => true,
        (Some(mine), Some(other)) if asked.loose => fields(mine, 2) == fields(other, 2),
        (Some(mine), Some(other)) => alike(mine, other),
        (mine, other) => mine == other,
    };
    let kind = |reply: &http::Reply| reply.header("content-type").unwrap_or_default().to_owned();
    let same_kind = asked.loose || kind(ours) == kind(theirs);
    let short = |reply: &http::Reply| {
        format!("{} {} {}", reply.status, kind(reply), reply.text().chars().take(700).collect::<String>())
    };
    let same = ours.status == theirs.status && same_body && same_kind;
    (!same).then(|| format!("{}\n    apm        {}\n    Prometheus {}", asked.line, short(ours), short(theirs)))
}

/// Names of fields down to a depth; what a list holds is data.
fn fields(value: &Value, depth: usize) -> Value {
    match value {
        Value::Object(map) if depth > 0 => {
            map.iter().map(|(name, value)| (name.clone(), fields(value, depth - 1))).collect()
        }
        Value::Object(_) => json!("object"),
        _ => Value::Null,
    }
}

#[test]
fn every_request_is_answered_as_prometheus_answers_it() {
    let (engine, prometheus, end_s) = both("read_api");
    let lines = include_str!("../data/read_api.txt").lines();
    let lines = lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut differences, mut count) = (Vec::new(), 0);
    for line in lines {
        let asked = Asked::parse(line, end_s);
        for method in &asked.methods {
            count += 1;
            let (ours, theirs) = (asked.send(&engine.url, method), asked.send(&prometheus.url, method));
            differences.extend(difference(&asked, &ours, &theirs).map(|told| format!("{method} {told}")));
        }
    }
    let _ = std::fs::write(engine.artefacts().join("differences.txt"), differences.join("\n"));
    assert!(count > 350, "{count} requests");
    assert!(differences.is_empty(), "{} of {count} differ\n{}", differences.len(), differences.join("\n"));
}

/// What we do otherwise on purpose; the guide of the API says so.
#[test]
fn what_differs_is_what_the_guide_says() {
    let (engine, prometheus, end_s) = both("read_api_otherwise");
    let status = |line: &str| {
        let asked = Asked::parse(line, end_s);
        let method = asked.methods[0];
        (asked.send(&engine.url, method), asked.send(&prometheus.url, method))
    };
    for (line, ours, theirs) in [
        // A time that is none is not silently another time.
        ("GET query?query=vector(1)&time=NaN", 400, 200),
        // Deleting everything takes more than two braces.
        ("POST admin/tsdb/delete_series?match[]={}", 400, 204),
    ] {
        let (a, b) = status(line);
        assert_eq!((a.status, b.status), (ours, theirs), "{line}\n{}\n{}", a.text(), b.text());
    }
    // Nothing lies in a range that ends before it begins.
    let (ours, _) = status("GET labels?match[]=api_up&start={0}&end={-60}");
    assert_eq!(ours.json()["data"], json!([]));
    // A series list that was cut says so.
    let (ours, _) = status("GET series?match[]=api_up&limit=1");
    assert_eq!(ours.json()["warnings"], json!(["results truncated due to limit"]));
}

#[test]
fn an_admin_deletes_on_both_sides_and_the_same_is_left() {
    let (engine, prometheus, end_s) = both("read_api_admin");
    let ask = |line: &str| {
        let asked = Asked::parse(line, end_s);
        let method = asked.methods[0];
        let (ours, theirs) = (asked.send(&engine.url, method), asked.send(&prometheus.url, method));
        assert_eq!(difference(&asked, &ours, &theirs), None);
    };
    ask("POST admin/tsdb/delete_series?match[]=api_up{job=\"a\"}");
    ask("POST admin/tsdb/delete_series?match[]=api_up{job=\"b\"}&start={-100}&end={-50}");
    for _ in 0..2 {
        ask("GET query?query=api_up[10m]&time={0}");
        ask("POST admin/tsdb/clean_tombstones");
    }
    // Prometheus lists a series without samples until its head is cut.
    let series = http::get(&format!("{}/api/v1/series", engine.url), &[("match[]", "api_up")]).ok().json();
    assert_eq!(series["data"].as_array().map(Vec::len), Some(2), "{series}");
    let reply = engine.post("/api/v1/admin/tsdb/snapshot", &[], "").ok().json();
    let name = reply["data"]["name"].as_str().expect("a snapshot has a name").to_owned();
    assert!(engine.data().join("snapshots").join(&name).join("metrics/MANIFEST").is_file(), "{name}");
}

#[test]
fn prometheus_reads_from_us_as_if_it_were_its_own() {
    let engine = Engine::start("remote_read");
    let end_s = wait::now_s() as i64;
    write(&engine.url, &request(&fixture(end_s)));
    let config = format!("global: {{}}\nremote_read:\n- url: {}/api/v1/read\n  read_recent: true\n", engine.url);
    let prometheus = Prometheus::launch(&engine, peer::free_port(), &config, &[]);
    for line in [
        "GET query?query=api_up&time={0}",
        "GET query?query={fixture=\"yes\"}[10m]&time={0}",
        "GET query?query={\"api.dotted\"}&time={0}",
        "GET query?query=api_took&time={0}",
        "GET query_range?query=sum by (code) (rate(api_requests_total[1m]))&start={-200}&end={0}&step=5",
        "GET query_range?query=histogram_quantile(0.5, rate(api_took[1m]))&start={-200}&end={0}&step=5",
        "GET query?query=nothing&time={0}",
    ] {
        let asked = Asked::parse(line, end_s);
        let (ours, theirs) = (asked.send(&engine.url, "GET"), asked.send(&prometheus.url, "GET"));
        let found = theirs.json()["data"]["result"].as_array().map_or(0, Vec::len);
        assert_eq!(found == 0, line.contains("nothing"), "{line}: {}", theirs.text());
        assert_eq!(difference(&asked, &ours, &theirs), None);
    }
}

#[test]
fn prometheus_writes_by_the_second_version_and_nothing_is_lost() {
    let engine = Engine::start("remote_write_2");
    let port = peer::free_port();
    let config = format!(
        "global: {{ scrape_interval: 1s, scrape_native_histograms: true }}\n\
         scrape_configs:\n- job_name: prometheus\n  static_configs: [{{ targets: ['127.0.0.1:{port}'] }}]\n\
         remote_write:\n- url: {}/api/v1/write\n  protobuf_message: io.prometheus.write.v2.Request\n  send_exemplars: true\n\
         \x20 send_native_histograms: true\n  queue_config: {{ batch_send_deadline: 500ms }}\n",
        engine.url
    );
    let flags = ["--enable-feature=exemplar-storage"];
    let prometheus = Prometheus::launch(&engine, port, &config, &flags);
    let at = prometheus.wait_for_history(&engine, 8.0);
    let time = format!("{at:.3}");
    for query in [
        "up{job=\"prometheus\"}",
        "count({job=\"prometheus\"})",
        "prometheus_http_requests_total{job=\"prometheus\"}",
        "histogram_count(prometheus_http_request_duration_seconds{job=\"prometheus\"})",
        "histogram_quantile(0.9, rate(prometheus_http_request_duration_seconds{job=\"prometheus\"}[5s]))",
    ] {
        let ask = |url: &str| {
            http::get(&format!("{url}/api/v1/query"), &[("query", query), ("time", &time)]).ok().json()["data"].take()
        };
        let (ours, theirs) = (ask(&engine.url), ask(&prometheus.url));
        assert!(theirs["result"].as_array().is_some_and(|found| !found.is_empty()), "{query}: {theirs}");
        assert!(alike(&ours, &theirs), "{query}\n{ours}\n{theirs}");
    }
    // It counts what our headers do not confirm as failed.
    for kind in ["samples", "histograms", "exemplars"] {
        let failed = format!("sum(prometheus_remote_storage_{kind}_failed_total)");
        assert_eq!(number(&prometheus.url, &failed), Some(0.0), "{failed}");
    }
    let sent = number(&prometheus.url, "sum(prometheus_remote_storage_histograms_total)");
    assert!(sent.is_some_and(|sent| sent > 0.0), "native histograms were sent: {sent:?}");
}

#[test]
fn promtool_finds_what_it_wants() {
    let (engine, prometheus, end_s) = both("read_api_promtool");
    let promtool = |words: &[&str]| {
        let output = Command::new(tools::tool("promtool")).args(words).output().expect("promtool starts");
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&engine.url, "URL").replace(&prometheus.url, "URL");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    for url in [&engine.url, &prometheus.url] {
        for what in ["healthy", "ready"] {
            let (code, _, error) = promtool(&["check", what, "--url", url]);
            assert_eq!(code, Some(0), "promtool check {what}: {error}");
        }
    }
    let (start, end, time) = (format!("{}", end_s - 200), format!("{end_s}"), format!("--time={end_s}"));
    for words in [
        ["query", "analyze", "--type=histogram", "--match=api_took", &time, "--duration=5m", "--server"].as_slice(),
        &["query", "labels", "--start", &start, "--end", &end, "--match=api_up"],
        &["query", "series", "--start", &start, "--end", &end, "--match={\"api.dotted\"}"],
        &["query", "instant", &time],
        &["query", "range", "--start", &start, "--end", &end, "--step=15s"],
    ] {
        let rest: &[&str] = match words[1] {
            "labels" => &["job"],
            "instant" => &["api_took"],
            "range" => &["sum(rate(api_requests_total[1m]))"],
            _ => &[],
        };
        let ask = |url: &str| promtool(&[words, &[url], rest].concat());
        let (ours, theirs) = (ask(&engine.url), ask(&prometheus.url));
        assert_eq!((theirs.0, theirs.1.is_empty()), (Some(0), false), "{words:?}: {}", theirs.2);
        assert_eq!(ours, theirs, "{words:?}");
    }
}
