//! The two stores, each behind a lock for its readers and a writer thread for its writes.

use std::path::Path;
use std::sync::Arc;

use base_explain::Report;
use base_signal::{Labels, Metadata, RangeNs, SpanKind, TenantId};
use base_world::World;
use observe_block::{SyncHandle, WalSettings};
use observe_events::EventStore;
use observe_metrics::MetricStore;
use observe_source::{
    Annotations, Budget, ExemplarSeries, LabelQuery, LogBatches, LogSource, MetricBatches, MetricSource, SelectLogs,
    SelectMetrics, SelectSpans, SourceError, SpanBatches, SpanSource,
};
use parking_lot::Mutex;

use crate::settings::Settings;
use crate::writer::{Store, Writer};

/// The opened stores with their threads.
pub(crate) struct Engine {
    pub(crate) metrics: Arc<Mutex<MetricStore>>,
    pub(crate) events: Arc<Mutex<EventStore>>,
    pub(crate) metric_writer: Writer<MetricStore>,
    pub(crate) event_writer: Writer<EventStore>,
}

/// Shares of `--memory`: heads of both stores, then queries (a quarter) and bodies in flight (an eighth).
const METRIC_SHARE: f64 = 0.30;
const EVENT_SHARE: f64 = 0.25;
/// Of each store's log: what a start after kill -9 has to replay. Twice as much took 0.43 s on two cores, and 0.3 s is promised.
const WAL_BYTES_MAX: u64 = 32 << 20;
/// As the stores have it when nothing bounds the disk.
const MERGE_BYTES_MAX: u64 = 1 << 30;

/// What a log may hold and how its files are cut, so that it takes at most about a third of a store's share of the disk: what is acknowledged, what a
/// flush is still writing, the file begun last and one kept for reuse.
fn log_within(retention_bytes: Option<u64>) -> (u64, WalSettings) {
    let usual = WalSettings::default();
    match retention_bytes.map(|bytes| bytes / 16).filter(|bytes| *bytes < usual.segment_bytes) {
        Some(segment_bytes) => (2 * segment_bytes, WalSettings { segment_bytes, spares_max: 1, ..usual }),
        None => (WAL_BYTES_MAX, usual),
    }
}

impl Engine {
    /// Opens both stores, replaying what their logs hold; takes as long as that takes.
    pub(crate) fn open(world: &World, data: &Path, settings: &Settings) -> Result<Self, Report> {
        let memory = settings.memory_bytes() as f64;
        let retention_ms = settings.observe.retention.as_millis_i64();
        // Metrics take half of the room; what they leave, events do not take, so that neither can starve the other.
        let retention_bytes = settings.observe.retention_size.map(|size| size.0 / 2);
        let (wal_bytes_max, wal) = log_within(retention_bytes);
        // What is dropped for its size goes by whole segments, so one must not be most of what is kept.
        let merge_bytes_max = retention_bytes.map_or(MERGE_BYTES_MAX, |bytes| MERGE_BYTES_MAX.min(bytes / 8));
        let metric_settings = observe_metrics::Settings {
            memory_bytes: (memory * METRIC_SHARE) as u64,
            retention_ms: Some(retention_ms),
            retention_bytes,
            wal_bytes_max,
            wal: wal.clone(),
            merge_bytes_max,
            tenant_series_max: settings.observe.series.per_tenant.map(usize::from),
            metric_series_max: settings.observe.series.per_metric.map(usize::from),
            job_series_max: settings.observe.series.per_job.map(usize::from),
            ..observe_metrics::Settings::default()
        };
        let event_settings = observe_events::Settings {
            memory_bytes: (memory * EVENT_SHARE) as u64,
            retention_ms: Some(retention_ms),
            retention_bytes,
            wal_bytes_max,
            wal,
            merge_bytes_max,
            ..observe_events::Settings::default()
        };
        let hint = "if the folder cannot be mended, move it away and start again; the format is in docs/formats";
        let (metrics, metric_report) = MetricStore::open(world, &data.join("metrics"), metric_settings)
            .map_err(|error| Report::of(&error).hint(hint))?;
        let (events, event_report) = EventStore::open(world, &data.join("events"), event_settings)
            .map_err(|error| Report::of(&error).hint(hint))?;
        tracing::info!(metrics = ?metric_report, events = ?event_report, "data folder opened");
        let (metrics, events) = (Arc::new(Mutex::new(metrics)), Arc::new(Mutex::new(events)));
        let thread = |error: std::io::Error| Report::new("a thread could not be started").because(error.to_string());
        let metric_writer = Writer::start("metrics", metrics.clone(), world.clock.clone()).map_err(thread)?;
        let event_writer = Writer::start("events", events.clone(), world.clock.clone()).map_err(thread)?;
        Ok(Engine { metrics, events, metric_writer, event_writer })
    }

    /// Ends both writers after a last flush, so that the next start has nothing to replay.
    pub(crate) fn close(&self) {
        self.metric_writer.stop();
        self.event_writer.stop();
        for (name, result) in [("metrics", self.metrics.lock().flush()), ("events", self.events.lock().flush())] {
            if let Err(error) = result {
                tracing::warn!(%error, "the {name} were not flushed at the end; the log has them");
            }
        }
    }
}

impl Store for MetricStore {
    fn sync_handle(&self) -> SyncHandle {
        MetricStore::sync_handle(self)
    }

    fn flush(&mut self) -> Result<(), SourceError> {
        MetricStore::flush(self)
    }

    fn compact(&mut self) -> Result<(), SourceError> {
        while MetricStore::compact(self)? > 0 {}
        Ok(())
    }

    /// Writing segments takes long and is done without the lock; only what it is to write, and that it is written, is
    /// settled under it.
    fn keep(store: &Mutex<Self>) -> Result<(), SourceError> {
        let mut held = store.lock();
        for damage in held.quarantine_damaged()? {
            tracing::error!(?damage, "a damaged segment of metrics was moved away; the rest answers");
        }
        held.enforce_retention()?;
        let flush = if held.flush_due() { held.begin_flush()? } else { None };
        let merge = if flush.is_none() { held.begin_merge()? } else { None };
        drop(held);
        let written = match (flush, merge) {
            (Some(job), _) => job.run()?,
            (None, Some(job)) => job.run()?,
            (None, None) => return Ok(()),
        };
        store.lock().install(written)
    }
}

impl Store for EventStore {
    fn sync_handle(&self) -> SyncHandle {
        EventStore::sync_handle(self)
    }

    fn flush(&mut self) -> Result<(), SourceError> {
        EventStore::flush(self)
    }

    fn compact(&mut self) -> Result<(), SourceError> {
        while EventStore::compact(self)? > 0 {}
        Ok(())
    }

    /// As the metric store's.
    fn keep(store: &Mutex<Self>) -> Result<(), SourceError> {
        let mut held = store.lock();
        held.enforce_retention()?;
        let flush = if held.flush_due() { held.begin_flush()? } else { None };
        let merge = if flush.is_none() { held.begin_merge()? } else { None };
        drop(held);
        let written = match (flush, merge) {
            (Some(job), _) => job.run()?,
            (None, Some(job)) => job.run()?,
            (None, None) => return Ok(()),
        };
        store.lock().install(written)
    }
}

/// The metric store for its readers: locked while an answer is begun, not while it is pulled.
pub(crate) struct SharedMetrics(pub(crate) Arc<Mutex<MetricStore>>);

impl MetricSource for SharedMetrics {
    fn select(&self, request: &SelectMetrics<'_>) -> Result<Box<dyn MetricBatches>, SourceError> {
        self.0.lock().select(request)
    }

    fn label_names(&self, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError> {
        self.0.lock().label_names(query)
    }

    fn label_values(&self, name: &str, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError> {
        self.0.lock().label_values(name, query)
    }

    fn series(&self, query: &LabelQuery<'_>) -> Result<(Vec<Labels>, Annotations), SourceError> {
        self.0.lock().series(query)
    }

    fn exemplars(&self, query: &LabelQuery<'_>) -> Result<Vec<ExemplarSeries>, SourceError> {
        self.0.lock().exemplars(query)
    }

    fn metadata(&self, tenant: &TenantId, metric: Option<&str>) -> Result<Vec<(String, Metadata)>, SourceError> {
        self.0.lock().metadata(tenant, metric)
    }
}

/// The event store for its readers, likewise.
pub(crate) struct SharedEvents(pub(crate) Arc<Mutex<EventStore>>);

impl LogSource for SharedEvents {
    fn select_logs(&self, request: &SelectLogs<'_>) -> Result<Box<dyn LogBatches>, SourceError> {
        self.0.lock().select_logs(request)
    }

    fn streams(
        &self,
        tenant: &TenantId,
        matchers: &[Vec<base_signal::Matcher>],
        range: RangeNs,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        self.0.lock().streams(tenant, matchers, range, budget)
    }
}

impl SpanSource for SharedEvents {
    fn select_spans(&self, request: &SelectSpans<'_>) -> Result<Box<dyn SpanBatches>, SourceError> {
        self.0.lock().select_spans(request)
    }

    fn services(&self, tenant: &TenantId, range: RangeNs) -> Result<Vec<String>, SourceError> {
        self.0.lock().services(tenant, range)
    }

    fn operations(
        &self,
        tenant: &TenantId,
        service: &str,
        range: RangeNs,
    ) -> Result<Vec<(String, SpanKind)>, SourceError> {
        self.0.lock().operations(tenant, service, range)
    }
}
