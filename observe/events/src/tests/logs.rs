//! Lines: order, limits, needles, retention, damage.

use std::path::Path;

use base_signal::{Labels, MatchOp, Matcher, RangeNs};
use base_world::sim::{PowerLoss, SimWorld};
use observe_source::{Appended, Budget, Direction, Level, LineHint, LogSource, RejectReason, SourceError};

use super::{Ask, DIR, S, Seen, entry, log_write, open, settings, tenant};
use crate::{EventStore, Settings};

const NOW: i64 = 1_767_225_600 * S;

fn app(name: &str) -> Labels {
    Labels::from_pairs([("app", name), ("env", "prod")])
}

/// Appends, in small writes; every line must be accepted.
fn fill(store: &mut EventStore, lines: &[Seen]) {
    for part in lines.chunks(50) {
        let appended = store.append_logs(&tenant(), &log_write(part)).unwrap();
        assert_eq!(appended, Appended { accepted: part.len() as u64, ..Appended::default() });
    }
}

/// 600 lines of three streams over two hours, the later ones flushed last.
fn filled(sim: &SimWorld) -> (EventStore, Vec<Seen>) {
    let mut store = open(sim, settings());
    let lines: Vec<Seen> = (0..600)
        .map(|i| {
            let trace = format!("{:032x}", i as u128 * 0x1234_5678_9abc_def1_1357);
            let text = format!("request {i} took {}ms id={trace}", i % 7);
            entry(
                &app(["cart", "mail", "shop"][i % 3]),
                NOW - (7200 - i as i64 * 12) * S,
                &text,
                &[("trace_id", trace.as_str())],
            )
        })
        .collect();
    for part in lines.chunks(60) {
        fill(&mut store, part);
        store.flush().unwrap();
    }
    (store, lines)
}

#[test]
fn lines_come_in_order_from_memory_and_segments_alike() {
    let sim = SimWorld::new(1);
    let (mut store, mut lines) = filled(&sim);
    let newest = entry(&app("cart"), NOW, "newest", &[]);
    let late = entry(&app("aaaa"), NOW - 3600 * S, "late, sorts before its neighbours", &[]);
    fill(&mut store, &[newest.clone(), late.clone()]);
    lines.extend([newest, late]);
    lines.sort_by(|a, b| (a.time_ns, &a.labels).cmp(&(b.time_ns, &b.labels)));
    let check = |store: &EventStore| {
        assert_eq!(Ask::default().of(store).unwrap().0, lines);
        let backward: Vec<Seen> = lines.iter().rev().cloned().collect();
        assert_eq!(Ask { direction: Direction::Backward, ..Ask::default() }.of(store).unwrap().0, backward);
        let range = RangeNs::new(NOW - 4000 * S, NOW - 2000 * S);
        let inside: Vec<Seen> = lines.iter().filter(|l| range.contains(l.time_ns)).cloned().collect();
        assert_eq!(Ask { range, ..Ask::default() }.of(store).unwrap().0, inside);
        let matchers = [Matcher::new("app", MatchOp::Regex, "cart|mail").unwrap(), Matcher::equal("env", "prod")];
        let of_two: Vec<Seen> =
            lines.iter().filter(|l| ["cart", "mail"].contains(&l.labels.get("app").unwrap())).cloned().collect();
        assert_eq!(Ask { matchers: &matchers, ..Ask::default() }.of(store).unwrap().0, of_two);
    };
    check(&store);
    store.sync().unwrap();
    while store.compact().unwrap() > 0 {}
    check(&store);
    assert!(store.segment_count() < 8, "{} segments after merging", store.segment_count());
    drop(store);
    sim.disk.reboot(PowerLoss::DropAll);
    let mut store = open(&sim, settings());
    check(&store);
    store.flush().unwrap();
    check(&store);
}

#[test]
fn the_same_line_is_kept_once_and_other_lines_of_that_moment_stay() {
    let sim = SimWorld::new(2);
    let mut store = open(&sim, settings());
    let a = entry(&app("a"), NOW, "same", &[]);
    let b = entry(&app("a"), NOW, "other", &[]);
    let c = entry(&app("a"), NOW, "same", &[("trace_id", "1")]);
    let d = entry(&app("b"), NOW, "same", &[]);
    let all = [a.clone(), b.clone(), a.clone(), c.clone(), d.clone(), a.clone()];
    let expect = [a, b, c, d];
    for round in 0..4 {
        fill(&mut store, &all);
        assert_eq!(Ask::default().of(&store).unwrap().0, expect, "round {round}");
        store.flush().unwrap();
        assert_eq!(Ask::default().of(&store).unwrap().0, expect, "round {round}, flushed");
    }
    assert!(store.compact().unwrap() > 0);
    assert_eq!(Ask::default().of(&store).unwrap().0, expect);
    let backward: Vec<Seen> = expect.into_iter().rev().collect();
    assert_eq!(Ask { direction: Direction::Backward, ..Ask::default() }.of(&store).unwrap().0, backward);
}

#[test]
fn a_limit_and_a_needle_read_little() {
    let sim = SimWorld::new(3);
    let (store, lines) = filled(&sim);
    let cost = |ask: Ask<'_>| {
        let before = sim.disk.operations();
        let found = ask.of(&store).unwrap().0;
        (found, sim.disk.operations() - before)
    };
    let (all, everything) = cost(Ask::default());
    assert_eq!(all.len(), 600);
    let newest = Ask { direction: Direction::Backward, limit: 5, ..Ask::default() };
    let (found, few) = cost(newest);
    assert_eq!(found, lines.iter().rev().take(5).cloned().collect::<Vec<_>>());
    assert!(few * 4 < everything, "the newest five took {few} reads, all took {everything}");
    let wanted = &lines[311];
    let trace = wanted.metadata[0].1.clone();
    for hint in [
        LineHint::Metadata { name: "trace_id".into(), value: trace.clone() },
        LineHint::Contains(trace.clone()),
        LineHint::Contains(trace[3..25].to_owned()),
        LineHint::Contains(format!("t 311 took {}ms i", 311 % 7)),
    ] {
        let (found, reads) = cost(Ask { hints: std::slice::from_ref(&hint), ..Ask::default() });
        assert_eq!(found, std::slice::from_ref(wanted), "{hint:?}");
        // One read a filter, and few of lines.
        assert!(reads < everything * 5 / 4, "{hint:?} took {reads} reads, everything {everything}");
    }
}

#[test]
fn streams_are_those_with_a_line_in_the_range() {
    let sim = SimWorld::new(4);
    let mut store = open(&sim, settings());
    let (a, b) = (app("a"), app("b"));
    fill(
        &mut store,
        &[entry(&a, NOW - 100 * S, "x", &[]), entry(&a, NOW, "x", &[]), entry(&b, NOW - 50 * S, "x", &[])],
    );
    let check = |store: &EventStore, from: i64, to: i64, expect: &[&Labels]| {
        let range = RangeNs::new(NOW + from * S, NOW + to * S);
        let found = store.streams(&tenant(), &[], range, &Budget::unlimited()).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expect, "{from} {to}");
    };
    for flushed in [false, true] {
        check(&store, -1000, 0, &[&a, &b]);
        check(&store, -60, -40, &[&b]);
        check(&store, -90, -60, &[]);
        check(&store, -100, -100, &[&a]);
        let sets = [vec![Matcher::equal("app", "b")], vec![Matcher::equal("app", "zz")]];
        let found = store.streams(&tenant(), &sets, RangeNs::ALL, &Budget::unlimited()).unwrap();
        assert_eq!(found, std::slice::from_ref(&b), "flushed: {flushed}");
        store.flush().unwrap();
    }
}

#[test]
fn tenants_do_not_see_each_other() {
    let sim = SimWorld::new(5);
    let mut store = open(&sim, settings());
    let other = base_signal::TenantId::new("other").unwrap();
    store.append_logs(&other, &log_write(&[entry(&app("a"), NOW, "theirs", &[])])).unwrap();
    fill(&mut store, &[entry(&app("a"), NOW, "ours", &[])]);
    store.flush().unwrap();
    let found = Ask::default().of(&store).unwrap().0;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].line, "ours");
    assert_eq!(store.tenants(), [tenant(), other]);
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_reason() {
    let sim = SimWorld::new(6);
    let settings = Settings { retention_ms: Some(3_600_000), line_bytes_max: 100, ..settings() };
    let mut store = open(&sim, settings);
    let lines = [
        entry(&app("a"), NOW, "fine", &[]),
        entry(&app("a"), NOW - 7200 * S, "old", &[]),
        entry(&app("a"), NOW + 3600 * S, "from the future", &[]),
        entry(&app("a"), NOW, &"x".repeat(101), &[]),
        entry(&Labels::empty(), NOW, "of nobody", &[]),
    ];
    let appended = store.append_logs(&tenant(), &log_write(&lines)).unwrap();
    let reasons: Vec<_> = appended.rejected.keys().copied().collect();
    assert_eq!(appended.accepted, 1);
    use RejectReason::{InvalidLabels, TooFarInFuture, TooLarge, TooOld};
    assert_eq!(reasons, [TooOld, TooFarInFuture, InvalidLabels, TooLarge]);
    assert!(appended.message().contains(r#"{app="a", env="prod"}"#), "{}", appended.message());
    assert_eq!(Ask::default().of(&store).unwrap().0.len(), 1);
}

#[test]
fn retention_by_age_hides_at_once_and_frees_the_disk() {
    let sim = SimWorld::new(7);
    let settings = Settings { retention_ms: Some(2 * 3_600_000), ..settings() };
    let mut store = open(&sim, settings);
    let lines: Vec<Seen> = (0..100).map(|i| entry(&app("a"), NOW - i * 60 * S, &format!("line {i}"), &[])).collect();
    fill(&mut store, &lines);
    store.flush().unwrap();
    let disk = store.disk_used();
    sim.clock.advance_ms(3_600_000);
    assert_eq!(Ask::default().of(&store).unwrap().0.len(), 61, "an hour is left, before anything was removed");
    sim.clock.advance_ms(3_600_001);
    assert_eq!(Ask::default().of(&store).unwrap().0, []);
    assert!(store.enforce_retention().unwrap() > 0);
    assert!(store.disk_used() < disk && store.segment_count() == 0, "{}", store.disk_used());
    assert!(sim.disk.files().iter().all(|(path, _)| path.extension().is_none_or(|e| e != "logs")));
}

#[test]
fn retention_by_size_drops_the_oldest() {
    let sim = SimWorld::new(8);
    let settings = Settings { retention_bytes: Some(60_000), ..settings() };
    let mut store = open(&sim, settings);
    for hour in (0..10).rev() {
        let random = |i: i64| {
            format!("{:x}", i128::from(i * 7919 + hour + 1).wrapping_mul(0x1e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
        };
        let lines: Vec<Seen> =
            (0..200).map(|i| entry(&app("a"), NOW - hour * 3600 * S - i * S, &random(i), &[])).collect();
        fill(&mut store, &lines);
        store.flush().unwrap();
        store.enforce_retention().unwrap();
    }
    assert!(store.disk_used() <= 60_000, "{}", store.disk_used());
    let left = Ask::default().of(&store).unwrap().0;
    assert_eq!(left.last().unwrap().time_ns, NOW, "the newest stay");
    assert!(left.len() < 2_000 && left.len() >= 200, "{}", left.len());
}

#[test]
fn memory_is_bounded_and_a_full_disk_sheds_without_loss() {
    let sim = SimWorld::new(9);
    let settings = Settings { memory_bytes: 200_000, wal_bytes_max: 1 << 20, ..settings() };
    let mut store = open(&sim, settings.clone());
    let line = |i: i64| entry(&app("a"), NOW - 1000 * S + i * 1_000_000, &format!("{i} {}", "x".repeat(200)), &[]);
    let mut sent = Vec::new();
    for i in 0..3_000 {
        if i == 1_500 {
            let room = sim.disk.used_bytes() + 10_000;
            sim.disk.set_budget_bytes(Some(room));
        }
        match store.append_logs(&tenant(), &log_write(&[line(i)])) {
            Ok(_) => sent.push(line(i)),
            Err(SourceError::Shed { retry_after_ms, .. }) => assert!(retry_after_ms > 0),
            Err(other) => panic!("{other}"),
        }
        assert!(store.memory_used() < 250_000, "{} bytes after {i}", store.memory_used());
    }
    assert!(sent.len() > 1_400 && sent.len() < 3_000, "{} were taken", sent.len());
    assert_eq!(Ask::default().of(&store).unwrap().0, sent);
    sim.disk.set_budget_bytes(None);
    fill(&mut store, &[line(5_000)]);
    sent.push(line(5_000));
    store.sync().unwrap();
    drop(store);
    sim.disk.reboot(PowerLoss::DropAll);
    assert_eq!(Ask::default().of(&open(&sim, settings)).unwrap().0, sent);
}

#[test]
fn a_rotten_block_costs_its_lines_only_and_is_named() {
    let sim = SimWorld::new(10);
    let (mut store, lines) = filled(&sim);
    let segments = store.segment_count();
    let (path, _) =
        sim.disk.files().into_iter().find(|(path, _)| path.extension().is_some_and(|e| e == "logs")).unwrap();
    assert!(sim.disk.flip_bit(&path, 40, 3));
    let (found, annotations) = Ask::default().of(&store).unwrap();
    assert!(found.len() < lines.len() && found.len() > lines.len() * 9 / 10, "{}", found.len());
    assert!(found.iter().all(|line| lines.contains(line)), "nothing invented");
    let text: Vec<_> = annotations.of(Level::Warning).collect();
    assert!(text.len() == 1 && text[0].contains(path.to_str().unwrap()), "{text:?}");
    assert_eq!(store.damage().len(), 1);
    while store.compact().unwrap() > 0 {}
    assert_eq!(Ask::default().of(&store).unwrap().0, found, "merging loses nothing that can be read");
    assert!(store.segment_count() < segments && sim.disk.files().iter().any(|(p, _)| *p == path));
}

#[test]
fn a_rotten_table_sets_the_segment_aside() {
    let sim = SimWorld::new(11);
    let (store, lines) = filled(&sim);
    drop(store);
    let (path, len) =
        sim.disk.files().into_iter().find(|(path, _)| path.extension().is_some_and(|e| e == "logs")).unwrap();
    assert!(sim.disk.flip_bit(&path, len - 60, 3));
    let (store, report) = EventStore::open(&sim.world(), Path::new(DIR), settings()).unwrap();
    assert!(report.damage.len() == 1 && report.damage[0].path == path, "{:?}", report.damage);
    let found = Ask::default().of(&store).unwrap().0;
    assert!(found.len() < lines.len() && !found.is_empty());
    assert!(sim.disk.files().iter().any(|(p, _)| p.to_str().unwrap().contains("quarantine")));
}

#[test]
fn a_reader_keeps_its_snapshot_and_its_share() {
    let sim = SimWorld::new(12);
    let (mut store, lines) = filled(&sim);
    let budget = Budget::new(800);
    let refused = Ask { budget: budget.clone(), ..Ask::default() }.of(&store);
    assert!(matches!(refused, Err(SourceError::Budget { limit_bytes: 800, .. })), "{:?}", refused.map(|f| f.0.len()));
    assert_eq!(budget.used_bytes(), 0, "all given back");
    let (tenant, budget, cancel) = (tenant(), Budget::unlimited(), Default::default());
    let (matchers, hints, range) = (&[][..], &[][..], RangeNs::ALL);
    let direction = Direction::Forward;
    let request = observe_source::SelectLogs {
        tenant: &tenant,
        matchers,
        range,
        direction,
        hints,
        budget: &budget,
        cancel: &cancel,
    };
    let mut batches = store.select_logs(&request).unwrap();
    while store.compact().unwrap() > 0 {}
    fill(&mut store, &[entry(&app("cart"), NOW - 1, "too late to be seen", &[])]);
    drop(store);
    let mut count = 0;
    while let Some(batch) = batches.next().unwrap() {
        count += batch.len();
    }
    assert_eq!(count, lines.len());
    drop(batches);
    assert_eq!(budget.used_bytes(), 0);
    let mut batches = open(&sim, settings()).select_logs(&request).unwrap();
    cancel.cancel();
    assert_eq!(batches.next().unwrap_err(), SourceError::Cancelled);
}
