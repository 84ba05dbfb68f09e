//! Samples of one series in memory: times as differences of differences, values XORed with the one before.
//! After Pelkonen et al., "Gorilla: a fast, scalable, in-memory time series database" (VLDB 2015), with the bit ranges that
//! Prometheus uses for milliseconds. Every f64 comes back with the same bits.

use crate::bits::{BitReader, BitWriter};

/// (prefix bits, prefix length, payload bits) of a difference of differences.
const RANGES: [(u64, u32, u32); 3] = [(0b10, 2, 14), (0b110, 3, 17), (0b1110, 4, 20)];

/// XOR state that writer and reader keep alike. `meaningful == 0` until a window was stated.
#[derive(Clone, Debug, Default)]
struct Xor {
    bits: u64,
    leading: u8,
    meaningful: u8,
}

/// A growing chunk. Times must ascend strictly. Part of each series in memory, so every byte of it counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    out: BitWriter,
    pub(crate) time_max: i64,
    delta: i64,
    /// Of the newest value; an empty chunk may be told of one that is elsewhere.
    pub(crate) bits: u64,
    pub(crate) count: u16,
    leading: u8,
    meaningful: u8,
}

impl Chunk {
    /// An empty one that remembers the value before it.
    pub(crate) fn after(bits: u64) -> Self {
        Self { bits, ..Self::default() }
    }

    pub(crate) fn push(&mut self, time_ms: i64, bits: u64) {
        if self.count == 0 {
            self.out.put(time_ms as u64, 64);
            self.out.put(bits, 64);
        } else {
            let delta = time_ms.wrapping_sub(self.time_max);
            put_time(&mut self.out, delta.wrapping_sub(self.delta));
            self.delta = delta;
            let mut xor = Xor { bits: self.bits, leading: self.leading, meaningful: self.meaningful };
            xor.put(&mut self.out, bits);
            (self.leading, self.meaningful) = (xor.leading, xor.meaningful);
        }
        self.bits = bits;
        self.time_max = time_ms;
        self.count += 1;
    }

    pub(crate) fn time_min(&self) -> i64 {
        self.out.first_word().map_or(self.time_max, |word| word as i64)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.out.to_bytes()
    }

    pub(crate) fn capacity_bytes(&self) -> usize {
        self.out.capacity_bytes()
    }
}

fn put_time(out: &mut BitWriter, dod: i64) {
    if dod == 0 {
        return out.put_bit(false);
    }
    for (prefix, len, payload) in RANGES {
        let half = 1i64 << (payload - 1);
        if (-half..half).contains(&dod) {
            out.put(prefix, len);
            return out.put(dod as u64, payload);
        }
    }
    out.put(0b1111, 4);
    out.put(dod as u64, 64);
}

fn take_time(input: &mut BitReader<'_>) -> Option<i64> {
    if !input.take_bit()? {
        return Some(0);
    }
    for (_, _, payload) in RANGES {
        if !input.take_bit()? {
            let raw = input.take(payload)?;
            // Sign-extend.
            return Some(((raw << (64 - payload)) as i64) >> (64 - payload));
        }
    }
    input.take(64).map(|raw| raw as i64)
}

impl Xor {
    fn put(&mut self, out: &mut BitWriter, bits: u64) {
        let xor = bits ^ self.bits;
        self.bits = bits;
        if xor == 0 {
            return out.put_bit(false);
        }
        out.put_bit(true);
        let (leading, trailing) = (xor.leading_zeros().min(31), xor.trailing_zeros());
        let (old_leading, old_meaningful) = (u32::from(self.leading), u32::from(self.meaningful));
        let old_trailing = 64 - old_leading - old_meaningful;
        if old_meaningful > 0 && leading >= old_leading && trailing >= old_trailing {
            out.put_bit(false);
            return out.put(xor >> old_trailing, old_meaningful);
        }
        let meaningful = 64 - leading - trailing;
        (self.leading, self.meaningful) = (leading as u8, meaningful as u8);
        out.put_bit(true);
        // 64 does not fit in six bits and 0 never occurs: 0 stands for 64.
        out.put(u64::from(leading << 6 | meaningful & 63), 11);
        out.put(xor >> trailing, meaningful);
    }

    fn take(&mut self, input: &mut BitReader<'_>) -> Option<u64> {
        if !input.take_bit()? {
            return Some(self.bits);
        }
        if input.take_bit()? {
            self.leading = input.take(5)? as u8;
            let meaningful = input.take(6)? as u8;
            self.meaningful = if meaningful == 0 { 64 } else { meaningful };
        }
        if self.meaningful == 0 {
            return None;
        }
        let trailing = 64u32.checked_sub(u32::from(self.leading + self.meaningful))?;
        self.bits ^= input.take(u32::from(self.meaningful))? << trailing;
        Some(self.bits)
    }
}

/// The samples of a chunk, oldest first.
pub(crate) fn decode_chunk(bytes: &[u8], count: u32, mut each: impl FnMut(i64, u64)) {
    let mut input = BitReader::new(bytes);
    let (mut time, mut delta, mut xor) = (0i64, 0i64, Xor::default());
    for i in 0..count {
        let read = if i == 0 {
            input.take(64).zip(input.take(64)).map(|(first, bits)| {
                time = first as i64;
                xor.bits = bits;
            })
        } else {
            take_time(&mut input).and_then(|dod| {
                delta = delta.wrapping_add(dod);
                time = time.wrapping_add(delta);
                xor.take(&mut input).map(|_| ())
            })
        };
        // Chunks live in memory only, so an early end cannot come from outside; stop rather than invent.
        if read.is_none() {
            return;
        }
        each(time, xor.bits);
    }
}

/// Values alone, for segments: the first raw, the others XORed.
pub(crate) fn xor_encode(values: &[u64]) -> Vec<u8> {
    let (mut out, mut xor) = (BitWriter::default(), Xor::default());
    for bits in values {
        xor.put(&mut out, *bits);
    }
    out.to_bytes()
}

pub(crate) fn xor_decode(bytes: &[u8], count: usize) -> Option<Vec<u64>> {
    let (mut input, mut xor) = (BitReader::new(bytes), Xor::default());
    // Each value takes a bit at least: a count beyond that is a lie and must not be reserved for.
    if count > bytes.len().saturating_mul(8) {
        return None;
    }
    (0..count).map(|_| xor.take(&mut input)).collect()
}
