//! Bodies out of their `Content-Encoding`, never larger than the caller allows.
//!
//! The output is bounded while it grows, so that a small body cannot become a large one ("bomb"). Snappy comes in two
//! forms: blocks (remote write, Loki) and frames. Knows no headers but the encoding's name.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{Read, Write};

use crate::{DecodeError, DecodeErrorKind};

/// RFC 9659: a zstd body over HTTP must not need a window above 8 MB. Without it a header of a few bytes costs 128 MB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The first bytes of framed snappy.
const SNAPPY_FRAMES: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// Decodes a body; several encodings (`gzip, zstd`) are undone from the last to the first. `limit_bytes` bounds each result.
pub fn decode<'a>(content_encoding: &str, body: &'a [u8], limit_bytes: usize) -> Result<Cow<'a, [u8]>, DecodeError> {
    let mut decoded = Cow::Borrowed(body);
    let names: Vec<&str> = content_encoding.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.len() > 2 {
        return Err(DecodeErrorKind::UnknownEncoding(content_encoding.chars().take(60).collect()).into());
    }
    for name in names.iter().rev() {
        if !name.eq_ignore_ascii_case("identity") {
            decoded = Cow::Owned(one(&name.to_ascii_lowercase(), &decoded, limit_bytes)?);
        }
    }
    if decoded.len() > limit_bytes {
        return Err(DecodeErrorKind::TooLarge(limit_bytes as u64).into());
    }
    Ok(decoded)
}

fn one(name: &str, body: &[u8], limit_bytes: usize) -> Result<Vec<u8>, DecodeError> {
    match name {
        "gzip" | "x-gzip" => bounded(flate2::read::MultiGzDecoder::new(body), "gzip", limit_bytes),
        // By RFC 9110 `deflate` is zlib's format; some senders leave its header out.
        "deflate" | "zlib" if body.first().is_some_and(|b| b & 0x0f == 8) => {
            bounded(flate2::read::ZlibDecoder::new(body), "deflate", limit_bytes)
        }
        "deflate" => bounded(flate2::read::DeflateDecoder::new(body), "deflate", limit_bytes),
        "zstd" => {
            let error = |e: std::io::Error| invalid("zstd", &e);
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(error)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(error)?;
            bounded(decoder, "zstd", limit_bytes)
        }
        "snappy" | "x-snappy-framed" if body.starts_with(SNAPPY_FRAMES) => {
            bounded(snap::read::FrameDecoder::new(body), "snappy", limit_bytes)
        }
        "snappy" => snappy_block(body, limit_bytes),
        other => Err(DecodeErrorKind::UnknownEncoding(other.chars().take(60).collect()).into()),
    }
}

/// One snappy block; its header says how large the result is, and is believed only up to the limit.
pub fn snappy_block(body: &[u8], limit_bytes: usize) -> Result<Vec<u8>, DecodeError> {
    snappy_length(body, limit_bytes)?;
    snap::raw::Decoder::new().decompress_vec(body).map_err(|e| invalid("snappy", &e))
}

/// The same for somebody who only reads it: the bytes lie in memory of this thread that the next block uses again, or each would cost its pages anew.
pub(crate) fn with_snappy_block<T>(
    body: &[u8],
    limit_bytes: usize,
    read: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    const KEPT_BYTES_MAX: usize = 4 << 20;
    thread_local!(static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    let length = snappy_length(body, limit_bytes)?;
    let mut room = ROOM.take();
    if room.len() < length {
        room.resize(length, 0);
    }
    let unpacked = snap::raw::Decoder::new().decompress(body, &mut room);
    let result = match unpacked {
        Ok(length) => read(room.get(..length).unwrap_or_default()),
        Err(error) => Err(invalid("snappy", &error)),
    };
    if room.len() <= KEPT_BYTES_MAX {
        ROOM.set(room);
    }
    result
}

/// What the block says that it becomes, if that can be.
fn snappy_length(body: &[u8], limit_bytes: usize) -> Result<usize, DecodeError> {
    let length = snap::raw::decompress_len(body).map_err(|e| invalid("snappy", &e))?;
    if length > limit_bytes {
        return Err(DecodeErrorKind::TooLarge(limit_bytes as u64).into());
    }
    // The densest element, a copy of 3 bytes, makes 64: a header that promises more lies, before memory is taken.
    if length / 22 > body.len() {
        return Err(invalid("snappy", &"the stated length is more than the bytes can hold"));
    }
    Ok(length)
}

/// The other way: one snappy block.
pub fn pack_snappy(bytes: &[u8]) -> Vec<u8> {
    // The only failure is an input of 4 GiB, which no limit of ours lets come this far; an empty block says so to its reader.
    snap::raw::Encoder::new().compress_vec(bytes).unwrap_or_default()
}

/// The other way: gzip, quick rather than small.
pub fn pack_gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(bytes.len() / 4), flate2::Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn bounded(reader: impl Read, encoding: &'static str, limit_bytes: usize) -> Result<Vec<u8>, DecodeError> {
    let mut decoded = Vec::new();
    let read = reader.take(limit_bytes as u64 + 1).read_to_end(&mut decoded);
    read.map_err(|e| invalid(encoding, &e))?;
    if decoded.len() > limit_bytes {
        return Err(DecodeErrorKind::TooLarge(limit_bytes as u64).into());
    }
    Ok(decoded)
}

fn invalid(encoding: &'static str, reason: &dyn std::fmt::Display) -> DecodeError {
    DecodeErrorKind::Compression { encoding, reason: reason.to_string() }.into()
}

#[cfg(test)]
mod tests {

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn check(encoding: &str, body: &[u8], limit: usize, expect: Result<usize, &str>) {
        let found = decode(encoding, body, limit).map(|b| b.len()).map_err(|e| e.to_string());
        assert_eq!(found, expect.map_err(str::to_owned), "{encoding}, {} bytes, limit {limit}", body.len());
    }

    #[test]
    fn every_encoding_and_its_bomb() {
        let plain = vec![b'a'; 100_000];
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(&plain).unwrap();
        let mut frames = snap::write::FrameEncoder::new(Vec::new());
        frames.write_all(&plain).unwrap();
        let bodies = [
            ("gzip", gzip(&plain)),
            ("deflate", zlib.finish().unwrap()),
            ("zstd", zstd::encode_all(plain.as_slice(), 3).unwrap()),
            ("snappy", snap::raw::Encoder::new().compress_vec(&plain).unwrap()),
            ("snappy", frames.into_inner().unwrap()),
            ("identity", plain.clone()),
            ("", plain.clone()),
        ];
        let bomb = "it would take more than 99999 bytes once decoded; send it in smaller requests";
        for (encoding, body) in &bodies {
            check(encoding, body, 100_000, Ok(100_000));
            check(encoding, body, 99_999, Err(bomb));
            if !encoding.is_empty() && *encoding != "identity" {
                assert!(decode(encoding, &body[..body.len() / 2], 100_000).is_err(), "{encoding} cut in half");
            }
        }
        check("identity, gzip", &gzip(b"abc"), 10, Ok(3));
        check("gzip, gzip", &gzip(&gzip(b"abc")), 100, Ok(3));
    }

    #[test]
    fn what_is_refused() {
        check("br", b"", 10, Err("content encoding \"br\" is not supported; use gzip, zstd, deflate, snappy or none"));
        assert!(decode("br", b"", 10).unwrap_err().is_unsupported_encoding());
        let three = decode("gzip, gzip, gzip", b"", 10).unwrap_err();
        assert!(three.is_unsupported_encoding(), "{three}");
        assert!(!decode("gzip", b"x", 10).unwrap_err().is_unsupported_encoding());
        // A snappy header that promises 4 GB and holds nothing.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        assert!(decode("snappy", &lie, usize::MAX).unwrap_err().to_string().contains("more than the bytes can hold"));
    }

    #[test]
    fn a_zstd_window_above_8_mb_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.long_distance_matching(true).unwrap();
        encoder.write_all(b"abc").unwrap();
        let body = encoder.finish().unwrap();
        assert!(decode("zstd", &body, 1 << 20).is_err());
    }
}
