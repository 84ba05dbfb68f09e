//! A metric segment: series sorted by labels, their times shared where equal, their values in pages that cross series.
//! See `docs/formats/metric-segment.md`. Knows nothing of the log, the head or the manifest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base_signal::{Exemplar, Labels, Metadata};
use base_world::World;
use hashbrown::HashMap;
use observe_block::codec::{self, Malformed, Reader};
use observe_block::{BlockError, Codec, SegmentKind, SegmentReader, SegmentSummary, SegmentWriter};
use parking_lot::Mutex;

use crate::column::{RUN_VALUES, decode_run, decode_times, encode_run, encode_times};
use crate::histogram;
use crate::index::{SeriesIndex, hash_labels};
use crate::points::Points;

type Result<T> = std::result::Result<T, BlockError>;

/// Values a page holds at least before it is closed: enough for zstd to see repeats, little enough to decode for one.
const PAGE_VALUES: usize = 8192;
const PAGE_RAW_BYTES_MAX: usize = 16 << 20;
const ZSTD_LEVEL: i32 = 3;
const PACK_BYTES_MIN: usize = 64;
const ZSTD: u8 = 1;

/// Writes one segment; series must come sorted by labels.
pub(crate) struct Builder {
    out: SegmentWriter,
    symbols: Vec<u8>,
    symbol_numbers: HashMap<String, u64, ahash::RandomState>,
    labels: Vec<u8>,
    series: Vec<u8>,
    times: Vec<u8>,
    times_known: HashMap<Vec<u8>, (u64, u64), ahash::RandomState>,
    page: Vec<u8>,
    page_values: usize,
    page_index: Vec<u8>,
    histograms: Vec<u8>,
    exemplars: Vec<u8>,
    summary: SegmentSummary,
}

impl Builder {
    pub(crate) fn create(world: &World, path: &Path, tenant: &str, level: u8) -> Result<Self> {
        let mut out = SegmentWriter::create(world, path, SegmentKind::Metrics, tenant)?;
        out.begin("pages");
        let summary = SegmentSummary { time_min: i64::MAX, time_max: i64::MIN, level, ..SegmentSummary::default() };
        Ok(Self {
            out,
            symbols: Vec::new(),
            symbol_numbers: HashMap::default(),
            labels: Vec::new(),
            series: Vec::new(),
            times: Vec::new(),
            times_known: HashMap::default(),
            page: Vec::new(),
            page_values: 0,
            page_index: Vec::new(),
            histograms: Vec::new(),
            exemplars: Vec::new(),
            summary,
        })
    }

    pub(crate) fn add(
        &mut self,
        labels: &Labels,
        points: &Points,
        created_ms: Option<i64>,
        exemplars: &[Exemplar],
    ) -> Result<()> {
        codec::put_varint(&mut self.labels, labels.len() as u64);
        for (name, value) in labels.iter() {
            for text in [name, value] {
                let number = self.symbol(text);
                codec::put_varint(&mut self.labels, number);
            }
        }
        let (times_at, times_len) = self.put_times(&points.times_ms);
        let histograms_at = self.histograms.len();
        self.put_histograms(points)?;
        let exemplars_at = self.exemplars.len();
        self.put_exemplars(exemplars);
        let row = &mut self.series;
        codec::put_varint(row, points.len() as u64);
        codec::put_varint(row, times_at);
        codec::put_varint(row, times_len);
        codec::put_zigzag(row, points.times_ms.first().copied().unwrap_or(0));
        codec::put_zigzag(row, points.times_ms.last().copied().unwrap_or(0));
        row.push(u8::from(created_ms.is_some()));
        codec::put_zigzag(row, created_ms.unwrap_or(0));
        codec::put_varint(row, (self.histograms.len() - histograms_at) as u64);
        codec::put_varint(row, (self.exemplars.len() - exemplars_at) as u64);
        self.put_values(&points.bits)?;
        self.summary.series += 1;
        self.summary.rows += points.len() as u64;
        // A segment of news without points (exemplars, creation) still needs a place in time.
        let exemplar_times = exemplars.iter().map(|exemplar| exemplar.time_ms);
        let ends = points.times_ms.first().into_iter().chain(points.times_ms.last()).copied();
        for time in ends.chain(exemplar_times).chain(created_ms.filter(|_| points.is_empty())) {
            self.summary.time_min = self.summary.time_min.min(time);
            self.summary.time_max = self.summary.time_max.max(time);
        }
        Ok(())
    }

    /// Makes the segment durable. Returns its summary and size. One without any times is of `now_ms`.
    pub(crate) fn finish(
        mut self,
        metadata: &BTreeMap<String, Metadata>,
        now_ms: i64,
    ) -> Result<(SegmentSummary, u64)> {
        self.close_page()?;
        let mut labels = Vec::new();
        codec::put_varint(&mut labels, self.symbol_numbers.len() as u64);
        labels.extend_from_slice(&self.symbols);
        codec::put_varint(&mut labels, self.summary.series);
        labels.extend_from_slice(&self.labels);
        let mut families = Vec::new();
        metadata.iter().for_each(|(family, metadata)| histogram::put_metadata(&mut families, family, metadata));
        for (name, codec, bytes) in [
            ("labels", Codec::Zstd, &labels),
            ("series", Codec::Zstd, &self.series),
            ("page-index", Codec::Zstd, &self.page_index),
            ("times", Codec::Plain, &self.times),
            ("histograms", Codec::Plain, &self.histograms),
            ("exemplars", Codec::Plain, &self.exemplars),
            ("metadata", Codec::Zstd, &families),
        ] {
            self.out.section(name, codec, bytes)?;
        }
        if self.summary.time_min > self.summary.time_max {
            (self.summary.time_min, self.summary.time_max) = (now_ms, now_ms);
        }
        let bytes = self.out.finish(&self.summary)?;
        Ok((self.summary, bytes))
    }

    fn symbol(&mut self, text: &str) -> u64 {
        if let Some(number) = self.symbol_numbers.get(text) {
            return *number;
        }
        let number = self.symbol_numbers.len() as u64;
        self.symbol_numbers.insert(text.to_owned(), number);
        codec::put_bytes(&mut self.symbols, text.as_bytes());
        number
    }

    fn put_times(&mut self, times: &[i64]) -> (u64, u64) {
        let encoded = encode_times(times);
        if let Some(place) = self.times_known.get(&encoded) {
            return *place;
        }
        let place = put_block(&mut self.times, &encoded);
        self.times_known.insert(encoded, place);
        place
    }

    fn put_values(&mut self, bits: &[u64]) -> Result<()> {
        let mut rest = bits;
        while !rest.is_empty() {
            let (run, more) = rest.split_at(rest.len().min(RUN_VALUES));
            encode_run(&mut self.page, run);
            self.page_values += run.len();
            if self.page_values >= PAGE_VALUES {
                self.close_page()?;
            }
            rest = more;
        }
        Ok(())
    }

    fn close_page(&mut self) -> Result<()> {
        if self.page_values == 0 {
            return Ok(());
        }
        let mut block = Vec::new();
        let (_, len) = put_packed(&mut block, &self.page);
        self.out.push(&block)?;
        codec::put_varint(&mut self.page_index, self.page_values as u64);
        codec::put_varint(&mut self.page_index, len);
        self.page.clear();
        self.page_values = 0;
        Ok(())
    }

    fn put_histograms(&mut self, points: &Points) -> Result<()> {
        if points.histograms.is_empty() {
            return Ok(());
        }
        let mut raw = Vec::new();
        for (row, bytes) in &points.histograms {
            codec::put_varint(&mut raw, *row as u64);
            codec::put_bytes(&mut raw, bytes);
        }
        put_packed(&mut self.histograms, &raw);
        Ok(())
    }

    fn put_exemplars(&mut self, exemplars: &[Exemplar]) {
        if exemplars.is_empty() {
            return;
        }
        let mut raw = Vec::new();
        exemplars.iter().for_each(|exemplar| histogram::put_exemplar(&mut raw, exemplar));
        put_packed(&mut self.exemplars, &raw);
    }
}

/// `[crc32c][bytes]`; returns offset and length of the whole.
fn put_block(to: &mut Vec<u8>, bytes: &[u8]) -> (u64, u64) {
    let at = to.len();
    codec::put_u32(to, crc32c::crc32c(bytes));
    to.extend_from_slice(bytes);
    (at as u64, (to.len() - at) as u64)
}

/// A block of `[flags][raw length][bytes, zstd if that is smaller]`.
fn put_packed(to: &mut Vec<u8>, raw: &[u8]) -> (u64, u64) {
    // Zstd's own frame takes what it could save on a few bytes.
    let worth = raw.len() >= PACK_BYTES_MIN;
    let packed = worth.then(|| zstd::bulk::compress(raw, ZSTD_LEVEL).ok()).flatten();
    let packed = packed.filter(|packed| packed.len() < raw.len());
    let mut bytes = vec![if packed.is_some() { ZSTD } else { 0 }];
    codec::put_varint(&mut bytes, raw.len() as u64);
    bytes.extend_from_slice(packed.as_deref().unwrap_or(raw));
    put_block(to, &bytes)
}

fn take_block(bytes: &[u8]) -> std::result::Result<&[u8], Malformed> {
    let mut reader = Reader::new(bytes);
    let crc = reader.u32("checksum")?;
    let body = reader.take(reader.remaining(), "block")?;
    if crc32c::crc32c(body) == crc { Ok(body) } else { Err(Malformed { what: "checksum", at: 0 }) }
}

fn take_packed(bytes: &[u8]) -> std::result::Result<Vec<u8>, Malformed> {
    let mut reader = Reader::new(take_block(bytes)?);
    let flags = reader.u8("flags")?;
    let raw_bytes = reader.varint_usize("raw length")?;
    let body = reader.take(reader.remaining(), "body")?;
    if flags & ZSTD == 0 {
        return Ok(body.to_vec());
    }
    if raw_bytes > PAGE_RAW_BYTES_MAX.max(body.len().saturating_mul(64)) {
        return Err(reader.malformed("raw length"));
    }
    zstd::bulk::decompress(body, raw_bytes).map_err(|_| reader.malformed("zstd"))
}

/// One series' row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) rows: usize,
    pub(crate) time_min: i64,
    pub(crate) time_max: i64,
    pub(crate) created_ms: Option<i64>,
    times: (u64, usize),
    first_value: usize,
    histograms: (u64, usize),
    exemplars: (u64, usize),
}

impl Row {
    pub(crate) fn overlaps(&self, start: i64, end: i64) -> bool {
        self.rows > 0 && self.time_min <= end && start <= self.time_max
    }

    pub(crate) fn has_exemplars(&self) -> bool {
        self.exemplars.1 > 0
    }
}

/// What is needed to find things in a segment; numbers of series are their order.
pub(crate) struct SegmentIndex {
    pub(crate) series: SeriesIndex,
    rows: Vec<Row>,
    /// (first value, offset, length)
    pages: Vec<(usize, u64, usize)>,
}

impl SegmentIndex {
    pub(crate) fn row(&self, id: u32) -> Option<&Row> {
        self.rows.get(id as usize)
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.series.size_bytes() + self.rows.len() * size_of::<Row>() + self.pages.len() * 24
    }
}

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
    pub(crate) used_at: std::sync::atomic::AtomicU64,
}

/// What one reader keeps between series that lie side by side.
#[derive(Default)]
pub(crate) struct Cursor {
    page: Option<(usize, Arc<Vec<u64>>)>,
    times: Option<(u64, Arc<Vec<i64>>)>,
}

impl Segment {
    pub(crate) fn open(world: &World, path: &Path, id: u64, rank: u64) -> Result<Self> {
        let reader = SegmentReader::open(world, path)?;
        let (index, suspect) = (Mutex::new(None), Mutex::new(None));
        Ok(Self { id, rank, reader, index, suspect, used_at: std::sync::atomic::AtomicU64::new(0) })
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
        let series = parse_labels(&labels).map_err(|e| self.reader.corrupt("labels", e.to_string()))?;
        let table = self.reader.read("series")?;
        let rows = parse_rows(&table, series.len()).map_err(|e| self.reader.corrupt("series", e.to_string()))?;
        let pages = self.reader.read("page-index")?;
        let pages = parse_pages(&pages).map_err(|e| self.reader.corrupt("page-index", e.to_string()))?;
        Ok(SegmentIndex { series, rows, pages })
    }

    /// Points of a series with `start <= time <= end`.
    pub(crate) fn points(
        &self,
        index: &SegmentIndex,
        row: &Row,
        range: (i64, i64),
        cursor: &mut Cursor,
    ) -> Result<Points> {
        self.read_points(index, row, range, cursor).inspect_err(|error| self.suspect(error))
    }

    fn read_points(
        &self,
        index: &SegmentIndex,
        row: &Row,
        (start, end): (i64, i64),
        cursor: &mut Cursor,
    ) -> Result<Points> {
        let times = self.times(row, cursor)?;
        if times.len() != row.rows {
            return Err(self.reader.corrupt("times", "their count differs from the series table"));
        }
        let from = times.partition_point(|time| *time < start);
        let to = times.partition_point(|time| *time <= end);
        if from >= to {
            return Ok(Points::default());
        }
        let bits = self.values(index, row.first_value + from, to - from, cursor)?;
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

    fn values(&self, index: &SegmentIndex, first: usize, count: usize, cursor: &mut Cursor) -> Result<Vec<u64>> {
        let missing = || self.reader.corrupt("page-index", "values lie beyond the last page");
        let mut bits = Vec::new();
        let mut at = index.pages.partition_point(|(start, ..)| *start <= first);
        at = at.checked_sub(1).ok_or_else(missing)?;
        while bits.len() < count {
            let (start, offset, len) = *index.pages.get(at).ok_or_else(missing)?;
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

fn parse_labels(raw: &[u8]) -> std::result::Result<SeriesIndex, Malformed> {
    let mut reader = Reader::new(raw);
    let count = reader.count("symbols")?;
    let symbols = (0..count).map(|_| reader.str("symbol")).collect::<std::result::Result<Vec<_>, _>>()?;
    let mut index = SeriesIndex::default();
    let mut arena = base_signal::LabelArena::default();
    let mut pairs = Vec::new();
    for _ in 0..reader.varint("series")? {
        pairs.clear();
        for _ in 0..reader.count("pairs")? {
            let (name, value) = (reader.varint_usize("name")?, reader.varint_usize("value")?);
            let pair = symbols.get(name).copied().zip(symbols.get(value).copied());
            pairs.push(pair.ok_or_else(|| reader.malformed("pair"))?);
        }
        let set = arena.push(&mut pairs);
        let labels = arena.get(set);
        index.insert(labels, hash_labels(labels.as_bytes()));
    }
    Ok(index)
}

fn parse_rows(raw: &[u8], count: usize) -> std::result::Result<Vec<Row>, Malformed> {
    let mut reader = Reader::new(raw);
    let (mut first_value, mut histograms_at, mut exemplars_at) = (0usize, 0u64, 0u64);
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let len = reader.varint_usize("rows")?;
        let times = (reader.varint("times")?, reader.varint_usize("times")?);
        let (time_min, time_max) = (reader.zigzag("first time")?, reader.zigzag("last time")?);
        let known = reader.u8("created")? == 1;
        let created = reader.zigzag("created")?;
        let (histograms, exemplars) = (reader.varint_usize("histograms")?, reader.varint_usize("exemplars")?);
        rows.push(Row {
            rows: len,
            time_min,
            time_max,
            created_ms: known.then_some(created),
            times,
            first_value,
            histograms: (histograms_at, histograms),
            exemplars: (exemplars_at, exemplars),
        });
        first_value = first_value.checked_add(len).ok_or_else(|| reader.malformed("rows"))?;
        histograms_at = histograms_at.saturating_add(histograms as u64);
        exemplars_at = exemplars_at.saturating_add(exemplars as u64);
    }
    Ok(rows)
}

fn parse_pages(raw: &[u8]) -> std::result::Result<Vec<(usize, u64, usize)>, Malformed> {
    let mut reader = Reader::new(raw);
    let (mut pages, mut first, mut offset) = (Vec::new(), 0usize, 0u64);
    while !reader.is_empty() {
        let (values, len) = (reader.varint_usize("page values")?, reader.varint_usize("page length")?);
        pages.push((first, offset, len));
        first = first.checked_add(values).ok_or_else(|| reader.malformed("page values"))?;
        offset = offset.saturating_add(len as u64);
    }
    Ok(pages)
}
