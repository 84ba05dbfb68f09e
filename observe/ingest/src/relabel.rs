//! Prometheus's relabelling: rules that rewrite, keep or drop a label set.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>. Knows label sets as maps,
//! nothing of targets or samples.

mod md5;

use std::collections::BTreeMap;

use base_signal::Pattern;
use serde::Deserialize;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    #[default]
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

/// One rule as written in `relabel_configs`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RelabelConfig {
    pub source_labels: Vec<String>,
    pub separator: String,
    pub regex: String,
    pub modulus: u64,
    pub target_label: String,
    pub replacement: String,
    pub action: Action,
}

impl RelabelConfig {
    /// The keys of one rule, for whoever warns of others.
    pub const KNOWN_KEYS: &'static [&'static str] =
        &["source_labels", "separator", "regex", "modulus", "target_label", "replacement", "action"];
}

const ANY: &str = "(.*)";

impl Default for RelabelConfig {
    fn default() -> Self {
        RelabelConfig {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: ANY.to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: Action::Replace,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("relabel rule {number}: {reason}")]
pub struct RelabelError {
    /// From 1.
    pub number: usize,
    pub reason: String,
}

/// Label names to values; an empty value is the same as no label.
pub type LabelMap = BTreeMap<String, String>;

/// Rules ready to be applied in order.
#[derive(Clone, Debug, Default)]
pub struct Relabel {
    rules: Vec<(RelabelConfig, Pattern)>,
}

impl Relabel {
    pub fn compile(configs: &[RelabelConfig]) -> Result<Self, RelabelError> {
        let rule = |(i, config): (usize, &RelabelConfig)| {
            let error = |reason: String| RelabelError { number: i + 1, reason };
            if let Some(problem) = problem(config) {
                return Err(error(problem));
            }
            let pattern = Pattern::anchored(&config.regex).map_err(|e| error(e.to_string()))?;
            Ok((config.clone(), pattern))
        };
        configs.iter().enumerate().map(rule).collect::<Result<_, _>>().map(|rules| Relabel { rules })
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Applies all rules; false means the set is dropped (`labels` is then of no use).
    pub fn apply(&self, labels: &mut LabelMap) -> bool {
        self.rules.iter().all(|(config, pattern)| one(config, pattern, labels))
    }
}

/// What the documentation asks of each action.
fn problem(config: &RelabelConfig) -> Option<String> {
    use Action::*;
    let action = format!("{:?}", config.action).to_lowercase();
    let default = RelabelConfig::default();
    let wants_target = matches!(config.action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual);
    if wants_target && config.target_label.is_empty() {
        return Some(format!("action {action} needs a `target_label`"));
    }
    if config.action == HashMod && config.modulus == 0 {
        return Some("action hashmod needs a `modulus` above 0".to_owned());
    }
    if matches!(config.action, Lowercase | Uppercase) && config.replacement != default.replacement {
        return Some(format!("action {action} takes no `replacement`"));
    }
    let only_source_and_target = RelabelConfig {
        source_labels: config.source_labels.clone(),
        target_label: config.target_label.clone(),
        action: config.action,
        ..default.clone()
    };
    if matches!(config.action, KeepEqual | DropEqual) && *config != only_source_and_target {
        return Some(format!("action {action} takes only `source_labels` and `target_label`"));
    }
    let only_regex = RelabelConfig { regex: config.regex.clone(), action: config.action, ..default };
    if matches!(config.action, LabelDrop | LabelKeep) && *config != only_regex {
        return Some(format!("action {action} takes only `regex`"));
    }
    None
}

fn set(labels: &mut LabelMap, name: String, value: String) {
    if value.is_empty() {
        labels.remove(&name);
    } else {
        labels.insert(name, value);
    }
}

fn one(config: &RelabelConfig, pattern: &Pattern, labels: &mut LabelMap) -> bool {
    let get = |name: &String| labels.get(name).map_or("", String::as_str);
    let value = config.source_labels.iter().map(get).collect::<Vec<_>>().join(&config.separator);
    let target = || labels.get(&config.target_label).map_or("", String::as_str);
    match config.action {
        Action::Keep => return pattern.is_match(&value),
        Action::Drop => return !pattern.is_match(&value),
        Action::KeepEqual => return target() == value,
        Action::DropEqual => return target() != value,
        Action::Replace => {
            let Some(captures) = pattern.regex().captures(&value) else { return true };
            let (mut name, mut replaced) = (String::new(), String::new());
            captures.expand(&config.target_label, &mut name);
            captures.expand(&config.replacement, &mut replaced);
            if !name.is_empty() {
                set(labels, name, replaced);
            }
        }
        Action::Lowercase => set(labels, config.target_label.clone(), value.to_lowercase()),
        Action::Uppercase => set(labels, config.target_label.clone(), value.to_uppercase()),
        Action::HashMod => {
            let hash = md5::last_half(value.as_bytes());
            set(labels, config.target_label.clone(), (hash % config.modulus.max(1)).to_string());
        }
        Action::LabelMap => {
            let mut mapped = Vec::new();
            for (name, value) in labels.iter() {
                if let Some(captures) = pattern.regex().captures(name) {
                    let mut new_name = String::new();
                    captures.expand(&config.replacement, &mut new_name);
                    mapped.push((new_name, value.clone()));
                }
            }
            mapped.into_iter().filter(|(name, _)| !name.is_empty()).for_each(|(name, value)| set(labels, name, value));
        }
        Action::LabelDrop => labels.retain(|name, _| !pattern.is_match(name)),
        Action::LabelKeep => labels.retain(|name, _| pattern.is_match(name)),
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Labels are `a=1 b=2`; `expect` too, or `dropped`.
    fn check(rules: Value, labels: &str, expect: &str) {
        let configs: Vec<RelabelConfig> = serde_json::from_value(rules.clone()).unwrap();
        let mut map: LabelMap = labels
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .map(|(n, v)| (n.into(), v.into()))
            .collect();
        let kept = Relabel::compile(&configs).unwrap().apply(&mut map);
        let shown: Vec<_> = map.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let shown = if kept { shown.join(" ") } else { "dropped".to_owned() };
        assert_eq!(shown, expect, "{rules} on {labels}");
    }

    #[test]
    fn every_action() {
        let a = json!(["a"]);
        check(json!([{"source_labels": a, "target_label": "b"}]), "a=1", "a=1 b=1");
        check(json!([{"target_label": "b", "replacement": "x"}]), "a=1", "a=1 b=x");
        check(
            json!([{"source_labels": ["a", "b"], "regex": "(.*);f(.*)", "target_label": "${1}_t", "replacement": "$2-$1"}]),
            "a=foo b=fee",
            "a=foo b=fee foo_t=ee-foo",
        );
        check(json!([{"source_labels": a, "regex": "x", "target_label": "a", "replacement": ""}]), "a=x b=1", "b=1");
        check(json!([{"source_labels": a, "regex": "f", "target_label": "b"}]), "a=foo", "a=foo");
        check(json!([{"source_labels": ["missing"], "target_label": "b"}]), "a=1 b=2", "a=1");
        check(json!([{"source_labels": a, "regex": "1|2", "action": "keep"}]), "a=2", "a=2");
        check(json!([{"source_labels": a, "regex": "1|2", "action": "keep"}]), "a=12", "dropped");
        check(json!([{"source_labels": a, "regex": "1", "action": "drop"}]), "a=1", "dropped");
        check(json!([{"source_labels": a, "target_label": "b", "action": "keepequal"}]), "a=1 b=1", "a=1 b=1");
        check(json!([{"source_labels": a, "target_label": "b", "action": "keepequal"}]), "a=1 b=2", "dropped");
        check(json!([{"source_labels": a, "target_label": "b", "action": "dropequal"}]), "a=1 b=1", "dropped");
        check(
            json!([{"source_labels": a, "target_label": "u", "action": "uppercase"}, {"source_labels": ["u"], "target_label": "l", "action": "lowercase"}]),
            "a=fOo",
            "a=fOo l=foo u=FOO",
        );
        check(json!([{"regex": "meta_(.+)", "action": "labelmap"}]), "meta_x=1 b=2", "b=2 meta_x=1 x=1");
        check(json!([{"regex": "meta_.+", "action": "labeldrop"}]), "meta_x=1 b=2", "b=2");
        check(json!([{"regex": "meta_.+", "action": "labelkeep"}]), "meta_x=1 b=2", "meta_x=1");
        // The number is Prometheus's own (relabel_test.go).
        check(
            json!([{"source_labels": ["c"], "target_label": "d", "separator": ";", "action": "hashmod", "modulus": 1000}]),
            "a=foo b=bar c=baz",
            "a=foo b=bar c=baz d=976",
        );
    }

    #[test]
    fn rules_that_cannot_be_meant() {
        for (rule, expect) in [
            (json!({}), "relabel rule 1: action replace needs a `target_label`"),
            (
                json!({"action": "hashmod", "target_label": "x"}),
                "relabel rule 1: action hashmod needs a `modulus` above 0",
            ),
            (
                json!({"action": "labeldrop", "target_label": "x"}),
                "relabel rule 1: action labeldrop takes only `regex`",
            ),
            (json!({"action": "keep", "regex": "("}), "relabel rule 1: error parsing regexp: unclosed group: `(`"),
        ] {
            let config: RelabelConfig = serde_json::from_value(rule).unwrap();
            assert_eq!(Relabel::compile(&[config]).unwrap_err().to_string(), expect);
        }
    }
}
