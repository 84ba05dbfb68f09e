//! Bits, the highest of a byte first, as chunks are written. Reading never panics.

use crate::bytes::Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// Bits onto the end of bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not used yet.
    free: u32,
}

impl BitWriter {
    /// After whole bytes.
    pub(crate) fn after(bytes: Vec<u8>) -> Self {
        BitWriter { bytes, free: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn bit(&mut self, bit: bool) {
        self.bits(u64::from(bit), 1);
    }

    /// The lowest `count` bits of `value`.
    pub(crate) fn bits(&mut self, value: u64, count: u32) {
        let mut left = count.min(64);
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let now = left.min(self.free);
            let part = (value >> (left - now)) & ((1 << now) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part << (self.free - now)) as u8;
            }
            self.free -= now;
            left -= now;
        }
    }

    pub(crate) fn uvarint(&mut self, value: u64) {
        let mut bytes = Vec::with_capacity(10);
        crate::bytes::put_uvarint(&mut bytes, value);
        bytes.iter().for_each(|byte| self.bits(u64::from(*byte), 8));
    }
}

/// Bits from the front of bytes.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: u64,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, at: 0 }
    }

    /// Bits that are left.
    pub(crate) fn remaining(&self) -> u64 {
        (self.bytes.len() as u64 * 8).saturating_sub(self.at)
    }

    fn short(&self) -> Malformed {
        Malformed { what: "the chunk ends early", at: (self.at / 8) as usize }
    }

    pub(crate) fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { what, at: (self.at / 8) as usize }
    }

    pub(crate) fn bit(&mut self) -> Result<bool> {
        self.bits(1).map(|bit| bit == 1)
    }

    pub(crate) fn bits(&mut self, count: u32) -> Result<u64> {
        let count = count.min(64);
        if u64::from(count) > self.remaining() {
            return Err(self.short());
        }
        let (mut value, mut left) = (0u64, count);
        while left > 0 {
            let byte = self.bytes.get((self.at / 8) as usize).copied().ok_or_else(|| self.short())?;
            let free = 8 - (self.at % 8) as u32;
            let now = left.min(free);
            let part = (u64::from(byte) >> (free - now)) & ((1 << now) - 1);
            value = (value << now) | part;
            self.at += u64::from(now);
            left -= now;
        }
        Ok(value)
    }

    pub(crate) fn uvarint(&mut self) -> Result<u64> {
        crate::bytes::uvarint(|| self.bits(8).map(|byte| byte as u8))
    }
}
