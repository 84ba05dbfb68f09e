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
        self.bent(bend)(seconds.ln())
    }

    /// P(request takes longer), by the logarithm of seconds; all other logarithms are taken once.
    fn bent(&self, bend: &Bend) -> impl Fn(f64) -> f64 {
        let Latency { spread, slow_share, .. } = *self;
        let tail_share = bend.tail_share;
        let (middle, slow) = ((self.median_s * bend.scale).ln(), self.slow_factor.ln() / spread);
        let further = bend.tail_factor.ln();
        let plain = move |ln_seconds: f64| {
            let z = (ln_seconds - middle) / spread;
            (1.0 - slow_share) * tail(z) + slow_share * tail(z - slow)
        };
        move |ln_seconds| match tail_share > 0.0 {
            true => (1.0 - tail_share) * plain(ln_seconds) + tail_share * plain(ln_seconds - further),
            false => plain(ln_seconds),
        }
    }

    /// Share of requests in each bucket; the last is above all bounds.
    pub(super) fn shares(&self, bend: &Bend) -> [f64; BUCKETS + 1] {
        let (above, first, step) = (self.bent(bend), bound(0).ln(), std::f64::consts::LN_2);
        let mut shares = [0.0; BUCKETS + 1];
        let mut left = 1.0;
        for (bucket, share) in shares.iter_mut().enumerate() {
            let more = if bucket < BUCKETS { above(first + step * bucket as f64).min(left) } else { 0.0 };
            *share = left - more;
            left = more;
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
