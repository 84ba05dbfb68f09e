//! A chunk of floats (encoding 1, `XOR`): times as what changed of their distance, values as what changed of their bits.

use crate::bits::{BitReader, BitWriter};
use crate::bytes::{Malformed, unzigzag, zigzag};
use crate::varbit::{Xor, fits, signed};

type Result<T> = std::result::Result<T, Malformed>;

/// A sample takes two bits at least, the first one nine bytes.
const SAMPLE_BITS_MIN: u64 = 2;

/// Widths of a change of distance, after one, two and three ones and a zero.
const WIDTHS: [u32; 3] = [14, 17, 20];

/// A chunk being written. Times and distances wrap as Prometheus's do, so every time can be said.
pub(crate) struct FloatChunk {
    to: BitWriter,
    pub(crate) count: u16,
    time: i64,
    delta: i64,
    value: Xor,
}

impl FloatChunk {
    pub(crate) fn new() -> Self {
        FloatChunk { to: BitWriter::after(vec![0, 0]), count: 0, time: 0, delta: 0, value: Xor::default() }
    }

    pub(crate) fn push(&mut self, time: i64, bits: u64) {
        match self.count {
            0 => {
                self.to.uvarint(zigzag(time));
                self.to.bits(bits, 64);
                self.value = Xor::starting(bits);
            }
            1 => {
                self.delta = time.wrapping_sub(self.time);
                self.to.uvarint(self.delta as u64);
                self.value.put(&mut self.to, bits);
            }
            _ => {
                let delta = time.wrapping_sub(self.time);
                put_change(&mut self.to, delta.wrapping_sub(self.delta));
                self.delta = delta;
                self.value.put(&mut self.to, bits);
            }
        }
        self.time = time;
        self.count += 1;
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let mut bytes = self.to.into_bytes();
        bytes[..2].copy_from_slice(&self.count.to_be_bytes());
        bytes
    }
}

fn put_change(to: &mut BitWriter, change: i64) {
    if change == 0 {
        return to.bit(false);
    }
    for (ones, width) in WIDTHS.iter().enumerate() {
        if fits(change, *width) {
            let ones = ones as u32 + 1;
            to.bits((1 << (ones + 1)) - 2, ones + 1);
            return to.bits(change as u64, *width);
        }
    }
    to.bits(0xf, 4);
    to.bits(change as u64, 64);
}

fn take_change(from: &mut BitReader<'_>) -> Result<i64> {
    if !from.bit()? {
        return Ok(0);
    }
    for width in WIDTHS {
        if !from.bit()? {
            return Ok(signed(from.bits(width)?, width));
        }
    }
    from.bits(64).map(|bits| bits as i64)
}

/// Calls `each` with time and bits of every sample.
pub(crate) fn read(data: &[u8], mut each: impl FnMut(i64, u64)) -> Result<()> {
    let mut from = BitReader::new(data);
    let count = from.bits(16)?;
    if count * SAMPLE_BITS_MIN > from.remaining() {
        return Err(from.malformed("more samples than there are bytes for"));
    }
    let (mut time, mut delta, mut value) = (0i64, 0i64, Xor::default());
    for i in 0..count {
        match i {
            0 => {
                time = unzigzag(from.uvarint()?);
                value = Xor::starting(from.bits(64)?);
            }
            1 => {
                delta = from.uvarint()? as i64;
                time = time.wrapping_add(delta);
                value.take(&mut from)?;
            }
            _ => {
                delta = delta.wrapping_add(take_change(&mut from)?);
                time = time.wrapping_add(delta);
                value.take(&mut from)?;
            }
        }
        each(time, value.bits);
    }
    Ok(())
}
