//! The long work of a flush and of a merge, apart from the store: a job holds what it reads, may run on any thread while
//! the store takes and answers, and ends in segments that are durable but not yet in force. See `flush`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base_signal::{Labels, RangeNs, Span, TenantId};
use base_world::World;
use observe_block::{Lsn, SegmentKind, SegmentMeta, SegmentSummary};
use observe_source::{Annotations, Budget, SourceError};

use crate::columns::LogColumns;
use crate::head::{Head, LogHead, SpanHead, key};
use crate::log_part::{self, next_moment};
use crate::log_segment::LogSegment;
use crate::log_segment_write::LogSegmentWriter;
use crate::merge::Merge;
use crate::span_read;
use crate::span_segment::SpanSegment;
use crate::span_segment_write::SpanSegmentWriter;
use crate::store::{LOGS, SPANS, source_error};

/// More windows than this in one flush are a mistake of someone's clock: they go into one segment.
const WINDOWS_MAX: usize = 64;

type Result<T> = std::result::Result<T, SourceError>;

/// A segment that is durable.
#[derive(Clone)]
pub(crate) enum Opened {
    Logs(Arc<LogSegment>),
    Spans(Arc<SpanSegment>),
}

/// Where segments are written, and those that are.
pub(crate) struct Out {
    pub(crate) world: World,
    pub(crate) folder: PathBuf,
    /// Shared by all jobs and the store: the last id that was given.
    pub(crate) ids: Arc<AtomicU64>,
    pub(crate) block_bytes: usize,
    pub(crate) fresh: Vec<(SegmentMeta, Opened)>,
}

/// Durable segments that wait for [`crate::EventStore::install`].
pub struct Written {
    pub(crate) out: Out,
    /// Segments that these take the place of.
    pub(crate) replaces: Vec<u64>,
    /// For a flush: the log up to here is in these segments.
    pub(crate) covers: Option<Lsn>,
}

/// Writes to segments what was in memory when it was begun.
pub struct FlushJob {
    pub(crate) heads: BTreeMap<TenantId, Arc<Head>>,
    pub(crate) covers: Lsn,
    pub(crate) window_ns: i64,
    pub(crate) oldest_ns: i64,
    pub(crate) out: Out,
}

/// Writes one segment from several of one kind, without what is expired.
pub struct MergeJob {
    pub(crate) logs: Vec<Arc<LogSegment>>,
    pub(crate) spans: Vec<Arc<SpanSegment>>,
    pub(crate) oldest_ns: i64,
    pub(crate) out: Out,
}

impl Out {
    fn path(&self, extension: &str) -> (u64, String, PathBuf) {
        let id = self.ids.fetch_add(1, Ordering::SeqCst) + 1;
        let name = format!("{id:016x}{extension}");
        let path = self.folder.join(&name);
        (id, name, path)
    }

    fn lines(&mut self, tenant: &str, level: u8, fill: impl FnOnce(&mut LogSegmentWriter) -> Result<()>) -> Result<()> {
        let (id, file, path) = self.path(LOGS);
        let writer = LogSegmentWriter::create(&self.world, &path, tenant, level, self.block_bytes);
        let mut writer = writer.map_err(source_error)?;
        fill(&mut writer)?;
        if writer.is_empty() {
            return Ok(());
        }
        let (summary, bytes) = writer.finish().map_err(source_error)?;
        let segment = LogSegment::open(&self.world, &path, id).map_err(source_error)?;
        let meta = entry(id, SegmentKind::Logs, tenant, file, &summary, bytes);
        self.fresh.push((meta, Opened::Logs(Arc::new(segment))));
        Ok(())
    }

    fn spans(
        &mut self,
        tenant: &str,
        level: u8,
        fill: impl FnOnce(&mut SpanSegmentWriter) -> Result<()>,
    ) -> Result<()> {
        let (id, file, path) = self.path(SPANS);
        let writer = SpanSegmentWriter::create(&self.world, &path, tenant, level, self.block_bytes);
        let mut writer = writer.map_err(source_error)?;
        fill(&mut writer)?;
        if writer.is_empty() {
            return Ok(());
        }
        let (summary, bytes) = writer.finish().map_err(source_error)?;
        let segment = SpanSegment::open(&self.world, &path, id).map_err(source_error)?;
        let meta = entry(id, SegmentKind::Spans, tenant, file, &summary, bytes);
        self.fresh.push((meta, Opened::Spans(Arc::new(segment))));
        Ok(())
    }

    /// Files that will not come into force: their room is wanted back. One that cannot be removed is an orphan at open.
    pub(crate) fn discard(&self) {
        for (meta, _) in &self.fresh {
            let _ = self.world.disk.remove(&self.folder.join(&meta.file));
        }
    }
}

impl FlushJob {
    /// Does the work. `Shed` when the disk is full: nothing is left of it, and the job may be begun again.
    pub fn run(mut self) -> Result<Written> {
        for (tenant, head) in std::mem::take(&mut self.heads) {
            let lines = self.write_lines(&tenant, &head.logs);
            if let Err(error) = lines.and_then(|()| self.write_spans(&tenant, &head.spans)) {
                self.out.discard();
                return Err(error);
            }
        }
        Ok(Written { out: self.out, replaces: Vec::new(), covers: Some(self.covers) })
    }

    fn write_lines(&mut self, tenant: &TenantId, head: &LogHead) -> Result<()> {
        let chunks = head.streams.iter().flat_map(|stream| &stream.chunks);
        let times = chunks.flat_map(|chunk| chunk.columns.times_ns.iter().copied());
        let mut streams: Vec<_> = head.streams.iter().collect();
        streams.sort_by(|a, b| a.labels.cmp(&b.labels));
        for range in self.windows(times, head.range()) {
            self.out.lines(tenant.as_str(), 0, |writer| {
                streams.iter().try_for_each(|stream| {
                    let parts = stream.chunks.iter().map(|chunk| {
                        (chunk.time_min, log_part::Part::Chunk { columns: Arc::clone(&chunk.columns), stream: 0 })
                    });
                    push_stream(writer, &stream.labels, parts.collect(), range)
                })
            })?;
        }
        Ok(())
    }

    fn write_spans(&mut self, tenant: &TenantId, head: &SpanHead) -> Result<()> {
        let starts = || head.iter().map(|span| span.start_ns);
        let range = starts().min().zip(starts().max()).map(|(min, max)| RangeNs::new(min, max));
        let mut spans: Vec<&Arc<Span>> = head.iter().collect();
        spans.sort_by_key(|span| (!span.start_ns, key(span)));
        for range in self.windows(starts(), range) {
            self.out.spans(tenant.as_str(), 0, |writer| {
                let mut inside = spans.iter().filter(|span| range.contains(span.start_ns));
                inside.try_for_each(|span| writer.push(span).map_err(source_error))
            })?;
        }
        Ok(())
    }

    /// The ranges of the windows that hold any of the times and are not expired, oldest first.
    fn windows(&self, times_ns: impl Iterator<Item = i64>, all: Option<RangeNs>) -> Vec<RangeNs> {
        let Some(all) = all else { return Vec::new() };
        let kept = RangeNs::new(all.start_ns.max(self.oldest_ns), all.end_ns);
        let window_of = |time: i64| time.div_euclid(self.window_ns);
        let windows: BTreeSet<i64> = times_ns.filter(|time| kept.contains(*time)).map(window_of).collect();
        if windows.len() > WINDOWS_MAX {
            return vec![kept];
        }
        let range = |window: i64| {
            let start_ns = window.saturating_mul(self.window_ns);
            let end_ns = start_ns.saturating_add(self.window_ns - 1);
            RangeNs::new(start_ns.max(kept.start_ns), end_ns.min(kept.end_ns))
        };
        windows.into_iter().map(range).collect()
    }
}

impl MergeJob {
    /// Does the work. A damaged input is noted by its segment and spoils the merge: it is left alone from then on.
    pub fn run(mut self) -> Result<Written> {
        let ids = self.logs.iter().map(|input| input.id).chain(self.spans.iter().map(|input| input.id));
        let replaces = ids.collect();
        let written = if self.logs.is_empty() { self.merge_spans() } else { self.merge_lines() };
        match written {
            Ok(()) => Ok(Written { out: self.out, replaces, covers: None }),
            Err(error) => {
                self.out.discard();
                Err(error)
            }
        }
    }

    fn merge_lines(&mut self) -> Result<()> {
        let inputs = std::mem::take(&mut self.logs);
        let Some(first) = inputs.first() else { return Ok(()) };
        let level = inputs.iter().map(|input| input.reader.summary().level).max().unwrap_or(0).saturating_add(1);
        let kept = RangeNs::new(self.oldest_ns, i64::MAX);
        self.out.lines(first.reader.tenant(), level, |writer| {
            fill_lines(writer, &inputs, kept)?;
            // What is damaged was left out of the copy, so the copy must not take the place of the original.
            whole(inputs.iter().map(|input| &input.damage))
        })
    }

    fn merge_spans(&mut self) -> Result<()> {
        let inputs = std::mem::take(&mut self.spans);
        let Some(first) = inputs.first() else { return Ok(()) };
        let level = inputs.iter().map(|input| input.reader.summary().level).max().unwrap_or(0).saturating_add(1);
        let kept = RangeNs::new(self.oldest_ns, i64::MAX);
        self.out.spans(first.reader.tenant(), level, |writer| {
            fill_spans(writer, &inputs, kept)?;
            whole(inputs.iter().map(|input| &input.damage))
        })
    }
}

type Noted = parking_lot::Mutex<Option<observe_block::BlockError>>;

fn whole<'a>(mut damages: impl Iterator<Item = &'a Noted>) -> Result<()> {
    match damages.find_map(|damage| damage.lock().clone()) {
        Some(error) => Err(source_error(error)),
        None => Ok(()),
    }
}

fn fill_lines(writer: &mut LogSegmentWriter, inputs: &[Arc<LogSegment>], kept: RangeNs) -> Result<()> {
    let labels: BTreeSet<&Labels> = inputs.iter().flat_map(|i| i.streams.iter().map(|s| &s.labels)).collect();
    // Small streams share blocks: the last one of each input is kept, so that it is unpacked once and not per stream.
    let mut last: Vec<Option<(usize, Arc<LogColumns>)>> = vec![None; inputs.len()];
    for labels in labels {
        let mut chunks = Vec::new();
        for (input, last) in inputs.iter().zip(&mut last) {
            let Ok(number) = input.streams.binary_search_by(|stream| stream.labels.cmp(labels)) else { continue };
            for (block, meta) in input.blocks_of(number as u32).filter(|(_, meta)| meta.range().overlaps(kept)) {
                if meta.stream_first == meta.stream_last {
                    let numbers = log_part::Numbers::One(0);
                    let part = log_part::Part::Block { segment: Arc::clone(input), block, numbers };
                    chunks.push((meta.time_min, part));
                    continue;
                }
                let columns = match last {
                    Some((number, columns)) if *number == block => Arc::clone(columns),
                    _ => input.read(meta).map_err(source_error)?,
                };
                *last = Some((block, Arc::clone(&columns)));
                let own = Arc::new(of_stream(&columns, number as u32));
                chunks.push((meta.time_min, log_part::Part::Chunk { columns: own, stream: 0 }));
            }
        }
        push_stream(writer, labels, chunks, kept)?;
    }
    Ok(())
}

fn fill_spans(writer: &mut SpanSegmentWriter, inputs: &[Arc<SpanSegment>], kept: RangeNs) -> Result<()> {
    let groups = inputs.iter().flat_map(|input| {
        let group = |(group, meta): (usize, &crate::span_segment::GroupMeta)| {
            (!meta.start_max, span_read::Part::Group { segment: Arc::clone(input), group })
        };
        input.groups.iter().enumerate().map(group)
    });
    let mut merge = Merge::new(groups.collect());
    let (wanted, budget) = (span_read::Wanted::all(kept), Budget::unlimited());
    // The same span sent twice has the same start, so its copies are neighbours here; others are told apart when read.
    let mut before = None;
    while let Some(span_read::Item(span)) = merge.next(&mut |part| wanted.load(part, &budget))? {
        let this = Some((span.start_ns, key(&span)));
        if this != before {
            writer.push(&span).map_err(source_error)?;
        }
        before = this;
    }
    Ok(())
}

/// Writes the lines of one stream in order, each once.
fn push_stream(
    writer: &mut LogSegmentWriter,
    labels: &Labels,
    parts: Vec<(i64, log_part::Part)>,
    range: RangeNs,
) -> Result<()> {
    let wanted = log_part::Wanted::all(range, false);
    let (mut merge, mut ahead, budget) = (Merge::new(parts), None, Budget::unlimited());
    let mut annotations = Annotations::default();
    loop {
        let load = |part| wanted.load(part, &budget, &mut annotations);
        let moment = next_moment(&mut merge, &mut ahead, load, false)?;
        if moment.is_empty() {
            return Ok(());
        }
        for item in &moment {
            writer.push(labels, &item.columns, item.row as usize).map_err(source_error)?;
        }
    }
}

/// The rows of one stream.
fn of_stream(columns: &LogColumns, number: u32) -> LogColumns {
    let mut own = LogColumns::default();
    for (row, stream) in columns.streams.iter().enumerate().filter(|(_, stream)| **stream == number) {
        if let (Some(time), Some(arrival)) = (columns.times_ns.get(row), columns.arrivals.get(row)) {
            own.push(*stream, *time, *arrival, columns.line(row), columns.metadata(row));
        }
    }
    own
}

fn entry(id: u64, kind: SegmentKind, tenant: &str, file: String, summary: &SegmentSummary, bytes: u64) -> SegmentMeta {
    let (time_min, time_max, rows, level) = (summary.time_min, summary.time_max, summary.rows, summary.level);
    SegmentMeta { id, kind, level, tenant: tenant.to_owned(), file, time_min, time_max, rows, bytes, extra: Vec::new() }
}
