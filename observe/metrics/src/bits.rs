//! Bits into bytes and back, most significant first. Knows nothing of what they mean.

#[derive(Clone, Debug, Default)]
pub(crate) struct BitWriter {
    pub(crate) bytes: Vec<u8>,
    /// Unused bits of the last byte.
    free: u8,
}

impl BitWriter {
    pub(crate) fn put_bit(&mut self, bit: bool) {
        self.put(u64::from(bit), 1);
    }

    /// The low `count` bits of `value`, `count` up to 64.
    pub(crate) fn put(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let now = left.min(u32::from(self.free));
            let part = (value >> (left - now)) & ((1u64 << now) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part << (u32::from(self.free) - now)) as u8;
            }
            self.free -= now as u8;
            left -= now;
        }
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

    /// `None` at the end of the input.
    pub(crate) fn take(&mut self, count: u32) -> Option<u64> {
        let (mut value, mut left) = (0u64, count);
        while left > 0 {
            let byte = *self.bytes.get(self.at / 8)?;
            let available = 8 - (self.at % 8) as u32;
            let now = left.min(available);
            let part = (u64::from(byte) >> (available - now)) & ((1 << now) - 1);
            value = if now == 64 { part } else { (value << now) | part };
            self.at += now as usize;
            left -= now;
        }
        Some(value)
    }

    pub(crate) fn take_bit(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }
}
