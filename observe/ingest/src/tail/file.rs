//! One log file: which it is, how far it was read, how far acknowledged. It reads blocks and lines of bytes; what they mean is not known here.

use std::path::Path;
use std::sync::Arc;

use base_world::{Disk, DiskError, File};

use super::mark::{MARK_MAX_BYTES, Mark};
use super::place::LogName;
use super::positions::{Point, Position};

/// A file under the name it has now.
pub(super) struct LogFile {
    pub(super) name: LogName,
    /// The same as written.
    pub(super) file_name: String,
    pub(super) identity: Option<u64>,
    pub(super) progress: Progress,
    /// Its length when its end was reached.
    pub(super) seen_len: u64,
    /// When it last was longer than before, on the monotonic clock.
    pub(super) grown_ns: u64,
    pub(super) handle: Option<Arc<dyn File>>,
    /// Looks in a row that did not find its name.
    pub(super) missing: u32,
    /// To be looked at although nothing says that it grew.
    pub(super) check: bool,
    /// A copy of the file whose progress has this number, which is still there and is read in its place.
    pub(super) mirror_of: Option<u64>,
    pub(super) failing_since_ns: Option<u64>,
}

/// How far the bytes of a file were read. When a file is copied and cut, it goes to the copy, which has the same bytes at the same offsets.
pub(super) struct Progress {
    /// Never given twice in a process: acknowledgements go by it.
    pub(super) id: u64,
    pub(super) mark: Mark,
    /// What is read next. Below it everything was parsed, but for the line in `long`.
    pub(super) read: u64,
    /// A line longer than the buffer, of which the rest is awaited.
    pub(super) long: Option<Long>,
    /// Lines below were handed out by an earlier process, but for the parts that wait for their rest.
    pub(super) replay: Option<Point>,
    /// Handed out up to here with some batch.
    pub(super) queued: Point,
    pub(super) acked: Point,
    /// Of its last line that had one.
    pub(super) time_ns: Option<i64>,
}

impl Progress {
    /// Nothing was read.
    pub(super) fn new(id: u64) -> Self {
        Progress::at(id, Mark::default(), Point::default())
    }

    /// Goes on after what was acknowledged.
    pub(super) fn at(id: u64, mark: Mark, acked: Point) -> Self {
        let read = acked.first();
        let replay = (read < acked.offset).then_some(acked);
        Progress { id, mark, read, long: None, replay, queued: acked, acked, time_ns: None }
    }

    /// Where the line that is not complete begins.
    pub(super) fn line_start(&self) -> u64 {
        self.long.as_ref().map_or(self.read, |long| long.start)
    }

    /// A file that has no more than this, and will not get it: the rest of what was read is elsewhere.
    pub(super) fn clamp(&mut self, len: u64) {
        self.read = self.read.min(len);
        self.long = self.long.take().filter(|long| long.start < len);
    }
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
    /// Its first bytes came. Before they are read its folder is to be looked at: what came before them may have been copied and cut meanwhile.
    First,
    /// It is not what was read before: it begins anew.
    Anew,
}

impl LogFile {
    pub(super) fn new(id: u64, name: LogName, file_name: &str, identity: Option<u64>, now_ns: u64) -> Self {
        LogFile {
            name,
            file_name: file_name.to_owned(),
            identity,
            progress: Progress::new(id),
            seen_len: 0,
            grown_ns: now_ns,
            handle: None,
            missing: 0,
            check: true,
            mirror_of: None,
            failing_since_ns: None,
        }
    }

    /// Goes on with another progress; gives back the one that it had.
    pub(super) fn resume(&mut self, progress: Progress) -> Progress {
        (self.seen_len, self.check, self.mirror_of) = (0, true, None);
        std::mem::replace(&mut self.progress, progress)
    }

    /// Everything was read, the last line complete.
    pub(super) fn is_done(&self) -> bool {
        self.progress.read == self.seen_len && self.progress.long.is_none()
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
        if len < self.progress.read {
            return Ok(Grown::Anew);
        }
        if len == self.seen_len && !self.check {
            return Ok(Grown::Nothing);
        }
        self.check = false;
        if len != self.seen_len {
            self.grown_ns = now_ns;
        }
        if self.progress.read == 0 && !self.progress.mark.is_some() {
            let mut head = [0; MARK_MAX_BYTES];
            let got = handle.read_at(0, &mut head)?;
            self.progress.mark = Mark::of(&head[..got]);
            self.check = got > 0;
            return Ok(if got == 0 { Grown::Nothing } else { Grown::First });
        }
        let got = handle.read_at(self.progress.read, buffer)?;
        // After the read: what was read is of the file that was known, however fast it was cut and written again.
        if !self.still_the_same(handle.as_ref())? {
            return Ok(Grown::Anew);
        }
        if self.progress.read == 0 {
            self.progress.mark = Mark::of(&buffer[..got]);
        }
        if got < buffer.len() {
            self.seen_len = self.progress.read + got as u64;
        }
        Ok(if got == 0 { Grown::Nothing } else { Grown::Bytes(got) })
    }

    /// Whether it has been cut since it was read.
    pub(super) fn is_cut(&mut self) -> Result<bool, DiskError> {
        let Some(handle) = self.handle.clone() else { return Ok(false) };
        Ok(handle.len()? < self.progress.read || !self.still_the_same(handle.as_ref())?)
    }

    /// Compares the first bytes with the mark, and lets it grow with what came since.
    fn still_the_same(&mut self, handle: &dyn File) -> Result<bool, DiskError> {
        let mut head = [0; MARK_MAX_BYTES];
        let want = usize::try_from(self.progress.read).unwrap_or(usize::MAX).min(MARK_MAX_BYTES);
        let want = want.max(self.progress.mark.len as usize);
        let limit = if self.progress.mark.is_whole() { want } else { MARK_MAX_BYTES };
        let got = handle.read_at(0, &mut head[..limit])?;
        let same = got >= want && self.progress.mark.fits(&head[..got]);
        if same {
            self.progress.mark = Mark::of(&head[..got]);
        }
        Ok(same)
    }

    /// Everything that is there now counts as read and acknowledged.
    pub(super) fn skip(&mut self, id: u64) -> Result<(), DiskError> {
        let Some(handle) = self.handle.clone() else { return Ok(()) };
        let len = handle.len()?;
        if len == self.progress.acked.offset && self.progress.read == len && !self.check {
            return Ok(());
        }
        let mut head = [0; MARK_MAX_BYTES];
        let want = usize::try_from(len).unwrap_or(usize::MAX).min(MARK_MAX_BYTES);
        let got = handle.read_at(0, &mut head[..want])?;
        let end = Point { offset: len, ..Point::default() };
        self.resume(Progress::at(id, Mark::of(&head[..got]), end));
        (self.seen_len, self.check) = (len, false);
        Ok(())
    }

    pub(super) fn position(&self, container: &str) -> Position {
        Position {
            container: container.to_owned(),
            file: self.file_name.clone(),
            identity: self.identity,
            mark: self.progress.mark,
            acked: self.progress.acked,
        }
    }
}
