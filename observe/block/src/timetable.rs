//! When to merge and what to drop: a pure function of the segments, the time and the settings. No clock, no disk.
//!
//! Segments of one kind and tenant are merged when enough of one level lie in one time window, so that a segment is
//! rewritten about once a level; windows never cross, so that retention can drop whole files.

use std::collections::BTreeMap;

use crate::manifest::SegmentMeta;

/// Retention and merge settings. Times in the store's unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    /// Segments whose newest row is older than this are dropped; `None` keeps everything.
    pub retention_age: Option<i64>,
    /// All segments together; the oldest are dropped first; `None` is endless.
    pub retention_bytes: Option<u64>,
    /// Merged segments stay within windows of this length, aligned to the epoch (for example a day).
    pub window: i64,
    /// This many segments of one level make one of the next.
    pub fan_in: usize,
    /// A merge is not planned beyond this size of its inputs.
    pub merge_bytes_max: u64,
}

/// What to do, by segment id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Drop these whole, oldest first.
    pub drop: Vec<u64>,
    /// Merge each group into one segment of the next level; none of them is dropped.
    pub merge: Vec<Vec<u64>>,
}

/// Plans the next round. Run it again after the work is done: it stops when there is nothing to do.
pub fn plan(segments: &[SegmentMeta], now: i64, timetable: &Timetable) -> Work {
    let mut by_age: Vec<&SegmentMeta> = segments.iter().collect();
    by_age.sort_by_key(|segment| (segment.time_max, segment.id));
    let oldest = timetable.retention_age.map_or(i64::MIN, |age| now.saturating_sub(age));
    let mut total: u64 = by_age.iter().map(|segment| segment.bytes).sum();
    let mut work = Work::default();
    let mut groups: BTreeMap<_, Vec<&SegmentMeta>> = BTreeMap::new();
    for segment in by_age {
        if segment.time_max < oldest || timetable.retention_bytes.is_some_and(|limit| total > limit) {
            total -= segment.bytes;
            work.drop.push(segment.id);
            continue;
        }
        let window = segment.time_max.div_euclid(timetable.window.max(1));
        let key = (segment.kind, segment.tenant.as_str(), window, segment.level);
        groups.entry(key).or_default().push(segment);
    }
    for group in groups.values() {
        merge_group(group, timetable, &mut work);
    }
    work
}

fn merge_group(group: &[&SegmentMeta], timetable: &Timetable, work: &mut Work) {
    let fan_in = timetable.fan_in.max(2);
    let (mut batch, mut bytes) = (Vec::new(), 0u64);
    for segment in group {
        if segment.bytes >= timetable.merge_bytes_max {
            continue;
        }
        if bytes.saturating_add(segment.bytes) > timetable.merge_bytes_max {
            // Full before the count is reached: what was gathered is worth a merge if it is more than one.
            if batch.len() > 1 {
                work.merge.push(std::mem::take(&mut batch));
            }
            (batch, bytes) = (Vec::new(), 0);
        }
        batch.push(segment.id);
        bytes += segment.bytes;
        if batch.len() == fan_in {
            work.merge.push(std::mem::take(&mut batch));
            bytes = 0;
        }
    }
}
