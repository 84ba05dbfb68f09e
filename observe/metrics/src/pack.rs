//! Blocks inside a segment's plain sections: a checksum each, zstd where it helps, so that one can be read alone.

use observe_block::codec::{self, Malformed, Reader};
use observe_block::zstd_context as zstd;

const PACK_BYTES_MIN: usize = 64;
const ZSTD: u8 = 1;
/// What a block may unpack to, unless it is large itself: a lie about the length must not take memory.
const RAW_BYTES_MAX: usize = 16 << 20;

/// `[crc32c][bytes]`; returns offset and length of the whole.
pub(crate) fn put_block(to: &mut Vec<u8>, bytes: &[u8]) -> (u64, u64) {
    let at = to.len();
    codec::put_u32(to, crc32c::crc32c(bytes));
    to.extend_from_slice(bytes);
    (at as u64, (to.len() - at) as u64)
}

/// A block of `[flags][raw length][bytes, zstd if that is smaller]`.
pub(crate) fn put_packed(to: &mut Vec<u8>, raw: &[u8]) -> (u64, u64) {
    // Zstd's own frame takes what it could save on a few bytes.
    let worth = raw.len() >= PACK_BYTES_MIN;
    let packed = worth.then(|| zstd::pack(raw)).flatten();
    let packed = packed.filter(|packed| packed.len() < raw.len());
    let mut bytes = vec![if packed.is_some() { ZSTD } else { 0 }];
    codec::put_varint(&mut bytes, raw.len() as u64);
    bytes.extend_from_slice(packed.as_deref().unwrap_or(raw));
    put_block(to, &bytes)
}

pub(crate) fn take_block(bytes: &[u8]) -> std::result::Result<&[u8], Malformed> {
    let mut reader = Reader::new(bytes);
    let crc = reader.u32("checksum")?;
    let body = reader.take(reader.remaining(), "block")?;
    if crc32c::crc32c(body) == crc { Ok(body) } else { Err(Malformed { what: "checksum", at: 0 }) }
}

pub(crate) fn take_packed(bytes: &[u8]) -> std::result::Result<Vec<u8>, Malformed> {
    let mut reader = Reader::new(take_block(bytes)?);
    let flags = reader.u8("flags")?;
    let raw_bytes = reader.varint_usize("raw length")?;
    let body = reader.take(reader.remaining(), "body")?;
    if flags & ZSTD == 0 {
        return Ok(body.to_vec());
    }
    if raw_bytes > RAW_BYTES_MAX.max(body.len().saturating_mul(64)) {
        return Err(reader.malformed("raw length"));
    }
    zstd::unpack(body, raw_bytes).ok_or_else(|| reader.malformed("zstd"))
}
