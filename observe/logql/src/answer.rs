//! What a query answers, before any wire format.

use base_signal::Labels;
use observe_source::Annotations;

#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub data: Data,
    pub statistics: Statistics,
    pub annotations: Annotations,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Lines; streams sorted by labels, entries in the order of the query's direction.
    Streams(Vec<StreamResult>),
    /// A range query over numbers, sorted by labels.
    Matrix(Vec<Series>),
    /// An instant query over numbers: sorted by labels, but by value under `sort`, `topk` and the like.
    Vector(Vec<Sample>),
    /// An instant query of a bare number.
    Scalar { time_ns: i64, value: f64 },
}

impl Default for Data {
    fn default() -> Self {
        Data::Streams(Vec::new())
    }
}

/// Lines that share all their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamResult {
    /// Stream labels, structured metadata and parsed labels merged: what Loki shows unless labels are to be categorised.
    pub labels: Labels,
    /// The stream's own labels, less what `drop` and `keep` removed: what Loki shows with `categorize-labels`.
    pub stream: Labels,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub time_ns: i64,
    pub line: String,
    /// Sorted by name.
    pub structured_metadata: Vec<(String, String)>,
    /// Labels that stages made, sorted by name; `__error__` is one of them.
    pub parsed: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Labels,
    /// Only the steps at which there is a value.
    pub points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub time_ns: i64,
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    pub point: Point,
}

/// What it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Lines that the source handed out, before filtering.
    pub lines: u64,
    /// Bytes of those lines.
    pub bytes: u64,
    /// Lines that passed all stages.
    pub lines_returned: u64,
}
