//! The log and span store: log, head in memory, columnar segments, retention.
//!
//! An [`EventStore`] is a single-threaded state machine over a `World`: the same calls on the same world do the same, so a
//! crash test is a seed. It starts no threads, knows no query language and no wire format; threads, timers and the sync
//! of many writers at once stand above it. Formats: `docs/formats/event-segment.md`.

mod append;
mod columns;
mod filter;
mod flush;
mod head;
mod job;
mod log_part;
mod log_read;
mod log_segment;
mod log_segment_write;
mod merge;
mod pack;
mod record;
mod settings;
mod span_code;
mod span_columns;
mod span_read;
mod span_segment;
mod span_segment_write;
mod store;
#[cfg(test)]
mod tests;

pub use job::{FlushJob, MergeJob, Written};
pub use settings::Settings;
pub use store::{EventStore, ReplayReport};
