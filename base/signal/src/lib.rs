//! What telemetry is made of: labels, samples, native histograms, log records, spans, resources, time ranges.
//!
//! Knows nothing of bytes on a wire, files, queries or clocks: no I/O, and nothing here can fail but parsing a pattern.

mod arena;
mod histogram;
mod ids;
mod labels;
mod log;
mod matcher;
mod metric;
mod pattern;
mod range;
mod span;
mod tenant;
mod value;

pub use arena::{LabelArena, OpenSet};
pub use histogram::{Buckets, CounterReset, NativeHistogram, SpanRun};
pub use ids::{IdError, SpanId, TraceId};
pub use labels::{Labels, LabelsBuilder, LabelsRef};
pub use log::{LogEntry, Severity};
pub use matcher::{MatchOp, Matcher};
pub use metric::{Exemplar, Metadata, MetricKind, STALE_NAN_BITS, Sample, is_stale_nan, stale_nan};
pub use pattern::{Pattern, PatternError};
pub use range::{RangeMs, RangeNs};
pub use span::{Resource, Scope, Span, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode};
pub use tenant::TenantId;
pub use value::{Attributes, Value};
