//! Native histograms, integer and float, with absolute bucket counts.
//!
//! The shape is Prometheus's (`model/histogram`): exponential schemas -4..=8, or -53 for custom bounds. Counts are absolute
//! here, not deltas, because every reader wants them so; integer counts stay integers so that values are exact.

/// Buckets in a row: `offset` empty ones after the previous run (or from index 0), then `length` present ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanRun {
    pub offset: i32,
    pub length: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CounterReset {
    #[default]
    Unknown,
    Reset,
    NoReset,
    Gauge,
}

/// Counts in the order of the runs; the vectors are as long as the runs' lengths add up to.
#[derive(Clone, Debug, PartialEq)]
pub enum Buckets {
    Integer { count: u64, zero_count: u64, positive: Vec<u64>, negative: Vec<u64> },
    Float { count: f64, zero_count: f64, positive: Vec<f64>, negative: Vec<f64> },
}

#[derive(Clone, Debug, PartialEq)]
pub struct NativeHistogram {
    /// -4..=8 exponential, -53 custom bounds.
    pub schema: i32,
    pub counter_reset: CounterReset,
    pub zero_threshold: f64,
    pub sum: f64,
    pub positive_runs: Vec<SpanRun>,
    pub negative_runs: Vec<SpanRun>,
    pub buckets: Buckets,
    /// Upper bounds, ascending, without +Inf; only with schema -53.
    pub custom_bounds: Vec<f64>,
}

impl NativeHistogram {
    pub const CUSTOM_SCHEMA: i32 = -53;

    /// The total count; an integer above 2^53 is rounded.
    pub fn count(&self) -> f64 {
        match &self.buckets {
            Buckets::Integer { count, .. } => *count as f64,
            Buckets::Float { count, .. } => *count,
        }
    }

    /// Whether this marks the end of the series (its sum is the stale NaN).
    pub fn is_stale(&self) -> bool {
        crate::is_stale_nan(self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_both_kinds_and_the_stale_one() {
        let mut histogram = NativeHistogram {
            schema: 0,
            counter_reset: CounterReset::Unknown,
            zero_threshold: 0.0,
            sum: 1.0,
            positive_runs: Vec::new(),
            negative_runs: Vec::new(),
            buckets: Buckets::Integer { count: 3, zero_count: 3, positive: vec![], negative: vec![] },
            custom_bounds: Vec::new(),
        };
        assert_eq!((histogram.count(), histogram.is_stale()), (3.0, false));
        histogram.buckets = Buckets::Float { count: 0.5, zero_count: 0.5, positive: vec![], negative: vec![] };
        histogram.sum = crate::stale_nan();
        assert_eq!((histogram.count(), histogram.is_stale()), (0.5, true));
    }
}
