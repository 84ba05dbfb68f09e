//! Bits one after the other, the highest of a number first, and the codes that Prometheus's chunks are made of
//! (`tsdb/docs/format/chunks.md`).

#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    pub(super) bytes: Vec<u8>,
    /// Of the last byte, still unused.
    free: u32,
}

impl Bits {
    pub(super) fn bit(&mut self, set: bool) {
        if self.free == 0 {
            self.bytes.push(0);
            self.free = 8;
        }
        self.free -= 1;
        if let (true, Some(last)) = (set, self.bytes.last_mut()) {
            *last |= 1 << self.free;
        }
    }

    /// The lowest `count` bits.
    pub(super) fn bits(&mut self, number: u64, count: u32) {
        (0..count).rev().for_each(|at| self.bit(number >> at & 1 == 1));
    }

    pub(super) fn double(&mut self, value: f64) {
        self.bits(value.to_bits(), 64);
    }

    /// Seven bits a byte, lowest first.
    pub(super) fn uvarint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bits(number & 0x7f | 0x80, 8);
            number >>= 7;
        }
        self.bits(number, 8);
    }

    /// The same for a number with a sign, which goes into the lowest bit.
    pub(super) fn varint(&mut self, number: i64) {
        self.uvarint((number << 1 ^ number >> 63) as u64);
    }

    /// `ones` ones and a zero, then the number in so many bits.
    fn class(&mut self, ones: u32, number: u64, count: u32) {
        self.bits((1 << (ones + 1)) - 2, ones + 1);
        self.bits(number, count);
    }

    /// Histograms' code for whole numbers that are mostly small: a class, then as many bits as the class has.
    pub(super) fn small(&mut self, number: i64) {
        if number == 0 {
            return self.bit(false);
        }
        for (ones, count) in (1..).zip(SMALL_BITS) {
            let half = 1i64 << (count - 1);
            // The range leans up by one: its lowest code stands for its highest number.
            if (-half + 1..=half).contains(&number) {
                return self.class(ones, number as u64, count);
            }
        }
        self.bits(0xff, 8);
        self.bits(number as u64, 64);
    }

    /// The same without a sign.
    pub(super) fn small_unsigned(&mut self, number: u64) {
        if number == 0 {
            return self.bit(false);
        }
        for (ones, count) in (1..).zip(SMALL_BITS) {
            if number >> count == 0 {
                return self.class(ones, number, count);
            }
        }
        self.bits(0xff, 8);
        self.bits(number, 64);
    }
}

const SMALL_BITS: [u32; 7] = [3, 6, 9, 12, 18, 25, 56];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fill: impl FnOnce(&mut Bits), expect: &str) {
        let mut bits = Bits::default();
        fill(&mut bits);
        let all: String = bits.bytes.iter().map(|byte| format!("{byte:08b}")).collect();
        let (used, rest) = all.split_at(all.len() - bits.free as usize);
        assert_eq!((used, rest.contains('1')), (expect, false));
    }

    #[test]
    fn codes() {
        check(|b| b.small(0), "0");
        check(|b| b.small(4), "10100");
        check(|b| b.small(-3), "10101");
        check(|b| b.small(-4), "110111100");
        check(|b| b.small(32), "110100000");
        check(|b| b.small_unsigned(7), "10111");
        check(|b| b.small_unsigned(8), "110001000");
        check(|b| b.varint(-2), "00000011");
        check(|b| b.uvarint(300), "1010110000000010");
        check(|b| b.small(i64::MIN), &format!("111111111{}", "0".repeat(63)));
    }
}
