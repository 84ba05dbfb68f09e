//! A block being written: aside, in a folder that a starting Prometheus removes, and under its name when all of it is
//! durable.

use std::path::{Path, PathBuf};

use base_signal::LabelsRef;
use base_world::World;

use crate::chunk::{Chunker, Point};
use crate::chunk_files::{self, ChunkWriter};
use crate::error::Result;
use crate::index_write::{self, IndexWriter, Placed};
use crate::meta::{self, BlockMeta, BlockStats};
use crate::ulid;

/// As Prometheus names what is not a block yet.
const ASIDE: &str = ".tmp-for-creation";

pub(crate) struct BlockWriter {
    world: World,
    out: PathBuf,
    ulid: String,
    aside: PathBuf,
    chunks: ChunkWriter,
    index: IndexWriter,
    chunker: Chunker,
    stats: BlockStats,
    /// Of the samples.
    times_ms: Option<(i64, i64)>,
    done: bool,
}

impl BlockWriter {
    /// Into a folder that is there.
    pub(crate) fn create(world: &World, out: &Path) -> Result<Self> {
        let ulid = ulid::new(world.clock.now_ms(), &*world.random);
        let aside = out.join(format!("{ulid}{ASIDE}"));
        let chunks = aside.join(chunk_files::FOLDER);
        world.disk.create_folder(&chunks)?;
        Ok(BlockWriter {
            world: world.clone(),
            out: out.to_path_buf(),
            ulid,
            aside,
            chunks: ChunkWriter::new(world, chunks),
            index: IndexWriter::default(),
            chunker: Chunker::default(),
            stats: BlockStats::default(),
            times_ms: None,
            done: false,
        })
    }

    #[cfg(test)]
    pub(crate) fn limit_segments(&mut self, bytes: u64) {
        self.chunks.limit_segments(bytes);
    }

    /// The next series in the order of labels; its points ascend in time.
    pub(crate) fn add<'p>(
        &mut self,
        labels: LabelsRef<'_>,
        points: impl Iterator<Item = (i64, Point<'p>)>,
    ) -> Result<()> {
        points.for_each(|(time_ms, point)| self.chunker.push(time_ms, point));
        let chunks = self.chunker.finish();
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return Ok(()) };
        let (start, end) = self.times_ms.unwrap_or((i64::MAX, i64::MIN));
        self.times_ms = Some((start.min(first.min_ms), end.max(last.max_ms)));
        let mut placed = Vec::with_capacity(chunks.len());
        for chunk in &chunks {
            let samples = u64::from(chunk.samples);
            self.stats.num_samples += samples;
            let kind = if chunk.encoding == crate::chunk::XOR {
                &mut self.stats.num_float_samples
            } else {
                &mut self.stats.num_histogram_samples
            };
            *kind += samples;
            placed.push(Placed { chunk, reference: self.chunks.put(chunk)? });
        }
        self.stats.num_chunks += chunks.len() as u64;
        self.index.add(labels, &placed);
        Ok(())
    }

    /// Memory that is held until the block is finished.
    pub(crate) fn size_bytes(&self) -> usize {
        self.index.size_bytes()
    }

    /// The block, durable, and its bytes; `None` when nothing was added.
    pub(crate) fn finish(mut self) -> Result<Option<(BlockMeta, u64)>> {
        let Some((start_ms, end_ms)) = self.times_ms else { return Ok(None) };
        let disk = &*self.world.disk;
        self.chunks.finish()?;
        self.stats.num_series = self.index.count;
        let index = std::mem::take(&mut self.index);
        let index_bytes = index.finish(disk, &self.aside.join(index_write::FILE))?;
        let meta = BlockMeta::new(self.ulid.clone(), (start_ms, end_ms.saturating_add(1)), self.stats);
        let text = meta.text();
        base_world::replace_file(disk, &self.aside.join(meta::FILE), &text)?;
        disk.rename(&self.aside, &self.out.join(&self.ulid))?;
        disk.sync_folder(&self.out)?;
        self.done = true;
        Ok(Some((meta, self.chunks.bytes + index_bytes + text.len() as u64)))
    }
}

/// What was not finished is taken away; what then still lies there, a starting Prometheus removes.
impl Drop for BlockWriter {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let disk = &*self.world.disk;
        for folder in [self.aside.join(chunk_files::FOLDER), self.aside.clone()] {
            for entry in disk.list(&folder).unwrap_or_default() {
                let _ = disk.remove(&folder.join(&entry.name));
            }
            let _ = disk.remove_folder(&folder);
        }
    }
}
