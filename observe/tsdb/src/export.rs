//! From a source of metrics to blocks: one for every two hours, as Prometheus cuts them, and more of the same hours when
//! the series of one would take more memory than they may.

use std::hash::BuildHasher;
use std::path::Path;

use base_signal::{Matcher, RangeMs, TenantId};
use base_world::World;
use hashbrown::HashSet;
use observe_source::{Budget, Cancel, LabelQuery, MetricBatch, MetricSource, SelectHints, SelectMetrics};

use crate::block_write::BlockWriter;
use crate::chunk::Point;
use crate::error::Result;
use crate::meta::{BlockMeta, BlockStats};

/// What a block of Prometheus's head covers.
pub const BLOCK_MS: i64 = 2 * 3_600_000;
/// Beyond so many blocks it is first asked where there is anything: a year.
const BLOCKS_AT_ONCE: i64 = 4383;

/// What is to be written.
pub struct Export<'a> {
    pub tenant: &'a TenantId,
    /// All must match; none for everything.
    pub matchers: &'a [Matcher],
    /// Both ends included.
    pub range: RangeMs,
    /// Memory for the index of a block.
    pub index_bytes_max: usize,
    /// For what is read.
    pub budget: &'a Budget,
    pub cancel: &'a Cancel,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    pub blocks: Vec<BlockMeta>,
    /// Different ones, counted by a hash of their labels: one in many millions may be missed.
    pub series: u64,
    pub bytes: u64,
    /// What the source had to say, such as data that cannot be read.
    pub warnings: Vec<String>,
}

/// Writes blocks into a folder, which is made if need be; blocks that are there stay. `each` hears of every block.
pub fn export(
    world: &World,
    out: &Path,
    source: &dyn MetricSource,
    wanted: &Export<'_>,
    each: &mut dyn FnMut(&BlockMeta),
) -> Result<Exported> {
    world.disk.create_folder(out)?;
    let mut exporting =
        Exporting { world, out, source, wanted, each, series: HashSet::new(), done: Exported::default() };
    let first = wanted.range.start_ms.div_euclid(BLOCK_MS);
    let last = wanted.range.end_ms.div_euclid(BLOCK_MS);
    exporting.windows(first, last)?;
    let mut done = exporting.done;
    done.series = exporting.series.len() as u64;
    done.warnings.sort();
    done.warnings.dedup();
    Ok(done)
}

struct Exporting<'a> {
    world: &'a World,
    out: &'a Path,
    source: &'a dyn MetricSource,
    wanted: &'a Export<'a>,
    each: &'a mut dyn FnMut(&BlockMeta),
    series: HashSet<u64>,
    done: Exported,
}

impl Exporting<'_> {
    /// The two hours of the numbers from first to last; long stretches without a sample cost little.
    fn windows(&mut self, first: i64, last: i64) -> Result<()> {
        if last.saturating_sub(first) < BLOCKS_AT_ONCE {
            for window in first..=last {
                self.window(self.range(window, window))?;
            }
            return Ok(());
        }
        let wanted = self.wanted;
        let matchers = [wanted.matchers.to_vec()];
        let query = LabelQuery {
            tenant: wanted.tenant,
            matchers: if wanted.matchers.is_empty() { &[] } else { &matchers },
            range: self.range(first, last),
            limit: 1,
            budget: wanted.budget,
            cancel: wanted.cancel,
        };
        if self.source.series(&query)?.0.is_empty() {
            return Ok(());
        }
        let middle = first + (last - first) / 2;
        self.windows(first, middle)?;
        self.windows(middle + 1, last)
    }

    fn range(&self, first: i64, last: i64) -> RangeMs {
        let (start, end) = (first.saturating_mul(BLOCK_MS), last.saturating_mul(BLOCK_MS).saturating_add(BLOCK_MS - 1));
        RangeMs::new(start.max(self.wanted.range.start_ms), end.min(self.wanted.range.end_ms))
    }

    fn window(&mut self, range: RangeMs) -> Result<()> {
        let wanted = self.wanted;
        let request = SelectMetrics {
            tenant: wanted.tenant,
            matchers: wanted.matchers,
            range,
            hints: SelectHints::default(),
            budget: wanted.budget,
            cancel: wanted.cancel,
        };
        let mut batches = self.source.select(&request)?;
        let mut block: Option<BlockWriter> = None;
        while let Some(batch) = batches.next()? {
            let mut histograms = batch.histograms.iter().peekable();
            for i in 0..batch.len() {
                let writer = match &mut block {
                    Some(writer) => writer,
                    None => block.insert(BlockWriter::create(self.world, self.out)?),
                };
                let points = points(&batch, i, &mut histograms);
                let Some(labels) = batch.series.get(i) else { continue };
                self.series.insert(self.series.hasher().hash_one(labels.as_bytes()));
                writer.add(labels.as_ref(), points)?;
                if writer.size_bytes() > wanted.index_bytes_max {
                    self.finish(block.take())?;
                }
            }
        }
        let annotations = batches.annotations();
        self.done.warnings.extend(annotations.of(observe_source::Level::Warning).map(str::to_owned));
        self.finish(block)
    }

    fn finish(&mut self, block: Option<BlockWriter>) -> Result<()> {
        let Some(block) = block else { return Ok(()) };
        if let Some((meta, bytes)) = block.finish()? {
            (self.each)(&meta);
            self.done.bytes += bytes;
            self.done.blocks.push(meta);
        }
        Ok(())
    }
}

/// The points of series `i`; series are asked for in turn.
fn points<'b>(
    batch: &'b MetricBatch,
    i: usize,
    histograms: &mut std::iter::Peekable<std::slice::Iter<'b, (usize, base_signal::NativeHistogram)>>,
) -> impl Iterator<Item = (i64, Point<'b>)> {
    batch.rows(i).filter_map(move |row| {
        let time_ms = *batch.times_ms.get(row)?;
        let point = match histograms.next_if(|(at, _)| *at == row) {
            Some((_, histogram)) => Point::Histogram(histogram),
            None => Point::Float(*batch.values.get(row)?),
        };
        Some((time_ms, point))
    })
}

impl Exported {
    /// Of all blocks together; a series counts in each.
    pub fn stats(&self) -> BlockStats {
        self.blocks.iter().map(|block| block.stats).fold(BlockStats::default(), |all, one| BlockStats {
            num_samples: all.num_samples + one.num_samples,
            num_float_samples: all.num_float_samples + one.num_float_samples,
            num_histogram_samples: all.num_histogram_samples + one.num_histogram_samples,
            num_series: all.num_series + one.num_series,
            num_chunks: all.num_chunks + one.num_chunks,
        })
    }
}
