//! What is appended, as columns, and what became of it.

use std::collections::BTreeMap;

use base_signal::{Exemplar, LabelArena, LogEntry, Metadata, NativeHistogram, Span};

/// A decoded metric request. Indices point into `series`; every set carries `__name__`. A stale marker is a sample (or a
/// histogram's sum) with the stale NaN. Items of one series are applied in the order given here.
#[derive(Clone, Debug, Default)]
pub struct MetricWrite {
    pub series: LabelArena,
    /// (series, Unix ms, value)
    pub samples: Vec<(u32, i64, f64)>,
    /// (series, Unix ms, histogram)
    pub histograms: Vec<(u32, i64, NativeHistogram)>,
    pub exemplars: Vec<(u32, Exemplar)>,
    /// (metric family, what it is)
    pub metadata: Vec<(String, Metadata)>,
    /// (series, Unix ms at which its counter began)
    pub created: Vec<(u32, i64)>,
    /// (series, Unix ms of a sample, Unix ms at which what this sample counts began), where senders tell it of each sample.
    /// A store may leave it out.
    pub starts: Vec<(u32, i64, i64)>,
    /// What grew by how much; to be added up to samples or histograms before it is stored.
    pub increases: Vec<Increase>,
}

/// By how much a counter grew between two moments: delta temporality.
#[derive(Clone, Debug, PartialEq)]
pub struct Increase {
    pub series: u32,
    /// Unix ms; 0 when the sender did not say.
    pub start_ms: i64,
    pub time_ms: i64,
    pub by: Increment,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Increment {
    Float(f64),
    Histogram(NativeHistogram),
}

impl MetricWrite {
    /// Items that count as accepted or rejected: samples, histograms and exemplars.
    pub fn len(&self) -> usize {
        self.samples.len() + self.histograms.len() + self.exemplars.len() + self.increases.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.metadata.is_empty() && self.created.is_empty()
    }
}

/// Decoded log lines; `LogEntry::stream` points into `streams`.
#[derive(Clone, Debug, Default)]
pub struct LogWrite {
    pub streams: LabelArena,
    pub entries: Vec<LogEntry>,
}

/// Decoded spans; each carries its resource.
#[derive(Clone, Debug, Default)]
pub struct SpanWrite {
    pub spans: Vec<Span>,
}

/// Why an item was left out while the rest was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    OutOfOrder,
    /// Same series and time, another value.
    DuplicateTimestamp,
    TooOld,
    TooFarInFuture,
    InvalidLabels,
    LabelLimit,
    SeriesLimit,
    TooLarge,
    Invalid,
}

impl RejectReason {
    /// The value of the `reason` label of our own counters.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectReason::OutOfOrder => "out_of_order",
            RejectReason::DuplicateTimestamp => "duplicate_timestamp",
            RejectReason::TooOld => "too_old",
            RejectReason::TooFarInFuture => "too_far_in_future",
            RejectReason::InvalidLabels => "invalid_labels",
            RejectReason::LabelLimit => "label_limit",
            RejectReason::SeriesLimit => "series_limit",
            RejectReason::TooLarge => "too_large",
            RejectReason::Invalid => "invalid",
        }
    }
}

/// How many items a reason took, and the first of them in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reject {
    pub count: u64,
    pub example: String,
}

/// What became of an append. Rejected items are told to the sender, they do not spoil the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    pub accepted: u64,
    /// Of those, native histograms.
    pub histograms: u64,
    /// Of those, exemplars.
    pub exemplars: u64,
    pub rejected: BTreeMap<RejectReason, Reject>,
}

impl Appended {
    /// Counts one rejected item; `example` is only called for the first of its reason.
    pub fn reject(&mut self, reason: RejectReason, example: impl FnOnce() -> String) {
        let entry = self.rejected.entry(reason).or_default();
        if entry.count == 0 {
            entry.example = example();
        }
        entry.count += 1;
    }

    /// All of a write.
    pub fn all_of(write: &MetricWrite) -> Self {
        let (histograms, exemplars) = (write.histograms.len() as u64, write.exemplars.len() as u64);
        Appended { accepted: write.len() as u64, histograms, exemplars, rejected: BTreeMap::new() }
    }

    pub fn rejected_count(&self) -> u64 {
        self.rejected.values().map(|r| r.count).sum()
    }

    pub fn merge(&mut self, other: Appended) {
        self.accepted += other.accepted;
        self.histograms += other.histograms;
        self.exemplars += other.exemplars;
        for (reason, theirs) in other.rejected {
            let ours = self.rejected.entry(reason).or_default();
            if ours.count == 0 {
                ours.example = theirs.example;
            }
            ours.count += theirs.count;
        }
    }

    /// One line for the sender: `3 out_of_order (first: …)`; empty when nothing was rejected.
    pub fn message(&self) -> String {
        let parts: Vec<_> = self
            .rejected
            .iter()
            .map(|(why, r)| format!("{} {} (first: {})", r.count, why.as_str(), r.example))
            .collect();
        parts.join("; ")
    }
}
