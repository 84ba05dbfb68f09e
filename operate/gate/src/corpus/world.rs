//! What happens around a service, release or not: traffic, seasons, spikes, bursts, incidents, slow wander. Knows no versions
//! and no scrapes.

use super::random::Random;
use super::shape::Shape;

/// One level holds for so long.
pub(super) const TICK_MS: i64 = 5000;

/// The world at one tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// Of the service's usual traffic.
    pub(super) traffic: f64,
    /// Latency of all requests, times.
    pub(super) slowness: f64,
    /// Errors beyond the version's own, as a share …
    pub(super) errors_more: f64,
    /// … and its own, times.
    pub(super) errors_times: f64,
}

/// How lively a service's world is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mood {
    wander_latency: f64,
    wander_traffic: f64,
    wander_errors: f64,
    /// Ticks after which the wander has forgotten itself.
    memory: f64,
    spikes_per_hour: f64,
    bursts_per_hour: f64,
    /// Share of errors in a burst.
    burst_errors: f64,
    /// Growth of traffic by the hour at this time of day.
    season: f64,
    /// How much latency and errors follow traffic.
    follow: f64,
}

/// Something wrong that is not the release, from … to, in milliseconds around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incident {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    pub(super) errors: f64,
    pub(super) slowness: f64,
}

impl Mood {
    pub(super) fn of(shape: Shape, random: &mut Random) -> Self {
        let calm = Mood {
            wander_latency: random.between(0.01, 0.04),
            wander_traffic: random.between(0.03, 0.1),
            wander_errors: random.between(0.05, 0.2),
            memory: random.between(4.0, 40.0),
            spikes_per_hour: 0.0,
            bursts_per_hour: 0.0,
            burst_errors: 0.0,
            season: 0.0,
            follow: random.between(0.0, 0.2),
        };
        match shape {
            Shape::Noisy => Mood {
                wander_latency: random.between(0.05, 0.15),
                wander_traffic: random.between(0.1, 0.4),
                wander_errors: random.between(0.3, 0.7),
                ..calm
            },
            Shape::Spiky => Mood { spikes_per_hour: random.between(10.0, 30.0), ..calm },
            Shape::ErrorBurst => {
                Mood { bursts_per_hour: random.between(4.0, 12.0), burst_errors: random.log_between(0.03, 0.3), ..calm }
            }
            Shape::DailySeason => {
                let season = random.between(0.3, 1.2) * if random.chance(0.5) { 1.0 } else { -0.4 };
                Mood { season, follow: random.between(0.1, 0.4), ..calm }
            }
            Shape::LowTraffic => Mood { wander_traffic: random.between(0.1, 0.3), ..calm },
            Shape::Steady | Shape::SlowLeak | Shape::Incident => calm,
        }
    }

    /// Levels from `from_ms` to `to_ms`, both around the moment of the release on that day.
    pub(super) fn levels(
        &self,
        from_ms: i64,
        to_ms: i64,
        incident: Option<Incident>,
        random: &mut Random,
    ) -> Vec<Level> {
        let ticks = ((to_ms - from_ms) / TICK_MS).max(0);
        let keep = (-1.0 / self.memory).exp();
        let fresh = (1.0 - keep * keep).sqrt();
        let mut wander = [random.normal(), random.normal(), random.normal()];
        let (mut spike, mut burst) = (Event::default(), Event::default());
        let per_tick = TICK_MS as f64 / 3_600_000.0;
        (0..ticks)
            .map(|tick| {
                let at_ms = from_ms + tick * TICK_MS;
                for state in &mut wander {
                    *state = *state * keep + fresh * random.normal();
                }
                let spiking = spike.step(self.spikes_per_hour * per_tick, 3, random);
                let bursting = burst.step(self.bursts_per_hour * per_tick, 4, random);
                let season = (1.0 + self.season * at_ms as f64 / 3_600_000.0).max(0.2);
                let wandered = (self.wander_traffic * wander[0]).exp();
                let mut level = Level {
                    traffic: season * wandered * if spiking > 0.0 { 1.0 + spiking } else { 1.0 },
                    slowness: season.powf(self.follow)
                        * (self.wander_latency * wander[1]).exp()
                        * (1.0 + 2.5 * spiking),
                    errors_more: self.burst_errors * 2.0 * bursting,
                    errors_times: season.powf(self.follow) * (self.wander_errors * wander[2]).exp(),
                };
                if let Some(incident) = incident.filter(|i| i.from_ms <= at_ms && at_ms < i.to_ms) {
                    // It wanders by less than what has to be found in it: more, and nobody could say what is bad.
                    level.errors_more += incident.errors * (0.1 * wander[2]).exp();
                    level.slowness *= incident.slowness * (0.06 * wander[1]).exp();
                }
                level
            })
            .collect()
    }
}

/// Something that comes, stays a few ticks, and goes.
#[derive(Default)]
struct Event {
    ticks_left: u64,
    size: f64,
}

impl Event {
    /// Its size now, 0 to 1; 0 while it is not there.
    fn step(&mut self, chance: f64, ticks_max: u64, random: &mut Random) -> f64 {
        if self.ticks_left == 0 && chance > 0.0 && random.chance(chance) {
            self.ticks_left = 1 + random.below(ticks_max);
            self.size = random.between(0.2, 1.0);
        }
        if self.ticks_left == 0 {
            return 0.0;
        }
        self.ticks_left -= 1;
        self.size
    }
}
