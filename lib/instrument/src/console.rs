//! Logs on standard output, for the person at the terminal or the container's log driver, each line with its trace id.
//! It does not know OTLP.

use std::fmt;

use opentelemetry::trace::TraceContextExt as _;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt as lines;
use tracing_subscriber::fmt::format::{Format, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::{Layer, registry::LookupSpan};

/// What is written to standard output beside OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Console {
    /// Nothing.
    #[default]
    Off,
    /// One readable line an event, ending in ` trace_id=…` when there is a trace.
    Text,
    /// One JSON object an event, with `trace_id` as its last member when there is a trace.
    Json,
}

pub(crate) fn layer<S>(console: Console) -> Option<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let text = || Traced { inner: Format::default().with_ansi(false), json: false };
    let json = || Traced { inner: Format::default().json().flatten_event(true), json: true };
    match console {
        Console::Off => None,
        Console::Text => Some(lines::layer().with_ansi(false).event_format(text()).boxed()),
        Console::Json => Some(lines::layer().fmt_fields(JsonFields::new()).event_format(json()).boxed()),
    }
}

/// An event format whose line ends in the trace id.
struct Traced<F> {
    inner: F,
    json: bool,
}

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.inner.format_event(ctx, Writer::new(&mut line), event)?;
        let context = opentelemetry::Context::current();
        let span = context.span().span_context().clone();
        if !span.is_valid() {
            return writer.write_str(&line);
        }
        let line = line.trim_end();
        let id = span.trace_id();
        match line.strip_suffix('}').filter(|_| self.json) {
            Some(open) => writeln!(writer, r#"{open},"trace_id":"{id}"}}"#),
            None => writeln!(writer, "{line} trace_id={id}"),
        }
    }
}
