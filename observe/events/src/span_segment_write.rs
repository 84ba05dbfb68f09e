//! Writing a segment of spans, newest first. Layout: `docs/formats/event-segment.md`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ahash::AHashMap;
use base_signal::{Span, TraceId};
use base_world::World;
use observe_block::codec;
use observe_block::{BlockError, Codec, SegmentKind, SegmentSummary, SegmentWriter};

use crate::filter::FilterBuilder;
use crate::pack;
use crate::span_code::{Dictionary, put_payload, resource_bytes, scope_bytes};
use crate::span_columns::SpanColumns;
use crate::span_segment::{
    FILTERS, FIXED, GROUPS, GroupMeta, Operation, PAYLOAD, TABLES, TRACE_PAGES, TRACES, trace_hash,
};

/// Entries of one page of the trace index: about 4 KiB.
const TRACE_PAGE: usize = 512;

/// Equal items once, by their bytes; the address is a short cut.
#[derive(Default)]
struct Table {
    by_address: AHashMap<usize, u32>,
    by_bytes: AHashMap<Vec<u8>, u32>,
    all: Vec<Vec<u8>>,
}

impl Table {
    fn number<T>(&mut self, item: &Arc<T>, encode: impl FnOnce(&T) -> Vec<u8>) -> u32 {
        let address = Arc::as_ptr(item) as usize;
        if let Some(number) = self.by_address.get(&address) {
            return *number;
        }
        let bytes = encode(item);
        let next = self.all.len() as u32;
        let number = *self.by_bytes.entry(bytes.clone()).or_insert(next);
        if number == next {
            self.all.push(bytes);
        }
        self.by_address.insert(address, number);
        number
    }

    fn encode(&self, to: &mut Vec<u8>) {
        codec::put_varint(to, self.all.len() as u64);
        self.all.iter().for_each(|bytes| codec::put_bytes(to, bytes));
    }
}

#[derive(Default)]
struct Group {
    columns: SpanColumns,
    traces: AHashMap<TraceId, u32>,
    texts: Dictionary,
    rows: Vec<u8>,
    filter: FilterBuilder,
    meta: GroupMeta,
    operations: BTreeSet<Operation>,
    /// Alive as long as their addresses stand for them in the tables.
    spans: Vec<Arc<Span>>,
}

pub(crate) struct SpanSegmentWriter {
    writer: SegmentWriter,
    group_bytes: usize,
    open: Group,
    names: Dictionary,
    resources: Table,
    scopes: Table,
    groups: Vec<GroupMeta>,
    /// Payloads and filters of finished groups, which go into sections of their own.
    payloads: Vec<Vec<u8>>,
    filters: Vec<Vec<u8>>,
    traces: Vec<(u64, u32)>,
    rows: u64,
    level: u8,
}

impl SpanSegmentWriter {
    pub(crate) fn create(
        world: &World,
        path: &Path,
        tenant: &str,
        level: u8,
        group_bytes: usize,
    ) -> Result<Self, BlockError> {
        let mut writer = SegmentWriter::create(world, path, SegmentKind::Spans, tenant)?;
        writer.begin(FIXED);
        Ok(SpanSegmentWriter {
            writer,
            group_bytes,
            open: Group::default(),
            names: Dictionary::default(),
            resources: Table::default(),
            scopes: Table::default(),
            groups: Vec::new(),
            payloads: Vec::new(),
            filters: Vec::new(),
            traces: Vec::new(),
            rows: 0,
            level,
        })
    }

    pub(crate) fn push(&mut self, span: &Arc<Span>) -> Result<(), BlockError> {
        let name = self.names.number(&span.name);
        let resource = self.resources.number(&span.resource, resource_bytes);
        let scope = self.scopes.number(&span.scope, scope_bytes);
        let group = &mut self.open;
        let next = group.columns.traces.len() as u32;
        let trace = *group.traces.entry(span.trace_id).or_insert(next);
        if trace == next {
            group.columns.traces.push(span.trace_id);
        }
        group.columns.push(span, trace, name, resource, scope);
        let mut row = Vec::new();
        put_payload(&mut row, span, &mut group.texts);
        codec::put_bytes(&mut group.rows, &row);
        for (name, value) in span.attributes.iter().chain(&span.resource.attributes) {
            group.filter.add_pair(name, &value.to_string());
        }
        group.operations.insert((resource, name, span.kind.number()));
        let (meta, duration) = (&mut group.meta, span.duration_ns());
        if group.columns.len() == 1 {
            (meta.start_min, meta.start_max) = (span.start_ns, span.start_ns);
            (meta.duration_min, meta.duration_max) = (duration, duration);
        }
        (meta.start_min, meta.start_max) = (meta.start_min.min(span.start_ns), meta.start_max.max(span.start_ns));
        (meta.duration_min, meta.duration_max) = (meta.duration_min.min(duration), meta.duration_max.max(duration));
        meta.statuses |= 1 << span.status.code.number();
        group.spans.push(Arc::clone(span));
        self.rows += 1;
        if group.rows.len() + group.texts.bytes + group.columns.len() * 40 >= self.group_bytes {
            self.close_group()?;
        }
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), BlockError> {
        let mut group = std::mem::take(&mut self.open);
        if group.columns.len() == 0 {
            return Ok(());
        }
        let number = self.groups.len() as u32;
        self.traces.extend(group.columns.traces.iter().map(|trace| (trace_hash(*trace), number)));
        group.meta.fixed = pack::push(&mut self.writer, &group.columns.encode())?;
        group.meta.operations = group.operations.into_iter().collect();
        let mut payload = Vec::with_capacity(group.rows.len() + group.texts.bytes);
        group.texts.encode(&mut payload);
        codec::put_varint(&mut payload, group.columns.len() as u64);
        payload.extend_from_slice(&group.rows);
        self.payloads.push(payload);
        self.filters.push(group.filter.finish());
        self.groups.push(group.meta);
        // An address may be given to another resource once these spans are gone.
        self.resources.by_address.clear();
        self.scopes.by_address.clear();
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Durable on return: summary and size.
    pub(crate) fn finish(mut self) -> Result<(SegmentSummary, u64), BlockError> {
        self.close_group()?;
        self.writer.begin(PAYLOAD);
        for (group, payload) in self.groups.iter_mut().zip(&self.payloads) {
            group.payload = pack::push(&mut self.writer, payload)?;
        }
        self.writer.begin(FILTERS);
        for (group, filter) in self.groups.iter_mut().zip(&self.filters) {
            group.filter = pack::push_plain(&mut self.writer, filter)?;
        }
        self.write_traces()?;
        let mut tables = Vec::new();
        self.names.encode(&mut tables);
        self.resources.encode(&mut tables);
        self.scopes.encode(&mut tables);
        self.writer.section(TABLES, Codec::Zstd, &tables)?;
        let mut groups = Vec::new();
        codec::put_varint(&mut groups, self.groups.len() as u64);
        for group in &self.groups {
            [group.fixed, group.payload, group.filter].iter().for_each(|place| place.encode(&mut groups));
            codec::put_zigzag(&mut groups, group.start_min);
            codec::put_zigzag(&mut groups, group.start_max);
            codec::put_varint(&mut groups, group.duration_min);
            codec::put_varint(&mut groups, group.duration_max);
            groups.push(group.statuses);
            codec::put_varint(&mut groups, group.operations.len() as u64);
            for (resource, name, kind) in &group.operations {
                codec::put_varint(&mut groups, u64::from(*resource));
                codec::put_varint(&mut groups, u64::from(*name));
                groups.push(*kind);
            }
        }
        self.writer.section(GROUPS, Codec::Zstd, &groups)?;
        let traces = self.traces.chunk_by(|a, b| a.0 == b.0).count() as u64;
        let summary = SegmentSummary {
            time_min: self.groups.iter().map(|group| group.start_min).min().unwrap_or(0),
            time_max: self.groups.iter().map(|group| group.start_max).max().unwrap_or(0),
            rows: self.rows,
            series: traces,
            level: self.level,
        };
        let bytes = self.writer.finish(&summary)?;
        Ok((summary, bytes))
    }

    fn write_traces(&mut self) -> Result<(), BlockError> {
        self.traces.sort_unstable();
        self.writer.begin(TRACES);
        let mut pages = Vec::new();
        let chunks = self.traces.chunks(TRACE_PAGE);
        codec::put_varint(&mut pages, chunks.len() as u64);
        for chunk in chunks {
            let (mut page, mut before) = (Vec::new(), 0u64);
            codec::put_varint(&mut page, chunk.len() as u64);
            for (hash, group) in chunk {
                codec::put_varint(&mut page, hash.wrapping_sub(before));
                codec::put_varint(&mut page, u64::from(*group));
                before = *hash;
            }
            codec::put_u64(&mut pages, chunk.first().map_or(0, |(hash, _)| *hash));
            pack::push_plain(&mut self.writer, &page)?.encode(&mut pages);
        }
        self.writer.section(TRACE_PAGES, Codec::Zstd, &pages)
    }
}
