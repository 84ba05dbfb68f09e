//! What was acknowledged is there, once, with the same bits: after it was sent, after kill -9, after a flush, a compaction and a restart.

use serde_json::{Value, json};
use tests_journeys::{Engine, otlp, wait};

const SPANS: u64 = 500;
const BATCH: u64 = 50;
const SECOND_NS: u64 = 1_000_000_000;

#[test]
fn spans_are_counted_exactly_and_an_exemplar_opens_its_trace() {
    let mut engine = Engine::start("exact_spans");
    let total = "sum(traces_spanmetrics_calls_total{service=\"shop\"})";
    assert_eq!(engine.number(total), None, "nothing was sent, so nothing is counted");

    let now = wait::now_ns();
    for first in (0..SPANS).step_by(BATCH as usize) {
        let spans: Vec<Value> = (first..first + BATCH)
            .map(|number| otlp::span(number + 1, "/cart", now - SECOND_NS, 3_000_000 + number))
            .collect();
        engine.send_otlp("traces", &otlp::spans("shop", &spans)).ok();
    }
    wait::until("the span metrics to count every span", 60, || count(&engine, total, SPANS));
    opens_a_trace(&engine);

    engine.kill();
    engine.restart();
    wait::until("the count to be back after kill -9", 60, || count(&engine, total, SPANS));
    opens_a_trace(&engine);
}

/// `Err` while there are fewer; more is wrong for ever.
fn count(engine: &Engine, query: &str, expect: u64) -> Result<(), Option<f64>> {
    let counted = engine.number(query);
    assert!(counted.unwrap_or(0.0) <= expect as f64, "{query} is {counted:?}, though only {expect} spans were sent");
    if counted == Some(expect as f64) { Ok(()) } else { Err(counted) }
}

fn opens_a_trace(engine: &Engine) {
    let (start, end) = (format!("{:.3}", wait::now_s() - 600.0), format!("{:.3}", wait::now_s() + 60.0));
    let window = [("start", start.as_str()), ("end", end.as_str())];
    let id = wait::until("an exemplar of the span metrics", 60, || {
        let query = ("query", "traces_spanmetrics_latency_bucket{service=\"shop\"}");
        let answer = engine.prometheus("query_exemplars", &[query, window[0], window[1]]);
        let labels = &answer[0]["exemplars"][0]["labels"];
        let id = ["trace_id", "traceID", "traceId"].iter().find_map(|key| labels[*key].as_str());
        id.map(str::to_owned).ok_or(answer)
    });
    let traces = engine.jaeger(&format!("traces/{id}"), &[]);
    assert_eq!(traces[0]["traceID"], json!(id), "{traces}");
    assert_eq!(traces[0]["spans"].as_array().map(Vec::len), Some(1), "{traces}");
    assert_eq!(traces[0]["spans"][0]["operationName"], json!("/cart"), "{traces}");
}

#[test]
fn deltas_are_a_counter_that_goes_on_over_kill_and_counts_nothing_twice() {
    let mut engine = Engine::start("exact_deltas");
    let now = wait::now_ns() / SECOND_NS * SECOND_NS;
    let send = |engine: &Engine, at_s: u64, by: u64| {
        let body = otlp::delta("shop", "orders", now - 60 * SECOND_NS + at_s * SECOND_NS, by);
        engine.send_otlp("metrics", &body).ok();
    };
    let total = "sum(orders_total{job=\"shop\"})";
    for (at_s, by) in [(10, 3), (20, 4), (20, 4)] {
        send(&engine, at_s, by);
    }
    wait::until("what was sent twice to count once", 30, || count(&engine, total, 7));
    engine.kill();
    engine.restart();
    for (at_s, by) in [(20, 4), (30, 5)] {
        send(&engine, at_s, by);
    }
    wait::until("the counter to go on after kill -9", 30, || count(&engine, total, 12));
    assert_eq!(engine.number("sum(resets(orders_total[5m]))"), Some(0.0));
}

#[test]
fn answers_are_the_same_bytes_after_kill_flush_compact_and_restart() {
    let mut engine = Engine::start("exact_bytes");
    let now = wait::now_ns() / SECOND_NS * SECOND_NS;
    let values = awkward_values();
    let point = |(at, value): (usize, &f64)| (now - (values.len() - at) as u64 * SECOND_NS, *value);
    let points: Vec<(u64, f64)> = values.iter().enumerate().map(point).collect();
    engine.send_otlp("metrics", &otlp::gauge("shop", "awkward", &points)).ok();
    let line = |at: u64| (now - at * SECOND_NS, format!("line {at} \"quoted\" \\ {{\"json\":{at}}} ä€𝄞"));
    let lines: Vec<(u64, String)> = (1..=200).map(line).collect();
    let lines: Vec<(u64, &str)> = lines.iter().map(|(time, line)| (*time, line.as_str())).collect();
    engine.send_otlp("logs", &otlp::logs("shop", &lines)).ok();
    let spans: Vec<Value> =
        (1..=20).map(|number| otlp::span(number, "/pay", now - number * SECOND_NS, 123_456)).collect();
    engine.send_otlp("traces", &otlp::spans("shop", &spans)).ok();

    let questions = Questions { start_s: now / SECOND_NS - 600, end_s: now / SECOND_NS };
    let first = questions.ask(&engine);
    exact(&first[0], &values);
    let kept = first[1]["result"]
        .as_array()
        .map(|streams| streams.iter().map(|stream| stream["values"].as_array().map_or(0, Vec::len)).sum());
    assert_eq!(kept, Some(lines.len()), "every log line comes back: {}", first[1]);

    let same = |engine: &Engine, when: &str| {
        for (before, after) in first.iter().zip(questions.ask(engine)) {
            assert_eq!(before.to_string(), after.to_string(), "the answer changed {when}");
        }
    };
    same(&engine, "when asked twice");
    engine.kill();
    engine.restart();
    same(&engine, "after kill -9");
    engine.post("/-/flush", &[], "").ok();
    same(&engine, "after a flush");
    engine.post("/-/compact", &[], "").ok();
    same(&engine, "after a compaction");
    assert!(engine.terminate().success(), "SIGTERM is a clean end: {}", engine.printed());
    engine.restart();
    same(&engine, "after a clean restart");
    engine.kill();
    engine.restart();
    same(&engine, "after kill -9 of a compacted store");
}

/// One question to each API, about a fixed time, so that nothing but a lost or changed record can change the answer.
struct Questions {
    start_s: u64,
    end_s: u64,
}

impl Questions {
    fn ask(&self, engine: &Engine) -> Vec<Value> {
        let (start, end) = (self.start_s.to_string(), self.end_s.to_string());
        let window = [("start", start.as_str()), ("end", end.as_str())];
        let metrics = [("query", "awkward[10m]"), ("time", end.as_str())];
        let logs =
            [("query", "{service_name=\"shop\"}"), window[0], window[1], ("limit", "5000"), ("direction", "forward")];
        let mut found = engine.loki("query_range", &logs);
        // How long it took and how much it read may differ.
        if let Some(data) = found.as_object_mut() {
            data.remove("stats");
        }
        vec![
            engine.prometheus("query", &metrics),
            found,
            engine.jaeger(&format!("traces/{}", otlp::trace_id(7)), &[]),
            engine.prometheus("series", &[("match[]", "{__name__=~\"awkward|target_info\"}"), window[0], window[1]]),
        ]
    }
}

/// The answer carries the very bits that were sent.
fn exact(answer: &Value, values: &[f64]) {
    let points = answer["result"][0]["values"].as_array().unwrap_or_else(|| panic!("no points: {answer}"));
    let bits = |point: &Value| point[1].as_str().and_then(|text| text.parse::<f64>().ok()).map(f64::to_bits);
    let got: Vec<Option<u64>> = points.iter().map(bits).collect();
    let sent: Vec<Option<u64>> = values.iter().map(|value| Some(value.to_bits())).collect();
    assert_eq!(got, sent, "{answer}");
}

/// Numbers that a careless parser, printer or codec bends.
fn awkward_values() -> Vec<f64> {
    let mut values = vec![
        0.0,
        -0.0,
        0.1 + 0.2,
        1.0 / 3.0,
        5e-324,
        2.225_073_858_507_201e-308,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        f64::EPSILON,
        9_007_199_254_740_993.0,
        1e22,
        1e23,
        123_456_789.123_456_79,
        -1e-7,
        299.999_999_999_999_94,
    ];
    // Any bit pattern that is a number: SplitMix64, Steele et al. 2014.
    let mut state = 7_u64;
    while values.len() < 200 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let value = f64::from_bits(mixed ^ (mixed >> 31));
        if value.is_finite() {
            values.push(value);
        }
    }
    values
}
