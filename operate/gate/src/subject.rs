//! What is judged: one release of one service, and by which labels its two versions are told apart. Knows no answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::settings::Direction;

/// One release of one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subject {
    /// As in the label `service` of span metrics and `service_name` of logs.
    pub service: String,
    /// For the sentence; not a label of span metrics.
    pub environment: String,
    pub new: Side,
    pub old: Side,
    /// Unix milliseconds: when the new version got its first traffic.
    pub released_ms: i64,
    /// Both versions serve at once and can be told apart by `new` and `old`; else the release is compared with its own past.
    pub side_by_side: bool,
    /// More labels that every series and every log stream of this service has, and those of the hosts it runs on: `cluster`.
    pub matchers: BTreeMap<String, String>,
    /// Where telemetry has been for how long; days further back than this are not asked for. `None`: ask for all.
    pub known_since_ms: Option<i64>,
    /// `instance` of the hosts it runs on; empty: all that are seen.
    pub hosts: Vec<String>,
    pub checks: Vec<UserCheck>,
}

/// One of the two versions, and how its telemetry is recognised. All empty: it cannot be told apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Side {
    /// `service.version`.
    pub version: Option<String>,
    /// `service.instance.id` of its instances; wins over the version, which not every engine puts on span metrics.
    pub instances: Vec<String>,
    /// Names of its containers, for saturation and restarts.
    pub containers: Vec<String>,
}

/// A check from `apm.yaml`: exactly one of `promql`, `http` and `command`. The last two are run by somebody else; their result
/// comes as [`crate::Answer::Checked`] under [`UserCheck::id`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserCheck {
    pub name: String,
    /// An expression, held against `max` and `min`; without either against its own past, as Kayenta does.
    pub promql: Option<String>,
    /// Path or URL.
    pub http: Option<String>,
    pub command: Option<String>,
    /// The expression's mean over the bake must not be above.
    pub max: Option<f64>,
    /// … nor below.
    pub min: Option<f64>,
    pub direction: Direction,
    /// As a ratio of the past: 0.2 lets it grow by 20 %.
    #[serde(alias = "allowedIncrease")]
    pub allowed_increase: f64,
    /// One failing critical check fails the release.
    pub critical: bool,
    /// Among the checks.
    pub weight: f64,
}

impl Default for UserCheck {
    fn default() -> Self {
        UserCheck {
            name: String::new(),
            promql: None,
            http: None,
            command: None,
            max: None,
            min: None,
            direction: Direction::Increase,
            allowed_increase: 0.2,
            critical: true,
            weight: 1.0,
        }
    }
}

impl Side {
    /// Its series can be told from others'.
    pub(crate) fn tells(&self) -> bool {
        self.version.is_some() || !self.instances.is_empty()
    }

    /// What the sentence calls it.
    pub(crate) fn name<'a>(&'a self, otherwise: &'a str) -> &'a str {
        self.version.as_deref().unwrap_or(otherwise)
    }
}

impl UserCheck {
    /// Its id among questions and evidence.
    pub fn id(&self) -> String {
        format!("check.{}", self.label())
    }

    /// Its name, or what it does.
    pub fn label(&self) -> &str {
        let what = self.promql.as_deref().or(self.http.as_deref()).or(self.command.as_deref());
        if self.name.is_empty() { what.unwrap_or("check") } else { &self.name }
    }
}
