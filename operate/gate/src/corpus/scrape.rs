//! Counters as a scraper sees them, and `rate` as Prometheus computes it over them. Knows no release.
//!
//! Scrapes jitter and get lost, counters begin again with their process. The arithmetic of `rate` (extrapolation to the
//! window's ends, at most half an average gap beyond the samples, resets) is written from its documentation and from what a
//! real server answers.

use super::latency::BUCKETS;
use super::random::Random;

/// Counts of requests: without and with error, and by bucket of latency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) fine: f64,
    pub(super) failed: f64,
    /// Not cumulative; the last is above all bounds.
    pub(super) buckets: [f64; BUCKETS + 1],
}

/// One instance's counters: a cumulative row at each scrape.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    scrapes: Vec<(i64, Row)>,
}

/// How an instance is scraped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scraper {
    pub(super) interval_ms: i64,
    pub(super) lost: f64,
}

impl Row {
    pub(super) fn add(&mut self, other: &Row, times: f64) {
        self.fine += times * other.fine;
        self.failed += times * other.failed;
        for (sum, one) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += times * one;
        }
    }
}

impl Counters {
    /// Scrapes from … to; `happened` tells what came between two moments. Begins at zero, and once more at each restart.
    pub(super) fn record(
        scraper: Scraper,
        from_ms: i64,
        to_ms: i64,
        restarts_ms: &[i64],
        random: &mut Random,
        mut happened: impl FnMut(i64, i64, &mut Random) -> Row,
    ) -> Self {
        let mut counters = Counters::default();
        let mut total = Row::default();
        let phase = random.below(scraper.interval_ms as u64) as i64;
        let (mut last, mut due) = (from_ms, from_ms + phase);
        while due < to_ms {
            let now = (due + random.between(-40.0, 40.0) as i64).max(last + 1);
            if restarts_ms.iter().any(|at| last < *at && *at <= now) {
                total = Row::default();
            }
            total.add(&happened(last, now, random), 1.0);
            if !random.chance(scraper.lost) {
                counters.scrapes.push((now, total));
            }
            last = now;
            due += scraper.interval_ms;
        }
        counters
    }

    /// Per second over the `range_ms` up to `at_ms`; `None` with fewer than two scrapes in it.
    pub(super) fn rate(&self, at_ms: i64, range_ms: i64) -> Option<Row> {
        let from = self.scrapes.partition_point(|(time, _)| *time <= at_ms - range_ms);
        let to = self.scrapes.partition_point(|(time, _)| *time <= at_ms);
        let scrapes = self.scrapes.get(from..to).unwrap_or_default();
        let ((first, begun), (last, _)) = (scrapes.first()?, scrapes.last()?);
        if scrapes.len() < 2 {
            return None;
        }
        let mut increase = Row::default();
        for pair in scrapes.windows(2) {
            let [(_, before), (_, after)] = pair else { continue };
            // All counters of a process begin again together.
            increase.add(after, 1.0);
            if after.fine + after.failed >= before.fine + before.failed {
                increase.add(before, -1.0);
            }
        }
        let covered = (last - first) as f64;
        let gap = covered / (scrapes.len() - 1) as f64;
        let reach = |free: f64| if free < gap * 1.1 { free } else { gap / 2.0 };
        // A counter cannot have been below zero: no further back than where it would have been that.
        let (grown, at_first) = (increase.fine + increase.failed, begun.fine + begun.failed);
        let to_zero = if grown > 0.0 { covered * at_first / grown } else { f64::INFINITY };
        let before = reach((first - (at_ms - range_ms)) as f64).min(to_zero);
        let whole = covered + before + reach((at_ms - last) as f64);
        let mut rate = Row::default();
        rate.add(&increase, whole / covered * 1000.0 / range_ms as f64);
        Some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_as_prometheus_gives_them() {
        let row = |fine: f64| Row { fine, ..Row::default() };
        let check = |scrapes: &[(i64, f64)], at_ms: i64, range_ms: i64, expect: Option<f64>| {
            let counters = Counters { scrapes: scrapes.iter().map(|(time, fine)| (*time, row(*fine))).collect() };
            assert_eq!(counters.rate(at_ms, range_ms).map(|rate| (rate.fine * 1e9).round() / 1e9), expect);
        };
        // `load 10s foo 0+10x6`, `rate(foo[30s])` at 60s: three samples over 20 s, reaching back 10 s: 1/s.
        let steady: Vec<(i64, f64)> = (0..7).map(|i| (i * 10_000, i as f64 * 10.0)).collect();
        check(&steady, 60_000, 30_000, Some(1.0));
        check(&steady, 60_000, 10_000, None);
        // A reset: 0 10 | 5 15 are 10 + 5 + 10, and nothing was before the first zero.
        check(&[(0, 0.0), (10_000, 10.0), (20_000, 5.0), (30_000, 15.0)], 30_000, 40_000, Some(0.625));
        // Too far from the beginning: only half a gap is added.
        check(&[(40_000, 100.0), (50_000, 110.0), (60_000, 120.0)], 60_000, 60_000, Some(0.416666667));
    }
}
