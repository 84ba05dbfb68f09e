//! The engine's settings: the sections `server` and `observe` of `apm.yaml`, with their defaults.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use app_api::{BodyLimits, ConnectionLimits, QueryLimits};
use app_config::{ByteSize, ConfigError, Span, Tree};
use base_explain::Report;
use serde::Deserialize;

/// All that the engine heeds.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub project: Option<String>,
    pub server: ServerSettings,
    pub observe: ObserveSettings,
}

/// Listeners and what they allow.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct ServerSettings {
    /// Page and all APIs.
    pub listen: String,
    /// An address, or `off`.
    pub otlp_grpc: String,
    /// An address, or `off`.
    pub otlp_http: String,
    /// `role token` a line; needed to listen beyond loopback.
    pub token_file: Option<PathBuf>,
    /// Whether `X-Scope-OrgID` counts.
    pub tenancy: bool,
    /// Whether series may be deleted and snapshots made over the API (`/api/v1/admin/tsdb/…`).
    pub admin_api: bool,
    /// Of one request, packed and unpacked alike.
    pub body_limit: ByteSize,
    /// At once, on each listener.
    pub connection_limit: usize,
    pub header_timeout: Span,
    pub body_timeout: Span,
    pub query_timeout: Span,
    /// Queries at once; more wait.
    pub query_concurrency: usize,
    /// After a stop: how long running requests may take to end.
    pub drain_timeout: Span,
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            listen: "127.0.0.1:4300".into(),
            otlp_grpc: "127.0.0.1:4317".into(),
            otlp_http: "127.0.0.1:4318".into(),
            token_file: None,
            tenancy: false,
            admin_api: false,
            body_limit: ByteSize(32 << 20),
            connection_limit: 2000,
            // Also ends a connection that rests, and exporters send every 1, 5, 10, 30 or 60 s: at one of those the close
            // would meet the next request.
            header_timeout: Span::from_secs(23),
            body_timeout: Span::from_secs(60),
            query_timeout: Span::from_secs(120),
            query_concurrency: 4,
            drain_timeout: Span::from_secs(10),
        }
    }
}

/// What is kept, and where it comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct ObserveSettings {
    /// The data folder; by default one for each project under the user's data home.
    pub data: Option<PathBuf>,
    /// For heads, caches and queries together; a quarter of the machine's by default.
    pub memory: Option<ByteSize>,
    pub retention: Span,
    pub retention_size: Option<ByteSize>,
    pub series: SeriesSettings,
    /// A `prometheus.yml` whose `scrape_configs` are scraped; relative to the file that names it.
    pub scrape: Option<PathBuf>,
    /// Metrics of this machine under node_exporter's names.
    pub host_metrics: bool,
    /// Metrics of a Docker engine's containers under cAdvisor's names: `auto` where there is one, `off`, or its address as in `DOCKER_HOST`.
    pub docker: String,
    /// Of the host, of containers and of the engine itself.
    pub self_interval: Span,
}

/// How many series are taken; of what is over, the newest are left out and counted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct SeriesSettings {
    pub per_tenant: Option<NonZeroUsize>,
    /// Of one metric name of a tenant.
    pub per_metric: Option<NonZeroUsize>,
    /// Of one `job` of a tenant.
    pub per_job: Option<NonZeroUsize>,
}

impl Default for ObserveSettings {
    fn default() -> Self {
        ObserveSettings {
            data: None,
            memory: None,
            retention: Span::from_secs(15 * 86_400),
            retention_size: None,
            series: SeriesSettings::default(),
            scrape: None,
            host_metrics: true,
            docker: "auto".into(),
            self_interval: Span::from_secs(5),
        }
    }
}

/// Below this there would be room for the logs of the two stores and little else.
const RETENTION_SIZE_MIN: u64 = 32 << 20;

/// Below this an ordinary batch of an OpenTelemetry exporter would not fit.
const BODY_SHARE_MIN: usize = 4 << 20;
/// Bodies in flight have an eighth.
const MEMORY_MIN: u64 = 8 * BODY_SHARE_MIN as u64;

/// The keys that may stand at the top of `apm.yaml` today.
const TOP: [&str; 14] = [
    "version",
    "project",
    "compose",
    "server",
    "observe",
    "forward",
    "collect",
    "services",
    "environments",
    "promotion",
    "judge",
    "freezes",
    "windows",
    "notify",
];

impl Settings {
    pub fn read(tree: &Tree) -> Result<Self, ConfigError> {
        tree.check_top(&TOP)?;
        let settings = Settings {
            project: tree.section("project")?,
            server: tree.section("server")?,
            observe: tree.section("observe")?,
        };
        settings.observe.check(tree)?;
        Ok(settings)
    }

    /// The memory limit in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.observe.memory.map_or_else(crate::memory::default_limit_bytes, |size| size.0)
    }
}

impl ObserveSettings {
    /// Refuses what would start an engine that takes nothing or keeps nothing.
    fn check(&self, tree: &Tree) -> Result<(), ConfigError> {
        let refuse = |path: &str, report: Report| {
            let placed = match tree.node(path) {
                Some(node) => node.origin.on(report),
                None => report,
            };
            Err(ConfigError::new(placed))
        };
        if self.memory.is_some_and(|size| size.0 < MEMORY_MIN) {
            let report =
                Report::new(format!("the memory setting is under {} MB, too little to work with", MEMORY_MIN >> 20));
            return refuse("observe.memory", report.hint("set more, or leave it out for a quarter of the machine's"));
        }
        if self.retention.0.is_zero() {
            let report = Report::new("a retention of 0 would keep nothing");
            return refuse("observe.retention", report.hint("set a time such as 15d"));
        }
        if self.retention_size.is_some_and(|size| size.0 < RETENTION_SIZE_MIN) {
            let report = Report::new("the retention size is too small to keep anything in; at least 32MB is needed");
            return refuse(
                "observe.retention_size",
                report.hint("set a size such as 20GB, or leave it out for no limit"),
            );
        }
        Ok(())
    }
}

impl ServerSettings {
    pub(crate) fn connections(&self) -> ConnectionLimits {
        ConnectionLimits {
            connections: self.connection_limit.max(1),
            header_timeout: self.header_timeout.0,
            drain_timeout: self.drain_timeout.0,
        }
    }

    /// Bodies in flight may take an eighth of the memory, and one body no more than that.
    pub(crate) fn bodies(&self, memory_bytes: u64) -> BodyLimits {
        let share = usize::try_from(memory_bytes / 8).unwrap_or(usize::MAX / 4).max(BODY_SHARE_MIN);
        BodyLimits {
            body_bytes: usize::try_from(self.body_limit.0).unwrap_or(usize::MAX / 4).min(share),
            in_flight_bytes: share,
            idle_timeout: Duration::from_secs(10).min(self.body_timeout.0),
            total_timeout: self.body_timeout.0,
        }
    }

    /// All queries together may take a quarter of the memory.
    pub(crate) fn queries(&self, memory_bytes: u64) -> QueryLimits {
        let concurrency = self.query_concurrency.max(1);
        QueryLimits { concurrency, timeout: self.query_timeout.0, memory_bytes: memory_bytes / 4 / concurrency as u64 }
    }
}
