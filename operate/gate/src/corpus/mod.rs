//! Releases made from a seed, good and bad, with the telemetry that a scraper would have of them: what the judge is measured
//! on. Deterministic; knows the judge's questions, and nothing of how it answers them.
//!
//! Requests arrive by Poisson, latency is heavy-tailed and seen through the real buckets, scrapes jitter and get lost,
//! counters begin again with the new version, caches are cold at first, and the world goes on meanwhile: wander, spikes,
//! bursts, seasons, incidents. Whether a case is bad is computed from the intensities it was made with, never from what the
//! judge sees: errors at least 2 points, or the 95th percentile at least 30 % above what it would have been, at one
//! request a second or more. A third of the bad ones lie hardly beyond the threshold, a third of the good ones drift
//! towards it (errors up to half a point, latency up to 10 %); what lies between is nobody's case and is drawn again.

mod answer;
mod latency;
mod random;
mod run;
mod scrape;
mod shape;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::settings::Settings;
use crate::subject::{Side, Subject};
use latency::Latency;
use random::Random;
use scrape::{Counters, Row, Scraper};
use shape::Effect;
use world::{Incident, Level, Mood, TICK_MS};

pub use shape::{SHAPES, Shape};

/// When every release of the corpus happens: a Tuesday, 10:00 UTC.
pub const RELEASED_MS: i64 = 1_790_676_000_000;

const DAY_MS: i64 = 86_400_000;
/// Before the first window that is asked for.
const MARGIN_MS: i64 = 120_000;

/// A release and its world.
pub struct Case {
    pub seed: u64,
    pub shape: Shape,
    pub subject: Subject,
    pub settings: Settings,
    /// By what was put into it, not by what came out.
    pub truth: Truth,
    tracks: BTreeMap<Track, Vec<Counters>>,
    words: Words,
}

/// What the new version does to people.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// `None`: less than one request a second, where nobody can say.
    pub is_bad: Option<bool>,
    /// Share of requests that fail in addition.
    pub errors_more: f64,
    /// 95th percentile, times.
    pub p95_times: f64,
    /// Requests a second of the new version.
    pub traffic: f64,
    pub side_by_side: bool,
}

/// Whose counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Track {
    /// The old version, on the day of the release.
    Old,
    New,
    /// Days before.
    Day(u16),
}

/// How it logs, in lines a minute.
#[derive(Clone, Copy, Debug)]
struct Words {
    /// Of errors that both versions have.
    usual: f64,
    /// Of what goes on around: before the release, and after.
    world: (f64, f64),
    /// Of a text that only the new version has, once the effect is full.
    own: f64,
}

/// One version of a service at work.
struct Version {
    latency: Latency,
    errors: f64,
    /// Latency of failed requests, times.
    failed_times: f64,
    /// How much slower the first requests are, and for how long.
    cold: (f64, f64),
    effect: Effect,
}

impl Case {
    /// The case of this seed. Even seeds are good, odd ones bad (or would be with more traffic); shapes take turns.
    pub fn new(seed: u64) -> Self {
        let wants_bad = seed % 2 == 1;
        let shape = SHAPES.get((seed / 2 % 8) as usize).copied().unwrap_or(Shape::Steady);
        let mut random = Random::new(seed);
        // What turns out neither good nor bad is drawn again.
        let mut draft = Draft::new(shape, wants_bad, &mut random);
        for _ in 0..100 {
            if draft.fits(wants_bad) {
                break;
            }
            draft = Draft::new(shape, wants_bad, &mut random);
        }
        draft.play(seed, wants_bad, &mut random)
    }
}

/// Parameters before anything has happened.
struct Draft {
    shape: Shape,
    settings: Settings,
    side_by_side: bool,
    /// Requests a second of the whole service, and the new version's part.
    traffic: f64,
    part: f64,
    instances: usize,
    scraper: Scraper,
    old: Version,
    new: Version,
    /// Of the day of the release.
    levels: Vec<Level>,
    days: Vec<(u16, Vec<Level>)>,
    begins_ms: i64,
    errors_more: f64,
    p95_times: f64,
}

impl Draft {
    fn new(shape: Shape, wants_bad: bool, random: &mut Random) -> Self {
        let interval_s = random.pick(&[5, 5, 5, 10, 15], 5);
        let settings = Settings { interval: Duration::from_secs(interval_s), ..Settings::default() };
        let side_by_side = random.chance(0.4);
        let traffic = match shape {
            Shape::LowTraffic => random.log_between(0.2, 6.0),
            _ => random.log_between(3.0, 300.0),
        };
        let part = if side_by_side { random.pick(&[0.1, 0.25, 0.5, 0.5], 0.5) } else { 1.0 };
        let latency = Latency {
            median_s: random.log_between(0.008, 0.3),
            spread: random.between(0.4, 0.9),
            slow_share: random.between(0.0, 0.15),
            slow_factor: random.between(2.0, 5.0),
        };
        let errors = random.log_between(0.0003, 0.02);
        let failed_times = random.log_between(0.2, 2.0);
        let effect = if wants_bad { shape::bad(shape, &latency, random) } else { shape::good(random) };
        let cold = (random.between(0.0, 2.0), random.between(1000.0, 7000.0));
        let version = |effect, cold| Version { latency, errors, failed_times, cold, effect };
        let mood = Mood::of(shape, random);
        let bake_ms = settings.bake.as_millis() as i64;
        let begins_ms = -(settings.past.as_millis() as i64) - MARGIN_MS;
        let incident = (shape == Shape::Incident).then(|| incident(side_by_side, random));
        let levels = mood.levels(begins_ms, bake_ms + TICK_MS, incident, &mut random.fork());
        let of_day = |day: &u16, random: &mut Random| {
            (*day, mood.levels(begins_ms, bake_ms + TICK_MS, None, &mut random.fork()))
        };
        // One in ten services is too young to have a past of days.
        let young = random.chance(0.1);
        let days = settings.days_back.iter().filter(|_| !young).map(|day| of_day(day, random)).collect();
        let mut draft = Draft {
            shape,
            side_by_side,
            traffic,
            part,
            instances: 1 + random.below(4) as usize,
            scraper: Scraper { interval_ms: interval_s as i64 * 1000, lost: random.between(0.0, 0.03) },
            old: version(Effect::NONE, (0.0, 1.0)),
            new: version(effect, cold),
            levels,
            days,
            begins_ms,
            errors_more: 0.0,
            p95_times: 1.0,
            settings,
        };
        draft.measure();
        draft
    }

    fn level(&self, levels: &[Level], after_ms: i64) -> Level {
        let at = ((after_ms - self.begins_ms) / TICK_MS).clamp(0, levels.len() as i64 - 1);
        let calm = Level { traffic: 1.0, slowness: 1.0, errors_more: 0.0, errors_times: 1.0 };
        levels.get(at as usize).copied().unwrap_or(calm)
    }

    /// The truth: intensities of the bake with the effect, against the same without it.
    fn measure(&mut self) {
        let bake_ms = self.settings.bake.as_millis() as i64;
        // What grows counts by its last two fifths: it is not over when the bake is.
        let from = if self.new.effect.course == shape::Course::Growing { bake_ms * 3 / 5 } else { 0 };
        let calm = Version { effect: Effect::NONE, ..self.version() };
        let warm = self.version();
        let mut moments = Vec::new();
        let (mut with, mut without, mut all) = (0.0, 0.0, 0.0);
        for tick in from / TICK_MS..bake_ms / TICK_MS {
            let after = tick * TICK_MS + TICK_MS / 2;
            let level = self.level(&self.levels, after);
            let moment = |version: &Version| version.moment(&level, after, bake_ms);
            let (a, b) = (moment(&warm), moment(&calm));
            with += a.errors * level.traffic;
            without += b.errors * level.traffic;
            all += level.traffic;
            moments.push((level.traffic, a, b));
        }
        let p95 = |side: fn(&(f64, Moment, Moment)) -> &Moment| {
            let (mut low, mut high) = (1e-4_f64, 1e3_f64);
            for _ in 0..40 {
                let middle = (low * high).sqrt();
                let above: f64 = moments.iter().map(|one| one.0 * side(one).above(&self.new, middle)).sum();
                if above > 0.05 * all { low = middle } else { high = middle }
            }
            high
        };
        self.errors_more = (with - without) / all;
        self.p95_times = p95(|one| &one.1) / p95(|one| &one.2);
    }

    /// The new version when it is warm.
    fn version(&self) -> Version {
        Version { cold: (0.0, 1.0), ..self.new }
    }

    fn fits(&self, wants_bad: bool) -> bool {
        let is_bad = self.errors_more >= 0.02 || self.p95_times >= 1.3;
        let is_good = self.errors_more <= 0.005 && self.p95_times <= 1.1;
        // Above the last bounds nobody can see anything.
        let seen = self.new.latency.above(4.0, &self.new.effect.bend) < 0.05;
        seen && if wants_bad { is_bad } else { is_good }
    }

    fn play(self, seed: u64, wants_bad: bool, random: &mut Random) -> Case {
        let bake_ms = self.settings.bake.as_millis() as i64;
        let end = bake_ms + TICK_MS;
        let mut tracks = BTreeMap::new();
        let restart = random.chance(0.3).then(|| RELEASED_MS - random.between(6e4, 1.7e6) as i64);
        let restarts: Vec<i64> = restart.into_iter().collect();
        let old_ends = if self.side_by_side { end } else { 0 };
        let run = |version: &Version,
                   levels: &[Level],
                   from: i64,
                   to: i64,
                   shift: i64,
                   random: &mut Random|
         -> Vec<Counters> {
            let mut one = |restarts: &[i64]| {
                let mut draws = random.fork();
                Counters::record(
                    self.scraper,
                    RELEASED_MS + shift + from,
                    RELEASED_MS + shift + to,
                    restarts,
                    &mut draws,
                    |a, b, random| {
                        let (a, b) = (a - RELEASED_MS - shift, b - RELEASED_MS - shift);
                        // In pieces no longer than a tick: what comes and goes must not hide between two scrapes.
                        let pieces = ((b - a + TICK_MS - 1) / TICK_MS).max(1);
                        let edge = |piece: i64| a + (b - a) * piece / pieces;
                        let mut row = Row::default();
                        for (from, to) in (0..pieces).map(|piece| (edge(piece), edge(piece + 1))) {
                            let middle = (from + to) / 2;
                            let whole = self.traffic / self.instances as f64 * (to - from) as f64 / 1000.0;
                            let part = match (self.side_by_side && middle >= 0, std::ptr::eq(version, &self.new)) {
                                (false, _) => 1.0,
                                (true, true) => self.part,
                                (true, false) => 1.0 - self.part,
                            };
                            let level = self.level(levels, middle);
                            row.add(&version.happened(whole * part, &level, middle, bake_ms, random), 1.0);
                        }
                        row
                    },
                )
            };
            (0..self.instances).map(|instance| one(if instance == 0 { &restarts } else { &[] })).collect()
        };
        tracks.insert(Track::Old, run(&self.old, &self.levels, self.begins_ms, old_ends, 0, random));
        tracks.insert(Track::New, run(&self.new, &self.levels, 0, end, 0, random));
        for (day, levels) in &self.days {
            let shift = -i64::from(*day) * DAY_MS;
            tracks.insert(Track::Day(*day), run(&self.old, levels, self.begins_ms, end, shift, random));
        }
        let traffic = self.traffic * self.part * self.mean_traffic(bake_ms);
        let side = |version: &str| Side {
            version: Some(version.into()),
            containers: vec![format!("cart-{version}")],
            ..Side::default()
        };
        let subject = Subject {
            service: "cart".into(),
            environment: "prod".into(),
            new: side("2.0"),
            old: side("1.9"),
            released_ms: RELEASED_MS,
            side_by_side: self.side_by_side,
            ..Subject::default()
        };
        // Some errors are not logged. A good release too may have a line that was not there before, and few of it.
        let logged = random.between(0.5, 1.0);
        let own = match wants_bad && self.errors_more >= 0.02 {
            true if random.chance(0.6) => self.errors_more,
            false if random.chance(0.15) => random.log_between(0.0002, 0.005),
            _ => 0.0,
        };
        let per_minute = |part: f64, errors: f64| 60.0 * self.traffic * part * errors * logged;
        let words = Words {
            usual: per_minute(1.0, self.old.errors),
            world: (
                per_minute(1.0, self.mean_errors(self.begins_ms, 0)),
                per_minute(1.0, self.mean_errors(0, bake_ms)),
            ),
            own: per_minute(self.part, own),
        };
        Case {
            seed,
            shape: self.shape,
            truth: Truth {
                is_bad: (traffic >= 1.0).then_some(wants_bad),
                errors_more: self.errors_more,
                p95_times: self.p95_times,
                traffic,
                side_by_side: self.side_by_side,
            },
            words,
            subject,
            settings: self.settings,
            tracks,
        }
    }

    /// Share of errors by the world, from … to.
    fn mean_errors(&self, from_ms: i64, to_ms: i64) -> f64 {
        let ticks = (to_ms - from_ms) / TICK_MS;
        let at = |tick: i64| self.level(&self.levels, from_ms + tick * TICK_MS).errors_more;
        (0..ticks).map(at).sum::<f64>() / ticks.max(1) as f64
    }

    fn mean_traffic(&self, bake_ms: i64) -> f64 {
        let ticks = bake_ms / TICK_MS;
        (0..ticks).map(|tick| self.level(&self.levels, tick * TICK_MS).traffic).sum::<f64>() / ticks.max(1) as f64
    }
}

/// It began before the release, at the latest with it when only the past is there to compare with; beside each other, any time.
fn incident(side_by_side: bool, random: &mut Random) -> Incident {
    let from_ms = if side_by_side { random.between(-1.2e6, 2e5) } else { random.between(-1.5e6, -4e5) } as i64;
    let to_ms = if side_by_side { from_ms + random.between(1e5, 2e6) as i64 } else { 1_000_000 };
    Incident { from_ms, to_ms, errors: random.log_between(0.02, 0.2), slowness: random.between(1.0, 2.5) }
}

/// What one version does at one moment.
struct Moment {
    errors: f64,
    bend: latency::Bend,
    failed_times: f64,
}

impl Moment {
    /// Share of requests slower than this.
    fn above(&self, version: &Version, seconds: f64) -> f64 {
        (1.0 - self.errors) * version.latency.above(seconds, &self.bend)
            + self.errors * version.latency.above(seconds / self.failed_times, &self.bend)
    }
}

impl Version {
    fn moment(&self, level: &Level, after_ms: i64, bake_ms: i64) -> Moment {
        let effect = self.effect.at(after_ms, bake_ms);
        let cold = 1.0 + self.cold.0 * (-(after_ms.max(0) as f64) / self.cold.1).exp();
        let errors = (self.errors * level.errors_times + level.errors_more + effect.errors).min(0.98);
        let bend = latency::Bend { scale: effect.bend.scale * level.slowness * cold, ..effect.bend };
        Moment { errors, bend, failed_times: self.failed_times }
    }

    /// What a scrape finds since the last one, when `requests` are usual.
    fn happened(&self, requests: f64, level: &Level, after_ms: i64, bake_ms: i64, random: &mut Random) -> Row {
        let moment = self.moment(level, after_ms, bake_ms);
        let requests = requests * level.traffic;
        let mut row = Row::default();
        let failed_bend = latency::Bend { scale: moment.bend.scale * self.failed_times, ..moment.bend };
        // Poisson arrivals sorted into buckets are independent Poisson counts.
        for (failed, share, bend) in [(false, 1.0 - moment.errors, &moment.bend), (true, moment.errors, &failed_bend)] {
            for (sum, part) in row.buckets.iter_mut().zip(self.latency.shares(bend)) {
                let count = random.poisson(requests * share * part);
                *sum += count;
                *if failed { &mut row.failed } else { &mut row.fine } += count;
            }
        }
        row
    }
}

#[cfg(test)]
mod tests;
