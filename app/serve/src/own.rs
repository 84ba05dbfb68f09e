//! What the engine says of itself: readiness, status, its own metrics; and what an operator may order.

use std::sync::{Arc, OnceLock};

use app_api::{Control, Targets};
use app_deploy::Keeper;
use base_explain::Report;
use base_signal::MetricKind;
use base_world::World;
use futures_util::future::BoxFuture;
use observe_ingest::self_metrics::IngestMetrics;
use observe_source::SourceError;
use observe_wire::exposition::{Format, TextWriter};
use observe_wire::otlp::Signal;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;

use crate::engine::Engine;
use crate::memory::resident_bytes;
use crate::registry::EngineEntry;
use crate::rules::Told;
use crate::scrape::{ScrapePlan, Shown};
use crate::seen::Seen;
use crate::settings::Settings;

type Reload = Box<dyn Fn() -> Result<ScrapePlan, Report> + Send + Sync>;

pub(crate) struct Own {
    pub(crate) world: World,
    pub(crate) entry: EngineEntry,
    pub(crate) settings: Settings,
    pub(crate) engine: Arc<OnceLock<Engine>>,
    counters: Arc<IngestMetrics>,
    seen: Arc<Seen>,
    pub(crate) plan: watch::Sender<ScrapePlan>,
    reload: Reload,
    demo: bool,
    /// When the scrape configuration was last read, in Unix milliseconds, and whether it could be.
    pub(crate) configured: Mutex<(i64, bool)>,
    /// What is scraped, for the targets of the API.
    pub(crate) shown: Shown,
    /// What is evaluated, for rules and alerts of the API.
    pub(crate) rules: Told,
    /// Set once there is one.
    pub(crate) keeper: OnceLock<Keeper>,
}

/// One moment's figures, for the page and for `/metrics`.
struct Figures {
    rss_bytes: u64,
    memory_used_bytes: u64,
    memory_limit_bytes: u64,
    metrics_disk_bytes: u64,
    events_disk_bytes: u64,
    free_disk_bytes: u64,
    series: usize,
}

impl Own {
    #[expect(clippy::too_many_arguments, reason = "wiring: each is a part of the engine, and this is called once")]
    pub(crate) fn new(
        world: World,
        entry: EngineEntry,
        settings: Settings,
        engine: Arc<OnceLock<Engine>>,
        counters: Arc<IngestMetrics>,
        seen: Arc<Seen>,
        plan: watch::Sender<ScrapePlan>,
        reload: Reload,
        demo: bool,
    ) -> Self {
        let (shown, rules, keeper) = (Shown::default(), Told::default(), OnceLock::new());
        let configured = Mutex::new((world.clock.now_ms(), true));
        Own { world, entry, settings, engine, counters, seen, plan, reload, demo, configured, shown, rules, keeper }
    }

    /// `host:port` of the page.
    pub(crate) fn address(&self) -> String {
        self.entry.url.trim_start_matches("http://").to_owned()
    }

    pub(crate) fn ready_engine(&self) -> Result<&Engine, String> {
        self.engine.get().ok_or_else(|| "the engine is starting".to_owned())
    }

    fn figures(&self) -> Figures {
        let mut figures = Figures {
            rss_bytes: resident_bytes(&self.world),
            memory_used_bytes: 0,
            memory_limit_bytes: self.settings.memory_bytes(),
            metrics_disk_bytes: 0,
            events_disk_bytes: 0,
            free_disk_bytes: self.world.disk.free_bytes(&self.entry.data_dir).unwrap_or(0),
            series: 0,
        };
        if let Some(engine) = self.engine.get() {
            let metrics = engine.metrics.lock();
            figures.series = metrics.series_count();
            figures.metrics_disk_bytes = metrics.disk_used();
            figures.memory_used_bytes += metrics.memory_used();
            drop(metrics);
            let events = engine.events.lock();
            figures.events_disk_bytes = events.disk_used();
            figures.memory_used_bytes += events.memory_used();
        }
        figures
    }

    fn signals(&self) -> serde_json::Value {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let one = |signal: Signal| {
            let seen = self.seen.of(signal);
            let figures = json!({
                "received": self.counters.taken(signal),
                "rejected": self.counters.rejected(signal),
                "first_seen": seen.map(|(first_ms, _)| seconds(first_ms)),
                "last_seen": seen.map(|(_, last_ms)| seconds(last_ms)),
            });
            (signal.as_str().to_owned(), figures)
        };
        [Signal::Metrics, Signal::Logs, Signal::Traces].into_iter().map(one).collect::<serde_json::Map<_, _>>().into()
    }

    fn findings(&self, figures: &Figures) -> Vec<serde_json::Value> {
        let mut findings = Vec::new();
        let mut find = |severity: &str, title: String, detail: String, fix: &str| {
            findings.push(json!({"severity": severity, "title": title, "detail": detail, "fix": fix}));
        };
        let shed = self.counters.shed_total();
        if shed > 0 {
            find(
                "warning",
                format!("{shed} requests were shed"),
                "more came in than fits into the memory setting; senders were asked to try again".into(),
                "raise --memory, or send less",
            );
        }
        if figures.free_disk_bytes > 0 && figures.free_disk_bytes < 1 << 30 {
            find(
                "critical",
                "the disk is nearly full".into(),
                format!("{} MB are free where {} lies", figures.free_disk_bytes >> 20, self.entry.data_dir.display()),
                "free some room, or set --retention-size",
            );
        }
        if figures.rss_bytes > figures.memory_limit_bytes + (60 << 20) {
            find(
                "warning",
                "more memory is used than set".into(),
                format!(
                    "{} MB are resident, the setting is {} MB",
                    figures.rss_bytes >> 20,
                    figures.memory_limit_bytes >> 20
                ),
                "please report this with the body of /metrics",
            );
        }
        findings
    }
}

impl Control for Own {
    fn ready(&self) -> Result<(), String> {
        self.ready_engine().map(|_| ())
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let engine = self.ready_engine()?;
            let text = |error: SourceError| error.to_string();
            engine.metric_writer.flush().await.map_err(text)?;
            engine.event_writer.flush().await.map_err(text)
        })
    }

    fn compact(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let engine = self.ready_engine()?;
            let text = |error: SourceError| error.to_string();
            engine.metric_writer.compact().await.map_err(text)?;
            engine.event_writer.compact().await.map_err(text)
        })
    }

    fn reload(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let plan = (self.reload)();
            *self.configured.lock() = (self.world.clock.now_ms(), plan.is_ok());
            self.plan.send_replace(plan.map_err(|report| report.terminal(false))?);
            Ok(())
        })
    }

    fn status(&self) -> serde_json::Value {
        let figures = self.figures();
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let address = |url: &Option<String>| url.as_ref().map(|url| url.trim_start_matches("http://").to_owned());
        let listeners: Vec<_> = [
            ("http", Some(self.entry.url.trim_start_matches("http://").to_owned())),
            ("otlp_grpc", address(&self.entry.otlp_grpc)),
            ("otlp_http", address(&self.entry.otlp_http)),
        ]
        .into_iter()
        .filter_map(|(name, address)| Some(json!({"name": name, "address": address?})))
        .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": seconds(self.entry.started_at_ms),
            "now": seconds(self.world.clock.now_ms()),
            "pid": self.entry.pid,
            "project": self.entry.project.as_deref().unwrap_or("default"),
            "data_dir": self.entry.data_dir,
            "url": self.entry.url,
            "listeners": listeners,
            "memory": {
                "limit_bytes": figures.memory_limit_bytes,
                "used_bytes": figures.memory_used_bytes,
                "rss_bytes": figures.rss_bytes,
            },
            "disk": {
                "used_bytes": figures.metrics_disk_bytes + figures.events_disk_bytes,
                "limit_bytes": self.settings.observe.retention_size.map(|size| size.0),
                "free_bytes": figures.free_disk_bytes,
            },
            "series": figures.series,
            "retention_seconds": self.settings.observe.retention.0.as_secs(),
            "signals": self.signals(),
            "shed": self.counters.shed_total(),
            "findings": self.findings(&figures),
            "demo": self.demo,
        })
    }

    fn targets(&self) -> Targets {
        self.shown.targets()
    }

    fn metrics_text(&self) -> String {
        let figures = self.figures();
        let mut out = TextWriter::new(Format::Prometheus);
        self.counters.render(&mut out);
        let mut gauge = |name: &str, help: &str, value: f64| {
            out.family(name, MetricKind::Gauge, help).sample(name, &[], value);
        };
        gauge(
            "apm_memory_limit_bytes",
            "What heads, caches and queries may take together.",
            figures.memory_limit_bytes as f64,
        );
        gauge("apm_memory_used_bytes", "What the stores count as theirs.", figures.memory_used_bytes as f64);
        gauge("apm_series", "Series in the head of the metric store.", figures.series as f64);
        gauge("apm_disk_free_bytes", "Free bytes where the data folder lies.", figures.free_disk_bytes as f64);
        gauge("process_resident_memory_bytes", "Resident memory size in bytes.", figures.rss_bytes as f64);
        let started_seconds = self.entry.started_at_ms as f64 / 1000.0;
        gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", started_seconds);
        let name = "apm_disk_used_bytes";
        out.family(name, MetricKind::Gauge, "Bytes of the data folder.")
            .sample(name, &[("store", "metrics")], figures.metrics_disk_bytes as f64)
            .sample(name, &[("store", "events")], figures.events_disk_bytes as f64);
        let name = "apm_build_info";
        out.family(name, MetricKind::Gauge, "The version, as a label.").sample(
            name,
            &[("version", env!("CARGO_PKG_VERSION"))],
            1.0,
        );
        if let Some(keeper) = self.keeper.get() {
            crate::deployments::figures::render(&keeper.told(), &mut out);
        }
        out.finish()
    }
}
