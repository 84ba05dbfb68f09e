//! A block as batches of series: what matches and was not deleted, in the order of labels.

use std::path::{Path, PathBuf};

use base_signal::{Matcher, RangeMs};
use base_world::World;
use observe_source::MetricBatch;

use crate::chunk::Points;
use crate::chunk_files::ChunkReader;
use crate::error::Result;
use crate::index_read::{IndexReader, IndexedSeries};
use crate::meta::BlockMeta;
use crate::tombstones::Tombstones;

/// A batch is handed out when it holds so many rows, series, or bytes of histograms.
const BATCH_ROWS: usize = 32 << 10;
const BATCH_SERIES: usize = 2048;
const BATCH_BYTES: usize = 8 << 20;

/// A block that was opened: its `meta.json` is read, and that the rest is there is seen.
pub struct BlockReader {
    world: World,
    folder: PathBuf,
    meta: BlockMeta,
}

impl BlockReader {
    /// Reads what the block says of itself.
    pub fn open(world: &World, folder: &Path) -> Result<Self> {
        let meta = BlockMeta::read(&*world.disk, folder)?;
        Ok(BlockReader { world: world.clone(), folder: folder.to_path_buf(), meta })
    }

    pub fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// The series that match all, with their points of the range, both ends included.
    pub fn batches<'m>(&self, matchers: &'m [Matcher], range: RangeMs) -> Result<BlockBatches<'m>> {
        let disk = &*self.world.disk;
        Ok(BlockBatches {
            index: IndexReader::open(disk, &self.folder)?,
            chunks: ChunkReader::open(disk, &self.folder)?,
            tombstones: Tombstones::read(disk, &self.folder)?,
            matchers,
            range,
        })
    }
}

/// Batches in turn; series come sorted by labels, each whole.
pub struct BlockBatches<'m> {
    index: IndexReader,
    chunks: ChunkReader,
    tombstones: Tombstones,
    matchers: &'m [Matcher],
    range: RangeMs,
}

impl BlockBatches<'_> {
    /// The next batch, or `None` at the end. After an error nothing more may be asked.
    pub fn next(&mut self) -> Result<Option<MetricBatch>> {
        let mut batch = MetricBatch::default();
        let mut histogram_bytes = 0;
        while batch.times_ms.len() < BATCH_ROWS && batch.series.len() < BATCH_SERIES && histogram_bytes < BATCH_BYTES {
            let Some(series) = self.index.next()? else { break };
            if !self.matchers.iter().all(|matcher| matcher.matches_labels(series.labels.as_ref())) {
                continue;
            }
            let points = self.points(&series)?;
            if points.times_ms.is_empty() {
                continue;
            }
            let base = batch.times_ms.len();
            for (row, histogram) in points.histograms {
                histogram_bytes += 200 + 8 * (histogram.positive_runs.len() + histogram.negative_runs.len());
                batch.histograms.push((base + row, histogram));
            }
            batch.times_ms.extend_from_slice(&points.times_ms);
            batch.values.extend_from_slice(&points.values);
            batch.series.push(series.labels);
            batch.ends.push(batch.times_ms.len());
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn points(&mut self, series: &IndexedSeries) -> Result<Points> {
        let (range, gone) = (self.range, self.tombstones.of(series.id));
        let wanted = |time: i64| range.contains(time) && !gone.iter().any(|gone| gone.contains(time));
        let mut points = Points::default();
        for chunk in &series.chunks {
            if !range.overlaps(RangeMs::new(chunk.min_ms, chunk.max_ms)) {
                continue;
            }
            let (encoding, data) = self.chunks.chunk(chunk.reference)?;
            let before = points.times_ms.len();
            let read = points.read(encoding, &data, wanted);
            read.map_err(|error| self.chunks.corrupt(chunk.reference, error.to_string()))?;
            let added = points.times_ms.get(before.saturating_sub(1)..).unwrap_or_default();
            let inside =
                added.iter().skip(usize::from(before > 0)).all(|time| (chunk.min_ms..=chunk.max_ms).contains(time));
            if !inside || added.windows(2).any(|pair| matches!(pair, [a, b] if a >= b)) {
                let why = "its times run backwards, or are not those that the index names";
                return Err(self.chunks.corrupt(chunk.reference, why));
            }
        }
        Ok(points)
    }
}
