//! Bytes to signal and back: OTLP, remote write and read, Prometheus text, Loki push, Jaeger.
//!
//! Everything here is pure: no socket, no file, no clock (a caller that needs "now" hands it in). Each decoder has limits
//! and says what was wrong, at which field and byte, and why; items that are wrong one by one are left out and counted in
//! [`Decoded::rejects`], so that they do not spoil the rest. Knows nothing of tenants, stores or HTTP but content types.

#[cfg(test)]
mod any_bytes;
pub mod compression;
pub mod delivery;
mod error;
pub mod exposition;
pub mod jaeger;
mod level;
mod limits;
pub mod loki_push;
mod message;
pub mod otlp;
pub mod proto;
pub mod remote_read;
pub mod remote_write;
pub mod remote_write_2;
#[cfg(test)]
mod test_bytes;

pub use error::{DecodeError, DecodeErrorKind};
pub use level::detect_level;
pub use limits::{Decoded, Limits};
