//! Reading spans: by trace id, or by conditions on single spans, newest first.

use std::sync::Arc;

use base_signal::{RangeNs, Span, SpanKind, StatusCode, TenantId, TraceId, Value};

use crate::{Budget, Cancel, SourceError};

/// Where an attribute is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeScope {
    Span,
    Resource,
    /// The span's own first, then the resource's.
    Any,
}

/// A condition on one span. A store answers what it can from its columns and side files and tests the rest span by span;
/// the answer holds exactly the spans for which all conditions are true.
#[derive(Clone, Debug, PartialEq)]
pub enum SpanFilter {
    Service(String),
    Name(String),
    Kind(SpanKind),
    Status(StatusCode),
    /// Both ends included; `None` is open.
    DurationNs {
        min: Option<u64>,
        max: Option<u64>,
    },
    /// Equal when the values are, or when the value's text is the wanted string (a page knows only text).
    Attribute {
        scope: AttributeScope,
        name: String,
        value: Value,
    },
    Root,
}

impl SpanFilter {
    pub fn matches(&self, span: &Span) -> bool {
        match self {
            SpanFilter::Service(name) => span.resource.service_name() == name,
            SpanFilter::Name(name) => span.name == *name,
            SpanFilter::Kind(kind) => span.kind == *kind,
            SpanFilter::Status(code) => span.status.code == *code,
            SpanFilter::DurationNs { min, max } => {
                let duration = span.duration_ns();
                min.is_none_or(|m| duration >= m) && max.is_none_or(|m| duration <= m)
            }
            SpanFilter::Attribute { scope, name, value } => {
                let own = span.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v);
                let found = match scope {
                    AttributeScope::Span => own,
                    AttributeScope::Resource => span.resource.get(name),
                    AttributeScope::Any => own.or_else(|| span.resource.get(name)),
                };
                found.is_some_and(|v| v == value || value.as_str().is_some_and(|text| v.to_string() == text))
            }
            SpanFilter::Root => span.parent_span_id.is_zero(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct SelectSpans<'a> {
    pub tenant: &'a TenantId,
    /// On the start of the span, both ends included.
    pub range: RangeNs,
    /// All must be true of a span.
    pub filters: &'a [SpanFilter],
    /// Only spans of these traces; `None` for any.
    pub trace_ids: Option<&'a [TraceId]>,
    pub budget: &'a Budget,
    pub cancel: &'a Cancel,
}

/// Some spans, newest start first, within a batch and from batch to batch. A span that was sent twice (same trace id, span
/// id and kind) comes once. Columns behind methods: how they are kept may change, what they say may not.
#[derive(Clone, Debug, Default)]
pub struct SpanBatch {
    spans: Vec<Arc<Span>>,
}

impl SpanBatch {
    pub fn new(spans: Vec<Arc<Span>>) -> Self {
        SpanBatch { spans }
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub fn trace_id(&self, i: usize) -> TraceId {
        self.spans[i].trace_id
    }

    pub fn start_ns(&self, i: usize) -> i64 {
        self.spans[i].start_ns
    }

    /// The whole span.
    pub fn span(&self, i: usize) -> &Arc<Span> {
        &self.spans[i]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Span>> {
        self.spans.iter()
    }
}

pub trait SpanBatches: Send {
    /// The next batch, or `None` at the end. After an error nothing more may be asked.
    fn next(&mut self) -> Result<Option<SpanBatch>, SourceError>;
}

/// A store of spans as its readers see it.
pub trait SpanSource: Send + Sync {
    fn select_spans(&self, request: &SelectSpans<'_>) -> Result<Box<dyn SpanBatches>, SourceError>;

    /// Names of services with a span in the range, sorted.
    fn services(&self, tenant: &TenantId, range: RangeNs) -> Result<Vec<String>, SourceError>;

    /// Span names and kinds of a service in the range, sorted.
    fn operations(
        &self,
        tenant: &TenantId,
        service: &str,
        range: RangeNs,
    ) -> Result<Vec<(String, SpanKind)>, SourceError>;
}
