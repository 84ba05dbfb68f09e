//! Reading a segment of spans: tables in memory, groups of rows on demand. Written by `span_segment_write`. Layout:
//! `docs/formats/event-segment.md`.

use std::path::Path;
use std::sync::Arc;

use base_signal::{RangeNs, Resource, Scope, Span, SpanKind, SpanStatus, StatusCode, TraceId};
use base_world::World;
use observe_block::codec::{Malformed, Reader};
use observe_block::{BlockError, SegmentReader};
use parking_lot::Mutex;

use crate::filter::may_contain;
use crate::pack::{self, Place};
use crate::span_code::{take_payload, take_resource, take_scope, take_texts};
use crate::span_columns::SpanColumns;

pub(crate) const FIXED: &str = "fixed";
pub(crate) const PAYLOAD: &str = "payload";
pub(crate) const FILTERS: &str = "filters";
pub(crate) const TABLES: &str = "tables";
pub(crate) const GROUPS: &str = "groups";
pub(crate) const TRACES: &str = "traces";
pub(crate) const TRACE_PAGES: &str = "trace-pages";

/// (resource, name, kind): what a service does, by numbers of the segment.
pub(crate) type Operation = (u32, u32, u8);

#[derive(Clone, Debug, Default)]
pub(crate) struct GroupMeta {
    pub(crate) fixed: Place,
    pub(crate) payload: Place,
    pub(crate) filter: Place,
    pub(crate) start_min: i64,
    pub(crate) start_max: i64,
    pub(crate) duration_min: u64,
    pub(crate) duration_max: u64,
    /// Bit `n`: there is a span of status `n`.
    pub(crate) statuses: u8,
    /// Sorted.
    pub(crate) operations: Vec<Operation>,
}

impl GroupMeta {
    pub(crate) fn range(&self) -> RangeNs {
        RangeNs::new(self.start_min, self.start_max)
    }

    pub(crate) fn raw_bytes(&self) -> u64 {
        u64::from(self.fixed.raw_bytes) + u64::from(self.payload.raw_bytes)
    }
}

/// An open segment.
pub(crate) struct SpanSegment {
    pub(crate) id: u64,
    pub(crate) reader: SegmentReader,
    pub(crate) names: Vec<String>,
    pub(crate) resources: Vec<Arc<Resource>>,
    pub(crate) scopes: Vec<Arc<Scope>>,
    /// Newest first.
    pub(crate) groups: Vec<GroupMeta>,
    /// First hash of each page, and the page.
    trace_pages: Vec<(u64, Place)>,
    pub(crate) index_bytes: u64,
    /// The first damage that a reader found.
    pub(crate) damage: Mutex<Option<BlockError>>,
}

/// Attributes, events and links of a group.
pub(crate) struct Payload {
    texts: Vec<String>,
    rows: Vec<Vec<u8>>,
}

impl SpanSegment {
    pub(crate) fn open(world: &World, path: &Path, id: u64) -> Result<Self, BlockError> {
        let reader = SegmentReader::open(world, path)?;
        let malformed = |section: &str, e: Malformed| reader.corrupt(section, e.to_string());
        let tables = reader.read(TABLES)?;
        let (names, resources, scopes) = take_tables(&tables).map_err(|e| malformed(TABLES, e))?;
        let groups_raw = reader.read(GROUPS)?;
        let groups = take_groups(&groups_raw).map_err(|e| malformed(GROUPS, e))?;
        let trace_pages = take_trace_pages(&reader.read(TRACE_PAGES)?).map_err(|e| malformed(TRACE_PAGES, e))?;
        let index_bytes = (tables.len() * 3 + groups_raw.len() * 2 + trace_pages.len() * 40) as u64;
        let damage = Mutex::new(None);
        Ok(SpanSegment { id, reader, names, resources, scopes, groups, trace_pages, index_bytes, damage })
    }

    pub(crate) fn may_hold(&self, group: &GroupMeta, hashes: &[u64]) -> Result<bool, BlockError> {
        if hashes.is_empty() {
            return Ok(true);
        }
        let bits = self.noted(pack::read(&self.reader, FILTERS, group.filter))?;
        Ok(hashes.iter().all(|hash| may_contain(&bits, *hash)))
    }

    pub(crate) fn columns(&self, group: &GroupMeta) -> Result<SpanColumns, BlockError> {
        let bytes = self.noted(pack::read(&self.reader, FIXED, group.fixed))?;
        self.noted(SpanColumns::decode(&bytes).map_err(|e| self.reader.corrupt(FIXED, e.to_string())))
    }

    pub(crate) fn payload(&self, group: &GroupMeta) -> Result<Payload, BlockError> {
        let bytes = self.noted(pack::read(&self.reader, PAYLOAD, group.payload))?;
        self.noted(take_rows(&bytes).map_err(|e| self.reader.corrupt(PAYLOAD, e.to_string())))
    }

    /// The whole span of a row.
    pub(crate) fn span(&self, columns: &SpanColumns, payload: &Payload, row: usize) -> Result<Span, BlockError> {
        let build = || {
            let mut span = Span {
                trace_id: columns.trace_id(row),
                span_id: *columns.span_ids.get(row)?,
                parent_span_id: *columns.parents.get(row)?,
                name: self.names.get(*columns.names.get(row)? as usize)?.clone(),
                kind: SpanKind::from_number(i64::from(*columns.kinds.get(row)?)),
                start_ns: *columns.starts_ns.get(row)?,
                end_ns: *columns.ends_ns.get(row)?,
                status: SpanStatus {
                    code: StatusCode::from_number(i64::from(*columns.statuses.get(row)?)),
                    message: String::new(),
                },
                resource: self.resources.get(*columns.resources.get(row)? as usize)?.clone(),
                scope: self.scopes.get(*columns.scopes.get(row)? as usize)?.clone(),
                ..Span::default()
            };
            let bytes = payload.rows.get(row)?;
            take_payload(&mut Reader::new(bytes), &mut span, Some(&payload.texts)).ok()?;
            Some(span)
        };
        self.noted(build().ok_or_else(|| self.reader.corrupt(PAYLOAD, format!("span {row} cannot be put together"))))
    }

    /// Groups that may hold spans of the traces, ascending.
    pub(crate) fn groups_of(&self, traces: &[TraceId]) -> Result<Vec<u32>, BlockError> {
        let mut groups = Vec::new();
        for trace in traces {
            let wanted = trace_hash(*trace);
            // A hash may begin in the page before the first page that states it.
            let from = self.trace_pages.partition_point(|(first, _)| *first < wanted).saturating_sub(1);
            for (_, place) in self.trace_pages.iter().skip(from).take_while(|(first, _)| *first <= wanted) {
                let bytes = self.noted(pack::read(&self.reader, TRACES, *place))?;
                let page = take_trace_page(&bytes).map_err(|e| self.reader.corrupt(TRACES, e.to_string()));
                let page = self.noted(page)?;
                groups.extend(page.into_iter().filter(|(hash, _)| *hash == wanted).map(|(_, group)| group));
            }
        }
        groups.sort_unstable();
        groups.dedup();
        Ok(groups)
    }

    fn noted<T>(&self, result: Result<T, BlockError>) -> Result<T, BlockError> {
        if let Err(error) = &result
            && error.is_corrupt()
        {
            self.damage.lock().get_or_insert_with(|| error.clone());
        }
        result
    }
}

/// Ids of 8 bytes in 16 are mostly zeros, so they are hashed.
pub(crate) fn trace_hash(trace: TraceId) -> u64 {
    crate::filter::bytes_hash(&trace.0)
}

type Tables = (Vec<String>, Vec<Arc<Resource>>, Vec<Arc<Scope>>);

fn take_tables(bytes: &[u8]) -> Result<Tables, Malformed> {
    let mut from = Reader::new(bytes);
    let names = take_texts(&mut from)?;
    let (mut resources, mut scopes) = (Vec::new(), Vec::new());
    for _ in 0..from.count("resources")? {
        resources.push(Arc::new(take_resource(from.bytes("resource")?)?));
    }
    for _ in 0..from.count("scopes")? {
        scopes.push(Arc::new(take_scope(from.bytes("scope")?)?));
    }
    Ok((names, resources, scopes))
}

fn take_groups(bytes: &[u8]) -> Result<Vec<GroupMeta>, Malformed> {
    let mut from = Reader::new(bytes);
    let mut groups = Vec::new();
    for _ in 0..from.count("groups")? {
        let (fixed, payload) = (Place::decode(&mut from)?, Place::decode(&mut from)?);
        let filter = Place::decode(&mut from)?;
        let (start_min, start_max) = (from.zigzag("start")?, from.zigzag("start")?);
        let (duration_min, duration_max) = (from.varint("duration")?, from.varint("duration")?);
        let statuses = from.u8("statuses")?;
        let mut operations = Vec::new();
        for _ in 0..from.count("operations")? {
            operations.push((from.varint_u32("resource")?, from.varint_u32("name")?, from.u8("kind")?));
        }
        let ranges = GroupMeta { start_min, start_max, duration_min, duration_max, ..GroupMeta::default() };
        groups.push(GroupMeta { fixed, payload, filter, statuses, operations, ..ranges });
    }
    Ok(groups)
}

fn take_trace_pages(bytes: &[u8]) -> Result<Vec<(u64, Place)>, Malformed> {
    let mut from = Reader::new(bytes);
    let mut pages = Vec::new();
    for _ in 0..from.count("pages")? {
        pages.push((from.u64("hash")?, Place::decode(&mut from)?));
    }
    Ok(pages)
}

fn take_trace_page(bytes: &[u8]) -> Result<Vec<(u64, u32)>, Malformed> {
    let mut from = Reader::new(bytes);
    let (mut entries, mut hash) = (Vec::new(), 0u64);
    for _ in 0..from.count("traces")? {
        hash = hash.wrapping_add(from.varint("hash")?);
        entries.push((hash, from.varint_u32("group")?));
    }
    Ok(entries)
}

fn take_rows(bytes: &[u8]) -> Result<Payload, Malformed> {
    let mut from = Reader::new(bytes);
    let texts = take_texts(&mut from)?;
    let mut rows = Vec::new();
    for _ in 0..from.count("rows")? {
        rows.push(from.bytes("row")?.to_vec());
    }
    Ok(Payload { texts, rows })
}
