//! The file `index` (version 2): symbols, series, postings, the table of postings, and where they all are.
//!
//! Symbols come first in the file and are known last, so the series wait in memory, packed: whoever writes asks
//! [`IndexWriter::size_bytes`] and begins another block in time.

use std::path::Path;

use base_signal::LabelsRef;
use base_world::Disk;

use crate::bytes::{Reader, put_uvarint, put_varint};
use crate::chunk::Chunk;
use crate::error::{Result, TsdbError};
use crate::output::Output;
use crate::symbols::Symbols;

pub(crate) const FILE: &str = "index";
pub(crate) const MAGIC: u32 = 0xBAAA_D700;
pub(crate) const VERSION: u8 = 2;
/// A series begins at a multiple of this, and is named by how many of them come before it.
pub(crate) const SERIES_ALIGN: u64 = 16;
/// What a label costs while postings are written: its name, its value and the series.
const POSTING_BYTES: usize = 12;

#[derive(Default)]
pub(crate) struct IndexWriter {
    symbols: Symbols,
    /// Of each series: how many labels, their numbers, and the bytes of its chunks as the file has them.
    series: Vec<u8>,
    pub(crate) count: u64,
    labels: usize,
}

/// A chunk that is written: where, and of which time.
pub(crate) struct Placed<'a> {
    pub(crate) chunk: &'a Chunk,
    pub(crate) reference: u64,
}

impl IndexWriter {
    /// Series come in the order of their labels, chunks in the order of time.
    pub(crate) fn add(&mut self, labels: LabelsRef<'_>, chunks: &[Placed<'_>]) {
        put_uvarint(&mut self.series, labels.len() as u64);
        for (name, value) in labels.iter() {
            for text in [name, value] {
                let number = self.symbols.number(text);
                put_uvarint(&mut self.series, u64::from(number));
            }
            self.labels += 1;
        }
        let mut bytes = Vec::new();
        put_uvarint(&mut bytes, chunks.len() as u64);
        let mut before: Option<(i64, u64)> = None;
        for Placed { chunk, reference } in chunks {
            match before {
                None => {
                    put_varint(&mut bytes, chunk.min_ms);
                    put_uvarint(&mut bytes, chunk.max_ms.wrapping_sub(chunk.min_ms) as u64);
                    put_uvarint(&mut bytes, *reference);
                }
                Some((end_ms, last)) => {
                    put_uvarint(&mut bytes, chunk.min_ms.wrapping_sub(end_ms) as u64);
                    put_uvarint(&mut bytes, chunk.max_ms.wrapping_sub(chunk.min_ms) as u64);
                    put_varint(&mut bytes, reference.wrapping_sub(last) as i64);
                }
            }
            before = Some((chunk.max_ms, *reference));
        }
        put_uvarint(&mut self.series, bytes.len() as u64);
        self.series.extend_from_slice(&bytes);
        self.count += 1;
    }

    /// Memory that finishing takes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.symbols.size_bytes() + self.series.len() + self.labels * POSTING_BYTES
    }

    /// Writes the file and makes it durable; its bytes.
    pub(crate) fn finish(self, disk: &dyn Disk, path: &Path) -> Result<u64> {
        let mut out = Output::create(disk, path)?;
        out.put(&MAGIC.to_be_bytes())?;
        out.put(&[VERSION])?;
        let (texts, places) = self.symbols.sorted();
        let symbols_at = out.position();
        put_symbols(&mut out, &texts)?;
        out.pad(SERIES_ALIGN)?;
        let series_at = out.position();
        let (ids, mut postings) = put_series(&mut out, &self.series, &places)?;
        // A section that nothing reads any more begins here, and is empty.
        let labels_at = out.position();
        out.pad(4)?;
        let postings_at = out.position();
        let mut table = Vec::new();
        let mut entries = 0u32;
        put_posting(&mut out, &mut table, ("", ""), ids.into_iter())?;
        entries += 1;
        postings.sort_unstable();
        for pair in postings.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let Some((name, value, _)) = pair.first() else { continue };
            let text = |place: u32| texts.get(place as usize).map_or("", |text| &**text);
            put_posting(&mut out, &mut table, (text(*name), text(*value)), pair.iter().map(|(_, _, id)| *id))?;
            entries += 1;
        }
        let table_at = out.position();
        let table_len = section_len(4 + table.len(), "the table of postings")?;
        out.put(&table_len)?;
        out.begin();
        out.put(&entries.to_be_bytes())?;
        out.put(&table)?;
        out.put_sum()?;
        out.begin();
        // The order of the contents: symbols, series, label indices, their table, postings, their table.
        for at in [symbols_at, series_at, labels_at, table_at, postings_at, table_at] {
            out.put(&at.to_be_bytes())?;
        }
        out.put_sum()?;
        out.finish()
    }
}

fn section_len(len: usize, what: &str) -> Result<[u8; 4]> {
    let limit = u64::from(u32::MAX);
    let too_long = |_| TsdbError::Limit { what: format!("bytes of {what}"), found: len as u64, limit };
    u32::try_from(len).map(u32::to_be_bytes).map_err(too_long)
}

fn put_symbols(out: &mut Output, texts: &[Box<str>]) -> Result<()> {
    let mut bytes = Vec::new();
    let mut len = 4;
    for text in texts {
        bytes.clear();
        put_uvarint(&mut bytes, text.len() as u64);
        len += bytes.len() + text.len();
    }
    out.put(&section_len(len, "symbols")?)?;
    out.begin();
    out.put(&(texts.len() as u32).to_be_bytes())?;
    for text in texts {
        bytes.clear();
        put_uvarint(&mut bytes, text.len() as u64);
        bytes.extend_from_slice(text.as_bytes());
        out.put(&bytes)?;
    }
    out.put_sum()
}

/// (place of the name, place of the value, series)
type Postings = Vec<(u32, u32, u32)>;

/// Writes what was packed, with the numbers that strings have now. The series' ids, and which labels each has.
fn put_series(out: &mut Output, packed: &[u8], places: &[u32]) -> Result<(Vec<u32>, Postings)> {
    let (mut ids, mut postings) = (Vec::new(), Postings::new());
    let mut from = Reader::new(packed);
    let mut entry = Vec::new();
    let ours = |_| TsdbError::Limit { what: "bytes of a series".into(), found: u64::MAX, limit: 0 };
    while !from.is_empty() {
        out.pad(SERIES_ALIGN)?;
        let units = out.position() / SERIES_ALIGN;
        let limit = u64::from(u32::MAX);
        let too_many = |_| TsdbError::Limit { what: "the index in units of 16 bytes".into(), found: units, limit };
        let id = u32::try_from(units).map_err(too_many)?;
        entry.clear();
        let labels = from.count(2, "labels").map_err(ours)?;
        put_uvarint(&mut entry, labels as u64);
        for _ in 0..labels {
            let mut place = || -> Result<u32> {
                let number = from.uvarint("a string").map_err(ours)? as usize;
                let place = places.get(number).copied().unwrap_or(0);
                put_uvarint(&mut entry, u64::from(place));
                Ok(place)
            };
            let (name, value) = (place()?, place()?);
            postings.push((name, value, id));
        }
        let len = from.count(1, "chunks").map_err(ours)?;
        entry.extend_from_slice(from.take(len, "chunks").map_err(ours)?);
        let mut len = Vec::new();
        put_uvarint(&mut len, entry.len() as u64);
        out.put(&len)?;
        out.begin();
        out.put(&entry)?;
        out.put_sum()?;
        ids.push(id);
    }
    Ok((ids, postings))
}

fn put_posting(
    out: &mut Output,
    table: &mut Vec<u8>,
    (name, value): (&str, &str),
    ids: impl ExactSizeIterator<Item = u32>,
) -> Result<()> {
    out.pad(4)?;
    table.push(2);
    for text in [name, value] {
        put_uvarint(table, text.len() as u64);
        table.extend_from_slice(text.as_bytes());
    }
    put_uvarint(table, out.position());
    out.put(&section_len(4 + ids.len() * 4, "postings")?)?;
    out.begin();
    out.put(&(ids.len() as u32).to_be_bytes())?;
    for id in ids {
        out.put(&id.to_be_bytes())?;
    }
    out.put_sum()
}
