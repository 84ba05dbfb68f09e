//! The store and its files: retention, rot, full disks, jobs beside the store, sizes, the real disk.

use base_signal::RangeMs;
use base_world::Clock;
use base_world::sim::{PowerLoss, SimWorld};
use observe_source::{RejectReason, SourceError};

use super::store::take;
use super::{all_metrics, labels, open, select, select_all, settings, tenant, write};
use crate::{MetricStore, Settings};

const HOUR_MS: i64 = 3_600_000;

#[test]
fn a_rotten_segment_is_named_and_set_aside_and_the_rest_answers() {
    let sim = SimWorld::new(1);
    let (mut store, _) = open(&sim, settings());
    let now = sim.clock.now_ms();
    let (bad, good) = (labels("up", "bad"), labels("up", "good"));
    take(&mut store, &[(&bad, now, 1.5), (&bad, now + 1, 2.5)]).expect("taken");
    store.flush().expect("flush");
    take(&mut store, &[(&good, now, 1.0)]).expect("taken");
    store.flush().expect("flush");
    let rotten =
        sim.disk.files().into_iter().map(|(path, _)| path).find(|path| path.ends_with("0000000000000001.metrics"));
    let rotten = rotten.expect("the first segment");
    // In its first page, behind the header: only a query notices.
    assert!(sim.disk.flip_bit(&rotten, 24, 2));
    let (answer, annotations) = select(&store, &all_metrics(), RangeMs::ALL).expect("select");
    assert!(answer.into_keys().eq([good]));
    let said = format!("{annotations:?}");
    assert!(said.contains("0000000000000001.metrics is damaged at section \\\"pages\\\""), "{said}");
    let damage = store.quarantine_damaged().expect("set aside");
    assert_eq!((damage.len(), &damage[0].path), (1, &rotten));
    assert!(select(&store, &all_metrics(), RangeMs::ALL).expect("select").1.is_empty());
    // In its table of contents: the next open notices.
    let second = rotten.with_file_name("0000000000000002.metrics");
    let len = sim.disk.files().into_iter().find(|(path, _)| *path == second).expect("the second segment").1;
    assert!(sim.disk.flip_bit(&second, len - 30, 0));
    drop(store);
    let (store, report) = open(&sim, settings());
    assert_eq!((report.damage.len(), &report.damage[0].path), (1, &second));
    assert!(select_all(&store).is_empty());
    let aside = sim.disk.files().iter().filter(|(path, _)| path.to_string_lossy().contains("quarantine/")).count();
    assert_eq!(aside, 2, "both are kept for a person to look at");
}

#[test]
fn no_flipped_bit_of_a_segment_changes_an_answer_unnoticed() {
    let sim = SimWorld::new(1);
    let (mut store, _) = open(&sim, settings());
    let now = sim.clock.now_ms();
    let (up, cpu) = (labels("up", "a"), labels("cpu", "a"));
    let mut both = write(&[(&up, now, 1.25), (&up, now + 1, 2.5), (&cpu, now, 3.0), (&cpu, now + 1, -0.0)]);
    both.histograms.push((0, now + 2, super::codecs::histogram(&mut base_world::Rng::new(4))));
    store.append(&tenant(), &both).expect("append");
    store.flush().expect("flush");
    let truth = select_all(&store);
    assert_eq!(truth.values().map(std::collections::BTreeMap::len).sum::<usize>(), 5);
    drop(store);
    let file = sim.disk.files().into_iter().find(|(path, _)| path.extension().is_some_and(|e| e == "metrics"));
    let (path, len) = file.expect("a segment");
    let (manifest, copy) = (path.with_file_name("MANIFEST"), path.with_file_name("MANIFEST.copy"));
    let world = sim.world();
    let keep = |path| (world.disk.read(path, 1 << 20).expect("read"), path);
    let kept = [keep(path.as_path()), keep(manifest.as_path()), keep(copy.as_path())];
    let mut noticed = 0;
    for byte in 0..len {
        assert!(sim.disk.flip_bit(&path, byte, (byte % 8) as u8));
        let (store, report) = open(&sim, settings());
        let (answer, annotations) = select(&store, &all_metrics(), RangeMs::ALL).expect("select");
        for (series, points) in &answer {
            let wrong = points.iter().find(|(time, point)| truth[series].get(time) != Some(point));
            assert_eq!(wrong, None, "byte {byte} of {series}");
        }
        let said = !report.damage.is_empty() || !annotations.is_empty();
        assert!(said || answer == truth, "byte {byte} took data silently");
        noticed += u64::from(said);
        drop(store);
        // As it was: the file may be in quarantine and out of the manifest now.
        for (bytes, path) in &kept {
            base_world::replace_file(&*world.disk, path, bytes).expect("restore");
        }
    }
    assert!(noticed > len * 9 / 10, "{noticed} of {len} were noticed by an open and a query");
}

#[test]
fn a_full_disk_sheds_and_loses_nothing_and_works_again() {
    let sim = SimWorld::new(1);
    let (mut store, _) = open(&sim, settings());
    let up = labels("up", "a");
    let mut time = sim.clock.now_ms() - 50_000;
    sim.disk.set_budget_bytes(Some(40_000));
    let mut acknowledged = Vec::new();
    let shed = loop {
        let samples: Vec<_> = (0..50).map(|i| (&up, time + i, i as f64 + 0.1)).collect();
        match store.append(&tenant(), &write(&samples)) {
            Ok(_) => {
                store.sync().expect("what was taken is synced");
                acknowledged.extend(samples.iter().map(|(_, time, _)| *time));
                time += 50;
            }
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 100_000, "the disk is never full");
        // As another program would fill the disk.
        sim.disk.set_budget_bytes(Some(sim.disk.used_bytes().min(40_000)));
    };
    assert!(matches!(shed, SourceError::Shed { what: "disk", retry_after_ms: 1.. }), "{shed}");
    let found: Vec<i64> = select_all(&store)[&up].keys().copied().collect();
    assert_eq!(found, acknowledged);
    sim.disk.set_budget_bytes(None);
    take(&mut store, &[(&up, time, 1.0)]).expect("room again");
    store.sync().expect("sync");
    acknowledged.push(time);
    drop(store);
    sim.disk.reboot(PowerLoss::DropAll);
    let found: Vec<i64> = select_all(&open(&sim, settings()).0)[&up].keys().copied().collect();
    assert_eq!(found, acknowledged);
}

#[test]
fn jobs_run_beside_the_store_and_void_work_is_thrown_away() {
    let sim = SimWorld::new(1);
    let (mut store, _) = open(&sim, settings());
    let now = sim.clock.now_ms();
    let up = labels("up", "a");
    let times = |store: &MetricStore| {
        let all = select_all(store);
        all.get(&up).map(|points| points.keys().map(|time| time - now).collect::<Vec<_>>()).unwrap_or_default()
    };
    for i in 0..3 {
        take(&mut store, &[(&up, now + i, 1.0)]).expect("taken");
        store.flush().expect("flush");
    }
    take(&mut store, &[(&up, now + 3, 1.0)]).expect("taken");
    let flush = store.begin_flush().expect("begin").expect("there is something to flush");
    take(&mut store, &[(&up, now + 4, 1.0)]).expect("appends go on");
    assert_eq!(take(&mut store, &[(&up, now + 3, 2.0)]), Err(RejectReason::DuplicateTimestamp), "in the frozen part");
    assert_eq!(times(&store), [0, 1, 2, 3, 4]);
    let flushed = std::thread::spawn(move || flush.run()).join().expect("no panic").expect("written");
    let merge = store.begin_merge().expect("begin").expect("three small segments");
    store.install(flushed).expect("install");
    assert_eq!((times(&store), store.segment_count()), (vec![0, 1, 2, 3, 4], 4));
    // Deleted while the merge was under way: its segment would bring the point back.
    store.delete_series(&tenant(), &[all_metrics()], RangeMs::new(now + 1, now + 1)).expect("delete");
    store.install(merge.run().expect("written")).expect("thrown away");
    assert_eq!(times(&store), [0, 2, 3, 4]);
    let again = store.begin_merge().expect("begin").expect("still to merge").run().expect("written");
    store.install(again).expect("install");
    assert_eq!(times(&store), [0, 2, 3, 4]);
    let files = sim.disk.files().iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "metrics")).count();
    assert_eq!(files, store.segment_count(), "void work leaves no file");
}

#[test]
fn the_real_disk_keeps_it_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let world = base_world::World::real();
    let open = || MetricStore::open(&world, folder.path(), settings()).expect("open");
    let (up, now) = (labels("up", "a"), world.clock.now_ms());
    for round in 0..40i64 {
        let (mut store, report) = open();
        assert_eq!(report.damage, []);
        take(&mut store, &[(&up, now + round, 1.0)]).expect("taken");
        store.sync().expect("sync");
        if round % 5 == 4 {
            store.flush().expect("flush");
            store.compact().expect("compact");
        }
    }
    let (store, _) = open();
    assert_eq!(select_all(&store)[&up].len(), 40);
    assert!(store.disk_used() < 100_000, "{} bytes for 40 samples", store.disk_used());
}

#[test]
fn retention_hides_at_once_and_then_frees_the_disk() {
    let sim = SimWorld::new(1);
    let limits = Settings { retention_ms: Some(HOUR_MS), ..settings() };
    let (mut store, _) = open(&sim, limits.clone());
    let (old, new) = (labels("up", "old"), labels("up", "new"));
    take(&mut store, &[(&old, sim.clock.now_ms() - HOUR_MS + 5000, 1.0)]).expect("taken");
    store.flush().expect("flush");
    take(&mut store, &[(&new, sim.clock.now_ms(), 1.0)]).expect("taken");
    store.flush().expect("flush");
    assert_eq!(select_all(&store).len(), 2);
    sim.clock.advance_ms(10_000);
    assert!(select_all(&store).into_keys().eq([new]), "hidden by the second");
    let before = store.disk_used();
    assert_eq!(store.enforce_retention(), Ok(1));
    assert!(store.disk_used() < before);
    let left = sim.disk.files().iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "metrics")).count();
    assert_eq!(left, 1, "the file is gone");
    drop(store);
    let small = Settings { retention_bytes: Some(1), ..limits };
    let (mut store, _) = open(&sim, small);
    assert_eq!(store.enforce_retention(), Ok(1), "by size");
    assert!(select_all(&store).is_empty());
}

#[test]
fn samples_take_little_room_on_disk() {
    let sim = SimWorld::new(1);
    let big = Settings { memory_bytes: 64 << 20, wal_bytes_max: 64 << 20, window_ms: 24 * HOUR_MS, ..settings() };
    let start = sim.clock.now_ms() - 12 * HOUR_MS;
    // Twelve hours at 15 s of one scrape: what | its value at step i | bytes a sample at most
    type Row = (&'static str, fn(u64, &mut base_world::Rng) -> f64, f64);
    let rows: [Row; 5] = [
        ("constant", |_, _| 1.0, 0.02),
        ("regular counter", |i, _| (i * 30) as f64, 0.05),
        ("busy counter", |i, rng| (i * 100 + rng.below(64)) as f64, 1.1),
        ("gauge with a decimal", |_, rng| 20.0 + rng.below(100) as f64 / 10.0, 1.1),
        ("seconds in full precision", |i, _| i as f64 * 0.1 + 0.012_345_678_9, 8.2),
    ];
    for (what, value, limit) in rows {
        let (mut store, _) = open(&SimWorld::new(7), big.clone());
        let (mut rng, mut samples) = (base_world::Rng::new(3), 0u64);
        for job in 0..10 {
            let series = labels("metric", &format!("job-{job}"));
            let points: Vec<_> =
                (0..2880u64).map(|i| (&series, start + i as i64 * 15_000, value(i, &mut rng))).collect();
            samples += take(&mut store, &points).expect("taken");
        }
        store.flush().expect("flush");
        let bytes: u64 = store.manifest.segments.iter().map(|meta| meta.bytes).sum();
        let each = bytes as f64 / samples as f64;
        assert!(each <= limit, "{what}: {each:.3} bytes a sample, at most {limit}");
    }
}
