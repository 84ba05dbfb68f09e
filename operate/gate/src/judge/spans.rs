//! Errors, latency and throughput, from span metrics. Knows no logs, containers or checks.

use super::bench::Bench;
use super::compare::Difference;
use super::first;
use super::measure::Statistic;
use super::past::Past;
use super::windows::Window;
use crate::duration;
use crate::settings::{Direction, Metric, Rule};
use crate::stats::wilson;
use crate::verdict::{Judged, Layer, Mark, Unit};

/// From so many windows on, the last third is looked at by itself as well: a leak shows late.
const RECENT_FROM: usize = 9;
/// An hour or two of the past shows not the worst that can come without a release: so many times as bad is beyond it, for
/// one of the dozens of looks during the bake …
const BEYOND_EARLY: f64 = 1.5;
/// … and for the last.
const BEYOND_LATE: f64 = 1.25;
/// 97.5 % on one side.
const FEW_Z: f64 = 1.96;

pub(super) fn judged(bench: &Bench<'_>) -> Vec<Judged> {
    let mut all = vec![
        one(bench, Metric::ErrorRate, Statistic::ErrorShare, "calls", Unit::Share),
        one(bench, Metric::LatencyP50, Statistic::Quantile(0.5), "latency", Unit::Seconds),
        one(bench, Metric::LatencyP95, Statistic::Quantile(0.95), "latency", Unit::Seconds),
        one(bench, Metric::LatencyP99, Statistic::Quantile(0.99), "latency", Unit::Seconds),
    ];
    // Side by side, whoever shifts the traffic decides how much each gets.
    if !bench.subject.side_by_side {
        all.push(one(bench, Metric::Throughput, Statistic::Requests, "calls", Unit::PerSecond));
    }
    all
}

fn one(bench: &Bench<'_>, metric: Metric, statistic: Statistic, family: &str, unit: Unit) -> Judged {
    let rule = bench.settings.rule(metric);
    let mut judged = Judged::of(metric, &rule, Layer::Service, unit, bench.used(family));
    if let Some(why) = unknown(bench, family) {
        judged.outcome = Mark::Unknown;
        judged.note = why;
        return judged;
    }
    if bench.is_first() {
        return first::judged(bench, metric, judged);
    }
    // Caches are cold, and users come back one by one; errors count from the first.
    let warm_up = if statistic == Statistic::ErrorShare { 0 } else { duration::ms(bench.settings.warm_up) };
    let windows: Vec<&Window> = bench.windows_from(warm_up).iter().collect();
    let trial = Trial { bench, statistic, rule: &rule, past: bench.past(statistic, false) };
    let Some(whole) = bench.compare(statistic, &windows, &trial.past) else {
        judged.note = "too few requests to say anything".into();
        return judged;
    };
    let mut worse = trial.worse(&windows, false);
    if worse.is_none() && windows.len() >= RECENT_FROM {
        let recent = windows.get(windows.len() - windows.len() / 3..).unwrap_or_default();
        worse = trial.worse(recent, true);
        if worse.is_some() {
            judged.note =
                format!("over the last {}", duration::written(recent.len() as i64 * bench.settings.step_ms()));
        }
    }
    if worse.is_none() && metric == Metric::LatencyP95 && bench.is_over() {
        worse = trial.slower_with_the_median(&windows);
        if worse.is_some() {
            judged.note = "and the median with it".into();
        }
    }
    let is_worse = worse.is_some();
    let found = worse.unwrap_or(whole);
    trial.write(&mut judged, &found);
    judged.outcome = match is_worse {
        true if trial.sign(&found) > 0.0 => Mark::High,
        true => Mark::Low,
        false if bench.traffic() < bench.settings.min_traffic && metric != Metric::Throughput => {
            judged.note = format!("{:.2} requests/s, {} are needed", bench.traffic(), bench.settings.min_traffic);
            Mark::Unsure
        }
        false if trial.is_fine(&found) || trial.is_typically_fine(&windows) => Mark::Pass,
        false => Mark::Unsure,
    };
    judged
}

/// Why nothing can be said: the question that failed.
fn unknown(bench: &Bench<'_>, family: &str) -> Option<String> {
    let track = bench.new_track();
    let why = if family == "latency" {
        track.latency_unknown.as_ref().or(track.unknown.as_ref())
    } else {
        track.unknown.as_ref()
    };
    if let Some(why) = why {
        return Some(why.clone());
    }
    let before = bench.tracks.of(crate::ask::Period::Before);
    if bench.beside { None } else { before.unknown.clone().or_else(|| before.latency_unknown.clone()) }
}

/// One metric on trial.
struct Trial<'a> {
    bench: &'a Bench<'a>,
    statistic: Statistic,
    rule: &'a Rule,
    past: Past<'a>,
}

impl Trial<'_> {
    /// +1 where higher is what was found worse, -1 where lower.
    fn sign(&self, found: &Difference) -> f64 {
        match self.rule.direction {
            Direction::Increase => 1.0,
            Direction::Decrease => -1.0,
            Direction::Either => found.by().signum(),
        }
    }

    /// A ratio or share of the rule on the scale of comparison, as a distance in the bad direction.
    fn distance(&self, increase: f64, sign: f64) -> f64 {
        sign * self.statistic.distance(sign * increase)
    }

    fn p_beyond(&self, found: &Difference, increase: f64) -> f64 {
        let sign = self.sign(found);
        let limit = self.distance(increase, sign);
        if sign > 0.0 { found.p_above(limit) } else { found.p_below(-limit) }
    }

    /// What was found in these windows, when it is bad enough to fail. `recent`: they are only the last ones.
    fn worse(&self, windows: &[&Window], recent: bool) -> Option<Difference> {
        let settings = self.bench.settings;
        let over = self.bench.is_over();
        // Traffic that is away for a minute is a restart.
        let patient = self.statistic == Statistic::Requests && windows.len() < RECENT_FROM;
        if !over && (patient || !(settings.early_abort && self.rule.critical)) {
            return None;
        }
        let p = |found: &Difference| self.p_beyond(found, self.rule.allowed_increase);
        let raw = self.bench.compare(self.statistic, windows, &self.past)?;
        if self.is_fast_enough(&raw) {
            return None;
        }
        let sign = self.sign(&raw);
        let by = sign * raw.by();
        let worst_before = if sign > 0.0 { raw.highest_before } else { raw.lowest_before };
        // After a cut there is less past than a worst can be read from, and short stretches are many.
        let unrest = if self.past.was_cut { 1.5 } else { 1.0 } * if recent { 1.5 } else { 1.0 };
        // What was as bad in the last minutes before the release is not its doing.
        let lasts = sign * raw.by_last >= self.distance(self.rule.allowed_increase, sign) / 2.0;
        let alpha = self.alpha();
        if !over {
            let early = by >= self.distance(self.rule.critical_increase, sign)
                && by > BEYOND_EARLY * unrest * worst_before
                && p(&raw) < settings.early_alpha
                && lasts
                && (!self.statistic.is_thin(raw.requests) || self.median_is_slower_early(windows))
                && self.ranks_agree(&raw)
                && self.holds_without_worst(windows, sign);
            return early.then_some(raw);
        }
        // Typical windows tell a lasting change from the world's bursts. All of them together, or only the last of them,
        // count only beyond what the past has shown.
        if by > BEYOND_LATE * unrest * worst_before && p(&raw) < alpha / 5.0 && lasts && self.ranks_agree(&raw) {
            return Some(raw);
        }
        if recent {
            return None;
        }
        let past = self.bench.past(self.statistic, true);
        let typical = self.bench.compare(self.statistic, windows, &past)?;
        let lasts = sign * typical.by_last >= self.distance(self.rule.allowed_increase, sign) / 2.0;
        (p(&typical) < alpha && lasts && self.ranks_agree(&typical)).then_some(typical)
    }

    /// With little traffic few requests stand behind a tail, and many behind the median: when the one looks slower than
    /// allowed and the other certainly is, everything became slower.
    fn slower_with_the_median(&self, windows: &[&Window]) -> Option<Difference> {
        let tail = self.bench.compare(self.statistic, windows, &self.bench.past(self.statistic, true))?;
        let median = Trial {
            statistic: Statistic::Quantile(0.5),
            past: self.bench.past(Statistic::Quantile(0.5), true),
            ..*self
        };
        let found = self.bench.compare(median.statistic, windows, &median.past)?;
        let limit = self.distance(self.rule.allowed_increase, 1.0);
        let alpha = self.alpha();
        let is_slower = self.rule.direction != Direction::Decrease
            && !self.is_fast_enough(&tail)
            && tail.by() >= limit
            && tail.by_last >= limit / 2.0
            && found.by_last >= limit / 2.0
            && found.p_above(limit) < alpha
            && median.ranks_agree(&found);
        is_slower.then_some(tail)
    }

    /// The same during the bake, as sure as a look during the bake has to be.
    fn median_is_slower_early(&self, windows: &[&Window]) -> bool {
        let statistic = Statistic::Quantile(0.5);
        if self.statistic == statistic || self.rule.direction == Direction::Decrease {
            return false;
        }
        Trial { statistic, past: self.bench.past(statistic, false), ..*self }.worse(windows, false).is_some()
    }

    /// Chance of being wrong at the last look.
    fn alpha(&self) -> f64 {
        let settings = self.bench.settings;
        match self.bench.beside {
            true => settings.alpha_beside,
            // Little is known of a state of things that began shortly before the release.
            false if self.past.was_cut => settings.alpha / 2.0,
            false => settings.alpha,
        }
    }

    /// Mann-Whitney sees it too. Errors are too rare to be ranked by window; their proportion speaks for itself.
    fn ranks_agree(&self, found: &Difference) -> bool {
        let ranks = if self.sign(found) > 0.0 { found.p_higher } else { found.p_lower };
        let agree = |p: f64| p < self.bench.settings.significance || found.apart;
        self.statistic == Statistic::ErrorShare || ranks.is_none_or(agree)
    }

    /// One bad window alone is no reason to abort, unless there are hardly others yet.
    fn holds_without_worst(&self, windows: &[&Window], sign: f64) -> bool {
        if windows.len() < 3 {
            return true;
        }
        let bounds = &self.bench.tracks.bounds;
        let value = |window: &Window| self.statistic.of(window, bounds).map_or(f64::MIN, |m| sign * m.value);
        let mut rest = windows.to_vec();
        if let Some((worst, _)) = windows.iter().enumerate().max_by(|a, b| value(a.1).total_cmp(&value(b.1))) {
            rest.remove(worst);
        }
        let found = self.bench.compare(self.statistic, &rest, &self.past);
        found.is_some_and(|found| self.p_beyond(&found, self.rule.allowed_increase) < 0.02)
    }

    /// Nobody would notice, however much slower it became.
    fn is_fast_enough(&self, found: &Difference) -> bool {
        matches!(self.statistic, Statistic::Quantile(_))
            && self.statistic.shown(found.new) < self.bench.settings.fast_enough.as_secs_f64()
    }

    /// Errors that are surely fewer than what must not pass unseen cannot have risen by as much, whatever was before: a past full of errors
    /// makes a difference unsure, and this is none.
    fn are_surely_few(&self, found: &Difference) -> bool {
        self.statistic == Statistic::ErrorShare
            && self.rule.direction == Direction::Increase
            && found.requests > 0.0
            && wilson(found.new, found.requests, FEW_Z).1 < self.rule.critical_increase
    }

    /// What must not pass unseen is unlikely enough.
    fn is_fine(&self, found: &Difference) -> bool {
        if self.is_fast_enough(found) || self.are_surely_few(found) {
            return true;
        }
        let sign = self.sign(found);
        let limit = self.distance(self.rule.critical_increase, sign);
        let p = if sign > 0.0 { found.p_below(limit) } else { found.p_above(-limit) };
        p < 0.2
    }

    /// The world's spikes are no doubt about the release.
    fn is_typically_fine(&self, windows: &[&Window]) -> bool {
        let past = self.bench.past(self.statistic, true);
        self.bench.is_over()
            && self.bench.compare(self.statistic, windows, &past).is_some_and(|found| self.is_fine(&found))
    }

    fn write(&self, judged: &mut Judged, found: &Difference) {
        let sign = self.sign(found);
        let per =
            if self.statistic == Statistic::Requests { 1000.0 / self.bench.settings.step_ms() as f64 } else { 1.0 };
        judged.new = Some(self.statistic.shown(found.new) * per);
        judged.old = Some(self.statistic.shown(found.old) * per);
        let effect = |by: f64| sign * if self.statistic.is_log() { by.exp() - 1.0 } else { by };
        judged.effect = Some(effect(found.by()));
        let (a, b) = (effect(found.by() - 1.96 * found.error), effect(found.by() + 1.96 * found.error));
        judged.effect_low = Some(a.min(b));
        judged.effect_high = Some(a.max(b));
        judged.p_value = match self.statistic {
            Statistic::ErrorShare => Some(found.p_above(0.0)),
            // So few windows cannot be ranked; what decided is told.
            _ if found.apart => Some(self.p_beyond(found, self.rule.allowed_increase)),
            _ if sign > 0.0 => found.p_higher,
            _ => found.p_lower,
        };
    }
}
