//! `apm collect` before an engine: what is sent to it, scraped and tailed by it is in the engine, also what came while the engine was away; and a
//! reload of what it scrapes.

use std::process::Command;

use rustix::process::Signal;

use crate::engine::{Engine, gauge, log, now_ns, span};
use crate::home::{Home, Started, until};
use crate::http::{Reply, Server, ask};

const TRACE: &str = "0000000000000000000000000000c011";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// A collector that is ready, and where it listens.
pub(crate) struct Collector {
    pub(crate) started: Started,
    pub(crate) here: String,
    pub(crate) otlp: String,
}

impl Collector {
    pub(crate) fn start(home: &Home, words: &[&str]) -> Collector {
        let free = ["--listen", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"];
        let started = home.start(home.apm(&[&["collect"], &free[..], words].concat()).env("ZONE", "b"));
        started.shows("Ctrl-C ends it.");
        let printed = started.stdout();
        let word = |key: &str, kind: &str| {
            let mut lines = printed.lines().filter_map(|line| line.trim().strip_prefix(key));
            let line = lines.find(|line| line.ends_with(kind)).unwrap_or_else(|| panic!("no {key}{kind}:\n{printed}"));
            line.split_whitespace().next().unwrap_or_default().to_owned()
        };
        let (here, otlp) = (word("here", ""), word("otlp", "http"));
        Collector { started, here, otlp }
    }

    pub(crate) fn post(&self, url: &str, body: &str) -> Reply {
        ask("POST", url, &JSON, body).unwrap_or_else(|error| panic!("{url}: {error}\n{}", self.started.stderr()))
    }

    pub(crate) fn send(&self, signal: &str, body: &serde_json::Value) {
        let reply = self.post(&format!("{}/v1/{signal}", self.otlp), &body.to_string());
        assert_eq!(reply.status, 200, "{signal}: {}", reply.body);
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        ask("GET", &format!("{}{path}", self.here), &[], "").expect("an answer")
    }
}

/// The lines of a selector, as the engine has them.
fn lines(engine: &Engine, selector: &str) -> String {
    engine.get("/loki/api/v1/query_range", &[("query", selector)]).body
}

fn holds(engine: &Engine, selector: &str, line: &str) {
    let text = || lines(engine, selector);
    until(&format!("`{line}` in {selector}"), text, || lines(engine, selector).contains(line).then_some(()));
}

fn scrape(home: &Home, address: &str, zone: &str) -> String {
    let job =
        format!("- job_name: fixed\n  static_configs: [{{ targets: ['{address}'], labels: {{ zone: {zone} }} }}]");
    let text = format!("global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\nscrape_configs:\n{job}\n");
    home.write("scrape.yml", &text).display().to_string()
}

#[test]
fn what_a_collector_takes_is_in_the_engine_also_when_that_was_away() {
    let home = Home::new();
    let target = Server::start(|_| (200, "# TYPE stock gauge\nstock 12\n".to_owned()));
    let scrape_file = scrape(&home, &target.address, "$(ZONE)");
    let date = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%NZ"]).output().expect("date runs");
    let time = String::from_utf8_lossy(&date.stdout).trim().to_owned();
    home.write("pods/shop_cart-0_uid-1/cart/0.log", &format!("{time} stdout F it began\n"));
    let engine = Engine::start(&home, &[]);
    let (address, pods) = (engine.address().to_owned(), home.path("shop/pods").display().to_string());
    let queue = home.path("queue").display().to_string();
    let words = ["--forward", &engine.url, "--scrape", &scrape_file, "--pod-logs", &pods, "--queue", &queue];
    let collector = Collector::start(&home, &words);

    collector.send("metrics", &gauge("shop", "orders", 7.0, now_ns()));
    collector.send("logs", &log("shop", "an order came", now_ns()));
    collector.send("traces", &span("shop", TRACE, "GET /", now_ns()));
    let pushed = format!(r#"{{"streams": [{{"stream": {{"app": "till"}}, "values": [["{}", "paid"]]}}]}}"#, now_ns());
    let reply = collector.post(&format!("{}/loki/api/v1/push", collector.here), &pushed);
    assert!(matches!(reply.status, 200 | 204), "{}", reply.body);
    engine.becomes("orders", Some(7.0));
    engine.becomes("stock{job=\"fixed\",zone=\"b\"}", Some(12.0));
    holds(&engine, "{service_name=\"shop\"}", "an order came");
    holds(&engine, "{app=\"till\"}", "paid");
    holds(&engine, "{k8s_namespace_name=\"shop\"}", "it began");
    until(
        "the trace",
        || collector.started.stderr(),
        || (engine.get(&format!("/api/traces/{TRACE}"), &[]).status == 200).then_some(()),
    );

    // Away: taken all the same, said once, and sent when it is back.
    assert_eq!(engine.terminate().code, Some(0));
    collector.send("metrics", &gauge("shop", "orders_away", 8.0, now_ns()));
    collector.started.says("is not taken by");
    assert_eq!(collector.get("/-/ready").status, 200);
    let own = collector.get("/metrics").body;
    assert!(own.contains("apm_forward_queue_bytes{"), "{own}");
    scrape(&home, &target.address, "c");
    collector.started.signal(Signal::HUP);
    let port = ["up", "--listen", &address, "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"];
    let engine = Engine::start_as(&home, &mut home.apm(&port), None);
    engine.becomes("orders_away", Some(8.0));
    engine.becomes("stock{job=\"fixed\",zone=\"c\"}", Some(12.0));

    collector.started.signal(Signal::TERM);
    let ended = collector.started.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
