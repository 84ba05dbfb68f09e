//! A copy of the store in a folder of its own, which opens as a store; and what the store says of itself. The files of a store never change, so they are copied while it goes
//! on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base_signal::TenantId;
use base_world::{File, World};
use observe_block::{Manifest, SegmentMeta};
use observe_source::SourceError;

use crate::store::{MetricStore, source_error};

/// Copied at once.
const PIECE_BYTES: usize = 1 << 20;

/// Copies a store; see [`MetricStore::begin_snapshot`].
pub struct SnapshotJob {
    world: World,
    /// Held open: a file that is merged away meanwhile can still be read.
    files: Vec<(String, Arc<dyn File>)>,
    manifest: Manifest,
}

impl SnapshotJob {
    /// Makes the folder and copies into it. What a failure leaves is no store: the manifest comes last.
    pub fn run(mut self, folder: &Path) -> Result<(), SourceError> {
        let disk = &*self.world.disk;
        let failed = |error: base_world::DiskError| source_error(error.into());
        disk.create_folder(folder).map_err(failed)?;
        let mut piece = vec![0; PIECE_BYTES];
        for (name, from) in &self.files {
            let to = disk.create(&folder.join(name)).map_err(failed)?;
            let mut offset = 0;
            loop {
                let read = from.read_at(offset, &mut piece).map_err(failed)?;
                if read == 0 {
                    break;
                }
                to.write_at(offset, &piece[..read]).map_err(failed)?;
                offset += read as u64;
            }
            to.sync().map_err(failed)?;
        }
        disk.sync_folder(folder).map_err(failed)?;
        self.manifest.commit(disk, folder).map_err(source_error)
    }
}

impl MetricStore {
    /// What a copy is made of. With `with_memory` all that was taken until now is in it, without it what is in segments.
    pub fn begin_snapshot(&mut self, with_memory: bool) -> Result<SnapshotJob, SourceError> {
        if with_memory {
            self.flush()?;
        }
        self.check()?;
        let open = |meta: &SegmentMeta| {
            let path: PathBuf = self.folder.join(&meta.file);
            let file = self.world.disk.open(&path).map_err(|error| source_error(error.into()))?;
            Ok::<_, SourceError>((meta.file.clone(), file))
        };
        let files = self.manifest.segments.iter().map(open).collect::<Result<_, _>>()?;
        Ok(SnapshotJob { world: self.world.clone(), files, manifest: self.manifest.clone() })
    }

    /// The tenant's segments, oldest first.
    pub fn segments_of(&self, tenant: &TenantId) -> Vec<(SegmentMeta, u64)> {
        let ours = self.manifest.segments.iter().filter(|meta| meta.tenant == tenant.as_str());
        let with_series = |meta: &SegmentMeta| {
            let series = self.segments.get(&meta.id).map_or(0, |segment| segment.reader.summary().series);
            (meta.clone(), series)
        };
        let mut found: Vec<_> = ours.map(with_series).collect();
        found.sort_by_key(|(meta, _)| (meta.time_min, meta.id));
        found
    }

    /// First and last time of the tenant's points; `None` when there are none.
    pub fn time_range(&self, tenant: &TenantId) -> Option<(i64, i64)> {
        let stored = self.manifest.segments.iter().filter(|meta| meta.tenant == tenant.as_str());
        let stored = stored.map(|meta| (meta.time_min, meta.time_max));
        let held =
            self.heads_of(tenant).flat_map(|head| (0..head.series_count() as u32).filter_map(|id| head.time_range(id)));
        stored.chain(held).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}
