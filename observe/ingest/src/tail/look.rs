//! Which files a container has: known ones under whatever name, new ones, copies, and those that are gone. It reads no line.

use base_world::{DiskError, Entry};

use super::container::{Container, Reading};
use super::file::{LogFile, Progress};
use super::mark::{MARK_MAX_BYTES, Mark};
use super::place::LogName;
use super::positions::Position;

/// A mark of less is too little to call one file the copy of another.
const COPY_MARK_BYTES: u32 = 32;
/// Of one container; more files than these were not cut or lost within one life of the folder.
const PAST_MAX: usize = 64;
/// Looks in a row without its name after which a file is gone. One may just have come between the two steps of a rename.
const MISSING_MAX: u32 = 2;
/// A file of which nothing more is expected is closed after so long.
const QUIET_NS: u64 = 10_000_000_000;

/// How far a file was read that is not there (yet): from the file of positions, or cut while we looked.
pub(super) struct Past {
    pub(super) name: LogName,
    /// `None`: the file that has it now is another one.
    pub(super) identity: Option<u64>,
    pub(super) progress: Progress,
}

/// A file that came with a rotated name: it may be a copy in the making.
pub(super) struct Unsettled {
    pub(super) name: LogName,
    identity: Option<u64>,
    len: u64,
    since_ns: u64,
    listed: bool,
    /// It was there at the very first look, and what was there then is not wanted.
    at_end: bool,
}

/// Whether new files begin at their end, and how many there may be.
pub(super) struct Admission {
    pub(super) at_end: bool,
    pub(super) room: usize,
}

impl Container {
    /// Compares what is known with what the folder has now.
    pub(super) fn look(&mut self, entries: &[Entry], admission: &mut Admission, reading: &mut Reading<'_>) {
        self.look_first = false;
        let (mut new, mut seen, mut complete) = (Vec::new(), Vec::new(), true);
        for entry in entries.iter().filter(|entry| !entry.is_folder) {
            let Some(name) = LogName::of_file(&entry.name) else { continue };
            let identity = match reading.disk.identity(&self.folder.join(&entry.name)) {
                Ok(identity) => identity,
                Err(error) => {
                    if !error.is_not_found() {
                        complete = false;
                        reading.stats.fail(error);
                    }
                    continue;
                }
            };
            let known = self.files.iter_mut().find(|file| match (file.identity, identity) {
                (Some(old), Some(now)) => old == now,
                _ => file.file_name == entry.name,
            });
            match known {
                Some(file) if seen.contains(&file.progress.id) => {}
                Some(file) => {
                    seen.push(file.progress.id);
                    file.missing = 0;
                    if file.name != name {
                        (file.name, file.file_name) = (name, entry.name.clone());
                        file.check = true;
                    }
                    file.check |= file.handle.is_some() || entry.len != file.seen_len;
                    if file.mirror_of.is_some() {
                        file.seen_len = entry.len;
                    }
                }
                None => new.push((name, entry, identity)),
            }
        }
        if complete {
            let gone = self.files.iter_mut().filter(|file| !seen.contains(&file.progress.id));
            gone.for_each(|file| file.missing = file.missing.saturating_add(1));
        }
        // The file that is written into first: whether another is its copy can then be told.
        new.sort_by(|a, b| (a.0.is_rotated(), &a.0).cmp(&(b.0.is_rotated(), &b.0)));
        self.unsettled.iter_mut().for_each(|unsettled| unsettled.listed = false);
        for (name, entry, identity) in new {
            if let Err(error) = self.admit(name, entry, identity, admission, reading) {
                reading.stats.fail(error);
            }
        }
        self.unsettled.retain(|unsettled| unsettled.listed);
        // Those that are gone are older than those that are there, whatever they were called.
        self.files
            .sort_by(|a, b| (a.name.restart, a.missing == 0, &a.name).cmp(&(b.name.restart, b.missing == 0, &b.name)));
    }

    fn admit(
        &mut self,
        name: LogName,
        entry: &Entry,
        identity: Option<u64>,
        admission: &mut Admission,
        reading: &mut Reading<'_>,
    ) -> Result<(), DiskError> {
        if admission.room == 0 {
            reading.stats.files_missed += 1;
            return Ok(());
        }
        let mut file = LogFile::new(reading.id(), name, &entry.name, identity, reading.now_ns);
        if !file.open(reading.disk, &self.folder)? {
            return Ok(());
        }
        let Some(handle) = file.handle.clone() else { return Ok(()) };
        let len = handle.len()?;
        let mut head = [0; MARK_MAX_BYTES];
        let got = handle.read_at(0, &mut head)?;
        let head = &head[..got];
        file.progress.mark = Mark::of(head);
        let same = |past: &Past| past.identity.is_some() && past.identity == identity;
        if let Some(at) = self.past.iter().position(|past| same(past) && past.progress.mark.fits(head)) {
            let mut past = self.past.remove(at);
            // A file that is written into has been cut; of one that is put aside all there is was read.
            if past.progress.acked.offset <= len || file.name.is_rotated() {
                past.progress.clamp(len);
                file.resume(past.progress);
            }
        } else if file.name.is_rotated() {
            let Some(at_end) = self.settled(&file.name, identity, len, admission.at_end, reading) else {
                return Ok(());
            };
            let restart = file.name.restart;
            let copied = |mark: &Mark| mark.len >= COPY_MARK_BYTES && mark.fits(head);
            let original =
                self.files.iter().find(|other| other.name.restart == restart && copied(&other.progress.mark));
            if let Some(original) = original {
                (file.mirror_of, file.seen_len) = (Some(original.progress.id), len);
                file.handle = None;
            } else if let Some(at) =
                self.past.iter().position(|past| past.name.restart == restart && copied(&past.progress.mark))
            {
                let mut past = self.past.remove(at);
                past.progress.clamp(len);
                file.resume(past.progress);
            } else if at_end {
                file.skip(reading.id())?;
            }
        } else if admission.at_end {
            file.skip(reading.id())?;
        }
        admission.room -= 1;
        self.files.push(file);
        Ok(())
    }

    /// `None` until the file has kept its size for long enough; then whether only its end is wanted.
    fn settled(
        &mut self,
        name: &LogName,
        identity: Option<u64>,
        len: u64,
        at_end: bool,
        reading: &Reading<'_>,
    ) -> Option<bool> {
        let same = |unsettled: &&mut Unsettled| unsettled.identity == identity && unsettled.name == *name;
        let Some(known) = self.unsettled.iter_mut().find(same) else {
            let (name, since_ns) = (name.clone(), reading.now_ns);
            self.unsettled.push(Unsettled { name, identity, len, since_ns, listed: true, at_end });
            return None;
        };
        if known.len != len {
            (known.len, known.since_ns) = (len, reading.now_ns);
        }
        let settled =
            reading.now_ns.saturating_sub(known.since_ns) >= u64::from(reading.settings.settle_ms) * 1_000_000;
        known.listed = !settled;
        settled.then_some(known.at_end)
    }

    pub(super) fn remember(&mut self, past: Past) {
        if past.progress.mark.is_some() {
            self.past.push(past);
        }
        if self.past.len() > PAST_MAX {
            self.past.remove(0);
        }
    }

    /// Closes files of which nothing more is expected, and forgets those that are gone and done with.
    pub(super) fn let_go(&mut self, reading: &mut Reading<'_>) {
        for at in 0..self.files.len() {
            let file = &self.files[at];
            let quiet = reading.now_ns.saturating_sub(file.grown_ns) > QUIET_NS;
            if quiet && file.is_done() && file.missing == 0 && self.is_before_current(&file.name) {
                self.files[at].handle = None;
            }
        }
        let over = |container: &Container, file: &LogFile| {
            let unread = file.handle.is_some() && (!file.is_done() || container.is_waited_for(&file.progress));
            file.missing >= MISSING_MAX && (file.mirror_of.is_some() || !unread)
        };
        while let Some(at) = self.files.iter().position(|file| over(self, file)) {
            let file = self.files.remove(at);
            reading.stats.files_missed +=
                u64::from(file.handle.is_none() && !file.is_done() && file.mirror_of.is_none());
            if file.mirror_of.is_none() && self.files.iter().any(|copy| copy.mirror_of == Some(file.progress.id)) {
                self.hand_over(Past { name: file.name, identity: None, progress: file.progress });
            }
        }
    }
}

impl Past {
    pub(super) fn position(&self, container: &str) -> Position {
        Position {
            container: container.to_owned(),
            file: self.name.to_string(),
            identity: self.identity,
            mark: self.progress.mark,
            acked: self.progress.acked,
        }
    }
}
