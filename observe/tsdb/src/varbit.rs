//! Numbers of as many bits as they need: `varbit_int`, `varbit_uint` and `varbit_xor` of tsdb/docs/format/chunks.md.

use crate::bits::{BitReader, BitWriter};
use crate::bytes::Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// Bits of the number after so many ones and a zero; after eight ones come all 64.
const WIDTHS: [u32; 8] = [0, 3, 6, 9, 12, 18, 25, 56];

/// Whether `count` bits hold it, the positive side being one larger: `-(2^(n-1) - 1) ..= 2^(n-1)`.
pub(crate) fn fits(value: i64, count: u32) -> bool {
    let half = 1i64 << (count - 1);
    -(half - 1) <= value && value <= half
}

/// A signed number from `count` bits of that kind.
pub(crate) fn signed(bits: u64, count: u32) -> i64 {
    if bits > 1 << (count - 1) { (bits as i64).wrapping_sub(1 << count) } else { bits as i64 }
}

fn put(to: &mut BitWriter, bits: u64, fits: impl Fn(u32) -> bool) {
    if bits == 0 {
        return to.bit(false);
    }
    for (ones, width) in WIDTHS.iter().enumerate().skip(1) {
        if fits(*width) {
            let ones = ones as u32;
            to.bits((1 << (ones + 1)) - 2, ones + 1);
            return to.bits(bits, *width);
        }
    }
    to.bits(0xff, 8);
    to.bits(bits, 64);
}

pub(crate) fn put_int(to: &mut BitWriter, value: i64) {
    put(to, value as u64, |width| fits(value, width));
}

pub(crate) fn put_uint(to: &mut BitWriter, value: u64) {
    put(to, value, |width| value >> width == 0);
}

/// The number's bits and how many there are.
fn take(from: &mut BitReader<'_>) -> Result<(u64, u32)> {
    for width in WIDTHS {
        if !from.bit()? {
            return Ok((from.bits(width)?, width));
        }
    }
    Ok((from.bits(64)?, 64))
}

pub(crate) fn take_int(from: &mut BitReader<'_>) -> Result<i64> {
    match take(from)? {
        (_, 0) => Ok(0),
        (bits, 64) => Ok(bits as i64),
        (bits, width) => Ok(signed(bits, width)),
    }
}

pub(crate) fn take_uint(from: &mut BitReader<'_>) -> Result<u64> {
    take(from).map(|(bits, _)| bits)
}

/// A float as what changed of its bits since the one before (Gorilla: Pelkonen et al., VLDB 2015, section 4.1.2).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Xor {
    pub(crate) bits: u64,
    /// Zeros before and after what changed last, once something did.
    window: Option<(u32, u32)>,
}

impl Xor {
    pub(crate) fn starting(bits: u64) -> Self {
        Xor { bits, window: None }
    }

    pub(crate) fn put(&mut self, to: &mut BitWriter, bits: u64) {
        let changed = self.bits ^ bits;
        self.bits = bits;
        if changed == 0 {
            return to.bit(false);
        }
        to.bit(true);
        // Five bits hold the number of leading zeros.
        let (leading, trailing) = (changed.leading_zeros().min(31), changed.trailing_zeros());
        if let Some((before, after)) = self.window
            && leading >= before
            && trailing >= after
        {
            to.bit(false);
            return to.bits(changed >> after, 64 - before - after);
        }
        self.window = Some((leading, trailing));
        let significant = 64 - leading - trailing;
        to.bit(true);
        to.bits(u64::from(leading), 5);
        // 64 is written as 0: no bits at all are never meant.
        to.bits(u64::from(significant), 6);
        to.bits(changed >> trailing, significant);
    }

    pub(crate) fn take(&mut self, from: &mut BitReader<'_>) -> Result<u64> {
        if !from.bit()? {
            return Ok(self.bits);
        }
        if from.bit()? { self.take_window(from) } else { self.take_within(from) }
    }

    /// The bits of a new window, behind its place and length.
    pub(crate) fn take_window(&mut self, from: &mut BitReader<'_>) -> Result<u64> {
        let leading = from.bits(5)? as u32;
        let significant = match from.bits(6)? as u32 {
            0 => 64,
            some => some,
        };
        let trailing = 64u32.checked_sub(leading + significant);
        let trailing = trailing.ok_or_else(|| from.malformed("a float of more than 64 bits"))?;
        self.window = Some((leading, trailing));
        self.take_within(from)
    }

    /// The bits within the last window; before the first one all: so does a zeroed reader of Prometheus.
    pub(crate) fn take_within(&mut self, from: &mut BitReader<'_>) -> Result<u64> {
        let (leading, trailing) = self.window.unwrap_or((0, 0));
        self.bits ^= from.bits(64 - leading - trailing)? << trailing;
        Ok(self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_take_the_bits_they_should() {
        let edges = [
            (0, 1),
            (1, 5),
            (-3, 5),
            (4, 5),
            (-4, 9),
            (5, 9),
            (-31, 9),
            (32, 9),
            (33, 13),
            (-255, 13),
            (256, 13),
            (2048, 17),
            (131_072, 24),
            (16_777_216, 32),
            (36_028_797_018_963_968, 64),
            (36_028_797_018_963_969, 72),
            (i64::MIN, 72),
            (i64::MAX, 72),
        ];
        for (value, bits) in edges {
            let mut to = BitWriter::default();
            put_int(&mut to, value);
            to.bits(1, 1);
            let bytes = to.into_bytes();
            let mut from = BitReader::new(&bytes);
            assert_eq!((take_int(&mut from), bytes.len() as u64 * 8 - from.remaining()), (Ok(value), bits), "{value}");
            assert_eq!(from.bit(), Ok(true));
        }
        for value in [0, 1, 7, 8, 63, 64, 4095, 4096, 1 << 25, (1 << 56) - 1, 1 << 56, u64::MAX] {
            let mut to = BitWriter::default();
            put_uint(&mut to, value);
            assert_eq!(take_uint(&mut BitReader::new(&to.into_bytes())), Ok(value));
        }
    }
}
