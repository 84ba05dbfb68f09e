//! Errors that are logged inside a span, recorded on that span as well.
//!
//! An event of level ERROR becomes an `exception` event of the current span (semantic conventions for exceptions):
//! `error` is its message, `error.type` its type. With an `error` field the span's status becomes an error too. Other
//! events are logs only: they carry the trace's ids, so nothing is sent twice.

use std::fmt;

use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context as LayerContext;

pub(crate) struct ErrorsOnSpans;

impl<S: Subscriber> Layer<S> for ErrorsOnSpans {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        let context = Context::current();
        let span = context.span();
        if !span.is_recording() {
            return;
        }
        let mut told = Told::default();
        event.record(&mut told);
        let kind = told.kind.unwrap_or_else(|| "error".to_owned());
        if let Some(error) = &told.error {
            span.set_attribute(KeyValue::new("error.type", kind.clone()));
            span.set_status(Status::error(error.clone()));
        }
        let mut attributes = vec![
            KeyValue::new("exception.type", kind),
            KeyValue::new("exception.message", told.error.unwrap_or_else(|| told.message.clone())),
        ];
        if !told.message.is_empty() {
            attributes.push(KeyValue::new("log.message", told.message));
        }
        span.add_event("exception", attributes);
    }
}

#[derive(Default)]
struct Told {
    message: String,
    error: Option<String>,
    kind: Option<String>,
}

impl Told {
    fn take(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            "error" => self.error = Some(text),
            "error.type" => self.kind = Some(text),
            _ => {}
        }
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.take(field, value.to_string());
    }
}
