//! What a release is held against when nothing runs beside it: the time just before, from where today became what it is,
//! and the same hours of other days. Knows no new version.

use super::measure::{Statistic, Stretch};
use super::windows::Window;

/// The past, cut for one statistic.
pub(crate) struct Past<'a> {
    /// Windows that stand out are not in it, and have to be taken from what is compared with it.
    pub(crate) typical: bool,
    /// Something changed shortly before the release: an incident was under way, or had just ended.
    pub(crate) was_cut: bool,
    /// Just before the release, as far as it is of one kind with it.
    pub(crate) before: Stretch<'a>,
    /// How much single windows of it differ.
    pub(crate) spread: f64,
    /// Of other days: what was before this time of day, and after it.
    pub(crate) days: Vec<(Stretch<'a>, Stretch<'a>)>,
}

/// Values of so many pieces are looked at for the cut.
const PIECES: usize = 30;
/// A new state of things is so many pieces old at least.
const PIECES_MIN: usize = 4;
/// Its mean is off by so many standard errors, or it is taken for chance. Many, because neighbouring pieces are alike.
const JUMP: f64 = 6.0;

impl<'a> Past<'a> {
    pub(crate) fn new(
        statistic: Statistic,
        typical: bool,
        before: &[&Window],
        days: &[(Vec<&Window>, Vec<&Window>)],
        bounds: &'a [f64],
    ) -> Self {
        let cut = if statistic == Statistic::Requests { 0 } else { turn(statistic, before, bounds) };
        // First the cut: seen from before it, a whole incident is what stands out.
        let mut now = before.get(cut..).unwrap_or_default().to_vec();
        let spread = Usual::of(statistic, &now).spread;
        if typical {
            now = self::typical(statistic, &now, None).unwrap_or(now);
        }
        let stretch = |windows: &[&Window]| Stretch::new(statistic, windows, bounds);
        let days = days.iter().map(|(before, after)| (stretch(before), stretch(after))).collect();
        Past { typical, was_cut: cut > 0, before: stretch(&now), days, spread }
    }
}

/// Where the level jumped for good: the split into two means that explains most, if it explains enough (a change point as
/// Page and Hinkley look for one). 0: nowhere.
fn turn(statistic: Statistic, before: &[&Window], bounds: &[f64]) -> usize {
    let length = before.len() / PIECES;
    if length == 0 {
        return 0;
    }
    // From the end, so that the last piece ends with the release.
    let skipped = before.len() % length;
    let pieces = Stretch::new(statistic, before.get(skipped..).unwrap_or_default(), bounds).blocks(length);
    let values: Vec<f64> = pieces.iter().map(|piece| piece.value).collect();
    // A piece without a value would shift all others.
    if values.len() != (before.len() - skipped) / length {
        return 0;
    }
    let squares = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
    };
    let splits = PIECES_MIN..=values.len().saturating_sub(PIECES_MIN);
    let left = |at: &usize| values.split_at(*at);
    let rest = |at: &usize| squares(left(at).0) + squares(left(at).1);
    let Some(at) = splits.min_by(|a, b| rest(a).total_cmp(&rest(b))) else { return 0 };
    let (first, second) = left(&at);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let spread = (rest(&at) / (values.len() as f64 - 2.0).max(1.0)).sqrt();
    let error = spread * (1.0 / first.len() as f64 + 1.0 / second.len() as f64).sqrt();
    if (mean(second) - mean(first)).abs() > JUMP * error.max(1e-9) { skipped + at * length } else { 0 }
}

/// Without the windows that stand out upwards from their surroundings: spikes and bursts that come with any release and
/// without. `None` when a third or more of them would stand out: then that is how things are. `spread`: how much windows
/// usually differ, where that is known better than by these.
pub(crate) fn typical<'a>(
    statistic: Statistic,
    windows: &[&'a Window],
    spread: Option<f64>,
) -> Option<Vec<&'a Window>> {
    if windows.len() < 8 {
        return Some(windows.to_vec());
    }
    let usual = Usual::of(statistic, windows);
    let usual = Usual { spread: spread.map_or(usual.spread, |spread| spread.min(usual.spread)), ..usual };
    let kept: Vec<&Window> = windows.iter().copied().filter(|window| !usual.is_below(statistic, window)).collect();
    (kept.len() * 3 > windows.len() * 2).then_some(kept)
}

/// The middle of windows' scores, and their median distance from it as a standard deviation.
struct Usual {
    middle: f64,
    spread: f64,
    /// The share of all requests: with few errors the median window has none, and one error would stand out.
    share: f64,
}

impl Usual {
    fn of(statistic: Statistic, windows: &[&Window]) -> Self {
        let median = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(0.0)
        };
        let scores: Vec<f64> = windows.iter().filter_map(|window| statistic.score(window)).collect();
        let middle = median(scores.clone());
        let spread = 1.4826 * median(scores.iter().map(|score| (score - middle).abs()).collect());
        let sum = |of: fn(&Window) -> f64| windows.iter().map(|window| of(window)).sum::<f64>();
        Usual { middle, spread, share: sum(|window| window.errors) / sum(|window| window.requests).max(1e-9) }
    }

    /// Does the window stand out, by more than four times what is usual, or what so few requests do by chance?
    fn is_below(&self, statistic: Statistic, window: &Window) -> bool {
        let chance = statistic.score_chance(self.share, window);
        statistic.score(window).is_some_and(|score| score - self.middle > 4.0 * self.spread.max(chance))
    }
}
