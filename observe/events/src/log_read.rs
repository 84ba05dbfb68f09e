//! Reading lines: a merge over chunks of the head and blocks of segments, each opened when its time has come.

use std::collections::BTreeSet;
use std::sync::Arc;

use ahash::AHashMap;
use base_signal::{Labels, Matcher, RangeNs, TenantId};
use observe_block::{BlockError, SegmentKind};
use observe_source::{
    Annotations, Budget, Cancel, LogBatch, LogBatches, LogSource, Reservation, SelectLogs, SourceError,
};

use crate::log_part::{Item, Numbers, Part, UNWANTED, Wanted, next_moment};
use crate::log_segment::{BlockMeta, LogSegment};
use crate::merge::Merge;
use crate::store::{EventStore, source_error};

/// A reader with a limit stops early, so the first batches are small.
const FIRST_ROWS: usize = 64;
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 512 << 10;
struct Reader {
    merge: Merge<Part, Item>,
    ahead: Option<Item>,
    wanted: Wanted,
    streams: Vec<Labels>,
    budget: Budget,
    cancel: Cancel,
    annotations: Annotations,
    /// Rows of the next batch.
    rows: usize,
    _held: [Reservation; 2],
}

impl LogBatches for Reader {
    fn next(&mut self) -> Result<Option<LogBatch>, SourceError> {
        self.cancel.check()?;
        let mut batch = LogBatch::default();
        let mut local: AHashMap<u32, u32> = AHashMap::new();
        let rows = self.rows;
        self.rows = (rows * 2).min(BATCH_ROWS);
        while batch.len() < rows && batch.text.len() < BATCH_BYTES {
            let Reader { merge, ahead, wanted, budget, annotations, cancel, .. } = self;
            let load = |part| {
                cancel.check()?;
                wanted.load(part, budget, annotations)
            };
            let moment = next_moment(merge, ahead, load, wanted.backward)?;
            if moment.is_empty() {
                break;
            }
            for item in &moment {
                let (time_ns, stream) =
                    if self.wanted.backward { (!item.rank, !item.stream) } else { (item.rank, item.stream) };
                let next = batch.streams.len() as u32;
                let number = *local.entry(stream).or_insert(next);
                if number == next {
                    batch.streams.extend(self.streams.get(stream as usize).cloned());
                }
                let (line, metadata) = item.content();
                batch.push(number, time_ns, line, metadata.to_vec());
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn annotations(&mut self) -> Annotations {
        std::mem::take(&mut self.annotations)
    }
}

fn all(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches_labels(labels.as_ref()))
}

impl EventStore {
    /// Open log segments of the tenant that overlap the range.
    fn log_segments<'a>(&'a self, tenant: &'a TenantId, range: RangeNs) -> impl Iterator<Item = &'a Arc<LogSegment>> {
        self.metas(tenant, SegmentKind::Logs, range).filter_map(|meta| self.logs.get(&meta.id))
    }
}

/// Blocks that may hold a wanted stream in the range.
fn blocks<'a>(segment: &'a LogSegment, map: &'a [u32], range: RangeNs) -> impl Iterator<Item = (usize, &'a BlockMeta)> {
    let wanted = move |block: &BlockMeta| {
        let streams = map.get(block.stream_first as usize..=block.stream_last as usize);
        block.range().overlaps(range) && streams.is_some_and(|s| s.iter().any(|number| *number != UNWANTED))
    };
    segment.blocks.iter().enumerate().filter(move |(_, block)| wanted(block))
}

impl LogSource for EventStore {
    fn select_logs(&self, request: &SelectLogs<'_>) -> Result<Box<dyn LogBatches>, SourceError> {
        request.cancel.check()?;
        let range = self.kept(request.range);
        let wanted = Wanted::new(request, range);
        let streams = || self.heads_of(request.tenant).flat_map(|head| &head.logs.streams);
        let in_head = || streams().filter(|stream| all(request.matchers, &stream.labels));
        let segments: Vec<&Arc<LogSegment>> = self.log_segments(request.tenant, range).collect();
        let hit = |segment: &LogSegment| -> Vec<bool> {
            let near = |s: &crate::log_segment::StreamMeta| range.overlaps(RangeNs::new(s.time_min, s.time_max));
            segment.streams.iter().map(|s| near(s) && all(request.matchers, &s.labels)).collect()
        };
        let hits: Vec<Vec<bool>> = segments.iter().map(|segment| hit(segment)).collect();
        let mut labels: BTreeSet<&Labels> = in_head().map(|stream| &stream.labels).collect();
        for (segment, hits) in segments.iter().zip(&hits) {
            labels.extend(segment.streams.iter().zip(hits).filter(|(_, hit)| **hit).map(|(s, _)| &s.labels));
        }
        let tables: usize = hits.iter().map(|hits| hits.len() * 4).sum();
        let held = request.budget.reserve((labels.len() * 64 + tables) as u64)?;
        let streams: Vec<Labels> = labels.into_iter().cloned().collect();
        let numbers: AHashMap<&Labels, u32> = streams.iter().enumerate().map(|(i, l)| (l, i as u32)).collect();
        let mut parts = Vec::new();
        for stream in in_head() {
            let Some(number) = numbers.get(&stream.labels) else { continue };
            for chunk in &stream.chunks {
                let there = RangeNs::new(chunk.time_min, chunk.time_max);
                if there.overlaps(range) {
                    let part = Part::Chunk { columns: Arc::clone(&chunk.columns), stream: *number };
                    parts.push((wanted.first_rank(there), part));
                }
            }
        }
        for (segment, hits) in segments.into_iter().zip(hits) {
            let number = |(stream, hit): (&crate::log_segment::StreamMeta, bool)| match hit {
                true => numbers.get(&stream.labels).copied().unwrap_or(UNWANTED),
                false => UNWANTED,
            };
            let map: Arc<Vec<u32>> = Arc::new(segment.streams.iter().zip(hits).map(number).collect());
            for (block, meta) in blocks(segment, &map, range) {
                let part = Part::Block { segment: Arc::clone(segment), block, numbers: Numbers::Map(Arc::clone(&map)) };
                parts.push((wanted.first_rank(meta.range()), part));
            }
        }
        drop(numbers);
        let waiting = request.budget.reserve((parts.len() * size_of::<(i64, Part)>()) as u64)?;
        let (budget, cancel) = (request.budget.clone(), request.cancel.clone());
        let (merge, annotations) = (Merge::new(parts), Annotations::default());
        Ok(Box::new(Reader {
            merge,
            ahead: None,
            wanted,
            streams,
            budget,
            cancel,
            annotations,
            rows: FIRST_ROWS,
            _held: [held, waiting],
        }))
    }

    fn streams(
        &self,
        tenant: &TenantId,
        matchers: &[Vec<Matcher>],
        range: RangeNs,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        let range = self.kept(range);
        let any = |labels: &Labels| matchers.is_empty() || matchers.iter().any(|set| all(set, labels));
        let mut found: BTreeSet<Labels> = BTreeSet::new();
        let mut held = Vec::new();
        for stream in self.heads_of(tenant).flat_map(|head| &head.logs.streams) {
            let inside = |c: &crate::head::Chunk| range.contains(c.time_min) || range.contains(c.time_max);
            let within = |c: &crate::head::Chunk| c.columns.times_ns.iter().any(|time| range.contains(*time));
            if any(&stream.labels) && stream.chunks.iter().any(|chunk| inside(chunk) || within(chunk)) {
                held.push(budget.reserve(64)?);
                found.insert(stream.labels.clone());
            }
        }
        for segment in self.log_segments(tenant, range) {
            let mut unsure = Vec::new();
            for (number, stream) in segment.streams.iter().enumerate() {
                let there = RangeNs::new(stream.time_min, stream.time_max);
                if !there.overlaps(range) || found.contains(&stream.labels) || !any(&stream.labels) {
                    continue;
                }
                if range.contains(stream.time_min) || range.contains(stream.time_max) {
                    held.push(budget.reserve(64)?);
                    found.insert(stream.labels.clone());
                } else {
                    unsure.push(number as u32);
                }
            }
            // The stream began before and ended after the range: only its lines can tell.
            if !unsure.is_empty() {
                let _reading = budget.reserve(self.settings.block_bytes as u64 * 2)?;
                for number in present(segment, &unsure, range).map_err(source_error)? {
                    found.extend(segment.streams.get(number as usize).map(|stream| stream.labels.clone()));
                }
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// Of the streams (sorted numbers) those with a line in the range. A damaged block counts as holding none.
fn present(segment: &LogSegment, unsure: &[u32], range: RangeNs) -> Result<BTreeSet<u32>, BlockError> {
    let mut found = BTreeSet::new();
    for block in segment.blocks.iter().filter(|block| block.range().overlaps(range)) {
        let asked = |n: &u32| (block.stream_first..=block.stream_last).contains(n);
        if !unsure.iter().any(|n| asked(n) && !found.contains(n)) {
            continue;
        }
        // Of a block of one stream the first or last line may tell already.
        let ends = range.contains(block.time_min) || range.contains(block.time_max);
        if ends && block.stream_first == block.stream_last {
            found.insert(block.stream_first);
            continue;
        }
        match segment.read(block) {
            Ok(columns) => {
                let there = columns.streams.iter().zip(&columns.times_ns).filter(|(_, time)| range.contains(**time));
                found.extend(there.map(|(stream, _)| *stream).filter(|stream| unsure.binary_search(stream).is_ok()));
            }
            Err(error) if error.is_corrupt() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
