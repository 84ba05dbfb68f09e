//! Reading logs: lines come in time order, as columns.

use base_signal::{Labels, Matcher, RangeNs, TenantId};

use crate::{Annotations, Budget, Cancel, SourceError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// A text that every wanted line contains, or a structured metadata pair that every wanted entry carries. A source may
/// skip what cannot hold it; it may also return lines that do not, so the caller filters again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineHint {
    Contains(String),
    Metadata { name: String, value: String },
}

#[derive(Clone, Debug)]
pub struct SelectLogs<'a> {
    pub tenant: &'a TenantId,
    /// On stream labels; all must match.
    pub matchers: &'a [Matcher],
    /// Both ends included; the caller turns Loki's half-open ranges into this.
    pub range: RangeNs,
    pub direction: Direction,
    pub hints: &'a [LineHint],
    pub budget: &'a Budget,
    pub cancel: &'a Cancel,
}

/// Lines as columns; all columns are of equal length but `streams` and `text`.
///
/// Entries are in the order of `direction` by (time, stream labels, order of arrival), within a batch and from batch to
/// batch, over all streams: a caller with a limit stops pulling when it has enough.
#[derive(Clone, Debug, Default)]
pub struct LogBatch {
    /// The streams this batch mentions.
    pub streams: Vec<Labels>,
    /// Index into `streams`.
    pub stream: Vec<u32>,
    pub times_ns: Vec<i64>,
    /// All lines back to back; line `i` is `line_ends[i-1]..line_ends[i]`.
    pub text: String,
    pub line_ends: Vec<usize>,
    /// Structured metadata, sorted by name.
    pub metadata: Vec<Vec<(String, String)>>,
}

impl LogBatch {
    pub fn len(&self) -> usize {
        self.times_ns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.times_ns.is_empty()
    }

    pub fn line(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.line_ends[i - 1] };
        &self.text[start..self.line_ends[i]]
    }

    pub fn labels(&self, i: usize) -> &Labels {
        &self.streams[self.stream[i] as usize]
    }

    /// Appends one entry; `stream` must be an index into `streams`.
    pub fn push(&mut self, stream: u32, time_ns: i64, line: &str, metadata: Vec<(String, String)>) {
        self.stream.push(stream);
        self.times_ns.push(time_ns);
        self.text.push_str(line);
        self.line_ends.push(self.text.len());
        self.metadata.push(metadata);
    }

    /// Heap bytes, for budgets.
    pub fn size_bytes(&self) -> usize {
        let metadata: usize = self.metadata.iter().flatten().map(|(n, v)| n.len() + v.len() + 48).sum();
        self.text.len() + self.len() * 44 + metadata
    }
}

pub trait LogBatches: Send {
    /// The next batch, or `None` at the end. After an error nothing more may be asked.
    fn next(&mut self) -> Result<Option<LogBatch>, SourceError>;

    fn annotations(&mut self) -> Annotations {
        Annotations::default()
    }
}

/// A store of logs as its readers see it.
pub trait LogSource: Send + Sync {
    fn select_logs(&self, request: &SelectLogs<'_>) -> Result<Box<dyn LogBatches>, SourceError>;

    /// Label sets of the streams with an entry in the range that match all of any one set (all streams for no sets), sorted.
    fn streams(
        &self,
        tenant: &TenantId,
        matchers: &[Vec<Matcher>],
        range: RangeNs,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError>;
}
