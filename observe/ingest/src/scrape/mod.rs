//! Scraping as Prometheus does it, without the HTTP: configuration, targets, their schedule, and what a scraped text
//! becomes. The call itself is filled by `app` through [`Fetch`].
//!
//! ```text
//! ScrapeConfig ─ ScrapeJob::new ─ targets() ─ Target ─ ScrapeLoop ── request() → Fetch → finish() → MetricWrite
//! ```

mod config;
mod run;
mod target;
#[cfg(test)]
mod tests;
mod units;

use std::future::Future;

pub use config::{FileSdConfig, GlobalConfig, ScrapeConfig, TargetGroup};
pub use run::{ScrapeLoop, Scraped};
pub use target::{ScrapeConfigError, ScrapeJob, Target, TargetSet};
pub use units::{ByteSize, PromDuration, UnitError};

/// What to ask a target for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    pub job: String,
    pub url: String,
    pub accept: &'static str,
    /// Whether gzip may be asked for.
    pub compression: bool,
    pub timeout_ms: i64,
    /// The body, uncompressed, must not be larger; 0 for no limit of the configuration's own.
    pub body_max_bytes: u64,
}

/// A target's answer with status 200; the body is out of its compression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    pub content_type: String,
    pub body: Vec<u8>,
}

/// The HTTP call.
pub trait Fetch: Send + Sync {
    /// Anything but a 200 is an error in words (`server returned HTTP status 404 Not Found`, `connection refused`).
    fn fetch(&self, request: &FetchRequest) -> impl Future<Output = Result<Fetched, String>> + Send;
}
