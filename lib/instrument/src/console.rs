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

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::Write;
    use std::sync::Arc;

    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
    use parking_lot::Mutex;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::registry;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What one event leaves, without its time.
    fn line(json: bool, in_trace: bool) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let layer = lines::layer().with_ansi(false).with_writer(move || writer.clone());
        let text = Traced { inner: Format::default().with_ansi(false).without_time().with_target(false), json };
        let as_json =
            Traced { inner: Format::default().json().flatten_event(true).without_time().with_target(false), json };
        let subscriber: Box<dyn Subscriber + Send + Sync> = if json {
            Box::new(registry().with(layer.fmt_fields(JsonFields::new()).event_format(as_json)))
        } else {
            Box::new(registry().with(layer.event_format(text)))
        };
        let context = SpanContext::new(
            TraceId::from_bytes([0xab; 16]),
            SpanId::from_bytes([1; 8]),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        );
        let _trace = in_trace.then(|| opentelemetry::Context::new().with_remote_span_context(context).attach());
        tracing::subscriber::with_default(subscriber, || tracing::info!(stock = 3, "looked up {{x}}"));
        String::from_utf8(memory.0.lock().clone()).unwrap()
    }

    #[test]
    fn every_line_carries_its_trace() {
        let id = "ab".repeat(16);
        assert_eq!(line(false, false).trim_start(), "INFO looked up {x} stock=3\n");
        assert_eq!(line(false, true).trim_start(), format!("INFO looked up {{x}} stock=3 trace_id={id}\n"));
        let plain: serde_json::Value = serde_json::from_str(&line(true, false)).unwrap();
        assert_eq!(
            (&plain["message"], &plain["stock"], &plain["trace_id"]),
            (&"looked up {x}".into(), &3.into(), &serde_json::Value::Null)
        );
        let traced = line(true, true);
        let read: serde_json::Value = serde_json::from_str(&traced).unwrap();
        assert_eq!((read["trace_id"].as_str(), read["message"].as_str()), (Some(id.as_str()), Some("looked up {x}")));
        assert!(traced.ends_with(&format!(",\"trace_id\":\"{id}\"}}\n")), "{traced}");
    }

    #[test]
    fn off_is_no_layer() {
        let there = |console| layer::<registry::Registry>(console).is_some();
        assert_eq!([Console::Off, Console::Text, Console::Json].map(there), [false, true, true]);
    }
}
