//! What a collector does when its way is troubled: the connection is cut after the engine has stored and before its answer, either of the two is
//! killed, the token is another one, the disk of a queue fails.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::collected::Collector;
use crate::engine::{Engine, gauge, now_ns, span};
use crate::home::{Home, until};
use crate::http::{Answer, Server};

/// Stands between the two, and cuts the connection at the first byte of an answer.
struct Cutter {
    address: String,
    cuts: Arc<AtomicBool>,
    cut: Arc<AtomicUsize>,
}

impl Cutter {
    fn before(engine: &str) -> Cutter {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (cuts, cut) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (engine, told) = (engine.to_owned(), (cuts.clone(), cut.clone()));
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // While the engine is away the caller finds a closed connection.
                let Ok(far) = TcpStream::connect(&engine) else { continue };
                let (cuts, cut) = told.clone();
                let (mut from, mut to) = (near.try_clone().expect("clone"), far.try_clone().expect("clone"));
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                std::thread::spawn(move || answers(far, near, &cuts, &cut));
            }
        });
        Cutter { address, cuts, cut }
    }

    /// Cuts from now on, until so many answers more were cut.
    fn cut(&self, count: usize, what: &str) {
        let before = self.cut.load(Ordering::SeqCst);
        self.cuts.store(true, Ordering::SeqCst);
        until(what, String::new, || (self.cut.load(Ordering::SeqCst) >= before + count).then_some(()));
    }

    fn let_through(&self) {
        self.cuts.store(false, Ordering::SeqCst);
    }
}

fn answers(mut far: TcpStream, mut near: TcpStream, cuts: &AtomicBool, cut: &AtomicUsize) {
    let mut buffer = [0; 4096];
    while let Ok(got @ 1..) = far.read(&mut buffer) {
        if cuts.load(Ordering::SeqCst) {
            cut.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if near.write_all(&buffer[..got]).is_err() {
            break;
        }
    }
    let _ = (near.shutdown(Shutdown::Both), far.shutdown(Shutdown::Both));
}

const CALLS: &str = "sum(traces_spanmetrics_calls_total{service=\"shop\"})";

fn send_spans(collector: &Collector, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let trace = format!("{:032x}", 0xc0de_0000_u32 + number);
        collector.send("traces", &span("shop", &trace, "GET /", now_ns()));
    }
}

#[test]
fn each_span_counts_once_whatever_is_cut_or_killed() {
    let home = Home::new();
    let data = home.path("data-of-the-engine").display().to_string();
    let engine = Engine::start(&home, &["--data", &data]);
    let (address, cutter) = (engine.address().to_owned(), Cutter::before(engine.address()));
    let (queue, forward) = (home.path("queue").display().to_string(), format!("http://{}", cutter.address));
    let words = ["--forward", &forward, "--queue", &queue];
    let collector = Collector::start(&home, &words);
    send_spans(&collector, 0..5);
    engine.becomes(CALLS, Some(5.0));

    // The engine has stored them; the collector does not hear of it, and tries again.
    cutter.cuts.store(true, Ordering::SeqCst);
    send_spans(&collector, 5..12);
    cutter.cut(3, "answers that are cut");
    cutter.let_through();
    send_spans(&collector, 12..15);
    engine.becomes(CALLS, Some(15.0));

    // The same, and the collector is killed: its next life knows only what was kept a second ago.
    cutter.cuts.store(true, Ordering::SeqCst);
    send_spans(&collector, 15..20);
    cutter.cut(1, "an answer that is cut");
    collector.started.signal(Signal::KILL);
    collector.started.ended();
    cutter.let_through();
    let collector = Collector::start(&home, &words);
    send_spans(&collector, 20..24);
    engine.becomes(CALLS, Some(24.0));

    // The same, and the engine is killed.
    cutter.cuts.store(true, Ordering::SeqCst);
    send_spans(&collector, 24..30);
    cutter.cut(1, "an answer that is cut");
    engine.process().signal(Signal::KILL);
    engine.terminate();
    cutter.let_through();
    let port =
        ["up", "--data", &data, "--listen", &address, "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"];
    let engine = Engine::start_as(&home, &mut home.apm(&port), None);
    send_spans(&collector, 30..31);
    engine.becomes(CALLS, Some(31.0));
    until(
        "all of it to be sent",
        || collector.get("/metrics").body,
        || {
            let own = collector.get("/metrics").body;
            own.contains("apm_forward_queue_bytes{queue=\"otlp-traces\"} 0\n").then_some(())
        },
    );
    assert_eq!(engine.number(CALLS), Some(31.0));
    let stored = engine.get("/api/traces", &[("service", "shop"), ("limit", "100")]).json();
    assert_eq!(stored["data"].as_array().map(Vec::len), Some(31), "{stored}");
}

#[test]
fn a_token_that_is_exchanged_is_used_at_once() {
    let home = Home::new();
    let names = ["Bearer one", "Bearer two", "Bearer three"];
    let good = Arc::new(AtomicUsize::new(0));
    let asked = good.clone();
    let right = move |shown: &str| shown == names[asked.load(Ordering::SeqCst)];
    let server = Server::answering(move |request| match right(request.header("authorization")) {
        true => Answer::new(200, ""),
        false => Answer::new(401, "who are you?"),
    });
    let token = home.write("token", "one\n").display().to_string();
    let queue = home.path("queue").display().to_string();
    let collector = Collector::start(&home, &["--forward", &server.url(), "--token-file", &token, "--queue", &queue]);
    let sent = |name: &str| collector.send("traces", &span("shop", "0000000000000000000000000000c012", name, now_ns()));
    let arrives = |at_least: f64| {
        let name = "apm_forward_sent_requests_total{queue=\"otlp-traces\"}";
        until(name, || collector.started.stderr(), || (number(&collector, name) >= at_least).then_some(()));
    };
    sent("first");
    arrives(1.0);
    // As Kubernetes does it: another in the file, and then the older one ends.
    home.write("token", "two\n");
    good.store(1, Ordering::SeqCst);
    let began = Instant::now();
    sent("second");
    arrives(2.0);
    assert!(began.elapsed() < Duration::from_secs(30), "the file was not read before a minute had passed");
    // Nothing failed on the way: it was tried with the other one before anybody was told.
    assert_eq!(number(&collector, "apm_forward_failed_requests_total{queue=\"otlp-traces\"}"), 0.0);
    // The other way round: what is refused waits until there is another.
    good.store(2, Ordering::SeqCst);
    sent("third");
    collector.started.says("who are you?");
    home.write("token", "three");
    arrives(3.0);
}

fn number(collector: &Collector, name: &str) -> f64 {
    let own = collector.get("/metrics").body;
    let line = own.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
}

#[test]
fn a_queue_whose_disk_fails_is_told_and_the_others_go_on() {
    let home = Home::new();
    let engine = Engine::start(&home, &[]);
    let queue = home.path("queue");
    let words = ["--forward", &engine.url, "--queue-size", "64MB", "--queue", &queue.display().to_string()];
    let collector = Collector::start(&home, &words);
    assert_eq!(collector.get("/-/ready").status, 200);
    // No file can be made where a file stands in the place of a folder.
    let (folder, away) = (queue.join("queue/otlp-traces/wal"), queue.join("away"));
    std::fs::rename(&folder, &away).expect("the folder is moved");
    std::fs::write(&folder, "").expect("a file is put there");
    // The file that is in use is good until it is full.
    let name = "x".repeat(100_000);
    let refused = until("a request that is refused", String::new, || {
        let noise: String = (0..4000).map(|_| format!("{:x}", now_ns())).collect();
        let mut body = span("shop", "0000000000000000000000000000c013", &name, now_ns());
        body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] =
            json!([{"key": "noise", "value": {"stringValue": noise}}]);
        let reply = collector.post(&format!("{}/v1/traces", collector.otlp), &body.to_string());
        (reply.status != 200).then_some(reply)
    });
    assert_eq!(refused.status, 503, "{}", refused.body);
    let ready = collector.get("/-/ready");
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("otlp-traces takes nothing"), "{}", ready.body);
    assert!(ready.body.contains("Not a directory") || ready.body.contains("wal"), "{}", ready.body);
    assert_eq!(collector.get("/-/healthy").status, 200);
    collector.send("metrics", &gauge("shop", "orders", 7.0, now_ns()));
    engine.becomes("orders", Some(7.0));
    // Mended, it takes again.
    std::fs::remove_file(&folder).expect("the file is removed");
    std::fs::rename(&away, &folder).expect("the folder is put back");
    until(
        "a collector that is ready",
        || collector.get("/-/ready").body,
        || (collector.get("/-/ready").status == 200).then_some(()),
    );
    collector.send("traces", &span("shop", "0000000000000000000000000000c014", "GET /", now_ns()));
    until(
        "the trace",
        || collector.started.stderr(),
        || (engine.get("/api/traces/0000000000000000000000000000c014", &[]).status == 200).then_some(()),
    );
}
