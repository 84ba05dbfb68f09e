//! Metrics of containers under cAdvisor's names, from what an engine of containers tells: what a dashboard or an alert made for cAdvisor shows
//! without one running.
//!
//! Pure: whoever knows the engine hands in [`Container`]s through [`ReadContainers`], and [`exposition`] writes the text that cAdvisor would have
//! exposed; from there it goes the way of any scraped text, with `up` and markers for what ended. Names, labels and meanings are those of
//! <https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md>. It knows no engine, no socket and no clock.

mod families;
mod labels;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;

pub use families::exposition;

/// The job of these series: dashboards and rules made for cAdvisor ask for it.
pub const JOB: &str = "cadvisor";

/// An engine of containers, as its reader sees it.
pub trait ReadContainers: Send + Sync {
    /// What the engine's machine is called: becomes `instance`.
    fn machine(&self) -> impl Future<Output = Result<String, Unread>> + Send;

    /// The containers that live now, each with its counters; one that went away meanwhile is left out.
    fn read(&self) -> impl Future<Output = Result<Vec<Container>, Unread>> + Send;
}

/// Why nothing could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unread {
    /// With what to do about it, in one line.
    pub why: String,
    /// There is no engine, as on most machines: nobody needs to be told.
    pub absent: bool,
}

/// One container at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    pub id: String,
    pub name: String,
    /// As it was named when the container was made.
    pub image: String,
    pub labels: BTreeMap<String, String>,
    /// Unix seconds; `None` when it never started.
    pub started_s: Option<f64>,
    pub health: Health,
    /// By its restart policy, since it was made.
    pub restarts: u64,
    pub limits: Limits,
    /// `None`: it does not run now, as between two restarts.
    pub usage: Option<Usage>,
}

/// What its health check says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It has none.
    #[default]
    Unchecked,
    Healthy,
    /// Starting or unhealthy: not known to be well.
    NotHealthy,
}

/// What it may use; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub memory_bytes: u64,
    pub memory_swap_bytes: u64,
    pub memory_reservation_bytes: u64,
    /// Of each period.
    pub cpu_quota_us: u64,
    pub cpu_period_us: u64,
    pub cpu_shares: u64,
    pub threads: u64,
}

/// Counters since its start, but for memory and threads, which are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub cpu_ns: u64,
    pub cpu_user_ns: u64,
    pub cpu_system_ns: u64,
    pub cpu_periods: u64,
    pub cpu_throttled_periods: u64,
    pub cpu_throttled_ns: u64,
    pub memory_bytes: u64,
    /// 0 where the kernel does not tell.
    pub memory_bytes_max: u64,
    pub memory_rss_bytes: u64,
    pub memory_cache_bytes: u64,
    /// Usage without the inactive file cache.
    pub memory_working_set_bytes: u64,
    pub memory_failures: u64,
    pub page_faults_major: u64,
    pub threads: u64,
    /// By interface; empty with the host's network.
    pub networks: BTreeMap<String, Network>,
    /// By device.
    pub disks: BTreeMap<String, Disk>,
}

/// Of one interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    pub received: Traffic,
    pub sent: Traffic,
}

/// In one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub bytes: u64,
    pub packets: u64,
    pub errors: u64,
    pub dropped: u64,
}

/// Of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    pub read_bytes: u64,
    pub written_bytes: u64,
    pub reads: u64,
    pub writes: u64,
}
