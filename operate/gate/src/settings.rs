//! How strict the judge is, in Kayenta's words, with defaults that need no tuning. Deserialises from `apm.yaml`.
//!
//! Knows no service. Each default's reason stands beside it; how they were found is in the decision's page.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration;

/// A setting that makes no sense.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{path} is {value}, and has to be {wanted}")]
pub struct SettingsError {
    pub path: String,
    pub value: String,
    pub wanted: &'static str,
}

/// All of them optional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a release is watched before it can pass.
    #[serde(with = "duration")]
    pub bake: Duration,
    /// How much of the time just before the release it is compared with.
    #[serde(with = "duration")]
    pub past: Duration,
    /// The same hour so many days before the release is looked at too.
    #[serde(alias = "daysBack")]
    pub days_back: Vec<u16>,
    /// Time between two samples of a series: the scrape or export interval. Windows are twice as long, at least 5 s.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// So long after the release latency is not judged: caches are cold. Errors always are.
    #[serde(with = "duration", alias = "warmUp")]
    pub warm_up: Duration,
    /// Requests a second below which a release cannot pass, only fail or stay inconclusive.
    #[serde(alias = "minTraffic")]
    pub min_traffic: f64,
    /// A latency below this is fast enough, whatever it was before: people do not notice, and buckets hardly tell.
    #[serde(with = "duration", alias = "fastEnough")]
    pub fast_enough: Duration,
    /// Fail as soon as it is clear.
    #[serde(alias = "earlyAbort")]
    pub early_abort: bool,
    /// Chance by which one look during the bake may be wrong. Small, because a bake has dozens of looks.
    #[serde(alias = "earlyAlpha")]
    pub early_alpha: f64,
    /// The same for the last look, when the release is held against its past …
    pub alpha: f64,
    /// … and when the old version serves beside it: what hits both cancels, so less can be mistaken for the release.
    #[serde(alias = "alphaBeside")]
    pub alpha_beside: f64,
    /// Mann-Whitney and the user's own series: what counts as different.
    pub significance: f64,
    /// A score below this fails even when no critical metric does …
    #[serde(alias = "marginalScore")]
    pub marginal_score: f64,
    /// … and one below this is inconclusive.
    #[serde(alias = "passScore")]
    pub pass_score: f64,
    /// New error patterns with fewer lines are not counted.
    #[serde(alias = "patternLinesMin")]
    pub pattern_lines_min: usize,
    /// What the engine asked calls things.
    pub names: Names,
    /// Changes of the rules for single metrics.
    pub metrics: BTreeMap<Metric, Change>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            bake: Duration::from_secs(300),
            past: Duration::from_secs(1800),
            days_back: vec![1, 7],
            interval: Duration::from_secs(5),
            warm_up: Duration::from_secs(10),
            min_traffic: 1.0,
            fast_enough: Duration::from_millis(10),
            early_abort: true,
            early_alpha: 0.0005,
            alpha: 0.2,
            alpha_beside: 0.25,
            significance: 0.02,
            marginal_score: 50.0,
            pass_score: 75.0,
            pattern_lines_min: 3,
            names: Names::default(),
            metrics: BTreeMap::new(),
        }
    }
}

/// Names on the wire: Tempo's, which our engine writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    pub calls: String,
    pub latency_bucket: String,
    /// Label of span metrics that names the service …
    pub service_label: String,
    /// … its version, where it is a dimension …
    pub version_label: String,
    /// … and its instance.
    pub instance_label: String,
    /// Stream label of logs that names the service.
    pub log_service_label: String,
    /// Label by which cAdvisor names a container.
    pub container_label: String,
    /// Regular expression of the span kinds that count: what the service answers, not what it asks of others.
    pub span_kinds: String,
}

impl Default for Names {
    fn default() -> Self {
        let text = |text: &str| text.to_owned();
        Names {
            calls: text("traces_spanmetrics_calls_total"),
            latency_bucket: text("traces_spanmetrics_latency_bucket"),
            service_label: text("service"),
            version_label: text("service_version"),
            instance_label: text("instance"),
            log_service_label: text("service_name"),
            container_label: text("name"),
            span_kinds: text("SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"),
        }
    }
}

/// What is judged of every service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    ErrorRate,
    LatencyP50,
    LatencyP95,
    LatencyP99,
    Throughput,
    LogErrors,
    Restarts,
    Cpu,
    Memory,
    HostCpu,
    HostMemory,
    HostDisk,
}

/// Which way is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    #[default]
    Increase,
    Decrease,
    Either,
}

/// What a NaN or a hole in a series means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NanStrategy {
    /// Nothing is known of that moment.
    #[default]
    Remove,
    /// Nothing happened: zero.
    Replace,
}

/// How one metric is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub direction: Direction,
    pub nan_strategy: NanStrategy,
    /// Without data the release cannot pass.
    pub must_have_data: bool,
    /// When this one fails, the release does.
    pub critical: bool,
    /// Among the metrics of its layer.
    pub weight: f64,
    /// So much worse is fine: a ratio (0.15 is +15 %), for error rate and saturation a share (0.01 is one point).
    pub allowed_increase: f64,
    /// So much worse is what must never pass unseen.
    pub critical_increase: f64,
}

impl Default for Rule {
    fn default() -> Self {
        Rule {
            direction: Direction::Increase,
            nan_strategy: NanStrategy::Remove,
            must_have_data: false,
            critical: false,
            weight: 1.0,
            allowed_increase: 0.15,
            critical_increase: 0.3,
        }
    }
}

/// A partial [`Rule`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    pub direction: Option<Direction>,
    #[serde(alias = "nanStrategy")]
    pub nan_strategy: Option<NanStrategy>,
    #[serde(alias = "mustHaveData")]
    pub must_have_data: Option<bool>,
    pub critical: Option<bool>,
    pub weight: Option<f64>,
    #[serde(alias = "allowedIncrease")]
    pub allowed_increase: Option<f64>,
    #[serde(alias = "criticalIncrease")]
    pub critical_increase: Option<f64>,
}

impl Settings {
    /// The rule of a metric: the built-in one, changed as `metrics` says.
    pub fn rule(&self, metric: Metric) -> Rule {
        let mut rule = built_in(metric);
        if let Some(change) = self.metrics.get(&metric) {
            rule.direction = change.direction.unwrap_or(rule.direction);
            rule.nan_strategy = change.nan_strategy.unwrap_or(rule.nan_strategy);
            rule.must_have_data = change.must_have_data.unwrap_or(rule.must_have_data);
            rule.critical = change.critical.unwrap_or(rule.critical);
            rule.weight = change.weight.unwrap_or(rule.weight);
            rule.allowed_increase = change.allowed_increase.unwrap_or(rule.allowed_increase);
            rule.critical_increase = change.critical_increase.unwrap_or(rule.critical_increase);
        }
        rule
    }

    /// Length of a window in milliseconds: two samples at least, so that one lost scrape leaves it a rate.
    pub(crate) fn step_ms(&self) -> i64 {
        (2 * duration::ms(self.interval)).clamp(5000, 3_600_000)
    }

    /// What serde cannot see: numbers out of range.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |path: &str, value: String, wanted| Err(SettingsError { path: path.into(), value, wanted });
        for (path, span, least) in [
            ("bake", self.bake, 10),
            ("past", self.past, 60),
            ("interval", self.interval, 1),
            ("warm_up", self.warm_up, 0),
        ] {
            if span.as_secs() < least || span.as_secs() > 86_400 {
                return wrong(path, duration::written(duration::ms(span)), "between a few seconds and a day");
            }
        }
        if self.fast_enough.as_secs() >= 60 {
            let value = duration::written(duration::ms(self.fast_enough));
            return wrong("fast_enough", value, "less than a minute; 0s where every millisecond counts");
        }
        for (path, share) in [
            ("alpha", self.alpha),
            ("alpha_beside", self.alpha_beside),
            ("early_alpha", self.early_alpha),
            ("significance", self.significance),
        ] {
            if !(share > 0.0 && share < 0.5) {
                return wrong(path, share.to_string(), "above 0 and below 0.5");
            }
        }
        if self.min_traffic.is_nan() || self.min_traffic < 0.0 {
            return wrong("min_traffic", self.min_traffic.to_string(), "0 or more requests a second");
        }
        if !(self.marginal_score >= 0.0 && self.pass_score >= self.marginal_score && self.pass_score <= 100.0) {
            let value = format!("{} (and marginal_score {})", self.pass_score, self.marginal_score);
            return wrong("pass_score", value, "between marginal_score and 100");
        }
        if self.days_back.len() > 14 || self.days_back.contains(&0) {
            return wrong("days_back", format!("{:?}", self.days_back), "at most 14 numbers of days, each 1 or more");
        }
        for metric in self.metrics.keys() {
            let rule = self.rule(*metric);
            let path = format!("metrics.{}", metric.name());
            if !(rule.weight >= 0.0 && rule.weight.is_finite()) {
                return wrong(&format!("{path}.weight"), rule.weight.to_string(), "0 or more");
            }
            if !(rule.allowed_increase >= 0.0 && rule.critical_increase > rule.allowed_increase) {
                let value = format!("{} (and allowed_increase {})", rule.critical_increase, rule.allowed_increase);
                return wrong(
                    &format!("{path}.critical_increase"),
                    value,
                    "larger than allowed_increase, and that 0 or more",
                );
            }
        }
        Ok(())
    }
}

/// Errors and p95 decide; the rest speaks with its weight.
fn built_in(metric: Metric) -> Rule {
    let rule = Rule::default();
    match metric {
        Metric::ErrorRate => Rule {
            must_have_data: true,
            critical: true,
            weight: 40.0,
            allowed_increase: 0.01,
            critical_increase: 0.02,
            ..rule
        },
        Metric::LatencyP95 => Rule { critical: true, weight: 25.0, ..rule },
        Metric::LatencyP50 => Rule { weight: 10.0, allowed_increase: 0.2, critical_increase: 0.4, ..rule },
        // Few requests stand behind it, so it only warns.
        Metric::LatencyP99 => Rule { weight: 5.0, allowed_increase: 0.3, critical_increase: 0.6, ..rule },
        // Traffic is the users' doing: only its collapse says something of the release.
        Metric::Throughput => Rule {
            direction: Direction::Decrease,
            critical: true,
            weight: 10.0,
            allowed_increase: 0.7,
            critical_increase: 0.9,
            ..rule
        },
        Metric::LogErrors => Rule { weight: 10.0, allowed_increase: 0.0, critical_increase: 1.0, ..rule },
        // One more restart may be chance; two in a bake are a crash loop.
        Metric::Restarts => {
            Rule { critical: true, weight: 50.0, allowed_increase: 1.0, critical_increase: 2.0, ..rule }
        }
        Metric::Cpu | Metric::HostCpu | Metric::HostMemory | Metric::HostDisk => {
            Rule { weight: 20.0, allowed_increase: 0.1, critical_increase: 0.2, ..rule }
        }
        Metric::Memory => Rule { weight: 30.0, allowed_increase: 0.1, critical_increase: 0.2, ..rule },
    }
}

impl Metric {
    /// As in `apm.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            Metric::ErrorRate => "error_rate",
            Metric::LatencyP50 => "latency_p50",
            Metric::LatencyP95 => "latency_p95",
            Metric::LatencyP99 => "latency_p99",
            Metric::Throughput => "throughput",
            Metric::LogErrors => "log_errors",
            Metric::Restarts => "restarts",
            Metric::Cpu => "cpu",
            Metric::Memory => "memory",
            Metric::HostCpu => "host_cpu",
            Metric::HostMemory => "host_memory",
            Metric::HostDisk => "host_disk",
        }
    }
}
