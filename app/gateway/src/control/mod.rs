//! The control socket: HTTP/1.1 with JSON over a Unix socket, at both ends. The protocol is in docs/formats/front-control.md.

mod client;
pub(crate) mod server;

pub use client::{Client, ControlError};

use serde::{Deserialize, Serialize};

/// The largest body of a control request, in bytes.
const REQUEST_BYTES_MAX: usize = 256 << 10;

/// Asks for an upstream to be emptied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    pub upstream: String,
    /// With it the drain is refused as stale unless it is the front's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// How long to wait for what is in flight.
    #[serde(default = "ten_seconds")]
    pub timeout_ms: u64,
    /// Cut off what is left after that time.
    #[serde(default)]
    pub cut: bool,
}

fn ten_seconds() -> u64 {
    10_000
}

/// How a drain ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    pub generation: u64,
    /// Nothing is in flight any more: the upstream can be stopped.
    pub drained: bool,
    pub in_flight: u64,
    /// False when there is no upstream of that name, neither in the set nor leaving it: a drain may be asked for again.
    pub known: bool,
}

/// Every answer that is no 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Refused {
    /// `stale`, `invalid`, `unknown`, `disk`.
    error: String,
    reason: String,
    /// The one in force.
    generation: u64,
}
