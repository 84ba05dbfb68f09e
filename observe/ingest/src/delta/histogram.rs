//! Adding native histograms with whole counts, of any two resolutions. Knows no series.

use std::collections::BTreeMap;

use base_signal::{Buckets, NativeHistogram, SpanRun};

/// Up to so many empty buckets are written out; a wider gap starts a new run.
const GAP_MAX: i64 = 2;

/// False, and nothing added, when the two cannot be one: custom bounds, float counts, or zero buckets of different widths.
pub(super) fn add(total: &mut NativeHistogram, by: &NativeHistogram) -> bool {
    let custom = NativeHistogram::CUSTOM_SCHEMA;
    if total.schema == custom || by.schema == custom || total.zero_threshold.to_bits() != by.zero_threshold.to_bits() {
        return false;
    }
    let (
        Buckets::Integer { count, zero_count, positive, negative },
        Buckets::Integer { count: more, zero_count: more_zero, positive: more_positive, negative: more_negative },
    ) = (&total.buckets, &by.buckets)
    else {
        return false;
    };
    let schema = total.schema.min(by.schema);
    let join = |a: (&[SpanRun], &[u64]), b: (&[SpanRun], &[u64])| {
        let mut all = BTreeMap::new();
        spread(a.0, a.1, total.schema - schema, &mut all);
        spread(b.0, b.1, by.schema - schema, &mut all);
        packed(&all)
    };
    let (positive_runs, positive) = join((&total.positive_runs, positive), (&by.positive_runs, more_positive));
    let (negative_runs, negative) = join((&total.negative_runs, negative), (&by.negative_runs, more_negative));
    let (count, zero_count) = (count.saturating_add(*more), zero_count.saturating_add(*more_zero));
    total.buckets = Buckets::Integer { count, zero_count, positive, negative };
    (total.positive_runs, total.negative_runs, total.schema) = (positive_runs, negative_runs, schema);
    total.sum += by.sum;
    true
}

/// Adds the buckets to `all` by their index, `coarser` resolutions down. A bucket's index is that of its upper bound.
fn spread(runs: &[SpanRun], counts: &[u64], coarser: i32, all: &mut BTreeMap<i64, u64>) {
    let (mut index, mut counts) = (0i64, counts.iter());
    for run in runs {
        index += i64::from(run.offset);
        for count in counts.by_ref().take(run.length as usize) {
            let bucket = all.entry(((index - 1) >> coarser) + 1).or_default();
            *bucket = bucket.saturating_add(*count);
            index += 1;
        }
    }
}

fn packed(all: &BTreeMap<i64, u64>) -> (Vec<SpanRun>, Vec<u64>) {
    let (mut runs, mut counts, mut next) = (Vec::<SpanRun>::new(), Vec::new(), 0i64);
    for (index, count) in all.iter().filter(|(_, count)| **count > 0) {
        let gap = index - next;
        match runs.last_mut() {
            Some(run) if gap <= GAP_MAX => {
                counts.extend((0..gap).map(|_| 0));
                run.length += gap as u32 + 1;
            }
            // Indices come from 32-bit ones and do not leave them.
            _ => runs.push(SpanRun { offset: i32::try_from(gap).unwrap_or(i32::MAX), length: 1 }),
        }
        counts.push(*count);
        next = index + 1;
    }
    (runs, counts)
}
