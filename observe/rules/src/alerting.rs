//! The alerts of one rule: pending, firing, kept firing, resolved. <https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/>.
//! Writes and sends nothing itself.

use std::collections::{BTreeMap, btree_map::Entry};

use base_signal::Labels;
use observe_promql::PointValue;

use crate::ask::{Found, Over};
use crate::file::{Alerting, RuleSpec};
use crate::group::Settings;
use crate::state::{ActiveAlert, AlertState, SentAlert};
use crate::template::{Expander, Templates};

/// A resolved alert is told of for so long, so that an Alertmanager which was away hears of it.
const RESOLVED_KEPT_MS: i64 = 15 * 60_000;

#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) state: AlertState,
    pub(crate) value: f64,
    pub(crate) active_at_ms: i64,
    fired_at_ms: Option<i64>,
    resolved_at_ms: Option<i64>,
    sent_at_ms: Option<i64>,
    keep_firing_since_ms: Option<i64>,
}

/// What a rule remembers from one evaluation to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alerts {
    /// By labels.
    pub(crate) active: BTreeMap<Labels, Alert>,
    /// Before that, what is stored is not overwritten.
    pub(crate) restored: bool,
}

/// One evaluation of an alerting rule.
pub(crate) struct Moment<'a> {
    pub(crate) rule: &'a RuleSpec,
    pub(crate) alerting: &'a Alerting,
    pub(crate) templates: &'a Templates,
    pub(crate) settings: &'a Settings,
    pub(crate) over: &'a Over<'a>,
    pub(crate) at_ms: i64,
    pub(crate) offset_ms: i64,
    pub(crate) limit: usize,
}

impl Alerts {
    /// Takes in what holds now; hands back the samples of `ALERTS` and `ALERTS_FOR_STATE`.
    pub(crate) fn evaluate(&mut self, moment: &Moment<'_>) -> Result<Vec<Found>, String> {
        let (rule, at_ms) = (moment.rule, moment.at_ms);
        let found = moment.holding()?;
        for (labels, new) in &found {
            match self.active.entry(labels.clone()) {
                Entry::Occupied(mut known) if known.get().state != AlertState::Inactive => {
                    let known = known.get_mut();
                    known.value = new.value;
                    known.annotations.clone_from(&new.annotations);
                }
                Entry::Occupied(mut known) => *known.get_mut() = new.clone(),
                Entry::Vacant(place) => {
                    place.insert(new.clone());
                }
            }
        }
        let (mut samples, mut count) = (Vec::new(), 0);
        let restored = self.restored;
        self.active.retain(|labels, alert| {
            let (kept, told) = alert.go_on(found.contains_key(labels), at_ms, moment.alerting);
            if told {
                count += 1;
                if restored {
                    samples.extend(own_samples(rule, labels, alert));
                }
            }
            kept
        });
        if moment.limit > 0 && count > moment.limit {
            self.active.clear();
            return Err(format!("exceeded limit of {} with {count} alerts", moment.limit));
        }
        Ok(samples)
    }

    /// Those that an Alertmanager must hear of now; they count as told.
    pub(crate) fn take_due(&mut self, at_ms: i64, interval_ms: i64, settings: &Settings, expr: &str) -> Vec<SentAlert> {
        let resend_ms = settings.resend_delay_ms;
        let mut out = Vec::new();
        for (labels, alert) in &mut self.active {
            let due = alert.state != AlertState::Pending
                && (alert.resolved_at_ms > alert.sent_at_ms
                    || alert.sent_at_ms.is_none_or(|sent_at_ms| sent_at_ms + resend_ms < at_ms));
            if !due {
                continue;
            }
            alert.sent_at_ms = Some(at_ms);
            out.push(SentAlert {
                labels: labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at_ms: alert.fired_at_ms.unwrap_or(alert.active_at_ms),
                // Two evaluations or deliveries may fail.
                ends_at_ms: alert.resolved_at_ms.unwrap_or(at_ms + 4 * interval_ms.max(resend_ms)),
                generator_url: settings.external_url.clone() + &crate::functions::table_link(expr),
            });
        }
        out
    }

    /// The gravest state of any.
    pub(crate) fn state(&self) -> AlertState {
        self.active.values().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive)
    }

    pub(crate) fn told(&self) -> Vec<ActiveAlert> {
        let unresolved = self.active.iter().filter(|(_, alert)| alert.resolved_at_ms.is_none());
        let told = |(labels, alert): (&Labels, &Alert)| ActiveAlert {
            labels: labels.clone(),
            annotations: alert.annotations.clone(),
            state: alert.state,
            active_at_ms: alert.active_at_ms,
            keep_firing_since_ms: alert.keep_firing_since_ms,
            value: alert.value,
        };
        unresolved.map(told).collect()
    }
}

impl Moment<'_> {
    /// The alerts for which the expression holds, as if each were new.
    fn holding(&self) -> Result<BTreeMap<Labels, Alert>, String> {
        let mut alerts = BTreeMap::new();
        let engine = &self.settings.engine;
        for sample in self.over.ask(engine, &self.rule.expr, self.at_ms - self.offset_ms)? {
            let value = match &sample.value {
                PointValue::Float(value) => *value,
                PointValue::Histogram(_) => 0.0,
            };
            let expander = Expander::new(&self.rule.name, &sample, self.settings, self.over, self.at_ms);
            let mut labels = sample.labels.to_builder();
            labels.remove("__name__");
            for (name, template) in &self.templates.labels {
                labels.set(&**name, expander.expand(template));
            }
            labels.set("alertname", &*self.rule.name);
            let annotations = self.templates.annotations.iter();
            let annotations = annotations.map(|(name, text)| (name.clone(), expander.expand(text))).collect();
            let alert = Alert {
                annotations,
                state: AlertState::Pending,
                value,
                active_at_ms: self.at_ms,
                fired_at_ms: None,
                resolved_at_ms: None,
                sent_at_ms: None,
                keep_firing_since_ms: None,
            };
            if alerts.insert(labels.build(), alert).is_some() {
                return Err("vector contains metrics with the same labelset after applying alert labels".to_owned());
            }
        }
        Ok(alerts)
    }
}

impl Alert {
    /// Whether it is remembered further, and whether it is pending or firing now.
    fn go_on(&mut self, holds: bool, at_ms: i64, rule: &Alerting) -> (bool, bool) {
        if holds {
            self.keep_firing_since_ms = None;
        } else {
            let mut keeps_firing = false;
            if self.state == AlertState::Firing && rule.keep_firing_for_ms > 0 {
                let since_ms = *self.keep_firing_since_ms.get_or_insert(at_ms);
                keeps_firing = at_ms - since_ms < rule.keep_firing_for_ms;
            }
            let is_old = self.resolved_at_ms.is_some_and(|resolved_at_ms| at_ms - resolved_at_ms > RESOLVED_KEPT_MS);
            let kept = self.state != AlertState::Pending && !is_old;
            if self.state != AlertState::Inactive && !keeps_firing {
                self.state = AlertState::Inactive;
                self.resolved_at_ms = Some(at_ms);
            }
            if !keeps_firing {
                return (kept, false);
            }
        }
        let held_ms = at_ms - self.active_at_ms;
        if self.state == AlertState::Pending && held_ms >= rule.for_ms {
            self.state = AlertState::Firing;
            self.fired_at_ms = Some(at_ms);
        }
        // `for` has become longer.
        if self.state == AlertState::Firing && held_ms < rule.for_ms {
            self.state = AlertState::Pending;
            (self.fired_at_ms, self.sent_at_ms, self.keep_firing_since_ms) = (None, None, None);
        }
        (true, true)
    }
}

fn own_samples(rule: &RuleSpec, labels: &Labels, alert: &Alert) -> [Found; 2] {
    // The rule's own come first as they are written: one whose template came to nothing stays so, as in Prometheus.
    let mut all = Labels::from_pairs(rule.labels.iter().map(|(name, value)| (&**name, &**value))).to_builder();
    for (name, value) in labels.iter() {
        all.set(name, value);
    }
    all.set("alertname", &*rule.name).set("__name__", "ALERTS_FOR_STATE");
    let since = PointValue::Float(alert.active_at_ms.div_euclid(1000) as f64);
    let for_state = Found { labels: all.clone().build(), value: since };
    all.set("__name__", "ALERTS").set("alertstate", alert.state.as_str());
    [Found { labels: all.build(), value: PointValue::Float(1.0) }, for_state]
}
