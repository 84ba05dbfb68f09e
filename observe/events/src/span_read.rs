//! Reading spans, newest first: a merge over chunks of the head and groups of segments. Fixed columns are looked at first;
//! attributes are unpacked only for groups with a span left.

use std::collections::BTreeSet;
use std::sync::Arc;

use ahash::AHashSet;
use base_signal::{RangeNs, Span, SpanId, SpanKind, TenantId, TraceId, Value};
use observe_block::{BlockError, SegmentKind};
use observe_source::{
    AttributeScope, Budget, Cancel, SelectSpans, SourceError, SpanBatch, SpanBatches, SpanFilter, SpanSource,
};

use crate::filter::pair_hash;
use crate::head::{SpanChunk, key};
use crate::merge::{Loaded, Merge, Ranked};
use crate::span_columns::SpanColumns;
use crate::span_segment::{GroupMeta, SpanSegment};
use crate::store::{EventStore, source_error};

/// A reader with a limit stops early, so the first batches are small.
const FIRST_SPANS: usize = 32;
const BATCH_SPANS: usize = 1024;
/// What a span costs to be remembered, so that it comes once.
const KNOWN_BYTES: u64 = 48;
/// A span unpacked is about so many times its bytes.
const UNPACKED: u64 = 3;

pub(crate) enum Part {
    Spans(Vec<Arc<Span>>),
    Chunk(SpanChunk),
    Group { segment: Arc<SpanSegment>, group: usize },
}

/// Newest first; ties by ids, so that an answer is always the same.
pub(crate) struct Item(pub(crate) Arc<Span>);

impl Item {
    fn key(&self) -> (i64, TraceId, SpanId, u8) {
        let span = &self.0;
        (!span.start_ns, span.trace_id, span.span_id, span.kind.number())
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Item {}

impl Ranked for Item {
    fn rank(&self) -> i64 {
        !self.0.start_ns
    }
}

/// Which spans are wanted.
pub(crate) struct Wanted {
    pub(crate) range: RangeNs,
    filters: Vec<SpanFilter>,
    traces: Option<AHashSet<TraceId>>,
    hashes: Vec<u64>,
}

impl Wanted {
    pub(crate) fn all(range: RangeNs) -> Self {
        Wanted { range, filters: Vec::new(), traces: None, hashes: Vec::new() }
    }

    fn new(request: &SelectSpans<'_>, range: RangeNs) -> Self {
        let hash = |filter: &SpanFilter| match filter {
            // Of these, equal values have equal texts; doubles do not (0 and -0).
            SpanFilter::Attribute {
                name, value: value @ (Value::String(_) | Value::Int(_) | Value::Bool(_)), ..
            } => Some(pair_hash(name, &value.to_string())),
            _ => None,
        };
        Wanted {
            range,
            filters: request.filters.to_vec(),
            traces: request.trace_ids.map(|ids| ids.iter().copied().collect()),
            hashes: request.filters.iter().filter_map(hash).collect(),
        }
    }

    fn passes(&self, span: &Span) -> bool {
        self.range.contains(span.start_ns)
            && self.traces.as_ref().is_none_or(|traces| traces.contains(&span.trace_id))
            && self.filters.iter().all(|filter| filter.matches(span))
    }

    /// Whether the group may hold a wanted span, by its minima, maxima and lists.
    fn may_hold(&self, segment: &SpanSegment, group: &GroupMeta) -> bool {
        let name = |number: &u32| segment.names.get(*number as usize).map_or("", String::as_str);
        self.filters.iter().all(|filter| match filter {
            SpanFilter::Service(wanted) => {
                let of = |r: &u32| segment.resources.get(*r as usize).is_some_and(|r| r.service_name() == wanted);
                group.operations.iter().any(|(resource, ..)| of(resource))
            }
            SpanFilter::Name(wanted) => group.operations.iter().any(|(_, n, _)| name(n) == wanted),
            SpanFilter::Kind(kind) => group.operations.iter().any(|(.., k)| *k == kind.number()),
            SpanFilter::Status(code) => group.statuses & (1 << code.number()) != 0,
            SpanFilter::DurationNs { min, max } => {
                min.is_none_or(|min| group.duration_max >= min) && max.is_none_or(|max| group.duration_min <= max)
            }
            SpanFilter::Attribute { .. } | SpanFilter::Root => true,
        })
    }

    /// What the fixed columns say of a row; attributes of the span itself are asked later.
    fn row_may_pass(&self, segment: &SpanSegment, columns: &SpanColumns, row: usize) -> bool {
        let number = |column: &[u32]| column.get(row).map_or(usize::MAX, |n| *n as usize);
        let start = columns.starts_ns.get(row).copied().unwrap_or(0);
        let end = columns.ends_ns.get(row).copied().unwrap_or(0);
        let resource = segment.resources.get(number(&columns.resources));
        let traces = self.traces.as_ref().is_none_or(|traces| traces.contains(&columns.trace_id(row)));
        traces
            && self.range.contains(start)
            && self.filters.iter().all(|filter| match filter {
                SpanFilter::Service(wanted) => resource.is_some_and(|r| r.service_name() == wanted),
                SpanFilter::Name(wanted) => segment.names.get(number(&columns.names)) == Some(wanted),
                SpanFilter::Kind(kind) => columns.kinds.get(row) == Some(&kind.number()),
                SpanFilter::Status(code) => columns.statuses.get(row) == Some(&code.number()),
                SpanFilter::DurationNs { min, max } => {
                    let duration = u64::try_from(end.saturating_sub(start)).unwrap_or(0);
                    min.is_none_or(|min| duration >= min) && max.is_none_or(|max| duration <= max)
                }
                SpanFilter::Attribute { scope: AttributeScope::Resource, .. } => resource.is_some_and(|resource| {
                    let only_resource = Span { resource: Arc::clone(resource), ..Span::default() };
                    filter.matches(&only_resource)
                }),
                SpanFilter::Attribute { .. } => true,
                SpanFilter::Root => columns.parents.get(row).is_some_and(|parent| parent.is_zero()),
            })
    }

    /// Opens a part. A damaged group is left out; the store names it in `damage`.
    pub(crate) fn load(&self, part: Part, budget: &Budget) -> Result<Loaded<Item>, SourceError> {
        let sorted = |spans: Vec<Arc<Span>>, held| {
            let mut items: Vec<Item> = spans.into_iter().map(Item).collect();
            items.sort();
            Ok(Loaded { items, held })
        };
        match part {
            Part::Spans(spans) => sorted(spans, None),
            Part::Chunk(chunk) => sorted(chunk.spans.iter().filter(|span| self.passes(span)).cloned().collect(), None),
            Part::Group { segment, group } => {
                let Some(meta) = segment.groups.get(group) else { return sorted(Vec::new(), None) };
                let held = budget.reserve(meta.raw_bytes() * UNPACKED)?;
                match self.read(&segment, meta) {
                    Ok(spans) => sorted(spans, Some(held)),
                    Err(error) if error.is_corrupt() => sorted(Vec::new(), None),
                    Err(error) => Err(source_error(error)),
                }
            }
        }
    }

    fn read(&self, segment: &SpanSegment, group: &GroupMeta) -> Result<Vec<Arc<Span>>, BlockError> {
        // A filter that cannot be read excludes nothing.
        match segment.may_hold(group, &self.hashes) {
            Ok(false) => return Ok(Vec::new()),
            Err(error) if !error.is_corrupt() => return Err(error),
            _ => {}
        }
        let columns = segment.columns(group)?;
        let rows: Vec<usize> = (0..columns.len()).filter(|row| self.row_may_pass(segment, &columns, *row)).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let payload = segment.payload(group)?;
        let mut spans = Vec::with_capacity(rows.len());
        for row in rows {
            let span = segment.span(&columns, &payload, row)?;
            if self.filters.iter().all(|filter| filter.matches(&span)) {
                spans.push(Arc::new(span));
            }
        }
        Ok(spans)
    }
}

struct Reader {
    merge: Merge<Part, Item>,
    wanted: Wanted,
    known: AHashSet<(TraceId, SpanId, u8)>,
    held: Vec<observe_source::Reservation>,
    /// Spans of the next batch.
    rows: usize,
    budget: Budget,
    cancel: Cancel,
}

impl SpanBatches for Reader {
    fn next(&mut self) -> Result<Option<SpanBatch>, SourceError> {
        self.cancel.check()?;
        let rows = self.rows;
        self.rows = (rows * 2).min(BATCH_SPANS);
        self.held.push(self.budget.reserve(rows as u64 * KNOWN_BYTES)?);
        let mut spans = Vec::new();
        while spans.len() < rows {
            let Reader { merge, wanted, budget, cancel, .. } = self;
            let mut load = |part| {
                cancel.check()?;
                wanted.load(part, budget)
            };
            let Some(Item(span)) = merge.next(&mut load)? else { break };
            if self.known.insert(key(&span)) {
                spans.push(span);
            }
        }
        Ok((!spans.is_empty()).then(|| SpanBatch::new(spans)))
    }
}

impl EventStore {
    fn span_segments<'a>(&'a self, tenant: &'a TenantId, range: RangeNs) -> impl Iterator<Item = &'a Arc<SpanSegment>> {
        self.metas(tenant, SegmentKind::Spans, range).filter_map(|meta| self.spans.get(&meta.id))
    }

    /// Calls `found(service, name, kind)` for what is in the range, with repetitions.
    fn each_operation(
        &self,
        tenant: &TenantId,
        range: RangeNs,
        mut found: impl FnMut(&str, &str, SpanKind),
    ) -> Result<(), SourceError> {
        let range = self.kept(range);
        for head in self.heads_of(tenant) {
            head.spans.each_operation(range, &mut found);
        }
        for segment in self.span_segments(tenant, range) {
            let mut tell = |resource: u32, name: u32, kind: u8| {
                let resource = segment.resources.get(resource as usize);
                if let (Some(resource), Some(name)) = (resource, segment.names.get(name as usize)) {
                    found(resource.service_name(), name, SpanKind::from_number(i64::from(kind)));
                }
            };
            for group in segment.groups.iter().filter(|group| group.range().overlaps(range)) {
                if range.contains(group.start_min) && range.contains(group.start_max) {
                    group.operations.iter().for_each(|(resource, name, kind)| tell(*resource, *name, *kind));
                    continue;
                }
                let columns = match segment.columns(group) {
                    Ok(columns) => columns,
                    Err(error) if error.is_corrupt() => continue,
                    Err(error) => return Err(source_error(error)),
                };
                let numbers = columns.resources.iter().zip(&columns.names).zip(&columns.kinds);
                for (start, ((resource, name), kind)) in columns.starts_ns.iter().zip(numbers) {
                    if range.contains(*start) {
                        tell(*resource, *name, *kind);
                    }
                }
            }
        }
        Ok(())
    }
}

impl SpanSource for EventStore {
    fn select_spans(&self, request: &SelectSpans<'_>) -> Result<Box<dyn SpanBatches>, SourceError> {
        request.cancel.check()?;
        let range = self.kept(request.range);
        let wanted = Wanted::new(request, range);
        let mut parts = Vec::new();
        for head in self.heads_of(request.tenant) {
            match &wanted.traces {
                Some(traces) => {
                    let spans = traces.iter().flat_map(|trace| head.spans.of_trace(*trace));
                    let spans: Vec<_> = spans.filter(|span| wanted.passes(span)).cloned().collect();
                    parts.push((i64::MIN, Part::Spans(spans)));
                }
                None => {
                    let near = |c: &&SpanChunk| RangeNs::new(c.start_min, c.start_max).overlaps(range);
                    let chunks = head.spans.chunks.iter().filter(near);
                    parts.extend(chunks.map(|chunk| (!chunk.start_max, Part::Chunk(chunk.clone()))));
                }
            }
        }
        for segment in self.span_segments(request.tenant, range) {
            let only = match request.trace_ids.map(|ids| segment.groups_of(ids)) {
                None => None,
                Some(Ok(groups)) => Some(groups),
                // Without the index every group is looked at.
                Some(Err(error)) if error.is_corrupt() => None,
                Some(Err(error)) => return Err(source_error(error)),
            };
            for (number, group) in segment.groups.iter().enumerate() {
                let asked = only.as_ref().is_none_or(|only| only.binary_search(&(number as u32)).is_ok());
                if asked && group.range().overlaps(range) && wanted.may_hold(segment, group) {
                    parts.push((!group.start_max, Part::Group { segment: Arc::clone(segment), group: number }));
                }
            }
        }
        let (budget, cancel) = (request.budget.clone(), request.cancel.clone());
        let known = AHashSet::new();
        Ok(Box::new(Reader {
            merge: Merge::new(parts),
            wanted,
            known,
            held: Vec::new(),
            rows: FIRST_SPANS,
            budget,
            cancel,
        }))
    }

    fn services(&self, tenant: &TenantId, range: RangeNs) -> Result<Vec<String>, SourceError> {
        let mut names = BTreeSet::new();
        self.each_operation(tenant, range, |service, _, _| {
            if !names.contains(service) {
                names.insert(service.to_owned());
            }
        })?;
        Ok(names.into_iter().collect())
    }

    fn operations(
        &self,
        tenant: &TenantId,
        service: &str,
        range: RangeNs,
    ) -> Result<Vec<(String, SpanKind)>, SourceError> {
        let mut names = BTreeSet::new();
        self.each_operation(tenant, range, |of, name, kind| {
            if of == service {
                names.insert((name.to_owned(), kind));
            }
        })?;
        Ok(names.into_iter().collect())
    }
}
