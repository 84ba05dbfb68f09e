//! Bytes that are no block: named, without a panic and without memory that they did not bring.

use std::path::Path;

use base_signal::RangeMs;
use base_world::Rng;

use super::made::{self, Series};
use crate::chunk::{Chunker, FLOAT_HISTOGRAM, HISTOGRAM, Point, Points, READ};

/// A small block with all kinds of chunks, and what it holds.
fn block() -> (tempfile::TempDir, std::path::PathBuf, Series) {
    let folder = tempfile::tempdir().unwrap();
    let mut series: Series = [7, 8, 12].into_iter().flat_map(made::series).collect();
    series.iter_mut().for_each(|(_, points)| {
        let end = points.first().map_or(0, |first| first.0.div_euclid(7_200_000) * 7_200_000 + 7_200_000);
        points.retain(|point| point.0 < end);
        points.truncate(12);
    });
    let done = made::written(folder.path(), &made::source(&series), 1 << 30);
    let path = folder.path().join(&done.blocks[0].ulid);
    let held = made::read(&path, &[], RangeMs::ALL).unwrap();
    assert!(!held.is_empty());
    (folder, path, held)
}

/// With one file changed, the block is refused with the file's name, or holds the same: not everything in it is read.
fn check(block: &Path, file: &str, bytes: &[u8], held: &Series, what: &str) -> bool {
    let path = block.join(file);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let read = made::read(block, &[], RangeMs::ALL);
    std::fs::write(&path, whole).unwrap();
    match read {
        Ok(read) => {
            assert!(read == *held, "{what} gave other samples");
            false
        }
        Err(error) => {
            let name = Path::new(file).file_name().unwrap().to_str().unwrap();
            let text = error.to_string();
            assert!(text.contains(name) || text.contains("chunks"), "{what}: {text}");
            true
        }
    }
}

#[test]
fn a_file_that_was_cut_short_is_named() {
    let (_folder, block, held) = block();
    for file in ["index", "chunks/000001", "meta.json"] {
        let whole = std::fs::read(block.join(file)).unwrap();
        for len in (0..whole.len()).step_by(if file == "index" { 7 } else { 11 }) {
            assert!(check(&block, file, &whole[..len], &held, &format!("{file} cut at {len}")), "{file} cut at {len}");
        }
    }
}

#[test]
fn a_bit_that_flipped_gives_no_other_sample() {
    let (_folder, block, held) = block();
    let mut rng = Rng::new(5);
    for file in ["index", "chunks/000001"] {
        let whole = std::fs::read(block.join(file)).unwrap();
        let mut refused = 0;
        for _ in 0..600 {
            let mut bytes = whole.clone();
            let at = rng.index(bytes.len());
            bytes[at] ^= 1 << rng.below(8);
            refused += u32::from(check(&block, file, &bytes, &held, &format!("{file} with byte {at} changed")));
        }
        // Of an index the postings are not read.
        assert!(refused > if file == "index" { 200 } else { 590 }, "{file}: {refused}");
    }
}

#[test]
fn rubbish_in_the_place_of_a_chunk_is_no_chunk() {
    let mut rng = Rng::new(9);
    let mut wrong = 0;
    for round in 0..30_000u32 {
        let len = rng.index(200);
        let mut data: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        if round % 3 == 0 {
            // Much that looks small and says much: runs of ones, counts that are large.
            data.iter_mut().for_each(|byte| *byte |= 0x7f << (round % 2));
        }
        for encoding in READ {
            let mut points = Points::default();
            wrong += u32::from(points.read(encoding, &data, |_| true).is_err());
            assert!(points.times_ms.len() <= 65_535);
        }
    }
    assert!(wrong > 160_000, "{wrong}");
}

#[test]
fn a_sound_chunk_with_changed_bits_never_panics() {
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        for (_, points) in made::series(seed) {
            let mut chunker = Chunker::default();
            for (time_ms, point) in &points {
                match point {
                    made::Point::Float(bits) => chunker.push(*time_ms, Point::Float(f64::from_bits(*bits))),
                    made::Point::Histogram(histogram) => chunker.push(*time_ms, Point::Histogram(histogram)),
                }
            }
            for chunk in chunker.finish() {
                for _ in 0..20 {
                    let mut data = chunk.data.clone();
                    for _ in 0..=rng.below(3) {
                        let at = rng.index(data.len());
                        data[at] = rng.next_u64() as u8;
                    }
                    data.truncate(data.len() - rng.index(data.len() / 2));
                    let _ = Points::default().read(chunk.encoding, &data, |_| true);
                }
            }
        }
    }
}

#[test]
fn a_chunk_that_would_unpack_to_very_much_is_refused() {
    use crate::bits::BitWriter;
    use crate::varbit::{put_int, put_uint};
    // 65535 samples, each with 4000 runs of no bucket: a few kilobytes that would be gigabytes.
    let mut to = BitWriter::after(vec![0xff, 0xff, 0]);
    to.bits(0, 8);
    put_int(&mut to, 0);
    put_uint(&mut to, 4000);
    (0..4000).for_each(|_| to.bits(0, 2));
    put_uint(&mut to, 0);
    (0..70_000).for_each(|_| to.bits(0, 8));
    let data = to.into_bytes();
    for encoding in [HISTOGRAM, FLOAT_HISTOGRAM] {
        let error = Points::default().read(encoding, &data, |_| true).unwrap_err();
        assert!(error.to_string().contains("more than 256 MiB"), "{error}");
    }
}
