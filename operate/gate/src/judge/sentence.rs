//! The verdict in one sentence, with its numbers. Decides nothing.

use super::bench::Bench;
use crate::duration::written;
use crate::settings::Metric;
use crate::verdict::{Judged, Mark, Outcome, numbers};

pub(super) fn of(bench: &Bench<'_>, outcome: Outcome, metrics: &[Judged], score: Option<f64>) -> String {
    let subject = bench.subject;
    let what = match &subject.new.version {
        Some(version) => format!("{} {version}", subject.service),
        None => format!("the release of {}", subject.service),
    };
    let what = if subject.environment.is_empty() { what } else { format!("{what} in {}", subject.environment) };
    let after = written(bench.elapsed_ms() / 1000 * 1000);
    match outcome {
        Outcome::Fail => format!("{what} fails after {after}: {}", reasons(bench, metrics, score)),
        Outcome::Pass => format!("{what} passes after {after}: {}", figures(bench, metrics)),
        Outcome::Inconclusive => format!("{what} is inconclusive after {after}: {}", doubts(bench, metrics, score)),
        Outcome::Continue => {
            let bake = written(crate::duration::ms(bench.settings.bake));
            format!("{what} is watched, {after} of {bake}: {}", figures(bench, metrics))
        }
    }
}

/// The critical failure that weighs most, and how many more there are.
fn reasons(bench: &Bench<'_>, metrics: &[Judged], score: Option<f64>) -> String {
    let failed: Vec<&Judged> = metrics.iter().filter(|m| m.critical && m.outcome.is_worse()).collect();
    let Some(first) = failed.iter().max_by(|a, b| a.weight.total_cmp(&b.weight)) else {
        return too_little(bench, metrics, score, bench.settings.marginal_score);
    };
    let mut text = against(bench, first);
    let mut asides = Vec::new();
    if let Some(rule) = super::bench::METRICS.iter().find(|m| m.name() == first.name).map(|m| bench.settings.rule(*m)) {
        asides.push(format!("allowed {}", numbers::difference(first.unit, rule.allowed_increase)));
    }
    asides.extend(first.p_value.map(numbers::chance));
    if !asides.is_empty() {
        text.push_str(&format!(" ({})", asides.join(", ")));
    }
    if !first.note.is_empty() {
        text.push_str(&format!(", {}", first.note));
    }
    let others: Vec<String> = failed.iter().filter(|m| m.name != first.name).map(|m| against(bench, m)).collect();
    if !others.is_empty() {
        text.push_str(&format!("; also {}", others.join(", ")));
    }
    text
}

/// The score, and what is worse than before.
fn too_little(bench: &Bench<'_>, metrics: &[Judged], score: Option<f64>, needed: f64) -> String {
    let mut text = format!("its score is {:.0} of 100, {needed:.0} are needed", score.unwrap_or(0.0));
    let worse: Vec<String> = metrics.iter().filter(|m| m.outcome.is_worse()).map(|m| against(bench, m)).collect();
    if !worse.is_empty() {
        text.push_str(&format!(": {}", worse.join(", ")));
    }
    text
}

/// `error rate 8.2 % against 0.4 % of 1.9, +7.8 points`.
fn against(bench: &Bench<'_>, metric: &Judged) -> String {
    let name = metric.name.replace('_', " ");
    let Some(new) = metric.new else {
        return if metric.note.is_empty() { name } else { format!("{name}: {}", metric.note) };
    };
    let mut text = format!("{name} {}", numbers::value(metric.unit, new));
    if let Some(old) = metric.old.filter(|_| metric.effect.is_some()) {
        let whose =
            if bench.beside { format!(" of {}", bench.subject.old.name("the old version")) } else { " before".into() };
        text.push_str(&format!(" against {}{whose}", numbers::value(metric.unit, old)));
    }
    if let Some(effect) = metric.effect {
        let sign = if metric.outcome == Mark::Low { -1.0 } else { 1.0 };
        text.push_str(&format!(", {}", numbers::difference(metric.unit, sign * effect)));
    }
    text
}

/// Error rate and p95, whatever they are, and over how many requests.
fn figures(bench: &Bench<'_>, metrics: &[Judged]) -> String {
    let named = |metric: Metric| {
        metrics.iter().find(|m| m.name == metric.name() && (m.effect.is_some() || bench.is_first() && m.new.is_some()))
    };
    let mut parts: Vec<String> =
        [Metric::ErrorRate, Metric::LatencyP95].into_iter().filter_map(named).map(|m| against(bench, m)).collect();
    let requests: f64 = bench.new_track().windows.iter().map(|window| window.requests).sum();
    if parts.is_empty() {
        parts.push("no requests to judge by yet".into());
    } else {
        parts.push(format!("over {requests:.0} requests"));
    }
    parts.join("; ")
}

fn doubts(bench: &Bench<'_>, metrics: &[Judged], score: Option<f64>) -> String {
    let doubtful = |metric: &&Judged| bench.is_open(metric);
    let Some(first) = metrics.iter().filter(doubtful).max_by(|a, b| a.weight.total_cmp(&b.weight)) else {
        return too_little(bench, metrics, score, bench.settings.pass_score);
    };
    let name = first.name.replace('_', " ");
    match first.outcome {
        Mark::Unknown => format!("{name} is unknown, {}", first.note),
        Mark::NoData => format!("there are no data for {name}"),
        _ if first.note.is_empty() => {
            let between = first.effect_low.zip(first.effect_high).map(|(low, high)| {
                let write = |effect| numbers::difference(first.unit, effect);
                format!(", with 95 % confidence between {} and {}", write(low), write(high))
            });
            format!("{}{}", against(bench, first), between.unwrap_or_default())
        }
        _ => format!("{}: {}", against(bench, first), first.note),
    }
}
