//! What a group tells of itself, and the alerts that it hands out. Decides nothing.

use std::collections::BTreeMap;

use base_signal::Labels;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertState {
    /// Not evaluated yet.
    #[default]
    Unknown,
    Inactive,
    Pending,
    Firing,
}

impl AlertState {
    pub fn as_str(self) -> &'static str {
        match self {
            AlertState::Unknown => "unknown",
            AlertState::Inactive => "inactive",
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
        }
    }
}

/// How the last evaluation of a rule went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Unknown,
    Good,
    /// With its error.
    Bad(String),
}

/// One alert that is pending or firing. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveAlert {
    pub labels: Labels,
    pub annotations: BTreeMap<String, String>,
    pub state: AlertState,
    /// Since when its expression holds.
    pub active_at_ms: i64,
    /// Since when it only fires because of `keep_firing_for`.
    pub keep_firing_since_ms: Option<i64>,
    pub value: f64,
}

/// A group as it stood after its last evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupState {
    pub name: String,
    pub file: String,
    pub interval_ms: i64,
    pub limit: usize,
    pub rules: Vec<RuleState>,
    /// How long the last evaluation took.
    pub took_s: f64,
    /// `None` before the first.
    pub evaluated_at_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RuleState {
    pub name: String,
    pub expr: String,
    /// As they are written.
    pub labels: BTreeMap<String, String>,
    pub health: Health,
    pub took_s: f64,
    pub evaluated_at_ms: Option<i64>,
    pub of: OfRule,
}

#[derive(Clone, Debug, PartialEq)]
pub enum OfRule {
    Recording,
    Alerting {
        state: AlertState,
        for_ms: i64,
        keep_firing_for_ms: i64,
        /// As they are written.
        annotations: BTreeMap<String, String>,
        alerts: Vec<ActiveAlert>,
    },
}

/// An alert as Alertmanager is told of it. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct SentAlert {
    pub labels: Labels,
    pub annotations: BTreeMap<String, String>,
    pub starts_at_ms: i64,
    /// When it ended, or until when it is to be believed without hearing of it again.
    pub ends_at_ms: i64,
    pub generator_url: String,
}
