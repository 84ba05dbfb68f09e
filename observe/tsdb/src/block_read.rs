//! A block as batches of series: what matches and was not deleted, in the order of labels.

use std::path::{Path, PathBuf};

use base_signal::{Buckets, Matcher, NativeHistogram, RangeMs};
use base_world::World;
use observe_source::MetricBatch;

use crate::chunk::Points;
use crate::chunk_files::ChunkReader;
use crate::error::Result;
use crate::index_read::{IndexReader, IndexedChunk, IndexedSeries};
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
            open: None,
        })
    }
}

/// Batches in turn; series come sorted by labels, a long one in several batches.
pub struct BlockBatches<'m> {
    index: IndexReader,
    chunks: ChunkReader,
    tombstones: Tombstones,
    matchers: &'m [Matcher],
    range: RangeMs,
    open: Option<Open>,
}

/// The series that is being read.
struct Open {
    series: IndexedSeries,
    /// The chunk that comes next.
    next: usize,
    /// Of the points so far.
    last_ms: Option<i64>,
}

impl BlockBatches<'_> {
    /// The next batch, or `None` at the end. After an error nothing more may be asked.
    pub fn next_batch(&mut self) -> Result<Option<MetricBatch>> {
        let (mut batch, mut histogram_bytes) = (MetricBatch::default(), 0);
        let full = |batch: &MetricBatch, histogram_bytes: usize| {
            batch.times_ms.len() >= BATCH_ROWS || batch.series.len() >= BATCH_SERIES || histogram_bytes >= BATCH_BYTES
        };
        while !full(&batch, histogram_bytes) {
            let Some(mut open) = self.series()? else { break };
            let before = batch.times_ms.len();
            while let Some(chunk) = open.series.chunks.get(open.next).copied() {
                let points = self.points(&open, chunk)?;
                open.last_ms = points.times_ms.last().copied().or(open.last_ms);
                open.next += 1;
                let base = batch.times_ms.len();
                for (row, histogram) in points.histograms {
                    histogram_bytes += size_bytes(&histogram);
                    batch.histograms.push((base + row, histogram));
                }
                batch.times_ms.extend_from_slice(&points.times_ms);
                batch.values.extend_from_slice(&points.values);
                if full(&batch, histogram_bytes) {
                    break;
                }
            }
            if batch.times_ms.len() > before {
                batch.series.push(open.series.labels.clone());
                batch.ends.push(batch.times_ms.len());
            }
            if open.next < open.series.chunks.len() {
                self.open = Some(open);
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// What is left of the last series, or the next that matches.
    fn series(&mut self) -> Result<Option<Open>> {
        if let Some(open) = self.open.take() {
            return Ok(Some(open));
        }
        while let Some(series) = self.index.next()? {
            if self.matchers.iter().all(|matcher| matcher.matches_labels(series.labels.as_ref())) {
                return Ok(Some(Open { series, next: 0, last_ms: None }));
            }
        }
        Ok(None)
    }

    fn points(&mut self, open: &Open, chunk: IndexedChunk) -> Result<Points> {
        let mut points = Points::default();
        let (range, inside) = (self.range, RangeMs::new(chunk.min_ms, chunk.max_ms));
        if !range.overlaps(inside) {
            return Ok(points);
        }
        let (encoding, data) = self.chunks.chunk(chunk.reference)?;
        let gone = self.tombstones.of(open.series.id);
        let (mut before, mut sound) = (open.last_ms, true);
        let read = points.read(encoding, &data, |time| {
            sound &= inside.contains(time) && before.is_none_or(|before| before < time);
            before = Some(time);
            range.contains(time) && !gone.contains(time)
        });
        read.map_err(|error| self.chunks.corrupt(chunk.reference, error.to_string()))?;
        if !sound {
            let why = "its times run backwards, or are not those that the index names";
            return Err(self.chunks.corrupt(chunk.reference, why));
        }
        Ok(points)
    }
}

fn size_bytes(histogram: &NativeHistogram) -> usize {
    let buckets = match &histogram.buckets {
        Buckets::Integer { positive, negative, .. } => positive.len() + negative.len(),
        Buckets::Float { positive, negative, .. } => positive.len() + negative.len(),
    };
    let runs = histogram.positive_runs.len() + histogram.negative_runs.len();
    200 + 8 * (runs + buckets + histogram.custom_bounds.len())
}
