//! The waist: what a store promises and what a reader may ask, for metrics, logs and traces.
//!
//! Languages, ingest, rules and the API speak these traits and never a store. Everything is synchronous and pulled: a reader
//! calls `next` when it can use more, and a thread above decides where that runs. Knows nothing of files, of tokio, or of
//! any query language.
//!
//! Rules that hold for all three signals:
//! - **Snapshot.** An answer is of one moment. What is appended after `select` returned may be seen or not, but a batch
//!   never changes once given, and no lock of the store is held between two `next`.
//! - **Ownership.** Batches are the caller's; they borrow nothing from the store.
//! - **Limits.** Every `select` carries a [`Budget`] charged *before* memory is taken and a [`Cancel`] looked at between
//!   batches. A reader that runs out gets [`SourceError::Budget`] with what it would have cost; the process stays.
//! - **Warnings travel beside results** as [`Annotations`], they never replace them.
//! - **Acknowledged is durable.** `append` gives no promise by itself. What was appended is durable when a sync that began
//!   after it returned has ended; only then may anyone be told so.

mod annotation;
mod append;
mod budget;
mod error;
pub mod fake;
mod logs;
mod metrics;
mod spans;

pub use annotation::{Annotation, Annotations, Level};
pub use append::{Appended, Increase, Increment, LogWrite, MetricWrite, Reject, RejectReason, SpanWrite};
pub use budget::{Budget, Cancel, Reservation};
pub use error::SourceError;
pub use logs::{Direction, LineHint, LogBatch, LogBatches, LogSource, SelectLogs};
pub use metrics::{
    ExemplarSeries, Grouping, LabelQuery, MetricBatch, MetricBatches, MetricSource, SelectHints, SelectMetrics,
};
pub use spans::{AttributeScope, SelectSpans, SpanBatch, SpanBatches, SpanFilter, SpanSource};

#[cfg(test)]
mod tests;
