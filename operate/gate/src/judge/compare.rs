//! New against old: how much worse, how sure. Knows no settings and gives no verdict.
//!
//! Requests are not independent of each other: errors come in bursts, latency wanders for minutes. A test that counts only
//! requests is far too sure, so the variance here has a second part, taken from the past: how much stretches of the same
//! length as the bake so far differed from each other beyond what counting explains. The reasons stand in
//! docs/decisions/0012-how-a-release-is-judged.md.

use super::measure::{Measure, Statistic, Stretch};
use super::past::Past;
use super::windows::Window;
use crate::stats::{MannWhitney, mann_whitney, student_above};

/// A difference, new minus old, on the scale of comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) new: f64,
    /// What was expected without the release.
    pub(crate) old: f64,
    /// Higher by so much than in the last minutes before the release; beside each other, than the old version.
    pub(crate) by_last: f64,
    pub(crate) error: f64,
    /// Degrees of freedom of `error`.
    pub(crate) freedom: f64,
    /// How far a stretch as long as the bake so far has been above its surroundings, at the worst, without this release …
    pub(crate) highest_before: f64,
    /// … and below them; positive as well.
    pub(crate) lowest_before: f64,
    /// Mann-Whitney over windows: chance of values so much higher, and so much lower.
    pub(crate) p_higher: Option<f64>,
    pub(crate) p_lower: Option<f64>,
    /// Every window lies on one side of all before it: as much as ranks can say, however few there are.
    pub(crate) apart: bool,
    /// Of the new version.
    pub(crate) requests: f64,
}

/// How stretches of one length differ in the past.
#[derive(Clone, Copy)]
struct Wander {
    /// Variance beyond what counting explains.
    extra: f64,
    freedom: f64,
    /// From the mean of its stretch, the furthest up and the furthest down.
    highest: f64,
    lowest: f64,
}

/// With fewer degrees of freedom than these the past is too short to tell alone how much the service moves.
const KNOWN_FROM: f64 = 6.0;
/// What services usually move by counts as much as so many degrees of freedom of its own past.
const USUAL_FREEDOM: f64 = 6.0;
/// So many windows on each side can be told apart by rank.
const RANKED_WINDOWS_MIN: usize = 8;
/// So many windows are the last minutes before a release.
const LAST: usize = 30;
/// Below so many requests a window's own value is too rough to rank.
const RANKED_MIN: f64 = 20.0;

/// The new version beside the old one, in the same windows: what hits both cancels.
pub(crate) fn beside(
    statistic: Statistic,
    new: &[&Window],
    old: &[&Window],
    past: &Past<'_>,
    bounds: &[f64],
) -> Option<Difference> {
    let (ours, theirs) = (Stretch::new(statistic, new, bounds), Stretch::new(statistic, old, bounds));
    let (a, b) = (ours.all()?, theirs.all()?);
    let counted = a.variance + b.variance;
    let (moved, freedom) = moved(statistic, new, old, bounds).unwrap_or((0.0, 0.0));
    let (variance, freedom) = if moved > counted { (moved, freedom) } else { (counted, f64::INFINITY) };
    let wander = wander([&past.before], new.len());
    // The first few windows could not be told apart by rank from as few: the past stands beside them until there are more.
    let ranks = match ours.len() < RANKED_WINDOWS_MIN {
        true => ranked(statistic, &ours, &[&theirs, &past.before]),
        false => ranked(statistic, &ours, &[&theirs]),
    };
    Some(Difference {
        new: a.value,
        old: b.value,
        by_last: a.value - b.value,
        error: variance.sqrt(),
        freedom,
        highest_before: wander.highest,
        lowest_before: wander.lowest,
        p_higher: ranks.map(|test| test.p_greater),
        p_lower: ranks.map(|test| test.p_less),
        apart: ranks.is_some_and(|test| test.share == 0.0 || test.share == 1.0),
        requests: a.requests,
    })
}

/// How the difference itself moves from stretch to stretch of the bake: its variance and degrees of freedom.
fn moved(statistic: Statistic, new: &[&Window], old: &[&Window], bounds: &[f64]) -> Option<(f64, f64)> {
    let mut theirs = old.iter().copied().peekable();
    let mut pairs: Vec<(&Window, &Window)> = Vec::with_capacity(new.len());
    for ours in new {
        while theirs.peek().is_some_and(|other| other.end_ms < ours.end_ms) {
            theirs.next();
        }
        pairs.extend(theirs.peek().filter(|other| other.end_ms == ours.end_ms).map(|other| (*ours, *other)));
    }
    if pairs.len() < 6 {
        return None;
    }
    let (ours, theirs): (Vec<&Window>, Vec<&Window>) = pairs.into_iter().unzip();
    let (ours, theirs) = (Stretch::new(statistic, &ours, bounds), Stretch::new(statistic, &theirs, bounds));
    let length = ours.len() / 6;
    let starts = (0..=ours.len() - length).step_by(length);
    let differences: Vec<f64> =
        starts.filter_map(|at| Some(ours.run(at, at + length)?.value - theirs.run(at, at + length)?.value)).collect();
    let k = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / k;
    let squares: f64 = differences.iter().map(|value| (value - mean).powi(2)).sum();
    (k >= 4.0).then(|| (squares / (k - 1.0) / k, k - 1.0))
}

/// The new version against what was before it, corrected by what other days did at this hour.
pub(crate) fn against_past(
    statistic: Statistic,
    new: &[&Window],
    past: &Past<'_>,
    bounds: &[f64],
) -> Option<Difference> {
    let ours = Stretch::new(statistic, new, bounds);
    let (a, b) = (ours.all()?, past.before.all()?);
    let days = past.days.iter().flat_map(|(before, after)| [before, after]);
    let mut wander = self::wander([&past.before].into_iter().chain(days), new.len());
    if wander.freedom < KNOWN_FROM {
        wander = wander.with(statistic.unrest(b.value).powi(2));
    }
    if past.was_cut {
        // Other days were calm, and today is too short to tell how much it moves.
        wander.extra = wander.extra.max(statistic.unrest(b.value).powi(2));
    }
    let blocks = (past.before.len() as f64 / new.len().max(1) as f64).max(1.0);
    let (season, season_variance) = season(past, wander.extra);
    let variance = a.variance + wander.extra + b.variance + wander.extra / blocks + season_variance;
    let ranks = ranked(statistic, &ours, &[&past.before]);
    let last = past.before.run(past.before.len().saturating_sub(LAST), past.before.len());
    Some(Difference {
        new: a.value,
        old: if statistic.is_log() { b.value + season } else { (b.value + season).max(0.0) },
        by_last: a.value - last.map_or(b.value, |last| last.value) - season,
        error: variance.sqrt(),
        freedom: if wander.extra > 0.0 { wander.freedom } else { f64::INFINITY },
        highest_before: wander.highest,
        lowest_before: wander.lowest,
        p_higher: ranks.map(|test| test.p_greater),
        p_lower: ranks.map(|test| test.p_less),
        apart: ranks.is_some_and(|test| test.share == 0.0 || test.share == 1.0),
        requests: a.requests,
    })
}

/// What this hour does on other days, as far as it is more than chance: shrunk towards nothing as James and Stein do.
fn season(past: &Past<'_>, extra: f64) -> (f64, f64) {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (before, after) in &past.days {
        let (Some(b), Some(a)) = (before.all(), after.all()) else { continue };
        let blocks = (before.len() as f64 / after.len().max(1) as f64).max(1.0);
        let weight = 1.0 / (a.variance + b.variance + extra * (1.0 + 1.0 / blocks)).max(1e-12);
        sum += weight * (a.value - b.value);
        weights += weight;
    }
    if weights == 0.0 {
        return (0.0, 0.0);
    }
    let (mean, variance) = (sum / weights, 1.0 / weights);
    let kept = (1.0 - variance / (mean * mean).max(1e-300)).max(0.0);
    (kept * mean, kept * variance)
}

impl Wander {
    /// Moderated as Smyth does it (limma, 2004): what was seen and what is usual, each by its degrees of freedom.
    fn with(self, usual: f64) -> Wander {
        let freedom = self.freedom + USUAL_FREEDOM;
        Wander { extra: (self.extra * self.freedom + usual * USUAL_FREEDOM) / freedom, freedom, ..self }
    }
}

fn wander<'a>(stretches: impl IntoIterator<Item = &'a Stretch<'a>>, length: usize) -> Wander {
    let (mut squares, mut freedom, mut counted, mut blocks) = (0.0, 0.0, 0.0, 0.0);
    let (mut highest, mut lowest) = (0.0_f64, 0.0_f64);
    for stretch in stretches {
        // Shorter stretches wander more, not less: where the past is short this errs towards doubt.
        let length = length.min(stretch.len() / 6).max(1);
        let measures: Vec<Measure> = stretch.blocks(length);
        if measures.len() < 2 {
            continue;
        }
        let k = measures.len() as f64;
        let mean = measures.iter().map(|m| m.value).sum::<f64>() / k;
        squares += measures.iter().map(|m| (m.value - mean).powi(2)).sum::<f64>();
        counted += measures.iter().map(|m| m.variance).sum::<f64>();
        freedom += k - 1.0;
        blocks += k;
        // The furthest may lie across two blocks.
        for measure in stretch.runs(length, length / 3) {
            highest = highest.max(measure.value - mean);
            lowest = lowest.max(mean - measure.value);
        }
    }
    if freedom == 0.0 {
        return Wander { extra: 0.0, freedom: 0.0, highest, lowest };
    }
    Wander { extra: (squares / freedom - counted / blocks).max(0.0), freedom, highest, lowest }
}

fn ranked(statistic: Statistic, new: &Stretch<'_>, others: &[&Stretch<'_>]) -> Option<MannWhitney> {
    let each = new.requests() / new.len().max(1) as f64;
    let length =
        if statistic == Statistic::Requests { 1.0 } else { (RANKED_MIN / each.max(1e-9)).ceil().clamp(1.0, 1e4) };
    let values = |stretch: &Stretch<'_>| stretch.blocks(length as usize).into_iter().map(|m| m.value);
    let others: Vec<f64> = others.iter().flat_map(|other| values(other)).collect();
    mann_whitney(&values(new).collect::<Vec<f64>>(), &others)
}

impl Difference {
    /// Higher by so much.
    pub(crate) fn by(&self) -> f64 {
        self.new - self.old
    }

    /// Chance to see this, or more, if it were truly higher by no more than `limit`.
    pub(crate) fn p_above(&self, limit: f64) -> f64 {
        self.tail(self.by() - limit)
    }

    /// Chance to see this, or less, if it were truly higher by `limit` or more.
    pub(crate) fn p_below(&self, limit: f64) -> f64 {
        self.tail(limit - self.by())
    }

    fn tail(&self, over: f64) -> f64 {
        if self.error > 0.0 {
            student_above(over / self.error, self.freedom)
        } else if over > 0.0 {
            0.0
        } else {
            1.0
        }
    }
}
