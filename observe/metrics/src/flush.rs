//! From memory to segments, from small segments to larger ones, and out. The order is always the same: new files durable,
//! then the manifest, then the log is truncated and old files removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base_signal::{Labels, Matcher, RangeMs, TenantId};
use observe_block::{BlockError, Damage, Manifest, SegmentKind, SegmentMeta, codec, plan, quarantine};
use observe_source::SourceError;

use crate::head::{Head, same_exemplar};
use crate::points::Points;
use crate::segment::{Cursor, Segment};
use crate::segment_write::Builder;
use crate::store::{EXTENSION, MetricStore, source_error};
use crate::tombstone::{self, Tombstone};

/// More windows than this in one flush are a mistake of someone's clock: they go into one segment.
const WINDOWS_MAX: usize = 64;

type Result<T> = std::result::Result<T, SourceError>;

impl MetricStore {
    /// Writes all that is in memory to segments and truncates the log. `Shed` when the disk is full: nothing changed.
    pub fn flush(&mut self) -> Result<()> {
        self.check()?;
        let covered = self.wal.last_lsn();
        let mut next = self.manifest.clone();
        let written = self.write_heads(&mut next);
        let fresh = match written {
            Ok(fresh) => fresh,
            Err(error) => return Err(source_error(error)),
        };
        if fresh.is_empty() && self.manifest.wal_covered == covered {
            return Ok(());
        }
        next.wal_covered = covered;
        self.commit(next, fresh)?;
        let newest: BTreeMap<TenantId, Option<i64>> =
            self.heads.keys().map(|tenant| (tenant.clone(), self.segments_max_ms(tenant))).collect();
        for (tenant, head) in &mut self.heads {
            head.after_flush(newest.get(tenant).copied().flatten());
        }
        self.wal.truncate_through(covered).map_err(|error| self.fail(error))
    }

    /// Merges small segments. Returns how many merges were done; 0 when there is nothing left to do.
    pub fn compact(&mut self) -> Result<usize> {
        self.check()?;
        let timetable = self.settings.timetable(self.wal.disk_bytes());
        let work = plan(&self.manifest.segments, self.world.clock.now_ms(), &timetable);
        for group in &work.merge {
            self.merge(group)?;
        }
        Ok(work.merge.len())
    }

    /// Drops segments that are wholly expired, by age or by size. Returns how many.
    pub fn enforce_retention(&mut self) -> Result<usize> {
        self.check()?;
        let timetable = self.settings.timetable(self.wal.disk_bytes());
        let work = plan(&self.manifest.segments, self.world.clock.now_ms(), &timetable);
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
        let before_id = self.manifest.next_segment_id + 1;
        let fresh = sets.iter().map(|matchers| Tombstone {
            tenant: tenant.as_str().to_owned(),
            before_id,
            range,
            matchers: matchers.clone(),
        });
        let all: Vec<Tombstone> = self.tombstones.iter().cloned().chain(fresh).collect();
        let mut next = self.manifest.clone();
        next.extra = tombstone::encode(&all);
        self.tombstones = all;
        self.commit(next, Vec::new())?;
        if let Some(head) = self.heads.get_mut(tenant) {
            head.forget_newest();
        }
        Ok(())
    }

    /// Rewrites the segments that hold deleted points.
    pub fn clean_deletions(&mut self) -> Result<()> {
        let hit = |meta: &SegmentMeta| {
            let ours = |t: &Tombstone| t.tenant == meta.tenant && meta.id < t.before_id;
            self.tombstones.iter().any(|t| ours(t) && t.range.overlaps(RangeMs::new(meta.time_min, meta.time_max)))
        };
        let ids: Vec<u64> = self.manifest.segments.iter().filter(|meta| hit(meta)).map(|meta| meta.id).collect();
        ids.into_iter().try_for_each(|id| self.merge(&[id]))
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

    /// Segments of all heads, durable but not yet in force. On error none is left.
    fn write_heads(&self, next: &mut Manifest) -> std::result::Result<Vec<Arc<Segment>>, BlockError> {
        let mut fresh = Vec::new();
        for (tenant, head) in &self.heads {
            if let Err(error) = self.write_head(tenant, head, next, &mut fresh) {
                self.discard(&fresh);
                return Err(error);
            }
        }
        Ok(fresh)
    }

    fn write_head(
        &self,
        tenant: &TenantId,
        head: &Head,
        next: &mut Manifest,
        fresh: &mut Vec<Arc<Segment>>,
    ) -> std::result::Result<(), BlockError> {
        let series = head.to_flush();
        if series.is_empty() && !head.metadata_is_new {
            return Ok(());
        }
        let oldest_ms = self.oldest_ms();
        let read = |id: u32| {
            let snapshot = head.snapshot(id);
            let created_ms = snapshot.created_ms;
            let mut points = snapshot.into_points();
            points.retain(|time| time >= oldest_ms);
            (points, created_ms)
        };
        let window_of = |time: i64| time.div_euclid(self.settings.window_ms.max(1));
        let mut windows: BTreeSet<i64> = BTreeSet::new();
        for (_, id) in &series {
            if let Some((first, last)) = head.time_range(*id) {
                let (first, last) = (window_of(first), window_of(last));
                windows.extend([first, last]);
                if last > first + 1 {
                    windows.extend(read(*id).0.times_ms.iter().map(|time| window_of(*time)));
                }
            }
        }
        // `None`: everything into one.
        let mut parts: Vec<Option<i64>> = windows.iter().copied().map(Some).collect();
        if parts.len() <= 1 || parts.len() > WINDOWS_MAX {
            parts = vec![None];
        }
        let newest = parts.last().copied().flatten();
        for part in parts {
            let mut file = self.begin(next, tenant.as_str(), 0)?;
            for (labels, id) in &series {
                let (mut points, created_ms) = read(*id);
                points.retain(|time| part.is_none_or(|window| window_of(time) == window));
                let exemplars = if part == newest { head.exemplars(*id) } else { &[] };
                let news = created_ms.is_some() && part == newest;
                if !points.is_empty() || !exemplars.is_empty() || news {
                    file.builder.add(labels, &points, created_ms, exemplars)?;
                }
            }
            fresh.push(self.finish(file, &head.metadata, self.wal.last_lsn(), next)?);
        }
        Ok(())
    }

    /// Merges the segments into one, leaving out what is deleted or expired.
    fn merge(&mut self, ids: &[u64]) -> Result<()> {
        let mut inputs: Vec<Arc<Segment>> = ids.iter().filter_map(|id| self.segments.get(id).cloned()).collect();
        inputs.sort_by_key(|segment| (segment.rank, segment.id));
        let mut next = self.manifest.clone();
        match self.write_merged(&inputs, &mut next) {
            Ok(fresh) => {
                next.segments.retain(|meta| !ids.contains(&meta.id));
                self.commit(next, fresh)
            }
            Err(error) if error.is_corrupt() => self.quarantine_damaged().map(|_| ()),
            Err(error) => Err(source_error(error)),
        }
    }

    fn write_merged(
        &self,
        inputs: &[Arc<Segment>],
        next: &mut Manifest,
    ) -> std::result::Result<Vec<Arc<Segment>>, BlockError> {
        let Some(first) = inputs.first() else { return Ok(Vec::new()) };
        let tenant = first.reader.tenant();
        let level = inputs.iter().map(|input| input.reader.summary().level).max().unwrap_or(0);
        let (mut indexes, mut order, mut metadata) = (Vec::new(), Vec::<(Labels, usize, u32)>::new(), BTreeMap::new());
        for (i, input) in inputs.iter().enumerate() {
            let index = input.index()?;
            order.extend((0..index.series.len() as u32).map(|id| (index.series.labels(id), i, id)));
            metadata.extend(input.metadata()?);
            indexes.push(index);
        }
        order.sort();
        let (mut cursors, oldest_ms) = (Vec::new(), self.oldest_ms());
        cursors.resize_with(inputs.len(), Cursor::default);
        let mut file = self.begin(next, tenant, level.saturating_add(1))?;
        let mut added = 0u64;
        for group in order.chunk_by(|a, b| a.0 == b.0) {
            let (mut parts, mut created_ms, mut exemplars) = (Vec::new(), None, Vec::new());
            let Some((labels, ..)) = group.first() else { continue };
            for (_, i, id) in group {
                let (Some(input), Some(index), Some(cursor)) = (inputs.get(*i), indexes.get(*i), cursors.get_mut(*i))
                else {
                    continue;
                };
                let Some(row) = index.row(*id) else { continue };
                let gone = tombstone::deleted(&self.tombstones, tenant, input.id, labels.as_ref());
                let mut points = input.points(index, row, (oldest_ms, i64::MAX), cursor)?;
                points.retain(|time| !gone.iter().any(|range| range.contains(time)));
                parts.push(points);
                created_ms = row.created_ms.or(created_ms);
                for exemplar in input.exemplars(row)? {
                    let deleted = gone.iter().any(|range| range.contains(exemplar.time_ms));
                    let known = exemplars.iter().any(|there| same_exemplar(there, &exemplar));
                    if !deleted && !known && exemplar.time_ms >= oldest_ms {
                        exemplars.push(exemplar);
                    }
                }
            }
            let points = Points::merge(parts);
            if !points.is_empty() || !exemplars.is_empty() {
                file.builder.add(labels, &points, created_ms, &exemplars)?;
                added += 1;
            }
        }
        if added == 0 {
            return Ok(Vec::new());
        }
        let rank = inputs.iter().map(|input| input.rank).max().unwrap_or(0);
        Ok(vec![self.finish(file, &metadata, rank, next)?])
    }

    fn begin(&self, next: &mut Manifest, tenant: &str, level: u8) -> std::result::Result<Beginning, BlockError> {
        let id = next.take_segment_id();
        let name = format!("{id:016x}{EXTENSION}");
        let builder = Builder::create(&self.world, &self.folder.join(&name), tenant, level)?;
        Ok(Beginning { id, name, tenant: tenant.to_owned(), builder })
    }

    /// Makes the segment durable, opens it and enters it into the manifest to be.
    fn finish(
        &self,
        file: Beginning,
        metadata: &BTreeMap<String, base_signal::Metadata>,
        rank: u64,
        next: &mut Manifest,
    ) -> std::result::Result<Arc<Segment>, BlockError> {
        let now_ms = self.world.clock.now_ms();
        let (summary, bytes) = file.builder.finish(metadata, now_ms)?;
        let segment = Segment::open(&self.world, &self.folder.join(&file.name), file.id, rank)?;
        let mut extra = Vec::new();
        codec::put_varint(&mut extra, rank);
        next.segments.push(SegmentMeta {
            id: file.id,
            kind: SegmentKind::Metrics,
            level: summary.level,
            tenant: file.tenant,
            file: file.name,
            time_min: summary.time_min,
            time_max: summary.time_max,
            rows: summary.rows,
            bytes,
            extra,
        });
        Ok(Arc::new(segment))
    }

    /// Puts the manifest in force, takes up the fresh segments and removes the files that are no longer named.
    fn commit(&mut self, mut next: Manifest, fresh: Vec<Arc<Segment>>) -> Result<()> {
        let lowest = next.segments.iter().map(|meta| meta.id).min().unwrap_or(u64::MAX);
        let kept: Vec<Tombstone> = self.tombstones.iter().filter(|t| lowest < t.before_id).cloned().collect();
        next.extra = tombstone::encode(&kept);
        if let Err(error) = next.commit(&*self.world.disk, &self.folder) {
            if error.is_full() {
                self.discard(&fresh);
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

    /// Files that did not come into force: their room is wanted back. One that cannot be removed is an orphan at open.
    fn discard(&self, fresh: &[Arc<Segment>]) {
        for segment in fresh {
            let _ = self.world.disk.remove(segment.reader.path());
        }
    }

    /// Nobody knows what is on the disk now: take nothing more until opened again.
    fn fail(&mut self, error: BlockError) -> SourceError {
        self.broken.get_or_insert(error.to_string());
        source_error(error)
    }
}

/// A segment being written.
struct Beginning {
    id: u64,
    name: String,
    tenant: String,
    builder: Builder,
}
