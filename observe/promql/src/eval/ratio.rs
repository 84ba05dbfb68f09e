//! `limit_ratio`: which series belong to a part of all is decided by a hash of their labels, so that the same ones are chosen
//! in every query. The hash is XXH64 (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>) over names and
//! values, each after its length, as Prometheus keeps label sets.

use base_signal::Labels;

const PRIMES: [u64; 5] =
    [0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63, 0x27D4_EB2F_1656_67C5];

/// Whether a series is in the first (or, for a negative ratio, the last) part of all.
pub(super) fn is_in(ratio: f64, labels: &Labels) -> bool {
    let place = hash(labels) as f64 / u64::MAX as f64;
    (ratio >= 0.0 && place < ratio) || (ratio < 0.0 && place >= 1.0 + ratio)
}

fn hash(labels: &Labels) -> u64 {
    let mut bytes = Vec::with_capacity(labels.as_bytes().len() + 16);
    for (name, value) in labels.iter() {
        for text in [name, value] {
            match u8::try_from(text.len()) {
                Ok(length) if length < u8::MAX => bytes.push(length),
                _ => {
                    bytes.push(u8::MAX);
                    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
                }
            }
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    xxh64(&bytes)
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

fn round(accumulator: u64, lane: u64) -> u64 {
    accumulator.wrapping_add(lane.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

fn xxh64(bytes: &[u8]) -> u64 {
    let mut stripes = bytes.chunks_exact(32);
    let mut hash = if bytes.len() < 32 {
        PRIMES[4]
    } else {
        let mut lanes = [PRIMES[0].wrapping_add(PRIMES[1]), PRIMES[1], 0, 0u64.wrapping_sub(PRIMES[0])];
        for stripe in stripes.by_ref() {
            for (lane, part) in lanes.iter_mut().zip(stripe.chunks_exact(8)) {
                *lane = round(*lane, word(part));
            }
        }
        let rotated = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
        let joined = rotated.fold(0u64, u64::wrapping_add);
        lanes.iter().fold(joined, |hash, lane| (hash ^ round(0, *lane)).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]))
    };
    hash = hash.wrapping_add(bytes.len() as u64);
    let mut words = stripes.remainder().chunks_exact(8);
    for part in words.by_ref() {
        hash = (hash ^ round(0, word(part))).rotate_left(27).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
    }
    let mut halves = words.remainder().chunks_exact(4);
    for part in halves.by_ref() {
        hash ^= word(part).wrapping_mul(PRIMES[0]);
        hash = hash.rotate_left(23).wrapping_mul(PRIMES[1]).wrapping_add(PRIMES[2]);
    }
    for byte in halves.remainder() {
        hash = (hash ^ u64::from(*byte).wrapping_mul(PRIMES[4])).rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(PRIMES[1]);
    hash = (hash ^ (hash >> 29)).wrapping_mul(PRIMES[2]);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::xxh64;

    #[test]
    fn hashes_of_the_specification() {
        let long: Vec<u8> = b"Nobody inspects the spammish repetition".to_vec();
        let table: [(&[u8], u64); 3] =
            [(b"", 0xef46_db37_51d8_e999), (b"a", 0xd24e_c4f1_a98c_6e5b), (&long, 0xfbce_a83c_8a37_8bf1)];
        for (bytes, expected) in table {
            assert_eq!(xxh64(bytes), expected, "{bytes:?}");
        }
    }
}
