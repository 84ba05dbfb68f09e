//! `global` and `scrape_configs` of prometheus.yml as written; what is missing is filled in by [`super::ScrapeJob`].
//!
//! Unknown keys are ignored here; `KNOWN_KEYS` lets the reader of the file warn of them with their place.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::units::{ByteSize, PromDuration};
use crate::discovery::http::HttpSdConfig;
use crate::discovery::kubernetes::KubernetesSdConfig;
use crate::relabel::RelabelConfig;

/// The part of `global` that scraping needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GlobalConfig {
    pub scrape_interval: PromDuration,
    pub scrape_timeout: PromDuration,
}

impl Default for GlobalConfig {
    fn default() -> Self {
        GlobalConfig { scrape_interval: PromDuration { ms: 60_000 }, scrape_timeout: PromDuration { ms: 10_000 } }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ScrapeConfig {
    pub job_name: String,
    pub scrape_interval: Option<PromDuration>,
    pub scrape_timeout: Option<PromDuration>,
    pub metrics_path: String,
    pub scheme: String,
    pub params: BTreeMap<String, Vec<String>>,
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    pub track_timestamps_staleness: bool,
    pub enable_compression: bool,
    pub static_configs: Vec<TargetGroup>,
    pub file_sd_configs: Vec<FileSdConfig>,
    pub http_sd_configs: Vec<HttpSdConfig>,
    pub kubernetes_sd_configs: Vec<KubernetesSdConfig>,
    pub relabel_configs: Vec<RelabelConfig>,
    pub metric_relabel_configs: Vec<RelabelConfig>,
    /// Samples after relabelling of one scrape; 0 for no limit.
    pub sample_limit: usize,
    pub label_limit: usize,
    pub label_name_length_limit: usize,
    pub label_value_length_limit: usize,
    pub target_limit: usize,
    pub body_size_limit: ByteSize,
}

impl Default for ScrapeConfig {
    fn default() -> Self {
        ScrapeConfig {
            job_name: String::new(),
            scrape_interval: None,
            scrape_timeout: None,
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            enable_compression: true,
            static_configs: Vec::new(),
            file_sd_configs: Vec::new(),
            http_sd_configs: Vec::new(),
            kubernetes_sd_configs: Vec::new(),
            relabel_configs: Vec::new(),
            metric_relabel_configs: Vec::new(),
            sample_limit: 0,
            label_limit: 0,
            label_name_length_limit: 0,
            label_value_length_limit: 0,
            target_limit: 0,
            body_size_limit: ByteSize(0),
        }
    }
}

impl ScrapeConfig {
    /// The keys that are read here. Keys of the HTTP client (`basic_auth`, `tls_config`, …) are the client's.
    pub const KNOWN_KEYS: &'static [&'static str] = &[
        "job_name",
        "scrape_interval",
        "scrape_timeout",
        "metrics_path",
        "scheme",
        "params",
        "honor_labels",
        "honor_timestamps",
        "track_timestamps_staleness",
        "enable_compression",
        "static_configs",
        "file_sd_configs",
        "http_sd_configs",
        "kubernetes_sd_configs",
        "relabel_configs",
        "metric_relabel_configs",
        "sample_limit",
        "label_limit",
        "label_name_length_limit",
        "label_value_length_limit",
        "target_limit",
        "body_size_limit",
    ];
}

/// Addresses that share labels: one entry of `static_configs`, and of a file that `file_sd_configs` names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TargetGroup {
    pub targets: Vec<String>,
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FileSdConfig {
    /// Paths; the last part may hold one `*`.
    pub files: Vec<String>,
    pub refresh_interval: PromDuration,
}

impl Default for FileSdConfig {
    fn default() -> Self {
        FileSdConfig { files: Vec::new(), refresh_interval: PromDuration { ms: 300_000 } }
    }
}
