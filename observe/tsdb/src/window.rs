//! A file that is read mostly from front to end, through a window; every read names what it looked for.

use std::path::Path;
use std::sync::Arc;

use base_world::{Disk, File};

use crate::error::{Result, TsdbError};

const WINDOW_BYTES: u64 = 256 << 10;
/// Nothing that is read at once is larger: what asks has looked at its length before.
const READ_BYTES_MAX: u64 = 1 << 30;

pub(crate) struct Window {
    file: Arc<dyn File>,
    len: u64,
    /// Where the window lies.
    at: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> Result<Self> {
        let file = disk.open(path)?;
        let len = file.len()?;
        Ok(Window { file, len, at: 0, bytes: Vec::new() })
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn corrupt(&self, part: impl Into<String>, why: impl Into<String>) -> TsdbError {
        TsdbError::corrupt(self.path(), part, why)
    }

    /// The same as bytes of one's own; much is not read through the window, which would stay as large.
    pub(crate) fn take(&mut self, at: u64, len: u64, part: &str) -> Result<Vec<u8>> {
        if len <= WINDOW_BYTES || at.checked_add(len).is_none_or(|end| end > self.len) || len > READ_BYTES_MAX {
            return self.read(at, len, part).map(<[u8]>::to_vec);
        }
        let mut bytes = vec![0; len as usize];
        self.file.read_exact_at(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Exactly so many bytes; `part` says of what, should the file end before.
    pub(crate) fn read(&mut self, at: u64, len: u64, part: &str) -> Result<&[u8]> {
        let end = at.checked_add(len).filter(|end| *end <= self.len && len <= READ_BYTES_MAX);
        let Some(end) = end else {
            let why = format!("it should have {len} bytes at {at}, and the file ends at {}", self.len);
            return Err(self.corrupt(part, why));
        };
        if at < self.at || end > self.at + self.bytes.len() as u64 {
            let wanted = len.max(WINDOW_BYTES).min(self.len - at);
            self.bytes.resize(wanted as usize, 0);
            self.at = at;
            if let Err(error) = self.file.read_exact_at(at, &mut self.bytes) {
                self.bytes.clear();
                return Err(error.into());
            }
        }
        let from = (at - self.at) as usize;
        Ok(self.bytes.get(from..from + len as usize).unwrap_or_default())
    }

    /// A number, and how many bytes it takes.
    pub(crate) fn uvarint(&mut self, at: u64, part: &str) -> Result<(u64, u64)> {
        let most = 10.min(self.len.saturating_sub(at));
        let mut bytes = crate::bytes::Reader::new(self.read(at, most, part)?);
        match bytes.uvarint("a length") {
            Ok(value) => Ok((value, bytes.position() as u64)),
            Err(error) => {
                let why = error.to_string();
                Err(self.corrupt(part, why))
            }
        }
    }
}
