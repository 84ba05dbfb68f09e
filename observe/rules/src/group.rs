//! A group of rules through time: its rules are evaluated one after the other, each seeing what those before it wrote. The caller says when, writes
//! what comes of it, and sends the alerts.

use std::collections::BTreeSet;

use base_signal::{Labels, stale_nan};
use observe_promql::{Engine, PointValue};
use observe_source::{Appended, MetricWrite};

use crate::alerting::{Alerts, Moment};
use crate::ask::{Found, Over};
use crate::file::{Alerting, GroupSpec, Kind, RuleSpec};
use crate::state::{AlertState, GroupState, Health, OfRule, RuleState, SentAlert};
use crate::template::Templates;
use crate::{recording, restore};

/// What holds for all groups.
#[derive(Clone, Debug)]
pub struct Settings {
    pub engine: Engine,
    /// Of groups that name none.
    pub interval_ms: i64,
    /// Of groups that name none.
    pub query_offset_ms: i64,
    /// For templates.
    pub external_labels: Labels,
    /// Where people reach us, for templates and links.
    pub external_url: String,
    /// An alert is told of again after so long.
    pub resend_delay_ms: i64,
    /// What was stored before a longer outage does not count for `for`.
    pub outage_tolerance_ms: i64,
    /// The least time between a restart and the firing of an alert that did not fire before it.
    pub for_grace_period_ms: i64,
}

impl Default for Settings {
    /// Prometheus's defaults.
    fn default() -> Self {
        Settings {
            engine: Engine::default(),
            interval_ms: 60_000,
            query_offset_ms: 0,
            external_labels: Labels::empty(),
            external_url: String::new(),
            resend_delay_ms: 60_000,
            outage_tolerance_ms: 3_600_000,
            for_grace_period_ms: 600_000,
        }
    }
}

/// A group that is evaluated.
#[derive(Clone, Debug)]
pub struct Group {
    file: String,
    spec: GroupSpec,
    interval_ms: i64,
    rules: Vec<Rule>,
    /// Series of rules that are gone by a new configuration.
    stale: Vec<Labels>,
    took_s: f64,
    evaluated_at_ms: Option<i64>,
}

#[derive(Clone, Debug)]
struct Rule {
    alerts: Alerts,
    templates: Templates,
    /// What it wrote the last time.
    written: BTreeSet<Labels>,
    health: Health,
    took_s: f64,
    evaluated_at_ms: Option<i64>,
}

/// Writes a sample set; an error is a sentence.
type Store<'s> = &'s mut dyn FnMut(MetricWrite) -> Result<Appended, String>;

impl Group {
    /// A group of a file. With `restored`, what was stored of its alerts before does not matter.
    pub fn new(file: &str, spec: GroupSpec, settings: &Settings, restored: bool) -> Self {
        let rule = |spec: &RuleSpec| Rule {
            alerts: Alerts { restored, ..Alerts::default() },
            templates: Templates::of(spec),
            written: BTreeSet::new(),
            health: Health::Unknown,
            took_s: 0.0,
            evaluated_at_ms: None,
        };
        Group {
            file: file.to_owned(),
            interval_ms: spec.interval_ms.unwrap_or(settings.interval_ms),
            rules: spec.rules.iter().map(rule).collect(),
            spec,
            stale: Vec::new(),
            took_s: 0.0,
            evaluated_at_ms: None,
        }
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    pub fn interval_ms(&self) -> i64 {
        self.interval_ms
    }

    /// Whether [`Group::restore`] is still to come: before it nothing is written of the alerts.
    pub fn awaits_restoring(&self) -> bool {
        let alerting = self.rules.iter().zip(&self.spec.rules).filter(|(_, spec)| spec.kind != Kind::Recording);
        alerting.into_iter().any(|(rule, _)| !rule.alerts.restored)
    }

    /// Evaluates every rule for this moment; each rule's samples go to `store` before the next is asked. Hands back the alerts to send.
    pub fn evaluate(&mut self, at_ms: i64, settings: &Settings, over: &Over<'_>, store: Store<'_>) -> Vec<SentAlert> {
        let (started_ns, started_ms) = (over.clock.monotonic_ns(), over.clock.now_ms());
        let mut to_send = Vec::new();
        for at in 0..self.rules.len() {
            if over.cancel.is_cancelled() {
                break;
            }
            to_send.extend(self.evaluate_rule(at, at_ms, settings, over, store));
        }
        let offset_ms = self.offset_ms(settings);
        if !self.stale.is_empty() && store(stale(&self.stale, at_ms - offset_ms)).is_ok() {
            self.stale.clear();
        }
        self.took_s = seconds(over.clock.monotonic_ns().saturating_sub(started_ns));
        self.evaluated_at_ms = Some(started_ms);
        to_send
    }

    fn offset_ms(&self, settings: &Settings) -> i64 {
        self.spec.query_offset_ms.unwrap_or(settings.query_offset_ms)
    }

    fn evaluate_rule(
        &mut self,
        at: usize,
        at_ms: i64,
        settings: &Settings,
        over: &Over<'_>,
        store: Store<'_>,
    ) -> Vec<SentAlert> {
        let (offset_ms, limit) = (self.offset_ms(settings), self.spec.limit);
        let (Some(rule), Some(spec)) = (self.rules.get_mut(at), self.spec.rules.get(at)) else { return Vec::new() };
        let (started_ns, started_ms) = (over.clock.monotonic_ns(), over.clock.now_ms());
        let samples = match &spec.kind {
            Kind::Recording => recording::evaluate(spec, &settings.engine, over, at_ms - offset_ms, limit),
            Kind::Alerting(alerting) => {
                let templates = &rule.templates;
                rule.alerts.evaluate(&Moment {
                    rule: spec,
                    alerting,
                    templates,
                    settings,
                    over,
                    at_ms,
                    offset_ms,
                    limit,
                })
            }
        };
        let mut to_send = Vec::new();
        rule.health = match samples {
            Err(why) => Health::Bad(why),
            Ok(samples) => {
                if matches!(spec.kind, Kind::Alerting(_)) {
                    to_send = rule.alerts.take_due(at_ms, self.interval_ms, settings, &spec.expr);
                }
                rule.store(&samples, at_ms - offset_ms, store)
            }
        };
        rule.took_s = seconds(over.clock.monotonic_ns().saturating_sub(started_ns));
        rule.evaluated_at_ms = Some(started_ms);
        to_send
    }

    /// Takes `for` up where it stood before a restart; wanted once, when data has come in again: after the second evaluation.
    pub fn restore(&mut self, now_ms: i64, settings: &Settings, over: &Over<'_>) -> Result<(), String> {
        let mut outcome = Ok(());
        for (rule, spec) in self.rules.iter_mut().zip(&self.spec.rules) {
            if let Kind::Alerting(Alerting { for_ms, .. }) = spec.kind {
                let done = restore::restore(&mut rule.alerts, spec, for_ms, settings, over, now_ms);
                outcome = outcome.and(done.map_err(|error| error.to_string()));
            }
        }
        outcome
    }

    /// Goes on from the group of this name of an older configuration.
    pub fn take_over(&mut self, old: Group) {
        (self.took_s, self.evaluated_at_ms, self.stale) = (old.took_s, old.evaluated_at_ms, old.stale);
        let mut left: Vec<(RuleSpec, Rule)> = old.spec.rules.into_iter().zip(old.rules).collect();
        for (rule, spec) in self.rules.iter_mut().zip(&self.spec.rules) {
            let same = |(old, _): &(RuleSpec, Rule)| old.name == spec.name && old.labels == spec.labels;
            let Some(at) = left.iter().position(same) else { continue };
            let (old_spec, old) = left.remove(at);
            rule.written = old.written;
            if matches!((&spec.kind, &old_spec.kind), (Kind::Alerting(_), Kind::Alerting(_))) {
                rule.alerts.active = old.alerts.active;
            }
        }
        self.stale.extend(left.into_iter().flat_map(|(_, rule)| rule.written));
    }

    /// The series that must be marked as ended when the group is gone.
    pub fn into_written(self) -> Vec<Labels> {
        self.stale.into_iter().chain(self.rules.into_iter().flat_map(|rule| rule.written)).collect()
    }

    /// Whether it is evaluated as this one would be.
    pub fn is_alike(&self, file: &str, spec: &GroupSpec, settings: &Settings) -> bool {
        let interval_ms = spec.interval_ms.unwrap_or(settings.interval_ms);
        self.file == file && self.spec == *spec && self.interval_ms == interval_ms
    }

    pub fn told(&self) -> GroupState {
        let rule = |(rule, spec): (&Rule, &RuleSpec)| RuleState {
            name: spec.name.clone(),
            expr: spec.expr.clone(),
            labels: spec.labels.clone(),
            health: rule.health.clone(),
            took_s: rule.took_s,
            evaluated_at_ms: rule.evaluated_at_ms,
            of: match &spec.kind {
                Kind::Recording => OfRule::Recording,
                Kind::Alerting(alerting) => OfRule::Alerting {
                    state: rule.evaluated_at_ms.map_or(AlertState::Unknown, |_| rule.alerts.state()),
                    for_ms: alerting.for_ms,
                    keep_firing_for_ms: alerting.keep_firing_for_ms,
                    annotations: alerting.annotations.clone(),
                    alerts: rule.alerts.told(),
                },
            },
        };
        GroupState {
            name: self.spec.name.clone(),
            file: self.file.clone(),
            interval_ms: self.interval_ms,
            limit: self.spec.limit,
            rules: self.rules.iter().zip(&self.spec.rules).map(rule).collect(),
            took_s: self.took_s,
            evaluated_at_ms: self.evaluated_at_ms,
        }
    }
}

impl Rule {
    /// Writes what came of it, and that what was there the last time and is not now has ended.
    fn store(&mut self, samples: &[Found], time_ms: i64, store: Store<'_>) -> Health {
        let mut write = MetricWrite::default();
        for sample in samples {
            let series = write.series.push_set(sample.labels.as_ref());
            match &sample.value {
                PointValue::Float(value) => write.samples.push((series, time_ms, *value)),
                PointValue::Histogram(histogram) => write.histograms.push((series, time_ms, (**histogram).clone())),
            }
        }
        let written: BTreeSet<Labels> = samples.iter().map(|sample| sample.labels.clone()).collect();
        let ended: Vec<Labels> = self.written.difference(&written).cloned().collect();
        if !write.is_empty() {
            match store(write) {
                Err(why) => return Health::Bad(why),
                Ok(appended) if appended.rejected_count() > 0 => {
                    self.end(&ended, time_ms, store);
                    self.written = written;
                    return Health::Bad(appended.message());
                }
                Ok(_) => {}
            }
        }
        self.end(&ended, time_ms, store);
        self.written = written;
        Health::Good
    }

    /// That a marker is refused is no fault: another rule may write the series now.
    fn end(&self, ended: &[Labels], time_ms: i64, store: Store<'_>) {
        if !ended.is_empty() {
            let _ = store(stale(ended, time_ms));
        }
    }
}

/// Markers that these series have ended.
pub fn stale(series: &[Labels], time_ms: i64) -> MetricWrite {
    let mut write = MetricWrite::default();
    for labels in series {
        let series = write.series.push_set(labels.as_ref());
        write.samples.push((series, time_ms, stale_nan()));
    }
    write
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
