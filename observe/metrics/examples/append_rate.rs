//! What a sample of a known series costs the store on one core, from decoded write to synced log: `cargo run --release -p observe-metrics --example
//! append_rate [FOLDER]`. 50,000 series with 5 to 8 labels, one sample of each a round, in writes of 2,000.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures real time and prints")]

use std::path::PathBuf;
use std::time::Instant;

use base_signal::TenantId;
use base_world::World;
use observe_metrics::{MetricStore, Settings};
use observe_source::MetricWrite;

const SERIES: u32 = 50_000;
const EACH: u32 = 2_000;
const ROUNDS: i64 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("apm-append-rate-{}", std::process::id()));
    let world = World::real();
    let (mut store, _) = MetricStore::open(&world, &folder, Settings::default())?;
    let mut writes: Vec<MetricWrite> = (0..SERIES / EACH).map(write).collect();
    let tenant = TenantId::default();
    let start_ms = world.clock.now_ms() - ROUNDS * 15_000;
    let mut round = |number: i64| -> Result<u64, Box<dyn std::error::Error>> {
        for write in &mut writes {
            for (series, time_ms, value) in &mut write.samples {
                (*time_ms, *value) = (start_ms + number * 15_000, (number * i64::from(*series % 20)) as f64);
            }
        }
        let begun = Instant::now();
        for write in &writes {
            let appended = store.append(&tenant, write)?;
            assert_eq!(appended.accepted, u64::from(EACH), "{}", appended.message());
        }
        let taken = begun.elapsed().as_nanos() as u64;
        store.sync()?;
        Ok(taken)
    };
    let first = round(0)?;
    println!("new series: {} ns each", first / u64::from(SERIES));
    let mut taken = (1..ROUNDS).map(&mut round).collect::<Result<Vec<u64>, _>>()?;
    taken.sort_unstable();
    let median = taken.get(taken.len() / 2).copied().unwrap_or(0);
    println!("known series: {} ns a sample, median of {} rounds", median / u64::from(SERIES), taken.len());
    drop(store);
    let (mut store, report) = MetricStore::open(&world, &folder, Settings::default())?;
    println!("replay: {} samples in {} ms", report.samples, report.duration_ms);
    let begun = Instant::now();
    store.flush()?;
    println!("flush: {} ms", begun.elapsed().as_millis());
    let begun = Instant::now();
    let merges = store.compact()?;
    println!("merge: {merges} in {} ms", begun.elapsed().as_millis());
    drop(store);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn write(number: u32) -> MetricWrite {
    let mut write = MetricWrite::default();
    for series in number * EACH..(number + 1) * EACH {
        let mut labels = vec![
            ("__name__", format!("http_server_requests_{}_total", series % 50)),
            ("code", if series.is_multiple_of(7) { "500" } else { "200" }.to_owned()),
            ("handler", format!("/api/v1/handler-{}", series / 50 % 10)),
            ("instance", format!("10.0.{}.{}:9090", series / 500 % 250, series % 250)),
            ("job", format!("service-{}", series % 20)),
        ];
        if series.is_multiple_of(2) {
            labels.push(("namespace", format!("team-{}", series % 12)));
            labels.push(("pod", format!("service-{}-7d9f8b6c5d-{:05}", series % 20, series / 500)));
        }
        if series.is_multiple_of(3) {
            labels.push(("zone", "eu-central-1a".to_owned()));
        }
        let mut pairs = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let set = write.series.push(&mut pairs);
        write.samples.push((set, 0, 0.0));
    }
    write
}
