//! One tenant's newest data in memory: series by number, each with an open chunk and closed ones. Everything here is also
//! in the log. Knows nothing of files: what segments hold it is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use base_signal::{Exemplar, LabelsRef, Metadata, RangeMs};
use parking_lot::{RwLock, RwLockReadGuard};

use crate::index::{Key, SeriesIndex};
use crate::points::Point;
use crate::series::{Series, Snapshot};

/// Exemplars a series keeps between two flushes; the oldest go first.
const EXEMPLARS_MAX: usize = 64;
const EXTRA_BYTES: usize = 160;

/// What became of one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Taken,
    /// The very same point is there: nothing to do.
    Same,
    /// Another value is there.
    Duplicate,
    /// Older than the window behind the series' newest point.
    OutOfOrder,
}

#[derive(Default)]
pub(crate) struct Head {
    /// Shared with the head that a flush is writing: numbers stay, and nothing is built anew. Series that came since have numbers that the older head
    /// does not know.
    index: Arc<RwLock<SeriesIndex>>,
    series: Vec<Series>,
    pub(crate) metadata: BTreeMap<String, Metadata>,
    pub(crate) metadata_is_new: bool,
    data_bytes: usize,
    /// Newest time in the tenant's segments: a series not seen since may have points up to there.
    pub(crate) segments_max_ms: Option<i64>,
}

impl Head {
    pub(crate) fn new(segments_max_ms: Option<i64>) -> Self {
        Self { segments_max_ms, ..Self::default() }
    }

    /// Forgets all series, if none has anything that is not in segments.
    pub(crate) fn forget_series(&mut self) {
        if !self.series.iter().any(Series::has_news) {
            let old = std::mem::take(self);
            self.metadata = old.metadata;
            self.metadata_is_new = old.metadata_is_new;
            self.segments_max_ms = old.segments_max_ms;
            self.data_bytes = metadata_bytes(&self.metadata);
        }
    }

    /// Bytes held; the index is left out if it is counted with `other`.
    pub(crate) fn size_bytes(&self, other: Option<&Head>) -> usize {
        let shared = other.is_some_and(|other| Arc::ptr_eq(&self.index, &other.index));
        let index = if shared { 0 } else { self.index().size_bytes() };
        self.data_bytes + index + self.series.len() * size_of::<Series>()
    }

    /// To look, for as short as possible: an append that makes series waits.
    pub(crate) fn index(&self) -> RwLockReadGuard<'_, SeriesIndex> {
        self.index.read()
    }

    pub(crate) fn series_count(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn find(&self, key: Key) -> Option<u32> {
        self.index().find(key)
    }

    /// The series of these labels, made if need be.
    pub(crate) fn find_or_insert(&mut self, labels: LabelsRef<'_>) -> u32 {
        let key = Key::of(labels);
        self.find(key).unwrap_or_else(|| self.insert(labels, key))
    }

    /// Makes a series that is not there yet.
    pub(crate) fn insert(&mut self, labels: LabelsRef<'_>, key: Key) -> u32 {
        let flushed_max_ms = self.segments_max_ms.unwrap_or(i64::MIN);
        let id = self.index.write().insert(labels, key);
        self.series.resize_with(id as usize + 1, || Series::new(flushed_max_ms));
        id
    }

    pub(crate) fn series_mut(&mut self, id: u32) -> Option<&mut Series> {
        self.series.get_mut(id as usize)
    }

    /// Whether a point of this time may be in segments, so that the store must look before [`Head::append`].
    pub(crate) fn may_be_stored(&self, id: u32, time_ms: i64) -> bool {
        self.series.get(id as usize).is_some_and(|series| time_ms <= series.flushed_max_ms)
    }

    /// The series' newest point, if it is of this time and a float: remembered also when it is in a segment.
    pub(crate) fn newest(&self, id: u32, time_ms: i64) -> Option<Point> {
        let series = self.series.get(id as usize).filter(|series| series.last_ms() == Some(time_ms))?;
        series.last_bits().map(Point::Float)
    }

    /// Adds a point, or says why not. `stored`: what the segments hold of this time.
    pub(crate) fn append(
        &mut self,
        id: u32,
        time_ms: i64,
        point: Point,
        window_ms: i64,
        stored: Option<&Point>,
    ) -> Verdict {
        let judge = |there: &Point| if *there == point { Verdict::Same } else { Verdict::Duplicate };
        let Some(series) = self.series.get_mut(id as usize) else { return Verdict::OutOfOrder };
        let newer = series.last_ms().is_none_or(|last| time_ms > last);
        if !newer {
            if series.last_ms() == Some(time_ms)
                && let Some(last) = series.last_bits()
            {
                return judge(&Point::Float(last));
            }
            if series.last_ms().is_some_and(|last| last.saturating_sub(time_ms) > window_ms) {
                return Verdict::OutOfOrder;
            }
            if let Some(there) = series.at(time_ms) {
                return judge(&there);
            }
        }
        if let Some(there) = stored {
            return judge(there);
        }
        self.data_bytes += series.insert(time_ms, point, newer);
        Verdict::Taken
    }

    /// Adds an exemplar; false when the series has it already.
    pub(crate) fn append_exemplar(&mut self, id: u32, exemplar: &Exemplar) -> bool {
        let Some(series) = self.series.get_mut(id as usize) else { return false };
        let exemplars = &mut series.extra.get_or_insert_default().exemplars;
        if exemplars.iter().any(|there| same_exemplar(there, exemplar)) {
            return false;
        }
        if exemplars.len() >= EXEMPLARS_MAX {
            exemplars.remove(0);
        } else {
            self.data_bytes += EXTRA_BYTES + exemplar.labels.as_bytes().len();
        }
        exemplars.push(exemplar.clone());
        true
    }

    /// Notes when the series' counter began; false when that was known.
    pub(crate) fn set_created(&mut self, id: u32, created_ms: i64) -> bool {
        let Some(series) = self.series.get_mut(id as usize) else { return false };
        let extra = series.extra.get_or_insert_default();
        if extra.created_ms == Some(created_ms) {
            return false;
        }
        (extra.created_ms, extra.created_is_new) = (Some(created_ms), true);
        true
    }

    /// Notes a family's metadata; false when it was known.
    pub(crate) fn set_metadata(&mut self, family: &str, metadata: &Metadata) -> bool {
        if self.metadata.get(family) == Some(metadata) {
            return false;
        }
        self.data_bytes += family.len() + metadata.help.len() + EXTRA_BYTES;
        self.metadata.insert(family.to_owned(), metadata.clone());
        self.metadata_is_new = true;
        true
    }

    pub(crate) fn snapshot(&self, id: u32, range: RangeMs) -> Snapshot {
        self.series.get(id as usize).map(|series| series.snapshot(range)).unwrap_or_default()
    }

    pub(crate) fn created_ms(&self, id: u32) -> Option<i64> {
        self.series.get(id as usize)?.extra.as_deref()?.created_ms
    }

    pub(crate) fn exemplars(&self, id: u32) -> &[Exemplar] {
        let extra = self.series.get(id as usize).and_then(|series| series.extra.as_deref());
        extra.map(|extra| extra.exemplars.as_slice()).unwrap_or_default()
    }

    /// The span of the series' points in memory.
    pub(crate) fn time_range(&self, id: u32) -> Option<(i64, i64)> {
        self.series.get(id as usize)?.time_range()
    }

    /// All that a flush writes, sorted by labels: series with points, exemplars or news of their creation.
    pub(crate) fn to_flush(&self) -> Vec<u32> {
        let mut order = self.index().sorted();
        order.retain(|id| self.series.get(*id as usize).is_some_and(Series::has_news));
        order
    }

    /// Hands out all it has for a flush and goes on with the series alone. When most of them have been idle for long, those are forgotten and the numbers of
    /// the others change; the log must define all of them anew in any case.
    pub(crate) fn freeze(&mut self) -> Head {
        let old = std::mem::take(self);
        self.metadata.clone_from(&old.metadata);
        self.data_bytes = metadata_bytes(&self.metadata);
        let newest_ms = old.series.iter().filter_map(|series| series.time_range().map(|(_, last)| last)).max();
        self.segments_max_ms = old.segments_max_ms.max(newest_ms);
        let idle = old.series.iter().filter(|series| series.is_idle()).count();
        if idle * 2 <= old.series.len() {
            self.index = Arc::clone(&old.index);
            self.series = old.series.iter().map(Series::carry_over).collect();
            return old;
        }
        let (mut index, mut known) = (SeriesIndex::default(), Vec::new());
        for (id, series) in (0u32..).zip(&old.series).filter(|(_, series)| !series.is_idle()) {
            index.adopt(&old.index(), id, &mut known);
            self.series.push(series.carry_over());
        }
        self.index = Arc::new(RwLock::new(index));
        old
    }

    /// The point of exactly this time, if it is in memory.
    pub(crate) fn at(&self, id: u32, time_ms: i64) -> Option<Point> {
        self.series.get(id as usize).and_then(|series| series.at(time_ms))
    }

    /// Whether a flush would write anything.
    pub(crate) fn has_news(&self) -> bool {
        self.metadata_is_new || self.series.iter().any(Series::has_news)
    }

    /// After a deletion the newest point may be gone: forget it, and look into the segments again.
    pub(crate) fn forget_newest(&mut self) {
        self.series.iter_mut().for_each(Series::forget_newest);
    }
}

fn metadata_bytes(metadata: &BTreeMap<String, Metadata>) -> usize {
    metadata.iter().map(|(name, metadata)| name.len() + metadata.help.len() + EXTRA_BYTES).sum()
}

/// The same to the last bit.
pub(crate) fn same_exemplar(a: &Exemplar, b: &Exemplar) -> bool {
    a.time_ms == b.time_ms && a.value.to_bits() == b.value.to_bits() && a.labels == b.labels
}
