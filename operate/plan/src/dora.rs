//! DORA's four keys from what is known of releases: how often, how fast, how many fail, how long until it is good again. Source of keys and
//! bands: "Accelerate State of DevOps Report 2023", software delivery performance. It knows no history and no clock; what is not known is
//! `unknown`, and never a zero that looks good.

use serde::{Deserialize, Serialize};

const DAY_MS: f64 = 86_400_000.0;
const HOUR_MS: f64 = 3_600_000.0;
/// How often, and how many fail, is not compared with others from fewer releases: one without a fault makes no elite.
const COMPARED_FROM: usize = 3;

/// One release that reached the people who use the service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// When it was over, milliseconds since 1970.
    pub ended_ms: i64,
    /// When what it brought was written or built, where that is known.
    pub made_ms: Option<i64>,
    /// It was undone, taken back or left broken: since when it was bad, and when that was over.
    pub failed: Option<Failed>,
}

/// A release that was bad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub since_ms: i64,
    /// `None`: it still is.
    pub restored_ms: Option<i64>,
}

/// How one compares with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Band {
    Elite,
    High,
    Medium,
    Low,
    Unknown,
}

impl Band {
    pub fn word(self) -> &'static str {
        match self {
            Band::Elite => "elite",
            Band::High => "high",
            Band::Medium => "medium",
            Band::Low => "low",
            Band::Unknown => "unknown",
        }
    }

    /// The first of three limits that is not passed; `None` is not known.
    fn of(value: Option<f64>, within: [f64; 3]) -> Band {
        let Some(value) = value else { return Band::Unknown };
        let place = within.iter().position(|most| value <= *most);
        [Band::Elite, Band::High, Band::Medium].get(place.unwrap_or(3)).copied().unwrap_or(Band::Low)
    }
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// `None`: nothing is known of it.
    pub value: Option<f64>,
    pub band: Band,
    /// From so many releases.
    pub releases: usize,
}

/// The four keys over a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dora {
    pub since_ms: i64,
    pub until_ms: i64,
    /// Deployment frequency: releases a day.
    pub per_day: Key,
    /// Lead time for changes: the median, milliseconds.
    pub lead_ms: Key,
    /// Change failure rate: 0 to 1.
    pub failure_ratio: Key,
    /// Failed deployment recovery time: the median of those that are good again, milliseconds.
    pub restore_ms: Key,
}

/// The keys of the releases that were over within the window, both ends included. Frequency counts from the oldest release that is handed
/// in, if that is within the window, and over a day at least: nobody knows whether there were others before.
pub fn dora(releases: &[Reached], since_ms: i64, until_ms: i64) -> Dora {
    let within: Vec<&Reached> =
        releases.iter().filter(|release| (since_ms..=until_ms).contains(&release.ended_ms)).collect();
    let first_ms = releases.iter().map(|release| release.ended_ms).min().unwrap_or(since_ms);
    let days = (until_ms.saturating_sub(since_ms.max(first_ms)) as f64 / DAY_MS).max(1.0);
    let count = within.len();
    let known = (count > 0).then_some(count as f64);
    let key = |value: Option<f64>, band: Band, releases: usize| Key { value, band, releases };
    let compared = |band: Band| if count < COMPARED_FROM { Band::Unknown } else { band };

    let per_day = known.map(|count| count / days);
    // Once a day, a week, a month; the other way round for `Band::of`, where less is better.
    let per_day = key(per_day, compared(Band::of(per_day.map(|often| 1.0 / often), [1.0, 7.0, 31.0])), count);

    let leads: Vec<f64> = within.iter().filter_map(|release| took(release.made_ms?, release.ended_ms)).collect();
    let lead = median(leads.clone());
    let lead_ms = key(lead, Band::of(lead, [DAY_MS, 7.0 * DAY_MS, 31.0 * DAY_MS]), leads.len());

    let failed: Vec<Failed> = within.iter().filter_map(|release| release.failed).collect();
    let ratio = known.map(|count| failed.len() as f64 / count);
    let failure_ratio = key(ratio, compared(Band::of(ratio, [0.05, 0.10, 0.15])), count);

    let restored: Vec<f64> = failed.iter().filter_map(|failed| took(failed.since_ms, failed.restored_ms?)).collect();
    let restore = median(restored.clone());
    let restore_ms = key(restore, Band::of(restore, [HOUR_MS, DAY_MS, 7.0 * DAY_MS]), restored.len());
    Dora { since_ms, until_ms, per_day, lead_ms, failure_ratio, restore_ms }
}

/// `None` where a clock was set back in between.
fn took(from_ms: i64, to_ms: i64) -> Option<f64> {
    Some(to_ms.checked_sub(from_ms)? as f64).filter(|ms| *ms >= 0.0)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const HOUR: i64 = 3_600_000;

    fn good(ended_ms: i64) -> Reached {
        Reached { ended_ms, ..Reached::default() }
    }

    fn made(ended_ms: i64, lead_ms: i64) -> Reached {
        Reached { made_ms: Some(ended_ms - lead_ms), ..good(ended_ms) }
    }

    fn bad(ended_ms: i64, restored_ms: Option<i64>) -> Reached {
        Reached { failed: Some(Failed { since_ms: ended_ms, restored_ms }), ..good(ended_ms) }
    }

    /// Values of the four keys, and their bands in the same order.
    fn check(releases: &[Reached], values: [Option<f64>; 4], bands: [Band; 4]) {
        let found = dora(releases, 0, 30 * DAY);
        let keys = [found.per_day, found.lead_ms, found.failure_ratio, found.restore_ms];
        assert_eq!(keys.map(|key| key.value), values, "{releases:?}");
        assert_eq!(keys.map(|key| key.band), bands, "{releases:?}");
    }

    #[test]
    fn the_four_keys_and_their_bands() {
        use Band::{Elite, High, Low, Medium, Unknown};
        check(&[], [None; 4], [Unknown; 4]);
        // What is outside of the window counts for nothing but how far back one can see.
        check(&[good(-40 * DAY), good(31 * DAY)], [None; 4], [Unknown; 4]);
        let daily: Vec<Reached> = (0..=30).map(|day| good(day * DAY)).collect();
        check(&daily, [Some(31.0 / 30.0), None, Some(0.0), None], [Elite, Unknown, Elite, Unknown]);
        let weekly: Vec<Reached> = [-5, 2, 9, 16, 23].map(|day| made(day * DAY, 2 * DAY)).into();
        check(&weekly, [Some(4.0 / 30.0), Some(2.0 * DAY as f64), Some(0.0), None], [Medium, High, Elite, Unknown]);
        let monthly = [good(-DAY), made(3 * DAY, 60 * DAY)];
        check(&monthly, [Some(1.0 / 30.0), Some(60.0 * DAY as f64), Some(0.0), None], [Unknown, Low, Unknown, Unknown]);
        let rarely = [-DAY, 3 * DAY, 13 * DAY, 29 * DAY].map(good);
        check(&rarely, [Some(0.1), None, Some(0.0), None], [Medium, Unknown, Elite, Unknown]);
        // Seen for a day only: at most one day is divided by.
        let today = [3, 2, 1].map(|hours| good(30 * DAY - hours * HOUR));
        check(&today, [Some(3.0), None, Some(0.0), None], [Elite, Unknown, Elite, Unknown]);
        check(&today[..1], [Some(1.0), None, Some(0.0), None], [Unknown; 4]);
    }

    #[test]
    fn failures_and_how_long_they_last() {
        use Band::{Elite, High, Low, Medium, Unknown};
        let nine: Vec<Reached> = (0..9).map(|day| good(day * DAY)).collect();
        let with = |more: Vec<Reached>| [nine.clone(), more].concat();
        let tenth = Some(10.0 / 30.0);
        check(
            &with(vec![bad(9 * DAY, Some(9 * DAY + HOUR))]),
            [tenth, None, Some(0.1), Some(HOUR as f64)],
            [High, Unknown, High, Elite],
        );
        check(&with(vec![bad(9 * DAY, None)]), [tenth, None, Some(0.1), None], [High, Unknown, High, Unknown]);
        // The median of an even count lies between the two in the middle; a clock that went back is left out.
        let two = with(vec![
            bad(9 * DAY, Some(9 * DAY + HOUR)),
            bad(9 * DAY, Some(12 * DAY + HOUR)),
            bad(9 * DAY, Some(8 * DAY)),
        ]);
        let restore = (HOUR + 3 * DAY + HOUR) as f64 / 2.0;
        check(&two, [Some(12.0 / 30.0), None, Some(0.25), Some(restore)], [High, Unknown, Low, Medium]);
    }
}
