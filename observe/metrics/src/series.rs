//! One series in memory: an open chunk, closed ones, and what few series have. Knows nothing of labels or other series.

use std::sync::Arc;

use base_signal::{Exemplar, RangeMs};

use crate::chunk::{Chunk, decode_chunk};
use crate::points::{Point, Points};

/// Samples of a chunk before it is closed. Twice Prometheus's 120: out-of-order inserts still decode little.
const CHUNK_SAMPLES: u16 = 240;
/// A series that took nothing between so many flushes is idle.
const IDLE_FLUSHES_MAX: u8 = 2;

/// Its size is what a million series cost first: 96 bytes.
pub(crate) struct Series {
    chunk: Chunk,
    pub(crate) extra: Option<Box<Extra>>,
    /// [`NEVER`] before the first point.
    newest_ms: i64,
    /// Points up to here may be in segments.
    pub(crate) flushed_max_ms: i64,
    /// The newest point is a float, the last one of the chunk.
    newest_is_float: bool,
    /// The log holds this series' definition after the last flush.
    pub(crate) defined: bool,
    pub(crate) idle_flushes: u8,
}

/// A time that no point has.
const NEVER: i64 = i64::MIN;

/// What few series have.
#[derive(Default)]
pub(crate) struct Extra {
    /// Oldest first.
    closed: Vec<Closed>,
    /// Ascending in time, as are histograms.
    pub(crate) out_of_order: Vec<(i64, u64)>,
    pub(crate) histograms: Vec<(i64, Arc<[u8]>)>,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) created_ms: Option<i64>,
    pub(crate) created_is_new: bool,
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

impl Series {
    pub(crate) fn new(flushed_max_ms: i64) -> Self {
        let (chunk, extra, newest_ms) = (Chunk::default(), None, NEVER);
        Self { chunk, extra, newest_ms, flushed_max_ms, newest_is_float: false, defined: false, idle_flushes: 0 }
    }

    /// Of its newest point, remembered also when that went to a segment.
    pub(crate) fn last_ms(&self) -> Option<i64> {
        (self.newest_ms != NEVER).then_some(self.newest_ms)
    }

    /// The newest point if it is a float.
    pub(crate) fn last_bits(&self) -> Option<u64> {
        self.newest_is_float.then_some(self.chunk.bits)
    }

    /// Forgets which point is the newest: it may be gone.
    pub(crate) fn forget_newest(&mut self) {
        self.flushed_max_ms = self.flushed_max_ms.max(self.newest_ms);
        (self.newest_ms, self.newest_is_float) = (NEVER, false);
    }

    fn closed(&self) -> &[Closed] {
        self.extra.as_deref().map_or(&[], |extra| &extra.closed)
    }

    /// What goes on after its points went to a flush.
    pub(crate) fn carry_over(&self) -> Self {
        let flushed = self.last_ms().filter(|_| self.has_points());
        let created_ms = self.extra.as_deref().and_then(|extra| extra.created_ms);
        Self {
            chunk: Chunk::after(self.chunk.bits),
            newest_ms: self.newest_ms,
            newest_is_float: self.newest_is_float,
            idle_flushes: if self.has_points() { 0 } else { self.idle_flushes.saturating_add(1) },
            extra: created_ms.map(|at| Box::new(Extra { created_ms: Some(at), ..Extra::default() })),
            ..Self::new(self.flushed_max_ms.max(flushed.unwrap_or(NEVER)))
        }
    }

    /// It took nothing for so long that it may be forgotten; it comes back from its labels.
    pub(crate) fn is_idle(&self) -> bool {
        !self.has_points() && self.idle_flushes >= IDLE_FLUSHES_MAX
    }

    pub(crate) fn has_news(&self) -> bool {
        let extra = self.extra.as_deref();
        self.has_points() || extra.is_some_and(|extra| !extra.exemplars.is_empty() || extra.created_is_new)
    }

    pub(crate) fn has_points(&self) -> bool {
        let extra = self.extra.as_deref();
        let more = extra.is_some_and(|extra| !extra.out_of_order.is_empty() || !extra.histograms.is_empty());
        self.chunk.count > 0 || !self.closed().is_empty() || more
    }

    pub(crate) fn time_range(&self) -> Option<(i64, i64)> {
        let chunks = self.closed().iter().map(|closed| (closed.time_min, closed.time_max));
        let open = (self.chunk.count > 0).then_some((self.chunk.time_min(), self.chunk.time_max));
        let extra = self.extra.as_deref();
        let ends = |first: Option<i64>, last: Option<i64>| first.zip(last);
        let floats = extra.map(|extra| &extra.out_of_order);
        let floats = floats.and_then(|list| ends(list.first().map(|p| p.0), list.last().map(|p| p.0)));
        let histograms = extra.map(|extra| &extra.histograms);
        let histograms = histograms.and_then(|list| ends(list.first().map(|p| p.0), list.last().map(|p| p.0)));
        chunks.chain(open).chain(floats).chain(histograms).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Of the points in the range, and of some beside them.
    pub(crate) fn snapshot(&self, range: RangeMs) -> Snapshot {
        let extra = self.extra.as_deref();
        let touches = |first: i64, last: i64| range.overlaps(RangeMs::new(first, last));
        let open = self.chunk.count > 0 && touches(self.chunk.time_min(), self.chunk.time_max);
        let closed = self.closed().iter().filter(|closed| touches(closed.time_min, closed.time_max));
        Snapshot {
            closed: closed.cloned().collect(),
            open: if open { self.chunk.to_bytes() } else { Vec::new() },
            open_count: if open { self.chunk.count.into() } else { 0 },
            out_of_order: extra.map(|extra| extra.out_of_order.clone()).unwrap_or_default(),
            histograms: extra.map(|extra| extra.histograms.clone()).unwrap_or_default(),
            created_ms: extra.and_then(|extra| extra.created_ms),
        }
    }

    /// The point of exactly this time, if it is in memory.
    pub(crate) fn at(&self, time_ms: i64) -> Option<Point> {
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
        for closed in self.closed().iter().filter(|c| (c.time_min..=c.time_max).contains(&time_ms)) {
            decode_chunk(&closed.bytes, closed.count, &mut look);
        }
        if self.chunk.count > 0 && (self.chunk.time_min()..=self.chunk.time_max).contains(&time_ms) {
            decode_chunk(&self.chunk.to_bytes(), self.chunk.count.into(), &mut look);
        }
        found
    }

    /// Returns the bytes that memory grew by.
    pub(crate) fn insert(&mut self, time_ms: i64, point: Point, newer: bool) -> usize {
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
            self.newest_ms = time_ms;
            self.newest_is_float = matches!(point, Point::Float(_));
        }
        grown
    }

    fn push(&mut self, time_ms: i64, bits: u64) -> usize {
        let before = self.chunk.capacity_bytes();
        self.chunk.push(time_ms, bits);
        let mut grown = self.chunk.capacity_bytes() - before;
        if self.chunk.count >= CHUNK_SAMPLES {
            let full = std::mem::replace(&mut self.chunk, Chunk::after(bits));
            let (time_min, time_max, count) = (full.time_min(), full.time_max, full.count.into());
            let closed = Closed { time_min, time_max, count, bytes: Arc::from(full.to_bytes()) };
            self.extra.get_or_insert_default().closed.push(closed);
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
        if self.out_of_order.is_empty() && self.histograms.is_empty() {
            return in_order;
        }
        let (mut late, mut histograms) = (Points::default(), Points::default());
        self.out_of_order.into_iter().for_each(|(time, bits)| late.push(time, Point::Float(bits)));
        self.histograms.into_iter().for_each(|(time, bytes)| histograms.push(time, Point::Histogram(bytes)));
        Points::merge(vec![in_order, late, histograms])
    }
}
