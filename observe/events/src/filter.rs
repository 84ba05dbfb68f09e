//! Bloom filters over the words of lines, over name-value pairs, and over pieces of long words, so that a needle is not
//! looked for where it cannot be. Hashes are on disk: their definition is part of the format.
//!
//! A text that is searched as a part of a line is cut into words. A word with a neighbour on both sides is whole, so the
//! line has it as a word too. A long word (an id) at the edge may be a part of a longer one; for those the filter holds
//! *minimizers*: of every 9 neighbouring 8-byte pieces the one with the smallest hash. Whatever contains 16 bytes of a
//! word contains one of its windows whole, and so that window's minimizer. Source: Schleimer, Wilkerson, Aiken,
//! "Winnowing: local algorithms for document fingerprinting", 2003.

use ahash::AHashSet;

/// Bits an entry and probes: about 0.5 % false answers.
const BITS: usize = 11;
const PROBES: u64 = 7;
const PIECE: usize = 8;
const WINDOW: usize = 9;
/// Words shorter than this have no whole window.
const LONG: usize = PIECE + WINDOW - 1;

const WORD: u64 = 0xcbf2_9ce4_8422_2325;
const PAIR: u64 = WORD ^ 0x5851_f42d_4c95_7f2d;
const PIECES: u64 = WORD ^ 0x1405_7b7e_f767_814f;

/// FNV-1a from a seed of its own for each kind, then MurmurHash3's finaliser.
fn hash(seed: u64, parts: &[&[u8]]) -> u64 {
    let mut h = seed;
    for part in parts {
        for byte in *part {
            h = (h ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^= h >> 33;
    h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

pub(crate) fn pair_hash(name: &str, value: &str) -> u64 {
    hash(PAIR, &[name.as_bytes(), &[0], value.as_bytes()])
}

/// Of ids, for sorted indexes.
pub(crate) fn bytes_hash(bytes: &[u8]) -> u64 {
    hash(WORD, &[bytes])
}

/// Collects hashes; one filter covers one block.
#[derive(Default)]
pub(crate) struct FilterBuilder {
    hashes: AHashSet<u64>,
}

impl FilterBuilder {
    pub(crate) fn add_line(&mut self, line: &str) {
        words(line.as_bytes(), |word, _| {
            self.hashes.insert(hash(WORD, &[word]));
            minimizers(word, |h| {
                self.hashes.insert(h);
            });
        });
    }

    pub(crate) fn add_pair(&mut self, name: &str, value: &str) {
        self.hashes.insert(pair_hash(name, value));
    }

    /// The bits, and an empty builder again.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let bytes = (self.hashes.len() * BITS).div_ceil(8).max(8);
        let mut bits = vec![0u8; bytes];
        for h in self.hashes.drain() {
            for (at, bit) in probes(h, bytes) {
                if let Some(byte) = bits.get_mut(at) {
                    *byte |= bit;
                }
            }
        }
        bits
    }
}

/// False when the hash was certainly not added.
pub(crate) fn may_contain(bits: &[u8], h: u64) -> bool {
    probes(h, bits.len()).all(|(at, bit)| bits.get(at).is_none_or(|byte| byte & bit != 0))
}

/// Hashes that the filter of every block holds that has a line with this text in it. May be none: then nothing is known.
pub(crate) fn text_hashes(text: &str) -> Vec<u64> {
    let mut hashes = Vec::new();
    words(text.as_bytes(), |word, whole| {
        if whole {
            hashes.push(hash(WORD, &[word]));
        }
        minimizers(word, |h| hashes.push(h));
    });
    hashes
}

fn probes(h: u64, bytes: usize) -> impl Iterator<Item = (usize, u8)> {
    // Two hashes make any number (Kirsch and Mitzenmacher, 2006).
    let step = (h >> 32) | 1;
    let bits = (bytes as u64 * 8).max(1);
    (0..PROBES).map(move |i| {
        let bit = h.wrapping_add(i.wrapping_mul(step)) % bits;
        ((bit / 8) as usize, 1 << (bit % 8))
    })
}

/// Runs of ASCII letters, digits, `_` and non-ASCII bytes; and whether it has a neighbour on both sides.
fn words(text: &[u8], mut found: impl FnMut(&[u8], bool)) {
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80;
    let mut at = 0;
    while let Some(start) = text.get(at..).and_then(|rest| rest.iter().position(is_word)).map(|i| at + i) {
        let rest = text.get(start..).unwrap_or_default();
        let len = rest.iter().position(|b| !is_word(b)).unwrap_or(rest.len());
        found(rest.get(..len).unwrap_or_default(), start > 0 && start + len < text.len());
        at = start + len;
    }
}

fn minimizers(word: &[u8], mut found: impl FnMut(u64)) {
    if word.len() < LONG {
        return;
    }
    let pieces: Vec<u64> = word.windows(PIECE).map(|piece| hash(PIECES, &[piece])).collect();
    let mut last = None;
    for window in pieces.windows(WINDOW) {
        let least = window.iter().min().copied();
        if let Some(h) = least.filter(|_| least != last) {
            found(h);
            last = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base_world::Rng;

    #[test]
    fn what_is_there_is_never_denied() {
        let mut rng = Rng::new(7);
        let alphabet: Vec<char> = "ab01 -_=\"é".chars().collect();
        for _ in 0..500 {
            let line: String = (0..80).map(|_| alphabet[rng.index(alphabet.len())]).collect();
            let mut builder = FilterBuilder::default();
            builder.add_line(&line);
            let bits = builder.finish();
            let chars: Vec<char> = line.chars().collect();
            let from = rng.index(chars.len());
            let to = from + rng.index(chars.len() - from) + 1;
            let part: String = chars[from..to].iter().collect();
            assert!(text_hashes(&part).iter().all(|h| may_contain(&bits, *h)), "{part:?} of {line:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_mostly_denied() {
        let mut builder = FilterBuilder::default();
        for i in 0..2_000 {
            builder.add_line(&format!(
                "request {:032x} took {i} ms",
                u128::from(i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ));
            builder.add_pair("trace_id", &format!("{i:032x}"));
        }
        let bits = builder.finish();
        let denied = |hashes: Vec<u64>| !hashes.is_empty() && !hashes.iter().all(|h| may_contain(&bits, *h));
        let needles =
            (0..500).filter(|i| denied(text_hashes(&format!("{:032x}", u128::MAX / 7 - i * 0xffff_ffff_ffff)))).count();
        let pairs = (5_000..5_500).filter(|i| denied(vec![pair_hash("trace_id", &format!("{i:032x}"))])).count();
        assert!(needles > 480 && pairs > 480, "{needles} {pairs}");
    }
}
