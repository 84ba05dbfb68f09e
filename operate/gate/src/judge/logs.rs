//! Error lines whose pattern appeared with the release. Knows no log format.

use super::bench::Bench;
use crate::ask::Period;
use crate::evidence::{Answer, Line};
use crate::patterns::new_patterns;
use crate::settings::{Direction, Metric};
use crate::verdict::{Judged, Layer, Mark, Unit};

pub(super) fn judged(bench: &Bench<'_>) -> Judged {
    let rule = bench.settings.rule(Metric::LogErrors);
    let mut judged = Judged {
        name: Metric::LogErrors.name().into(),
        layer: Layer::Service,
        direction: Direction::Increase,
        unit: Unit::Count,
        new: None,
        old: None,
        effect: None,
        effect_low: None,
        effect_high: None,
        p_value: None,
        weight: rule.weight,
        critical: rule.critical,
        outcome: Mark::Unknown,
        note: String::new(),
        questions: vec![Period::New.id("lines"), Period::Before.id("lines")],
    };
    let (new, old) = match (lines(bench, Period::New), lines(bench, Period::Before)) {
        (Ok(new), Ok(old)) => (new, old),
        (Err(why), _) | (_, Err(why)) => {
            judged.note = why;
            return judged;
        }
    };
    let found = new_patterns(new.0, old.0, bench.settings.pattern_lines_min);
    judged.new = Some(found.len() as f64);
    judged.old = Some(0.0);
    judged.effect = judged.new;
    judged.outcome = match found.first() {
        None => Mark::Pass,
        Some(most) => {
            judged.note = format!("new, {} times: {}", most.lines, most.pattern);
            // With only some of the old lines at hand, a pattern may just have been cut off.
            let is_worse = found.len() as f64 > rule.allowed_increase;
            if old.1 {
                Mark::Unsure
            } else if is_worse {
                Mark::High
            } else {
                Mark::Pass
            }
        }
    };
    judged
}

/// The lines, and whether there were more.
fn lines<'a>(bench: &Bench<'a>, period: Period) -> Result<(&'a [Line], bool), String> {
    match bench.evidence.get(&period.id("lines")) {
        Some(Answer::Lines { lines, truncated }) => Ok((lines, *truncated)),
        Some(Answer::Failed { reason }) => Err(reason.clone()),
        Some(_) => Err("the answer is no lines".into()),
        None => Err("it was not asked".into()),
    }
}
