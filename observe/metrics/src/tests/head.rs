//! Series over flushes: the index is shared with what is being written, and series that are idle are forgotten and come back.

use base_signal::{Labels, RangeMs};
use base_world::Clock;
use base_world::sim::{PowerLoss, SimWorld};
use observe_source::{LabelQuery, MetricSource};

use super::store::take;
use super::{all_metrics, labels, open, select_all, settings, tenant, with_query, write};
use crate::{MetricStore, Settings};

fn times(store: &MetricStore, labels: &Labels) -> Vec<i64> {
    select_all(store).get(labels).map(|points| points.keys().copied().collect()).unwrap_or_default()
}

fn series_count(store: &MetricStore) -> usize {
    let count = |query: &LabelQuery<'_>| store.series(query).expect("series").0.len();
    with_query(&[all_metrics()], RangeMs::ALL, count)
}

#[test]
fn series_that_come_while_a_flush_writes_are_in_memory_and_in_the_log() {
    let sim = SimWorld::new(1);
    let now = sim.clock.now_ms();
    let (mut store, _) = open(&sim, settings());
    let (old, new, newer) = (labels("up", "m"), labels("up", "a"), labels("up", "z"));
    take(&mut store, &[(&old, now - 9, 1.0)]).expect("taken");
    let job = store.begin_flush().expect("begun").expect("work");
    // Sorted before, after and among what the flush writes; one is new to the index that both look at.
    take(&mut store, &[(&new, now - 8, 2.0), (&old, now - 8, 2.0)]).expect("taken");
    let written = job.run().expect("written");
    take(&mut store, &[(&newer, now - 7, 3.0), (&new, now - 7, 3.0)]).expect("taken");
    let check = |store: &MetricStore, when: &str| {
        assert_eq!(times(store, &old), [now - 9, now - 8], "{when}");
        assert_eq!(times(store, &new), [now - 8, now - 7], "{when}");
        assert_eq!(times(store, &newer), [now - 7], "{when}");
        assert_eq!(series_count(store), 3, "{when}");
    };
    check(&store, "written and not in force");
    store.install(written).expect("in force");
    check(&store, "in force");
    store.sync().expect("sync");
    drop(store);
    sim.disk.reboot(PowerLoss::DropAll);
    let (mut store, report) = open(&sim, settings());
    assert_eq!(report.samples, 4, "the log has what the flush did not write, and no more");
    check(&store, "after a power loss");
    store.flush().expect("flush");
    check(&store, "flushed again");
}

#[test]
fn idle_series_are_forgotten_and_come_back_from_their_labels() {
    let sim = SimWorld::new(1);
    let now = sim.clock.now_ms();
    let (mut store, _) = open(&sim, settings());
    let all: Vec<Labels> = (0..10).map(|i| labels("up", &format!("job-{i}"))).collect();
    take(&mut store, &all.iter().map(|labels| (labels, now - 100, 1.0)).collect::<Vec<_>>()).expect("taken");
    let busy = &all[7];
    // As often as it takes, and once more after the numbers have changed.
    for round in 0..5 {
        take(&mut store, &[(busy, now - 90 + round, 2.0)]).expect("taken");
        store.flush().expect("flush");
    }
    assert_eq!(store.series_count(), 1, "nine were idle");
    assert_eq!(series_count(&store), 10, "and are in segments");
    let back = &all[3];
    assert!(take(&mut store, &[(back, now - 100, 9.0)]).is_err(), "what it had is found in its segment");
    assert_eq!(take(&mut store, &[(back, now - 100, 1.0)]), Ok(1), "the very point that is stored");
    take(&mut store, &[(back, now - 50, 4.0), (busy, now - 50, 4.0)]).expect("taken");
    let expect: Vec<i64> = (0..5).map(|round| now - 90 + round).collect();
    let check = |store: &MetricStore, when: &str| {
        assert_eq!(times(store, back), [now - 100, now - 50], "{when}");
        assert_eq!(times(store, busy), [&[now - 100], expect.as_slice(), &[now - 50]].concat(), "{when}");
        assert_eq!(series_count(store), 10, "{when}");
    };
    check(&store, "in memory");
    store.sync().expect("sync");
    drop(store);
    sim.disk.reboot(PowerLoss::DropAll);
    let (store, _) = open(&sim, settings());
    check(&store, "after a power loss");
}

#[test]
fn whoever_makes_too_many_series_loses_the_new_ones_alone() {
    let sim = SimWorld::new(1);
    let now = sim.clock.now_ms();
    let limits =
        Settings { metric_series_max: Some(3), job_series_max: Some(4), tenant_series_max: Some(7), ..settings() };
    let (mut store, _) = open(&sim, limits);
    let refused = |store: &mut MetricStore, name: &str, job: &str, pod: u32| {
        let labels = Labels::from_pairs([("__name__", name), ("job", job), ("pod", &pod.to_string())]);
        store.append(&tenant(), &write(&[(&labels, now, 1.0)])).expect("append").message()
    };
    let rows = [
        ("up", "a", 1, ""),
        ("up", "a", 2, ""),
        ("up", "b", 3, ""),
        ("up", "b", 4, "the metric up has its 3 series"),
        // Those that are there go on.
        ("up", "a", 2, ""),
        ("cpu", "a", 1, ""),
        ("cpu", "a", 2, ""),
        ("cpu", "a", 3, "the job a has its 4 series"),
        ("cpu", "c", 3, ""),
        ("mem", "c", 1, ""),
        ("mem", "c", 2, "the tenant has its 7 series"),
    ];
    for (name, job, pod, expect) in rows {
        let message = refused(&mut store, name, job, pod);
        assert_eq!(message.is_empty(), expect.is_empty(), "{name} {job} {pod}: {message}");
        assert!(message.contains(expect), "{name} {job} {pod}: {message}");
    }
    let other = base_signal::TenantId::new("other").expect("a name");
    let up = labels("up", "a");
    let appended = store.append(&other, &write(&[(&up, now, 1.0)])).expect("append");
    assert_eq!(appended.rejected_count(), 0, "another tenant has budgets of its own");
    assert_eq!(series_count(&store), 7);
    // In one request too, and what fits is taken.
    let many: Vec<Labels> =
        (0..9).map(|pod| Labels::from_pairs([("__name__", "new"), ("pod", &pod.to_string())])).collect();
    let (mut store, _) = open(&SimWorld::new(2), Settings { metric_series_max: Some(3), ..settings() });
    let samples: Vec<_> = many.iter().map(|labels| (labels, now, 1.0)).collect();
    let appended = store.append(&tenant(), &write(&samples)).expect("append");
    assert_eq!((appended.accepted, appended.rejected_count()), (3, 6));
}
