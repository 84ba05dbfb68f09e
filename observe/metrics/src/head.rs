//! One tenant's newest data in memory: series by number, each with an open chunk and closed ones. Everything here is also
//! in the log. Knows nothing of files: what segments hold it is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use base_signal::{Exemplar, Labels, LabelsRef, Metadata};

use crate::chunk::{Chunk, decode_chunk};
use crate::index::{SeriesIndex, hash_labels};
use crate::points::{Point, Points};

/// Samples of a chunk before it is closed. Twice Prometheus's 120: out-of-order inserts still decode little.
const CHUNK_SAMPLES: u32 = 240;
/// Exemplars a series keeps between two flushes; the oldest go first.
const EXEMPLARS_MAX: usize = 64;
/// A series that took nothing between so many flushes is forgotten until it comes back.
const IDLE_FLUSHES_MAX: u8 = 2;
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
pub(crate) struct Series {
    chunk: Chunk,
    closed: Vec<Closed>,
    extra: Option<Box<Extra>>,
    last_ms: Option<i64>,
    /// The newest point if it is a float.
    last_bits: Option<u64>,
    /// Points up to here may be in segments.
    flushed_max_ms: i64,
    /// The log holds this series' definition after the last flush.
    pub(crate) defined: bool,
    idle_flushes: u8,
}

/// What few series have.
#[derive(Default)]
struct Extra {
    /// Ascending in time, as are histograms.
    out_of_order: Vec<(i64, u64)>,
    histograms: Vec<(i64, Arc<[u8]>)>,
    exemplars: Vec<Exemplar>,
    created_ms: Option<i64>,
    created_is_new: bool,
}

#[derive(Clone)]
struct Closed {
    time_min: i64,
    time_max: i64,
    count: u32,
    bytes: Arc<[u8]>,
}

/// A series' points at one moment, not yet decoded.
#[derive(Default)]
pub(crate) struct Snapshot {
    closed: Vec<Closed>,
    open: Vec<u8>,
    open_count: u32,
    out_of_order: Vec<(i64, u64)>,
    histograms: Vec<(i64, Arc<[u8]>)>,
    pub(crate) created_ms: Option<i64>,
}

#[derive(Default)]
pub(crate) struct Head {
    pub(crate) index: SeriesIndex,
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

    pub(crate) fn size_bytes(&self) -> usize {
        self.data_bytes + self.index.size_bytes() + self.series.len() * size_of::<Series>()
    }

    pub(crate) fn series_count(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn find(&self, labels: LabelsRef<'_>) -> Option<u32> {
        self.index.find(labels, hash_labels(labels.as_bytes()))
    }

    /// The series of these labels, made if need be.
    pub(crate) fn find_or_insert(&mut self, labels: LabelsRef<'_>) -> u32 {
        let hash = hash_labels(labels.as_bytes());
        if let Some(id) = self.index.find(labels, hash) {
            return id;
        }
        let flushed_max_ms = self.segments_max_ms.unwrap_or(i64::MIN);
        self.series.push(Series { flushed_max_ms, ..Series::default() });
        self.index.insert(labels, hash)
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
        let series = self.series.get(id as usize).filter(|series| series.last_ms == Some(time_ms))?;
        series.last_bits.map(Point::Float)
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
        let newer = series.last_ms.is_none_or(|last| time_ms > last);
        if !newer {
            if series.last_ms == Some(time_ms)
                && let Some(last) = series.last_bits
            {
                return judge(&Point::Float(last));
            }
            if series.last_ms.is_some_and(|last| last.saturating_sub(time_ms) > window_ms) {
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

    pub(crate) fn snapshot(&self, id: u32) -> Snapshot {
        let Some(series) = self.series.get(id as usize) else { return Snapshot::default() };
        let extra = series.extra.as_deref();
        Snapshot {
            closed: series.closed.clone(),
            open: series.chunk.bytes().to_vec(),
            open_count: series.chunk.count,
            out_of_order: extra.map(|extra| extra.out_of_order.clone()).unwrap_or_default(),
            histograms: extra.map(|extra| extra.histograms.clone()).unwrap_or_default(),
            created_ms: extra.and_then(|extra| extra.created_ms),
        }
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
    pub(crate) fn to_flush(&self) -> Vec<(Labels, u32)> {
        let has_news = |series: &Series| {
            series.has_points() || series.extra.as_deref().is_some_and(|e| !e.exemplars.is_empty() || e.created_is_new)
        };
        let ids = (0u32..).zip(&self.series).filter(|(_, series)| has_news(series)).map(|(id, _)| id);
        let mut found: Vec<(Labels, u32)> = ids.map(|id| (self.index.labels(id), id)).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Hands out all it has for a flush and goes on with the series alone; those that have been idle are forgotten.
    /// Numbers change: the log must define them anew.
    pub(crate) fn freeze(&mut self) -> Head {
        let old = std::mem::take(self);
        self.metadata.clone_from(&old.metadata);
        self.data_bytes = metadata_bytes(&self.metadata);
        self.segments_max_ms = old.segments_max_ms;
        for (id, series) in (0u32..).zip(&old.series) {
            let idle = if series.has_points() { 0 } else { series.idle_flushes + 1 };
            self.segments_max_ms = self.segments_max_ms.max(series.time_range().map(|(_, last)| last));
            if idle > IDLE_FLUSHES_MAX {
                continue;
            }
            let flushed = series.last_ms.filter(|_| series.has_points());
            let created_ms = series.extra.as_deref().and_then(|extra| extra.created_ms);
            let labels = old.index.labels(id);
            self.index.insert(labels.as_ref(), hash_labels(labels.as_bytes()));
            self.series.push(Series {
                last_ms: series.last_ms,
                last_bits: series.last_bits,
                flushed_max_ms: series.flushed_max_ms.max(flushed.unwrap_or(i64::MIN)),
                idle_flushes: idle,
                extra: created_ms.map(|at| Box::new(Extra { created_ms: Some(at), ..Extra::default() })),
                ..Series::default()
            });
        }
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
        for series in &mut self.series {
            series.flushed_max_ms = series.flushed_max_ms.max(series.last_ms.unwrap_or(i64::MIN));
            (series.last_ms, series.last_bits) = (None, None);
        }
    }
}

fn metadata_bytes(metadata: &BTreeMap<String, Metadata>) -> usize {
    metadata.iter().map(|(name, metadata)| name.len() + metadata.help.len() + EXTRA_BYTES).sum()
}

impl Series {
    fn has_news(&self) -> bool {
        let extra = self.extra.as_deref();
        self.has_points() || extra.is_some_and(|extra| !extra.exemplars.is_empty() || extra.created_is_new)
    }

    fn has_points(&self) -> bool {
        let extra = self.extra.as_deref();
        let more = extra.is_some_and(|extra| !extra.out_of_order.is_empty() || !extra.histograms.is_empty());
        self.chunk.count > 0 || !self.closed.is_empty() || more
    }

    fn time_range(&self) -> Option<(i64, i64)> {
        let chunks = self.closed.iter().map(|closed| (closed.time_min, closed.time_max));
        let open = (self.chunk.count > 0).then_some((self.chunk.time_min, self.chunk.time_max));
        let extra = self.extra.as_deref();
        let ends = |first: Option<i64>, last: Option<i64>| first.zip(last);
        let floats = extra.map(|extra| &extra.out_of_order);
        let floats = floats.and_then(|list| ends(list.first().map(|p| p.0), list.last().map(|p| p.0)));
        let histograms = extra.map(|extra| &extra.histograms);
        let histograms = histograms.and_then(|list| ends(list.first().map(|p| p.0), list.last().map(|p| p.0)));
        chunks.chain(open).chain(floats).chain(histograms).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The point of exactly this time, if it is in memory.
    fn at(&self, time_ms: i64) -> Option<Point> {
        if let Some(extra) = self.extra.as_deref() {
            if let Ok(i) = extra.out_of_order.binary_search_by_key(&time_ms, |(time, _)| *time) {
                return extra.out_of_order.get(i).map(|(_, bits)| Point::Float(*bits));
            }
            if let Ok(i) = extra.histograms.binary_search_by_key(&time_ms, |(time, _)| *time) {
                return extra.histograms.get(i).map(|(_, bytes)| Point::Histogram(Arc::clone(bytes)));
            }
        }
        let mut found = None;
        let mut look = |time: i64, bits: u64| {
            if time == time_ms {
                found = Some(Point::Float(bits));
            }
        };
        for closed in self.closed.iter().filter(|c| (c.time_min..=c.time_max).contains(&time_ms)) {
            decode_chunk(&closed.bytes, closed.count, &mut look);
        }
        if self.chunk.count > 0 && (self.chunk.time_min..=self.chunk.time_max).contains(&time_ms) {
            decode_chunk(self.chunk.bytes(), self.chunk.count, &mut look);
        }
        found
    }

    /// Returns the bytes that memory grew by.
    fn insert(&mut self, time_ms: i64, point: Point, newer: bool) -> usize {
        let grown = match point {
            Point::Float(bits) if newer => self.push(time_ms, bits),
            Point::Float(bits) => {
                let list = &mut self.extra.get_or_insert_default().out_of_order;
                let at = list.partition_point(|(time, _)| *time < time_ms);
                list.insert(at, (time_ms, bits));
                24
            }
            Point::Histogram(ref bytes) => {
                let list = &mut self.extra.get_or_insert_default().histograms;
                let at = list.partition_point(|(time, _)| *time < time_ms);
                list.insert(at, (time_ms, Arc::clone(bytes)));
                bytes.len() + 64
            }
        };
        if newer {
            self.last_ms = Some(time_ms);
            self.last_bits = if let Point::Float(bits) = point { Some(bits) } else { None };
        }
        grown
    }

    fn push(&mut self, time_ms: i64, bits: u64) -> usize {
        let before = self.chunk.capacity_bytes();
        self.chunk.push(time_ms, bits);
        let mut grown = self.chunk.capacity_bytes() - before;
        if self.chunk.count >= CHUNK_SAMPLES {
            let full = std::mem::take(&mut self.chunk);
            let (time_min, time_max, count) = (full.time_min, full.time_max, full.count);
            self.closed.push(Closed { time_min, time_max, count, bytes: Arc::from(full.bytes()) });
            // The room the open chunk had is given back; what is in use stays counted.
            grown += size_of::<Closed>();
        }
        grown
    }
}

impl Snapshot {
    /// Heap bytes once decoded, for budgets.
    pub(crate) fn decoded_bytes(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|closed| u64::from(closed.count)).sum();
        let floats = closed + u64::from(self.open_count) + self.out_of_order.len() as u64;
        floats * 16 + self.histograms.len() as u64 * 416
    }

    pub(crate) fn into_points(self) -> Points {
        let mut in_order = Points::default();
        let mut push = |time: i64, bits: u64| in_order.push(time, Point::Float(bits));
        for closed in &self.closed {
            decode_chunk(&closed.bytes, closed.count, &mut push);
        }
        decode_chunk(&self.open, self.open_count, &mut push);
        let (mut late, mut histograms) = (Points::default(), Points::default());
        self.out_of_order.into_iter().for_each(|(time, bits)| late.push(time, Point::Float(bits)));
        self.histograms.into_iter().for_each(|(time, bytes)| histograms.push(time, Point::Histogram(bytes)));
        Points::merge(vec![in_order, late, histograms])
    }
}

/// The same to the last bit.
pub(crate) fn same_exemplar(a: &Exemplar, b: &Exemplar) -> bool {
    a.time_ms == b.time_ms && a.value.to_bits() == b.value.to_bits() && a.labels == b.labels
}
