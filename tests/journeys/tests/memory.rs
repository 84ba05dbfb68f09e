//! `--memory` is a promise about the whole process: through a million new series, bodies far over the limit, questions about everything and a thousand
//! clients that stop halfway, the resident memory, looked at ten times a second, stays under the setting and what the program itself needs. What was turned
//! away is counted as the senders saw it, and what comes afterwards is taken and found.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests_journeys::bodies::{chunk, honest_logs, packed};
use tests_journeys::http::Reply;
use tests_journeys::{Engine, http, otlp, tools, wait};

const MEMORY_MB: u64 = 256;
/// Code, stacks, buffers of sockets, the allocator's slack.
const BESIDE_MB: u64 = 60;
const REQUESTS: u64 = 1000;
/// New series in each request.
const SERIES: u64 = 1000;
const SENDERS: u64 = 4;
const BODY_BYTES: usize = 100 << 20;
/// Half of them stop in the head of a request, half in its body.
const SLOW_CLIENTS: usize = 1000;
/// Of a kilobyte. JSON may be at most a sixteenth of what a request may become in memory: 8 MiB here.
const LINES: u64 = 6_500;

const PHASES: [&str; 5] = ["a million series", "bodies of 100 MiB", "questions", "slow clients", "afterwards"];

#[test]
fn through_floods_bombs_and_slow_clients_memory_stays_within_the_setting() {
    let setting = format!("{MEMORY_MB}MB");
    let engine = Engine::start_with("memory", &["--memory", &setting], &[]);
    let (seen, watch) = (Seen::default(), Watch::default());
    std::thread::scope(|scope| {
        scope.spawn(|| watch.look(&engine));
        let _ended = Ended(&watch);
        watch.phase(0);
        flood(&engine, &seen);
        watch.phase(1);
        large_bodies(&engine, &seen);
        watch.phase(2);
        questions(&engine);
        watch.phase(3);
        slow_clients(&engine, &seen);
        watch.phase(4);
        afterwards(&engine, &seen);
    });
    println!("{}\n{seen:?}", watch.report());
    for (phase, highest) in PHASES.iter().zip(&watch.highest) {
        let highest_mb = highest.load(Ordering::Relaxed) >> 20;
        assert!(highest_mb <= MEMORY_MB + BESIDE_MB, "{highest_mb} MB resident with --memory {setting}: {phase}");
    }
    assert_eq!(seen.of_engine(&engine), seen.numbers(), "the engine counts what its senders saw");
}

const SIGNALS: [&str; 3] = ["metrics", "logs", "traces"];

/// What the senders saw, by signal.
#[derive(Debug, Default)]
struct Seen {
    /// Samples, lines and spans of requests that got a 200.
    taken: [AtomicU64; 3],
    /// Answers that told to come again: 429 and 503.
    shed: [AtomicU64; 3],
    /// Answers that told not to: 400, 408 and 413.
    refused: [AtomicU64; 3],
}

impl Seen {
    fn count(&self, signal: &str, items: u64, status: u16) {
        let (counters, by) = match status {
            200 => (&self.taken, items),
            429 | 503 => (&self.shed, 1),
            400 | 408 | 413 => (&self.refused, 1),
            other => panic!("status {other} to {signal}"),
        };
        let at = SIGNALS.iter().position(|known| *known == signal).expect("one of the three");
        counters[at].fetch_add(by, Ordering::Relaxed);
    }

    /// Sends until it is taken, as a sender should: after the time that it was told to wait.
    fn insist(&self, signal: &str, items: u64, mut send: impl FnMut() -> Reply) {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let reply = send();
            self.count(signal, items, reply.status);
            if reply.status == 200 {
                assert!(!reply.text().contains("rejected"), "some of it was not taken: {}", reply.text());
                return;
            }
            let seconds = retry_after(&reply);
            assert!(Instant::now() < deadline, "shed for 90 s: {} {}", reply.status, reply.text());
            std::thread::sleep(Duration::from_secs(seconds));
        }
    }

    fn numbers(&self) -> [[u64; 3]; 3] {
        [&self.taken, &self.shed, &self.refused].map(|counters| counters.each_ref().map(|n| n.load(Ordering::Relaxed)))
    }

    /// The same by the engine's own counters.
    fn of_engine(&self, engine: &Engine) -> [[u64; 3]; 3] {
        let families = ["apm_ingest_items_total", "apm_ingest_shed_total", "apm_ingest_undecodable_requests_total"];
        families.map(|family| {
            SIGNALS.map(|signal| {
                let http = ("protocol", "otlp_http");
                let labels: &[_] =
                    if family.contains("shed") { &[("signal", signal)] } else { &[("signal", signal), http] };
                engine.own_number(family, labels) as u64
            })
        })
    }
}

fn retry_after(reply: &Reply) -> u64 {
    let seconds = reply.header("retry-after").and_then(|value| value.parse().ok());
    seconds.unwrap_or_else(|| panic!("{} without a Retry-After: {:?} {}", reply.status, reply.headers, reply.text()))
}

/// The highest resident memory of each phase.
#[derive(Debug, Default)]
struct Watch {
    phase: AtomicUsize,
    highest: [AtomicU64; PHASES.len()],
    seconds: [AtomicU64; PHASES.len()],
    ended: AtomicBool,
}

/// Ends the watch when the journey ends, also by a panic: its thread would keep the scope open.
struct Ended<'a>(&'a Watch);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

impl Watch {
    fn look(&self, engine: &Engine) {
        let mut begin = (Instant::now(), 0);
        while !self.ended.load(Ordering::Relaxed) {
            let phase = self.phase.load(Ordering::Relaxed);
            if phase != begin.1 {
                begin = (Instant::now(), phase);
            }
            self.highest[phase].fetch_max(engine.memory_bytes(), Ordering::Relaxed);
            self.seconds[phase].store(begin.0.elapsed().as_secs(), Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn phase(&self, phase: usize) {
        self.phase.store(phase, Ordering::Relaxed);
    }

    fn report(&self) -> String {
        let mut text = String::new();
        for (phase, (highest, seconds)) in PHASES.iter().zip(self.highest.iter().zip(&self.seconds)) {
            let (highest_mb, seconds) = (highest.load(Ordering::Relaxed) >> 20, seconds.load(Ordering::Relaxed));
            let _ = writeln!(text, "{phase:<20} {seconds:>4} s {highest_mb:>5} MB");
        }
        text
    }
}

/// A million series that were never seen before.
fn flood(engine: &Engine, seen: &Seen) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                loop {
                    let request = next.fetch_add(1, Ordering::Relaxed);
                    if request >= REQUESTS {
                        break;
                    }
                    let body = series(request, wait::now_ns()).into_bytes();
                    seen.insist("metrics", SERIES, || post(engine, "metrics", body.clone()));
                }
            });
        }
    });
}

/// One request's series; the value of each is its number.
fn series(request: u64, now_ns: u64) -> String {
    let mut body = String::with_capacity(256 << 10);
    body.push_str(r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"flood","gauge":{"dataPoints":["#);
    for at in 0..SERIES {
        let (number, comma) = (request * SERIES + at, if at == 0 { "" } else { "," });
        let attribute = |key: &str, value: String| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
        let (shard, group) = (attribute("shard", format!("{request}")), attribute("group", format!("{}", number % 10)));
        let user = attribute("user", format!("user-{number:07}"));
        let _ = write!(
            body,
            r#"{comma}{{"timeUnixNano":"{now_ns}","asDouble":{number},"attributes":[{shard},{group},{user}]}}"#
        );
    }
    body.push_str("]}}]}]}]}");
    body
}

fn post(engine: &Engine, signal: &str, body: Vec<u8>) -> Reply {
    http::post(&format!("{}/v1/{signal}", engine.otlp_http), &[("content-type", "application/json")], body)
}

/// Four bodies of 100 MiB at once, each in another guise, are refused with the limit's name; one within the limit is taken.
fn large_bodies(engine: &Engine, seen: &Seen) {
    let bomb = packed(std::iter::repeat_n(vec![0; 1 << 20], BODY_BYTES >> 20));
    let honest = packed(honest_logs(BODY_BYTES));
    let length = |bytes: usize| format!("content-length: {bytes}\r\n");
    let gzip = |bytes: usize| format!("content-encoding: gzip\r\n{}", length(bytes));
    std::thread::scope(|scope| {
        scope.spawn(|| refused(engine, seen, &gzip(bomb.len()), || Box::new(std::iter::once(bomb.clone()))));
        scope.spawn(|| refused(engine, seen, &gzip(honest.len()), || Box::new(std::iter::once(honest.clone()))));
        scope.spawn(|| refused(engine, seen, &length(BODY_BYTES), || Box::new(honest_logs(BODY_BYTES))));
        scope.spawn(|| {
            refused(engine, seen, "transfer-encoding: chunked\r\n", || Box::new(honest_logs(BODY_BYTES).map(chunk)))
        });
    });
    large_bodies_over_grpc(engine, seen);
    let now_ns = wait::now_ns();
    let text = "x".repeat(1000);
    let lines: Vec<(u64, &str)> = (0..LINES).map(|line| (now_ns - line, text.as_str())).collect();
    let body = otlp::logs("large", &lines).to_string().into_bytes();
    assert!(body.len() > 7_000_000, "{} bytes are no large body", body.len());
    seen.insist("logs", LINES, || post(engine, "logs", body.clone()));
    wait::until("all lines of the large request", 60, || {
        let query = "sum(count_over_time({service_name=\"large\"}[10m]))";
        let reply = engine.get("/loki/api/v1/query", &[("query", query)]);
        let count = (reply.status == 200).then(|| reply.json()["data"]["result"][0]["value"][1].clone());
        if count == Some(Value::from(LINES.to_string())) { Ok(()) } else { Err(reply.text()) }
    });
}

/// A dozen of 24 MiB at once, of which there is room for one.
fn large_bodies_over_grpc(engine: &Engine, seen: &Seen) {
    let output = Command::new(tools::tool("python-grpc"))
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/apps/large_grpc.py"), "12", &(24 << 20).to_string()])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &engine.otlp_grpc)
        .output()
        .expect("Python starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "the sender complains: {error}");
    let printed = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = printed.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [taken, shed] = numbers[..] else { panic!("two numbers: {printed}") };
    assert_eq!(taken + shed, 12, "{printed}");
    (0..shed).for_each(|_| seen.count("logs", 0, 429));
}

type Pieces = Box<dyn Iterator<Item = Vec<u8>>>;

/// Sends a request of log lines piece by piece until it is refused for good; told to come again, it does.
fn refused(engine: &Engine, seen: &Seen, headers: &str, body: impl Fn() -> Pieces) {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let mut stream =
            TcpStream::connect(engine.otlp_http.trim_start_matches("http://")).expect("the engine listens");
        // The answer comes while the body still goes; who reads it only afterwards may find the connection reset.
        let reader = stream.try_clone().expect("a socket can be doubled");
        let answer = std::thread::spawn(move || whole_answer(reader));
        let head = format!(
            "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}\r\n"
        );
        let sent =
            stream.write_all(head.as_bytes()).and_then(|()| body().try_for_each(|piece| stream.write_all(&piece)));
        let answer = answer.join().expect("the reader does not panic");
        let status = status_of(&answer).unwrap_or_else(|| panic!("no answer to {headers:?}; sending: {sent:?}"));
        seen.count("logs", 0, status);
        match status {
            413 => {
                assert!(answer.contains("send smaller batches"), "the reason does not help: {answer}");
                return;
            }
            429 | 503 => assert!(answer.to_lowercase().contains("retry-after: "), "{answer}"),
            other => panic!("status {other}: {answer}"),
        }
        assert!(Instant::now() < deadline, "shed for 90 s: {answer}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// All that comes until the other side closes.
fn whole_answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status_of(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// Questions about everything, four at once, are answered rightly or refused with their cost; questions about a part are answered.
fn questions(engine: &Engine) {
    let total = (REQUESTS * SERIES) as f64;
    let now = wait::now_s();
    let (start, end) = (format!("{}", now - 300.0), format!("{now}"));
    std::thread::scope(|scope| {
        for query in ["count({__name__=~\".+\"})", "sum by (group) (flood)", "count(flood)", "topk(5, flood)"] {
            let (start, end) = (&start, &end);
            scope.spawn(move || {
                let reply = engine.get("/api/v1/query", &[("query", query)]);
                judged(query, &reply);
                if reply.status == 200 && query == "count(flood)" {
                    assert_eq!(reply.json()["data"]["result"][0]["value"][1], total.to_string());
                }
                let range = [("query", query), ("start", start), ("end", end), ("step", "15")];
                judged(query, &engine.get("/api/v1/query_range", &range));
            });
        }
    });
    for shard in [0, 333, 666, REQUESTS - 1] {
        let query = format!("sum(last_over_time(flood{{shard=\"{shard}\"}}[1h]))");
        let numbers = shard * SERIES..(shard + 1) * SERIES;
        assert_eq!(engine.number(&query), Some(numbers.sum::<u64>() as f64), "{query}");
    }
}

fn judged(query: &str, reply: &Reply) {
    let good = match reply.status {
        200 => true,
        // Its cost, and what to do.
        422 => reply.text().contains(" bytes, more than its share") && reply.text().contains("--memory"),
        _ => false,
    };
    assert!(good, "{query}: {} {}", reply.status, reply.text());
}

/// A thousand clients that stop halfway, and a good one that does not wait for them.
fn slow_clients(engine: &Engine, seen: &Seen) {
    let address = engine.otlp_http.trim_start_matches("http://");
    let slow: Vec<TcpStream> = (0..SLOW_CLIENTS)
        .map(|client| {
            let mut stream = TcpStream::connect(address).expect("the engine listens");
            let head =
                "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2000\r\n";
            let sent = stream.write_all(head.as_bytes()).and_then(|()| match client % 2 {
                0 => Ok(()),
                _ => stream.write_all(format!("\r\n{}", "[".repeat(1000)).as_bytes()),
            });
            sent.expect("half a request can be sent");
            stream
        })
        .collect();
    good_request_of_each(engine, seen, "meanwhile");
    // Who stopped in a body is told so; who stopped in a head is only closed, as another journey sees, and later.
    for stream in slow.into_iter().skip(1).step_by(2) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
        let answer = whole_answer(stream);
        seen.count("logs", 0, status_of(&answer).expect("a client that waits is answered"));
    }
}

/// Later input is unharmed.
fn afterwards(engine: &Engine, seen: &Seen) {
    good_request_of_each(engine, seen, "afterwards");
    assert_eq!(engine.get("/-/ready", &[]).status, 200);
}

/// One good record of each signal is taken, and found.
fn good_request_of_each(engine: &Engine, seen: &Seen, service: &str) {
    let now_ns = wait::now_ns();
    let number = now_ns / 1_000_000;
    for (signal, body) in [
        ("metrics", otlp::gauge(service, service, &[(now_ns, 7.0)])),
        ("logs", otlp::logs(service, &[(now_ns, "still here")])),
        ("traces", otlp::spans(service, &[otlp::span(number, "GET /", now_ns, 1000)])),
    ] {
        let body = body.to_string().into_bytes();
        seen.insist(signal, 1, || post(engine, signal, body.clone()));
    }
    assert_eq!(engine.number(service), Some(7.0));
    let lines = engine.loki("query_range", &[("query", &format!("{{service_name=\"{service}\"}}")), ("since", "1h")]);
    assert_eq!(lines["result"][0]["values"][0][1], "still here", "{lines}");
    let trace = engine.jaeger(&format!("traces/{}", otlp::trace_id(number)), &[]);
    assert_eq!(trace[0]["spans"][0]["operationName"], "GET /", "{trace}");
}
