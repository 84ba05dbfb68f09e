//! A case judged again and again through its bake, as a deployment does it. Knows no judge of its own.

use super::{Case, RELEASED_MS};
use crate::ask::questions;
use crate::evidence::Evidence;
use crate::replay::Ended;
use crate::settings::Settings;
use crate::subject::Subject;
use crate::verdict::{Outcome, Verdict};

/// The first look, when the caller has none of its own.
const FIRST_MS: i64 = 5000;

impl Case {
    /// Asks and judges as often as the verdict says, until it is one; at the latest when the bake is over.
    pub fn run(&self, judge: impl Fn(&Subject, &Settings, &Evidence, i64) -> Verdict) -> (Ended, Verdict) {
        let mut evidence = Evidence::new();
        let mut now_ms = RELEASED_MS + FIRST_MS;
        let last_ms = RELEASED_MS + self.settings.bake.as_millis() as i64;
        loop {
            self.answer(&questions(&self.subject, &self.settings, now_ms), &mut evidence);
            let verdict = judge(&self.subject, &self.settings, &evidence, now_ms);
            if verdict.outcome != Outcome::Continue || now_ms >= last_ms {
                let ended =
                    Ended { was_bad: self.truth.is_bad, outcome: verdict.outcome, after_ms: now_ms - RELEASED_MS };
                return (ended, verdict);
            }
            now_ms = last_ms.min(now_ms + verdict.again_ms.unwrap_or(FIRST_MS).max(1));
        }
    }
}
