//! The file `index` from front to end: its symbols in memory, its series one by one. Postings are not needed for that and
//! are not read.

use std::path::Path;

use base_signal::{LabelArena, Labels};
use base_world::Disk;

use crate::bytes::{Malformed, Reader};
use crate::error::{Result, TsdbError};
use crate::index_write::{FILE, MAGIC, SERIES_ALIGN, VERSION};
use crate::window::Window;

const HEAD_BYTES: u64 = 5;
const CONTENTS_BYTES: u64 = 6 * 8 + 4;
/// The strings of a block of many millions of series.
const SYMBOLS_BYTES_MAX: u64 = 512 << 20;
/// A series of a block of a month has some thousand chunks of some ten bytes each.
const SERIES_BYTES_MAX: u64 = 16 << 20;
/// A label set that is larger is none; an engine takes far less.
const LABEL_BYTES_MAX: usize = 1 << 20;
/// Of so many strings one is known where it begins.
const SYMBOLS_A_START: usize = 16;
/// The least that a chunk takes in a series: two times and a place.
const CHUNK_BYTES_MIN: usize = 3;

/// Reads series in turn.
pub(crate) struct IndexReader {
    file: Window,
    symbols: Vec<u8>,
    /// How many strings there are.
    count: u32,
    /// Where the first of every sixteen begins in `symbols`.
    starts: Vec<u32>,
    at: u64,
    end: u64,
    /// For the order of labels.
    before: Option<Labels>,
}

/// A series as the index has it.
pub(crate) struct IndexedSeries {
    /// As postings and tombstones name it.
    pub(crate) id: u64,
    pub(crate) labels: Labels,
    pub(crate) chunks: Vec<IndexedChunk>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexedChunk {
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    pub(crate) reference: u64,
}

impl IndexReader {
    pub(crate) fn open(disk: &dyn Disk, block: &Path) -> Result<Self> {
        let mut file = Window::open(disk, &block.join(FILE))?;
        let mut head = Reader::new(file.read(0, HEAD_BYTES, "its first bytes")?);
        let (magic, version) = (head.u32("magic").unwrap_or(0), head.u8("version").unwrap_or(0));
        if magic != MAGIC {
            return Err(file.corrupt("its first bytes", "this is no index"));
        }
        if version != VERSION {
            let (path, what) = (file.path().to_path_buf(), format!("an index of version {version}"));
            let hint = "version 2 is read, which Prometheus writes since 2.0";
            return Err(TsdbError::Unsupported { path, what, hint });
        }
        let (symbols_at, series_at, end) = contents(&mut file)?;
        let (symbols, count, starts) = symbols(&mut file, symbols_at)?;
        Ok(IndexReader { file, symbols, count, starts, at: series_at, end, before: None })
    }

    pub(crate) fn next(&mut self) -> Result<Option<IndexedSeries>> {
        loop {
            self.at = self.at.next_multiple_of(SERIES_ALIGN);
            if self.at >= self.end {
                return Ok(None);
            }
            let part = format!("the series at byte {}", self.at);
            let (len, len_bytes) = self.file.uvarint(self.at, &part)?;
            if len == 0 {
                // What pads the section.
                self.at += SERIES_ALIGN;
                continue;
            }
            let body = self.at + len_bytes;
            if len > SERIES_BYTES_MAX || body + len + 4 > self.end {
                return Err(self.file.corrupt(part, format!("it says it has {len} bytes, more than can be there")));
            }
            let id = self.at / SERIES_ALIGN;
            let bytes = summed(&mut self.file, body, len, &part)?;
            let read = self.series(&bytes);
            let (labels, chunks) = read.map_err(|error| self.file.corrupt(&*part, error.to_string()))?;
            if self.before.as_ref().is_some_and(|before| *before >= labels) {
                return Err(self.file.corrupt(part, "its labels do not come after those of the series before"));
            }
            self.before = Some(labels.clone());
            self.at = body + len + 4;
            return Ok(Some(IndexedSeries { id, labels, chunks }));
        }
    }

    fn symbol(&self, number: u32) -> Option<&str> {
        let number = (number < self.count).then_some(number as usize)?;
        let start = *self.starts.get(number / SYMBOLS_A_START)?;
        let mut from = Reader::new(self.symbols.get(start as usize..)?);
        for _ in 0..number % SYMBOLS_A_START {
            let len = from.count(1, "a string").ok()?;
            from.take(len, "a string").ok()?;
        }
        from.str("a string").ok()
    }

    fn series(&self, bytes: &[u8]) -> std::result::Result<(Labels, Vec<IndexedChunk>), Malformed> {
        let mut from = Reader::new(bytes);
        let mut arena = LabelArena::default();
        let mut set = arena.open();
        let mut label_bytes = 0;
        for _ in 0..from.count(2, "labels")? {
            let at = from.position();
            let (name, value) = (from.uvarint_u32("a label")?, from.uvarint_u32("a label")?);
            let text = |number| self.symbol(number).ok_or(Malformed { what: "a string that there is not", at });
            let (name, value) = (text(name)?, text(value)?);
            label_bytes += name.len() + value.len();
            if label_bytes > LABEL_BYTES_MAX {
                return Err(Malformed { what: "labels of more than 1 MiB", at });
            }
            if !set.pair(name, value) {
                return Err(Malformed { what: "labels that are empty or not in order", at });
            }
        }
        let set = set.close();
        let labels = arena.get(set).to_labels();
        let mut chunks: Vec<IndexedChunk> = Vec::new();
        for _ in 0..from.count(CHUNK_BYTES_MIN, "chunks")? {
            let wrong = Malformed { what: "chunks that overlap or run backwards", at: from.position() };
            let chunk = match chunks.last() {
                None => {
                    let min_ms = from.varint("a time")?;
                    let max_ms = later(min_ms, from.uvarint("a time")?).ok_or(wrong)?;
                    IndexedChunk { min_ms, max_ms, reference: from.uvarint("a chunk")? }
                }
                Some(last) => {
                    let min_ms = later(last.max_ms, from.uvarint("a time")?).ok_or(wrong)?;
                    let max_ms = later(min_ms, from.uvarint("a time")?).ok_or(wrong)?;
                    let reference = last.reference.checked_add_signed(from.varint("a chunk")?).ok_or(wrong)?;
                    if min_ms <= last.max_ms {
                        return Err(wrong);
                    }
                    IndexedChunk { min_ms, max_ms, reference }
                }
            };
            chunks.push(chunk);
        }
        Ok((labels, chunks))
    }
}

fn later(time: i64, by: u64) -> Option<i64> {
    time.checked_add_unsigned(by)
}

/// Where symbols and series begin, and where series end.
fn contents(file: &mut Window) -> Result<(u64, u64, u64)> {
    let part = "its table of contents";
    let len = file.len();
    let Some(at) = len.checked_sub(CONTENTS_BYTES).filter(|at| *at >= HEAD_BYTES) else {
        return Err(file.corrupt(part, format!("the file ends after {len} bytes")));
    };
    let bytes = summed(file, at, CONTENTS_BYTES - 4, part)?;
    let mut from = Reader::new(&bytes);
    let mut places = [0u64; 6];
    for place in &mut places {
        *place = from.u64("a place").map_err(|error| file.corrupt(part, error.to_string()))?;
    }
    let [symbols, series, ..] = places;
    // Whatever section comes behind the series ends them.
    let end = places.into_iter().filter(|place| *place > series).min().unwrap_or(at);
    if symbols < HEAD_BYTES || series < symbols || end > at {
        return Err(file.corrupt(part, "it names places that cannot be"));
    }
    Ok((symbols, series, end))
}

/// Bytes with the checksum that stands behind them.
fn summed(file: &mut Window, at: u64, len: u64, part: &str) -> Result<Vec<u8>> {
    let mut bytes = file.take(at, len + 4, part)?;
    let sum = bytes.split_off(bytes.len().saturating_sub(4));
    if crc32c::crc32c(&bytes).to_be_bytes() != *sum {
        return Err(file.corrupt(part, "its checksum does not hold"));
    }
    Ok(bytes)
}

/// The strings, how many there are, and where some of them begin.
fn symbols(file: &mut Window, at: u64) -> Result<(Vec<u8>, u32, Vec<u32>)> {
    let part = "its symbols";
    let mut head = Reader::new(file.read(at, 4, part)?);
    let len = u64::from(head.u32("a length").unwrap_or(0));
    if !(4..=SYMBOLS_BYTES_MAX).contains(&len) {
        return Err(file.corrupt(part, format!("they say they have {len} bytes; 4 to {SYMBOLS_BYTES_MAX} are taken")));
    }
    let bytes = summed(file, at + 4, len, part)?;
    let mut from = Reader::new(&bytes);
    let mut starts = Vec::new();
    let mut read = || -> std::result::Result<u32, Malformed> {
        let count = from.u32("their number")?;
        for number in 0..count as usize {
            if number % SYMBOLS_A_START == 0 {
                starts.push(from.position() as u32);
            }
            from.str("a string that is no UTF-8 or ends early")?;
        }
        Ok(count)
    };
    let count = read().map_err(|error| file.corrupt(part, error.to_string()))?;
    Ok((bytes, count, starts))
}
