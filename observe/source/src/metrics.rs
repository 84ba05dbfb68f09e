//! Reading metrics: series come in batches, as columns.

use base_signal::{Exemplar, Labels, Matcher, Metadata, NativeHistogram, RangeMs, TenantId};

use crate::{Annotations, Budget, Cancel, SourceError};

/// What a query wants of the store.
#[derive(Clone, Debug)]
pub struct SelectMetrics<'a> {
    pub tenant: &'a TenantId,
    /// All must match. At least one must not match the empty value, or the source may refuse.
    pub matchers: &'a [Matcher],
    /// Every sample of this range is returned, both ends included.
    pub range: RangeMs,
    pub hints: SelectHints,
    pub budget: &'a Budget,
    pub cancel: &'a Cancel,
}

/// What the caller will do with it. A source may use these to do less work, never to change an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SelectHints {
    /// 0 for an instant query.
    pub step_ms: i64,
    /// The function or aggregation right around the selector, such as `rate`.
    pub function: Option<String>,
    /// The window of a range selector; 0 for an instant selector.
    pub window_ms: i64,
    pub grouping: Option<Grouping>,
    /// Only label sets matter (`series`, `count`): values may be left out.
    pub labels_only: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Grouping {
    pub labels: Vec<String>,
    pub without: bool,
}

/// Many series as columns: the points of series `i` are rows `ends[i-1]..ends[i]` (from 0 for the first).
///
/// Rows of a series ascend strictly in time. Floats and histograms of one series share `times_ms`: a row that is a
/// histogram has its index in `histograms` (ascending) and a NaN of no meaning in `values`.
#[derive(Clone, Debug, Default)]
pub struct MetricBatch {
    pub series: Vec<Labels>,
    pub ends: Vec<usize>,
    pub times_ms: Vec<i64>,
    pub values: Vec<f64>,
    /// (row, histogram)
    pub histograms: Vec<(usize, NativeHistogram)>,
    /// (series index, Unix ms at which its counter began), where known; ascending by series.
    pub created: Vec<(usize, i64)>,
    /// (row, Unix ms at which what this row counts began), where known of single rows; ascending.
    pub starts: Vec<(usize, i64)>,
}

impl MetricBatch {
    /// The rows of series `i`.
    pub fn rows(&self, i: usize) -> std::ops::Range<usize> {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        start..self.ends[i]
    }

    pub fn len(&self) -> usize {
        self.series.len()
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Heap bytes, for budgets; histograms are estimated.
    pub fn size_bytes(&self) -> usize {
        let labels: usize = self.series.iter().map(|s| s.as_bytes().len() + 32).sum();
        labels + self.ends.len() * 8 + self.times_ms.len() * 16 + self.histograms.len() * 400 + self.starts.len() * 16
    }
}

/// Batches in turn. Series come sorted by labels, each exactly once, never split over two batches.
pub trait MetricBatches: Send {
    /// The next batch, or `None` at the end. After an error nothing more may be asked.
    fn next(&mut self) -> Result<Option<MetricBatch>, SourceError>;

    /// What there is to say about the answer; asked once, at the end.
    fn annotations(&mut self) -> Annotations {
        Annotations::default()
    }
}

/// For `labels`, `label values` and `series`.
#[derive(Clone, Debug)]
pub struct LabelQuery<'a> {
    pub tenant: &'a TenantId,
    /// Sets of matchers: a series counts when all of any one set match. Empty: all series.
    pub matchers: &'a [Vec<Matcher>],
    pub range: RangeMs,
    /// At most so many; 0 for no limit. A cut answer carries a warning.
    pub limit: usize,
    pub budget: &'a Budget,
    pub cancel: &'a Cancel,
}

/// The exemplars of one series, ascending in time.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarSeries {
    pub labels: Labels,
    pub exemplars: Vec<Exemplar>,
}

/// A store of metrics as its readers see it.
pub trait MetricSource: Send + Sync {
    fn select(&self, request: &SelectMetrics<'_>) -> Result<Box<dyn MetricBatches>, SourceError>;

    /// Names of labels, sorted.
    fn label_names(&self, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError>;

    /// Values of one label, sorted.
    fn label_values(&self, name: &str, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError>;

    /// Label sets, sorted.
    fn series(&self, query: &LabelQuery<'_>) -> Result<(Vec<Labels>, Annotations), SourceError>;

    /// Exemplars of the series that match any set, sorted by labels.
    fn exemplars(&self, query: &LabelQuery<'_>) -> Result<Vec<ExemplarSeries>, SourceError>;

    /// Metadata by family name, sorted; all families when `metric` is `None`.
    fn metadata(&self, tenant: &TenantId, metric: Option<&str>) -> Result<Vec<(String, Metadata)>, SourceError>;
}
