//! Writing a segment: a container of named, checksummed sections. See `docs/formats/segment.md`.
//!
//! A segment appears under its name whole and durable, or not at all: it is written aside, synced, renamed, and the
//! folder synced. What the sections mean is the stores' business.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base_world::{DiskError, File, World};

use crate::codec;
use crate::error::BlockError;
use crate::zstd_context::pack;

pub(crate) const MAGIC: &[u8; 8] = b"APMSEG\r\n";
pub(crate) const VERSION: u16 = 1;
pub(crate) const HEADER_BYTES: usize = 16;
pub(crate) const FOOTER_BYTES: usize = 24;
/// Bytes gathered before they are handed to the disk.
const BUFFER_BYTES: usize = 256 << 10;
/// Below this zstd's own frame takes what it could save.
const PACK_BYTES_MIN: usize = 64;

type Result<T> = std::result::Result<T, BlockError>;

/// What a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SegmentKind {
    Metrics = 1,
    Logs = 2,
    Spans = 3,
}

impl SegmentKind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Metrics, Self::Logs, Self::Spans].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// How a section is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// As it is; may be read in parts.
    Plain = 0,
    Zstd = 1,
}

impl Codec {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Plain, Self::Zstd].into_iter().find(|codec| *codec as u8 == byte)
    }
}

/// What the whole segment says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Inclusive; the unit is the store's (milliseconds for metrics, nanoseconds for logs and spans).
    pub time_min: i64,
    /// Inclusive.
    pub time_max: i64,
    /// Samples, log records or spans.
    pub rows: u64,
    /// Series, streams or traces.
    pub series: u64,
    /// 0 for a flush, one more for each merge.
    pub level: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) offset: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) codec: Codec,
    pub(crate) crc: u32,
}

/// Writes one segment from front to back.
pub struct SegmentWriter {
    world: World,
    file: Arc<dyn File>,
    aside: PathBuf,
    path: PathBuf,
    tenant: String,
    sections: Vec<Section>,
    /// Name, offset, bytes and checksum of a section being streamed.
    open: Option<(String, u64, u64, u32)>,
    buffer: Vec<u8>,
    written: u64,
    finished: bool,
}

impl SegmentWriter {
    /// Begins `path` (written as `path.tmp` until finished; a leftover of that name is replaced).
    pub fn create(world: &World, path: &Path, kind: SegmentKind, tenant: &str) -> Result<Self> {
        let mut aside = path.as_os_str().to_os_string();
        aside.push(".tmp");
        let aside = PathBuf::from(aside);
        if world.disk.exists(&aside)? {
            world.disk.remove(&aside)?;
        }
        let mut buffer = Vec::with_capacity(HEADER_BYTES);
        buffer.extend_from_slice(MAGIC);
        buffer.extend_from_slice(&VERSION.to_le_bytes());
        buffer.extend_from_slice(&[kind as u8, 0]);
        let crc = crc32c::crc32c(&buffer);
        codec::put_u32(&mut buffer, crc);
        Ok(Self {
            world: world.clone(),
            file: world.disk.create(&aside)?,
            aside,
            path: path.to_path_buf(),
            tenant: tenant.to_owned(),
            sections: Vec::new(),
            open: None,
            buffer,
            written: 0,
            finished: false,
        })
    }

    /// Adds a whole section. Zstd is used only where it makes it smaller.
    pub fn section(&mut self, name: &str, codec: Codec, raw: &[u8]) -> Result<()> {
        let packed = match codec {
            Codec::Plain => None,
            Codec::Zstd if raw.len() < PACK_BYTES_MIN => None,
            Codec::Zstd => pack(raw).filter(|packed| packed.len() < raw.len()),
        };
        let stored = packed.as_deref().unwrap_or(raw);
        self.begin(name);
        self.push(stored)?;
        self.end();
        if let Some(section) = self.sections.last_mut().filter(|_| packed.is_some()) {
            section.codec = Codec::Zstd;
            section.raw_bytes = raw.len() as u64;
        }
        Ok(())
    }

    /// Begins a plain section that is streamed with [`SegmentWriter::push`]; ends the one before.
    pub fn begin(&mut self, name: &str) {
        self.end();
        self.open = Some((name.to_owned(), self.offset(), 0, 0));
    }

    /// Adds bytes to the section begun. Returns their offset inside it.
    pub fn push(&mut self, bytes: &[u8]) -> Result<u64> {
        let Some((_, _, len, crc)) = &mut self.open else { return Ok(0) };
        let at = *len;
        *len += bytes.len() as u64;
        *crc = crc32c::crc32c_append(*crc, bytes);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.spill()?;
        }
        Ok(at)
    }

    /// Ends the section begun.
    pub fn end(&mut self) {
        if let Some((name, offset, bytes, crc)) = self.open.take() {
            let codec = Codec::Plain;
            self.sections.push(Section { name, offset, stored_bytes: bytes, raw_bytes: bytes, codec, crc });
        }
    }

    /// Writes the table of contents and makes the segment durable under its name. Returns its size in bytes.
    pub fn finish(mut self, summary: &SegmentSummary) -> Result<u64> {
        self.end();
        let toc = encode_toc(&self.tenant, summary, &self.sections);
        let toc_offset = self.offset();
        self.buffer.extend_from_slice(&toc);
        codec::put_u64(&mut self.buffer, toc_offset);
        codec::put_u32(&mut self.buffer, u32::try_from(toc.len()).unwrap_or(u32::MAX));
        codec::put_u32(&mut self.buffer, crc32c::crc32c(&toc));
        self.buffer.extend_from_slice(MAGIC);
        self.spill()?;
        self.file.sync()?;
        self.world.disk.rename(&self.aside, &self.path)?;
        self.finished = true;
        if let Some(folder) = self.path.parent() {
            self.world.disk.sync_folder(folder)?;
        }
        Ok(self.written)
    }

    fn offset(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn spill(&mut self) -> std::result::Result<(), DiskError> {
        self.file.write_at(self.written, &self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for SegmentWriter {
    /// A segment given up (most often for want of room) must not keep its half.
    fn drop(&mut self) {
        if !self.finished {
            // If it cannot be removed now, the next open finds it as an orphan.
            let _ = self.world.disk.remove(&self.aside);
        }
    }
}

fn encode_toc(tenant: &str, summary: &SegmentSummary, sections: &[Section]) -> Vec<u8> {
    let mut toc = Vec::new();
    codec::put_bytes(&mut toc, tenant.as_bytes());
    codec::put_zigzag(&mut toc, summary.time_min);
    codec::put_zigzag(&mut toc, summary.time_max);
    codec::put_varint(&mut toc, summary.rows);
    codec::put_varint(&mut toc, summary.series);
    toc.push(summary.level);
    codec::put_varint(&mut toc, sections.len() as u64);
    for section in sections {
        codec::put_bytes(&mut toc, section.name.as_bytes());
        codec::put_varint(&mut toc, section.offset);
        codec::put_varint(&mut toc, section.stored_bytes);
        codec::put_varint(&mut toc, section.raw_bytes);
        toc.push(section.codec as u8);
        codec::put_u32(&mut toc, section.crc);
    }
    toc
}
