//! Compressed, checksummed pieces inside a segment's plain sections.

use observe_block::codec::{self, Malformed, Reader};
use observe_block::{BlockError, SegmentReader, SegmentWriter, zstd_context};

/// No piece is larger than this when unpacked: one row of the largest size and a block around it.
const RAW_BYTES_MAX: usize = 1 << 30;

/// Where a piece is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    offset: u64,
    stored_bytes: u32,
    pub(crate) raw_bytes: u32,
    crc: u32,
}

/// Compresses and appends a piece to the section that is open. A piece that does not get smaller stays as it is.
pub(crate) fn push(writer: &mut SegmentWriter, raw: &[u8]) -> Result<Place, BlockError> {
    let packed = zstd_context::pack(raw).filter(|packed| packed.len() < raw.len());
    push_stored(writer, packed.as_deref().unwrap_or(raw), raw.len())
}

/// Appends a piece that would not compress.
pub(crate) fn push_plain(writer: &mut SegmentWriter, raw: &[u8]) -> Result<Place, BlockError> {
    push_stored(writer, raw, raw.len())
}

fn push_stored(writer: &mut SegmentWriter, stored: &[u8], raw_bytes: usize) -> Result<Place, BlockError> {
    let offset = writer.push(stored)?;
    let (stored_bytes, crc) = (stored.len() as u32, crc32c::crc32c(stored));
    Ok(Place { offset, stored_bytes, raw_bytes: raw_bytes as u32, crc })
}

/// Reads a piece back, verified.
pub(crate) fn read(reader: &SegmentReader, section: &str, place: Place) -> Result<Vec<u8>, BlockError> {
    let stored = reader.read_part(section, place.offset, place.stored_bytes as usize)?;
    let at = || format!("{section} at {}", place.offset);
    if crc32c::crc32c(&stored) != place.crc {
        return Err(reader.corrupt(&at(), "checksum differs"));
    }
    if place.stored_bytes == place.raw_bytes {
        return Ok(stored);
    }
    let raw = zstd_context::unpack(&stored, (place.raw_bytes as usize).min(RAW_BYTES_MAX));
    let fits = |raw: &Vec<u8>| raw.len() as u64 == u64::from(place.raw_bytes);
    raw.filter(fits).ok_or_else(|| reader.corrupt(&at(), "zstd cannot unpack it"))
}

impl Place {
    pub(crate) fn encode(self, to: &mut Vec<u8>) {
        codec::put_varint(to, self.offset);
        codec::put_varint(to, u64::from(self.stored_bytes));
        codec::put_varint(to, u64::from(self.raw_bytes));
        codec::put_u32(to, self.crc);
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Place {
            offset: from.varint("offset")?,
            stored_bytes: from.varint_u32("length")?,
            raw_bytes: from.varint_u32("raw length")?,
            crc: from.u32("checksum")?,
        })
    }
}
