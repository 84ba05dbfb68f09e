//! The proxy that owns a service's published port, so that what stands behind it can change without a gap.
//!
//! A front takes HTTP/1.1, h2c or raw TCP on one address and hands it to weighted upstreams. Which ones is switched in one
//! step over a control socket and survives a restart. It knows no containers, no plans and no stores, and needs nobody
//! else to be alive.

mod balance;
mod body;
pub mod control;
mod fleet;
mod framing;
mod front;
mod head;
mod health;
mod metrics;
mod model;
mod pool;
mod proxy;
mod state;
mod stream;
mod tcp;
mod tunnel;
mod upstream;

pub use front::{Front, FrontError, Limits, Options};
pub use model::{Check, ModelError, Protocol, Set, State, Upstream, UpstreamStatus};
pub use state::StateError;
