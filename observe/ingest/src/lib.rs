//! What happens to signal between decoding and the store: limits, tenancy, scraping and the discovery of its targets, metrics of host and
//! containers, logs of pods, span metrics, deltas added up.
//!
//! Everything here is pure or a state machine: a caller hands in requests, texts and the time, and gets writes back to
//! append. What must come from outside is a trait of this room ([`host::ReadHost`], [`containers::ReadContainers`], [`scrape::Fetch`],
//! [`discovery::Discover`], [`tail::PodMetadata`]) that `app` fills.
//! Knows no listener, no runtime, no store.

pub mod containers;
pub mod delivered;
pub mod delta;
pub mod discovery;
pub mod host;
mod last;
pub mod limits;
pub mod relabel;
pub mod scrape;
pub mod self_metrics;
pub mod span_metrics;
pub mod tail;
mod tenancy;

pub use tenancy::{TENANT_HEADER, TenantError, tenant_of};
