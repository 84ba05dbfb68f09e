//! Bytes a sample on disk once everything is written and merged, index and all. A mix as services have it: counters that rise unevenly, gauges of few decimals,
//! values that hardly ever change, and some that are all noise.

use std::path::Path;

use super::super::otlp::mix;
use super::super::peer::Kind;
use super::super::spine::good;
use super::load::{Request, Series, now_ms};
use super::server::Under;
use super::{DISK_SERIES, Figure, REST, Size};
use crate::sh;

const STEP_MS: u64 = 15_000;
/// Samples of one series in a request.
const BATCH: usize = 20;
const SERIES_EACH: u64 = 100;

pub(super) fn suite(server: &Under, size: &Size) -> sh::Outcome<Vec<Figure>> {
    let running = server.start()?;
    let series = Series::new(DISK_SERIES);
    let mut client = running.client()?;
    let begin_ms = now_ms() / STEP_MS * STEP_MS - size.disk_samples * STEP_MS;
    let mut round = 0;
    while round < size.disk_samples {
        for from in (0..DISK_SERIES).step_by(SERIES_EACH as usize) {
            let samples = |series: u64| -> [(u64, f64); BATCH] {
                std::array::from_fn(|n| (begin_ms + (round + n as u64) * STEP_MS, value(series, round + n as u64)))
            };
            running.write(&mut client, &Request::with(&series, from..from + SERIES_EACH, samples))?;
        }
        round += BATCH as u64;
    }
    let orders: &[(&str, &str)] = match server.kind() {
        None => &[("POST", "/-/flush"), ("POST", "/-/compact")],
        Some(Kind::Prometheus) => &[("POST", "/api/v1/admin/tsdb/snapshot")],
        Some(Kind::Victoria) => &[("GET", "/internal/force_flush"), ("GET", "/internal/force_merge")],
    };
    for (method, path) in orders {
        let reply = if *method == "POST" { client.post(path, "", &[])? } else { client.get(path)? };
        good(&reply, path)?;
    }
    running.settle(REST)?;
    let home = running.home.path();
    // What is counted: everything but logs that are written anew for ever, which is where a peer's head lies.
    let bytes = match server.kind() {
        None => bytes_below(&home.join("data"), &["wal"])?,
        Some(Kind::Prometheus) => bytes_below(&home.join("data/snapshots"), &[])?,
        Some(Kind::Victoria) => bytes_below(&home.join("data"), &["cache", "tmp"])?,
    };
    let samples = (DISK_SERIES * size.disk_samples) as f64;
    Ok(vec![Figure { what: "bytes a sample on disk, index included", value: bytes as f64 / samples }])
}

/// The value of a series at a step.
fn value(series: u64, step: u64) -> f64 {
    let random = |n: u64| mix(series << 32 | n);
    match series % 10 {
        // Counters: the sum of uneven rises, each step's told by the step so that any of them can be had alone.
        0..=4 => (step * (series % 20) + random(step) % (series % 20 + 1)) as f64,
        // Gauges with two decimals around a level.
        5..=6 => ((series % 100) * 100 + random(step) % 500) as f64 / 100.0,
        // Rarely changed.
        7..=8 => (random(step / 200) % 5) as f64,
        // Noise.
        _ => (random(step) >> 11) as f64 / (1u64 << 53) as f64,
    }
}

fn bytes_below(folder: &Path, without: &[&str]) -> sh::Outcome<u64> {
    let mut bytes = 0;
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries.filter_map(Result::ok) {
        let kind = entry.metadata().map_err(|error| error.to_string())?;
        if kind.is_dir() && !without.iter().any(|name| entry.file_name() == *name) {
            bytes += bytes_below(&entry.path(), without)?;
        } else if kind.is_file() {
            bytes += kind.len();
        }
    }
    Ok(bytes)
}
