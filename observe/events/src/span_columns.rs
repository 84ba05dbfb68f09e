//! The fixed columns of a group of spans: what most searches look at, without attributes. Layout:
//! `docs/formats/event-segment.md`.

use base_signal::{Span, SpanId, TraceId};
use observe_block::codec::{self, Malformed, Reader};

use crate::span_code::{take_span_id, take_trace_id};

/// All columns but `traces` are of equal length. Numbers point into tables of the segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SpanColumns {
    pub(crate) traces: Vec<TraceId>,
    pub(crate) trace: Vec<u32>,
    pub(crate) span_ids: Vec<SpanId>,
    pub(crate) parents: Vec<SpanId>,
    pub(crate) starts_ns: Vec<i64>,
    pub(crate) ends_ns: Vec<i64>,
    pub(crate) kinds: Vec<u8>,
    pub(crate) statuses: Vec<u8>,
    pub(crate) names: Vec<u32>,
    pub(crate) resources: Vec<u32>,
    pub(crate) scopes: Vec<u32>,
}

impl SpanColumns {
    pub(crate) fn len(&self) -> usize {
        self.starts_ns.len()
    }

    pub(crate) fn trace_id(&self, row: usize) -> TraceId {
        self.trace.get(row).and_then(|i| self.traces.get(*i as usize)).copied().unwrap_or_default()
    }

    /// `trace` is the number of the span's trace in `traces`.
    pub(crate) fn push(&mut self, span: &Span, trace: u32, name: u32, resource: u32, scope: u32) {
        self.trace.push(trace);
        self.span_ids.push(span.span_id);
        self.parents.push(span.parent_span_id);
        self.starts_ns.push(span.start_ns);
        self.ends_ns.push(span.end_ns);
        self.kinds.push(span.kind.number());
        self.statuses.push(span.status.code.number());
        self.names.push(name);
        self.resources.push(resource);
        self.scopes.push(scope);
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(self.len() * 32);
        codec::put_varint(&mut to, self.len() as u64);
        codec::put_varint(&mut to, self.traces.len() as u64);
        self.traces.iter().for_each(|id| to.extend_from_slice(&id.0));
        self.trace.iter().for_each(|i| codec::put_varint(&mut to, u64::from(*i)));
        self.span_ids.iter().for_each(|id| to.extend_from_slice(&id.0));
        self.parents.iter().for_each(|id| to.extend_from_slice(&id.0));
        let mut before = 0i64;
        for start in &self.starts_ns {
            codec::put_zigzag(&mut to, start.wrapping_sub(before));
            before = *start;
        }
        for (start, end) in self.starts_ns.iter().zip(&self.ends_ns) {
            codec::put_zigzag(&mut to, end.wrapping_sub(*start));
        }
        to.extend_from_slice(&self.kinds);
        to.extend_from_slice(&self.statuses);
        for numbers in [&self.names, &self.resources, &self.scopes] {
            numbers.iter().for_each(|n| codec::put_varint(&mut to, u64::from(*n)));
        }
        to
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let rows = from.count("span count")?;
        let mut columns = SpanColumns::default();
        for _ in 0..from.count("trace count")? {
            columns.traces.push(take_trace_id(&mut from)?);
        }
        columns.trace = numbers(&mut from, rows)?;
        for _ in 0..rows {
            columns.span_ids.push(take_span_id(&mut from)?);
        }
        for _ in 0..rows {
            columns.parents.push(take_span_id(&mut from)?);
        }
        let mut before = 0i64;
        for _ in 0..rows {
            before = before.wrapping_add(from.zigzag("start")?);
            columns.starts_ns.push(before);
        }
        for row in 0..rows {
            let start = columns.starts_ns.get(row).copied().unwrap_or(0);
            columns.ends_ns.push(start.wrapping_add(from.zigzag("duration")?));
        }
        columns.kinds = from.take(rows, "kinds")?.to_vec();
        columns.statuses = from.take(rows, "statuses")?.to_vec();
        columns.names = numbers(&mut from, rows)?;
        columns.resources = numbers(&mut from, rows)?;
        columns.scopes = numbers(&mut from, rows)?;
        Ok(columns)
    }
}

fn numbers(from: &mut Reader<'_>, rows: usize) -> Result<Vec<u32>, Malformed> {
    (0..rows).map(|_| from.varint_u32("number")).collect()
}
