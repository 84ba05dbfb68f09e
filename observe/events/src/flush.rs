//! From memory to segments, from small segments to larger ones, and out. The order is always the same: new files durable,
//! then the manifest, then the log is truncated and old files removed.
//!
//! The long part is a job that needs no store: `begin_…` under the caller's lock, `run` without it, `install` under it
//! again. `flush` and `compact` do the three in one go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base_signal::TenantId;
use observe_block::{Lsn, Manifest, SegmentMeta, plan};
use observe_source::SourceError;

use crate::head::Head;
use crate::job::{FlushJob, MergeJob, Opened, Out, Written};
use crate::store::{EventStore, encode_extra, source_error};

type Result<T> = std::result::Result<T, SourceError>;

/// What a flush is writing: still answered from, no longer appended to.
pub(crate) struct Frozen {
    pub(crate) heads: BTreeMap<TenantId, Arc<Head>>,
    covers: Lsn,
    /// The number of the first line that is not in it.
    next_arrival: u64,
}

impl EventStore {
    /// Writes all that is in memory to segments and truncates the log. `Shed` when the disk is full: nothing is lost.
    pub fn flush(&mut self) -> Result<()> {
        // Twice if an earlier flush was begun and has not come to its end.
        while let Some(job) = self.begin_flush()? {
            let written = job.run()?;
            self.install(written)?;
        }
        Ok(())
    }

    /// Whether memory or log are near their share, so that a flush should begin before an append must wait for one.
    pub fn flush_due(&self) -> bool {
        let near = |used: u64, max: u64| used > max / 4 * 3;
        near(self.head_bytes(), self.settings.head_bytes_max())
            || near(self.wal.size_bytes(), self.settings.wal_bytes_max)
    }

    /// Sets aside what is in memory, as the work of a job; `None` when there is nothing to write. One that was begun and
    /// not installed is given again.
    pub fn begin_flush(&mut self) -> Result<Option<FlushJob>> {
        self.check()?;
        if self.frozen.is_none() {
            let covers = self.wal.last_lsn();
            if self.heads.is_empty() {
                if self.manifest.wal_covered != covers {
                    let extra = encode_extra(self.next_arrival);
                    self.commit(Manifest { wal_covered: covers, extra, ..self.manifest.clone() }, Vec::new())?;
                    self.wal.truncate_through(covers).map_err(|error| self.fail(error))?;
                }
                return Ok(None);
            }
            let heads = std::mem::take(&mut self.heads).into_iter().map(|(tenant, head)| (tenant, Arc::new(head)));
            self.frozen = Some(Frozen { heads: heads.collect(), covers, next_arrival: self.next_arrival });
        }
        Ok(self.frozen.as_ref().map(|frozen| FlushJob {
            heads: frozen.heads.clone(),
            covers: frozen.covers,
            window_ns: self.settings.window_ns(),
            oldest_ns: self.oldest_ns(),
            out: self.out(),
        }))
    }

    /// Puts a job's segments in force. Work that is no longer wanted (its flush was done by another, a segment it replaces
    /// is gone) is thrown away.
    pub fn install(&mut self, written: Written) -> Result<()> {
        self.check()?;
        let wanted = match written.covers {
            Some(covers) => self.frozen.as_ref().is_some_and(|frozen| frozen.covers == covers),
            None => written.replaces.iter().all(|id| self.logs.contains_key(id) || self.spans.contains_key(id)),
        };
        if !wanted {
            written.out.discard();
            return Ok(());
        }
        let mut next = self.manifest.clone();
        next.segments.retain(|meta| !written.replaces.contains(&meta.id));
        next.segments.extend(written.out.fresh.iter().map(|(meta, _)| meta.clone()));
        if let (Some(covers), Some(frozen)) = (written.covers, &self.frozen) {
            next.wal_covered = covers;
            next.extra = encode_extra(frozen.next_arrival);
        }
        let fresh = written.out.fresh.iter().map(|(_, opened)| opened.clone()).collect();
        self.commit(next, fresh).inspect_err(|error| {
            if matches!(error, SourceError::Shed { .. }) {
                written.out.discard();
            }
        })?;
        if let Some(covers) = written.covers {
            self.frozen = None;
            self.wal.truncate_through(covers).map_err(|error| self.fail(error))?;
        }
        Ok(())
    }

    /// Merges small segments. Returns how many merges were done; 0 when there is nothing left to do.
    pub fn compact(&mut self) -> Result<usize> {
        let mut done = 0;
        for group in self.planned_merges()? {
            match self.merge_job(&group).run() {
                Ok(written) => {
                    self.install(written)?;
                    done += 1;
                }
                // A damaged one stood in the way: it is noted, and left alone from now on.
                Err(SourceError::Storage { .. }) if group.iter().any(|id| self.is_damaged(*id)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// The next merge as a job; `None` when there is nothing to merge.
    pub fn begin_merge(&mut self) -> Result<Option<MergeJob>> {
        Ok(self.planned_merges()?.first().map(|group| self.merge_job(group)))
    }

    /// Drops segments that are wholly expired, by age or by size. Returns how many.
    pub fn enforce_retention(&mut self) -> Result<usize> {
        self.check()?;
        let timetable = self.settings.timetable(self.wal.disk_bytes());
        let work = plan(&self.manifest.segments, self.world.clock.now_ns(), &timetable);
        if !work.drop.is_empty() {
            let mut next = self.manifest.clone();
            next.segments.retain(|meta| !work.drop.contains(&meta.id));
            self.commit(next, Vec::new())?;
        }
        Ok(work.drop.len())
    }

    fn planned_merges(&self) -> Result<Vec<Vec<u64>>> {
        self.check()?;
        let timetable = self.settings.timetable(self.wal.disk_bytes());
        let whole = self.manifest.segments.iter().filter(|meta| !self.is_damaged(meta.id));
        let whole: Vec<SegmentMeta> = whole.cloned().collect();
        Ok(plan(&whole, self.world.clock.now_ns(), &timetable).merge)
    }

    fn merge_job(&self, ids: &[u64]) -> MergeJob {
        MergeJob {
            logs: ids.iter().filter_map(|id| self.logs.get(id).cloned()).collect(),
            spans: ids.iter().filter_map(|id| self.spans.get(id).cloned()).collect(),
            oldest_ns: self.oldest_ns(),
            out: self.out(),
        }
    }

    fn out(&self) -> Out {
        Out {
            world: self.world.clone(),
            folder: self.folder.clone(),
            ids: Arc::clone(&self.ids),
            block_bytes: self.settings.block_bytes,
            fresh: Vec::new(),
        }
    }

    /// Puts the manifest in force, takes up the fresh segments and removes the files that are no longer named.
    fn commit(&mut self, mut next: Manifest, fresh: Vec<Opened>) -> Result<()> {
        next.next_segment_id = self.ids.load(Ordering::SeqCst);
        if let Err(error) = next.commit(&*self.world.disk, &self.folder) {
            return Err(if error.is_full() { source_error(error) } else { self.fail(error) });
        }
        self.manifest = next;
        for opened in fresh {
            match opened {
                Opened::Logs(segment) => drop(self.logs.insert(segment.id, segment)),
                Opened::Spans(segment) => drop(self.spans.insert(segment.id, segment)),
            }
        }
        let live: BTreeSet<u64> = self.manifest.segments.iter().map(|meta| meta.id).collect();
        let old_logs = self.logs.iter().filter(|(id, _)| !live.contains(id)).map(|(id, s)| (*id, s.reader.path()));
        let old_spans = self.spans.iter().filter(|(id, _)| !live.contains(id)).map(|(id, s)| (*id, s.reader.path()));
        let old: Vec<_> = old_logs.chain(old_spans).map(|(id, path)| (id, path.to_path_buf())).collect();
        for (id, path) in &old {
            self.logs.remove(id);
            self.spans.remove(id);
            self.world.disk.remove(path).map_err(|e| self.fail(e.into()))?;
        }
        if old.is_empty() {
            return Ok(());
        }
        self.world.disk.sync_folder(&self.folder).map_err(|e| self.fail(e.into()))
    }
}
