//! What a person wants: one version of one service in one environment. It says nothing about how to get there.

use std::collections::BTreeMap;

use operate_plan::{Calendar, Finding};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Extra, Sides};

/// How the new version takes over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Every old container stops, then the new ones start.
    #[default]
    Recreate,
    /// One container after the other, each verified before the next.
    Rolling,
    /// The new version runs beside the old one and takes the traffic at once; needs a front that owns the port.
    BlueGreen,
    /// The new version takes the traffic by and by; needs a front.
    Canary,
}

impl Strategy {
    /// Both versions run at once, so neither can own the port.
    pub fn needs_front(self) -> bool {
        matches!(self, Strategy::BlueGreen | Strategy::Canary)
    }

    pub fn word(self) -> &'static str {
        match self {
            Strategy::Recreate => "recreate",
            Strategy::Rolling => "rolling",
            Strategy::BlueGreen => "blue-green",
            Strategy::Canary => "canary",
        }
    }
}

/// A value that is not shown: it was sealed before it came here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub sealed: String,
    /// Compares without telling.
    pub mark: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// `127.0.0.1`; empty means every address.
    #[serde(default)]
    pub address: String,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    pub container: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// A path of the machine when it begins with `/`, else the name of a volume.
    pub source: String,
    pub path: String,
    #[serde(default)]
    pub read_only: bool,
}

impl Volume {
    /// The name, if it is a named one.
    pub fn named(&self) -> Option<&str> {
        (!self.source.starts_with('/')).then_some(self.source.as_str())
    }
}

/// As in a Dockerfile's HEALTHCHECK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `["CMD", "/bin/check"]` or `["CMD-SHELL", "curl -f …"]`.
    pub test: Vec<String>,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub retries: u32,
    /// Failures do not count so long after the start.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_period_ms: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A container as its image and a person's settings make it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub env: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, Secret>,
    pub ports: Vec<Port>,
    pub volumes: Vec<Volume>,
    /// Empty: the engine's bridge. `host` has Docker's meaning.
    pub networks: Vec<String>,
    /// 0 is no limit.
    pub memory_bytes: u64,
    /// 1000 is one processor; 0 is no limit.
    pub cpu_millis: u64,
    pub pids: u64,
    pub user: Option<String>,
    pub read_only_root: bool,
    /// `no`, `always`, `unless-stopped`, `on-failure`; empty: `unless-stopped`.
    pub restart: String,
    pub health: Option<Health>,
    /// Between SIGTERM and SIGKILL.
    pub stop_grace_s: u32,
    /// What few containers need. Left out where there is nothing, so that a container made before it was known is known again.
    #[serde(skip_serializing_if = "Extra::is_nothing")]
    pub extra: Extra,
}

/// What must answer before the new version counts as up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A 2xx or 3xx to GET.
    Http { path: String, port: u16 },
    /// A connection.
    Tcp { port: u16 },
}

/// The front that owns the service's port, and where the two colors stand behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Front {
    /// What clients reach, as an address of the machine: `127.0.0.1:8080`.
    pub listen: String,
    /// The path of its control socket.
    pub control: String,
    /// The container's port that is passed to.
    pub port: u16,
    /// Ports of the machine's loopback: blue's and green's.
    pub ports: [u16; 2],
}

/// How a canary gets its traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Percent of the requests, rising; 100 is the switch itself, which comes last anyway.
    pub steps: Vec<u32>,
    /// Asked at each step, while both versions serve; the judge's own form.
    #[serde(default)]
    pub beside: Option<Beside>,
    /// The longest that the judge may take for one step.
    pub judge_ms: u64,
}

/// A question to the judge about two versions that serve at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    pub request: Value,
    /// Where in it the version that runs must be named, which only the planner sees: a JSON pointer (RFC 6901).
    pub old_version_at: String,
}

/// A question to the judge about what is in the image, asked before anything is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    pub request: Value,
    /// Where in it the image must be named, which only the planner knows exactly: a JSON pointer (RFC 6901).
    pub image_at: String,
    /// The same by hand, without the image: `apm docker scan --fail-on high`.
    pub by_hand: Vec<String>,
}

/// One version of one service in one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub project: String,
    pub service: String,
    pub environment: String,
    pub version: String,
    /// A reference as `docker pull` takes it.
    pub image: String,
    /// What that was when it was planned, whatever becomes of the tag: `shop/cart@sha256:…`, or the id of an image that no registry has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// The engine, for people and for the lease: `docker:local`.
    pub target: String,
    pub strategy: Strategy,
    /// Needed by blue-green and canary.
    #[serde(default)]
    pub front: Option<Front>,
    #[serde(default)]
    pub canary: Option<Canary>,
    /// At least 1.
    pub replicas: u32,
    pub container: Container,
    #[serde(default)]
    pub checks: Vec<Check>,
    /// How long a new container may take until it answers.
    pub ready_ms: u64,
    /// Asked before anything is changed; the judge's own form.
    #[serde(default)]
    pub gate: Option<Value>,
    /// Asked when the image is there, and before anything else is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<Scan>,
    /// Asked when the new version runs; the judge's own form.
    #[serde(default)]
    pub judge: Option<Value>,
    /// Where both questions of the judge name the containers of either version, which only the planner knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sides: Option<Sides>,
    /// The longest that the judge may take.
    pub judge_ms: u64,
    /// What was found wrong with the settings, short of a reason not to release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The question to a person, where this environment wants one.
    #[serde(default)]
    pub approval: Option<String>,
    /// When changes may be made in this environment.
    #[serde(default, skip_serializing_if = "Calendar::is_empty")]
    pub calendar: Calendar,
    /// A container of this name that was not made by us may be replaced.
    #[serde(default)]
    pub adopt: bool,
    /// The container is made anew although it is what is wanted.
    #[serde(default)]
    pub force: bool,
    /// Who asks, and why.
    pub actor: String,
    #[serde(default)]
    pub reason: String,
}

impl Release {
    /// The image that every container is made of.
    pub fn exact(&self) -> &str {
        self.pinned.as_deref().unwrap_or(&self.image)
    }
}
