//! Small encodings that all formats share: little-endian numbers, varints (LEB128), zigzag, length-prefixed bytes.
//! Reading never panics and never allocates more than the input holds.

/// The input ends early or holds a number out of range; says where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what} at byte {at}")]
pub struct Malformed {
    pub what: &'static str,
    pub at: usize,
}

pub fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push((value as u8) | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

pub fn put_zigzag(to: &mut Vec<u8>, value: i64) {
    put_varint(to, ((value << 1) ^ (value >> 63)) as u64);
}

pub fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

pub fn put_u32(to: &mut Vec<u8>, value: u32) {
    to.extend_from_slice(&value.to_le_bytes());
}

pub fn put_u64(to: &mut Vec<u8>, value: u64) {
    to.extend_from_slice(&value.to_le_bytes());
}

/// The bit pattern, so that every NaN comes back as it went in.
pub fn put_f64(to: &mut Vec<u8>, value: f64) {
    put_u64(to, value.to_bits());
}

/// Reads from the front of a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Result<T> = std::result::Result<T, Malformed>;

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    pub fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { what, at: self.at }
    }

    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len).ok_or(Malformed { what, at: self.at })?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed { what, at: self.at })?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, what)?);
        Ok(out)
    }

    pub fn u8(&mut self, what: &'static str) -> Result<u8> {
        self.array::<1>(what).map(|[b]| b)
    }

    pub fn u32(&mut self, what: &'static str) -> Result<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, what: &'static str) -> Result<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub fn f64(&mut self, what: &'static str) -> Result<f64> {
        self.u64(what).map(f64::from_bits)
    }

    pub fn varint(&mut self, what: &'static str) -> Result<u64> {
        let start = self.at;
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed { what, at: start })
    }

    pub fn varint_usize(&mut self, what: &'static str) -> Result<usize> {
        let start = self.at;
        usize::try_from(self.varint(what)?).map_err(|_| Malformed { what, at: start })
    }

    pub fn varint_u32(&mut self, what: &'static str) -> Result<u32> {
        let start = self.at;
        u32::try_from(self.varint(what)?).map_err(|_| Malformed { what, at: start })
    }

    /// A count of things that take at least one byte each: never more than the bytes left, so safe to reserve for.
    pub fn count(&mut self, what: &'static str) -> Result<usize> {
        let start = self.at;
        let count = self.varint_usize(what)?;
        if count > self.remaining() { Err(Malformed { what, at: start }) } else { Ok(count) }
    }

    pub fn zigzag(&mut self, what: &'static str) -> Result<i64> {
        let raw = self.varint(what)?;
        Ok(((raw >> 1) as i64) ^ -((raw & 1) as i64))
    }

    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let len = self.varint_usize(what)?;
        self.take(len, what)
    }

    pub fn str(&mut self, what: &'static str) -> Result<&'a str> {
        let start = self.at;
        std::str::from_utf8(self.bytes(what)?).map_err(|_| Malformed { what, at: start })
    }
}
