//! `http_sd_configs`: what an answer of a web service means. After <https://prometheus.io/docs/prometheus/latest/http_sd/>. It asks nobody.

use base_signal::LabelsBuilder;
use serde::Deserialize;

use super::Group;
use crate::scrape::{PromDuration, TargetGroup};

/// Where to ask, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct HttpSdConfig {
    pub url: String,
    pub refresh_interval: PromDuration,
}

impl Default for HttpSdConfig {
    fn default() -> Self {
        HttpSdConfig { url: String::new(), refresh_interval: PromDuration { ms: 60_000 } }
    }
}

impl HttpSdConfig {
    /// What is wrong with it, in Prometheus's words.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.url.is_empty() {
            return Err("URL is missing");
        }
        let rest = ["http://", "https://"].iter().find_map(|scheme| self.url.strip_prefix(scheme));
        match rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default()) {
            None => Err("URL scheme must be 'http' or 'https'"),
            Some("") => Err("host is missing in URL"),
            Some(_) => Ok(()),
        }
    }

    /// The groups of an answer, each told from the others by its place in it.
    pub fn groups(&self, body: &[u8]) -> Result<Vec<Group>, String> {
        let told: Vec<TargetGroup> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let group = |(at, told): (usize, TargetGroup)| {
            let mut labels = LabelsBuilder::default();
            for (name, value) in &told.labels {
                labels.set(name, value);
            }
            labels.set("__meta_url", &self.url);
            let target = |address: &String| {
                let mut labels = LabelsBuilder::default();
                labels.set("__address__", address);
                labels.build()
            };
            Group {
                source: format!("{}:{at}", self.url),
                targets: told.targets.iter().map(target).collect(),
                labels: labels.build(),
            }
        };
        Ok(told.into_iter().enumerate().map(group).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_groups() {
        let config = HttpSdConfig { url: "http://sd/targets".into(), ..HttpSdConfig::default() };
        let body = br#"[{"targets": ["a:1", "b:2"], "labels": {"team": "x", "__meta_zone": "n"}}, {"targets": []}]"#;
        let found = config.groups(body).expect("groups");
        let shown: Vec<String> = found[0].targets.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["{__address__=\"a:1\"}", "{__address__=\"b:2\"}"]);
        assert_eq!(found[0].labels.to_string(), "{__meta_url=\"http://sd/targets\", __meta_zone=\"n\", team=\"x\"}");
        assert_eq!(
            (found[0].source.as_str(), found[1].source.as_str()),
            ("http://sd/targets:0", "http://sd/targets:1")
        );
        assert!(found[1].targets.is_empty());
        for bad in [&b"{}"[..], b"[{\"targets\": 7}]", b"[", b"[{\"targets\": [\"a:1\"], \"labels\": {\"x\": 1}}]"] {
            assert!(config.groups(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn an_address_must_be_one() {
        for (url, expect) in [
            ("", Err("URL is missing")),
            ("ftp://x", Err("URL scheme must be 'http' or 'https'")),
            ("http://", Err("host is missing in URL")),
            ("https:///targets", Err("host is missing in URL")),
            ("https://sd.example.org/targets?x=1", Ok(())),
        ] {
            assert_eq!(HttpSdConfig { url: url.into(), ..HttpSdConfig::default() }.check(), expect, "{url}");
        }
    }
}
