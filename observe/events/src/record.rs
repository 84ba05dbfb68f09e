//! Payloads of the log's records. A frame is one write and stands alone: its streams, resources and scopes come first and
//! are numbered within it. Layout: `docs/formats/event-segment.md`.

use std::borrow::Cow;
use std::sync::Arc;

use base_signal::{Labels, Resource, Scope, Span};
use observe_block::codec::{self, Malformed, Reader};
use observe_block::{Frame, FrameBuilder, RecordKind};

use crate::columns::{put_pairs, take_pairs};
use crate::span_code::{put_span, resource_bytes, scope_bytes, take_resource, take_scope, take_span};

/// A line on its way into log and head; `stream` is a number within its write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line<'a> {
    pub(crate) stream: u32,
    pub(crate) time_ns: i64,
    pub(crate) text: Cow<'a, str>,
    pub(crate) metadata: Cow<'a, [(String, String)]>,
}

/// What a frame holds, as it is applied to the head: now, or at replay.
#[derive(Debug, Default)]
pub(crate) struct Write<'a> {
    pub(crate) streams: Vec<Labels>,
    pub(crate) lines: Vec<Line<'a>>,
    pub(crate) spans: Vec<Arc<Span>>,
}

pub(crate) fn put_logs(frame: &mut FrameBuilder, tenant: &str, write: &Write<'_>) {
    let mut streams = Vec::new();
    codec::put_varint(&mut streams, write.streams.len() as u64);
    write.streams.iter().for_each(|labels| codec::put_bytes(&mut streams, labels.as_bytes()));
    let mut lines = Vec::new();
    codec::put_varint(&mut lines, write.lines.len() as u64);
    let mut before = 0i64;
    for line in &write.lines {
        codec::put_varint(&mut lines, u64::from(line.stream));
        codec::put_zigzag(&mut lines, line.time_ns.wrapping_sub(before));
        codec::put_bytes(&mut lines, line.text.as_bytes());
        put_pairs(&mut lines, &line.metadata);
        before = line.time_ns;
    }
    frame.record(RecordKind::Streams, tenant, &streams);
    frame.record(RecordKind::LogEntries, tenant, &lines);
}

/// Numbers of resources and scopes of one frame, by address: a request shares them among its spans.
#[derive(Default)]
struct Shared {
    known: ahash::AHashMap<usize, u32>,
    bytes: Vec<u8>,
    count: u32,
}

impl Shared {
    fn number<T>(&mut self, item: &Arc<T>, encode: impl FnOnce(&T) -> Vec<u8>) -> u32 {
        let address = Arc::as_ptr(item) as usize;
        if let Some(number) = self.known.get(&address) {
            return *number;
        }
        codec::put_bytes(&mut self.bytes, &encode(item));
        self.known.insert(address, self.count);
        self.count += 1;
        self.count - 1
    }

    fn finish(self, to: &mut Vec<u8>) {
        codec::put_varint(to, u64::from(self.count));
        to.extend_from_slice(&self.bytes);
    }
}

pub(crate) fn put_spans(frame: &mut FrameBuilder, tenant: &str, spans: &[Arc<Span>]) {
    let (mut resources, mut scopes) = (Shared::default(), Shared::default());
    let mut payload = Vec::new();
    codec::put_varint(&mut payload, spans.len() as u64);
    for span in spans {
        let resource = resources.number(&span.resource, resource_bytes);
        let scope = scopes.number(&span.scope, scope_bytes);
        put_span(&mut payload, span, resource, scope);
    }
    let mut shared = Vec::new();
    resources.finish(&mut shared);
    scopes.finish(&mut shared);
    frame.record(RecordKind::Resources, tenant, &shared);
    frame.record(RecordKind::Spans, tenant, &payload);
}

/// Reads a frame back, by tenant.
pub(crate) fn take(frame: &Frame) -> Result<Vec<(String, Write<'static>)>, Malformed> {
    let mut writes: Vec<(String, Write<'static>)> = Vec::new();
    let (mut resources, mut scopes) = (Vec::new(), Vec::new());
    for record in frame.records()? {
        if writes.last().is_none_or(|(tenant, _)| tenant != record.tenant) {
            writes.push((record.tenant.to_owned(), Write::default()));
        }
        let Some((_, write)) = writes.last_mut() else { continue };
        let mut from = Reader::new(record.payload);
        match record.kind {
            RecordKind::Streams => {
                for _ in 0..from.count("streams")? {
                    let labels = Labels::from_bytes(from.bytes("labels")?);
                    write.streams.push(labels.ok_or_else(|| from.malformed("labels"))?);
                }
            }
            RecordKind::LogEntries => {
                let mut time_ns = 0i64;
                for _ in 0..from.count("lines")? {
                    let stream = from.varint_u32("stream")?;
                    time_ns = time_ns.wrapping_add(from.zigzag("time")?);
                    let text = Cow::Owned(from.str("line")?.to_owned());
                    let metadata = Cow::Owned(take_pairs(&mut from)?);
                    if stream as usize >= write.streams.len() {
                        return Err(from.malformed("stream"));
                    }
                    write.lines.push(Line { stream, time_ns, text, metadata });
                }
            }
            RecordKind::Resources => {
                (resources, scopes) = take_shared(&mut from)?;
            }
            RecordKind::Spans => {
                for _ in 0..from.count("spans")? {
                    write.spans.push(Arc::new(take_span(&mut from, &resources, &scopes)?));
                }
            }
            // Written by another store or a newer program: refused rather than lost.
            _ => return Err(from.malformed("record of another kind")),
        }
    }
    Ok(writes)
}

type SharedItems = (Vec<Arc<Resource>>, Vec<Arc<Scope>>);

fn take_shared(from: &mut Reader<'_>) -> Result<SharedItems, Malformed> {
    let (mut resources, mut scopes) = (Vec::new(), Vec::new());
    for _ in 0..from.count("resources")? {
        resources.push(Arc::new(take_resource(from.bytes("resource")?)?));
    }
    for _ in 0..from.count("scopes")? {
        scopes.push(Arc::new(take_scope(from.bytes("scope")?)?));
    }
    Ok((resources, scopes))
}
