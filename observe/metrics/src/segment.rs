//! Reading a metric segment, by any number of threads at once. See `docs/formats/metric-segment.md`.
//! Knows nothing of the log, the head or the manifest.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use base_signal::{Exemplar, Labels, Metadata};
use base_world::World;
use observe_block::codec::{Malformed, Reader};
use observe_block::{BlockError, SegmentReader};
use parking_lot::Mutex;

use crate::column::{decode_run, decode_times};
use crate::histogram;
use crate::pack::{take_block, take_packed};
use crate::points::Points;
use crate::segment_index::{LabelRows, Pages, Row, SegmentIndex, parse_labels, parse_pages, parse_rows};

type Result<T> = std::result::Result<T, BlockError>;

/// An open segment. Shared with running queries.
pub(crate) struct Segment {
    pub(crate) id: u64,
    /// Position of the log up to which the newest of its parts covers: what counts as later where only one value can
    /// be true, as of metadata.
    pub(crate) rank: u64,
    pub(crate) reader: SegmentReader,
    index: Mutex<Option<Arc<SegmentIndex>>>,
    /// What a reader found wrong; the store sets the file aside at the next occasion.
    pub(crate) suspect: Mutex<Option<BlockError>>,
    pub(crate) used_at: AtomicU64,
}

/// What one reader keeps between series that lie side by side.
#[derive(Default)]
pub(crate) struct Cursor {
    page: Option<(usize, Arc<Vec<u64>>)>,
    times: Option<(u64, Arc<Vec<i64>>)>,
}

/// A segment read from its first series to its last.
pub(crate) struct Contents {
    labels: LabelRows,
    rows: std::vec::IntoIter<Row>,
    next: Option<Labels>,
    pub(crate) pages: Arc<Pages>,
    pub(crate) cursor: Cursor,
}

impl Contents {
    /// The series that stands next.
    pub(crate) fn labels(&self) -> Option<&Labels> {
        self.next.as_ref()
    }
}

impl Segment {
    pub(crate) fn open(world: &World, path: &Path, id: u64, rank: u64) -> Result<Self> {
        let reader = SegmentReader::open(world, path)?;
        let (index, suspect) = (Mutex::new(None), Mutex::new(None));
        Ok(Self { id, rank, reader, index, suspect, used_at: AtomicU64::new(0) })
    }

    /// The index, read on first use and kept until dropped by [`Segment::forget_index`].
    pub(crate) fn index(&self) -> Result<Arc<SegmentIndex>> {
        let mut kept = self.index.lock();
        if let Some(index) = &*kept {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(self.read_index().inspect_err(|error| self.suspect(error))?);
        *kept = Some(Arc::clone(&index));
        Ok(index)
    }

    pub(crate) fn index_bytes(&self) -> usize {
        self.index.lock().as_ref().map_or(0, |index| index.size_bytes())
    }

    pub(crate) fn forget_index(&self) {
        *self.index.lock() = None;
    }

    fn suspect(&self, error: &BlockError) {
        if error.is_corrupt() {
            self.suspect.lock().get_or_insert_with(|| error.clone());
        }
    }

    fn read_index(&self) -> Result<SegmentIndex> {
        let labels = self.reader.read("labels")?;
        let series = parse_labels(labels).map_err(|e| self.reader.corrupt("labels", e.to_string()))?;
        let table = self.reader.read("series")?;
        let rows = parse_rows(&table, series.len()).map_err(|e| self.reader.corrupt("series", e.to_string()))?;
        let pages = self.reader.read("page-index")?;
        let pages = parse_pages(&pages).map_err(|e| self.reader.corrupt("page-index", e.to_string()))?;
        Ok(SegmentIndex { series, rows, pages: Arc::new(pages) })
    }

    /// All series in turn, without an index to find one.
    pub(crate) fn contents(&self) -> Result<Contents> {
        let read = || {
            let labels = self.reader.read("labels")?;
            let labels = LabelRows::new(labels).map_err(|e| self.reader.corrupt("labels", e.to_string()))?;
            let table = self.reader.read("series")?;
            let rows = parse_rows(&table, labels.len()).map_err(|e| self.reader.corrupt("series", e.to_string()))?;
            let pages = self.reader.read("page-index")?;
            let pages = parse_pages(&pages).map_err(|e| self.reader.corrupt("page-index", e.to_string()))?;
            let (rows, cursor) = (rows.into_iter(), Cursor::default());
            let mut contents = Contents { labels, rows, next: None, pages: Arc::new(pages), cursor };
            self.step(&mut contents)?;
            Ok(contents)
        };
        read().inspect_err(|error| self.suspect(error))
    }

    /// The row of the series that stands next; then the one behind it does.
    pub(crate) fn advance(&self, contents: &mut Contents) -> Result<Option<Row>> {
        let row = contents.rows.next();
        self.step(contents).inspect_err(|error| self.suspect(error))?;
        Ok(row)
    }

    fn step(&self, contents: &mut Contents) -> Result<()> {
        let next = contents.labels.next().map_err(|e| self.reader.corrupt("labels", e.to_string()))?;
        if next.is_some() && next <= contents.next {
            return Err(self.reader.corrupt("labels", "they are not sorted"));
        }
        contents.next = next;
        Ok(())
    }

    /// Points of a series with `start <= time <= end`.
    pub(crate) fn points(&self, pages: &Pages, row: &Row, range: (i64, i64), cursor: &mut Cursor) -> Result<Points> {
        self.read_points(pages, row, range, cursor).inspect_err(|error| self.suspect(error))
    }

    fn read_points(&self, pages: &Pages, row: &Row, (start, end): (i64, i64), cursor: &mut Cursor) -> Result<Points> {
        let times = self.times(row, cursor)?;
        if times.len() != row.rows {
            return Err(self.reader.corrupt("times", "their count differs from the series table"));
        }
        let from = times.partition_point(|time| *time < start);
        let to = times.partition_point(|time| *time <= end);
        if from >= to {
            return Ok(Points::default());
        }
        let bits = self.values(pages, row.first_value + from, to - from, cursor)?;
        let times_ms = times.get(from..to).unwrap_or_default().to_vec();
        let mut histograms = self.histograms(row)?;
        histograms.retain(|(at, _)| (from..to).contains(at));
        histograms.iter_mut().for_each(|(at, _)| *at -= from);
        Ok(Points { times_ms, bits, histograms })
    }

    fn times(&self, row: &Row, cursor: &mut Cursor) -> Result<Arc<Vec<i64>>> {
        if let Some((at, times)) = &cursor.times
            && *at == row.times.0
        {
            return Ok(Arc::clone(times));
        }
        let block = self.reader.read_part("times", row.times.0, row.times.1)?;
        let times = take_block(&block).and_then(decode_times);
        let times = Arc::new(times.map_err(|e| self.reader.corrupt("times", e.to_string()))?);
        cursor.times = Some((row.times.0, Arc::clone(&times)));
        Ok(times)
    }

    fn values(&self, pages: &Pages, first: usize, count: usize, cursor: &mut Cursor) -> Result<Vec<u64>> {
        let missing = || self.reader.corrupt("page-index", "values lie beyond the last page");
        let mut bits = Vec::new();
        let mut at = pages.partition_point(|(start, ..)| *start <= first);
        at = at.checked_sub(1).ok_or_else(missing)?;
        while bits.len() < count {
            let (start, offset, len) = *pages.get(at).ok_or_else(missing)?;
            let page = self.page(at, offset, len, cursor)?;
            let from = (first + bits.len()).checked_sub(start).ok_or_else(missing)?;
            let part = page.get(from..page.len().min(from + count - bits.len())).filter(|part| !part.is_empty());
            bits.extend_from_slice(part.ok_or_else(missing)?);
            at += 1;
        }
        Ok(bits)
    }

    fn page(&self, number: usize, offset: u64, len: usize, cursor: &mut Cursor) -> Result<Arc<Vec<u64>>> {
        if let Some((kept, page)) = &cursor.page
            && *kept == number
        {
            return Ok(Arc::clone(page));
        }
        let block = self.reader.read_part("pages", offset, len)?;
        let decode = || {
            let raw = take_packed(&block)?;
            let (mut reader, mut values) = (Reader::new(&raw), Vec::new());
            while !reader.is_empty() {
                decode_run(&mut reader, &mut values)?;
            }
            Ok(values)
        };
        let values = decode().map_err(|e: Malformed| self.reader.corrupt("pages", format!("{e}, page {number}")))?;
        let values = Arc::new(values);
        cursor.page = Some((number, Arc::clone(&values)));
        Ok(values)
    }

    fn histograms(&self, row: &Row) -> Result<Vec<(usize, Arc<[u8]>)>> {
        if row.histograms.1 == 0 {
            return Ok(Vec::new());
        }
        let block = self.reader.read_part("histograms", row.histograms.0, row.histograms.1)?;
        let parse = || {
            let raw = take_packed(&block)?;
            let (mut reader, mut found) = (Reader::new(&raw), Vec::new());
            while !reader.is_empty() {
                let at = reader.varint_usize("row")?;
                found.push((at, Arc::from(reader.bytes("histogram")?)));
            }
            Ok(found)
        };
        parse().map_err(|e: Malformed| self.reader.corrupt("histograms", e.to_string()))
    }

    pub(crate) fn exemplars(&self, row: &Row) -> Result<Vec<Exemplar>> {
        if row.exemplars.1 == 0 {
            return Ok(Vec::new());
        }
        let block = self.reader.read_part("exemplars", row.exemplars.0, row.exemplars.1)?;
        let parse = || {
            let raw = take_packed(&block)?;
            let (mut reader, mut found) = (Reader::new(&raw), Vec::new());
            while !reader.is_empty() {
                found.push(histogram::take_exemplar(&mut reader)?);
            }
            Ok(found)
        };
        let read = parse().map_err(|e: Malformed| self.reader.corrupt("exemplars", e.to_string()));
        read.inspect_err(|error| self.suspect(error))
    }

    pub(crate) fn metadata(&self) -> Result<Vec<(String, Metadata)>> {
        let raw = self.reader.read("metadata")?;
        let (mut reader, mut found) = (Reader::new(&raw), Vec::new());
        while !reader.is_empty() {
            let entry = histogram::take_metadata(&mut reader);
            found.push(entry.map_err(|e| self.reader.corrupt("metadata", e.to_string()))?);
        }
        Ok(found)
    }
}
