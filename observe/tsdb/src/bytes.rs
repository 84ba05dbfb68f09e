//! Numbers as Go's `encoding/binary` writes them: big-endian words, LEB128 varints, zigzag. Reading never panics and never
//! allocates.

/// The input ends early or holds a number out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub(crate) struct Malformed {
    pub(crate) what: &'static str,
    /// From the start of what was read.
    pub(crate) at: usize,
}

type Result<T> = std::result::Result<T, Malformed>;

pub(crate) fn put_uvarint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push((value as u8) | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

pub(crate) fn put_varint(to: &mut Vec<u8>, value: i64) {
    put_uvarint(to, zigzag(value));
}

pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Reads from the front of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8]> {
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

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8> {
        self.array::<1>(what).map(|[b]| b)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64> {
        self.array(what).map(u64::from_be_bytes)
    }

    pub(crate) fn uvarint(&mut self, what: &'static str) -> Result<u64> {
        let start = self.at;
        uvarint(|| self.u8(what)).map_err(|error| Malformed { what: error.what, at: start })
    }

    pub(crate) fn uvarint_u32(&mut self, what: &'static str) -> Result<u32> {
        let start = self.at;
        u32::try_from(self.uvarint(what)?).map_err(|_| Malformed { what, at: start })
    }

    /// A count of things that take at least `each` bytes: never more than are left.
    pub(crate) fn count(&mut self, each: usize, what: &'static str) -> Result<usize> {
        let start = self.at;
        let count = usize::try_from(self.uvarint(what)?).map_err(|_| Malformed { what, at: start })?;
        if count > self.remaining() / each { Err(Malformed { what, at: start }) } else { Ok(count) }
    }

    pub(crate) fn varint(&mut self, what: &'static str) -> Result<i64> {
        self.uvarint(what).map(unzigzag)
    }

    pub(crate) fn str(&mut self, what: &'static str) -> Result<&'a str> {
        let start = self.at;
        let len = self.count(1, what)?;
        std::str::from_utf8(self.take(len, what)?).map_err(|_| Malformed { what, at: start })
    }
}

/// A LEB128 number from bytes that come one by one.
pub(crate) fn uvarint(mut next: impl FnMut() -> Result<u8>) -> Result<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = next()?;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            break;
        }
        value |= part << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed { what: "a number of more than 64 bits", at: 0 })
}
