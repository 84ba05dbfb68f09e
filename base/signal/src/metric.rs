//! Samples, exemplars and metadata of metrics. Knows nothing of chunks or of how rates are taken.

use crate::Labels;

/// One measured value. Times are Unix milliseconds, as everywhere in metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub time_ms: i64,
    pub value: f64,
}

/// The NaN that marks the end of a series; the bit pattern is Prometheus's (`model/value/value.go`).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

pub fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// A sample's example: usually the trace that caused it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Labels of the exemplar itself, such as `traceID`.
    pub labels: Labels,
    pub time_ms: i64,
    pub value: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricKind {
    #[default]
    Unknown,
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
}

impl MetricKind {
    /// The word of Prometheus's metadata API.
    pub fn as_str(self) -> &'static str {
        match self {
            MetricKind::Unknown => "unknown",
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::GaugeHistogram => "gaugehistogram",
            MetricKind::Summary => "summary",
            MetricKind::Info => "info",
            MetricKind::StateSet => "stateset",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "unknown" | "untyped" => MetricKind::Unknown,
            "counter" => MetricKind::Counter,
            "gauge" => MetricKind::Gauge,
            "histogram" => MetricKind::Histogram,
            "gaugehistogram" => MetricKind::GaugeHistogram,
            "summary" => MetricKind::Summary,
            "info" => MetricKind::Info,
            "stateset" => MetricKind::StateSet,
            _ => return None,
        })
    }
}

/// What a metric family is, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Metadata {
    pub kind: MetricKind,
    pub help: String,
    pub unit: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_prometheus_words_both_ways() {
        for word in ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"] {
            assert_eq!(MetricKind::parse(word).map(MetricKind::as_str), Some(word));
        }
        // The text format's older word.
        assert_eq!(MetricKind::parse("untyped"), Some(MetricKind::Unknown));
        assert_eq!(MetricKind::parse("Counter"), None);
    }

    #[test]
    fn the_stale_marker_is_one_nan_of_many() {
        assert!(stale_nan().is_nan() && is_stale_nan(stale_nan()));
        assert!(!is_stale_nan(f64::NAN));
    }
}
