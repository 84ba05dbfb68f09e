//! Log lines as columns: the shape of a piece of the head and of a block of a segment. Layout of the bytes: see
//! `docs/formats/event-segment.md`.

use observe_block::codec::{self, Malformed, Reader};

/// Structured metadata of a line, sorted by name.
pub(crate) type Metadata = Vec<(String, String)>;

/// Lines; all columns but `text` and `sets` are of equal length.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LogColumns {
    /// The owner's number of the stream.
    pub(crate) streams: Vec<u32>,
    pub(crate) times_ns: Vec<i64>,
    /// Order of arrival over the store's life.
    pub(crate) arrivals: Vec<u64>,
    pub(crate) text: String,
    pub(crate) ends: Vec<u32>,
    /// Index into `sets`.
    pub(crate) set: Vec<u32>,
    pub(crate) sets: Vec<Metadata>,
}

impl LogColumns {
    pub(crate) fn len(&self) -> usize {
        self.times_ns.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times_ns.is_empty()
    }

    pub(crate) fn line(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends.get(row - 1).copied().unwrap_or(0) };
        let end = self.ends.get(row).copied().unwrap_or(0);
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    pub(crate) fn metadata(&self, row: usize) -> &[(String, String)] {
        self.set.get(row).and_then(|set| self.sets.get(*set as usize)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn push(&mut self, stream: u32, time_ns: i64, arrival: u64, line: &str, metadata: &[(String, String)]) {
        self.streams.push(stream);
        self.times_ns.push(time_ns);
        self.arrivals.push(arrival);
        self.text.push_str(line);
        self.ends.push(self.text.len() as u32);
        // Neighbours often share their metadata; more is left to the compression.
        if self.sets.last().is_none_or(|last| last != metadata) {
            self.sets.push(metadata.to_vec());
        }
        self.set.push(self.sets.len() as u32 - 1);
    }

    /// Gives back room for growth that will not come.
    pub(crate) fn shrink(&mut self) {
        self.streams.shrink_to_fit();
        self.times_ns.shrink_to_fit();
        self.arrivals.shrink_to_fit();
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.set.shrink_to_fit();
        self.sets.shrink_to_fit();
    }

    /// Heap bytes, about.
    pub(crate) fn size_bytes(&self) -> usize {
        self.text.len() + self.len() * 28 + self.sets.iter().map(|set| set_bytes(set)).sum::<usize>()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(self.text.len() + self.len() * 6);
        codec::put_varint(&mut to, self.len() as u64);
        for run in self.streams.chunk_by(|a, b| a == b) {
            codec::put_varint(&mut to, u64::from(run.first().copied().unwrap_or(0)));
            codec::put_varint(&mut to, run.len() as u64);
        }
        let mut before = 0i64;
        for time in &self.times_ns {
            codec::put_zigzag(&mut to, time.wrapping_sub(before));
            before = *time;
        }
        let mut before = 0u64;
        for arrival in &self.arrivals {
            codec::put_zigzag(&mut to, arrival.wrapping_sub(before) as i64);
            before = *arrival;
        }
        let mut before = 0;
        for end in &self.ends {
            codec::put_varint(&mut to, u64::from(end - before));
            before = *end;
        }
        codec::put_varint(&mut to, self.sets.len() as u64);
        for set in &self.sets {
            put_pairs(&mut to, set);
        }
        for run in self.set.chunk_by(|a, b| a == b) {
            codec::put_varint(&mut to, u64::from(run.first().copied().unwrap_or(0)));
            codec::put_varint(&mut to, run.len() as u64);
        }
        codec::put_bytes(&mut to, self.text.as_bytes());
        to
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let rows = from.count("row count")?;
        let streams = runs(&mut from, rows, "streams")?;
        let (mut times_ns, mut before) = (Vec::with_capacity(rows), 0i64);
        for _ in 0..rows {
            before = before.wrapping_add(from.zigzag("time")?);
            times_ns.push(before);
        }
        let (mut arrivals, mut before) = (Vec::with_capacity(rows), 0u64);
        for _ in 0..rows {
            before = before.wrapping_add(from.zigzag("arrival")? as u64);
            arrivals.push(before);
        }
        let (mut ends, mut before) = (Vec::with_capacity(rows), 0u32);
        for _ in 0..rows {
            let len = from.varint_u32("line length")?;
            before = before.checked_add(len).ok_or_else(|| from.malformed("line length"))?;
            ends.push(before);
        }
        let count = from.count("metadata sets")?;
        let mut sets = Vec::with_capacity(count);
        for _ in 0..count {
            sets.push(take_pairs(&mut from)?);
        }
        let set = runs(&mut from, rows, "metadata runs")?;
        let text = from.str("lines")?.to_owned();
        if text.len() as u64 != u64::from(before) || !ends.iter().all(|end| text.is_char_boundary(*end as usize)) {
            return Err(from.malformed("lines"));
        }
        Ok(LogColumns { streams, times_ns, arrivals, text, ends, set, sets })
    }
}

/// Heap bytes of a set of pairs, about.
pub(crate) fn set_bytes(set: &[(String, String)]) -> usize {
    24 + set.iter().map(|(name, value)| name.len() + value.len() + 64).sum::<usize>()
}

pub(crate) fn put_pairs(to: &mut Vec<u8>, pairs: &[(String, String)]) {
    codec::put_varint(to, pairs.len() as u64);
    for (name, value) in pairs {
        codec::put_bytes(to, name.as_bytes());
        codec::put_bytes(to, value.as_bytes());
    }
}

pub(crate) fn take_pairs(from: &mut Reader<'_>) -> Result<Metadata, Malformed> {
    let count = from.count("pairs")?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        pairs.push((from.str("name")?.to_owned(), from.str("value")?.to_owned()));
    }
    Ok(pairs)
}

/// `value, length` runs that together are `rows` long.
pub(crate) fn runs(from: &mut Reader<'_>, rows: usize, what: &'static str) -> Result<Vec<u32>, Malformed> {
    let mut all = Vec::with_capacity(rows);
    while all.len() < rows {
        let value = from.varint_u32(what)?;
        let len = from.varint_usize(what)?;
        if len == 0 || len > rows - all.len() {
            return Err(from.malformed(what));
        }
        all.resize(all.len() + len, value);
    }
    Ok(all)
}
