//! The points of one series as columns, and how those of several places become one. Knows nothing of files.

use std::sync::Arc;

/// Rows ascend strictly in time. A histogram's row has its bytes in `histograms` and 0 in `bits`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Points {
    pub(crate) times_ms: Vec<i64>,
    /// f64 as bits.
    pub(crate) bits: Vec<u64>,
    /// (row, encoded histogram), ascending.
    pub(crate) histograms: Vec<(usize, Arc<[u8]>)>,
}

/// One value, to compare and to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    Float(u64),
    Histogram(Arc<[u8]>),
}

impl Points {
    pub(crate) fn len(&self) -> usize {
        self.times_ms.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times_ms.is_empty()
    }

    pub(crate) fn push(&mut self, time_ms: i64, point: Point) {
        match point {
            Point::Float(bits) => self.bits.push(bits),
            Point::Histogram(bytes) => {
                self.histograms.push((self.times_ms.len(), bytes));
                self.bits.push(0);
            }
        }
        self.times_ms.push(time_ms);
    }

    pub(crate) fn at(&self, time_ms: i64) -> Option<Point> {
        self.times_ms.binary_search(&time_ms).ok().and_then(|row| self.point(row))
    }

    fn point(&self, row: usize) -> Option<Point> {
        match self.histograms.binary_search_by_key(&row, |(row, _)| *row) {
            Ok(i) => self.histograms.get(i).map(|(_, bytes)| Point::Histogram(Arc::clone(bytes))),
            Err(_) => self.bits.get(row).copied().map(Point::Float),
        }
    }

    /// Keeps the rows whose time passes.
    pub(crate) fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        if self.times_ms.iter().all(|time| keep(*time)) {
            return;
        }
        let mut kept = Self::default();
        for (row, time) in self.times_ms.iter().enumerate().filter(|(_, time)| keep(**time)) {
            if let Some(point) = self.point(row) {
                kept.push(*time, point);
            }
        }
        *self = kept;
    }

    /// Keeps the rows from the first time to the last, both included.
    pub(crate) fn keep_within(&mut self, first_ms: i64, last_ms: i64) {
        let end = self.times_ms.partition_point(|time| *time <= last_ms);
        let begin = self.times_ms.partition_point(|time| *time < first_ms).min(end);
        if begin == 0 && end == self.len() {
            return;
        }
        self.times_ms.truncate(end);
        self.bits.truncate(end);
        self.times_ms.drain(..begin);
        self.bits.drain(..begin);
        self.histograms.retain(|(row, _)| (begin..end).contains(row));
        self.histograms.iter_mut().for_each(|(row, _)| *row -= begin);
    }

    /// Joins parts into one ascending column. Of two points at one time that of the earlier part stays.
    pub(crate) fn merge(mut parts: Vec<Points>) -> Points {
        parts.retain(|part| !part.is_empty());
        if parts.len() <= 1 {
            return parts.pop().unwrap_or_default();
        }
        let ordered = parts.windows(2).all(|pair| match pair {
            [a, b] => a.times_ms.last() < b.times_ms.first(),
            _ => true,
        });
        let mut merged = Points::default();
        if ordered {
            for part in parts {
                let base = merged.len();
                merged.times_ms.extend(part.times_ms);
                merged.bits.extend(part.bits);
                merged.histograms.extend(part.histograms.into_iter().map(|(row, bytes)| (base + row, bytes)));
            }
            return merged;
        }
        let mut rows: Vec<(i64, usize, usize)> = Vec::with_capacity(parts.iter().map(Points::len).sum());
        for (i, part) in parts.iter().enumerate() {
            rows.extend(part.times_ms.iter().enumerate().map(|(row, time)| (*time, i, row)));
        }
        rows.sort_unstable();
        rows.dedup_by_key(|(time, ..)| *time);
        for (time, i, row) in rows {
            if let Some(point) = parts.get(i).and_then(|part| part.point(row)) {
                merged.push(time, point);
            }
        }
        merged
    }
}
