//! What a front is told and what it tells, as JSON has it. Plain data; defaults are the front's own.

use serde::{Deserialize, Serialize};

/// Where requests may go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Unique in a set.
    pub name: String,
    /// `HOST:PORT`
    pub address: String,
    /// Its share among the weights of all; 0 is checked but gets nothing.
    #[serde(default = "one")]
    pub weight: u32,
    /// `auto`, `http1` or `h2`.
    #[serde(default = "auto")]
    pub protocol: String,
    /// None: only failed connections tell that it is ill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// Takes nothing new, whatever its weight.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
}

fn one() -> u32 {
    1
}

fn auto() -> String {
    "auto".to_owned()
}

/// An active check: a GET on `http`, or a connection alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Check {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub healthy_after: u32,
    pub unhealthy_after: u32,
}

impl Default for Check {
    fn default() -> Check {
        Check { http: None, interval_ms: 1_000, timeout_ms: 1_000, healthy_after: 2, unhealthy_after: 3 }
    }
}

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct State {
    pub pid: u32,
    /// The address that clients reach.
    pub listen: String,
    /// Grows by one with each change.
    pub generation: u64,
    /// The set in force, in its order; after it those that have left it and still hold requests.
    pub upstreams: Vec<UpstreamStatus>,
}

impl State {
    /// The set in force, without how its upstreams do.
    pub fn set(&self) -> Vec<Upstream> {
        self.upstreams.iter().filter(|one| !one.leaving).map(|one| one.upstream.clone()).collect()
    }

    /// Requests that an upstream of this name still holds, in the set or leaving it.
    pub fn in_flight(&self, name: &str) -> u64 {
        self.upstreams.iter().filter(|one| one.upstream.name == name).map(|one| one.in_flight).sum()
    }
}

/// One upstream and how it does now.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UpstreamStatus {
    #[serde(flatten)]
    pub upstream: Upstream,
    pub healthy: bool,
    /// Of the last check or connection that failed.
    #[serde(default)]
    pub reason: Option<String>,
    pub in_flight: u64,
    /// No longer in the set: it ends what it has.
    #[serde(default)]
    pub leaving: bool,
}

/// How a drain ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Drained {
    pub generation: u64,
    /// Nothing is in flight any more.
    pub drained: bool,
    pub in_flight: u64,
    /// False when there is no upstream of that name.
    pub known: bool,
}
