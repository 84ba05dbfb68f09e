//! One promise a test: rules for late and double samples, limits, retention, rot, full disks, labels, deletion.

use base_signal::{Labels, MatchOp, Matcher, Metadata, MetricKind, RangeMs, STALE_NAN_BITS};
use base_world::Clock;
use base_world::sim::{PowerLoss, SimWorld};
use observe_block::BlockError;
use observe_source::{
    Budget, Cancel, LabelQuery, MetricSource, MetricWrite, RejectReason, SelectHints, SelectMetrics, SourceError,
};

use super::{all_metrics, labels, open, select, select_all, settings, tenant, with_query, write};
use crate::points::Point;
use crate::{MetricStore, Settings};

const HOUR_MS: i64 = 3_600_000;

fn take(store: &mut MetricStore, samples: &[(&Labels, i64, f64)]) -> Result<u64, RejectReason> {
    let appended = store.append(&tenant(), &write(samples)).expect("append");
    appended.rejected.keys().next().map_or(Ok(appended.accepted), |reason| Err(*reason))
}

#[test]
fn late_double_and_far_samples_are_judged_alike_in_memory_and_on_disk() {
    let sim = SimWorld::new(1);
    let now = sim.clock.now_ms();
    let up = labels("up", "a");
    let limits = Settings { out_of_order_ms: HOUR_MS, retention_ms: Some(24 * HOUR_MS), ..settings() };
    let (mut store, _) = open(&sim, limits);
    // time before now | value | what becomes of it | flushed before?
    let rows = [
        (10_000, 1.0, Ok(1), false),
        (10_000, 1.0, Ok(1), false),
        (10_000, 2.0, Err(RejectReason::DuplicateTimestamp), false),
        (20_000, 5.0, Ok(1), false),
        (20_000, 6.0, Err(RejectReason::DuplicateTimestamp), false),
        (10_000 + HOUR_MS, 3.0, Ok(1), false),
        (10_001 + HOUR_MS, 3.0, Err(RejectReason::OutOfOrder), false),
        (25 * HOUR_MS, 3.0, Err(RejectReason::TooOld), false),
        (-11 * 60_000, 3.0, Err(RejectReason::TooFarInFuture), false),
        (10_000, 1.0, Ok(1), true),
        (10_000, 2.0, Err(RejectReason::DuplicateTimestamp), true),
        (20_000, 5.0, Ok(1), true),
        (20_000, 6.0, Err(RejectReason::DuplicateTimestamp), true),
        (15_000, 7.0, Ok(1), true),
    ];
    for (i, (before, value, expect, flushed)) in rows.into_iter().enumerate() {
        if flushed {
            store.flush().expect("flush");
        }
        assert_eq!(take(&mut store, &[(&up, now - before, value)]), expect, "row {i}");
    }
    let expect = [(HOUR_MS + 10_000, 3.0f64), (20_000, 5.0), (15_000, 7.0), (10_000, 1.0)];
    let expect = expect.map(|(before, value)| (now - before, Point::Float(value.to_bits())));
    assert_eq!(select_all(&store)[&up], expect.into_iter().collect());
}

#[test]
fn a_rejected_item_is_named_in_prometheus_words() {
    let sim = SimWorld::new(1);
    let now = sim.clock.now_ms();
    let (mut store, _) = open(&sim, settings());
    let up = labels("up", "a");
    let appended = store.append(&tenant(), &write(&[(&up, now, 1.0), (&up, now, 2.0)])).expect("append");
    let expect = format!(
        "1 duplicate_timestamp (first: duplicate sample for timestamp, series {{__name__=\"up\", job=\"a\"}}, timestamp {now})"
    );
    assert_eq!((appended.accepted, appended.message()), (1, expect));
    let nameless = Labels::from_pairs([("job", "a")]);
    assert_eq!(take(&mut store, &[(&nameless, now, 1.0)]), Err(RejectReason::InvalidLabels));
    let mut broken = write(&[(&up, now + 1, 1.0)]);
    broken.samples[0].0 = 77;
    let appended = store.append(&tenant(), &broken).expect("append");
    assert_eq!(appended.rejected.keys().collect::<Vec<_>>(), [&RejectReason::InvalidLabels]);
}

#[test]
fn odd_bits_survive_memory_flush_merge_and_restart() {
    let sim = SimWorld::new(1);
    let (mut store, _) = open(&sim, settings());
    let up = labels("up", "a");
    let start = sim.clock.now_ms() - 50_000;
    let odd = [STALE_NAN_BITS, 0x7ff8_0000_dead_beef, 0x8000_0000_0000_0000, 0, 1, u64::MAX, f64::INFINITY.to_bits()];
    for (i, bits) in odd.iter().enumerate() {
        take(&mut store, &[(&up, start + i as i64 * 1000, f64::from_bits(*bits))]).expect("taken");
        if i % 2 == 1 {
            store.flush().expect("flush");
        }
    }
    let expect: Vec<u64> = odd.to_vec();
    let check = |store: &MetricStore, when: &str| {
        let found: Vec<u64> = select_all(store)[&up]
            .values()
            .map(|point| if let Point::Float(bits) = point { *bits } else { panic!("a histogram") })
            .collect();
        assert_eq!(found, expect, "{when}");
    };
    check(&store, "spread");
    store.sync().expect("sync");
    assert_eq!(store.compact().expect("compact"), 1);
    check(&store, "merged");
    drop(store);
    sim.disk.reboot(PowerLoss::DropAll);
    let (store, report) = open(&sim, settings());
    check(&store, "restarted");
    assert_eq!((report.samples, report.segments), (1, 1));
}

#[test]
fn metadata_and_creation_survive_restarts_flushes_and_merges() {
    let sim = SimWorld::new(1);
    let (mut store, _) = open(&sim, settings());
    let now = sim.clock.now_ms();
    let up = labels("up", "a");
    let meta = |help: &str| Metadata { kind: MetricKind::Counter, help: help.into(), unit: "s".into() };
    for round in 0..6i64 {
        let mut write = write(&[(&up, now + round, 1.0)]);
        write.created.push((0, 1000 + round));
        write.metadata.push(("up".to_owned(), meta(&round.to_string())));
        store.append(&tenant(), &write).expect("append");
        store.sync().expect("sync");
        if round % 2 == 0 {
            store.flush().expect("flush");
        }
        drop(store);
        (store, _) = open(&sim, settings());
        store.compact().expect("compact");
        assert_eq!(store.metadata(&tenant(), Some("up")), Ok(vec![("up".to_owned(), meta(&round.to_string()))]));
        assert_eq!(store.metadata(&tenant(), Some("down")), Ok(vec![]));
        let (budget, cancel) = (Budget::unlimited(), Cancel::default());
        let (matchers, hints) = (all_metrics(), SelectHints::default());
        let request = SelectMetrics {
            tenant: &tenant(),
            matchers: &matchers,
            range: RangeMs::ALL,
            hints,
            budget: &budget,
            cancel: &cancel,
        };
        let batch = store.select(&request).and_then(|mut batches| batches.next()).expect("select").expect("a batch");
        assert_eq!(batch.created, [(0, 1000 + round)], "round {round}");
    }
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
fn memory_is_bounded_by_flushing_and_then_by_shedding() {
    let sim = SimWorld::new(1);
    let limits = Settings { memory_bytes: 600_000, series_max: 1000, wal_bytes_max: 64 << 20, ..settings() };
    let (mut store, _) = open(&sim, limits);
    let now = sim.clock.now_ms();
    let mut refused = 0;
    for i in 0..1200 {
        let series = labels(&format!("metric_{i}"), "a");
        match take(&mut store, &[(&series, now, 1.0)]) {
            Ok(_) => {}
            Err(RejectReason::SeriesLimit) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
        assert!(store.memory_used() < 600_000, "{} bytes after {i} series", store.memory_used());
    }
    assert!(store.segment_count() > 0, "it was flushed on the way");
    assert_eq!(select_all(&store).len(), 1200 - refused);
    let (mut tiny, _) = {
        let sim = SimWorld::new(2);
        open(&sim, Settings { series_max: 2, ..settings() })
    };
    for (job, expect) in [("a", Ok(1)), ("b", Ok(1)), ("c", Err(RejectReason::SeriesLimit)), ("a", Ok(1))] {
        assert_eq!(take(&mut tiny, &[(&labels("up", job), now, 1.0)]), expect, "{job}");
    }
}

#[test]
fn matchers_find_the_same_series_in_memory_and_on_disk() {
    let sim = SimWorld::new(1);
    let (mut store, _) = open(&sim, settings());
    let now = sim.clock.now_ms();
    let bare = Labels::from_pairs([("__name__", "up")]);
    let all = [labels("up", "api"), labels("up", "web"), labels("cpu", "api"), labels("up", "app-1"), bare];
    take(&mut store, &all.iter().map(|l| (l, now, 1.0)).collect::<Vec<_>>()).expect("taken");
    let matcher = |name: &str, op, value: &str| Matcher::new(name, op, value).expect("pattern");
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    type Row = (&'static [(&'static str, MatchOp, &'static str)], usize);
    let rows: [Row; 11] = [
        (&[("__name__", Equal, "up")], 4),
        (&[("__name__", Equal, "up"), ("job", Equal, "web")], 1),
        (&[("job", NotEqual, "api")], 3),
        (&[("job", Equal, "")], 1),
        (&[("job", NotEqual, "")], 4),
        (&[("job", Regex, "api|web")], 3),
        (&[("job", Regex, "ap.*")], 3),
        (&[("job", Regex, "(ap.*)?")], 4),
        (&[("job", NotRegex, "ap.*")], 2),
        (&[("nope", Regex, ".+")], 0),
        (&[("nope", NotEqual, "x"), ("__name__", Regex, "c.u")], 1),
    ];
    for place in ["memory", "disk"] {
        for (set, expect) in rows {
            let set: Vec<Matcher> = set.iter().map(|(name, op, value)| matcher(name, *op, value)).collect();
            let found = select(&store, &set, RangeMs::ALL).expect("select").0;
            assert!(found.keys().all(|l| set.iter().all(|m| m.matches_labels(l.as_ref()))));
            assert_eq!(found.len(), expect, "{set:?} in {place}");
        }
        let ask = |range| {
            with_query(&[vec![matcher("job", Regex, ".+")]], range, |query: &LabelQuery<'_>| {
                let names = store.label_names(query).expect("names").0;
                let jobs = store.label_values("job", query).expect("values").0;
                (names, jobs, store.series(query).expect("series").0.len())
            })
        };
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let expect = (words(&["__name__", "job"]), words(&["api", "app-1", "web"]), 4);
        assert_eq!(ask(RangeMs::ALL), expect, "{place}");
        assert_eq!(ask(RangeMs::new(now + 1, now + 9)), (vec![], vec![], 0), "{place}");
        store.flush().expect("flush");
    }
}

#[test]
fn a_query_reads_on_while_the_store_goes_on() {
    let sim = SimWorld::new(1);
    let (mut store, _) = open(&sim, settings());
    let now = sim.clock.now_ms();
    let up = labels("up", "a");
    for i in 0..3 {
        take(&mut store, &[(&up, now + i, 1.0)]).expect("taken");
        store.flush().expect("flush");
    }
    take(&mut store, &[(&up, now + 3, 1.0)]).expect("taken");
    let (budget, cancel, matchers) = (Budget::unlimited(), Cancel::default(), all_metrics());
    let hints = SelectHints::default();
    let request = SelectMetrics {
        tenant: &tenant(),
        matchers: &matchers,
        range: RangeMs::ALL,
        hints,
        budget: &budget,
        cancel: &cancel,
    };
    let mut batches = store.select(&request).expect("select");
    take(&mut store, &[(&up, now + 4, 1.0)]).expect("taken");
    store.flush().expect("flush");
    store.compact().expect("its files are merged away under it");
    let batch = batches.next().expect("next").expect("a batch");
    assert_eq!(batch.times_ms, [now, now + 1, now + 2, now + 3]);
    assert!(batches.next().expect("end").is_none());
    let small = Budget::new(100);
    let poor = SelectMetrics { budget: &small, ..request.clone() };
    assert!(matches!(store.select(&poor).map(|_| ()), Err(SourceError::Budget { .. })));
    cancel.cancel();
    assert_eq!(store.select(&request).map(|_| ()), Err(SourceError::Cancelled));
}

#[test]
fn deleted_samples_are_gone_and_may_be_written_anew() {
    let sim = SimWorld::new(1);
    let (mut store, _) = open(&sim, settings());
    let now = sim.clock.now_ms();
    let (up, cpu) = (labels("up", "a"), labels("cpu", "a"));
    take(&mut store, &[(&up, now, 1.0), (&up, now + 1, 2.0), (&cpu, now, 3.0)]).expect("taken");
    let set = vec![vec![Matcher::equal("__name__", "up")]];
    store.delete_series(&tenant(), &set, RangeMs::new(now, now)).expect("delete");
    let times = |store: &MetricStore| select_all(store)[&up].keys().copied().collect::<Vec<_>>();
    assert_eq!(times(&store), [now + 1]);
    assert_eq!(take(&mut store, &[(&up, now, 9.0)]), Ok(1), "another value is no duplicate now");
    assert_eq!(times(&store), [now, now + 1]);
    store.flush().expect("flush");
    store.clean_deletions().expect("clean");
    assert_eq!((times(&store), select_all(&store).len()), (vec![now, now + 1], 2));
    assert!(store.tombstones.is_empty(), "nothing is left to hide");
}

#[test]
fn one_folder_has_one_holder_and_tenants_do_not_mix() {
    let sim = SimWorld::new(1);
    let (mut store, _) = open(&sim, settings());
    let second = MetricStore::open(&sim.world(), std::path::Path::new(super::DIR), settings()).map(|_| ());
    let told = second.map_err(|e: BlockError| e.to_string()).expect_err("held");
    assert!(told.contains(&format!("another process holds it (pid {})", std::process::id())), "{told}");
    let other = base_signal::TenantId::new("other").expect("a name");
    let now = sim.clock.now_ms();
    store.append(&other, &write(&[(&labels("up", "a"), now, 1.0)])).expect("append");
    assert!(select_all(&store).is_empty());
    store.flush().expect("flush");
    assert!(select_all(&store).is_empty());
    let empty = store.append(&other, &MetricWrite::default()).expect("an empty write is fine");
    assert_eq!(empty.accepted, 0);
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
