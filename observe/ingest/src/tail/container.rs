//! One container: its files in the order in which they were written, their lines put together and handed on in that order. Which files are there is
//! found in `look.rs`.

use std::path::PathBuf;
use std::sync::Arc;

use base_world::Disk;

use super::batch::{Builder, Whole, Writer};
use super::file::{Grown, LogFile, Progress};
use super::join::Join;
use super::look::{Past, Unsettled};
use super::multiline::{MultilineRule, Rule};
use super::place::LogName;
use super::pods::{Lookup, PodFacts};
use super::positions::Point;
use super::record::Record;
use super::resource::Resource;
use super::{PodMetadata, PodRef, TailSettings, TailStats};

/// A file that cannot be read holds those after it back for so long.
const FAILING_MAX_NS: u64 = 30_000_000_000;

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
    pub(super) records: [Option<Record>; 2],
    pub(super) rule: Rule,
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
    /// Of a file that begins.
    pub(super) next_id: &'a mut u64,
}

impl Reading<'_> {
    pub(super) fn id(&mut self) -> u64 {
        *self.next_id += 1;
        *self.next_id
    }
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// All there was.
    End,
    /// There is more.
    More,
}

/// A file's part in a batch: everything up to `point` is in it or in one before.
pub(super) struct Advance {
    pub(super) container: Arc<str>,
    pub(super) progress: u64,
    pub(super) point: Point,
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
            records: [None, None],
            rule: Rule::Auto,
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
    pub(super) fn ask(&mut self, pods: &dyn PodMetadata, settings: &TailSettings, now_ns: u64, stats: &mut TailStats) {
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
        let asked = facts.as_ref().and_then(|facts| facts.multiline_of(&self.name));
        let own = |rule: &&MultilineRule| rule.is_for(&self.pod.namespace, &self.pod.name, &self.name);
        let configured = settings.multiline.iter().filter(own).map(|rule| rule.start.as_str());
        self.rule = Rule::chosen(asked, configured).unwrap_or_else(|why| {
            stats.fail(format!("pod {}/{}: {why}", self.pod.namespace, self.pod.name));
            Rule::Auto
        });
        self.resource = Some(Resource::of(&self.pod, &self.name, facts.as_deref(), settings));
        self.facts = facts;
        self.writer.forget();
    }

    /// The lines that are there now are nobody's to send; `true` when that moved a position.
    pub(super) fn skip(&mut self, reading: &mut Reading<'_>) -> bool {
        (self.joins, self.records) = ([None, None], [None, None]);
        let mut moved = false;
        for file in &mut self.files {
            let (opened, before) = (file.handle.is_some(), file.progress.acked);
            let skipped = if opened || file.check {
                file.open(reading.disk, &self.folder).and_then(|_| file.skip(reading.id()))
            } else {
                Ok(())
            };
            if let Err(error) = skipped {
                reading.stats.fail(error);
            }
            (file.handle, file.mirror_of) = (None, None);
            moved |= file.progress.acked != before;
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
            if let Some(original) = file.mirror_of {
                // What comes after the copy comes after its rest.
                match self.cut_original(original, reading) {
                    Ok(false) => continue,
                    Ok(true) => break,
                    Err(error) => {
                        reading.stats.fail(error);
                        break;
                    }
                }
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
        if self.look_first { Turn::More } else { Turn::End }
    }

    /// Whether the file with this progress was cut; then it begins anew.
    fn cut_original(&mut self, id: u64, reading: &mut Reading<'_>) -> Result<bool, base_world::DiskError> {
        let Some(at) = self.files.iter().position(|file| file.progress.id == id) else { return Ok(false) };
        let file = &mut self.files[at];
        if file.handle.is_none() && file.missing == 0 && !file.open(reading.disk, &self.folder)? {
            return Ok(false);
        }
        let cut = file.is_cut()?;
        if cut {
            reading.stats.truncated += 1;
            self.anew(at, reading.id());
        }
        Ok(cut)
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
                self.anew(at, reading.id());
                return Ok(None);
            }
            Grown::First => {
                self.look_first = true;
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

    pub(super) fn push(&mut self, whole: Whole, to: &mut Builder) {
        if let Some(resource) = &self.resource {
            self.writer.push(whole, resource, to);
        }
    }

    /// The file was cut: what comes now begins at its first byte. If it was copied before, the rest of the old bytes is in the copy.
    fn anew(&mut self, at: usize, id: u64) {
        let file = &mut self.files[at];
        let name = file.name.clone();
        let past = Past { name, identity: None, progress: file.resume(Progress::new(id)) };
        self.hand_over(past);
        self.look_first = true;
    }

    /// What was read of a file that is no more goes to its copy, or is kept until one is found.
    pub(super) fn hand_over(&mut self, mut past: Past) {
        if let Some(copy) = self.files.iter_mut().find(|file| file.mirror_of == Some(past.progress.id)) {
            past.progress.clamp(copy.seen_len);
            copy.resume(past.progress);
        } else {
            self.remember(past);
        }
    }

    /// Which positions come with the batch that is being filled.
    pub(super) fn advances(&mut self, to: &mut Vec<Advance>) {
        let [stdout, stderr] = &self.joins;
        let progresses = self.files.iter_mut().filter(|file| file.mirror_of.is_none()).map(|file| &mut file.progress);
        for progress in progresses.chain(self.past.iter_mut().map(|past| &mut past.progress)) {
            // A line that is begun comes after the record that it may go on with.
            let from = |slot: usize, join: &Option<Join>| {
                let record = self.records[slot].as_ref().and_then(|record| record.origin(progress.id));
                record.or_else(|| join.as_ref().and_then(|join| join.origin(progress.id)))
            };
            let (stdout, stderr) = (from(0, stdout), from(1, stderr));
            let point = Point { offset: progress.line_start(), stdout, stderr };
            if progress.replay.is_some_and(|replay| point.offset < replay.offset) {
                continue;
            }
            progress.replay = None;
            if point != progress.queued {
                progress.queued = point;
                to.push(Advance { container: self.key.clone(), progress: progress.id, point });
            }
        }
    }

    /// `true` when it was one of ours.
    pub(super) fn acknowledged(&mut self, id: u64, point: Point) -> bool {
        let files = self.files.iter_mut().map(|file| &mut file.progress);
        let mut all = files.chain(self.past.iter_mut().map(|past| &mut past.progress));
        let known = all.find(|progress| progress.id == id);
        known.map(|progress| progress.acked = point).is_some()
    }

    /// Some of the file's lines are not acknowledged, or not whole.
    pub(super) fn is_waited_for(&self, progress: &Progress) -> bool {
        progress.acked.offset != progress.line_start()
            || self.joins.iter().flatten().any(|join| join.origin(progress.id).is_some())
            || self.records.iter().flatten().any(|record| record.origin(progress.id).is_some())
    }

    /// Of the name, in the order of writing.
    pub(super) fn is_before_current(&self, name: &LogName) -> bool {
        name.is_rotated() || self.files.iter().any(|file| file.name.restart > name.restart)
    }
}
