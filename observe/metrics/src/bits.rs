//! Bits into bytes and back, most significant first. Knows nothing of what they mean.

#[derive(Clone, Debug)]
pub(crate) struct BitWriter {
    /// Whole words.
    bytes: Vec<u8>,
    /// The bits that do not fill a word yet, at the low end below a one: a writer is part of each series in memory and must be small.
    rest: u64,
}

impl Default for BitWriter {
    fn default() -> Self {
        Self { bytes: Vec::new(), rest: 1 }
    }
}

impl BitWriter {
    pub(crate) fn put_bit(&mut self, bit: bool) {
        self.put(u64::from(bit), 1);
    }

    /// The low `count` bits of `value`, `count` up to 64.
    pub(crate) fn put(&mut self, value: u64, count: u32) {
        if count == 0 {
            return;
        }
        let value = value & (u64::MAX >> (64 - count));
        let used = self.used();
        if used + count < 64 {
            self.rest = self.rest << count | value;
            return;
        }
        // The one falls off at the high end, or is masked away.
        let over = used + count - 64;
        let word = self.rest.checked_shl(64 - used).unwrap_or(0) | value >> over;
        self.bytes.extend_from_slice(&word.to_be_bytes());
        self.rest = 1 << over | (value & ((1 << over) - 1));
    }

    fn used(&self) -> u32 {
        63 - self.rest.leading_zeros()
    }

    /// What the first word says; `None` while it is not full.
    pub(crate) fn first_word(&self) -> Option<u64> {
        self.bytes.first_chunk::<8>().map(|word| u64::from_be_bytes(*word))
    }

    /// All that was put, the last byte filled up with zeros.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let rest = self.used().div_ceil(8) as usize;
        let mut bytes = Vec::with_capacity(self.bytes.len() + rest);
        bytes.extend_from_slice(&self.bytes);
        let word = self.rest.checked_shl(64 - self.used()).unwrap_or(0);
        bytes.extend_from_slice(word.to_be_bytes().get(..rest).unwrap_or_default());
        bytes
    }

    pub(crate) fn capacity_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, `count` up to 64; `None` at the end of the input.
    pub(crate) fn take(&mut self, count: u32) -> Option<u64> {
        if count == 0 {
            return Some(0);
        }
        let (byte, bit) = (self.at / 8, (self.at % 8) as u32);
        if self.at + count as usize > self.bytes.len() * 8 {
            return None;
        }
        let word = self.word(byte) << bit;
        self.at += count as usize;
        if count + bit <= 64 {
            return Some(word >> (64 - count));
        }
        // The last bits are in a ninth byte.
        let more = count + bit - 64;
        let ninth = u64::from(*self.bytes.get(byte + 8)?) >> (8 - more);
        Some(word >> (64 - count) | ninth)
    }

    /// Eight bytes from here on, zeros behind the end.
    fn word(&self, byte: usize) -> u64 {
        let rest = self.bytes.get(byte..).unwrap_or_default();
        rest.first_chunk::<8>().map_or_else(
            || rest.iter().fold((0, 64), |(word, left), byte| (word | u64::from(*byte) << (left - 8), left - 8)).0,
            |eight| u64::from_be_bytes(*eight),
        )
    }

    pub(crate) fn take_bit(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }
}

#[cfg(test)]
mod tests {
    use base_world::sim::SimWorld;

    use super::*;

    #[test]
    fn bits_of_any_width_come_back() {
        for seed in 0..200 {
            let world = SimWorld::new(seed).world();
            let random = || world.random.next_u64();
            let fields: Vec<(u64, u32)> = (0..100).map(|_| (random(), (random() % 65) as u32)).collect();
            let mut out = BitWriter::default();
            fields.iter().for_each(|(value, count)| out.put(*value, *count));
            let bytes = out.to_bytes();
            assert_eq!(bytes.len(), fields.iter().map(|(_, count)| *count as usize).sum::<usize>().div_ceil(8));
            let mut input = BitReader::new(&bytes);
            for (value, count) in &fields {
                let expect = if *count == 0 { 0 } else { value & (u64::MAX >> (64 - count)) };
                assert_eq!(input.take(*count), Some(expect), "seed {seed}, {count} bits");
            }
            assert!(input.take(8).is_none(), "seed {seed}: nothing behind the end");
        }
    }
}
