//! A segment's tables in memory: which series it holds, and where their columns lie.

use std::ops::Range;
use std::sync::Arc;

use base_signal::{LabelArena, Labels};
use observe_block::codec::{Malformed, Reader};

use crate::index::{Key, SeriesIndex};

type Result<T> = std::result::Result<T, Malformed>;

/// One series' row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) rows: usize,
    pub(crate) time_min: i64,
    pub(crate) time_max: i64,
    pub(crate) created_ms: Option<i64>,
    pub(crate) times: (u64, usize),
    pub(crate) first_value: usize,
    pub(crate) histograms: (u64, usize),
    pub(crate) exemplars: (u64, usize),
}

impl Row {
    pub(crate) fn overlaps(&self, start: i64, end: i64) -> bool {
        self.rows > 0 && self.time_min <= end && start <= self.time_max
    }

    pub(crate) fn has_exemplars(&self) -> bool {
        self.exemplars.1 > 0
    }
}

/// (first value, offset, length)
pub(crate) type Pages = Vec<(usize, u64, usize)>;

/// What is needed to find things in a segment; numbers of series are their order.
pub(crate) struct SegmentIndex {
    pub(crate) series: SeriesIndex,
    pub(crate) rows: Vec<Row>,
    pub(crate) pages: Arc<Pages>,
}

impl SegmentIndex {
    pub(crate) fn row(&self, id: u32) -> Option<&Row> {
        self.rows.get(id as usize)
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.series.size_bytes() + self.rows.len() * size_of::<Row>() + self.pages.len() * 24
    }
}

/// Label sets of a segment's series, in their order.
pub(crate) struct LabelRows {
    raw: Vec<u8>,
    /// Where each symbol lies.
    symbols: Vec<Range<usize>>,
    at: usize,
    left: usize,
    count: usize,
}

impl LabelRows {
    pub(crate) fn new(raw: Vec<u8>) -> Result<Self> {
        let mut reader = Reader::new(&raw);
        let mut symbols = Vec::new();
        for _ in 0..reader.count("symbols")? {
            let text = reader.str("symbol")?.len();
            let end = raw.len() - reader.remaining();
            symbols.push(end - text..end);
        }
        let count = reader.count("series")?;
        let at = raw.len() - reader.remaining();
        Ok(Self { raw, symbols, at, left: count, count })
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// `None` behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<Labels>> {
        let mut arena = LabelArena::default();
        Ok(self.next_into(&mut arena)?.map(|set| arena.get(set).to_labels()))
    }

    fn next_into(&mut self, arena: &mut LabelArena) -> Result<Option<u32>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut reader = Reader::new(self.raw.get(self.at..).unwrap_or_default());
        let mut pairs = Vec::with_capacity(16);
        for _ in 0..reader.count("pairs")? {
            let (name, value) = (reader.varint_usize("name")?, reader.varint_usize("value")?);
            let text = |number: usize| std::str::from_utf8(self.raw.get(self.symbols.get(number)?.clone())?).ok();
            pairs.push(text(name).zip(text(value)).ok_or_else(|| reader.malformed("pair"))?);
        }
        let set = arena.push(&mut pairs);
        (self.at, self.left) = (self.raw.len() - reader.remaining(), self.left - 1);
        Ok(Some(set))
    }
}

pub(crate) fn parse_labels(raw: Vec<u8>) -> Result<SeriesIndex> {
    let mut rows = LabelRows::new(raw)?;
    let mut index = SeriesIndex::default();
    while let Some(labels) = rows.next()? {
        index.insert(labels.as_ref(), Key::of(labels.as_ref()));
    }
    Ok(index)
}

pub(crate) fn parse_rows(raw: &[u8], count: usize) -> Result<Vec<Row>> {
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

pub(crate) fn parse_pages(raw: &[u8]) -> Result<Pages> {
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
