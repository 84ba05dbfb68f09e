//! What users of the store notice. The crash sweep replays one seed with `APM_SEED=… cargo test -p observe-metrics`;
//! `APM_SEEDS=…` sweeps that many.

mod codecs;
mod crash;
mod files;
mod head;
mod store;

use std::collections::BTreeMap;
use std::path::Path;

use base_signal::{Labels, MatchOp, Matcher, RangeMs, TenantId};
use base_world::sim::SimWorld;
use observe_block::WalSettings;
use observe_source::{Annotations, Budget, Cancel, LabelQuery, MetricSource, MetricWrite, SelectHints, SelectMetrics};

use crate::histogram::histogram_bytes;
use crate::points::Point;
use crate::{MetricStore, ReplayReport, Settings};

const DIR: &str = "/data/metrics";

/// Small everywhere, so that a short test sees rolls, flushes and merges.
fn settings() -> Settings {
    Settings {
        memory_bytes: 4 << 20,
        retention_ms: None,
        out_of_order_ms: i64::MAX,
        wal: WalSettings { segment_bytes: 4096, spares_max: 2, frame_bytes_max: 1 << 20 },
        wal_bytes_max: 16 << 10,
        window_ms: 100_000,
        fan_in: 3,
        ..Settings::default()
    }
}

fn open(sim: &SimWorld, settings: Settings) -> (MetricStore, ReplayReport) {
    MetricStore::open(&sim.world(), Path::new(DIR), settings).expect("open")
}

fn tenant() -> TenantId {
    TenantId::default()
}

/// `cpu{job="a"}` as ("cpu", "a").
fn labels(name: &str, job: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", job)])
}

fn write(samples: &[(&Labels, i64, f64)]) -> MetricWrite {
    let mut write = MetricWrite::default();
    for (labels, time_ms, value) in samples {
        let set = write.series.push_set(labels.as_ref());
        write.samples.push((set, *time_ms, *value));
    }
    write
}

type Answer = BTreeMap<Labels, BTreeMap<i64, Point>>;

/// Everything that matches, as maps; checks on the way what the contract says of batches.
fn select(store: &MetricStore, matchers: &[Matcher], range: RangeMs) -> Result<(Answer, Annotations), String> {
    let (budget, cancel) = (Budget::unlimited(), Cancel::default());
    let hints = SelectHints::default();
    let request = SelectMetrics { tenant: &tenant(), matchers, range, hints, budget: &budget, cancel: &cancel };
    let mut batches = store.select(&request).map_err(|e| e.to_string())?;
    let mut answer = Answer::new();
    while let Some(batch) = batches.next().map_err(|e| e.to_string())? {
        for i in 0..batch.len() {
            let mut points = BTreeMap::new();
            for row in batch.rows(i) {
                points.insert(batch.times_ms[row], Point::Float(batch.values[row].to_bits()));
            }
            if points.len() != batch.rows(i).len() || points.is_empty() {
                return Err(format!("times of {} repeat or are none", batch.series[i]));
            }
            if answer.last_key_value().is_some_and(|(last, _)| *last >= batch.series[i]) {
                return Err(format!("{} is not in order", batch.series[i]));
            }
            for (row, histogram) in batch.histograms.iter().filter(|(row, _)| batch.rows(i).contains(row)) {
                points.insert(batch.times_ms[*row], Point::Histogram(histogram_bytes(histogram).into()));
            }
            answer.insert(batch.series[i].clone(), points);
        }
    }
    Ok((answer, batches.annotations()))
}

fn all_metrics() -> Vec<Matcher> {
    vec![Matcher::new("__name__", MatchOp::Regex, ".+").expect("pattern")]
}

fn select_all(store: &MetricStore) -> Answer {
    select(store, &all_metrics(), RangeMs::ALL).expect("select").0
}

fn with_query<T>(sets: &[Vec<Matcher>], range: RangeMs, ask: impl FnOnce(&LabelQuery<'_>) -> T) -> T {
    let (budget, cancel) = (Budget::unlimited(), Cancel::default());
    ask(&LabelQuery { tenant: &tenant(), matchers: sets, range, limit: 0, budget: &budget, cancel: &cancel })
}
