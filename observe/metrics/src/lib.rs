//! The time series store: log, head in memory, columnar segments, retention.
//!
//! A [`MetricStore`] is a single-threaded state machine over a `World`: the same calls on the same world do the same, so a
//! crash test is a seed. It starts no threads, knows no query language and no wire format; threads, timers and the sync
//! of many writers at once stand above it.

mod append;
mod bits;
mod budget;
mod chunk;
mod column;
mod flush;
mod head;
mod histogram;
mod index;
mod job;
mod pack;
mod points;
mod read;
mod record;
mod segment;
mod segment_index;
mod segment_write;
mod series;
mod settings;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;
mod tombstone;

pub use job::{FlushJob, MergeJob, Written};
pub use settings::Settings;
pub use snapshot::SnapshotJob;
pub use store::{MetricStore, ReplayReport};
