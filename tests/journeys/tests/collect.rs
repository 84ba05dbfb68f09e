//! A collector on a node: what it acknowledged reaches the engine, whoever of the two is killed; what it scrapes and tails is what a real Prometheus
//! and the engine have; and while the engine is away it keeps to its memory.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests_journeys::prometheus::Prometheus;
use tests_journeys::{Engine, Peer, engine, http, otlp, peer, wait};

/// Far below what is sent to a collector whose engine is away.
const RSS_BYTES_MAX: u64 = 150 << 20;

/// The real `apm collect` on ports that stay, so that senders find it again.
struct Collector {
    peer: Peer,
    home: TempDir,
    log: PathBuf,
    words: Vec<String>,
    url: String,
    otlp_http: String,
}

impl Collector {
    fn start(engine: &Engine, name: &str, words: &[&str]) -> Self {
        let home = tempfile::Builder::new().prefix("apm-collect-").tempdir().expect("a temporary folder");
        let ports = [peer::free_port(), peer::free_port()].map(|port| format!("127.0.0.1:{port}"));
        let fixed = ["--listen", &ports[0], "--otlp-http", &ports[1], "--otlp-grpc", "off"];
        let words: Vec<String> = fixed.iter().chain(words).map(|word| (*word).to_owned()).collect();
        let log = engine.artefacts().join(format!("{name}.log"));
        let [url, otlp_http] = ports.map(|address| format!("http://{address}"));
        let mut collector = Self { peer: spawn(home.path(), &words, &log), home, log, words, url, otlp_http };
        collector.wait_ready();
        collector
    }

    fn kill_and_restart(&mut self) {
        self.peer.kill();
        self.peer = spawn(self.home.path(), &self.words, &self.log);
        self.wait_ready();
    }

    fn wait_ready(&mut self) {
        wait::until("the collector to be ready", 60, || {
            if let Some(status) = self.peer.ended() {
                panic!("the collector ended with {status}:\n{}", self.peer.printed());
            }
            let reply = http::try_get(&format!("{}/-/ready", self.url), &[])?;
            if reply.status == 200 { Ok(()) } else { Err(reply.text()) }
        });
    }

    /// The sum of its own samples of this name.
    fn own(&self, name: &str) -> f64 {
        let text = http::get(&format!("{}/metrics", self.url), &[]).ok().text();
        let value = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let is_it = series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
            is_it.then(|| value.parse::<f64>().ok()).flatten()
        };
        text.lines().filter_map(value).sum()
    }
}

fn spawn(home: &Path, words: &[String], log: &Path) -> Peer {
    let mut command = engine::command(home, &engine::apm());
    command.arg("collect").arg("--queue").arg(home.join("queue")).args(words);
    Peer::start(&mut command, log.to_path_buf())
}

fn engine_on_a_port(journey: &str) -> Engine {
    let listen = format!("127.0.0.1:{}", peer::free_port());
    Engine::start_with(journey, &["--listen", &listen], &[])
}

/// Records of one signal: what was tried and what was acknowledged, by number.
#[derive(Default)]
struct Sent {
    tried: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
}

const SERVICE: &str = "collected";

impl Sent {
    fn send(&mut self, collector: &Collector, start_ns: u64, signal: &str, number: u64) {
        let time_ns = start_ns + number * 1_000_000;
        let body = match signal {
            "traces" => otlp::spans(SERVICE, &[otlp::span(number, "GET /", time_ns, 1000)]),
            "logs" => otlp::logs(SERVICE, &[(time_ns, &format!("record {number}"))]),
            _ => otlp::gauge(SERVICE, "collected_number", &[(time_ns, number as f64)]),
        };
        self.tried.insert(number);
        let headers = [("content-type", "application/json")];
        let url = format!("{}/v1/{signal}", collector.otlp_http);
        if http::try_post(&url, &headers, body.to_string().into_bytes()).is_ok_and(|reply| reply.status == 200) {
            self.acknowledged.insert(number);
        }
    }

    fn judge(&self, signal: &str, mut found: Vec<u64>) {
        found.sort_unstable();
        let distinct: BTreeSet<u64> = found.iter().copied().collect();
        assert_eq!(found.len(), distinct.len(), "{signal}: some are there twice");
        let lost: Vec<_> = self.acknowledged.difference(&distinct).collect();
        assert!(lost.is_empty(), "{signal}: acknowledged and lost: {lost:?}");
        let strange: Vec<_> = distinct.difference(&self.tried).collect();
        assert!(strange.is_empty(), "{signal}: never sent: {strange:?}");
    }
}

fn lines(engine: &Engine, start_ns: u64) -> Vec<u64> {
    let query = format!("{{service_name=\"{SERVICE}\"}}");
    let (start, end) = (start_ns.to_string(), wait::now_ns().to_string());
    let parameters = [("query", query.as_str()), ("limit", "5000"), ("start", &start), ("end", &end)];
    let data = engine.loki("query_range", &parameters);
    let streams = data["result"].as_array().cloned().unwrap_or_default();
    let values = streams.iter().flat_map(|stream| stream["values"].as_array().cloned().unwrap_or_default());
    values.filter_map(|pair| pair[1].as_str()?.strip_prefix("record ")?.parse().ok()).collect()
}

fn samples(engine: &Engine) -> Vec<u64> {
    let data = engine.prometheus("query", &[("query", "collected_number[2h]")]);
    let values = data["result"][0]["values"].as_array().cloned().unwrap_or_default();
    values.iter().filter_map(|pair| pair[1].as_str()?.parse().ok()).collect()
}

/// How often the trace's span is there.
fn has_trace(engine: &Engine, number: u64) -> usize {
    let reply = engine.get(&format!("/api/traces/{}", otlp::trace_id(number)), &[]);
    if reply.status != 200 {
        return 0;
    }
    reply.json()["data"][0]["spans"].as_array().map_or(0, Vec::len)
}

#[test]
fn what_was_acknowledged_reaches_the_engine_whoever_is_killed() {
    let mut engine = engine_on_a_port("collect");
    let url = engine.url.clone();
    let mut collector = Collector::start(&engine, "collector", &["--forward", &url, "--node", "worker-1"]);
    let start_ns = (wait::now_ns() / 1_000_000 - 1_800_000) * 1_000_000;
    let mut sent = [("traces", Sent::default()), ("logs", Sent::default()), ("metrics", Sent::default())];
    let mut next = 0;
    for round in 0..6 {
        if round % 2 == 1 {
            engine.kill();
        }
        // Killed with requests on their way, from another thread than the one that sends them.
        let doomed = (round % 3 == 2).then(|| collector.peer.pid());
        let killer = doomed.map(|pid| {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(150));
                peer::signal(pid, rustix::process::Signal::KILL);
            })
        });
        for _ in 0..60 {
            next += 1;
            for (signal, sent) in &mut sent {
                sent.send(&collector, start_ns, signal, next);
            }
        }
        if let Some(killer) = killer {
            killer.join().expect("the killer ends");
            collector.kill_and_restart();
        }
        if round % 2 == 1 {
            engine.restart();
        }
    }
    wait::until("all to be sent", 60, || match collector.own("apm_forward_queue_bytes") {
        0.0 => Ok(()),
        bytes => Err((bytes, collector.peer.printed())),
    });
    let acknowledged: usize = sent.iter().map(|(_, sent)| sent.acknowledged.len()).sum();
    println!("{acknowledged} of {} records were acknowledged", 3 * next);
    assert!(acknowledged > 3 * 60 * 4, "too few were taken for this to say much");
    let [(_, traces), (_, logs), (_, metrics)] = &sent;
    logs.judge("logs", lines(&engine, start_ns));
    metrics.judge("metrics", samples(&engine));
    for number in &traces.acknowledged {
        assert_eq!(has_trace(&engine, *number), 1, "trace {number}");
    }
    assert_eq!(collector.own("apm_forward_dropped_items_total"), 0.0);
}

#[test]
fn an_engine_that_is_away_costs_disk_and_no_memory_and_a_full_queue_is_said() {
    let mut engine = engine_on_a_port("collect_away");
    let url = engine.url.clone();
    let collector =
        Collector::start(&engine, "collector", &["--forward", &url, "--node", "worker-1", "--queue-size", "64MB"]);
    engine.kill();
    let line = |number: u64| {
        // Hard to pack.
        let mut noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let word = |_| {
            noise = noise.rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            format!("{noise:016x}")
        };
        (0..256).map(word).collect::<String>()
    };
    let start_ns = wait::now_ns();
    let (mut rss_max, mut refused, mut taken) = (0, None, 0);
    for request in 0..2000u64 {
        let texts: Vec<String> = (0..16).map(|i| line(request * 16 + i)).collect();
        let rows: Vec<(u64, &str)> =
            texts.iter().enumerate().map(|(i, text)| (start_ns + request * 16 + i as u64, text.as_str())).collect();
        let reply = http::post_json(&format!("{}/v1/logs", collector.otlp_http), &otlp::logs(SERVICE, &rows));
        rss_max = rss_max.max(rss(collector.peer.pid()));
        if reply.status != 200 {
            refused = Some(reply);
            break;
        }
        taken += 16;
    }
    let refused = refused.expect("a queue of 64 MB has an end");
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    println!(
        "{taken} lines wait, {} MB on the disk, {} MB resident",
        collector.own("apm_forward_disk_bytes") as u64 >> 20,
        rss_max >> 20
    );
    assert!(rss_max < RSS_BYTES_MAX, "{} MB resident", rss_max >> 20);
    assert!(collector.own("apm_forward_disk_bytes") <= (64 << 20) as f64);
    assert!(collector.own("apm_forward_lag_seconds") > 0.0);
    assert!(collector.own("apm_forward_full_total") >= 1.0);
    // The log comes by a pipe, a moment after the answer.
    wait::until("the log to say it once", 10, || match collector.peer.printed().matches("is full").count() {
        1 => Ok(()),
        times => Err(times as f64),
    });
    engine.restart();
    wait::until("all to be sent", 120, || match collector.own("apm_forward_queue_bytes") {
        0.0 => Ok(()),
        bytes => Err(bytes),
    });
    let query = format!("sum(count_over_time({{service_name=\"{SERVICE}\"}}[1h]))");
    let end = (wait::now_ns() + 10_000_000_000).to_string();
    let counted = engine.loki("query", &[("query", query.as_str()), ("time", &end)]);
    assert_eq!(counted["result"][0]["value"][1], json!(taken.to_string()), "{counted}");
}

fn rss(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().map_or(0, |kib| kib * 1024)
}

const TARGET: &str = "# TYPE odd gauge\nodd{which=\"small\"} 5e-324\nodd{which=\"third\"} 0.3333333333333333\nodd{which=\"large\"} 1.7976931348623157e308\n\
                      odd{which=\"none\"} NaN\nodd{which=\"all\"} +Inf\nodd{which=\"ö\\\"\\\\\\n\"} -0\n# TYPE calls_total counter\ncalls_total 9007199254740991\n";

/// Something that is scraped and never changes.
fn target() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{TARGET}", TARGET.len());
        }
    });
    address
}

/// Series of the job with their values, as the API writes them.
fn scraped(url: &str) -> BTreeSet<String> {
    let answer =
        http::get(&format!("{url}/api/v1/query"), &[("query", "{job=\"fixed\",__name__!~\"scrape_.+\"}")]).ok().json();
    let rows = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row: &Value| format!("{} {}", row["metric"], row["value"][1])).collect()
}

#[test]
fn what_is_scraped_and_tailed_is_in_the_engine_and_in_a_real_prometheus() {
    let engine = engine_on_a_port("collect_scrape");
    let prometheus = Prometheus::receiving(&engine);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = target();
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: fixed\n  static_configs: [{{ targets: ['{address}'], labels: {{ node: $(NODE_NAME) }} }}]\n"
    );
    fs::write(folder.path().join("prometheus.yml"), config).expect("written");
    let scrape = folder.path().join("prometheus.yml").display().to_string();
    let logs = folder.path().join("pods/shop_cart-0_uid-1/cart");
    fs::create_dir_all(&logs).expect("made");
    let date = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%NZ"]).output().expect("date runs");
    let time = String::from_utf8_lossy(&date.stdout).trim().to_owned();
    fs::write(logs.join("0.log"), format!("{time} stdout F it began\n")).expect("written");
    let pods = folder.path().join("pods").display().to_string();
    fs::write(
        folder.path().join("apm.yaml"),
        format!("forward: {{ prometheus: '{}/api/v1/write' }}\n", prometheus.url),
    )
    .expect("written");
    let apm_yaml = folder.path().join("apm.yaml").display().to_string();
    let words = ["--node", "worker-1", "--scrape", &scrape];
    let to_engine = [&["--forward", &engine.url, "--pod-logs", &pods], &words[..]].concat();
    let first = Collector::start(&engine, "to-engine", &to_engine);
    let second = Collector::start(&engine, "to-prometheus", &[&["--config", &apm_yaml], &words[..]].concat());

    let both = wait::until("the same samples in both", 60, || {
        let (ours, theirs) = (scraped(&engine.url), scraped(&prometheus.url));
        // Seven samples and `up`.
        if ours.len() == 8 && ours == theirs { Ok(ours) } else { Err((ours, theirs)) }
    });
    assert!(both.iter().all(|row| row.contains("worker-1")), "{both:?}");
    assert!(both.iter().any(|row| row.ends_with("\"5e-324\"")), "{both:?}");
    for url in [&engine.url, &prometheus.url] {
        wait::until("the node's own metrics", 60, || {
            let found = tests_journeys::prometheus::number(
                url,
                "node_memory_MemTotal_bytes{job=\"node\",instance=\"worker-1\"}",
            );
            let own =
                tests_journeys::prometheus::number(url, "apm_build_info{job=\"apm-collect\",instance=\"worker-1\"}");
            if found > Some(0.0) && own == Some(1.0) { Ok(()) } else { Err((found, own)) }
        });
    }
    wait::until("the pod's line", 60, || {
        let data = engine.loki("query_range", &[("query", "{k8s_namespace_name=\"shop\"}")]);
        let row = &data["result"][0];
        if row["values"][0][1] == json!("it began") { Ok(()) } else { Err((data, first.peer.printed())) }
    });
    assert_eq!(first.own("apm_forward_dropped_items_total") + second.own("apm_forward_dropped_items_total"), 0.0);
}
