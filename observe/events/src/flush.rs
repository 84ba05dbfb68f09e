//! From memory to segments, from small segments to larger ones, and out. The order is always the same: new files durable,
//! then the manifest, then the log is truncated and old files removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use base_signal::{Labels, RangeNs, Span, TenantId};
use observe_block::{Manifest, SegmentKind, SegmentMeta, SegmentSummary, plan};
use observe_source::{Annotations, Budget, SourceError};

use crate::columns::LogColumns;
use crate::head::{LogHead, SpanHead, key};
use crate::log_read;
use crate::log_segment::{LogSegment, LogSegmentWriter};
use crate::merge::Merge;
use crate::span_read;
use crate::span_segment::SpanSegment;
use crate::span_segment_write::SpanSegmentWriter;
use crate::store::{EventStore, LOGS, SPANS, encode_extra, source_error};

/// More windows than this in one flush are a mistake of someone's clock: they go into one segment.
const WINDOWS_MAX: usize = 64;

type Result<T> = std::result::Result<T, SourceError>;

/// Segments that are durable and not yet in force.
#[derive(Default)]
struct Fresh {
    logs: Vec<Arc<LogSegment>>,
    spans: Vec<Arc<SpanSegment>>,
}

impl EventStore {
    /// Writes all that is in memory to segments and truncates the log. `Shed` when the disk is full: nothing changed.
    pub fn flush(&mut self) -> Result<()> {
        self.check()?;
        let covered = self.wal.last_lsn();
        if self.heads.is_empty() && self.manifest.wal_covered == covered {
            return Ok(());
        }
        let mut next = self.manifest.clone();
        let mut fresh = Fresh::default();
        for (tenant, head) in &self.heads {
            let logs = self.write_lines(tenant, &head.logs, &mut next, &mut fresh);
            if let Err(error) = logs.and_then(|()| self.write_spans(tenant, &head.spans, &mut next, &mut fresh)) {
                self.discard(&fresh);
                return Err(error);
            }
        }
        next.wal_covered = covered;
        next.extra = encode_extra(self.next_arrival);
        self.commit(next, fresh)?;
        self.heads.clear();
        self.wal.truncate_through(covered).map_err(|error| self.fail(error))
    }

    /// Merges small segments. Returns how many merges were done; 0 when there is nothing left to do.
    pub fn compact(&mut self) -> Result<usize> {
        self.check()?;
        let timetable = self.settings.timetable(self.wal.disk_bytes());
        let whole: Vec<SegmentMeta> =
            self.manifest.segments.iter().filter(|meta| !self.is_damaged(meta.id)).cloned().collect();
        let work = plan(&whole, self.world.clock.now_ns(), &timetable);
        let mut done = 0;
        for group in &work.merge {
            done += usize::from(self.merge(group)?);
        }
        Ok(done)
    }

    /// Drops segments that are wholly expired, by age or by size. Returns how many.
    pub fn enforce_retention(&mut self) -> Result<usize> {
        self.check()?;
        let timetable = self.settings.timetable(self.wal.disk_bytes());
        let work = plan(&self.manifest.segments, self.world.clock.now_ns(), &timetable);
        if !work.drop.is_empty() {
            let mut next = self.manifest.clone();
            next.segments.retain(|meta| !work.drop.contains(&meta.id));
            self.commit(next, Fresh::default())?;
        }
        Ok(work.drop.len())
    }

    fn write_lines(&self, tenant: &TenantId, head: &LogHead, next: &mut Manifest, fresh: &mut Fresh) -> Result<()> {
        let chunks = head.streams.iter().flat_map(|stream| &stream.chunks);
        let times = chunks.flat_map(|chunk| chunk.columns.times_ns.iter().copied());
        let mut streams: Vec<_> = head.streams.iter().collect();
        streams.sort_by(|a, b| a.labels.cmp(&b.labels));
        for range in self.windows(times, head.range()) {
            let (id, name) = begin(next, LOGS);
            let path = self.folder.join(&name);
            let writer = LogSegmentWriter::create(&self.world, &path, tenant.as_str(), 0, self.settings.block_bytes);
            let mut writer = writer.map_err(source_error)?;
            for stream in &streams {
                let parts = stream.chunks.iter().map(|chunk| {
                    (chunk.time_min, log_read::Part::Chunk { columns: Arc::clone(&chunk.columns), stream: 0 })
                });
                push_stream(&mut writer, &stream.labels, parts.collect(), range)?;
            }
            let (summary, bytes) = writer.finish().map_err(source_error)?;
            if summary.rows == 0 {
                self.world.disk.remove(&path).map_err(|error| source_error(error.into()))?;
                continue;
            }
            fresh.logs.push(Arc::new(LogSegment::open(&self.world, &path, id).map_err(source_error)?));
            next.segments.push(entry(id, SegmentKind::Logs, tenant.as_str(), name, &summary, bytes));
        }
        Ok(())
    }

    fn write_spans(&self, tenant: &TenantId, head: &SpanHead, next: &mut Manifest, fresh: &mut Fresh) -> Result<()> {
        let starts = || head.iter().map(|span| span.start_ns);
        let range = starts().min().zip(starts().max()).map(|(min, max)| RangeNs::new(min, max));
        let mut spans: Vec<&Arc<Span>> = head.iter().collect();
        spans.sort_by_key(|span| (!span.start_ns, key(span)));
        for range in self.windows(starts(), range) {
            let (id, name) = begin(next, SPANS);
            let path = self.folder.join(&name);
            let writer = SpanSegmentWriter::create(&self.world, &path, tenant.as_str(), 0, self.settings.block_bytes);
            let mut writer = writer.map_err(source_error)?;
            for span in spans.iter().filter(|span| range.contains(span.start_ns)) {
                writer.push(span).map_err(source_error)?;
            }
            let (summary, bytes) = writer.finish().map_err(source_error)?;
            fresh.spans.push(Arc::new(SpanSegment::open(&self.world, &path, id).map_err(source_error)?));
            next.segments.push(entry(id, SegmentKind::Spans, tenant.as_str(), name, &summary, bytes));
        }
        Ok(())
    }

    /// The ranges of the windows that hold any of the times and are not expired, oldest first.
    fn windows(&self, times_ns: impl Iterator<Item = i64>, all: Option<RangeNs>) -> Vec<RangeNs> {
        let (Some(all), window_ns, oldest_ns) = (all, self.settings.window_ns(), self.oldest_ns()) else {
            return Vec::new();
        };
        let kept = RangeNs::new(all.start_ns.max(oldest_ns), all.end_ns);
        let window_of = |time: i64| time.div_euclid(window_ns);
        let windows: BTreeSet<i64> = times_ns.filter(|time| kept.contains(*time)).map(window_of).collect();
        if windows.len() > WINDOWS_MAX {
            return vec![kept];
        }
        let range = |window: i64| {
            let start_ns = window.saturating_mul(window_ns);
            let end_ns = start_ns.saturating_add(window_ns - 1);
            RangeNs::new(start_ns.max(kept.start_ns), end_ns.min(kept.end_ns))
        };
        windows.into_iter().map(range).collect()
    }

    /// Merges the segments into one, leaving out what is expired. False when a damaged one stood in the way: it is noted
    /// and left alone from now on.
    fn merge(&mut self, ids: &[u64]) -> Result<bool> {
        let mut next = self.manifest.clone();
        next.segments.retain(|meta| !ids.contains(&meta.id));
        let mut fresh = Fresh::default();
        let logs: Vec<_> = ids.iter().filter_map(|id| self.logs.get(id).cloned()).collect();
        let spans: Vec<_> = ids.iter().filter_map(|id| self.spans.get(id).cloned()).collect();
        let kept = self.kept(RangeNs::ALL);
        let written = match logs.is_empty() {
            false => self.merge_lines(&logs, kept, &mut next, &mut fresh),
            true => self.merge_spans(&spans, kept, &mut next, &mut fresh),
        };
        match written {
            Ok(()) => self.commit(next, fresh).map(|()| true),
            Err(SourceError::Storage { .. }) if ids.iter().any(|id| self.is_damaged(*id)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn merge_lines(
        &self,
        inputs: &[Arc<LogSegment>],
        kept: RangeNs,
        next: &mut Manifest,
        fresh: &mut Fresh,
    ) -> Result<()> {
        let Some(first) = inputs.first() else { return Ok(()) };
        let level = inputs.iter().map(|input| input.reader.summary().level).max().unwrap_or(0).saturating_add(1);
        let (id, name) = begin(next, LOGS);
        let path = self.folder.join(&name);
        let tenant = first.reader.tenant();
        let writer = LogSegmentWriter::create(&self.world, &path, tenant, level, self.settings.block_bytes);
        let mut writer = writer.map_err(source_error)?;
        let labels: BTreeSet<&Labels> = inputs.iter().flat_map(|i| i.streams.iter().map(|s| &s.labels)).collect();
        // Small streams share blocks: the last one of each input is kept, so that it is unpacked once and not per stream.
        let mut last: Vec<Option<(usize, Arc<LogColumns>)>> = vec![None; inputs.len()];
        for labels in labels {
            let mut chunks = Vec::new();
            for (input, last) in inputs.iter().zip(&mut last) {
                let Ok(number) = input.streams.binary_search_by(|stream| stream.labels.cmp(labels)) else { continue };
                for (block, meta) in input.blocks_of(number as u32).filter(|(_, meta)| meta.range().overlaps(kept)) {
                    if meta.stream_first == meta.stream_last {
                        let numbers = log_read::Numbers::One(0);
                        let part = log_read::Part::Block { segment: Arc::clone(input), block, numbers };
                        chunks.push((meta.time_min, part));
                        continue;
                    }
                    let columns = match last {
                        Some((number, columns)) if *number == block => Arc::clone(columns),
                        _ => input.read(meta).map_err(source_error)?,
                    };
                    *last = Some((block, Arc::clone(&columns)));
                    let own = Arc::new(of_stream(&columns, number as u32));
                    chunks.push((meta.time_min, log_read::Part::Chunk { columns: own, stream: 0 }));
                }
            }
            push_stream(&mut writer, labels, chunks, kept)?;
        }
        // What is damaged was left out of the copy, so the copy must not take the place of the original.
        if let Some(error) = inputs.iter().find_map(|input| input.damage.lock().clone()) {
            return Err(source_error(error));
        }
        let (summary, bytes) = writer.finish().map_err(source_error)?;
        if summary.rows == 0 {
            return self.world.disk.remove(&path).map_err(|error| source_error(error.into()));
        }
        let segment = LogSegment::open(&self.world, &path, id).map_err(source_error)?;
        next.segments.push(entry(id, SegmentKind::Logs, tenant, name, &summary, bytes));
        fresh.logs.push(Arc::new(segment));
        Ok(())
    }

    fn merge_spans(
        &self,
        inputs: &[Arc<SpanSegment>],
        kept: RangeNs,
        next: &mut Manifest,
        fresh: &mut Fresh,
    ) -> Result<()> {
        let Some(first) = inputs.first() else { return Ok(()) };
        let level = inputs.iter().map(|input| input.reader.summary().level).max().unwrap_or(0).saturating_add(1);
        let (id, name) = begin(next, SPANS);
        let path = self.folder.join(&name);
        let tenant = first.reader.tenant();
        let writer = SpanSegmentWriter::create(&self.world, &path, tenant, level, self.settings.block_bytes);
        let mut writer = writer.map_err(source_error)?;
        let groups = inputs.iter().flat_map(|input| {
            let group = |(group, meta): (usize, &crate::span_segment::GroupMeta)| {
                (!meta.start_max, span_read::Part::Group { segment: Arc::clone(input), group })
            };
            input.groups.iter().enumerate().map(group)
        });
        let mut merge = Merge::new(groups.collect());
        let (wanted, budget) = (span_read::Wanted::all(kept), Budget::unlimited());
        let mut rows = 0;
        // The same span sent twice has the same start, so its copies are neighbours here; others are told apart when read.
        let mut before = None;
        while let Some(span_read::Item(span)) = merge.next(&mut |part| wanted.load(part, &budget))? {
            let this = Some((span.start_ns, key(&span)));
            if this != before {
                writer.push(&span).map_err(source_error)?;
                rows += 1;
            }
            before = this;
        }
        if let Some(error) = inputs.iter().find_map(|input| input.damage.lock().clone()) {
            return Err(source_error(error));
        }
        if rows == 0 {
            return Ok(());
        }
        let (summary, bytes) = writer.finish().map_err(source_error)?;
        let segment = SpanSegment::open(&self.world, &path, id).map_err(source_error)?;
        next.segments.push(entry(id, SegmentKind::Spans, tenant, name, &summary, bytes));
        fresh.spans.push(Arc::new(segment));
        Ok(())
    }

    /// Puts the manifest in force, takes up the fresh segments and removes the files that are no longer named.
    fn commit(&mut self, mut next: Manifest, fresh: Fresh) -> Result<()> {
        if let Err(error) = next.commit(&*self.world.disk, &self.folder) {
            if error.is_full() {
                self.discard(&fresh);
                return Err(source_error(error));
            }
            return Err(self.fail(error));
        }
        self.manifest = next;
        self.logs.extend(fresh.logs.into_iter().map(|segment| (segment.id, segment)));
        self.spans.extend(fresh.spans.into_iter().map(|segment| (segment.id, segment)));
        let live: BTreeSet<u64> = self.manifest.segments.iter().map(|meta| meta.id).collect();
        let old_logs = self.logs.iter().filter(|(id, _)| !live.contains(id)).map(|(id, s)| (*id, s.reader.path()));
        let old_spans = self.spans.iter().filter(|(id, _)| !live.contains(id)).map(|(id, s)| (*id, s.reader.path()));
        let old: Vec<_> = old_logs.chain(old_spans).map(|(id, path)| (id, path.to_path_buf())).collect();
        for (id, path) in &old {
            self.logs.remove(id);
            self.spans.remove(id);
            self.world.disk.remove(path).map_err(|e| self.fail(e.into()))?;
        }
        if old.is_empty() {
            return Ok(());
        }
        self.world.disk.sync_folder(&self.folder).map_err(|e| self.fail(e.into()))
    }

    /// Files that did not come into force: their room is wanted back. One that cannot be removed is an orphan at open.
    fn discard(&self, fresh: &Fresh) {
        let logs = fresh.logs.iter().map(|segment| segment.reader.path());
        for path in logs.chain(fresh.spans.iter().map(|segment| segment.reader.path())) {
            let _ = self.world.disk.remove(path);
        }
    }
}

/// Writes the lines of one stream in order, each once.
fn push_stream(
    writer: &mut LogSegmentWriter,
    labels: &Labels,
    parts: Vec<(i64, log_read::Part)>,
    range: RangeNs,
) -> Result<()> {
    let wanted = log_read::Wanted::all(range, false);
    let (mut merge, mut ahead, budget) = (Merge::new(parts), None, Budget::unlimited());
    let mut annotations = Annotations::default();
    loop {
        let load = |part| wanted.load(part, &budget, &mut annotations);
        let moment = log_read::next_moment(&mut merge, &mut ahead, load, false)?;
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

fn begin(next: &mut Manifest, extension: &str) -> (u64, String) {
    let id = next.take_segment_id();
    (id, format!("{id:016x}{extension}"))
}

fn entry(id: u64, kind: SegmentKind, tenant: &str, file: String, summary: &SegmentSummary, bytes: u64) -> SegmentMeta {
    let (time_min, time_max, rows, level) = (summary.time_min, summary.time_max, summary.rows, summary.level);
    SegmentMeta { id, kind, level, tenant: tenant.to_owned(), file, time_min, time_max, rows, bytes, extra: Vec::new() }
}
