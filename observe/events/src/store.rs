//! The store's state, its opening and its bookkeeping. What it holds is told in `append`, `flush` and the two `read`s.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use base_signal::{RangeNs, TenantId};
use base_world::{FolderLock, World};
use observe_block::codec::{self, Reader};
use observe_block::{
    BlockError, Damage, FrameBuilder, Lsn, Manifest, SegmentKind, SegmentMeta, SyncHandle, Wal, quarantine,
    remove_orphans,
};
use observe_source::SourceError;

use crate::flush::Frozen;
use crate::head::Head;
use crate::log_segment::LogSegment;
use crate::record::{self, Write};
use crate::settings::{NS_PER_MS, Settings};
use crate::span_segment::SpanSegment;

pub(crate) const LOGS: &str = ".logs";
pub(crate) const SPANS: &str = ".spans";
/// What a shed sender is told to wait: a flush takes about as long.
pub(crate) const RETRY_AFTER_MS: u64 = 1_000;

/// The log and span store of one folder.
pub struct EventStore {
    pub(crate) world: World,
    pub(crate) folder: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) wal: Wal,
    pub(crate) manifest: Manifest,
    pub(crate) logs: BTreeMap<u64, Arc<LogSegment>>,
    pub(crate) spans: BTreeMap<u64, Arc<SpanSegment>>,
    pub(crate) heads: BTreeMap<TenantId, Head>,
    pub(crate) frozen: Option<Frozen>,
    /// The last segment id that was given; shared with jobs.
    pub(crate) ids: Arc<AtomicU64>,
    pub(crate) frame: FrameBuilder,
    /// The number that the next line gets.
    pub(crate) next_arrival: u64,
    /// Set when nobody knows any more what is on the disk; only opening again helps.
    pub(crate) broken: Option<String>,
    _lock: FolderLock,
}

/// What opening found, for the log and the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Writes read back from the log.
    pub frames: u64,
    pub lines: u64,
    pub spans: u64,
    pub bytes: u64,
    /// A last write that a crash cut short; it was never acknowledged.
    pub torn_bytes: u64,
    pub segments: u64,
    pub duration_ms: u64,
    /// Data that was acknowledged and is lost or set aside, by file.
    pub damage: Vec<Damage>,
}

impl EventStore {
    /// Opens the folder, making it if need be, and replays the log. Another holder, a newer format or an unreadable
    /// manifest are errors; damaged segments and log files are set aside and reported.
    pub fn open(world: &World, folder: &Path, settings: Settings) -> Result<(Self, ReplayReport), BlockError> {
        let started_ns = world.clock.monotonic_ns();
        let disk = &*world.disk;
        disk.create_folder(folder)?;
        let lock = disk.lock_folder(folder)?;
        let (manifest, damage) = Manifest::load(disk, folder)?;
        let manifest = manifest.unwrap_or_default();
        remove_orphans(disk, folder, &manifest, |name| name.ends_with(LOGS) || name.ends_with(SPANS))?;
        let next_arrival = decode_extra(&manifest.extra)
            .map_err(|e| BlockError::corrupt(&folder.join("MANIFEST"), "the order of arrival", e.to_string()))?;
        let ids = Arc::new(AtomicU64::new(manifest.next_segment_id));
        let (wal, mut replay) = Wal::open(world, &folder.join("wal"), settings.wal.clone(), manifest.wal_covered)?;
        let mut store = Self {
            world: world.clone(),
            folder: folder.to_path_buf(),
            settings,
            wal,
            manifest,
            logs: BTreeMap::new(),
            spans: BTreeMap::new(),
            heads: BTreeMap::new(),
            frozen: None,
            ids,
            frame: FrameBuilder::new(),
            next_arrival,
            broken: None,
            _lock: lock,
        };
        let mut report = ReplayReport { damage, ..ReplayReport::default() };
        store.open_segments(&mut report)?;
        for frame in replay.by_ref() {
            let frame = frame?;
            let writes = record::take(&frame)
                .map_err(|e| BlockError::corrupt(&folder.join("wal"), format!("write {}", frame.seq), e.to_string()))?;
            for (tenant, write) in writes {
                report.lines += write.lines.len() as u64;
                report.spans += write.spans.len() as u64;
                if let Some(tenant) = TenantId::new(&tenant) {
                    store.apply(&tenant, write);
                }
            }
        }
        report.frames = replay.report.frames;
        report.bytes = replay.report.bytes;
        report.torn_bytes = replay.report.torn_bytes;
        report.damage.extend(replay.report.damage);
        report.segments = store.segment_count() as u64;
        report.duration_ms = world.clock.monotonic_ns().saturating_sub(started_ns) / 1_000_000;
        Ok((store, report))
    }

    fn open_segments(&mut self, report: &mut ReplayReport) -> Result<(), BlockError> {
        let mut lost = Vec::new();
        for meta in &self.manifest.segments {
            let path = self.folder.join(&meta.file);
            let opened = match meta.kind {
                SegmentKind::Logs => LogSegment::open(&self.world, &path, meta.id).map(|segment| {
                    self.logs.insert(meta.id, Arc::new(segment));
                }),
                SegmentKind::Spans => SpanSegment::open(&self.world, &path, meta.id).map(|segment| {
                    self.spans.insert(meta.id, Arc::new(segment));
                }),
                SegmentKind::Metrics => Err(BlockError::corrupt(&path, "its kind", "metrics are not kept here")),
            };
            match opened {
                Ok(()) => {}
                Err(error) if error.is_corrupt() => {
                    quarantine(&*self.world.disk, &self.folder, &path)?;
                    report.damage.push(Damage { path, what: error.to_string() });
                    lost.push(meta.id);
                }
                Err(BlockError::Disk(error)) if error.is_not_found() => {
                    report.damage.push(Damage { path, what: "the segment is gone".to_owned() });
                    lost.push(meta.id);
                }
                Err(other) => return Err(other),
            }
        }
        if !lost.is_empty() {
            self.manifest.segments.retain(|meta| !lost.contains(&meta.id));
            self.manifest.commit(&*self.world.disk, &self.folder)?;
        }
        Ok(())
    }

    /// Puts a write that is in the log into memory.
    pub(crate) fn apply(&mut self, tenant: &TenantId, write: Write<'_>) {
        let head = self.heads.entry(tenant.clone()).or_default();
        let numbers: Vec<u32> = write.streams.iter().map(|labels| head.logs.number(labels)).collect();
        for line in &write.lines {
            if let Some(number) = numbers.get(line.stream as usize) {
                head.logs.append(*number, line, self.next_arrival);
                self.next_arrival += 1;
            }
        }
        head.spans.append(write.spans);
    }

    /// Makes all that was appended durable: one fdatasync. Returns the position that is covered.
    pub fn sync(&mut self) -> Result<Lsn, SourceError> {
        self.sync_handle().run().map_err(source_error)
    }

    /// The same for another thread, which then need not hold the store.
    pub fn sync_handle(&self) -> SyncHandle {
        self.wal.sync_handle()
    }

    /// Position of the last append; it is durable once `sync` or a handle returns at least this.
    pub fn last_lsn(&self) -> Lsn {
        self.wal.last_lsn()
    }

    /// Bytes held in memory: newest data and the tables of open segments.
    pub fn memory_used(&self) -> u64 {
        let logs: u64 = self.logs.values().map(|segment| segment.index_bytes).sum();
        let spans: u64 = self.spans.values().map(|segment| segment.index_bytes).sum();
        self.head_bytes() + logs + spans
    }

    /// Bytes on the disk: segments and log.
    pub fn disk_used(&self) -> u64 {
        self.manifest.segments.iter().map(|meta| meta.bytes).sum::<u64>() + self.wal.disk_bytes()
    }

    pub fn segment_count(&self) -> usize {
        self.logs.len() + self.spans.len()
    }

    /// Tenants with data in memory or on disk, sorted.
    pub fn tenants(&self) -> Vec<TenantId> {
        let stored = self.manifest.segments.iter().filter_map(|meta| TenantId::new(&meta.tenant));
        let frozen = self.frozen.iter().flat_map(|frozen| frozen.heads.keys().cloned());
        self.heads.keys().cloned().chain(frozen).chain(stored).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Damage that readers found since the store was opened, one entry a segment. The rest of such a segment is still
    /// answered; it is no longer merged, and retention drops it in its time.
    pub fn damage(&self) -> Vec<Damage> {
        let logs = self.logs.values().map(|s| (s.reader.path(), &s.damage));
        let spans = self.spans.values().map(|s| (s.reader.path(), &s.damage));
        let all = logs.chain(spans).filter_map(|(path, damage)| {
            let what = damage.lock().as_ref()?.to_string();
            Some(Damage { path: path.to_path_buf(), what })
        });
        all.collect()
    }

    pub(crate) fn is_damaged(&self, id: u64) -> bool {
        self.logs.get(&id).is_some_and(|s| s.damage.lock().is_some())
            || self.spans.get(&id).is_some_and(|s| s.damage.lock().is_some())
    }

    pub(crate) fn head_bytes(&self) -> u64 {
        let frozen = self.frozen.iter().flat_map(|frozen| frozen.heads.values().map(|head| head.size_bytes()));
        self.heads.values().map(Head::size_bytes).chain(frozen).sum()
    }

    /// What of the tenant is in memory: what a flush is writing, and what came after.
    pub(crate) fn heads_of<'a>(&'a self, tenant: &'a TenantId) -> impl Iterator<Item = &'a Head> {
        let frozen = self.frozen.iter().filter_map(move |frozen| frozen.heads.get(tenant).map(AsRef::as_ref));
        frozen.chain(self.heads.get(tenant))
    }

    /// The oldest time that still exists.
    pub(crate) fn oldest_ns(&self) -> i64 {
        let now = self.world.clock.now_ns();
        self.settings.retention_ms.map_or(i64::MIN, |ms| now.saturating_sub(ms.saturating_mul(NS_PER_MS)))
    }

    /// A range without what is past retention.
    pub(crate) fn kept(&self, range: RangeNs) -> RangeNs {
        RangeNs::new(range.start_ns.max(self.oldest_ns()), range.end_ns)
    }

    /// The tenant's segments of a kind that overlap the range.
    pub(crate) fn metas<'a>(
        &'a self,
        tenant: &'a TenantId,
        kind: SegmentKind,
        range: RangeNs,
    ) -> impl Iterator<Item = &'a SegmentMeta> {
        let ours = move |meta: &&SegmentMeta| {
            meta.kind == kind
                && meta.tenant == tenant.as_str()
                && range.overlaps(RangeNs::new(meta.time_min, meta.time_max))
        };
        self.manifest.segments.iter().filter(ours)
    }

    pub(crate) fn check(&self) -> Result<(), SourceError> {
        match &self.broken {
            Some(reason) => Err(SourceError::Unavailable { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Nobody knows what is on the disk now: take nothing more until opened again.
    pub(crate) fn fail(&mut self, error: BlockError) -> SourceError {
        self.broken.get_or_insert(error.to_string());
        source_error(error)
    }
}

/// As readers and senders are told.
pub(crate) fn source_error(error: BlockError) -> SourceError {
    match error {
        e if e.is_full() => SourceError::Shed { what: "disk", retry_after_ms: RETRY_AFTER_MS },
        BlockError::Poisoned { .. } => SourceError::Unavailable { reason: error.to_string() },
        other => SourceError::Storage { reason: other.to_string() },
    }
}

/// The manifest's note of ours: the number of the next line that is not in a segment.
pub(crate) fn encode_extra(next_arrival: u64) -> Vec<u8> {
    let mut to = Vec::new();
    codec::put_varint(&mut to, next_arrival);
    to
}

fn decode_extra(bytes: &[u8]) -> Result<u64, codec::Malformed> {
    if bytes.is_empty() { Ok(0) } else { Reader::new(bytes).varint("next arrival") }
}
