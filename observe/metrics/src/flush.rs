//! From memory to segments, from small segments to larger ones, and out. The order is always the same: new files durable,
//! then the manifest, then the log is truncated and old files removed.
//!
//! The long part is a job that needs no store: `begin_…` under the caller's lock, `run` without it, `install` under it
//! again. `flush` and `compact` do the three in one go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base_signal::{Matcher, RangeMs, TenantId};
use observe_block::{BlockError, Damage, Lsn, Manifest, SegmentMeta, plan, quarantine};
use observe_source::SourceError;

use crate::head::Head;
use crate::job::{FlushJob, MergeJob, Out, Written};
use crate::segment::Segment;
use crate::store::{MetricStore, source_error};
use crate::tombstone::{self, Tombstone};

/// What a series of an input takes while a merge reads it: its row, and its labels as numbers of symbols.
const INPUT_BYTES_PER_SERIES: u64 = 200;

type Result<T> = std::result::Result<T, SourceError>;

/// What a flush is writing: still answered from, no longer appended to.
pub(crate) struct Frozen {
    pub(crate) heads: BTreeMap<TenantId, Arc<Head>>,
    covers: Lsn,
}

impl MetricStore {
    /// Writes all that is in memory to segments and truncates the log. `Shed` when the disk is full: nothing is lost.
    pub fn flush(&mut self) -> Result<()> {
        // Twice if an earlier flush was begun and has not come to its end.
        while let Some(job) = self.begin_flush()? {
            let written = job.run()?;
            self.install(written)?;
        }
        Ok(())
    }

    /// Whether memory or log have half of their share, so that a flush is done before an append must wait for one.
    pub fn flush_due(&self) -> bool {
        let near = |used: u64, max: u64| used > max / 2;
        near(self.head_bytes(), self.settings.head_bytes_max())
            || near(self.wal.size_bytes(), self.settings.wal_bytes_max)
    }

    /// Sets aside what is in memory, as the work of a job; `None` when there is nothing to write. One that was begun and
    /// not installed is given again.
    pub fn begin_flush(&mut self) -> Result<Option<FlushJob>> {
        self.check()?;
        if self.frozen.is_none() {
            let covers = self.wal.last_lsn();
            if !self.heads.values().any(Head::has_news) {
                if self.manifest.wal_covered != covers {
                    self.commit(Manifest { wal_covered: covers, ..self.manifest.clone() }, Vec::new())?;
                    self.wal.truncate_through(covers).map_err(|error| self.fail(error))?;
                }
                return Ok(None);
            }
            let heads = self.heads.iter_mut().map(|(tenant, head)| (tenant.clone(), Arc::new(head.freeze())));
            self.frozen = Some(Frozen { heads: heads.collect(), covers });
        }
        Ok(self.frozen.as_ref().map(|frozen| FlushJob {
            heads: frozen.heads.clone(),
            covers: frozen.covers,
            window_ms: self.settings.window_ms,
            oldest_ms: self.oldest_ms(),
            out: self.out(),
        }))
    }

    /// Puts a job's segments in force. Work that is no longer wanted (its flush was done by another, a segment it replaces
    /// is gone, something was deleted meanwhile) is thrown away.
    pub fn install(&mut self, written: Written) -> Result<()> {
        self.check()?;
        let due = self.frozen.as_ref().map(|frozen| frozen.covers);
        let wanted = match written.covers {
            Some(covers) => due == Some(covers),
            None => written.replaces.iter().all(|id| self.segments.contains_key(id)),
        };
        let wanted = wanted && written.tombstones.as_ref().is_none_or(|applied| *applied == self.tombstones);
        if !wanted {
            written.out.discard();
            return Ok(());
        }
        let mut next = self.manifest.clone();
        next.segments.retain(|meta| !written.replaces.contains(&meta.id));
        next.wal_covered = written.covers.unwrap_or(next.wal_covered);
        let fresh = written.out.fresh.iter().map(|(_, segment)| Arc::clone(segment)).collect();
        next.segments.extend(written.out.fresh.iter().map(|(meta, _)| meta.clone()));
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
        for group in self.planned()?.merge {
            done += usize::from(self.merge(&group)?);
        }
        Ok(done)
    }

    /// The next merge as a job; `None` when there is nothing to merge.
    pub fn begin_merge(&mut self) -> Result<Option<MergeJob>> {
        Ok(self.planned()?.merge.first().map(|group| self.merge_job(group)))
    }

    /// Drops segments that are wholly expired, by age or by size. Returns how many.
    pub fn enforce_retention(&mut self) -> Result<usize> {
        let work = self.planned()?;
        if !work.drop.is_empty() {
            let mut next = self.manifest.clone();
            next.segments.retain(|meta| !work.drop.contains(&meta.id));
            self.commit(next, Vec::new())?;
        }
        Ok(work.drop.len())
    }

    /// Deletes the points of a time range of the series that match any set. Durable on return; the bytes go with the
    /// next merge or [`MetricStore::clean_deletions`].
    pub fn delete_series(&mut self, tenant: &TenantId, sets: &[Vec<Matcher>], range: RangeMs) -> Result<()> {
        self.flush()?;
        let before_id = self.ids.load(Ordering::SeqCst) + 1;
        let fresh = sets.iter().map(|matchers| Tombstone {
            tenant: tenant.as_str().to_owned(),
            before_id,
            range,
            matchers: matchers.clone(),
        });
        self.tombstones = self.tombstones.iter().cloned().chain(fresh).collect();
        self.commit(self.manifest.clone(), Vec::new())?;
        if let Some(head) = self.heads.get_mut(tenant) {
            head.forget_newest();
        }
        Ok(())
    }

    /// Rewrites the segments that hold deleted points.
    pub fn clean_deletions(&mut self) -> Result<()> {
        self.check()?;
        let hit = |meta: &SegmentMeta| {
            let ours = |t: &Tombstone| t.tenant == meta.tenant && meta.id < t.before_id;
            self.tombstones.iter().any(|t| ours(t) && t.range.overlaps(RangeMs::new(meta.time_min, meta.time_max)))
        };
        let ids: Vec<u64> = self.manifest.segments.iter().filter(|meta| hit(meta)).map(|meta| meta.id).collect();
        ids.into_iter().try_for_each(|id| self.merge(&[id]).map(|_| ()))
    }

    /// Moves segments that a reader found damaged to `quarantine/`, and names them. Call it now and then.
    pub fn quarantine_damaged(&mut self) -> Result<Vec<Damage>> {
        self.check()?;
        let suspects: Vec<(u64, BlockError)> = self
            .segments
            .values()
            .filter_map(|segment| segment.suspect.lock().clone().map(|error| (segment.id, error)))
            .collect();
        let mut damage = Vec::new();
        for (id, error) in suspects {
            let Some(meta) = self.manifest.segments.iter().find(|meta| meta.id == id) else { continue };
            let path = self.folder.join(&meta.file);
            let mut next = self.manifest.clone();
            next.segments.retain(|meta| meta.id != id);
            // Aside first: a crash in between leaves a manifest that misses a file, which the next open reports.
            quarantine(&*self.world.disk, &self.folder, &path).map_err(|e| self.fail(e))?;
            self.commit(next, Vec::new())?;
            damage.push(Damage { path, what: error.to_string() });
        }
        Ok(damage)
    }

    fn planned(&self) -> Result<observe_block::Work> {
        self.check()?;
        let timetable = self.settings.timetable(self.wal.disk_bytes());
        let mut work = plan(&self.manifest.segments, self.world.clock.now_ms(), &timetable);
        work.merge.retain(|group| self.merge_fits(group));
        Ok(work)
    }

    /// Whether a merge's tables, all held at once, stay within their share of memory.
    fn merge_fits(&self, group: &[u64]) -> bool {
        let series =
            group.iter().filter_map(|id| self.segments.get(id)).map(|s| s.reader.summary().series).sum::<u64>();
        series.saturating_mul(INPUT_BYTES_PER_SERIES) <= self.settings.index_bytes_max()
    }

    fn out(&self) -> Out {
        let (world, folder) = (self.world.clone(), self.folder.clone());
        Out { world, folder, ids: Arc::clone(&self.ids), fresh: Vec::new() }
    }

    fn merge_job(&self, ids: &[u64]) -> MergeJob {
        let mut inputs: Vec<Arc<Segment>> = ids.iter().filter_map(|id| self.segments.get(id).cloned()).collect();
        inputs.sort_by_key(|segment| (segment.rank, segment.id));
        MergeJob { inputs, tombstones: self.tombstones.clone(), oldest_ms: self.oldest_ms(), out: self.out() }
    }

    /// False when a damaged segment was set aside instead.
    fn merge(&mut self, ids: &[u64]) -> Result<bool> {
        match self.merge_job(ids).run() {
            Ok(written) => self.install(written).map(|()| true),
            Err(SourceError::Storage { .. }) if !self.quarantine_damaged()?.is_empty() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts the manifest in force, takes up the fresh segments and removes the files that are no longer named.
    fn commit(&mut self, mut next: Manifest, fresh: Vec<Arc<Segment>>) -> Result<()> {
        let lowest = next.segments.iter().map(|meta| meta.id).min().unwrap_or(u64::MAX);
        let kept: Vec<Tombstone> = self.tombstones.iter().filter(|t| lowest < t.before_id).cloned().collect();
        next.extra = tombstone::encode(&kept);
        next.next_segment_id = self.ids.load(Ordering::SeqCst);
        if let Err(error) = next.commit(&*self.world.disk, &self.folder) {
            if error.is_full() {
                self.tombstones = tombstone::decode(&self.manifest.extra).unwrap_or_default();
                return Err(source_error(error));
            }
            return Err(self.fail(error));
        }
        self.manifest = next;
        self.tombstones = kept;
        self.segments.extend(fresh.into_iter().map(|segment| (segment.id, segment)));
        let live: BTreeSet<u64> = self.manifest.segments.iter().map(|meta| meta.id).collect();
        let old: Vec<u64> = self.segments.keys().copied().filter(|id| !live.contains(id)).collect();
        for id in &old {
            if let Some(segment) = self.segments.remove(id)
                && segment.suspect.lock().is_none()
            {
                self.world.disk.remove(segment.reader.path()).map_err(|e| self.fail(e.into()))?;
            }
        }
        if old.is_empty() {
            return Ok(());
        }
        self.world.disk.sync_folder(&self.folder).map_err(|e| self.fail(e.into()))
    }

    /// Nobody knows what is on the disk now: take nothing more until opened again.
    fn fail(&mut self, error: BlockError) -> SourceError {
        self.broken.get_or_insert(error.to_string());
        source_error(error)
    }
}
