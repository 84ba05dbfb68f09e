//! Increases in, counters out: in order, again, late, after a restart and after a failed write.

use base_signal::{Buckets, CounterReset, SpanRun};
use observe_source::fake::FakeMetrics;

use super::*;

fn labels() -> Labels {
    Labels::from_pairs([("__name__", "calls_total"), ("job", "a")])
}

fn write(points: &[(i64, Increment)]) -> MetricWrite {
    let mut write = MetricWrite::default();
    let series = write.series.push_set(labels().as_ref());
    for (time_ms, by) in points {
        write.increases.push(Increase { series, start_ms: time_ms - 10, time_ms: *time_ms, by: by.clone() });
    }
    write
}

fn floats(points: &[(i64, f64)]) -> MetricWrite {
    write(&points.iter().map(|(time, by)| (*time, Increment::Float(*by))).collect::<Vec<_>>())
}

/// Adds up and stores; what came out as (time, value).
fn take(adding: &mut Accumulator, stored: &mut FakeMetrics, mut write: MetricWrite) -> (Vec<(i64, f64)>, Appended) {
    let (told, _) = adding.add_up(&TenantId::default(), &mut write, stored).expect("the fake answers");
    assert!(write.increases.is_empty());
    stored.append(&write);
    (write.samples.iter().map(|(_, time, value)| (*time, *value)).collect(), told)
}

#[test]
fn increases_become_a_counter() {
    let (mut adding, mut stored) = (Accumulator::default(), FakeMetrics::default());
    let mut take = |points: &[(i64, f64)]| take(&mut adding, &mut stored, floats(points));
    assert_eq!(take(&[(1000, 2.0), (1010, 3.0)]).0, [(1000, 2.0), (1010, 5.0)]);
    assert_eq!(take(&[(1030, 1.5)]).0, [(1030, 6.5)], "a gap is no end");
    // Sent twice, it counts once; late, not at all.
    let (points, told) = take(&[(1030, 1.5), (1020, 9.0), (1040, 1.0)]);
    assert_eq!((points, told.accepted, told.rejected_count()), (vec![(1040, 7.5)], 1, 1));
    assert!(told.message().contains("at 1020 is older than the last, of 1030"), "{}", told.message());
}

#[test]
fn what_is_no_number_does_not_spoil_the_counter() {
    let (mut adding, mut stored) = (Accumulator::default(), FakeMetrics::default());
    let (points, told) = take(&mut adding, &mut stored, floats(&[(1000, 2.0), (1010, f64::NAN), (1020, 1.0)]));
    assert_eq!((points, told.rejected_count()), (vec![(1000, 2.0), (1020, 3.0)], 1));
}

#[test]
fn a_restart_goes_on_from_what_is_stored() {
    let mut stored = FakeMetrics::default();
    take(&mut Accumulator::default(), &mut stored, floats(&[(1000, 2.0), (1010, 3.0)]));
    let mut after = Accumulator::default();
    assert_eq!(take(&mut after, &mut stored, floats(&[(1010, 3.0), (1020, 1.0)])).0, [(1020, 6.0)]);
    // Longer ago than it looks back, or ended: it begins anew.
    assert_eq!(take(&mut Accumulator::default(), &mut stored, floats(&[(1020 + RESUME_MS + 1, 4.0)])).0[0].1, 4.0);
    let mut ended = MetricWrite::default();
    let series = ended.series.push_set(labels().as_ref());
    ended.samples.push((series, 2 * RESUME_MS, base_signal::stale_nan()));
    stored.append(&ended);
    assert_eq!(take(&mut Accumulator::default(), &mut stored, floats(&[(2 * RESUME_MS + 1, 4.0)])).0[0].1, 4.0);
}

#[test]
fn what_was_not_stored_is_taken_back() {
    let (mut adding, mut stored) = (Accumulator::default(), FakeMetrics::default());
    take(&mut adding, &mut stored, floats(&[(1000, 2.0)]));
    let mut lost = floats(&[(1010, 3.0), (1020, 4.0)]);
    let (_, receipt) = adding.add_up(&TenantId::default(), &mut lost, &stored).expect("the fake answers");
    adding.take_back(receipt);
    assert_eq!(take(&mut adding, &mut stored, floats(&[(1010, 3.0), (1020, 4.0)])).0, [(1010, 5.0), (1020, 9.0)]);
}

fn histogram(schema: i32, offset: i32, counts: &[u64]) -> NativeHistogram {
    NativeHistogram {
        schema,
        counter_reset: CounterReset::Unknown,
        zero_threshold: 1e-128,
        sum: 1.5,
        positive_runs: vec![SpanRun { offset, length: counts.len() as u32 }],
        negative_runs: Vec::new(),
        buckets: Buckets::Integer {
            count: counts.iter().sum(),
            zero_count: 0,
            positive: counts.to_vec(),
            negative: vec![],
        },
        custom_bounds: Vec::new(),
    }
}

#[test]
fn histograms_of_any_two_resolutions() {
    let check = |a: NativeHistogram, b: NativeHistogram, runs: &[(i32, u32)], expect: &[u64]| {
        let (mut adding, mut stored) = (Accumulator::default(), FakeMetrics::default());
        let mut both = write(&[(1000, Increment::Histogram(a)), (1010, Increment::Histogram(b))]);
        adding.add_up(&TenantId::default(), &mut both, &stored).expect("the fake answers");
        let (_, _, total) = both.histograms.last().expect("two came out");
        let found: Vec<_> = total.positive_runs.iter().map(|run| (run.offset, run.length)).collect();
        let Buckets::Integer { positive, count, .. } = &total.buckets else { panic!("whole counts stay so") };
        assert_eq!((found.as_slice(), positive.as_slice(), *count), (runs, expect, expect.iter().sum()));
        assert_eq!(total.sum, 3.0);
        stored.append(&both);
    };
    check(histogram(0, 1, &[1, 2]), histogram(0, 2, &[3, 4]), &[(1, 3)], &[1, 5, 4]);
    check(histogram(0, 1, &[1]), histogram(0, 9, &[4]), &[(1, 1), (7, 1)], &[1, 4]);
    // Resolution 1 has two buckets to one of resolution 0: 1 and 2 go into 1, 3 and 4 into 2.
    check(histogram(1, 1, &[1, 2, 3, 4]), histogram(0, 2, &[10]), &[(1, 2)], &[3, 17]);
    check(histogram(0, 0, &[5]), histogram(1, -1, &[1, 2]), &[(0, 1)], &[8]);
}

#[test]
fn so_many_are_held_and_no_more() {
    let mut adding = Accumulator::default();
    for round in 0..3 {
        let mut write = MetricWrite::default();
        for i in 0..STREAMS_MAX / 2 {
            let name = format!("m{round}_{i}");
            let series = write.series.push(&mut vec![("__name__", name.as_str())]);
            write.increases.push(Increase { series, start_ms: 0, time_ms: 1, by: Increment::Float(1.0) });
        }
        adding.add_up(&TenantId::default(), &mut write, &FakeMetrics::default()).expect("the fake answers");
        assert!(adding.streams.len() <= STREAMS_MAX, "{}", adding.streams.len());
    }
    assert!(adding.streams.len() >= STREAMS_MAX / 2);
}
