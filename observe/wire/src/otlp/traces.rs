//! OTLP traces to spans. A span without a usable id is left out and counted; everything else is taken as it is.

use std::borrow::Cow;
use std::sync::Arc;

use base_signal::{Resource, Scope, Span, SpanEvent, SpanId, SpanKind, SpanLink, SpanStatus, StatusCode, TraceId};
use observe_source::{RejectReason, SpanWrite};

use super::common::{KeyValue, Listed, ResourceModel, ScopeModel, listed, to_attributes};
use super::{Encoding, Take, decode};
use crate::message::message;
use crate::{DecodeError, Decoded, Limits};

const KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const CODES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

#[derive(Default)]
struct ResourceSpans<'a> {
    resource: ResourceModel<'a>,
    scopes: Vec<ScopeSpans<'a>>,
}

#[derive(Default)]
struct ScopeSpans<'a> {
    scope: ScopeModel<'a>,
    spans: Vec<SpanModel<'a>>,
}

#[derive(Default)]
struct SpanModel<'a> {
    trace_id: Cow<'a, [u8]>,
    span_id: Cow<'a, [u8]>,
    parent_span_id: Cow<'a, [u8]>,
    trace_state: &'a str,
    flags: u32,
    name: &'a str,
    kind: i64,
    start_ns: i64,
    end_ns: i64,
    attributes: Vec<KeyValue<'a>>,
    events: Vec<EventModel<'a>>,
    links: Vec<LinkModel<'a>>,
    status: StatusModel<'a>,
}

#[derive(Default)]
struct EventModel<'a> {
    time_ns: i64,
    name: &'a str,
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Default)]
struct LinkModel<'a> {
    trace_id: Cow<'a, [u8]>,
    span_id: Cow<'a, [u8]>,
    trace_state: &'a str,
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Default)]
struct StatusModel<'a> {
    message: &'a str,
    code: i64,
}

listed!(ResourceSpans, "resourceSpans");

message! { ResourceSpans {
    1 "resource" (m, v) => m.resource = v.message()?,
    2 "scopeSpans" (m, v) => v.push(&mut m.scopes)?,
} }

message! { ScopeSpans {
    1 "scope" (m, v) => m.scope = v.message()?,
    2 "spans" (m, v) => v.push(&mut m.spans)?,
} }

message! { SpanModel {
    1 "traceId" (m, v) => m.trace_id = v.hex()?,
    2 "spanId" (m, v) => m.span_id = v.hex()?,
    3 "traceState" (m, v) => m.trace_state = v.text()?,
    4 "parentSpanId" (m, v) => m.parent_span_id = v.hex()?,
    5 "name" (m, v) => m.name = v.text()?,
    6 "kind" (m, v) => m.kind = v.choice(KINDS)?,
    7 "startTimeUnixNano" (m, v) => m.start_ns = v.time_ns()?,
    8 "endTimeUnixNano" (m, v) => m.end_ns = v.time_ns()?,
    9 "attributes" (m, v) => v.push(&mut m.attributes)?,
    11 "events" (m, v) => v.push(&mut m.events)?,
    13 "links" (m, v) => v.push(&mut m.links)?,
    15 "status" (m, v) => m.status = v.message()?,
    16 "flags" (m, v) => m.flags = v.unsigned()? as u32,
} }

message! { EventModel {
    1 "timeUnixNano" (m, v) => m.time_ns = v.time_ns()?,
    2 "name" (m, v) => m.name = v.text()?,
    3 "attributes" (m, v) => v.push(&mut m.attributes)?,
} }

message! { LinkModel {
    1 "traceId" (m, v) => m.trace_id = v.hex()?,
    2 "spanId" (m, v) => m.span_id = v.hex()?,
    3 "traceState" (m, v) => m.trace_state = v.text()?,
    4 "attributes" (m, v) => v.push(&mut m.attributes)?,
} }

message! { StatusModel {
    2 "message" (m, v) => m.message = v.text()?,
    3 "code" (m, v) => m.code = v.choice(CODES)?,
} }

/// Decodes an `ExportTraceServiceRequest` (or `TracesData`: the same bytes).
pub fn decode_traces(body: &[u8], encoding: Encoding, limits: &Limits) -> Result<Decoded<SpanWrite>, DecodeError> {
    decode(body, encoding, limits, Spans)
}

struct Spans;

impl Take<Decoded<SpanWrite>> for Spans {
    type Message<'a> = Listed<ResourceSpans<'a>>;

    fn take(self, request: Self::Message<'_>) -> Result<Decoded<SpanWrite>, DecodeError> {
        let mut decoded = Decoded::default();
        for group in &request.0 {
            let resource = Arc::new(Resource { attributes: to_attributes(&group.resource.attributes) });
            for scoped in &group.scopes {
                let scope = Arc::new(Scope {
                    name: scoped.scope.name.to_owned(),
                    version: scoped.scope.version.to_owned(),
                    attributes: to_attributes(&scoped.scope.attributes),
                });
                for span in &scoped.spans {
                    take_span(span, &resource, &scope, &mut decoded);
                }
            }
        }
        Ok(decoded)
    }
}

fn take_span(span: &SpanModel<'_>, resource: &Arc<Resource>, scope: &Arc<Scope>, decoded: &mut Decoded<SpanWrite>) {
    let trace_id = TraceId::from_slice(&span.trace_id).filter(|id| !id.is_zero());
    let span_id = SpanId::from_slice(&span.span_id).filter(|id| !id.is_zero());
    let (Some(trace_id), Some(span_id)) = (trace_id, span_id) else {
        decoded.rejects.reject(RejectReason::Invalid, || {
            let (trace, own) = (span.trace_id.len(), span.span_id.len());
            format!(
                "span {:?} has a trace id of {trace} bytes and a span id of {own}; 16 and 8, not all zero, are wanted",
                span.name
            )
        });
        return;
    };
    decoded.write.spans.push(Span {
        trace_id,
        span_id,
        // A parent that cannot be one is no parent: the span itself is still worth having.
        parent_span_id: SpanId::from_slice(&span.parent_span_id).unwrap_or_default(),
        trace_state: span.trace_state.to_owned(),
        flags: span.flags,
        name: span.name.to_owned(),
        kind: SpanKind::from_number(span.kind),
        start_ns: span.start_ns,
        end_ns: span.end_ns,
        status: SpanStatus { code: StatusCode::from_number(span.status.code), message: span.status.message.to_owned() },
        attributes: to_attributes(&span.attributes),
        events: span.events.iter().map(event).collect(),
        links: span.links.iter().map(link).collect(),
        resource: resource.clone(),
        scope: scope.clone(),
    });
}

fn event(event: &EventModel<'_>) -> SpanEvent {
    SpanEvent { time_ns: event.time_ns, name: event.name.to_owned(), attributes: to_attributes(&event.attributes) }
}

fn link(link: &LinkModel<'_>) -> SpanLink {
    SpanLink {
        trace_id: TraceId::from_slice(&link.trace_id).unwrap_or_default(),
        span_id: SpanId::from_slice(&link.span_id).unwrap_or_default(),
        trace_state: link.trace_state.to_owned(),
        attributes: to_attributes(&link.attributes),
    }
}
