//! A file that is written from front to end, with room for a length that is known later.

use std::path::Path;
use std::sync::Arc;

use base_world::{Disk, File};

use crate::error::Result;

const BUFFER_BYTES: usize = 1 << 20;

/// A new file; nothing of it is durable before [`Output::finish`].
pub(crate) struct Output {
    file: Arc<dyn File>,
    /// Not written yet.
    buffer: Vec<u8>,
    written: u64,
    /// Of the section that is open.
    sum: u32,
}

impl Output {
    pub(crate) fn create(disk: &dyn Disk, path: &Path) -> Result<Self> {
        Ok(Output { file: disk.create(path)?, buffer: Vec::with_capacity(BUFFER_BYTES), written: 0, sum: 0 })
    }

    /// Where the next byte comes.
    pub(crate) fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.sum = crc32c::crc32c_append(self.sum, bytes);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Zeros up to a multiple of `unit`.
    pub(crate) fn pad(&mut self, unit: u64) -> Result<()> {
        let missing = self.position().next_multiple_of(unit) - self.position();
        self.put(&vec![0; missing as usize])
    }

    /// Begins to count a checksum.
    pub(crate) fn begin(&mut self) {
        self.sum = 0;
    }

    /// Writes the checksum of what came since `begin`.
    pub(crate) fn put_sum(&mut self) -> Result<()> {
        let sum = self.sum.to_be_bytes();
        self.put(&sum)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.write_at(self.written, &self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes all of it durable; how many bytes there are.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.flush()?;
        self.file.sync()?;
        Ok(self.written)
    }
}
