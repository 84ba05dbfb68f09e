//! The store's state, its opening and its bookkeeping. What it holds is told in `append`, `flush` and `read`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base_signal::TenantId;
use base_world::{FolderLock, World};
use hashbrown::HashMap;
use observe_block::codec::Reader;
use observe_block::{
    BlockError, Damage, Frame, FrameBuilder, Lsn, Manifest, SegmentMeta, SyncHandle, Wal, quarantine, remove_orphans,
};
use observe_source::SourceError;

use crate::flush::Frozen;
use crate::head::Head;
use crate::points::Point;
use crate::record::{self, Entry};
use crate::segment::Segment;
use crate::settings::Settings;
use crate::tombstone::{self, Tombstone};

pub(crate) const EXTENSION: &str = ".metrics";
/// What a shed sender is told to wait: a flush takes about as long.
pub(crate) const RETRY_AFTER_MS: u64 = 1_000;

/// The metric store of one folder.
pub struct MetricStore {
    pub(crate) world: World,
    pub(crate) folder: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) wal: Wal,
    pub(crate) manifest: Manifest,
    pub(crate) segments: BTreeMap<u64, Arc<Segment>>,
    pub(crate) tombstones: Vec<Tombstone>,
    pub(crate) heads: BTreeMap<TenantId, Head>,
    /// The part of memory that a flush is writing.
    pub(crate) frozen: Option<Frozen>,
    /// The last segment id that was given.
    pub(crate) ids: Arc<AtomicU64>,
    pub(crate) frame: FrameBuilder,
    /// Set when nobody knows any more what is on the disk; only opening again helps.
    pub(crate) broken: Option<String>,
    /// Counts reads, to find the index that was not used for longest.
    pub(crate) reads: AtomicU64,
    _lock: FolderLock,
}

/// What opening found, for the log and the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Writes read back from the log.
    pub frames: u64,
    pub samples: u64,
    pub bytes: u64,
    /// A last write that a crash cut short; it was never acknowledged.
    pub torn_bytes: u64,
    pub segments: u64,
    pub duration_ms: u64,
    /// Data that was acknowledged and is lost or set aside, by file.
    pub damage: Vec<Damage>,
}

/// By tenant: a series' number in the log → its number in the head.
type Numbers = BTreeMap<TenantId, HashMap<u32, u32, ahash::RandomState>>;

impl MetricStore {
    /// Opens the folder, making it if need be, and replays the log. Another holder, a newer format or an unreadable
    /// manifest are errors; damaged segments and log files are set aside and reported.
    pub fn open(world: &World, folder: &Path, settings: Settings) -> Result<(Self, ReplayReport), BlockError> {
        let started_ns = world.clock.monotonic_ns();
        let disk = &*world.disk;
        disk.create_folder(folder)?;
        let lock = disk.lock_folder(folder)?;
        let (manifest, damage) = Manifest::load(disk, folder)?;
        let manifest = manifest.unwrap_or_default();
        remove_orphans(disk, folder, &manifest, |name| name.ends_with(EXTENSION))?;
        let tombstones = tombstone::decode(&manifest.extra)
            .map_err(|e| BlockError::corrupt(&folder.join("MANIFEST"), "deletions", e.to_string()))?;
        let (wal, mut replay) = Wal::open(world, &folder.join("wal"), settings.wal.clone(), manifest.wal_covered)?;
        let mut store = Self {
            world: world.clone(),
            folder: folder.to_path_buf(),
            settings,
            wal,
            manifest,
            segments: BTreeMap::new(),
            tombstones,
            heads: BTreeMap::new(),
            frozen: None,
            ids: Arc::default(),
            frame: FrameBuilder::new(),
            broken: None,
            reads: AtomicU64::new(0),
            _lock: lock,
        };
        let ids = store.manifest.segments.iter().map(|meta| meta.id).max();
        store.ids = Arc::new(AtomicU64::new(store.manifest.next_segment_id.max(ids.unwrap_or(0))));
        let mut report = ReplayReport { damage, ..ReplayReport::default() };
        store.open_segments(&mut report)?;
        let mut numbers = Numbers::new();
        for frame in replay.by_ref() {
            let frame = frame?;
            let applied = store.apply(&frame, &mut numbers, &mut report);
            applied
                .map_err(|e| BlockError::corrupt(&folder.join("wal"), format!("write {}", frame.seq), e.to_string()))?;
        }
        report.frames = replay.report.frames;
        report.bytes = replay.report.bytes;
        report.torn_bytes = replay.report.torn_bytes;
        report.damage.extend(replay.report.damage);
        report.segments = store.segments.len() as u64;
        report.duration_ms = world.clock.monotonic_ns().saturating_sub(started_ns) / 1_000_000;
        Ok((store, report))
    }

    fn open_segments(&mut self, report: &mut ReplayReport) -> Result<(), BlockError> {
        let mut lost = Vec::new();
        let mut metas: Vec<&SegmentMeta> = self.manifest.segments.iter().collect();
        metas.sort_by_key(|meta| (rank(meta), meta.id));
        for meta in metas {
            let path = self.folder.join(&meta.file);
            let opened =
                Segment::open(&self.world, &path, meta.id, rank(meta)).and_then(|s| s.metadata().map(|m| (s, m)));
            match opened {
                Ok((segment, metadata)) => {
                    if let Some(tenant) = TenantId::new(segment.reader.tenant()) {
                        let head = self.heads.entry(tenant).or_default();
                        head.metadata.extend(metadata);
                        head.segments_max_ms = head.segments_max_ms.max(Some(meta.time_max));
                    }
                    self.segments.insert(meta.id, Arc::new(segment));
                }
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

    /// Applies a frame of the log.
    fn apply(
        &mut self,
        frame: &Frame,
        numbers: &mut Numbers,
        report: &mut ReplayReport,
    ) -> Result<(), observe_block::codec::Malformed> {
        for record in frame.records()? {
            let Some(tenant) = TenantId::new(record.tenant) else { continue };
            let numbers = numbers.entry(tenant.clone()).or_default();
            let head = self.heads.entry(tenant).or_default();
            record::read(&record, |entry| {
                let number = |id: u32| numbers.get(&id).copied();
                // What is in the log was accepted: neither window nor segments are asked again.
                let mut append = |id: u32, time_ms: i64, point: Point| {
                    let Some(id) = number(id) else { return };
                    head.append(id, time_ms, point, i64::MAX, None);
                    report.samples += 1;
                };
                match entry {
                    Entry::Series(id, labels) => {
                        numbers.insert(id, head.find_or_insert(labels.as_ref()));
                    }
                    Entry::Sample(id, time_ms, bits) => append(id, time_ms, Point::Float(bits)),
                    Entry::Histogram(id, time_ms, histogram) => {
                        let bytes = crate::histogram::histogram_bytes(&histogram);
                        append(id, time_ms, Point::Histogram(Arc::from(bytes)));
                    }
                    Entry::Exemplar(id, exemplar) => {
                        number(id).map(|id| head.append_exemplar(id, &exemplar));
                    }
                    Entry::Created(id, time_ms) => {
                        number(id).map(|id| head.set_created(id, time_ms));
                    }
                    Entry::Metadata(family, metadata) => {
                        head.set_metadata(&family, &metadata);
                    }
                }
            })?;
        }
        Ok(())
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

    /// Bytes held in memory: newest data, its index, indexes of segments that were read.
    pub fn memory_used(&self) -> u64 {
        self.head_bytes() + self.segments.values().map(|segment| segment.index_bytes() as u64).sum::<u64>()
    }

    /// Bytes on the disk: segments and log.
    pub fn disk_used(&self) -> u64 {
        self.manifest.segments.iter().map(|meta| meta.bytes).sum::<u64>() + self.wal.disk_bytes()
    }

    /// Series in memory, of all tenants.
    pub fn series_count(&self) -> usize {
        self.heads.values().map(Head::series_count).sum()
    }

    /// Tenants with data in memory or on disk, sorted.
    pub fn tenants(&self) -> Vec<TenantId> {
        let stored = self.manifest.segments.iter().filter_map(|meta| TenantId::new(&meta.tenant));
        self.heads.keys().cloned().chain(stored).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    pub(crate) fn head_bytes(&self) -> u64 {
        let newest: usize = self.heads.values().map(|head| head.size_bytes(None)).sum();
        let frozen = self.frozen.iter().flat_map(|frozen| &frozen.heads);
        let frozen: usize = frozen.map(|(tenant, head)| head.size_bytes(self.heads.get(tenant))).sum();
        (newest + frozen) as u64
    }

    /// The tenant's memory: what a flush is writing first, as it is older.
    pub(crate) fn heads_of(&self, tenant: &TenantId) -> impl Iterator<Item = &Head> {
        let frozen = self.frozen.as_ref().and_then(|frozen| frozen.heads.get(tenant));
        frozen.map(Arc::as_ref).into_iter().chain(self.heads.get(tenant))
    }

    /// The oldest time that still exists.
    pub(crate) fn oldest_ms(&self) -> i64 {
        let now = self.world.clock.now_ms();
        self.settings.retention_ms.map_or(i64::MIN, |age| now.saturating_sub(age))
    }

    pub(crate) fn check(&self) -> Result<(), SourceError> {
        match &self.broken {
            Some(reason) => Err(SourceError::Unavailable { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Newest time in the segments of each tenant.
    pub(crate) fn segments_max_ms(&self, tenant: &TenantId) -> Option<i64> {
        let ours = self.manifest.segments.iter().filter(|meta| meta.tenant == tenant.as_str());
        ours.map(|meta| meta.time_max).max()
    }

    /// Notes a read of the segment.
    pub(crate) fn used(&self, segment: &Segment) {
        segment.used_at.store(self.reads.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Forgets the indexes that were not used for longest while all together are too many.
    pub(crate) fn trim_indexes(&self) {
        let mut loaded: Vec<_> = self.segments.values().filter(|segment| segment.index_bytes() > 0).collect();
        let mut total: u64 = loaded.iter().map(|segment| segment.index_bytes() as u64).sum();
        loaded.sort_by_key(|segment| segment.used_at.load(Ordering::Relaxed));
        for old in loaded {
            if total <= self.settings.index_bytes_max() {
                break;
            }
            total = total.saturating_sub(old.index_bytes() as u64);
            old.forget_index();
        }
    }
}

/// See `Segment::rank`; kept in the manifest's notes on the segment.
fn rank(meta: &SegmentMeta) -> u64 {
    Reader::new(&meta.extra).varint("rank").unwrap_or(0)
}

/// As readers and senders are told.
pub(crate) fn source_error(error: BlockError) -> SourceError {
    match error {
        e if e.is_full() => SourceError::Shed { what: "disk", retry_after_ms: RETRY_AFTER_MS },
        BlockError::Poisoned { .. } => SourceError::Unavailable { reason: error.to_string() },
        other => SourceError::Storage { reason: other.to_string() },
    }
}
