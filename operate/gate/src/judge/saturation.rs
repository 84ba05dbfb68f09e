//! Containers and hosts: how full they are, and whether the service restarts. Knows no spans.

use super::bench::Bench;
use crate::ask::Period;
use crate::evidence::{Heard, Series, series};
use crate::settings::{Metric, NanStrategy, Rule};
use crate::stats::mann_whitney;
use crate::verdict::{Judged, Layer, Mark, Unit};

/// Below this a resource is not short, whatever it was before.
const FULL_FROM: f64 = 0.8;
/// Memory this near to its limit is a kill that has not come yet: it decides alone.
const KILLED_FROM: f64 = 0.95;

pub(super) fn judged(bench: &Bench<'_>) -> Vec<Judged> {
    let mut all = vec![restarts(bench)];
    if !bench.subject.new.containers.is_empty() {
        all.extend([Metric::Cpu, Metric::Memory].map(|metric| share(bench, metric, Layer::Container)));
    }
    all.extend([Metric::HostCpu, Metric::HostMemory, Metric::HostDisk].map(|metric| share(bench, metric, Layer::Host)));
    all
}

fn empty(metric: Metric, rule: &Rule, layer: Layer, unit: Unit) -> Judged {
    let questions = [Period::New, Period::Before].map(|period| period.id(metric.name())).into();
    Judged::of(metric, rule, layer, unit, questions)
}

/// All points of an answer, in order of series; `Err` says why there is none.
pub(super) fn points(bench: &Bench<'_>, id: &str, nan: NanStrategy) -> Result<Vec<f64>, String> {
    match series(bench.evidence, id) {
        Heard::Unknown(why) => Err(why.to_owned()),
        Heard::Series(found) => Ok(values(found, nan)),
    }
}

fn values(found: &[Series], nan: NanStrategy) -> Vec<f64> {
    let all = found.iter().flat_map(|series| series.points.iter().map(|(_, value)| *value));
    match nan {
        NanStrategy::Remove => all.filter(|value| value.is_finite()).collect(),
        NanStrategy::Replace => all.map(|value| if value.is_finite() { value } else { 0.0 }).collect(),
    }
}

pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn share(bench: &Bench<'_>, metric: Metric, layer: Layer) -> Judged {
    let rule = bench.settings.rule(metric);
    let mut judged = empty(metric, &rule, layer, Unit::Share);
    let of = |period: Period| points(bench, &period.id(metric.name()), rule.nan_strategy);
    let (new, old) = match (of(Period::New), of(Period::Before)) {
        (Ok(new), Ok(old)) => (new, old),
        (Err(why), _) | (_, Err(why)) => {
            judged.outcome = Mark::Unknown;
            judged.note = why;
            return judged;
        }
    };
    // The last third: what fills up is fullest at the end.
    let late = new.get(new.len() - new.len().div_ceil(3)..).unwrap_or_default();
    let Some(now) = mean(late) else { return judged };
    judged.new = Some(now);
    judged.old = mean(&old);
    let effect = judged.old.map(|old| now - old);
    judged.effect = effect;
    judged.p_value = mann_whitney(late, &old).map(|test| test.p_greater);
    let grew = effect.is_none_or(|effect| effect > rule.allowed_increase)
        && judged.p_value.is_none_or(|p| p < bench.settings.significance);
    judged.outcome = if now >= FULL_FROM && grew { Mark::High } else { Mark::Pass };
    // So few windows prove nothing, but this is no matter of chance: what is held is held.
    if metric == Metric::Memory && now >= KILLED_FROM && effect.is_some_and(|effect| effect > rule.allowed_increase) {
        (judged.outcome, judged.critical) = (Mark::High, true);
        judged.note = "and what goes over its limit is killed".into();
    }
    judged
}

/// How often it started since the release, against how often in as long a time before.
fn restarts(bench: &Bench<'_>) -> Judged {
    let rule = bench.settings.rule(Metric::Restarts);
    let mut judged = empty(Metric::Restarts, &rule, Layer::Container, Unit::Count);
    let new = match points(bench, &Period::New.id("restarts"), rule.nan_strategy) {
        Ok(new) if new.is_empty() => return judged,
        Ok(new) => new,
        Err(why) => {
            judged.outcome = Mark::Unknown;
            // No restart counter is no reason to hold a release: the caller may have none.
            judged.critical = false;
            judged.note = why;
            return judged;
        }
    };
    let old = points(bench, &Period::Before.id("restarts"), rule.nan_strategy).ok();
    let usual = old.as_deref().and_then(mean).unwrap_or(0.0) * new.len() as f64;
    let count: f64 = new.iter().sum();
    judged.new = Some(count);
    judged.old = Some(usual);
    judged.effect = Some(count - usual);
    judged.outcome = match count - usual {
        more if more >= rule.critical_increase => Mark::High,
        more if more <= rule.allowed_increase => Mark::Pass,
        _ => Mark::Unsure,
    };
    judged
}
