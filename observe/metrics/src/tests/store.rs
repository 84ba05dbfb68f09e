//! One promise a test: rules for late and double samples, limits, labels, deletion, metadata, what a query sees.

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

pub(super) fn take(store: &mut MetricStore, samples: &[(&Labels, i64, f64)]) -> Result<u64, RejectReason> {
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
fn memory_is_bounded_by_flushing_and_then_by_shedding() {
    let sim = SimWorld::new(1);
    let limits = Settings { memory_bytes: 300_000, series_max: 1000, wal_bytes_max: 64 << 20, ..settings() };
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
        assert!(store.memory_used() < 300_000, "{} bytes after {i} series", store.memory_used());
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
fn a_snapshot_is_a_store_of_its_own() {
    let sim = SimWorld::new(1);
    let (mut store, _) = open(&sim, settings());
    let (up, now) = (labels("up", "a"), sim.clock.now_ms());
    take(&mut store, &[(&up, now - 2, 1.0), (&up, now - 1, 2.0)]).expect("taken");
    store.flush().expect("flush");
    store.delete_series(&tenant(), &[all_metrics()], RangeMs::new(now - 2, now - 2)).expect("delete");
    take(&mut store, &[(&up, now, 3.0)]).expect("taken");
    let times = |store: &MetricStore| select_all(store)[&up].keys().copied().collect::<Vec<_>>();
    let folder = |name: &str| std::path::PathBuf::from("/data/snapshots").join(name);
    let copied = |name: &str| MetricStore::open(&sim.world(), &folder(name), settings()).expect("opens").0;

    let job = store.begin_snapshot(false).expect("begun");
    // Merged away and deleted meanwhile: the copy is of the moment at which it was begun.
    store.clean_deletions().expect("clean");
    job.run(&folder("stored")).expect("copied");
    assert_eq!(times(&copied("stored")), [now - 1], "what was deleted stays so, what was in memory is not in it");

    store.begin_snapshot(true).expect("begun").run(&folder("all")).expect("copied");
    let mut all = copied("all");
    assert_eq!((times(&all), all.time_range(&tenant())), (vec![now - 1, now], Some((now - 1, now))));
    // It goes on like any other store, and the first does not notice.
    take(&mut all, &[(&up, now + 1, 4.0)]).expect("taken");
    all.flush().expect("flush");
    drop(all);
    assert_eq!(times(&copied("all")), [now - 1, now, now + 1]);
    assert_eq!(times(&store), [now - 1, now]);
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
