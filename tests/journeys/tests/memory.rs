//! `--memory` is a promise about the whole process: a flood of new series is shed with a status that tells the sender to wait, and the resident memory,
//! looked at ten times a second, stays under the setting and what the program itself needs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tests_journeys::{Engine, otlp, wait};

const MEMORY_MB: u64 = 128;
/// Code, stacks, buffers of sockets, the allocator's slack.
const BESIDE_MB: u64 = 60;
const REQUESTS: u64 = 600;
const SERIES: u64 = 500;

#[test]
fn a_flood_of_new_series_stays_within_the_memory_setting() {
    let setting = format!("{MEMORY_MB}MB");
    let engine = Engine::start_with("memory", &["--memory", &setting], &[]);
    let (highest, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let (taken, shed) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                highest.fetch_max(engine.memory_bytes(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let answers = flood(&engine);
        done.store(true, Ordering::Relaxed);
        answers
    });
    let highest_mb = highest.load(Ordering::Relaxed) / 1_000_000;
    println!("{taken} requests taken, {shed} shed, highest resident memory {highest_mb} MB");
    assert!(highest_mb <= MEMORY_MB + BESIDE_MB, "{highest_mb} MB resident with --memory {setting}");
    assert!(taken > 0, "nothing was taken at all");

    assert_eq!(engine.get("/-/ready", &[]).status, 200);
    // What was taken early is still answered, or refused with its cost; the server stays.
    let reply = engine.get("/api/v1/query", &[("query", "count({__name__=\"flood\"})")]);
    assert!([200, 422, 503].contains(&reply.status), "{} {}", reply.status, reply.text());
}

/// Requests of series that were never seen before; how many were taken and shed.
fn flood(engine: &Engine) -> (u64, u64) {
    let (mut taken, mut shed) = (0, 0);
    for request in 0..REQUESTS {
        let reply = engine.send_otlp("metrics", &series(request, wait::now_ns()));
        match reply.status {
            200 => taken += 1,
            429 | 503 => {
                assert!(reply.header("retry-after").is_some(), "shed without Retry-After: {:?}", reply.headers);
                shed += 1;
            }
            other => panic!("{other}: {}", reply.text()),
        }
    }
    (taken, shed)
}

fn series(request: u64, now_ns: u64) -> Value {
    let point = |at: u64| {
        let number = request * SERIES + at;
        json!({"timeUnixNano": now_ns.to_string(), "asDouble": number,
            "attributes": otlp::attributes(&[("user", &format!("user-{number:012}")), ("path", &format!("/orders/{number}/items"))])})
    };
    let points: Vec<Value> = (0..SERIES).map(point).collect();
    json!({"resourceMetrics": [{"resource": {"attributes": otlp::attributes(&[("service.name", "flood")])},
        "scopeMetrics": [{"metrics": [{"name": "flood", "gauge": {"dataPoints": points}}]}]}]})
}
