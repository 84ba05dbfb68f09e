//! Telemetry kept in memory, so that a service's tests can say what a request must leave behind.
//!
//! [`Captured::start`] works for the current thread only: give it a single-threaded runtime (what `#[tokio::test]` is by
//! default), and tests in one binary do not see each other's telemetry.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tracing::subscriber::DefaultGuard;

use crate::Console;
use crate::deliver::Outages;
use crate::environment::Propagator;
use crate::error::InstrumentError;
use crate::install::{Pipelines, Subscriber, assemble};
use crate::prometheus::Pull;
use crate::telemetry::{SHUTDOWN_LIMIT, Telemetry};

/// One finished span, with every value as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedSpan {
    /// For example `GET /items/{id}`.
    pub name: String,
    /// `server`, `client`, `internal`, `producer` or `consumer`.
    pub kind: String,
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// 16 hex digits, or zeros for a root.
    pub parent_span_id: String,
    /// Values as text.
    pub attributes: BTreeMap<String, String>,
    /// The status's message when the status is an error.
    pub error: Option<String>,
    /// Names of the span's events, each with its attributes.
    pub events: Vec<(String, BTreeMap<String, String>)>,
}

/// One log record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedLog {
    /// `INFO`, `WARN`, `ERROR`, …
    pub severity: String,
    /// The message.
    pub body: String,
    /// 32 hex digits, when the record was made inside a trace.
    pub trace_id: Option<String>,
    /// 16 hex digits, likewise.
    pub span_id: Option<String>,
    /// Values as text.
    pub attributes: BTreeMap<String, String>,
}

/// What was emitted since [`Captured::start`].
pub struct Captured {
    spans: InMemorySpanExporter,
    logs: InMemoryLogExporter,
    metrics: Pull,
    _current_thread: Option<DefaultGuard>,
}

impl Captured {
    /// Telemetry for the current thread, kept in memory, with the Prometheus endpoint switched on.
    pub fn start(service_name: &str) -> (Telemetry, Self) {
        let (telemetry, mut captured, subscriber) = Self::build(service_name);
        captured._current_thread = Some(tracing::subscriber::set_default(subscriber));
        (telemetry, captured)
    }

    /// The same for the whole process, once in it: for code that enters spans on threads of its own (sqlx does), whose
    /// parents `tracing` would otherwise never close. Such a test needs a test binary to itself.
    ///
    /// # Errors
    /// There is a subscriber already.
    pub fn start_for_process(service_name: &str) -> Result<(Telemetry, Self), InstrumentError> {
        let (telemetry, captured, subscriber) = Self::build(service_name);
        tracing::subscriber::set_global_default(subscriber).map_err(|_| InstrumentError::AlreadyInstalled)?;
        Ok((telemetry, captured))
    }

    fn build(service_name: &str) -> (Telemetry, Self, Subscriber) {
        let resource = Resource::builder_empty().with_service_name(service_name.to_owned()).build();
        let spans = InMemorySpanExporter::default();
        let logs = InMemoryLogExporter::default();
        let pull = Pull::new();
        let pipelines = Pipelines {
            traces: Some(
                SdkTracerProvider::builder()
                    .with_resource(resource.clone())
                    .with_simple_exporter(spans.clone())
                    .build(),
            ),
            metrics: SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(pull.clone()).build(),
            logs: Some(SdkLoggerProvider::builder().with_resource(resource).with_simple_exporter(logs.clone()).build()),
            pull: Some(pull.clone()),
            outages: Outages::new(Arc::new(|_| {})),
        };
        crate::propagate::install(&[Propagator::TraceContext, Propagator::Baggage]);
        let (telemetry, subscriber) = assemble(pipelines, Console::Off, Some("info"), SHUTDOWN_LIMIT);
        (telemetry, Self { spans, logs, metrics: pull, _current_thread: None }, subscriber)
    }

    /// Every finished span, oldest end first.
    pub fn spans(&self) -> Vec<CapturedSpan> {
        let spans = self.spans.get_finished_spans().unwrap_or_default();
        spans
            .into_iter()
            .map(|span| CapturedSpan {
                name: span.name.to_string(),
                kind: format!("{:?}", span.span_kind).to_lowercase(),
                trace_id: span.span_context.trace_id().to_string(),
                span_id: span.span_context.span_id().to_string(),
                parent_span_id: span.parent_span_id.to_string(),
                attributes: text(&span.attributes),
                error: match span.status {
                    opentelemetry::trace::Status::Error { description } => Some(description.to_string()),
                    _ => None,
                },
                events: span.events.iter().map(|event| (event.name.to_string(), text(&event.attributes))).collect(),
            })
            .collect()
    }

    /// The first finished span of this name.
    pub fn span(&self, name: &str) -> Option<CapturedSpan> {
        self.spans().into_iter().find(|span| span.name == name)
    }

    /// Every log record, oldest first.
    pub fn logs(&self) -> Vec<CapturedLog> {
        let logs = self.logs.get_emitted_logs().unwrap_or_default();
        logs.into_iter()
            .map(|log| CapturedLog {
                severity: log.record.severity_text().unwrap_or_default().to_owned(),
                body: log.record.body().map(any_text).unwrap_or_default(),
                trace_id: log.record.trace_context().map(|context| context.trace_id.to_string()),
                span_id: log.record.trace_context().map(|context| context.span_id.to_string()),
                attributes: log
                    .record
                    .attributes_iter()
                    .map(|(key, value)| (key.to_string(), any_text(value)))
                    .collect(),
            })
            .collect()
    }

    /// The value of a counter, a gauge, or the number of values in a histogram, summed over the points whose attributes
    /// include all of `labels`. `None` when there is no such point.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let collected = self.metrics.collected();
        let metric =
            collected.scope_metrics().flat_map(|scope| scope.metrics()).find(|metric| metric.name() == name)?;
        match metric.data() {
            AggregatedMetrics::F64(data) => total(data, labels, |v| v),
            AggregatedMetrics::U64(data) => total(data, labels, |v| v as f64),
            AggregatedMetrics::I64(data) => total(data, labels, |v| v as f64),
        }
    }

    /// The names of all metrics that have a value.
    pub fn metric_names(&self) -> Vec<String> {
        let collected = self.metrics.collected();
        collected.scope_metrics().flat_map(|scope| scope.metrics()).map(|metric| metric.name().to_owned()).collect()
    }
}

fn total<T: Copy>(data: &MetricData<T>, labels: &[(&str, &str)], float: impl Fn(T) -> f64) -> Option<f64> {
    let fits = |attributes: &mut dyn Iterator<Item = &opentelemetry::KeyValue>| {
        let held: Vec<_> = attributes.collect();
        labels.iter().all(|(key, value)| held.iter().any(|kv| kv.key.as_str() == *key && kv.value.as_str() == *value))
    };
    let values: Vec<f64> = match data {
        MetricData::Gauge(gauge) => {
            gauge.data_points().filter(|p| fits(&mut p.attributes())).map(|p| float(p.value())).collect()
        }
        MetricData::Sum(sum) => {
            sum.data_points().filter(|p| fits(&mut p.attributes())).map(|p| float(p.value())).collect()
        }
        MetricData::Histogram(histogram) => {
            histogram.data_points().filter(|p| fits(&mut p.attributes())).map(|p| p.count() as f64).collect()
        }
        MetricData::ExponentialHistogram(histogram) => {
            histogram.data_points().filter(|p| fits(&mut p.attributes())).map(|p| p.count() as f64).collect()
        }
    };
    (!values.is_empty()).then(|| values.iter().sum())
}

fn text(attributes: &[opentelemetry::KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|kv| (kv.key.to_string(), kv.value.as_str().into_owned())).collect()
}

fn any_text(value: &AnyValue) -> String {
    match value {
        AnyValue::String(text) => text.as_str().to_owned(),
        AnyValue::Int(number) => number.to_string(),
        AnyValue::Double(number) => number.to_string(),
        AnyValue::Boolean(truth) => truth.to_string(),
        other => format!("{other:?}"),
    }
}
