//! The gate in front of a release: error budget, firing alerts, freezes. Knows no clock and asks nothing; what could not be
//! answered is unknown and closes the gate as well, by its own reason.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration;
use crate::evidence::{Evidence, Heard, Series, series};
use crate::stats::share_above;
use crate::subject::Subject;
use crate::verdict::{Unit, numbers};

/// What a service promises; `slo:` of `apm.yaml` in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slo {
    /// Per cent of requests without error: 99.9.
    pub availability: Option<f64>,
    pub latency: Option<LatencySlo>,
    /// Over which the budget is counted.
    #[serde(with = "duration")]
    pub window: Duration,
    /// With less of the budget left (0 to 1) no release begins.
    pub budget_min: f64,
    /// Nor while the last hour burns the budget so many times faster than it lasts.
    pub burn_max: f64,
    /// Severities of alerts that close the gate; an alert without severity does.
    pub severities: Vec<String>,
}

/// So many per cent of requests within this time; written as `{ p95: 500ms }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct LatencySlo {
    /// Per cent: 95.
    pub percentile: f64,
    pub within: Duration,
}

impl TryFrom<BTreeMap<String, String>> for LatencySlo {
    type Error = String;

    fn try_from(written: BTreeMap<String, String>) -> Result<Self, String> {
        let mut entries = written.iter();
        let (Some((name, within)), None) = (entries.next(), entries.next()) else {
            return Err(format!("{} latency objectives: write one, as `{{ p95: 500ms }}`", written.len()));
        };
        let percentile = name.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
        let percentile = percentile
            .filter(|percent| *percent > 0.0 && *percent < 100.0)
            .ok_or_else(|| format!("`{name}` is no percentile: write `p50`, `p95` or `p99.9`"))?;
        let within = duration::parse(within)
            .filter(|within| !within.is_zero())
            .ok_or_else(|| format!("`{within}` is not a duration: write it as `500ms` or `2s`"))?;
        Ok(LatencySlo { percentile, within })
    }
}

impl From<LatencySlo> for BTreeMap<String, String> {
    fn from(slo: LatencySlo) -> Self {
        BTreeMap::from([(format!("p{}", slo.percentile), duration::written(duration::ms(slo.within)))])
    }
}

impl Default for Slo {
    fn default() -> Self {
        Slo {
            availability: None,
            latency: None,
            window: Duration::from_secs(30 * 86_400),
            budget_min: 0.1,
            // Of Google's workbook: so fast a burn of a 30 day budget pages.
            burn_max: 14.4,
            severities: ["critical", "high", "page"].map(str::to_owned).into(),
        }
    }
}

pub use operate_plan::Freeze;

/// Why a release should not begin.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    BudgetSpent {
        left: f64,
        sentence: String,
    },
    BurningFast {
        burn: f64,
        sentence: String,
    },
    Alert(Firing),
    Frozen {
        until_ms: i64,
        sentence: String,
    },
    /// It was asked and nobody knows.
    Unknown {
        question: String,
        sentence: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Firing {
    pub name: String,
    pub severity: String,
}

/// May it begin?
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Admission {
    pub open: bool,
    pub sentence: String,
    pub reasons: Vec<Reason>,
    /// 0 to 1, below 0 when overspent; the smaller of availability's and latency's. `None`: no objective or no requests.
    pub budget_left: Option<f64>,
    /// Alerts that fire and do not close the gate.
    pub other_alerts: Vec<Firing>,
}

/// Judges the answers to [`crate::questions_before`].
pub fn before(subject: &Subject, slo: &Slo, freezes: &[Freeze], evidence: &Evidence, now_ms: i64) -> Admission {
    let mut reasons = Vec::new();
    for freeze in freezes {
        let here = freeze.environments.is_empty() || freeze.environments.contains(&subject.environment);
        if here && freeze.from_ms <= now_ms && now_ms < freeze.to_ms {
            let sentence =
                format!("releases are frozen for {}: {}", duration::written(freeze.to_ms - now_ms), freeze.reason);
            reasons.push(Reason::Frozen { until_ms: freeze.to_ms, sentence });
        }
    }
    let budget_left = budget(slo, evidence, &mut reasons);
    let other_alerts = alerts(slo, evidence, &mut reasons);
    let sentence = match reasons.first() {
        None => match budget_left {
            Some(left) => {
                format!("{} may be released: {} of its error budget are left", subject.service, percent(left))
            }
            None => format!("{} may be released: nothing speaks against it", subject.service),
        },
        Some(first) => {
            let more = if reasons.len() > 1 { format!(" (and {} more)", reasons.len() - 1) } else { String::new() };
            format!("{} should not be released now: {}{more}", subject.service, first.sentence())
        }
    };
    Admission { open: reasons.is_empty(), sentence, reasons, budget_left, other_alerts }
}

impl Reason {
    pub fn sentence(&self) -> String {
        match self {
            Reason::BudgetSpent { sentence, .. }
            | Reason::BurningFast { sentence, .. }
            | Reason::Frozen { sentence, .. }
            | Reason::Unknown { sentence, .. } => sentence.clone(),
            Reason::Alert(firing) => format!("alert {} ({}) is firing", firing.name, firing.severity),
        }
    }
}

fn percent(share: f64) -> String {
    numbers::value(Unit::Share, share)
}

/// The last value of each series.
fn last<'a>(
    evidence: &'a Evidence,
    id: &str,
    reasons: &mut Vec<Reason>,
) -> Option<Vec<(&'a BTreeMap<String, String>, f64)>> {
    match series(evidence, id) {
        Heard::Series(found) => {
            let value =
                |one: &'a Series| one.points.last().filter(|(_, v)| v.is_finite()).map(|(_, v)| (&one.labels, *v));
            Some(found.iter().filter_map(value).collect())
        }
        Heard::Unknown(why) => {
            reasons.push(Reason::Unknown { question: id.to_owned(), sentence: format!("{id} is unknown: {why}") });
            None
        }
    }
}

/// Share of requests that failed; `None` without requests.
fn error_share(found: &[(&BTreeMap<String, String>, f64)]) -> Option<f64> {
    let all: f64 = found.iter().map(|(_, count)| count).sum();
    let is_error =
        |labels: &BTreeMap<String, String>| labels.get("status_code").is_some_and(|c| c == "STATUS_CODE_ERROR");
    let errors: f64 = found.iter().filter(|(labels, _)| is_error(labels)).map(|(_, count)| count).sum();
    (all > 0.0).then(|| errors / all)
}

fn budget(slo: &Slo, evidence: &Evidence, reasons: &mut Vec<Reason>) -> Option<f64> {
    let mut left = Vec::new();
    if let Some(availability) = slo.availability {
        let allowed = (1.0 - availability / 100.0).max(1e-9);
        let share = last(evidence, "budget.window", reasons).and_then(|found| error_share(&found));
        left.extend(share.map(|share| ("errors", 1.0 - share / allowed)));
        let hour = last(evidence, "budget.hour", reasons).and_then(|found| error_share(&found));
        if let Some(burn) = hour.map(|share| share / allowed).filter(|burn| *burn >= slo.burn_max) {
            let sentence = format!(
                "the last hour burns the error budget {burn:.1} times as fast as it lasts, {:.1} are allowed",
                slo.burn_max
            );
            reasons.push(Reason::BurningFast { burn, sentence });
        }
    }
    if let Some(latency) = &slo.latency {
        let found = last(evidence, "budget.latency", reasons).unwrap_or_default();
        let mut buckets: Vec<(f64, f64)> =
            found.iter().filter_map(|(labels, count)| Some((labels.get("le")?.parse().ok()?, *count))).collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let allowed = (1.0 - latency.percentile / 100.0).max(1e-9);
        let share = share_above(latency.within.as_secs_f64(), &buckets);
        left.extend(share.map(|share| ("slow requests", 1.0 - share / allowed)));
    }
    let (what, least) = left.into_iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    if least < slo.budget_min {
        let window = duration::written(duration::ms(slo.window));
        let sentence = format!(
            "{} of the error budget of {window} are left, {} are needed ({what} spent it)",
            percent(least),
            percent(slo.budget_min)
        );
        reasons.push(Reason::BudgetSpent { left: least, sentence });
    }
    Some(least)
}

fn alerts(slo: &Slo, evidence: &Evidence, reasons: &mut Vec<Reason>) -> Vec<Firing> {
    let mut others = Vec::new();
    let mut found = last(evidence, "alerts", reasons).unwrap_or_default();
    // Only where there is one it was asked.
    if evidence.contains_key("alertmanager") {
        found.extend(last(evidence, "alertmanager", reasons).unwrap_or_default());
    }
    for (labels, value) in found {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let firing = Firing { name: label("alertname"), severity: label("severity") };
        if value <= 0.0 || others.contains(&firing) {
            continue;
        }
        if firing.severity.is_empty() || slo.severities.contains(&firing.severity) {
            let reason = Reason::Alert(firing);
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        } else {
            others.push(firing);
        }
    }
    others
}
