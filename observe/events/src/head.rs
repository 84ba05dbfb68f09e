//! The newest data of one tenant, in memory: lines by stream, spans by arrival. Readers take snapshots of whole chunks,
//! which are copied only when one is written to while a reader holds it. Knows nothing of log files or segments.

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use base_signal::{Labels, RangeNs, Resource, Scope, Span, SpanId, SpanKind, TraceId};

use crate::columns::{LogColumns, set_bytes};
use crate::record::Line;
use crate::span_code::{resource_bytes, scope_bytes, span_size};

/// A chunk is closed at this many rows or bytes: what a write copies at most while a reader looks on.
const ROWS_MAX: usize = 512;
const TEXT_MAX: usize = 64 << 10;
/// Cost of a line beside its text.
const LINE_BYTES: usize = 40;
/// Cost of a stream with one open chunk, beside its labels.
const STREAM_BYTES: usize = 768;
const KINDS: usize = 6;
/// Cost of a span's entries in the indexes.
const SPAN_INDEX_BYTES: usize = 96;

#[derive(Clone)]
pub(crate) struct Chunk {
    pub(crate) columns: Arc<LogColumns>,
    pub(crate) time_min: i64,
    pub(crate) time_max: i64,
}

pub(crate) struct Stream {
    pub(crate) labels: Labels,
    pub(crate) chunks: Vec<Chunk>,
}

#[derive(Default)]
pub(crate) struct LogHead {
    numbers: AHashMap<Labels, u32>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) bytes: usize,
}

impl LogHead {
    /// The number of a stream, given if it is new.
    pub(crate) fn number(&mut self, labels: &Labels) -> u32 {
        let next = self.streams.len() as u32;
        let number = *self.numbers.entry(labels.clone()).or_insert(next);
        if number == next {
            self.streams.push(Stream { labels: labels.clone(), chunks: Vec::new() });
            self.bytes += labels.as_bytes().len() + STREAM_BYTES;
        }
        number
    }

    pub(crate) fn append(&mut self, number: u32, line: &Line<'_>, arrival: u64) {
        let Some(stream) = self.streams.get_mut(number as usize) else { return };
        let full = |chunk: &Chunk| chunk.columns.len() >= ROWS_MAX || chunk.columns.text.len() >= TEXT_MAX;
        if stream.chunks.last().is_none_or(full) {
            if let Some(closed) = stream.chunks.last_mut() {
                Arc::make_mut(&mut closed.columns).shrink();
            }
            let columns = Arc::new(LogColumns::default());
            stream.chunks.push(Chunk { columns, time_min: i64::MAX, time_max: i64::MIN });
        }
        if let Some(chunk) = stream.chunks.last_mut() {
            Arc::make_mut(&mut chunk.columns).push(number, line.time_ns, arrival, &line.text, &line.metadata);
            chunk.time_min = chunk.time_min.min(line.time_ns);
            chunk.time_max = chunk.time_max.max(line.time_ns);
        }
        self.bytes += line.text.len() + LINE_BYTES + set_bytes(&line.metadata);
    }

    pub(crate) fn range(&self) -> Option<RangeNs> {
        let chunks = || self.streams.iter().flat_map(|stream| &stream.chunks);
        Some(RangeNs::new(chunks().map(|c| c.time_min).min()?, chunks().map(|c| c.time_max).max()?))
    }
}

#[derive(Clone)]
pub(crate) struct SpanChunk {
    pub(crate) spans: Arc<Vec<Arc<Span>>>,
    pub(crate) start_min: i64,
    pub(crate) start_max: i64,
}

/// Service → span name → by kind, the first and last start.
type Operations = AHashMap<String, AHashMap<String, [Option<RangeNs>; KINDS]>>;

#[derive(Default)]
pub(crate) struct SpanHead {
    pub(crate) chunks: Vec<SpanChunk>,
    /// Trace → rows, counted over all chunks.
    traces: AHashMap<TraceId, Vec<u32>>,
    known: AHashSet<(TraceId, SpanId, u8)>,
    resources: AHashMap<Vec<u8>, Arc<Resource>>,
    scopes: AHashMap<Vec<u8>, Arc<Scope>>,
    operations: Operations,
    rows: u32,
    pub(crate) bytes: usize,
}

impl SpanHead {
    /// Whether a span of the same trace id, span id and kind is here already.
    pub(crate) fn has(&self, span: &Span) -> bool {
        self.known.contains(&key(span))
    }

    /// Takes the spans of one write, sharing resources and scopes with those before; a known span is left out.
    pub(crate) fn append(&mut self, spans: Vec<Arc<Span>>) {
        let mut resources: AHashMap<usize, Arc<Resource>> = AHashMap::new();
        let mut scopes: AHashMap<usize, Arc<Scope>> = AHashMap::new();
        // The addresses below stay those of these spans until the end.
        let originals = spans.clone();
        for span in spans {
            if !self.known.insert(key(&span)) {
                continue;
            }
            let resource = resources.entry(Arc::as_ptr(&span.resource) as usize).or_insert_with(|| {
                let bytes = resource_bytes(&span.resource);
                self.bytes += if self.resources.contains_key(&bytes) { 0 } else { bytes.len() * 4 };
                Arc::clone(self.resources.entry(bytes).or_insert_with(|| Arc::clone(&span.resource)))
            });
            let scope = scopes.entry(Arc::as_ptr(&span.scope) as usize).or_insert_with(|| {
                let bytes = scope_bytes(&span.scope);
                self.bytes += if self.scopes.contains_key(&bytes) { 0 } else { bytes.len() * 4 };
                Arc::clone(self.scopes.entry(bytes).or_insert_with(|| Arc::clone(&span.scope)))
            });
            let (resource, scope) = (Arc::clone(resource), Arc::clone(scope));
            let shared = Arc::ptr_eq(&span.resource, &resource) && Arc::ptr_eq(&span.scope, &scope);
            let span = if shared { span } else { Arc::new(Span { resource, scope, ..(*span).clone() }) };
            self.push(span);
        }
        drop(originals);
    }

    fn push(&mut self, span: Arc<Span>) {
        self.bytes += span_size(&span) + SPAN_INDEX_BYTES;
        self.traces.entry(span.trace_id).or_default().push(self.rows);
        self.note_operation(&span);
        if (self.rows as usize).is_multiple_of(ROWS_MAX) {
            let spans = Arc::new(Vec::with_capacity(ROWS_MAX));
            self.chunks.push(SpanChunk { spans, start_min: i64::MAX, start_max: i64::MIN });
        }
        self.rows += 1;
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.start_min = chunk.start_min.min(span.start_ns);
            chunk.start_max = chunk.start_max.max(span.start_ns);
            Arc::make_mut(&mut chunk.spans).push(span);
        }
    }

    fn note_operation(&mut self, span: &Span) {
        let service = span.resource.service_name();
        // Looked up first: an entry would want a text of its own for every span.
        if !self.operations.get(service).is_some_and(|names| names.contains_key(&span.name)) {
            self.operations.entry(service.to_owned()).or_default().insert(span.name.clone(), [None; KINDS]);
            self.bytes += service.len() + span.name.len() + KINDS * size_of::<Option<RangeNs>>() + 64;
        }
        let kinds = self.operations.get_mut(service).and_then(|names| names.get_mut(&span.name));
        if let Some(seen) = kinds.and_then(|kinds| kinds.get_mut(span.kind.number() as usize)) {
            let start = span.start_ns;
            let before = seen.unwrap_or(RangeNs::new(start, start));
            *seen = Some(RangeNs::new(before.start_ns.min(start), before.end_ns.max(start)));
        }
    }

    /// Calls `found(service, name, kind)` for each that has a span in the range.
    pub(crate) fn each_operation(&self, range: RangeNs, mut found: impl FnMut(&str, &str, SpanKind)) {
        let mut unsure = false;
        for (service, names) in &self.operations {
            for (name, kinds) in names {
                for (kind, seen) in kinds.iter().enumerate() {
                    let Some(seen) = seen.filter(|seen| seen.overlaps(range)) else { continue };
                    if range.contains(seen.start_ns) || range.contains(seen.end_ns) {
                        found(service, name, SpanKind::from_number(kind as i64));
                    } else {
                        unsure = true;
                    }
                }
            }
        }
        // Something began before and ended after the range: only the spans can tell.
        if unsure {
            for span in self.iter().filter(|span| range.contains(span.start_ns)) {
                found(span.resource.service_name(), &span.name, span.kind);
            }
        }
    }

    pub(crate) fn of_trace(&self, trace: TraceId) -> impl Iterator<Item = &Arc<Span>> {
        let rows = self.traces.get(&trace).map_or(&[][..], Vec::as_slice);
        rows.iter().filter_map(|row| self.chunks.get(*row as usize / ROWS_MAX)?.spans.get(*row as usize % ROWS_MAX))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Span>> {
        self.chunks.iter().flat_map(|chunk| chunk.spans.iter())
    }
}

/// What makes a span the same span.
pub(crate) fn key(span: &Span) -> (TraceId, SpanId, u8) {
    (span.trace_id, span.span_id, span.kind.number())
}

/// All of one tenant's newest data.
#[derive(Default)]
pub(crate) struct Head {
    pub(crate) logs: LogHead,
    pub(crate) spans: SpanHead,
}

impl Head {
    pub(crate) fn size_bytes(&self) -> u64 {
        (self.logs.bytes + self.spans.bytes) as u64
    }
}
