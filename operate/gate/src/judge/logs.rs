//! Error lines whose pattern appeared with the release. Knows no log format.

use super::bench::Bench;
use crate::ask::Period;
use crate::evidence::{Answer, Line};
use crate::patterns::{ErrorPattern, new_patterns};
use crate::settings::{Direction, Metric};
use crate::verdict::{Judged, Layer, Mark, Unit, numbers};

/// Fewer lines are no share of anything.
const SHARE_LINES_MIN: usize = 8;

/// `spans` are the metrics judged already: a new pattern counts as errors of the release when spans tell of as many.
pub(super) fn judged(bench: &Bench<'_>, spans: &[Judged]) -> Judged {
    let rule = bench.settings.rule(Metric::LogErrors);
    let questions = vec![Period::New.id("lines"), Period::Before.id("lines")];
    let mut judged = Judged::of(Metric::LogErrors, &rule, Layer::Service, Unit::Count, questions);
    (judged.direction, judged.outcome) = (Direction::Increase, Mark::Unknown);
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
    let lines: usize = found.iter().map(|pattern| pattern.lines).sum();
    let is_many = judged.outcome == Mark::High && lines >= SHARE_LINES_MIN;
    if let Some(share) = is_many.then(|| share(bench, &found, new, spans)).flatten() {
        judged.critical = true;
        judged.note = format!("{}; {} of all requests", judged.note, numbers::value(Unit::Share, share));
    }
    judged
}

/// The share of requests that end in a new pattern, when it is more than may pass unseen. Spans have to tell of as many
/// errors, or the lines are only words; an incident beside the release hides nothing here, because its lines are not new.
fn share(bench: &Bench<'_>, found: &[ErrorPattern], new: (&[Line], bool), spans: &[Judged]) -> Option<f64> {
    let errors = spans.iter().find(|metric| metric.name == Metric::ErrorRate.name())?;
    // Beside the old version, what hits both is no error of the new one.
    let (share_now, effect) = (errors.new?, if bench.beside { errors.effect? } else { errors.effect_high? });
    // Cut lines are the newest: they stand for the time since the oldest of them.
    let oldest_ms = if new.1 { new.0.iter().map(|line| line.time_ms).min()? } else { bench.subject.released_ms };
    let requests = bench.traffic() * (bench.now_ms - oldest_ms) as f64 / 1000.0;
    // Of several patterns one error may write each: the commonest counts.
    let lines = found.iter().map(|pattern| pattern.lines).max()? as f64;
    let allowed = bench.settings.rule(Metric::ErrorRate);
    // So many at least, when chance is allowed for.
    let least = (lines - 2.0 * lines.sqrt()).max(0.0) / requests.max(1.0);
    let spans_agree = share_now >= 0.7 * lines / requests.max(1.0) && effect >= least;
    (least > allowed.allowed_increase && spans_agree).then_some(lines / requests.max(1.0))
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
