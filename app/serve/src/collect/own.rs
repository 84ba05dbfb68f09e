//! What a collector says of itself: whether it is ready, and its metrics.

use std::sync::{Arc, OnceLock};

use app_api::{Control, Targets};
use base_explain::Report;
use base_signal::MetricKind;
use base_world::World;
use futures_util::future::BoxFuture;
use observe_forward::Figures;
use observe_ingest::self_metrics::IngestMetrics;
use observe_ingest::tail::TailStats;
use observe_wire::exposition::{Format, TextWriter};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;

use super::lane::Lanes;
use crate::memory::resident_bytes;
use crate::scrape::{ScrapePlan, Shown};

pub(crate) type Reload = Box<dyn Fn() -> Result<ScrapePlan, Report> + Send + Sync>;

pub(crate) struct Own {
    pub(crate) world: World,
    pub(crate) started_ms: i64,
    pub(crate) lanes: Arc<OnceLock<Arc<Lanes>>>,
    pub(crate) queue_bytes_max: u64,
    pub(crate) counters: Arc<IngestMetrics>,
    /// Of the logs of pods, where they are read.
    pub(crate) tailed: Arc<Mutex<Option<TailStats>>>,
    pub(crate) shown: Shown,
    pub(crate) plan: watch::Sender<ScrapePlan>,
    pub(crate) reload: Reload,
}

type Family = (&'static str, MetricKind, &'static str, fn(&Figures) -> f64);

const FAMILIES: [Family; 8] = [
    (
        "apm_forward_queue_bytes",
        MetricKind::Gauge,
        "Bytes of the files in which something waits to be sent.",
        |figures| figures.waiting_bytes as f64,
    ),
    ("apm_forward_lag_seconds", MetricKind::Gauge, "How long the oldest that waits has waited.", |figures| {
        figures.lag_ms.unwrap_or(0) as f64 / 1000.0
    }),
    (
        "apm_forward_taken_items_total",
        MetricKind::Counter,
        "Samples, log lines and spans put into the queue.",
        |figures| figures.taken_items as f64,
    ),
    (
        "apm_forward_sent_items_total",
        MetricKind::Counter,
        "Samples, log lines and spans that the other side has taken.",
        |figures| figures.sent_items as f64,
    ),
    ("apm_forward_sent_requests_total", MetricKind::Counter, "Requests that the other side has taken.", |figures| {
        figures.sent_requests as f64
    }),
    (
        "apm_forward_failed_requests_total",
        MetricKind::Counter,
        "Requests that failed and are tried again.",
        |figures| figures.failed_requests as f64,
    ),
    (
        "apm_forward_dropped_items_total",
        MetricKind::Counter,
        "Samples, log lines and spans that the other side will not have.",
        |figures| (figures.dropped_items + figures.left_out_items) as f64,
    ),
    (
        "apm_forward_full_total",
        MetricKind::Counter,
        "Requests and scrapes turned away because the queue was full.",
        |figures| figures.full_requests as f64,
    ),
];

impl Own {
    fn tail(&self, out: &mut TextWriter) {
        let stats = self.tailed.lock();
        let Some(stats) = stats.as_ref() else { return };
        let mut one = |name: &str, kind: MetricKind, help: &str, value: u64| {
            out.family(name, kind, help).sample(name, &[], value as f64);
        };
        let (counter, gauge) = (MetricKind::Counter, MetricKind::Gauge);
        one("apm_tail_lines_total", counter, "Log lines of pods that were queued.", stats.lines);
        one("apm_tail_bytes_total", counter, "Bytes of the files they were in.", stats.bytes);
        one(
            "apm_tail_joined_lines_total",
            counter,
            "Lines that went into the record of one before.",
            stats.lines_joined,
        );
        one("apm_tail_rejected_lines_total", counter, "Lines past a limit, left out.", stats.lines_rejected);
        one("apm_tail_errors_total", counter, "Files and folders that could not be read.", stats.errors);
        one("apm_tail_missed_files_total", counter, "Files gone before their end was read.", stats.files_missed);
        one("apm_tail_behind_bytes", gauge, "Bytes in files that are not read yet.", stats.behind_bytes);
        one("apm_tail_files", gauge, "Files that are known.", stats.files as u64);
        one("apm_tail_containers", gauge, "Containers whose logs are there.", stats.containers as u64);
    }
}

impl Control for Own {
    fn ready(&self) -> Result<(), String> {
        let lanes = self.lanes.get().ok_or_else(|| "the queues are being opened".to_owned())?;
        let troubled = lanes.iter().filter_map(|lane| Some((lane.way.as_str(), lane.queue.lock().trouble()?)));
        let troubled: Vec<String> = troubled.map(|(name, why)| format!("{name} takes nothing: {why}")).collect();
        match troubled.is_empty() {
            true => Ok(()),
            false => Err(format!("{}; it is tried again every few seconds, the others go on", troubled.join("; "))),
        }
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn compact(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn reload(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let plan = (self.reload)().map_err(|report| report.terminal(false))?;
            self.plan.send_replace(plan);
            Ok(())
        })
    }

    fn status(&self) -> serde_json::Value {
        json!({ "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id() })
    }

    fn targets(&self) -> Targets {
        self.shown.targets()
    }

    fn metrics_text(&self) -> String {
        let mut out = TextWriter::new(Format::Prometheus);
        self.counters.render(&mut out);
        if let Some(lanes) = self.lanes.get() {
            let figures: Vec<(&str, Figures)> =
                lanes.iter().map(|lane| (lane.way.as_str(), lane.queue.lock().figures())).collect();
            for (name, kind, help, value) in FAMILIES {
                out.family(name, kind, help);
                for (queue, figures) in &figures {
                    out.sample(name, &[("queue", queue)], value(figures));
                }
            }
            let name = "apm_forward_disk_bytes";
            out.family(name, MetricKind::Gauge, "Bytes of the queue's files.");
            for (queue, figures) in &figures {
                out.sample(name, &[("queue", queue)], figures.disk_bytes as f64);
            }
        }
        self.tail(&mut out);
        let mut gauge = |name: &str, help: &str, value: f64| {
            out.family(name, MetricKind::Gauge, help).sample(name, &[], value);
        };
        gauge("apm_forward_disk_limit_bytes", "What all queues together may take.", self.queue_bytes_max as f64);
        let rss_bytes = resident_bytes(&self.world) as f64;
        gauge("process_resident_memory_bytes", "Resident memory size in bytes.", rss_bytes);
        let started_seconds = self.started_ms as f64 / 1000.0;
        gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", started_seconds);
        let name = "apm_build_info";
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        out.family(name, MetricKind::Gauge, "The version, as a label.").sample(name, &labels, 1.0);
        out.finish()
    }
}
