//! One log file: which it is, how far it was read, how far acknowledged. It reads blocks and lines of bytes; what they mean is not known here.

use std::path::Path;
use std::sync::Arc;

use base_world::{Disk, DiskError, File};

use super::mark::{MARK_MAX_BYTES, Mark};
use super::place::LogName;
use super::positions::Position;

pub(super) struct LogFile {
    /// Ours, never given twice in a process.
    pub(super) id: u64,
    pub(super) name: LogName,
    /// The same as written.
    pub(super) file_name: String,
    pub(super) identity: Option<u64>,
    pub(super) mark: Mark,
    /// What is read next. Below it everything was parsed, but for the line in `long`.
    pub(super) read: u64,
    /// A line longer than the buffer, of which the rest is awaited.
    pub(super) long: Option<Long>,
    /// Handed out up to here with some batch.
    pub(super) queued: u64,
    pub(super) acked: u64,
    /// Raised when the file begins anew: acknowledgements from before do not count.
    pub(super) turn: u32,
    /// Its length when its end was reached.
    pub(super) seen_len: u64,
    /// When it last was longer than before, on the monotonic clock.
    pub(super) grown_ns: u64,
    pub(super) handle: Option<Arc<dyn File>>,
    /// Looks in a row that did not find its name.
    pub(super) missing: u32,
    /// To be looked at although nothing says that it grew.
    pub(super) check: bool,
    /// A copy of the file with this number, which is still there and is read in its place.
    pub(super) mirror_of: Option<u64>,
    /// Of its last line that had one.
    pub(super) time_ns: Option<i64>,
    pub(super) failing_since_ns: Option<u64>,
}

/// The beginning of a line that does not fit the buffer.
pub(super) struct Long {
    pub(super) start: u64,
    pub(super) head: Vec<u8>,
}

/// What a look at the end of a file finds.
pub(super) enum Grown {
    Nothing,
    /// So many bytes were put into the buffer, from `read` on; fewer than the buffer has only at the end.
    Bytes(usize),
    /// It is not what was read before: it begins anew.
    Anew,
}

impl LogFile {
    pub(super) fn new(id: u64, name: LogName, file_name: &str, identity: Option<u64>, now_ns: u64) -> Self {
        LogFile {
            id,
            name,
            file_name: file_name.to_owned(),
            identity,
            mark: Mark::default(),
            read: 0,
            long: None,
            queued: 0,
            acked: 0,
            turn: 0,
            seen_len: 0,
            grown_ns: now_ns,
            handle: None,
            missing: 0,
            check: true,
            mirror_of: None,
            time_ns: None,
            failing_since_ns: None,
        }
    }

    /// Goes on where `mark` was seen last.
    pub(super) fn resume(&mut self, mark: Mark, read: u64, acked: u64) {
        (self.mark, self.read, self.acked, self.queued) = (mark, read, acked, acked);
        (self.long, self.seen_len, self.check) = (None, 0, true);
        self.turn += 1;
    }

    /// Where the line that is not complete begins.
    pub(super) fn line_start(&self) -> u64 {
        self.long.as_ref().map_or(self.read, |long| long.start)
    }

    /// Everything was read, the last line complete.
    pub(super) fn is_done(&self) -> bool {
        self.read == self.seen_len && self.long.is_none()
    }

    /// Opens it by its name; `false` when another file has the name by now, or none.
    pub(super) fn open(&mut self, disk: &dyn Disk, folder: &Path) -> Result<bool, DiskError> {
        let handle = match disk.open(&folder.join(&self.file_name)) {
            Ok(handle) => handle,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error),
        };
        let same = handle.identity()? == self.identity;
        if same {
            self.handle = Some(handle);
        }
        Ok(same)
    }

    /// Reads what came, if anything did.
    pub(super) fn fetch(&mut self, buffer: &mut [u8], now_ns: u64) -> Result<Grown, DiskError> {
        let Some(handle) = self.handle.clone() else { return Ok(Grown::Nothing) };
        let len = handle.len()?;
        if len < self.read {
            return Ok(Grown::Anew);
        }
        if len == self.seen_len && !self.check {
            return Ok(Grown::Nothing);
        }
        self.check = false;
        if len != self.seen_len {
            self.grown_ns = now_ns;
        }
        let got = handle.read_at(self.read, buffer)?;
        // After the read: what was read is of the file that was known, however fast it was cut and written again.
        if !self.still_the_same(handle.as_ref())? {
            return Ok(Grown::Anew);
        }
        if self.mark == Mark::default() && self.read == 0 {
            self.mark = Mark::of(&buffer[..got]);
        }
        if got < buffer.len() {
            self.seen_len = self.read + got as u64;
        }
        Ok(if got == 0 { Grown::Nothing } else { Grown::Bytes(got) })
    }

    /// Compares the first bytes with the mark, and lets it grow with what was read since.
    fn still_the_same(&mut self, handle: &dyn File) -> Result<bool, DiskError> {
        if self.read == 0 && !self.mark.is_some() {
            return Ok(true);
        }
        let mut head = [0; MARK_MAX_BYTES];
        let want = usize::try_from(self.read).unwrap_or(usize::MAX).min(MARK_MAX_BYTES).max(self.mark.len as usize);
        let got = handle.read_at(0, &mut head[..want])?;
        let same = self.mark.fits(&head[..got]) && got == want;
        if same && !self.mark.is_whole() {
            self.mark = Mark::of(&head[..got]);
        }
        Ok(same)
    }

    /// Everything that is there now counts as read and acknowledged.
    pub(super) fn skip(&mut self) -> Result<(), DiskError> {
        let Some(handle) = self.handle.clone() else { return Ok(()) };
        let len = handle.len()?;
        if len == self.acked && self.read == len && !self.check {
            return Ok(());
        }
        let mut head = [0; MARK_MAX_BYTES];
        let want = usize::try_from(len).unwrap_or(usize::MAX).min(MARK_MAX_BYTES);
        let got = handle.read_at(0, &mut head[..want])?;
        self.resume(Mark::of(&head[..got]), len, len);
        (self.seen_len, self.check) = (len, false);
        Ok(())
    }

    pub(super) fn position(&self, container: &str) -> Position {
        Position {
            container: container.to_owned(),
            file: self.file_name.clone(),
            identity: self.identity,
            mark: self.mark,
            offset: self.acked,
        }
    }
}
