//! The messages of OTLP metrics, borrowed from the request. Only their shape; what they mean is `metrics`' matter.

use std::borrow::Cow;

use super::common::{KeyValue, Listed, Number, ResourceModel, ScopeModel, listed, some};
use crate::message::message;

#[derive(Default)]
pub(super) struct ResourceMetrics<'a> {
    pub(super) resource: ResourceModel<'a>,
    pub(super) scopes: Vec<ScopeMetrics<'a>>,
}

#[derive(Default)]
pub(super) struct ScopeMetrics<'a> {
    pub(super) scope: ScopeModel<'a>,
    pub(super) metrics: Vec<Metric<'a>>,
}

#[derive(Default)]
pub(super) struct Metric<'a> {
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    pub(super) unit: &'a str,
    pub(super) data: Data<'a>,
}

#[derive(Default)]
pub(super) enum Data<'a> {
    #[default]
    Missing,
    Gauge(Vec<NumberPoint<'a>>),
    Sum(Sum<'a>),
    Histogram(Histogram<'a>),
    Exponential(Exponential<'a>),
    Summary(Vec<SummaryPoint<'a>>),
}

#[derive(Default)]
pub(super) struct Sum<'a> {
    pub(super) points: Vec<NumberPoint<'a>>,
    pub(super) temporality: i64,
    pub(super) monotonic: bool,
}

#[derive(Default)]
pub(super) struct Histogram<'a> {
    pub(super) points: Vec<HistogramPoint<'a>>,
    pub(super) temporality: i64,
}

#[derive(Default)]
pub(super) struct Exponential<'a> {
    pub(super) points: Vec<ExponentialPoint<'a>>,
    pub(super) temporality: i64,
}

/// What every point has.
#[derive(Default)]
pub(super) struct Stem<'a> {
    pub(super) attributes: Vec<KeyValue<'a>>,
    pub(super) start_ns: i64,
    pub(super) time_ns: i64,
    pub(super) flags: u64,
}

impl Stem<'_> {
    /// The sender says the series has no value now: it ends here.
    pub(super) fn no_recorded_value(&self) -> bool {
        self.flags & 1 != 0
    }
}

#[derive(Default)]
pub(super) struct NumberPoint<'a> {
    pub(super) stem: Stem<'a>,
    pub(super) value: Number,
    pub(super) exemplars: Vec<ExemplarModel<'a>>,
}

#[derive(Default)]
pub(super) struct HistogramPoint<'a> {
    pub(super) stem: Stem<'a>,
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) bucket_counts: Vec<u64>,
    pub(super) bounds: Vec<f64>,
    pub(super) exemplars: Vec<ExemplarModel<'a>>,
}

#[derive(Default)]
pub(super) struct ExponentialPoint<'a> {
    pub(super) stem: Stem<'a>,
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) scale: i32,
    pub(super) zero_count: u64,
    pub(super) zero_threshold: f64,
    pub(super) positive: BucketsModel<'a>,
    pub(super) negative: BucketsModel<'a>,
    pub(super) exemplars: Vec<ExemplarModel<'a>>,
}

#[derive(Default)]
pub(super) struct BucketsModel<'a> {
    pub(super) offset: i32,
    pub(super) counts: Vec<u64>,
    /// Nothing is borrowed here; the lifetime keeps all messages of one form.
    borrowed: std::marker::PhantomData<&'a ()>,
}

#[derive(Default)]
pub(super) struct SummaryPoint<'a> {
    pub(super) stem: Stem<'a>,
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) quantiles: Vec<Quantile<'a>>,
}

#[derive(Default)]
pub(super) struct Quantile<'a> {
    pub(super) quantile: f64,
    pub(super) value: f64,
    borrowed: std::marker::PhantomData<&'a ()>,
}

#[derive(Default)]
pub(super) struct ExemplarModel<'a> {
    pub(super) attributes: Vec<KeyValue<'a>>,
    pub(super) time_ns: i64,
    pub(super) value: Number,
    pub(super) span_id: Cow<'a, [u8]>,
    pub(super) trace_id: Cow<'a, [u8]>,
}

const TEMPORALITIES: &[&str] =
    &["AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE"];

listed!(ResourceMetrics, "resourceMetrics");
listed!(NumberPoint, "dataPoints");
listed!(SummaryPoint, "dataPoints");

message! { ResourceMetrics {
    1 "resource" (m, v) => m.resource = v.message()?,
    2 "scopeMetrics" (m, v) => v.push(&mut m.scopes)?,
} }

message! { ScopeMetrics {
    1 "scope" (m, v) => m.scope = v.message()?,
    2 "metrics" (m, v) => v.push(&mut m.metrics)?,
} }

message! { Metric {
    1 "name" (m, v) => m.name = v.text()?,
    2 "description" (m, v) => m.description = v.text()?,
    3 "unit" (m, v) => m.unit = v.text()?,
    5 "gauge" (m, v) => m.data = Data::Gauge(v.message::<Listed<NumberPoint>>()?.0),
    7 "sum" (m, v) => m.data = Data::Sum(v.message()?),
    9 "histogram" (m, v) => m.data = Data::Histogram(v.message()?),
    10 "exponentialHistogram" (m, v) => m.data = Data::Exponential(v.message()?),
    11 "summary" (m, v) => m.data = Data::Summary(v.message::<Listed<SummaryPoint>>()?.0),
} }

message! { Sum {
    1 "dataPoints" (m, v) => v.push(&mut m.points)?,
    2 "aggregationTemporality" (m, v) => m.temporality = v.choice(TEMPORALITIES)?,
    3 "isMonotonic" (m, v) => m.monotonic = v.flag()?,
} }

message! { Histogram {
    1 "dataPoints" (m, v) => v.push(&mut m.points)?,
    2 "aggregationTemporality" (m, v) => m.temporality = v.choice(TEMPORALITIES)?,
} }

message! { Exponential {
    1 "dataPoints" (m, v) => v.push(&mut m.points)?,
    2 "aggregationTemporality" (m, v) => m.temporality = v.choice(TEMPORALITIES)?,
} }

message! { NumberPoint {
    2 "startTimeUnixNano" (m, v) => m.stem.start_ns = v.time_ns()?,
    3 "timeUnixNano" (m, v) => m.stem.time_ns = v.time_ns()?,
    4 "asDouble" (m, v) => m.value = Number::Double(v.double()?),
    5 "exemplars" (m, v) => v.push(&mut m.exemplars)?,
    6 "asInt" (m, v) => m.value = Number::Int(v.signed()?),
    7 "attributes" (m, v) => v.push(&mut m.stem.attributes)?,
    8 "flags" (m, v) => m.stem.flags = v.unsigned()?,
} }

message! { HistogramPoint {
    2 "startTimeUnixNano" (m, v) => m.stem.start_ns = v.time_ns()?,
    3 "timeUnixNano" (m, v) => m.stem.time_ns = v.time_ns()?,
    4 "count" (m, v) => m.count = v.unsigned()?,
    5 "sum" (m, v) => m.sum = some(v, |v| v.double())?,
    6 "bucketCounts" (m, v) => v.extend_fixed64(&mut m.bucket_counts)?,
    7 "explicitBounds" (m, v) => v.extend_doubles(&mut m.bounds)?,
    8 "exemplars" (m, v) => v.push(&mut m.exemplars)?,
    9 "attributes" (m, v) => v.push(&mut m.stem.attributes)?,
    10 "flags" (m, v) => m.stem.flags = v.unsigned()?,
} }

message! { ExponentialPoint {
    1 "attributes" (m, v) => v.push(&mut m.stem.attributes)?,
    2 "startTimeUnixNano" (m, v) => m.stem.start_ns = v.time_ns()?,
    3 "timeUnixNano" (m, v) => m.stem.time_ns = v.time_ns()?,
    4 "count" (m, v) => m.count = v.unsigned()?,
    5 "sum" (m, v) => m.sum = some(v, |v| v.double())?,
    6 "scale" (m, v) => m.scale = v.sint32()?,
    7 "zeroCount" (m, v) => m.zero_count = v.unsigned()?,
    8 "positive" (m, v) => m.positive = v.message()?,
    9 "negative" (m, v) => m.negative = v.message()?,
    10 "flags" (m, v) => m.stem.flags = v.unsigned()?,
    11 "exemplars" (m, v) => v.push(&mut m.exemplars)?,
    14 "zeroThreshold" (m, v) => m.zero_threshold = v.double()?,
} }

message! { BucketsModel {
    1 "offset" (m, v) => m.offset = v.sint32()?,
    2 "bucketCounts" (m, v) => v.extend_varints(&mut m.counts)?,
} }

message! { SummaryPoint {
    2 "startTimeUnixNano" (m, v) => m.stem.start_ns = v.time_ns()?,
    3 "timeUnixNano" (m, v) => m.stem.time_ns = v.time_ns()?,
    4 "count" (m, v) => m.count = v.unsigned()?,
    5 "sum" (m, v) => m.sum = v.double()?,
    6 "quantileValues" (m, v) => v.push(&mut m.quantiles)?,
    7 "attributes" (m, v) => v.push(&mut m.stem.attributes)?,
    8 "flags" (m, v) => m.stem.flags = v.unsigned()?,
} }

message! { Quantile {
    1 "quantile" (m, v) => m.quantile = v.double()?,
    2 "value" (m, v) => m.value = v.double()?,
} }

message! { ExemplarModel {
    2 "timeUnixNano" (m, v) => m.time_ns = v.time_ns()?,
    3 "asDouble" (m, v) => m.value = Number::Double(v.double()?),
    4 "spanId" (m, v) => m.span_id = v.hex()?,
    5 "traceId" (m, v) => m.trace_id = v.hex()?,
    6 "asInt" (m, v) => m.value = Number::Int(v.signed()?),
    7 "filteredAttributes" (m, v) => v.push(&mut m.attributes)?,
} }
