//! Builds the three pipelines from the code's wishes and the environment, and installs them for the whole process.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_appender_tracing::layer::{OpenTelemetryTracingBridge, TracingSpanAttributes};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry};

use crate::console::{self, Console};
use crate::deliver::{Courier, Notice, Outages};
use crate::environment::{self, Environment};
use crate::error::InstrumentError;
use crate::errors::ErrorsOnSpans;
use crate::prometheus::Pull;
use crate::telemetry::{SHUTDOWN_LIMIT, Telemetry};
use crate::{propagate, resource};

/// Finds the value of an environment variable; owned, so that it can be kept in the builder.
type Variables = Box<dyn Fn(&str) -> Option<String>>;

/// A set-up in the making. See [`Instrument::install`].
pub struct Instrument {
    name: String,
    version: Option<String>,
    attributes: Vec<KeyValue>,
    console: Console,
    prometheus: bool,
    limit: Duration,
    variables: Variables,
    notice: Notice,
}

impl std::fmt::Debug for Instrument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instrument").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Instrument {
    /// `name` is the service's name unless `OTEL_SERVICE_NAME` says otherwise.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: None,
            attributes: Vec::new(),
            console: Console::Off,
            prometheus: false,
            limit: SHUTDOWN_LIMIT,
            variables: Box::new(|name| std::env::var(name).ok()),
            notice: Arc::new(|text| {
                // Standard error may be closed; telemetry about telemetry is not worth a failure.
                let _ = writeln!(std::io::stderr(), "{text}");
            }),
        }
    }

    /// `service.version`, as your releases name it.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// One more resource attribute, for example `deployment.environment.name`. `OTEL_RESOURCE_ATTRIBUTES` overrides it.
    #[must_use]
    pub fn attribute(mut self, key: &'static str, value: impl Into<opentelemetry::Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    /// Also write logs to standard output.
    #[must_use]
    pub fn console(mut self, console: Console) -> Self {
        self.console = console;
        self
    }

    /// Also keep metrics for a Prometheus scrape; see [`Telemetry::metrics_router`].
    #[must_use]
    pub fn prometheus(mut self, wanted: bool) -> Self {
        self.prometheus = wanted;
        self
    }

    /// How long a flush or the shutdown may take; five seconds unless set.
    #[must_use]
    pub fn shutdown_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Reads variables elsewhere than in the process's environment. Those that the SDK itself reads (`OTEL_BSP_*`,
    /// `OTEL_BLRP_*`, `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_TRACES_SAMPLER`) still come from there.
    #[must_use]
    pub fn environment(mut self, variables: impl Fn(&str) -> Option<String> + 'static) -> Self {
        self.variables = Box::new(variables);
        self
    }

    /// Who is told of settings left out and of a collector that cannot be reached; standard error unless set.
    #[must_use]
    pub fn notice(mut self, notice: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.notice = Arc::new(notice);
        self
    }

    /// Sets everything up for the whole process: call it first thing in `main` and keep what it returns until the end.
    /// With `OTEL_SDK_DISABLED=true` only the console remains. `RUST_LOG` chooses what is logged (default `info`).
    ///
    /// # Errors
    /// A variable that cannot be honoured, or a `tracing` subscriber that is already there. A collector that is not
    /// running is no error.
    pub fn install(self) -> Result<Telemetry, InstrumentError> {
        let (telemetry, subscriber) = self.build()?;
        tracing::subscriber::set_global_default(subscriber).map_err(|_| InstrumentError::AlreadyInstalled)?;
        if let Some(traces) = &telemetry.traces {
            global::set_tracer_provider(traces.clone());
        }
        global::set_meter_provider(telemetry.metrics.clone());
        Ok(telemetry)
    }

    /// Everything but the installation for the whole process.
    pub(crate) fn build(self) -> Result<(Telemetry, Subscriber), InstrumentError> {
        let env = environment::read(&*self.variables)?;
        env.remarks.iter().for_each(|remark| (self.notice)(remark));
        let pipelines = if env.disabled { Pipelines::silent() } else { self.pipelines(&env)? };
        propagate::install(&env.propagators);
        let filter = (self.variables)("RUST_LOG");
        let (telemetry, subscriber) = assemble(pipelines, self.console, filter.as_deref(), self.limit);
        Ok((telemetry, subscriber))
    }

    fn pipelines(&self, env: &Environment) -> Result<Pipelines, InstrumentError> {
        let resource = resource::resource(&self.name, self.version.as_deref(), &self.attributes, env);
        let outages = Outages::new(Arc::clone(&self.notice));
        let urls = [&env.traces.otlp, &env.metrics.otlp, &env.logs.otlp];
        let courier = if urls.iter().any(|url| url.is_some()) {
            let loopback_only = urls.iter().filter_map(|url| url.as_deref()).all(is_loopback);
            Some(Courier::start(env.timeout, loopback_only, Arc::clone(&outages))?)
        } else {
            None
        };

        let mut traces = SdkTracerProvider::builder().with_resource(resource.clone());
        let mut metrics = SdkMeterProvider::builder().with_resource(resource.clone());
        let mut logs = SdkLoggerProvider::builder().with_resource(resource);
        if let (Some(courier), Some(url)) = (&courier, &env.traces.otlp) {
            let exporter = SpanExporter::builder()
                .with_http()
                .with_http_client(courier.clone())
                .with_timeout(env.timeout)
                .with_endpoint(url)
                .build();
            traces = traces.with_batch_exporter(named(exporter, "traces", url)?);
        }
        if let (Some(courier), Some(url)) = (&courier, &env.metrics.otlp) {
            let exporter = MetricExporter::builder()
                .with_http()
                .with_http_client(courier.clone())
                .with_timeout(env.timeout)
                .with_endpoint(url)
                .build();
            metrics = metrics.with_reader(PeriodicReader::builder(named(exporter, "metrics", url)?).build());
        }
        if let (Some(courier), Some(url)) = (&courier, &env.logs.otlp) {
            let exporter = LogExporter::builder()
                .with_http()
                .with_http_client(courier.clone())
                .with_timeout(env.timeout)
                .with_endpoint(url)
                .build();
            logs = logs.with_batch_exporter(named(exporter, "logs", url)?);
        }
        let pull = (self.prometheus || env.metrics.prometheus).then(Pull::new);
        if let Some(pull) = &pull {
            metrics = metrics.with_reader(pull.clone());
        }
        Ok(Pipelines {
            // Without an exporter spans are still made: ids in logs and propagation work all the same.
            traces: Some(traces.build()),
            metrics: metrics.build(),
            logs: env.logs.otlp.is_some().then(|| logs.build()),
            pull,
            outages,
        })
    }
}

/// The three providers, before they are wired to `tracing`.
pub(crate) struct Pipelines {
    pub(crate) traces: Option<SdkTracerProvider>,
    pub(crate) metrics: SdkMeterProvider,
    pub(crate) logs: Option<SdkLoggerProvider>,
    pub(crate) pull: Option<Pull>,
    pub(crate) outages: Arc<Outages>,
}

impl Pipelines {
    fn silent() -> Self {
        Self {
            traces: None,
            metrics: SdkMeterProvider::default(),
            logs: None,
            pull: None,
            outages: Outages::new(Arc::new(|_| {})),
        }
    }
}

pub(crate) type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

/// Spans become OpenTelemetry spans; events become log records, and errors also events of their span.
pub(crate) fn assemble(
    pipelines: Pipelines,
    console: Console,
    filter: Option<&str>,
    limit: Duration,
) -> (Telemetry, Subscriber) {
    let Pipelines { traces, metrics, logs, pull, outages } = pipelines;
    let spans = traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("lib-instrument"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|meta| meta.is_span()))
    });
    let records = logs.as_ref().map(|provider| {
        OpenTelemetryTracingBridge::builder(provider)
            .with_tracing_span_attributes(TracingSpanAttributes::allowlist(["request_id"]))
            .build()
    });
    let errors = traces.is_some().then_some(ErrorsOnSpans);
    let subscriber = Registry::default()
        .with(level_filter(filter))
        .with(spans)
        .with(errors)
        .with(records)
        .with(console::layer(console));
    let telemetry = Telemetry { traces, metrics, logs, pull, outages, limit, done: false };
    (telemetry, Box::new(subscriber))
}

/// The SDK and the HTTP stack log about their own work; unless asked for by name, that stays out of the service's logs.
fn level_filter(wanted: Option<&str>) -> EnvFilter {
    let wanted = wanted.filter(|text| !text.trim().is_empty()).unwrap_or("info");
    let mut filter = EnvFilter::builder().parse_lossy(wanted);
    for quiet in ["opentelemetry=off", "hyper=warn", "hyper_util=warn", "reqwest=warn", "h2=warn", "rustls=warn"] {
        let target = quiet.split('=').next().unwrap_or(quiet);
        if wanted.contains(target) {
            continue;
        }
        if let Ok(directive) = quiet.parse() {
            filter = filter.add_directive(directive);
        }
    }
    filter
}

fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn named<T>(
    built: Result<T, opentelemetry_otlp::ExporterBuildError>,
    signal: &'static str,
    url: &str,
) -> Result<T, InstrumentError> {
    built.map_err(|error| InstrumentError::Exporter { signal, endpoint: url.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests;
