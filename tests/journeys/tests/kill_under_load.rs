//! kill -9 in the middle of load, again and again on the same data: every record whose request got a 2xx is there exactly once, and nothing is there that
//! was not sent. `cargo xtask soak` runs the same with hundreds of kills.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tests_journeys::{Engine, http, otlp, wait};

/// Kills in CI; `APM_KILLS` asks for more.
const KILLS: u64 = 8;
const SIGNALS: [&str; 3] = ["metrics", "logs", "traces"];
/// Two of each signal at once, so that one sync covers requests of several.
const SENDERS: usize = 6;
/// What Loki's API gives at most by default.
const LINES_MAX: usize = 5000;
/// Traces that are opened one by one after each kill, the last ones sent.
const TRACES_MAX: u64 = 40;

#[test]
fn what_was_acknowledged_survives_every_kill_exactly_once() {
    let kills = std::env::var("APM_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut engine = Engine::start("kill_under_load");
    let mut senders: Vec<Sender> = (0..SENDERS).map(Sender::new).collect();
    let mut rounds = Vec::new();
    for kill in 1..=kills {
        let before: Vec<u64> = senders.iter().map(|sender| sender.next).collect();
        load_until_killed(&mut engine, &mut senders, Duration::from_millis(100 + kill * 7919 % 900));
        engine.restart();
        let round: Vec<(u64, u64)> = before.iter().zip(&senders).map(|(first, sender)| (*first, sender.next)).collect();
        check(&engine, &senders, &round);
        rounds.push(round);
        let all: usize = senders.iter().map(|sender| sender.acknowledged.values().filter(|good| **good).count()).sum();
        println!("kill {kill}: {all} records acknowledged until now, those of this round all there, once");
    }
    // What survived one kill survives the later ones, and the compactions between them.
    for round in &rounds {
        check(&engine, &senders, round);
    }
}

/// One sender's records: numbers from 1 without a gap, and whether each was acknowledged.
struct Sender {
    index: usize,
    next: u64,
    start_ns: u64,
    acknowledged: BTreeMap<u64, bool>,
}

impl Sender {
    fn new(index: usize) -> Self {
        // Half an hour back, a millisecond a record: every record has a time of its own, in order.
        let start_ns = (wait::now_ns() / 1_000_000 - 1_800_000) * 1_000_000;
        Self { index, next: 1, start_ns, acknowledged: BTreeMap::new() }
    }

    fn service(&self) -> String {
        format!("sender-{}", self.index)
    }

    fn signal(&self) -> &'static str {
        SIGNALS[self.index % SIGNALS.len()]
    }

    fn time_ns(&self, number: u64) -> u64 {
        self.start_ns + number * 1_000_000
    }

    /// The number a span is made from, unlike that of any other sender.
    fn span(&self, number: u64) -> u64 {
        (self.index as u64 + 1) << 40 | number
    }

    /// One record, one request. What failed may have arrived or not, so its number is not used again.
    fn send(&mut self, url: &str) {
        let (number, service) = (self.next, self.service());
        let time_ns = self.time_ns(number);
        let body = match self.signal() {
            "metrics" => otlp::gauge(&service, "numbered", &[(time_ns, number as f64)]),
            "logs" => otlp::logs(&service, &[(time_ns, &format!("number {number}"))]),
            _ => otlp::spans(&service, &[otlp::span(self.span(number), "numbered", time_ns, 1000)]),
        };
        let url = format!("{url}/v1/{}", self.signal());
        let reply = http::try_post(&url, &[("content-type", "application/json")], body.to_string().into_bytes());
        self.acknowledged.insert(number, reply.is_ok_and(|reply| reply.status == 200));
        self.next += 1;
    }

    /// The numbers that are found between two, in order, each as often as it is there.
    fn found(&self, engine: &Engine, first: u64, end: u64) -> Vec<u64> {
        let (from, to) = (self.time_ns(first), self.time_ns(end));
        match self.signal() {
            "metrics" => {
                let query = format!("numbered{{job=\"{}\"}}[{}ms]", self.service(), (to - from) / 1_000_000);
                let time = format!("{}.{:03}", (to - 1) / 1_000_000_000, (to - 1) / 1_000_000 % 1000);
                let data = engine.prometheus("query", &[("query", &query), ("time", &time)]);
                let points = data["result"][0]["values"].as_array().cloned().unwrap_or_default();
                points.iter().filter_map(|point| point[1].as_str()?.parse().ok()).collect()
            }
            "logs" => {
                let query = format!("{{service_name=\"{}\"}}", self.service());
                let (from, to, limit) = (from.to_string(), to.to_string(), LINES_MAX.to_string());
                let window =
                    [("query", &*query), ("start", &from), ("end", &to), ("limit", &limit), ("direction", "forward")];
                let data = engine.loki("query_range", &window);
                let streams = data["result"].as_array().cloned().unwrap_or_default();
                let lines = streams.iter().flat_map(|stream| stream["values"].as_array().into_iter().flatten());
                lines.filter_map(|line| line[1].as_str()?.strip_prefix("number ")?.parse().ok()).collect()
            }
            _ => {
                let spans = |number: u64| {
                    let reply = engine.get(&format!("/api/traces/{}", otlp::trace_id(self.span(number))), &[]);
                    let there = reply.status == 200;
                    let count = if there { reply.json()["data"][0]["spans"].as_array().map_or(0, Vec::len) } else { 0 };
                    std::iter::repeat_n(number, count)
                };
                (last_traces(first, end)..end).flat_map(spans).collect()
            }
        }
    }
}

fn last_traces(first: u64, end: u64) -> u64 {
    end.saturating_sub(TRACES_MAX).max(first)
}

fn load_until_killed(engine: &mut Engine, senders: &mut [Sender], load: Duration) {
    let stop = AtomicBool::new(false);
    let url = engine.otlp_http.clone();
    std::thread::scope(|scope| {
        for sender in senders {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    sender.send(&url);
                }
            });
        }
        // Each round ends at another moment: early in the log, late in it, during a flush.
        std::thread::sleep(load);
        engine.kill();
        stop.store(true, Ordering::Relaxed);
    });
}

fn check(engine: &Engine, senders: &[Sender], round: &[(u64, u64)]) {
    for (sender, &(first, end)) in senders.iter().zip(round).filter(|(_, (first, end))| first < end) {
        let found = sender.found(engine, first, end);
        let mut sorted = found.clone();
        sorted.sort_unstable();
        let name = format!("{} ({})", sender.service(), sender.signal());
        assert!(sorted.windows(2).all(|pair| pair[0] < pair[1]), "{name}: a record is there twice: {sorted:?}");
        assert!(
            sorted.iter().all(|number| (first..end).contains(number)),
            "{name}: a record that was not sent: {sorted:?}"
        );
        let asked = if sender.signal() == "traces" { last_traces(first, end) } else { first };
        let good = sender.acknowledged.range(asked..end).filter(|(_, good)| **good).map(|(number, _)| *number);
        let lost: Vec<u64> = good.filter(|number| sorted.binary_search(number).is_err()).collect();
        assert!(lost.is_empty(), "{name}: acknowledged and lost: {lost:?} of {first}..{end}");
    }
}
