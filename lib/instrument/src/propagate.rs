//! Trace context and baggage across a process border: HTTP headers, or any text a message can carry.
//!
//! Formats: W3C Trace Context (`traceparent`, `tracestate`) and W3C Baggage, by the propagators of the SDK that
//! `OTEL_PROPAGATORS` selects.

use std::collections::HashMap;

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, global};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::environment::Propagator;
use crate::request_id::{self, RequestId};

pub(crate) fn install(wanted: &[Propagator]) {
    let made = wanted
        .iter()
        .map(|propagator| -> Box<dyn TextMapPropagator + Send + Sync> {
            match propagator {
                Propagator::TraceContext => Box::new(TraceContextPropagator::new()),
                Propagator::Baggage => Box::new(BaggagePropagator::new()),
            }
        })
        .collect();
    global::set_text_map_propagator(TextMapCompositePropagator::new(made));
}

/// Writes the current span's context and baggage into the headers of an outgoing request, and the id of the request
/// that is being answered.
pub fn inject(headers: &mut http::HeaderMap) {
    if let Some(id) = RequestId::current().and_then(|id| id.header()) {
        headers.insert(request_id::HEADER, id);
    }
    let context = tracing::Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut HeaderInjector(headers)));
}

/// The caller's context, from the headers of an incoming request. Without any, the context is empty.
pub fn extract(headers: &http::HeaderMap) -> Context {
    global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers))
    })
}

/// The current span's context as a `traceparent`, to carry in a message. `None` outside a sampled trace.
pub fn context_to_text() -> Option<String> {
    let context = tracing::Span::current().context();
    if !context.span().span_context().is_sampled() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove("traceparent")
}

/// Makes `span` a child of the context that [`context_to_text`] wrote. Call it before the span is entered. A text that
/// is no `traceparent` changes nothing.
pub fn continue_trace(span: &tracing::Span, traceparent: &str) {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    if context.span().span_context().is_valid() {
        // Refused only when telemetry is switched off; then there is nothing to continue.
        let _ = span.set_parent(context);
    }
}

/// The current trace's id as 32 hex digits, for an error page or an answer. `None` outside a trace.
pub fn current_trace_id() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| span.trace_id().to_string())
}
