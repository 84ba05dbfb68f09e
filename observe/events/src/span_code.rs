//! Spans, resources and attribute values as bytes, for the log and for segments. Layout: `docs/formats/event-segment.md`.

use std::sync::Arc;

use ahash::AHashMap;
use base_signal::{
    Attributes, Resource, Scope, Span, SpanEvent, SpanId, SpanKind, SpanLink, SpanStatus, StatusCode, TraceId, Value,
};
use observe_block::codec::{self, Malformed, Reader};

/// Values nested deeper than this are refused when read.
const DEPTH_MAX: usize = 100;

/// How texts are written: in place, or as numbers of a dictionary.
pub(crate) trait PutText {
    fn put(&mut self, to: &mut Vec<u8>, text: &str);
}

pub(crate) struct Inline;

impl PutText for Inline {
    fn put(&mut self, to: &mut Vec<u8>, text: &str) {
        codec::put_bytes(to, text.as_bytes());
    }
}

/// Texts by number, in order of first use.
#[derive(Default)]
pub(crate) struct Dictionary {
    numbers: AHashMap<String, u32>,
    pub(crate) texts: Vec<String>,
    pub(crate) bytes: usize,
}

impl Dictionary {
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as u32;
        self.numbers.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        self.bytes += text.len() + 48;
        number
    }

    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        codec::put_varint(to, self.texts.len() as u64);
        self.texts.iter().for_each(|text| codec::put_bytes(to, text.as_bytes()));
    }
}

impl PutText for Dictionary {
    fn put(&mut self, to: &mut Vec<u8>, text: &str) {
        let number = self.number(text);
        codec::put_varint(to, u64::from(number));
    }
}

pub(crate) fn take_texts(from: &mut Reader<'_>) -> Result<Vec<String>, Malformed> {
    let count = from.count("dictionary")?;
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        texts.push(from.str("dictionary text")?.to_owned());
    }
    Ok(texts)
}

/// Where texts are read from: `None` is in place.
pub(crate) type Texts<'a> = Option<&'a [String]>;

fn take_text(from: &mut Reader<'_>, texts: Texts<'_>) -> Result<String, Malformed> {
    match texts {
        None => from.str("text").map(str::to_owned),
        Some(texts) => {
            let number = from.varint_usize("text number")?;
            texts.get(number).cloned().ok_or_else(|| from.malformed("text number"))
        }
    }
}

fn put_value(to: &mut Vec<u8>, value: &Value, text: &mut impl PutText) {
    match value {
        Value::Empty => to.push(0),
        Value::String(s) => {
            to.push(1);
            text.put(to, s);
        }
        Value::Bool(flag) => to.push(2 + u8::from(*flag)),
        Value::Int(number) => {
            to.push(4);
            codec::put_zigzag(to, *number);
        }
        Value::Double(number) => {
            to.push(5);
            codec::put_f64(to, *number);
        }
        Value::Bytes(bytes) => {
            to.push(6);
            codec::put_bytes(to, bytes);
        }
        Value::Array(items) => {
            to.push(7);
            codec::put_varint(to, items.len() as u64);
            items.iter().for_each(|item| put_value(to, item, text));
        }
        Value::Map(pairs) => {
            to.push(8);
            put_attributes(to, pairs, text);
        }
    }
}

fn take_value(from: &mut Reader<'_>, texts: Texts<'_>, depth: usize) -> Result<Value, Malformed> {
    if depth > DEPTH_MAX {
        return Err(from.malformed("depth of a value"));
    }
    Ok(match from.u8("value kind")? {
        0 => Value::Empty,
        1 => Value::String(take_text(from, texts)?),
        2 => Value::Bool(false),
        3 => Value::Bool(true),
        4 => Value::Int(from.zigzag("integer")?),
        5 => Value::Double(f64::from_bits(from.u64("double")?)),
        6 => Value::Bytes(from.bytes("bytes")?.to_vec()),
        7 => {
            let count = from.count("array")?;
            let items = (0..count).map(|_| take_value(from, texts, depth + 1));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        8 => Value::Map(take_attributes(from, texts, depth + 1)?),
        _ => return Err(from.malformed("value kind")),
    })
}

/// Whether a value can be read back: not nested too deep.
pub(crate) fn fits(attributes: &Attributes) -> bool {
    fn depth_fits(value: &Value, left: usize) -> bool {
        match value {
            _ if left == 0 => false,
            Value::Array(items) => items.iter().all(|item| depth_fits(item, left - 1)),
            Value::Map(pairs) => pairs.iter().all(|(_, item)| depth_fits(item, left - 1)),
            _ => true,
        }
    }
    attributes.iter().all(|(_, value)| depth_fits(value, DEPTH_MAX))
}

pub(crate) fn put_attributes(to: &mut Vec<u8>, attributes: &Attributes, text: &mut impl PutText) {
    codec::put_varint(to, attributes.len() as u64);
    for (name, value) in attributes {
        text.put(to, name);
        put_value(to, value, text);
    }
}

fn take_attributes(from: &mut Reader<'_>, texts: Texts<'_>, depth: usize) -> Result<Attributes, Malformed> {
    let count = from.count("attributes")?;
    let mut attributes = Vec::with_capacity(count);
    for _ in 0..count {
        attributes.push((take_text(from, texts)?, take_value(from, texts, depth)?));
    }
    Ok(attributes)
}

pub(crate) fn resource_bytes(resource: &Resource) -> Vec<u8> {
    let mut to = Vec::new();
    put_attributes(&mut to, &resource.attributes, &mut Inline);
    to
}

pub(crate) fn take_resource(bytes: &[u8]) -> Result<Resource, Malformed> {
    Ok(Resource { attributes: take_attributes(&mut Reader::new(bytes), None, 0)? })
}

pub(crate) fn scope_bytes(scope: &Scope) -> Vec<u8> {
    let mut to = Vec::new();
    codec::put_bytes(&mut to, scope.name.as_bytes());
    codec::put_bytes(&mut to, scope.version.as_bytes());
    put_attributes(&mut to, &scope.attributes, &mut Inline);
    to
}

pub(crate) fn take_scope(bytes: &[u8]) -> Result<Scope, Malformed> {
    let mut from = Reader::new(bytes);
    let (name, version) = (from.str("scope name")?.to_owned(), from.str("scope version")?.to_owned());
    Ok(Scope { name, version, attributes: take_attributes(&mut from, None, 0)? })
}

/// What a span has beside its fixed columns: attributes, events, links, and the rarely filled rest.
pub(crate) fn put_payload(to: &mut Vec<u8>, span: &Span, text: &mut impl PutText) {
    put_attributes(to, &span.attributes, text);
    text.put(to, &span.status.message);
    text.put(to, &span.trace_state);
    codec::put_varint(to, u64::from(span.flags));
    codec::put_varint(to, span.events.len() as u64);
    for event in &span.events {
        codec::put_zigzag(to, event.time_ns.wrapping_sub(span.start_ns));
        text.put(to, &event.name);
        put_attributes(to, &event.attributes, text);
    }
    codec::put_varint(to, span.links.len() as u64);
    for link in &span.links {
        to.extend_from_slice(&link.trace_id.0);
        to.extend_from_slice(&link.span_id.0);
        text.put(to, &link.trace_state);
        put_attributes(to, &link.attributes, text);
    }
}

/// Fills what [`put_payload`] wrote; the fixed columns must be there already.
pub(crate) fn take_payload(from: &mut Reader<'_>, span: &mut Span, texts: Texts<'_>) -> Result<(), Malformed> {
    span.attributes = take_attributes(from, texts, 0)?;
    span.status.message = take_text(from, texts)?;
    span.trace_state = take_text(from, texts)?;
    span.flags = from.varint_u32("flags")?;
    for _ in 0..from.count("events")? {
        let time_ns = span.start_ns.wrapping_add(from.zigzag("event time")?);
        let (name, attributes) = (take_text(from, texts)?, take_attributes(from, texts, 0)?);
        span.events.push(SpanEvent { time_ns, name, attributes });
    }
    for _ in 0..from.count("links")? {
        let (trace_id, span_id) = (take_trace_id(from)?, take_span_id(from)?);
        let (trace_state, attributes) = (take_text(from, texts)?, take_attributes(from, texts, 0)?);
        span.links.push(SpanLink { trace_id, span_id, trace_state, attributes });
    }
    Ok(())
}

pub(crate) fn take_trace_id(from: &mut Reader<'_>) -> Result<TraceId, Malformed> {
    let bytes = from.take(16, "trace id")?;
    TraceId::from_slice(bytes).ok_or_else(|| from.malformed("trace id"))
}

pub(crate) fn take_span_id(from: &mut Reader<'_>) -> Result<SpanId, Malformed> {
    let bytes = from.take(8, "span id")?;
    SpanId::from_slice(bytes).ok_or_else(|| from.malformed("span id"))
}

/// A whole span for the log; `resource` and `scope` are numbers in the same frame.
pub(crate) fn put_span(to: &mut Vec<u8>, span: &Span, resource: u32, scope: u32) {
    to.extend_from_slice(&span.trace_id.0);
    to.extend_from_slice(&span.span_id.0);
    to.extend_from_slice(&span.parent_span_id.0);
    codec::put_bytes(to, span.name.as_bytes());
    to.extend_from_slice(&[span.kind.number(), span.status.code.number()]);
    codec::put_zigzag(to, span.start_ns);
    codec::put_zigzag(to, span.end_ns.wrapping_sub(span.start_ns));
    codec::put_varint(to, u64::from(resource));
    codec::put_varint(to, u64::from(scope));
    put_payload(to, span, &mut Inline);
}

pub(crate) fn take_span(
    from: &mut Reader<'_>,
    resources: &[Arc<Resource>],
    scopes: &[Arc<Scope>],
) -> Result<Span, Malformed> {
    let (trace_id, span_id, parent_span_id) = (take_trace_id(from)?, take_span_id(from)?, take_span_id(from)?);
    let name = from.str("span name")?.to_owned();
    let kind = SpanKind::from_number(i64::from(from.u8("kind")?));
    let code = StatusCode::from_number(i64::from(from.u8("status")?));
    let start_ns = from.zigzag("start")?;
    let end_ns = start_ns.wrapping_add(from.zigzag("duration")?);
    let resource = resources.get(from.varint_usize("resource")?).cloned();
    let scope = scopes.get(from.varint_usize("scope")?).cloned();
    let (Some(resource), Some(scope)) = (resource, scope) else { return Err(from.malformed("resource or scope")) };
    let status = SpanStatus { code, message: String::new() };
    let fixed = Span { trace_id, span_id, parent_span_id, name, kind, start_ns, end_ns, status, ..Span::default() };
    let mut span = Span { resource, scope, ..fixed };
    take_payload(from, &mut span, None)?;
    Ok(span)
}

/// Heap bytes, about.
pub(crate) fn span_size(span: &Span) -> usize {
    fn value(v: &Value) -> usize {
        32 + match v {
            Value::String(s) => s.len(),
            Value::Bytes(b) => b.len(),
            Value::Array(items) => items.iter().map(value).sum(),
            Value::Map(pairs) => attributes(pairs),
            _ => 0,
        }
    }
    fn attributes(pairs: &Attributes) -> usize {
        pairs.iter().map(|(name, v)| 24 + name.len() + value(v)).sum()
    }
    let events: usize = span.events.iter().map(|e| 56 + e.name.len() + attributes(&e.attributes)).sum();
    let links: usize = span.links.iter().map(|l| 72 + l.trace_state.len() + attributes(&l.attributes)).sum();
    let texts = span.name.len() + span.trace_state.len() + span.status.message.len();
    size_of::<Span>() + 32 + texts + attributes(&span.attributes) + events + links
}
