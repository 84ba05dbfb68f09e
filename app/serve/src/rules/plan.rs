//! What a `prometheus.yml` says of rules and of the Alertmanagers that hear of alerts: `rule_files`, `alerting`, and their part of `global`. Files of rules
//! are read with it, whole or not at all. It evaluates nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use app_adapt::faults_told;
use app_config::{ConfigError, Node, Value};
use base_explain::Report;
use base_http::HttpConfig;
use base_world::World;
use observe_ingest::relabel::{Relabel, RelabelConfig};
use observe_ingest::scrape::{PromDuration, TargetGroup};
use observe_rules::RuleFile;
use serde::Deserialize;

use crate::scrape::HttpFetch;

const RULE_FILE_BYTES_MAX: u64 = 16 << 20;
const ALERTING_KEYS: [&str; 2] = ["alertmanagers", "alert_relabel_configs"];
const MANAGER_KEYS: [&str; 5] = ["static_configs", "scheme", "path_prefix", "timeout", "api_version"];
const GLOBAL_KEYS: [&str; 3] = ["evaluation_interval", "rule_query_offset", "external_labels"];

/// Rules to be evaluated and whom to tell; empty by default.
#[derive(Clone, Default)]
pub(crate) struct RulePlan {
    /// With their paths, as they are named to whoever asks.
    pub(crate) files: Vec<(String, RuleFile)>,
    pub(crate) interval_ms: Option<i64>,
    pub(crate) query_offset_ms: i64,
    pub(crate) external_labels: BTreeMap<String, String>,
    pub(crate) managers: Vec<Manager>,
    pub(crate) relabel: Arc<Relabel>,
}

/// One Alertmanager.
#[derive(Clone)]
pub(crate) struct Manager {
    /// Where alerts are posted.
    pub(crate) url: String,
    pub(crate) timeout_ms: u64,
    pub(crate) fetch: Arc<HttpFetch>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Global {
    evaluation_interval: Option<PromDuration>,
    rule_query_offset: PromDuration,
    external_labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(default)]
struct ManagerConfig {
    static_configs: Vec<TargetGroup>,
    scheme: String,
    path_prefix: String,
    timeout: PromDuration,
    api_version: String,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        ManagerConfig {
            static_configs: Vec::new(),
            scheme: "http".to_owned(),
            path_prefix: String::new(),
            timeout: PromDuration { ms: 10_000 },
            api_version: "v2".to_owned(),
        }
    }
}

impl RulePlan {
    /// Reads it from the root of a scrape configuration that lies in `folder`; `http_keys` are those of a client.
    pub(crate) fn read(root: &Node, folder: &Path, http_keys: &[&'static str]) -> Result<Self, ConfigError> {
        let global: Global =
            root.get("global").map(|node| node.only(&GLOBAL_KEYS).read()).transpose()?.unwrap_or_default();
        let mut plan = RulePlan {
            interval_ms: global.evaluation_interval.map(|interval| interval.ms).filter(|ms| *ms > 0),
            query_offset_ms: global.rule_query_offset.ms,
            external_labels: global.external_labels,
            ..RulePlan::default()
        };
        let world = World::real();
        for node in list(root, "rule_files")? {
            let pattern: String = node.read()?;
            plan.read_files(&world, folder, node, &pattern)?;
        }
        if let Some(alerting) = root.get("alerting") {
            alerting.check_keys(&ALERTING_KEYS)?;
            for node in list(alerting, "alertmanagers")? {
                plan.read_managers(node, folder, http_keys)?;
            }
            let configs = list(alerting, "alert_relabel_configs")?;
            configs.iter().try_for_each(|config| config.check_keys(RelabelConfig::KNOWN_KEYS))?;
            let configs: Vec<RelabelConfig> = configs.iter().map(Node::read).collect::<Result<_, _>>()?;
            let placed = |report: Report| ConfigError::new(alerting.origin.on(report));
            plan.relabel = Arc::new(Relabel::compile(&configs).map_err(|error| placed(Report::of(&error)))?);
        }
        Ok(plan)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.managers.is_empty()
    }

    fn read_files(&mut self, world: &World, folder: &Path, node: &Node, pattern: &str) -> Result<(), ConfigError> {
        let placed = |report: Report| ConfigError::new(node.origin.on(report));
        if let Some(hint) = app_adapt::not_understood(pattern) {
            let report = Report::new(format!("the pattern `{pattern}` is not understood"));
            return Err(placed(report.hint(hint)));
        }
        let found = app_adapt::expand(world, &folder.join(pattern));
        for path in found {
            if !world.disk.exists(&path).map_err(|error| placed(Report::of(&error)))? {
                // As in Prometheus, whose files may come later.
                tracing::warn!("no file of rules is at {}", path.display());
                continue;
            }
            let named = path.display().to_string();
            let bytes = world.disk.read(&path, RULE_FILE_BYTES_MAX).map_err(|error| placed(Report::of(&error)))?;
            let text =
                String::from_utf8(bytes).map_err(|_| placed(Report::new(format!("{named} is not UTF-8 text"))))?;
            let file = RuleFile::parse(&text).map_err(|faults| ConfigError::new(faults_told(&path, &text, &faults)))?;
            if !self.files.iter().any(|(known, _)| *known == named) {
                self.files.push((named, file));
            }
        }
        Ok(())
    }

    fn read_managers(&mut self, node: &Node, folder: &Path, http_keys: &[&'static str]) -> Result<(), ConfigError> {
        let placed = |report: Report| ConfigError::new(node.origin.on(report));
        let known: Vec<&str> = MANAGER_KEYS.iter().copied().chain(http_keys.iter().copied()).collect();
        node.check_keys(&known)?;
        for group in list(node, "static_configs")? {
            group.check_keys(&["targets", "labels"])?;
        }
        let config: ManagerConfig = node.only(&MANAGER_KEYS).read()?;
        let http: HttpConfig = node.only(http_keys).read()?;
        if config.api_version != "v2" {
            let report = Report::new(format!("`api_version: {}` is not known", config.api_version));
            return Err(placed(report.hint("Alertmanager has v2 only since 0.27")));
        }
        if !matches!(config.scheme.as_str(), "http" | "https") {
            let report = Report::new(format!("`scheme: {}` is not known", config.scheme));
            return Err(placed(report.hint("http or https")));
        }
        let fetch = Arc::new(HttpFetch::new(http, folder).map_err(|error| placed(Report::of(&error)))?);
        let prefix = config.path_prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        for target in config.static_configs.iter().flat_map(|group| &group.targets) {
            if target.contains('/') {
                let report = Report::new(format!("`{target}` is not a host and port"));
                return Err(placed(report.hint("`scheme` and `path_prefix` have keys of their own")));
            }
            self.managers.push(Manager {
                url: format!("{}://{target}{prefix}/api/v2/alerts", config.scheme),
                timeout_ms: u64::try_from(config.timeout.ms).unwrap_or(0).max(1),
                fetch: fetch.clone(),
            });
        }
        Ok(())
    }
}

/// The items under a key, which must be a list.
fn list<'n>(node: &'n Node, key: &str) -> Result<&'n [Node], ConfigError> {
    let Some(found) = node.get(key) else { return Ok(&[]) };
    match found.value {
        Value::List(_) | Value::Null => Ok(found.items()),
        _ => Err(ConfigError::new(found.origin.on(Report::new(format!("`{key}` is a list"))))),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scrape::ScrapePlan;

    fn check(text: &str, expected: &str) {
        let error = ScrapePlan::parse(Path::new("prometheus.yml"), text).err().map(|error| error.to_string());
        assert_eq!(error.as_deref().unwrap_or("good"), expected, "{text}");
    }

    #[test]
    fn what_cannot_be_heeded_is_named_with_its_place() {
        let managers = |keys: &str| format!("alerting:\n  alertmanagers:\n  - {keys}\n");
        check("rule_files: [nowhere/*.yml, nowhere.yml]\nglobal: { evaluation_interval: 5s }\n", "good");
        check(&managers("{ static_configs: [{ targets: ['am:9093'] }], path_prefix: /x, timeout: 1s }"), "good");
        check("rule_files: a.yml\n", "`rule_files` is a list (at prometheus.yml:1:13)");
        check(
            "rule_files: ['*/a.yml']\n",
            "the pattern `*/a.yml` is not understood (at prometheus.yml:1:14); one `*` may stand in the last part of a path",
        );
        check(
            "alerting: { alertmanager: [] }\n",
            "unknown key `alertmanager` (at prometheus.yml:1:13); did you mean `alertmanagers`?",
        );
        check(
            &managers("kubernetes_sd_configs: []"),
            "unknown key `kubernetes_sd_configs` (at prometheus.yml:3:5); one of static_configs, scheme, path_prefix, timeout, api_version, basic_auth, authorization, follow_redirects, tls_config is known here",
        );
        check(
            &managers("api_version: v1"),
            "`api_version: v1` is not known (at prometheus.yml:3:5); Alertmanager has v2 only since 0.27",
        );
        check(&managers("scheme: ftp"), "`scheme: ftp` is not known (at prometheus.yml:3:5); http or https");
        check(
            &managers("static_configs: [{ targets: ['http://am:9093'] }]"),
            "`http://am:9093` is not a host and port (at prometheus.yml:3:5); `scheme` and `path_prefix` have keys of their own",
        );
        check(
            "alerting:\n  alert_relabel_configs: [{ action: hashmod, target_label: x }]\n",
            "relabel rule 1: action hashmod needs a `modulus` above 0 (at prometheus.yml:2:3)",
        );
    }
}
