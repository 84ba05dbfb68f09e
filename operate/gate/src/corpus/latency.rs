//! How long requests take: two lognormals, a fast path and a slow one. Knows no time of day and no release.

use crate::stats::normal_above;

/// Upper bounds of the buckets in seconds, as span metrics have them: 2 ms, doubled 13 times.
pub(super) const BUCKETS: usize = 14;

pub(super) fn bound(bucket: usize) -> f64 {
    0.002 * f64::from(1u32 << bucket.min(30))
}

/// Latency of one version on a quiet day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latency {
    pub(super) median_s: f64,
    pub(super) spread: f64,
    /// Share of requests on the slow path, and how much slower that is.
    pub(super) slow_share: f64,
    pub(super) slow_factor: f64,
}

/// What a release or a moment does to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bend {
    /// All requests take so many times as long …
    pub(super) scale: f64,
    /// … and this share of them …
    pub(super) tail_share: f64,
    /// … so many times again.
    pub(super) tail_factor: f64,
}

impl Bend {
    pub(super) const NONE: Bend = Bend { scale: 1.0, tail_share: 0.0, tail_factor: 1.0 };
}

impl Latency {
    /// P(request takes longer than `seconds`).
    pub(super) fn above(&self, seconds: f64, bend: &Bend) -> f64 {
        let plain = |x: f64| {
            let z = (x / (self.median_s * bend.scale)).ln() / self.spread;
            let slow = z - self.slow_factor.ln() / self.spread;
            (1.0 - self.slow_share) * tail(z) + self.slow_share * tail(slow)
        };
        match bend.tail_share > 0.0 {
            true => (1.0 - bend.tail_share) * plain(seconds) + bend.tail_share * plain(seconds / bend.tail_factor),
            false => plain(seconds),
        }
    }

    /// Share of requests in each bucket; the last is above all bounds.
    pub(super) fn shares(&self, bend: &Bend) -> [f64; BUCKETS + 1] {
        let mut shares = [0.0; BUCKETS + 1];
        let mut left = 1.0;
        for (bucket, share) in shares.iter_mut().enumerate() {
            let above = if bucket < BUCKETS { self.above(bound(bucket), bend).min(left) } else { 0.0 };
            *share = left - above;
            left = above;
        }
        shares
    }
}

/// Upper tail of the normal from a table of 1/64: millions are asked for.
fn tail(z: f64) -> f64 {
    use std::sync::OnceLock;
    const REACH: f64 = 8.0;
    static TABLE: OnceLock<Vec<f64>> = OnceLock::new();
    let table = TABLE.get_or_init(|| (0..=1025).map(|i| normal_above(f64::from(i) / 64.0 - REACH)).collect());
    let at = ((z + REACH) * 64.0).clamp(0.0, 1023.999);
    let (low, part) = (at as usize, at.fract());
    let value = |i: usize| table.get(i).copied().unwrap_or(0.0);
    value(low) * (1.0 - part) + value(low + 1) * part
}
