//! What the judge says: as data, and as text for a person. Judges nothing itself.

use serde::{Deserialize, Serialize};

use crate::settings::{Direction, Metric, Rule};

pub(crate) mod numbers;
mod render;

/// What is to be done with the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The bake is not over and nothing is clear yet: ask again.
    Continue,
    Pass,
    /// Undo it.
    Fail,
    /// The bake is over and the data do not say.
    Inconclusive,
}

/// How one metric came out, as Kayenta calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    Pass,
    /// Worse by being higher.
    High,
    /// Worse by being lower.
    Low,
    /// There are data, and they do not say yet.
    Unsure,
    /// The answer came and was empty.
    NoData,
    /// No answer came.
    Unknown,
}

/// How a value is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// 0 to 1, shown in percent, differences in points.
    Share,
    Seconds,
    PerSecond,
    Count,
    Number,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    Service,
    Container,
    Host,
    Checks,
}

/// One metric judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// A [`Metric`]'s name, or that of a user's check.
    pub name: String,
    pub layer: Layer,
    pub direction: Direction,
    pub unit: Unit,
    pub new: Option<f64>,
    /// What it would have been without the release.
    pub old: Option<f64>,
    /// Worse by so much, in the direction that counts: a ratio (0.3 is 30 %), or the plain difference for shares and counts.
    pub effect: Option<f64>,
    /// The effect lies between these with 95 % confidence.
    pub effect_low: Option<f64>,
    pub effect_high: Option<f64>,
    /// Mann-Whitney over windows (errors: over-dispersed proportions): chance of so large a difference when both are alike.
    pub p_value: Option<f64>,
    pub weight: f64,
    pub critical: bool,
    pub outcome: Mark,
    /// Why, where numbers do not say it.
    pub note: String,
    pub questions: Vec<String>,
}

/// 0 to 100, by the weights of those of its metrics that are known; `None` when none is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerScore {
    pub layer: Layer,
    pub score: Option<f64>,
}

/// A chart to look at: a question that was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    pub label: String,
    pub question: String,
}

/// The judgement at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub outcome: Outcome,
    /// Why, with numbers.
    pub sentence: String,
    /// In the order of layers, the critical first.
    pub metrics: Vec<Judged>,
    /// Over the layers that have one, the weakest of them.
    pub score: Option<f64>,
    pub layers: Vec<LayerScore>,
    /// Unix milliseconds: start of the first window in which people were hurt by what failed.
    pub hurt_since_ms: Option<i64>,
    /// From then to now; 0 when nobody was.
    pub hurt_ms: i64,
    pub links: Vec<Link>,
    /// What the reader should know of how it was judged.
    pub notes: Vec<String>,
    pub at_ms: i64,
    /// When nothing is decided: ask again after so many milliseconds.
    pub again_ms: Option<i64>,
}

impl Judged {
    /// Nothing is known of it yet.
    pub(crate) fn of(metric: Metric, rule: &Rule, layer: Layer, unit: Unit, questions: Vec<String>) -> Self {
        Judged {
            name: metric.name().into(),
            layer,
            direction: rule.direction,
            unit,
            new: None,
            old: None,
            effect: None,
            effect_low: None,
            effect_high: None,
            p_value: None,
            weight: rule.weight,
            critical: rule.critical,
            outcome: Mark::NoData,
            note: String::new(),
            questions,
        }
    }
}

impl Verdict {
    /// A metric's line.
    pub fn metric(&self, metric: Metric) -> Option<&Judged> {
        self.metrics.iter().find(|judged| judged.name == metric.name())
    }
}

impl Mark {
    pub(crate) fn is_worse(self) -> bool {
        matches!(self, Mark::High | Mark::Low)
    }
}
