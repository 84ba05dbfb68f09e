//! How good a judge is: many releases of which is known whether they were bad, counted. Knows neither where they come from
//! nor which judge it was.

use serde::{Deserialize, Serialize};

use crate::verdict::Outcome;

/// How one judged release ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ended {
    /// By other knowledge than the judge's; `None`: nobody can say.
    pub was_bad: Option<bool>,
    pub outcome: Outcome,
    /// From the release to the verdict.
    pub after_ms: i64,
}

/// The count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub good: usize,
    /// Good ones that were failed.
    pub false_aborts: usize,
    pub good_inconclusive: usize,
    pub bad: usize,
    /// Bad ones that were not failed; inconclusive is a miss.
    pub misses: usize,
    /// Nobody can say whether these were bad.
    pub unknown: usize,
    pub unknown_failed: usize,
    /// From the release to the verdict, of all; in the middle.
    pub median_ms: i64,
    /// The same of the bad ones that were found.
    pub median_found_ms: i64,
}

impl Tally {
    pub fn of(ended: &[Ended]) -> Self {
        let count = |wanted: &dyn Fn(&Ended) -> bool| ended.iter().filter(|one| wanted(one)).count();
        let failed = |one: &Ended| one.outcome == Outcome::Fail;
        let median = |wanted: &dyn Fn(&Ended) -> bool| {
            let mut times: Vec<i64> = ended.iter().filter(|one| wanted(one)).map(|one| one.after_ms).collect();
            times.sort_unstable();
            times.get(times.len() / 2).copied().unwrap_or(0)
        };
        Tally {
            good: count(&|one| one.was_bad == Some(false)),
            false_aborts: count(&|one| one.was_bad == Some(false) && failed(one)),
            good_inconclusive: count(&|one| one.was_bad == Some(false) && one.outcome == Outcome::Inconclusive),
            bad: count(&|one| one.was_bad == Some(true)),
            misses: count(&|one| one.was_bad == Some(true) && !failed(one)),
            unknown: count(&|one| one.was_bad.is_none()),
            unknown_failed: count(&|one| one.was_bad.is_none() && failed(one)),
            median_ms: median(&|_| true),
            median_found_ms: median(&|one| one.was_bad == Some(true) && failed(one)),
        }
    }

    /// Share of the good that were failed; 0 without any.
    pub fn false_abort_rate(&self) -> f64 {
        self.false_aborts as f64 / self.good.max(1) as f64
    }

    /// Share of the bad that were not.
    pub fn miss_rate(&self) -> f64 {
        self.misses as f64 / self.bad.max(1) as f64
    }

    /// One line of figures.
    pub fn render(&self) -> String {
        format!(
            "false aborts {}/{} ({:.1} %), misses {}/{} ({:.1} %), good but inconclusive {}, of {} unknown {} failed; median time to verdict {:.0} s, to a failure {:.0} s",
            self.false_aborts,
            self.good,
            100.0 * self.false_abort_rate(),
            self.misses,
            self.bad,
            100.0 * self.miss_rate(),
            self.good_inconclusive,
            self.unknown,
            self.unknown_failed,
            self.median_ms as f64 / 1000.0,
            self.median_found_ms as f64 / 1000.0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_and_told() {
        let one = |was_bad, outcome, after_s: i64| Ended { was_bad, outcome, after_ms: after_s * 1000 };
        let tally = Tally::of(&[
            one(Some(false), Outcome::Pass, 300),
            one(Some(false), Outcome::Fail, 40),
            one(Some(true), Outcome::Fail, 20),
            one(Some(true), Outcome::Inconclusive, 300),
            one(Some(true), Outcome::Pass, 300),
            one(None, Outcome::Inconclusive, 300),
        ]);
        assert_eq!((tally.false_abort_rate(), tally.miss_rate()), (0.5, 2.0 / 3.0));
        assert_eq!(
            tally.render(),
            "false aborts 1/2 (50.0 %), misses 2/3 (66.7 %), good but inconclusive 0, of 1 unknown 0 failed; median time to verdict 300 s, to a failure 20 s"
        );
    }
}
