//! What a release of the corpus is like, and what its new version does. Drawn from a seed; knows no scrapes and no judge.

use super::latency::{Bend, Latency};
use super::random::Random;

/// The kinds of service a judge meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    Steady,
    Noisy,
    /// Short spikes of traffic and latency, release or not.
    Spiky,
    /// Latency or errors that begin at nothing and grow through the bake.
    SlowLeak,
    /// Errors in bursts: of a dependency when good, of the release as well when bad.
    ErrorBurst,
    /// About one request a second, above or below.
    LowTraffic,
    /// Traffic, and latency with it, rises or falls at this hour every day.
    DailySeason,
    /// Something else is wrong while it is deployed.
    Incident,
}

pub const SHAPES: [Shape; 8] = [
    Shape::Steady,
    Shape::Noisy,
    Shape::Spiky,
    Shape::SlowLeak,
    Shape::ErrorBurst,
    Shape::LowTraffic,
    Shape::DailySeason,
    Shape::Incident,
];

/// What the new version does differently.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect {
    /// Share of requests that fail in addition, on average of when it counts.
    pub(super) errors: f64,
    pub(super) bend: Bend,
    pub(super) course: Course,
}

/// When it does it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Course {
    Always,
    /// From nothing at the release in a straight line; full where it counts, two minutes before the end.
    Growing,
    /// Only in the first part of each period.
    Bursts {
        period_ms: i64,
        duty: f64,
    },
}

impl Effect {
    pub(super) const NONE: Effect = Effect { errors: 0.0, bend: Bend::NONE, course: Course::Always };

    /// At so long after the release.
    pub(super) fn at(&self, after_ms: i64, bake_ms: i64) -> Effect {
        let part = match self.course {
            Course::Always => 1.0,
            // Its mean over the last two fifths is 1.
            Course::Growing => after_ms.max(0) as f64 / (bake_ms as f64 * 0.8),
            Course::Bursts { period_ms, duty } => {
                let within = after_ms.rem_euclid(period_ms) as f64 / period_ms as f64;
                if within < duty { 1.0 / duty } else { 0.0 }
            }
        };
        let bend = Bend {
            scale: 1.0 + (self.bend.scale - 1.0) * part,
            tail_share: (self.bend.tail_share * part).min(1.0),
            tail_factor: self.bend.tail_factor,
        };
        Effect { errors: (self.errors * part).min(1.0), bend, course: self.course }
    }
}

/// A change that must be seen: a third of them hardly beyond the threshold.
pub(super) fn bad(shape: Shape, latency: &Latency, random: &mut Random) -> Effect {
    let near = random.chance(1.0 / 3.0);
    let points = if near { random.between(0.02, 0.04) } else { random.log_between(0.04, 0.6) };
    let ratio = if near { random.between(1.3, 1.6) } else { random.log_between(1.6, 6.0) };
    let of_errors = shape == Shape::ErrorBurst || random.chance(0.5);
    let course = match shape {
        Shape::SlowLeak => Course::Growing,
        Shape::ErrorBurst => {
            let period_ms = 5000 * (6 + random.below(10) as i64);
            Course::Bursts { period_ms, duty: random.between(0.25, 0.6).max(points) }
        }
        _ => Course::Always,
    };
    if of_errors {
        return Effect { errors: points, bend: Bend::NONE, course };
    }
    // Half of them slow down everything, half only some requests: a lost index, a cold cache.
    let bend = if random.chance(0.5) { Bend { scale: ratio, ..Bend::NONE } } else { tail(latency, ratio, random) };
    Effect { errors: 0.0, bend, course }
}

/// A change nobody should be woken for: better, the same, or a drift below the threshold.
pub(super) fn good(random: &mut Random) -> Effect {
    match random.below(3) {
        0 => Effect::NONE,
        1 => Effect { bend: Bend { scale: random.between(0.8, 1.0), ..Bend::NONE }, ..Effect::NONE },
        _ => Effect {
            errors: random.between(0.0, 0.005),
            bend: Bend { scale: random.between(1.0, 1.1), ..Bend::NONE },
            course: Course::Always,
        },
    }
}

/// The share of requests that has to become slower by a factor for the 95th percentile to grow by `ratio`.
fn tail(latency: &Latency, ratio: f64, random: &mut Random) -> Bend {
    let tail_factor = ratio * random.between(1.5, 3.0);
    let target = quantile(latency, &Bend::NONE) * ratio;
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..40 {
        let tail_share = (low + high) / 2.0;
        let bend = Bend { scale: 1.0, tail_share, tail_factor };
        if latency.above(target, &bend) < 0.05 { low = tail_share } else { high = tail_share }
    }
    Bend { scale: 1.0, tail_share: high, tail_factor }
}

fn quantile(latency: &Latency, bend: &Bend) -> f64 {
    let (mut low, mut high) = (1e-4_f64, 1e3_f64);
    for _ in 0..50 {
        let middle = (low * high).sqrt();
        if latency.above(middle, bend) > 0.05 { low = middle } else { high = middle }
    }
    high
}
