//! The user's own checks. Knows not how HTTP or a command is run: their results come as evidence.

use super::bench::Bench;
use super::saturation::{mean, points};
use crate::ask::Period;
use crate::evidence::Answer;
use crate::settings::{Direction, NanStrategy};
use crate::stats::mann_whitney;
use crate::subject::UserCheck;
use crate::verdict::{Judged, Layer, Mark, Unit};

/// So many points of an expression are needed before it can fail the release early.
const POINTS_MIN: usize = 3;

pub(super) fn judged(bench: &Bench<'_>) -> Vec<Judged> {
    bench.subject.checks.iter().map(|check| one(bench, check)).collect()
}

fn one(bench: &Bench<'_>, check: &UserCheck) -> Judged {
    let mut judged = Judged {
        name: check.label().to_owned(),
        layer: Layer::Checks,
        direction: check.direction,
        unit: Unit::Number,
        new: None,
        old: None,
        effect: None,
        effect_low: None,
        effect_high: None,
        p_value: None,
        weight: check.weight,
        critical: check.critical,
        outcome: Mark::Unknown,
        note: String::new(),
        questions: Vec::new(),
    };
    if check.promql.is_some() {
        expression(bench, check, &mut judged);
    } else {
        match bench.evidence.get(&check.id()) {
            Some(Answer::Checked { ok, said }) => {
                judged.outcome = if *ok { Mark::Pass } else { Mark::High };
                judged.note.clone_from(said);
            }
            Some(Answer::Failed { reason }) => judged.note.clone_from(reason),
            Some(_) => judged.note = "the answer is no result of a check".into(),
            None => judged.note = "it was not run".into(),
        }
    }
    judged
}

fn expression(bench: &Bench<'_>, check: &UserCheck, judged: &mut Judged) {
    let id = check.id();
    judged.questions.push(Period::New.id(&id));
    let new = match points(bench, &Period::New.id(&id), NanStrategy::Remove) {
        Ok(new) => new,
        Err(why) => {
            judged.note = why;
            return;
        }
    };
    let Some(value) = mean(&new) else {
        judged.outcome = if check.critical { Mark::Unsure } else { Mark::NoData };
        judged.note = "the expression gives nothing".into();
        return;
    };
    judged.new = Some(value);
    let enough = new.len() >= POINTS_MIN || bench.is_over();
    if check.max.is_some() || check.min.is_some() {
        judged.old = check.max.or(check.min);
        judged.note = match (check.min, check.max) {
            (Some(min), Some(max)) => format!("has to lie between {min} and {max}"),
            (Some(min), None) => format!("has to be {min} or more"),
            (_, max) => format!("has to be {} or less", max.unwrap_or(f64::NAN)),
        };
        judged.outcome = match (check.max.is_some_and(|max| value > max), check.min.is_some_and(|min| value < min)) {
            (false, false) => Mark::Pass,
            _ if !enough => Mark::Unsure,
            (true, _) => Mark::High,
            _ => Mark::Low,
        };
        return;
    }
    judged.questions.push(Period::Before.id(&id));
    let old = match points(bench, &Period::Before.id(&id), NanStrategy::Remove) {
        Ok(old) => old,
        Err(why) => {
            judged.note = why;
            return;
        }
    };
    against_its_past(bench, check, judged, &new, &old);
}

fn against_its_past(bench: &Bench<'_>, check: &UserCheck, judged: &mut Judged, new: &[f64], old: &[f64]) {
    let (Some(now), Some(then), Some(test)) = (mean(new), mean(old), mann_whitney(new, old)) else {
        judged.outcome = Mark::Unsure;
        judged.note = "it has no past to be compared with".into();
        return;
    };
    judged.old = Some(then);
    let ratio = (now - then) / then.abs().max(f64::MIN_POSITIVE);
    // A look during the bake is one of dozens.
    let significance = if bench.is_over() { bench.settings.significance } else { bench.settings.early_alpha };
    let higher = ratio > check.allowed_increase && test.p_greater < significance;
    let lower = ratio < -check.allowed_increase && test.p_less < significance;
    judged.effect = Some(if check.direction == Direction::Decrease { -ratio } else { ratio });
    judged.p_value = Some(if check.direction == Direction::Decrease { test.p_less } else { test.p_greater });
    judged.outcome = match check.direction {
        Direction::Increase | Direction::Either if higher => Mark::High,
        Direction::Decrease | Direction::Either if lower => Mark::Low,
        _ => Mark::Pass,
    };
}
