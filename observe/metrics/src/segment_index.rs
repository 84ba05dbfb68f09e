//! A segment's tables in memory: which series it holds, and where their columns lie.

use std::sync::Arc;

use base_signal::LabelArena;
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

pub(crate) fn parse_labels(raw: &[u8]) -> Result<SeriesIndex> {
    let mut reader = Reader::new(raw);
    let count = reader.count("symbols")?;
    let symbols = (0..count).map(|_| reader.str("symbol")).collect::<Result<Vec<_>>>()?;
    let mut index = SeriesIndex::default();
    let mut arena = LabelArena::default();
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
        index.insert(labels, Key::of(labels));
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
