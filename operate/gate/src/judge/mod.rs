//! The judgement: every metric on its own, then all of them together. Pure; the time is handed in.
//!
//! Knows neither how questions are asked nor what is done with a verdict.

mod bench;
mod checks;
mod compare;
mod first;
mod hurt;
mod logs;
mod measure;
mod past;
mod saturation;
mod sentence;
mod spans;
mod windows;

use crate::evidence::Evidence;
use crate::settings::Settings;
use crate::subject::Subject;
use crate::verdict::{Judged, Layer, LayerScore, Link, Mark, Outcome, Verdict};
use bench::Bench;

/// Whether the release may stay, by what is known at `now_ms` (Unix milliseconds). May be asked as often as there are answers:
/// looks during the bake are strict enough that dozens of them do not add up to a false abort.
pub fn judge(subject: &Subject, settings: &Settings, evidence: &Evidence, now_ms: i64) -> Verdict {
    let bench = Bench::new(subject, settings, evidence, now_ms);
    let mut metrics = spans::judged(&bench);
    metrics.push(logs::judged(&bench, &metrics));
    metrics.extend(saturation::judged(&bench));
    metrics.extend(checks::judged(&bench));
    metrics.sort_by_key(|metric| (metric.layer, !metric.critical));
    let layers: Vec<LayerScore> =
        LAYERS.into_iter().map(|layer| LayerScore { layer, score: score(&metrics, layer, 0.5) }).collect();
    let score = layers.iter().filter_map(|layer| layer.score).min_by(f64::total_cmp);
    let outcome = outcome(&bench, &metrics, score);
    let hurt_since_ms = (outcome == Outcome::Fail).then(|| hurt::since_ms(&bench, &metrics)).flatten();
    let sentence = sentence::of(&bench, outcome, &metrics, score);
    Verdict {
        outcome,
        sentence,
        links: links(&bench, &metrics),
        score,
        layers,
        hurt_since_ms,
        hurt_ms: hurt_since_ms.map_or(0, |since| (now_ms - since).max(0)),
        notes: bench.notes(&metrics),
        metrics,
        at_ms: now_ms,
        again_ms: (outcome == Outcome::Continue).then(|| bench.again_ms()),
    }
}

const LAYERS: [Layer; 4] = [Layer::Service, Layer::Container, Layer::Host, Layer::Checks];

/// Share of the weights that are fine, 0 to 100, with a part of those that are unsure. What nobody could answer has no weight
/// here: it keeps a release from passing by other rules.
fn score(metrics: &[Judged], layer: Layer, of_unsure: f64) -> Option<f64> {
    let (mut fine, mut all) = (0.0, 0.0);
    for metric in metrics.iter().filter(|metric| metric.layer == layer) {
        let share = match metric.outcome {
            Mark::Pass => 1.0,
            Mark::Unsure => of_unsure,
            Mark::High | Mark::Low => 0.0,
            Mark::NoData | Mark::Unknown => continue,
        };
        fine += share * metric.weight;
        all += metric.weight;
    }
    (all > 0.0).then(|| 100.0 * fine / all)
}

fn outcome(bench: &Bench<'_>, metrics: &[Judged], score: Option<f64>) -> Outcome {
    if metrics.iter().any(|metric| metric.critical && metric.outcome.is_worse()) {
        return Outcome::Fail;
    }
    if !bench.is_over() {
        return Outcome::Continue;
    }
    // What is unsure may turn out fine: only what is known to be worse fails a release.
    let at_best = LAYERS.into_iter().filter_map(|layer| self::score(metrics, layer, 1.0)).min_by(f64::total_cmp);
    match score {
        _ if at_best.is_some_and(|score| score < bench.settings.marginal_score) => Outcome::Fail,
        _ if metrics.iter().any(|metric| bench.is_open(metric)) => Outcome::Inconclusive,
        Some(score) if score >= bench.settings.pass_score => Outcome::Pass,
        _ => Outcome::Inconclusive,
    }
}

fn links(bench: &Bench<'_>, metrics: &[Judged]) -> Vec<Link> {
    let used = |id: &String| metrics.iter().any(|metric| metric.questions.contains(id));
    crate::questions(bench.subject, bench.settings, bench.now_ms)
        .into_iter()
        .filter(|question| used(&question.id))
        .map(|question| Link { label: question.label, question: question.id })
        .collect()
}
