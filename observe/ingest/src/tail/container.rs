//! One container: its files in the order in which they were written, their lines put together and handed on in that order. Which files are there is
//! found in `look.rs`.

use std::path::PathBuf;
use std::sync::Arc;

use base_world::Disk;

use super::batch::{Builder, Oddities, Whole, Writer};
use super::file::{Grown, LogFile, Long};
use super::join::Join;
use super::line::{self, Stream};
use super::look::{Past, Unsettled};
use super::place::LogName;
use super::pods::{Lookup, PodFacts};
use super::resource::Resource;
use super::{PodMetadata, PodRef, TailSettings, TailStats};

/// A file that cannot be read holds those after it back for so long.
const FAILING_MAX_NS: u64 = 30_000_000_000;
/// Of a line that does not fit the buffer, what may stand before its text.
const BEFORE_TEXT_BYTES: usize = 256;

pub(super) struct Container {
    pub(super) folder: PathBuf,
    /// Folder of the pod and of the container: names it in the file of positions.
    pub(super) key: Arc<str>,
    pub(super) pod: PodRef,
    pub(super) name: String,
    pub(super) files: Vec<LogFile>,
    pub(super) past: Vec<Past>,
    pub(super) unsettled: Vec<Unsettled>,
    pub(super) joins: [Option<Join>; 2],
    writer: Writer,
    since_ns: u64,
    facts: Option<Arc<PodFacts>>,
    /// `None`: lines still wait for metadata.
    resource: Option<Resource>,
    pub(super) opted_out: bool,
    /// Whether the last look found its folder.
    pub(super) found: bool,
    /// Its folder has to be looked at before anything more is read.
    pub(super) look_first: bool,
}

/// What reading needs.
pub(super) struct Reading<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) settings: &'a TailSettings,
    pub(super) now_ns: u64,
    /// Unix; for lines that say none.
    pub(super) wall_ns: i64,
    pub(super) buffer: &'a mut [u8],
    pub(super) builder: &'a mut Builder,
    pub(super) stats: &'a mut TailStats,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// All there was.
    End,
    /// There is more.
    More,
}

/// A file's part in a batch: below `offset` everything is in it or in one before.
pub(super) struct Advance {
    pub(super) container: Arc<str>,
    pub(super) file: u64,
    pub(super) turn: u32,
    pub(super) offset: u64,
}

impl Container {
    pub(super) fn new(folder: PathBuf, key: Arc<str>, pod: PodRef, name: &str, now_ns: u64) -> Self {
        Container {
            folder,
            key,
            pod,
            name: name.to_owned(),
            files: Vec::new(),
            past: Vec::new(),
            unsettled: Vec::new(),
            joins: [None, None],
            writer: Writer::default(),
            since_ns: now_ns,
            facts: None,
            resource: None,
            opted_out: false,
            found: true,
            look_first: false,
        }
    }

    /// Asks whose lines these are. A pod that is forgotten again keeps what was known.
    pub(super) fn ask(&mut self, pods: &dyn PodMetadata, settings: &TailSettings, now_ns: u64) {
        let facts = match pods.pod(&self.pod) {
            Lookup::Known(facts) => Some(facts),
            Lookup::NotYet
                if now_ns.saturating_sub(self.since_ns) < u64::from(settings.metadata_wait_ms) * 1_000_000 =>
            {
                return;
            }
            Lookup::NotYet | Lookup::Never => None,
        };
        let same = match (&self.facts, &facts) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new) || old == new,
            (Some(_), None) => true,
            (None, None) => self.resource.is_some(),
            (None, Some(_)) => false,
        };
        if same {
            return;
        }
        self.opted_out = facts.as_ref().is_some_and(|facts| facts.opted_out);
        self.resource = Some(Resource::of(&self.pod, &self.name, facts.as_deref(), settings));
        self.facts = facts;
        self.writer.forget();
    }

    /// The lines that are there now are nobody's to send; `true` when that moved a position.
    pub(super) fn skip(&mut self, reading: &mut Reading<'_>) -> bool {
        self.joins = [None, None];
        let mut moved = false;
        for file in &mut self.files {
            let (opened, before) = (file.handle.is_some(), file.acked);
            let skipped = if opened || file.check {
                file.open(reading.disk, &self.folder).and_then(|_| file.skip())
            } else {
                Ok(())
            };
            if let Err(error) = skipped {
                reading.stats.fail(error);
            }
            (file.handle, file.mirror_of) = (None, None);
            moved |= file.acked != before;
        }
        moved
    }

    /// Reads one file after another, the next only when the one before has no more.
    pub(super) fn read(&mut self, reading: &mut Reading<'_>) -> Turn {
        self.writer.new_batch();
        if self.resource.is_none() || self.opted_out || self.look_first {
            return Turn::End;
        }
        for at in 0..self.files.len() {
            let file = &self.files[at];
            if file.mirror_of.is_some() {
                continue;
            }
            if self.unsettled.iter().any(|unsettled| unsettled.name < file.name) {
                break;
            }
            match self.read_file(at, reading) {
                Ok(Some(Turn::More)) => return Turn::More,
                Ok(Some(Turn::End)) => self.files[at].failing_since_ns = None,
                Ok(None) => break,
                Err(error) => {
                    reading.stats.fail(error);
                    let since_ns = *self.files[at].failing_since_ns.get_or_insert(reading.now_ns);
                    if reading.now_ns.saturating_sub(since_ns) < FAILING_MAX_NS {
                        break;
                    }
                }
            }
            if self.look_first {
                break;
            }
        }
        self.let_go(reading);
        Turn::End
    }

    /// `None`: nothing after it may be read now.
    fn read_file(&mut self, at: usize, reading: &mut Reading<'_>) -> Result<Option<Turn>, base_world::DiskError> {
        let file = &mut self.files[at];
        if file.handle.is_none() {
            if !file.check || file.missing > 0 {
                return Ok(Some(Turn::End));
            }
            if !file.open(reading.disk, &self.folder)? {
                // Its name has moved on: the next look says where.
                self.look_first = true;
                return Ok(None);
            }
        }
        let got = match file.fetch(reading.buffer, reading.now_ns)? {
            Grown::Nothing => {
                self.finish(at, reading);
                return Ok(Some(Turn::End));
            }
            Grown::Anew => {
                reading.stats.truncated += 1;
                self.anew(at);
                return Ok(None);
            }
            Grown::Bytes(got) => got,
        };
        self.flush_other_runs(self.files[at].name.restart, reading);
        // Taken out so that lines borrow from it while the container changes.
        let buffer = std::mem::take(&mut reading.buffer);
        let parsed = self.lines(at, &buffer[..got], got == buffer.len(), reading);
        reading.buffer = buffer;
        Ok(Some(parsed))
    }

    /// Takes the complete lines out of what was read at the file's `read`.
    fn lines(&mut self, at: usize, bytes: &[u8], full: bool, reading: &mut Reading<'_>) -> Turn {
        let base = self.files[at].read;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let raw = &bytes[start..end];
            match self.files[at].long.take() {
                Some(long) => {
                    let whole = base + end as u64 - long.start;
                    let cut = whole.saturating_sub(long.head.len() as u64);
                    self.line(at, long.start, &long.head, cut, reading);
                }
                None => self.line(at, base + start as u64, raw, 0, reading),
            }
            start = end + 1;
            self.files[at].read = base + start as u64;
            if reading.builder.is_full() {
                reading.builder.raw_bytes += start as u64;
                // The end of the file may have been in the buffer, and nothing else would say that there is more.
                self.files[at].check = true;
                return Turn::More;
            }
        }
        let file = &mut self.files[at];
        let rest = &bytes[start..];
        if file.long.is_some() {
            file.read += rest.len() as u64;
            start = bytes.len();
        } else if full && start == 0 {
            let head = &rest[..rest.len().min(reading.settings.line_max_bytes + BEFORE_TEXT_BYTES)];
            file.long = Some(Long { start: base, head: head.to_vec() });
            file.read += rest.len() as u64;
            start = bytes.len();
        }
        reading.builder.raw_bytes += start as u64;
        if full { Turn::More } else { Turn::End }
    }

    /// One raw line that begins at `offset`; `cut_bytes` of its end are lost already.
    fn line(&mut self, at: usize, offset: u64, raw: &[u8], cut_bytes: u64, reading: &mut Reading<'_>) {
        let line = line::parse(raw);
        let file = &mut self.files[at];
        let (restart, max) = (file.name.restart, reading.settings.line_max_bytes);
        let Some((time_ns, stream)) = line.said else {
            let time_ns = file.time_ns.unwrap_or(reading.wall_ns);
            let odd = Oddities { malformed: true, ..Oddities::default() };
            let whole = Whole { time_ns, stream: None, restart, text: line.text.into_owned(), odd };
            reading.stats.lines_malformed += 1;
            return self.put(cut(whole, cut_bytes, max), reading);
        };
        file.time_ns = Some(time_ns);
        let slot = &mut self.joins[usize::from(stream == Stream::Stderr)];
        if line.partial || slot.is_some() {
            let join = slot.get_or_insert_with(|| Join::new(restart, stream, time_ns, reading.now_ns));
            join.push(file.id, offset, &line.text, cut_bytes, max);
            if !line.partial
                && let Some(join) = slot.take()
            {
                self.put(join.finish(false), reading);
            }
            return;
        }
        let odd = Oddities::default();
        let whole = Whole { time_ns, stream: Some(stream), restart, text: line.text.into_owned(), odd };
        self.put(cut(whole, cut_bytes, max), reading);
    }

    fn put(&mut self, whole: Whole, reading: &mut Reading<'_>) {
        reading.stats.lines_cut += u64::from(whole.odd.whole_bytes.is_some());
        if let Some(resource) = &self.resource {
            self.writer.push(whole, resource, reading.builder);
        }
    }

    /// A line that another run of the container began is not ended by this one.
    fn flush_other_runs(&mut self, restart: u32, reading: &mut Reading<'_>) {
        for slot in 0..self.joins.len() {
            if self.joins[slot].as_ref().is_some_and(|join| join.restart < restart)
                && let Some(join) = self.joins[slot].take()
            {
                self.put(join.finish(true), reading);
            }
        }
    }

    /// Sends what waited too long for its rest.
    pub(super) fn flush_old(&mut self, reading: &mut Reading<'_>) {
        let max_ns = u64::from(reading.settings.partial_wait_ms) * 1_000_000;
        for slot in 0..self.joins.len() {
            let old = |join: &Join| reading.now_ns.saturating_sub(join.since_ns) > max_ns;
            if self.joins[slot].as_ref().is_some_and(old)
                && let Some(join) = self.joins[slot].take()
            {
                self.put(join.finish(true), reading);
            }
        }
    }

    /// A file that nobody writes into any more may end without a newline: a writer was killed in the middle. What is there is a line too.
    fn finish(&mut self, at: usize, reading: &mut Reading<'_>) {
        let file = &self.files[at];
        let later = self.files[at + 1..].iter().any(|later| later.mirror_of.is_none());
        let quiet_ns = reading.now_ns.saturating_sub(file.grown_ns);
        let over = (later || file.missing > 1) && quiet_ns > u64::from(reading.settings.partial_wait_ms) * 1_000_000;
        if !over || (file.read == file.seen_len && file.long.is_none()) {
            return;
        }
        let Some(handle) = file.handle.clone() else { return };
        let (start, end) = (file.line_start(), file.seen_len);
        let raw = match self.files[at].long.take() {
            Some(long) => long.head,
            None => {
                let mut raw = vec![0; usize::try_from(end - start).unwrap_or(0)];
                match handle.read_at(start, &mut raw) {
                    Ok(got) => raw.truncate(got),
                    Err(error) => return reading.stats.fail(error),
                }
                raw
            }
        };
        let cut_bytes = (end - start).saturating_sub(raw.len() as u64);
        self.files[at].read = end;
        reading.builder.raw_bytes += end - start;
        self.line(at, start, &raw, cut_bytes, reading);
    }

    /// The file was cut: what comes now begins at its first byte. If it was copied before, the rest of the old bytes is in the copy.
    fn anew(&mut self, at: usize) {
        let file = &mut self.files[at];
        let past = Past { position: file.position(&self.key), read: file.line_start() };
        let id = file.id;
        file.resume(super::mark::Mark::default(), 0, 0);
        for join in self.joins.iter_mut().flatten() {
            join.forget(id);
        }
        self.hand_over(id, past);
        self.look_first = true;
    }

    /// What was read of a file that is no more goes to its copy, or is kept until one is found.
    pub(super) fn hand_over(&mut self, id: u64, mut past: Past) {
        past.position.identity = None;
        if let Some(copy) = self.files.iter_mut().find(|file| file.mirror_of == Some(id)) {
            copy.mirror_of = None;
            copy.resume(past.position.mark, past.read.min(copy.seen_len), past.position.offset.min(copy.seen_len));
        } else {
            self.remember(past);
        }
    }

    /// Which positions come with the batch that is being filled.
    pub(super) fn advances(&mut self, to: &mut Vec<Advance>) {
        for file in &mut self.files {
            let origins = self.joins.iter().flatten().filter_map(|join| join.origin(file.id));
            let offset = origins.min().unwrap_or(u64::MAX).min(file.line_start());
            if offset != file.queued && file.mirror_of.is_none() {
                file.queued = offset;
                to.push(Advance { container: self.key.clone(), file: file.id, turn: file.turn, offset });
            }
        }
    }

    /// Whether the batch being filled moved nothing for this file's lines yet: its lines wait for others.
    pub(super) fn is_waited_for(&self, file: &LogFile) -> bool {
        file.acked != file.read || self.joins.iter().flatten().any(|join| join.origin(file.id).is_some())
    }

    /// Of the name, in the order of writing.
    pub(super) fn is_before_current(&self, name: &LogName) -> bool {
        name.is_rotated() || self.files.iter().any(|file| file.name.restart > name.restart)
    }
}

/// What is over the limit is cut off.
fn cut(mut whole: Whole, cut_bytes: u64, max: usize) -> Whole {
    if cut_bytes > 0 || whole.text.len() > max {
        whole.odd.whole_bytes = Some(whole.text.len() as u64 + cut_bytes);
        whole.text.truncate(max);
    }
    whole
}
