//! A fingerprint of a file's first bytes: whether it still is the file that was read, whatever its name and its inode say.

use serde::{Deserialize, Serialize};

/// Beyond this no more is looked at: a runtime's first line has its time well before, Docker's mostly.
pub(super) const MARK_MAX_BYTES: usize = 1024;

/// FNV-1a, 64 bit (Fowler, Noll, Vo), of the first `len` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    #[serde(rename = "mark_bytes")]
    pub(super) len: u32,
    #[serde(rename = "mark")]
    hash: u64,
}

impl Default for Mark {
    /// Of nothing: every file begins so.
    fn default() -> Self {
        Mark::of(&[])
    }
}

impl Mark {
    /// Of all of `bytes`, up to the limit.
    pub(super) fn of(bytes: &[u8]) -> Mark {
        let bytes = &bytes[..bytes.len().min(MARK_MAX_BYTES)];
        let hash =
            bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
        Mark { len: u32::try_from(bytes.len()).unwrap_or(0), hash }
    }

    /// Whether a file that begins with `head` can be this one.
    pub(super) fn fits(&self, head: &[u8]) -> bool {
        head.get(..self.len as usize).is_some_and(|head| Mark::of(head) == *self)
    }

    /// It says something: a mark of nothing fits any file.
    pub(super) fn is_some(&self) -> bool {
        self.len > 0
    }

    /// It does not grow any more.
    pub(super) fn is_whole(&self) -> bool {
        self.len as usize >= MARK_MAX_BYTES
    }
}
