//! A frame: the records of one atomic write. All of them are replayed, or none. Payloads are opaque here.

use crate::codec::{self, Malformed, Reader};

/// `[len u32][crc32c u32][seq u64]`
pub(crate) const FRAME_HEADER_BYTES: usize = 16;

/// What a record's payload holds. The number is the byte on disk: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum RecordKind {
    Series = 1,
    Samples = 2,
    NativeHistograms = 3,
    Exemplars = 4,
    Metadata = 5,
    CreatedTimestamps = 6,
    Staleness = 7,
    Streams = 8,
    LogEntries = 9,
    Resources = 10,
    Spans = 11,
    /// Tombstones.
    Deletes = 12,
    Checkpoint = 13,
    /// A message that waits to be passed on.
    Forwarded = 14,
    /// Samples without the bytes that say nothing.
    ShortSamples = 15,
}

impl RecordKind {
    pub const ALL: [Self; 15] = [
        Self::Series,
        Self::Samples,
        Self::NativeHistograms,
        Self::Exemplars,
        Self::Metadata,
        Self::CreatedTimestamps,
        Self::Staleness,
        Self::Streams,
        Self::LogEntries,
        Self::Resources,
        Self::Spans,
        Self::Deletes,
        Self::Checkpoint,
        Self::Forwarded,
        Self::ShortSamples,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Collects the records of one frame. Reuse it: [`crate::Wal::append`] clears it on success and keeps its memory.
#[derive(Clone, Debug)]
pub struct FrameBuilder {
    /// Room for the header first, so that a frame is one write.
    bytes: Vec<u8>,
}

impl Default for FrameBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameBuilder {
    pub fn new() -> Self {
        Self { bytes: vec![0; FRAME_HEADER_BYTES] }
    }

    pub fn record(&mut self, kind: RecordKind, tenant: &str, payload: &[u8]) {
        self.bytes.push(kind as u8);
        codec::put_bytes(&mut self.bytes, tenant.as_bytes());
        codec::put_bytes(&mut self.bytes, payload);
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.len() == FRAME_HEADER_BYTES
    }

    /// Bytes that the frame takes in the log, its header included.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn clear(&mut self) {
        self.bytes.truncate(FRAME_HEADER_BYTES);
    }

    /// Fills in the header and gives the frame as it is written.
    pub(crate) fn seal(&mut self, segment: u64, seq: u64) -> &[u8] {
        let len = u32::try_from(self.bytes.len() - FRAME_HEADER_BYTES).unwrap_or(u32::MAX);
        let crc = frame_crc(segment, len, seq, self.bytes.get(FRAME_HEADER_BYTES..).unwrap_or_default());
        let mut header = Vec::with_capacity(FRAME_HEADER_BYTES);
        codec::put_u32(&mut header, len);
        codec::put_u32(&mut header, crc);
        codec::put_u64(&mut header, seq);
        self.bytes.splice(..FRAME_HEADER_BYTES, header);
        &self.bytes
    }
}

/// The checksum covers the segment number too: a frame left over in a recycled file never passes for one of the new.
pub(crate) fn frame_crc(segment: u64, len: u32, seq: u64, records: &[u8]) -> u32 {
    let mut head = Vec::with_capacity(20);
    codec::put_u64(&mut head, segment);
    codec::put_u32(&mut head, len);
    codec::put_u64(&mut head, seq);
    crc32c::crc32c_append(crc32c::crc32c(&head), records)
}

/// A frame read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its place in the log: 1, 2, 3 … over the log's life.
    pub seq: u64,
    pub(crate) records: Vec<u8>,
}

/// One record of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub kind: RecordKind,
    pub tenant: &'a str,
    pub payload: &'a [u8],
}

impl Frame {
    /// The records in the order they were added. An error means a record of a newer version or a bug, since the
    /// checksum held.
    pub fn records(&self) -> Result<Vec<Record<'_>>, Malformed> {
        let mut reader = Reader::new(&self.records);
        let mut records = Vec::new();
        while !reader.is_empty() {
            let kind = RecordKind::from_byte(reader.u8("record kind")?);
            let kind = kind.ok_or_else(|| reader.malformed("record kind"))?;
            let tenant = reader.str("record tenant")?;
            records.push(Record { kind, tenant, payload: reader.bytes("record payload")? });
        }
        Ok(records)
    }
}
