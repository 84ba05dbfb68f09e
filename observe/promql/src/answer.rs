//! What a query is given, what it answers, and why it may not. Knows nothing of how it is computed.

use std::sync::Arc;

use base_signal::{Labels, NativeHistogram, TenantId};
use observe_source::{Annotations, Budget, Cancel, SourceError};

use crate::syntax::ParseError;

/// One query as a caller asks it.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    pub text: &'a str,
    pub tenant: &'a TenantId,
    pub budget: &'a Budget,
    pub cancel: &'a Cancel,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub value: Value,
    pub annotations: Annotations,
}

/// A float or a native histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    Float(f64),
    Histogram(Arc<NativeHistogram>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct VectorPoint {
    pub labels: Labels,
    pub time_ms: i64,
    pub value: PointValue,
}

/// The points of one series over time; floats and histograms apart, each ascending in time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesPoints {
    pub labels: Labels,
    pub points: Vec<(i64, f64)>,
    pub histograms: Vec<(i64, Arc<NativeHistogram>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// (Unix ms, value)
    Scalar(i64, f64),
    String(i64, String),
    /// In the order of evaluation: what `sort` or `topk` says, else as the source sorts.
    Vector(Vec<VectorPoint>),
    /// Sorted by labels.
    Matrix(Vec<SeriesPoints>),
}

impl Value {
    /// The HTTP API's `resultType`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Scalar(..) => "scalar",
            Value::String(..) => "string",
            Value::Vector(_) => "vector",
            Value::Matrix(_) => "matrix",
        }
    }
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    #[error("invalid parameter \"query\": {0}")]
    Parse(#[from] ParseError),

    /// The query cannot be asked so: a duration that comes to nothing, a range vector over a range.
    #[error("invalid parameter \"query\": {0}")]
    Unasked(String),

    /// A parameter besides the query that makes no sense.
    #[error("{0}")]
    BadData(String),

    /// The query is fine, the data or its values are not.
    #[error("{0}")]
    Execution(String),

    #[error("query was canceled in expression evaluation")]
    Canceled,

    /// The query would need more memory than its share.
    #[error("{0}")]
    Budget(SourceError),

    /// The store could not answer.
    #[error("expanding series: {0}")]
    Source(SourceError),
}

impl QueryError {
    /// Prometheus' `errorType`.
    pub fn error_type(&self) -> &'static str {
        match self {
            QueryError::Parse(_) | QueryError::Unasked(_) | QueryError::BadData(_) => "bad_data",
            QueryError::Execution(_) | QueryError::Budget(_) => "execution",
            QueryError::Canceled => "canceled",
            QueryError::Source(SourceError::Shed { .. } | SourceError::Unavailable { .. }) => "unavailable",
            QueryError::Source(_) => "internal",
        }
    }
}

impl From<SourceError> for QueryError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Cancelled => QueryError::Canceled,
            SourceError::Budget { .. } => QueryError::Budget(error),
            other => QueryError::Source(other),
        }
    }
}
