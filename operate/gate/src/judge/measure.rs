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

/// Windows one after the other, summed up once so that any run of them is measured at once.
#[derive(Clone, Debug)]
pub(crate) struct Stretch<'a> {
    statistic: Statistic,
    bounds: &'a [f64],
    /// After each window, and before the first: requests, errors, timed, and above each bound.
    sums: Vec<f64>,
    width: usize,
}

impl<'a> Stretch<'a> {
    pub(crate) fn new(statistic: Statistic, windows: &[&Window], bounds: &'a [f64]) -> Self {
        // Only a quantile asks for the buckets.
        let buckets = if let Statistic::Quantile(_) = statistic { bounds.len() } else { 0 };
        let width = 3 + buckets;
        let mut sums = Vec::with_capacity(width * (windows.len() + 1));
        sums.resize(width, 0.0);
        for window in windows {
            let last = sums.len() - width;
            let counts = [window.requests, window.errors, window.timed];
            let above = (0..buckets).map(|bucket| window.above.get(bucket).copied().unwrap_or(0.0));
            for (column, value) in counts.into_iter().chain(above).enumerate() {
                let before = sums.get(last + column).copied().unwrap_or(0.0);
                sums.push(before + value);
            }
        }
        Stretch { statistic, bounds, sums, width }
    }

    pub(crate) fn len(&self) -> usize {
        self.sums.len() / self.width - 1
    }

    /// Requests in all of it.
    pub(crate) fn requests(&self) -> f64 {
        self.sum(0, 0, self.len())
    }

    fn sum(&self, column: usize, from: usize, to: usize) -> f64 {
        let at = |window: usize| self.sums.get(window * self.width + column).copied().unwrap_or(0.0);
        (at(to) - at(from)).max(0.0)
    }

    /// Of all of it.
    pub(crate) fn all(&self) -> Option<Measure> {
        self.run(0, self.len())
    }

    /// Of the windows from `from` up to `to`, not with it.
    pub(crate) fn run(&self, from: usize, to: usize) -> Option<Measure> {
        let sums = [0, 1, 2].map(|column| self.sum(column, from, to));
        let count = to.saturating_sub(from) as f64;
        self.statistic.made(count, sums, |bucket| self.sum(3 + bucket, from, to), self.bounds)
    }

    /// Of each run of `length` windows, and then `apart` further on.
    pub(crate) fn runs(&self, length: usize, apart: usize) -> impl Iterator<Item = Measure> + '_ {
        let length = length.max(1);
        let starts = (0..(self.len() + 1).saturating_sub(length)).step_by(apart.max(1));
        starts.filter_map(move |start| self.run(start, start + length))
    }

    /// Of each block of `length` windows.
    pub(crate) fn blocks(&self, length: usize) -> Vec<Measure> {
        self.runs(length, length).collect()
    }
}

/// Fewer say nothing of a quantile's tail.
const TAIL_MIN: f64 = 1.0;
/// Fewer are no reason to abort a bake.
const TAIL_CLEAR: f64 = 4.0;

impl Statistic {
    pub(crate) fn is_log(self) -> bool {
        self != Statistic::ErrorShare
    }

    /// Too few of these requests lie beyond the quantile for anything to be clear.
    pub(crate) fn is_thin(self, requests: f64) -> bool {
        matches!(self, Statistic::Quantile(q) if requests * (1.0 - q).min(q) < TAIL_CLEAR)
    }

    /// From the scale of comparison to what people read.
    pub(crate) fn shown(self, value: f64) -> f64 {
        if self.is_log() { value.exp() } else { value }
    }

    /// A ratio or a difference of shares as a distance on the scale of comparison.
    pub(crate) fn distance(self, increase: f64) -> f64 {
        if self.is_log() { (1.0 + increase).max(1e-6).ln() } else { increase }
    }

    /// Of one window.
    pub(crate) fn of(self, window: &Window, bounds: &[f64]) -> Option<Measure> {
        let above = |bucket: usize| window.above.get(bucket).copied().unwrap_or(0.0);
        self.made(1.0, [window.requests, window.errors, window.timed], above, bounds)
    }

    /// Of so many windows with these sums; `None` when they hold too little.
    fn made(self, count: f64, sums: [f64; 3], above: impl Fn(usize) -> f64, bounds: &[f64]) -> Option<Measure> {
        let [requests, errors, timed] = sums;
        match self {
            Statistic::ErrorShare => {
                // Laplace's half: no error among ten is not a variance of zero.
                let smooth = (errors + 0.5) / (requests + 1.0);
                (requests > 1e-6).then(|| Measure {
                    value: errors / requests,
                    variance: smooth * (1.0 - smooth).max(0.0) / requests,
                    requests,
                })
            }
            Statistic::Quantile(q) => {
                let enough = timed * (1.0 - q).min(q) >= TAIL_MIN;
                let found = enough.then(|| quantile(q, bounds, above, timed)).flatten()?;
                Some(Measure { value: found.value.ln(), variance: found.log_variance, requests: timed })
            }
            Statistic::Requests => (count > 0.0).then(|| Measure {
                value: ((requests + 0.5) / count).ln(),
                variance: 1.0 / (requests + 0.5),
                requests,
            }),
        }
    }

    /// How much an incident's level moves at the least while it lasts, a standard deviation. What is known of it is too
    /// short to measure it, and calm days do not tell: eight per cent of its errors, six of latency.
    pub(crate) fn unrest(self, value: f64) -> f64 {
        match self {
            Statistic::ErrorShare => 0.08 * value,
            Statistic::Quantile(_) => 0.06,
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

    /// Standard deviation of a score by the mere number of requests, of which this `share` fails.
    pub(crate) fn score_chance(self, share: f64, window: &Window) -> f64 {
        match self {
            Statistic::ErrorShare => {
                let n = window.requests.max(1e-9);
                ((share + 0.5 / n).min(0.5) / n).sqrt()
            }
            _ => 1.0 / window.timed.max(1e-9).sqrt(),
        }
    }
}
