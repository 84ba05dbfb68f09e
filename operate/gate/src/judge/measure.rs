//! One number of many windows, with its variance: an error share, a quantile, a rate. Knows no past and no other side.

use super::windows::Window;
use crate::stats::quantile;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Statistic {
    ErrorShare,
    Quantile(f64),
    /// Requests in a window, on a logarithm.
    Requests,
}

/// A measured value on the scale it is compared on: shares as they are, quantiles and rates as logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measure {
    pub(crate) value: f64,
    /// Of the value, as if requests were independent of each other.
    pub(crate) variance: f64,
    /// Requests behind it.
    pub(crate) requests: f64,
}

/// Fewer say nothing of a quantile's tail.
const TAIL_MIN: f64 = 1.0;

impl Statistic {
    pub(crate) fn is_log(self) -> bool {
        self != Statistic::ErrorShare
    }

    /// From the scale of comparison to what people read.
    pub(crate) fn shown(self, value: f64) -> f64 {
        if self.is_log() { value.exp() } else { value }
    }

    /// A ratio or a difference of shares as a distance on the scale of comparison.
    pub(crate) fn distance(self, increase: f64) -> f64 {
        if self.is_log() { (1.0 + increase).max(1e-6).ln() } else { increase }
    }

    /// Of these windows together; `None` when they hold too little.
    pub(crate) fn of<'a>(self, windows: impl IntoIterator<Item = &'a Window>, bounds: &[f64]) -> Option<Measure> {
        let (mut count, mut requests, mut errors, mut timed) = (0.0, 0.0, 0.0, 0.0);
        let mut above = vec![0.0; if let Statistic::Quantile(_) = self { bounds.len() } else { 0 }];
        for window in windows {
            count += 1.0;
            requests += window.requests;
            errors += window.errors;
            timed += window.timed;
            for (sum, one) in above.iter_mut().zip(&window.above) {
                *sum += one;
            }
        }
        match self {
            Statistic::ErrorShare => {
                // Laplace's half: no error among ten is not a variance of zero.
                let smooth = (errors + 0.5) / (requests + 1.0);
                (requests > 0.0).then(|| Measure {
                    value: errors / requests,
                    variance: smooth * (1.0 - smooth).max(0.0) / requests,
                    requests,
                })
            }
            Statistic::Quantile(q) => {
                let enough = timed * (1.0 - q).min(q) >= TAIL_MIN;
                let found = enough.then(|| quantile(q, bounds, &above, timed)).flatten()?;
                Some(Measure { value: found.value.ln(), variance: found.log_variance, requests: timed })
            }
            Statistic::Requests => (count > 0.0).then(|| Measure {
                value: ((requests + 0.5) / count).ln(),
                variance: 1.0 / (requests + 0.5),
                requests,
            }),
        }
    }

    /// Of each run of `length` windows.
    pub(crate) fn of_blocks(self, windows: &[&Window], length: usize, bounds: &[f64]) -> Vec<Measure> {
        let blocks = windows.chunks_exact(length.max(1));
        blocks.filter_map(|block| self.of(block.iter().copied(), bounds)).collect()
    }

    /// How much an incident's level moves at the least while it lasts, a standard deviation. What is known of it is too
    /// short to measure it, and calm days do not tell: a tenth of its errors, eight per cent of latency.
    pub(crate) fn unrest(self, value: f64) -> f64 {
        match self {
            Statistic::ErrorShare => 0.1 * value,
            Statistic::Quantile(_) => 0.08,
            Statistic::Requests => 0.0,
        }
    }

    /// How bad a single window looks: its share of errors, or its mean of log2(latency) as far as the bounds tell it.
    pub(crate) fn score(self, window: &Window) -> Option<f64> {
        match self {
            Statistic::ErrorShare => (window.requests > 0.0).then(|| window.errors / window.requests),
            Statistic::Quantile(_) => (window.timed > 0.0).then(|| window.above.iter().sum::<f64>() / window.timed),
            Statistic::Requests => None,
        }
    }

    /// Standard deviation of a score around `middle` by the mere number of requests.
    pub(crate) fn score_chance(self, middle: f64, window: &Window) -> f64 {
        match self {
            Statistic::ErrorShare => {
                let n = window.requests.max(1e-9);
                ((middle + 0.5 / n).min(0.5) / n).sqrt()
            }
            _ => 1.0 / window.timed.max(1e-9).sqrt(),
        }
    }
}
