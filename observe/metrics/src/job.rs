//! The long work of a flush and of a merge, apart from the store: a job holds what it reads, may run on any thread while
//! the store takes and answers, and ends in segments that are durable but not yet in force. See `flush`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base_signal::{Metadata, RangeMs, TenantId};
use base_world::World;
use observe_block::{BlockError, Lsn, SegmentKind, SegmentMeta, codec};
use observe_source::SourceError;

use crate::head::{Head, same_exemplar};
use crate::points::Points;
use crate::segment::{Contents, Segment};
use crate::segment_write::Builder;
use crate::store::{EXTENSION, source_error};
use crate::tombstone::{self, Tombstone};

/// More windows than this in one flush are a mistake of someone's clock: they go into one segment.
const WINDOWS_MAX: usize = 64;

type Result<T> = std::result::Result<T, BlockError>;

/// Where segments are written, and those that are.
pub(crate) struct Out {
    pub(crate) world: World,
    pub(crate) folder: PathBuf,
    /// Shared by all jobs and the store: the last id that was given.
    pub(crate) ids: Arc<AtomicU64>,
    pub(crate) fresh: Vec<(SegmentMeta, Arc<Segment>)>,
}

/// A segment being written.
struct Beginning {
    id: u64,
    name: String,
    tenant: String,
    builder: Builder,
}

/// Durable segments that wait for [`crate::MetricStore::install`].
pub struct Written {
    pub(crate) out: Out,
    /// Segments that these take the place of.
    pub(crate) replaces: Vec<u64>,
    /// The deletions that were applied: if there are others by now, the work is void.
    pub(crate) tombstones: Option<Vec<Tombstone>>,
    /// For a flush: the log up to here is in these segments.
    pub(crate) covers: Option<Lsn>,
}

/// Writes to segments what was in memory when it was begun.
pub struct FlushJob {
    pub(crate) heads: BTreeMap<TenantId, Arc<Head>>,
    pub(crate) covers: Lsn,
    pub(crate) window_ms: i64,
    pub(crate) oldest_ms: i64,
    pub(crate) out: Out,
}

/// Writes one segment from several, without what is deleted or expired.
pub struct MergeJob {
    /// Oldest first.
    pub(crate) inputs: Vec<Arc<Segment>>,
    pub(crate) tombstones: Vec<Tombstone>,
    pub(crate) oldest_ms: i64,
    pub(crate) out: Out,
}

impl Out {
    fn begin(&self, tenant: &str, level: u8) -> Result<Beginning> {
        let id = self.ids.fetch_add(1, Ordering::SeqCst) + 1;
        let name = format!("{id:016x}{EXTENSION}");
        let builder = Builder::create(&self.world, &self.folder.join(&name), tenant, level)?;
        Ok(Beginning { id, name, tenant: tenant.to_owned(), builder })
    }

    /// Makes the segment durable and opens it.
    fn finish(&mut self, file: Beginning, metadata: &BTreeMap<String, Metadata>, rank: u64) -> Result<()> {
        let now_ms = self.world.clock.now_ms();
        let (summary, bytes) = file.builder.finish(metadata, now_ms)?;
        let segment = Segment::open(&self.world, &self.folder.join(&file.name), file.id, rank)?;
        let mut extra = Vec::new();
        codec::put_varint(&mut extra, rank);
        let meta = SegmentMeta {
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
        };
        self.fresh.push((meta, Arc::new(segment)));
        Ok(())
    }

    /// Files that will not come into force: their room is wanted back. One that cannot be removed is an orphan at open.
    pub(crate) fn discard(&self) {
        for (_, segment) in &self.fresh {
            let _ = self.world.disk.remove(segment.reader.path());
        }
    }
}

impl FlushJob {
    /// Does the work. `Shed` when the disk is full: nothing is left of it, and the job may be begun again.
    pub fn run(mut self) -> std::result::Result<Written, SourceError> {
        for (tenant, head) in std::mem::take(&mut self.heads) {
            if let Err(error) = self.write(&tenant, &head) {
                self.out.discard();
                return Err(source_error(error));
            }
        }
        Ok(Written { out: self.out, replaces: Vec::new(), tombstones: None, covers: Some(self.covers) })
    }

    fn write(&mut self, tenant: &TenantId, head: &Head) -> Result<()> {
        let series = head.to_flush();
        if series.is_empty() && !head.metadata_is_new {
            return Ok(());
        }
        let read = |id: u32| {
            let snapshot = head.snapshot(id, RangeMs::ALL);
            let created_ms = snapshot.created_ms;
            let mut points = snapshot.into_points();
            points.retain(|time| time >= self.oldest_ms);
            (points, created_ms)
        };
        let window_of = |time: i64| time.div_euclid(self.window_ms.max(1));
        let mut windows: BTreeSet<i64> = BTreeSet::new();
        for id in &series {
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
            let mut file = self.out.begin(tenant.as_str(), 0)?;
            for id in &series {
                let (mut points, created_ms) = read(*id);
                points.retain(|time| part.is_none_or(|window| window_of(time) == window));
                let exemplars = if part == newest { head.exemplars(*id) } else { &[] };
                let news = created_ms.is_some() && part == newest;
                if !points.is_empty() || !exemplars.is_empty() || news {
                    file.builder.add_numbered(&head.index(), *id, &points, created_ms, exemplars)?;
                }
            }
            self.out.finish(file, &head.metadata, self.covers)?;
        }
        Ok(())
    }
}

impl MergeJob {
    /// Does the work. A damaged input is noted: see [`crate::MetricStore::quarantine_damaged`].
    pub fn run(mut self) -> std::result::Result<Written, SourceError> {
        match self.write() {
            Ok(()) => {
                let replaces = self.inputs.iter().map(|input| input.id).collect();
                Ok(Written { out: self.out, replaces, tombstones: Some(self.tombstones), covers: None })
            }
            Err(error) => {
                self.out.discard();
                Err(source_error(error))
            }
        }
    }

    fn write(&mut self) -> Result<()> {
        let Some(first) = self.inputs.first().map(Arc::clone) else { return Ok(()) };
        let tenant = first.reader.tenant();
        let level = self.inputs.iter().map(|input| input.reader.summary().level).max().unwrap_or(0);
        let rank = self.inputs.iter().map(|input| input.rank).max().unwrap_or(0);
        let (mut sources, mut metadata) = (Vec::new(), BTreeMap::new());
        for input in &self.inputs {
            metadata.extend(input.metadata()?);
            sources.push(input.contents()?);
        }
        let mut file = self.out.begin(tenant, level.saturating_add(1))?;
        let mut added = 0u64;
        // Each input is sorted by labels: the least of what is next in each is the next of all.
        while let Some(labels) = sources.iter().filter_map(Contents::labels).min().cloned() {
            let (mut parts, mut created_ms, mut exemplars) = (Vec::new(), None, Vec::new());
            for (input, source) in self.inputs.iter().zip(&mut sources) {
                if source.labels() != Some(&labels) {
                    continue;
                }
                let Some(row) = input.advance(source)? else { continue };
                let gone = tombstone::deleted(&self.tombstones, tenant, input.id, labels.as_ref());
                let mut points = input.points(&source.pages, &row, (self.oldest_ms, i64::MAX), &mut source.cursor)?;
                points.retain(|time| !gone.iter().any(|range| range.contains(time)));
                parts.push(points);
                created_ms = row.created_ms.or(created_ms);
                for exemplar in input.exemplars(&row)? {
                    let deleted = gone.iter().any(|range| range.contains(exemplar.time_ms));
                    let known = exemplars.iter().any(|there| same_exemplar(there, &exemplar));
                    if !deleted && !known && exemplar.time_ms >= self.oldest_ms {
                        exemplars.push(exemplar);
                    }
                }
            }
            let points = Points::merge(parts);
            if !points.is_empty() || !exemplars.is_empty() {
                file.builder.add(labels.as_ref(), &points, created_ms, &exemplars)?;
                added += 1;
            }
        }
        if added > 0 {
            self.out.finish(file, &metadata, rank)?;
        }
        Ok(())
    }
}
