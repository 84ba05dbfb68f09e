//! PromQL is what Prometheus says it is, whatever is asked: series and queries are made from a seed, by the grammar, and what
//! a real Prometheus with all features of the language says of them must be what we say: values, labels, order where there
//! is one, warnings and infos with their places, errors with theirs. `APM_SEEDS=FIRST-LAST` asks for other seeds.

mod answers;
mod maker;
mod queries;
pub(crate) mod series;
mod vectors;
pub(crate) mod wire;

use std::collections::BTreeSet;

use tests_journeys::prometheus::Prometheus;
use tests_journeys::{Engine, http, peer, wait};

use answers::Asked;
use maker::Maker;
use queries::Node;
use series::Random;

/// All that the language has to be told to allow.
const FEATURES: &str = "--enable-feature=promql-experimental-functions,promql-delayed-name-removal,\
                        promql-extended-range-selectors,promql-binop-fill-modifiers,use-start-timestamps";
/// A leap day's evening: calendar functions have something to do.
const BEGIN_S: i64 = 1_709_236_800;
/// Seeds lie apart by so much that no query sees the series of another.
const APART_S: i64 = 7_200;
const QUERIES_A_SEED: u64 = 400;

#[test]
fn made_queries_over_made_series_are_answered_as_by_prometheus() {
    let seeds = seeds();
    let engine = Engine::start_with("differential", &["--retention", "3650d"], &[]);
    let prometheus = Prometheus::launch(
        &engine,
        peer::free_port(),
        "global: {}\nstorage: { tsdb: { out_of_order_time_window: 30d } }\n",
        &["--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y", FEATURES],
    );
    // Every series once, in the order of its labels: in that order both then read them.
    send(&engine.url, &prometheus.url, &series::catalogue((BEGIN_S - 3600) * 1000));
    for (place, seed) in seeds.iter().enumerate() {
        send(&engine.url, &prometheus.url, &series::of_seed(*seed, begin_s(place) * 1000));
    }
    let mut told = Vec::new();
    let mut shapes = BTreeSet::new();
    let (mut asked, mut refused) = (0, 0);
    for (place, seed) in seeds.iter().enumerate() {
        for number in 0..QUERIES_A_SEED {
            let mut maker = Maker::new(Random::new(seed * 1_000_003 + number));
            let query = maker.query();
            shapes.insert(query.shape());
            let moments = Asked::at(begin_s(place), maker.random());
            asked += 1;
            let text = maker.spoiled(&query.text());
            let spoiled = text != query.text();
            let Some(difference) = answers::difference(&engine.url, &prometheus.url, &text, &moments, &mut refused)
            else {
                continue;
            };
            let (text, difference) = match spoiled {
                true => (text, difference),
                false => shrunk(&engine.url, &prometheus.url, query, difference, &moments),
            };
            told.push(format!("seed {seed} query {number}: {text}\n{difference}"));
        }
    }
    let summary = format!(
        "{asked} queries of {} shapes over {} seeds, {refused} of them refused by both, {} differ",
        shapes.len(),
        seeds.len(),
        told.len()
    );
    let _ = std::fs::write(engine.artefacts().join("differences.txt"), format!("{summary}\n\n{}", told.join("\n\n")));
    println!("{summary}");
    assert!(told.is_empty(), "{summary}\n\n{}", told[..told.len().min(20)].join("\n\n"));
    assert!(refused * 3 < asked, "too many queries have no answer: {summary}");
}

fn begin_s(place: usize) -> i64 {
    BEGIN_S + place as i64 * APART_S
}

/// `APM_SEEDS=7-20`, else what CI asks.
fn seeds() -> Vec<u64> {
    let Ok(range) = std::env::var("APM_SEEDS") else { return (1..=5).collect() };
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("APM_SEEDS={range}: FIRST-LAST is wanted"));
    match range.split_once('-') {
        Some((first, last)) => (number(first)..=number(last)).collect(),
        None => vec![number(&range)],
    }
}

fn send(ours: &str, theirs: &str, written: &[series::Written]) {
    for part in written.chunks(200) {
        let body = wire::remote_write(part);
        for url in [ours, theirs] {
            let headers = [
                ("content-type", "application/x-protobuf"),
                ("content-encoding", "snappy"),
                ("x-prometheus-remote-write-version", "0.1.0"),
            ];
            let url = format!("{url}/api/v1/write");
            wait::until("the samples to be taken", 30, || {
                let reply = http::post(&url, &headers, body.clone());
                if reply.status / 100 == 2 { Ok(()) } else { Err((reply.status, reply.text())) }
            });
        }
    }
}

/// The smallest part of the query that still differs.
fn shrunk(ours: &str, theirs: &str, query: Node, difference: String, moments: &Asked) -> (String, String) {
    let (mut query, mut difference) = (query, difference);
    let mut tries = 0;
    'smaller: loop {
        for candidate in query.smaller() {
            tries += 1;
            if tries > 200 {
                break 'smaller;
            }
            if let Some(found) = answers::difference(ours, theirs, &candidate.text(), moments, &mut 0) {
                (query, difference) = (candidate, found);
                continue 'smaller;
            }
        }
        break;
    }
    (query.text(), difference)
}
