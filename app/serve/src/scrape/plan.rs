//! `prometheus.yml` as what to scrape: read whole or not at all, every unknown key named with its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use app_config::{ConfigError, Node, Value, from_yaml};
use base_explain::Report;
use base_http::HttpConfig;
use base_world::World;
use observe_ingest::discovery::http::HttpSdConfig;
use observe_ingest::discovery::kubernetes::KubernetesSdConfig;
use observe_ingest::relabel::RelabelConfig;
use observe_ingest::scrape::{GlobalConfig, ScrapeConfig, ScrapeJob, Target, TargetGroup, TargetSet};

use super::fetch::HttpFetch;
use super::http_targets::HttpSd;
use super::told::Told;
use crate::rules::RulePlan;

/// Keys of a scrape config that are the HTTP client's.
const HTTP_KEYS: [&str; 4] = ["basic_auth", "authorization", "follow_redirects", "tls_config"];
/// Prometheus's; those that are not about scraping are let pass.
const GLOBAL_KEYS: [&str; 15] = [
    "scrape_interval",
    "scrape_timeout",
    "scrape_protocols",
    "evaluation_interval",
    "rule_query_offset",
    "query_log_file",
    "scrape_failure_log_file",
    "external_labels",
    "body_size_limit",
    "sample_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "target_limit",
    "keep_dropped_targets",
];
const GROUP_KEYS: [&str; 2] = ["targets", "labels"];
/// What the items of a scrape config's lists know.
const ITEM_KEYS: [(&str, &[&str]); 6] = [
    ("static_configs", &GROUP_KEYS),
    ("file_sd_configs", &["files", "refresh_interval"]),
    ("http_sd_configs", &["url", "refresh_interval", "basic_auth", "authorization", "follow_redirects", "tls_config"]),
    ("kubernetes_sd_configs", KubernetesSdConfig::KNOWN_KEYS),
    ("relabel_configs", RelabelConfig::KNOWN_KEYS),
    ("metric_relabel_configs", RelabelConfig::KNOWN_KEYS),
];
const DISCOVERY_BYTES_MAX: u64 = 16 << 20;

/// Jobs that can be run; empty by default.
#[derive(Clone, Default)]
pub struct ScrapePlan {
    jobs: Vec<Job>,
    /// Paths in the file are relative to this folder.
    folder: PathBuf,
    rules: RulePlan,
    told: Arc<Told>,
}

#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) job: Arc<ScrapeJob>,
    pub(crate) fetch: Arc<HttpFetch>,
    pub(crate) http_sd: Vec<Arc<HttpSd>>,
}

/// One target with all that is needed to scrape it.
#[derive(Clone)]
pub(crate) struct FoundTarget {
    pub(crate) job: Arc<ScrapeJob>,
    pub(crate) target: Target,
    pub(crate) fetch: Arc<HttpFetch>,
}

impl FoundTarget {
    /// Whether it is scraped in the same way, whatever other targets its job has.
    pub(crate) fn is_alike(&self, other: &FoundTarget) -> bool {
        self.target.is_same(&other.target) && is_alike((&self.job, &self.fetch), (&other.job, &other.fetch))
    }
}

fn is_alike(a: (&Arc<ScrapeJob>, &HttpFetch), b: (&Arc<ScrapeJob>, &HttpFetch)) -> bool {
    let settings = |job: &ScrapeJob| ScrapeConfig {
        static_configs: Vec::new(),
        file_sd_configs: Vec::new(),
        http_sd_configs: Vec::new(),
        kubernetes_sd_configs: Vec::new(),
        ..job.config.clone()
    };
    let same_job = Arc::ptr_eq(a.0, b.0) || settings(a.0) == settings(b.0);
    same_job && a.1.is_alike(b.1)
}

impl ScrapePlan {
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let root = from_yaml(&path.display().to_string(), text)?;
        if !matches!(root.value, Value::Map(_) | Value::Null) {
            let report = Report::new("a scrape configuration is a map of keys").hint("begin with `scrape_configs:`");
            return Err(ConfigError::new(root.origin.on(report)));
        }
        root.check_keys(&["global", "scrape_configs", "rule_files", "alerting"])?;
        root.get("global").map_or(Ok(()), |global| global.check_keys(&GLOBAL_KEYS))?;
        let global: GlobalConfig = root.get("global").map(Node::read).transpose()?.unwrap_or_default();
        let known: Vec<&str> = ScrapeConfig::KNOWN_KEYS.iter().copied().chain(HTTP_KEYS).collect();
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut jobs: Vec<Job> = Vec::new();
        let configs = root.get("scrape_configs");
        if let Some(node) = configs.filter(|node| !matches!(node.value, Value::List(_) | Value::Null)) {
            let report = Report::new("`scrape_configs` is a list").hint("begin each job with `- job_name: NAME`");
            return Err(ConfigError::new(node.origin.on(report)));
        }
        for node in configs.map(Node::items).unwrap_or_default() {
            node.check_keys(&known)?;
            for (list, keys) in ITEM_KEYS {
                check_items(node.get(list), keys)?;
            }
            let placed = |report: Report| ConfigError::new(node.origin.on(report));
            for found in node.get("kubernetes_sd_configs").map(Node::items).unwrap_or_default() {
                check_kubernetes(found)?;
            }
            let http_sd = node.get("http_sd_configs").map(Node::items).unwrap_or_default();
            let http_sd = http_sd.iter().map(|found| read_http(found, &folder)).collect::<Result<_, _>>()?;
            let config: ScrapeConfig = node.read()?;
            let http: HttpConfig = node.only(&HTTP_KEYS).read()?;
            if jobs.iter().any(|job| job.job.config.job_name == config.job_name) {
                let report = Report::new(format!("two scrape configs are called `{}`", config.job_name));
                return Err(placed(report.hint("give one of them another job_name")));
            }
            let job = ScrapeJob::new(&global, &config).map_err(|error| placed(Report::of(&error)))?;
            let fetch = HttpFetch::new(http, &folder).map_err(|error| placed(Report::of(&error)))?;
            jobs.push(Job { job: Arc::new(job), fetch: Arc::new(fetch), http_sd });
        }
        let rules = RulePlan::read(&root, &folder, &HTTP_KEYS)?;
        Ok(ScrapePlan { jobs, folder, rules, told: Arc::new(Told::of(text)) })
    }

    /// For whoever asks what is configured.
    pub(crate) fn told(&self) -> &Told {
        &self.told
    }

    /// What is evaluated, and who hears of alerts.
    pub(crate) fn rules(&self) -> &RulePlan {
        &self.rules
    }

    /// Whether it says more than what is to be scraped: a collector evaluates no rules.
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    pub(crate) fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// Paths in the file are relative to this folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A job's targets that the file itself names, or files that it names, as they are now; what cannot be read is told in sentences.
    pub(crate) fn fixed(&self, job: &ScrapeJob, world: &World, troubles: &mut BTreeSet<String>) -> TargetSet {
        let patterns = job.config.file_sd_configs.iter().flat_map(|discovery| &discovery.files);
        let files: Vec<TargetGroup> =
            patterns.flat_map(|pattern| groups(world, &self.folder.join(pattern), troubles)).collect();
        job.targets(job.config.static_configs.iter().chain(&files))
    }
}

/// What stands below the keys of a `kubernetes_sd_config`, and whether it can be meant as a whole.
fn check_kubernetes(node: &Node) -> Result<(), ConfigError> {
    for (key, keys) in KubernetesSdConfig::NESTED_KEYS {
        let below = node.get(key);
        below.map_or(Ok(()), |below| below.check_keys(keys))?;
        check_items(below, keys)?;
    }
    let config: KubernetesSdConfig = node.read()?;
    config.check().map(drop).map_err(|error| ConfigError::new(node.origin.on(Report::of(&error))))
}

/// An `http_sd_config` with its login.
fn read_http(node: &Node, folder: &Path) -> Result<Arc<HttpSd>, ConfigError> {
    let placed = |report: Report| ConfigError::new(node.origin.on(report));
    let config: HttpSdConfig = node.read()?;
    config.check().map_err(|why| placed(Report::new(format!("http_sd_configs: {why}"))))?;
    let http: HttpConfig = node.only(&HTTP_KEYS).read()?;
    let fetch = HttpFetch::new(http, folder).map_err(|error| placed(Report::of(&error)))?;
    Ok(Arc::new(HttpSd { config, fetch }))
}

fn check_items(list: Option<&Node>, known: &[&str]) -> Result<(), ConfigError> {
    list.map(Node::items).unwrap_or_default().iter().try_for_each(|item| item.check_keys(known))
}

fn groups(world: &World, pattern: &Path, troubles: &mut BTreeSet<String>) -> Vec<TargetGroup> {
    let read = |path: &Path| -> Result<Vec<TargetGroup>, String> {
        let bytes = world.disk.read(path, DISCOVERY_BYTES_MAX).map_err(|error| error.to_string())?;
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
        let groups = from_yaml(&path.display().to_string(), &text).and_then(|node| {
            check_items(Some(&node), &GROUP_KEYS)?;
            node.read()
        });
        groups.map_err(|error| error.to_string())
    };
    let mut found = Vec::new();
    for path in app_adapt::expand(world, pattern) {
        match read(&path) {
            Ok(groups) => found.extend(groups),
            Err(why) => {
                troubles.insert(format!("targets of {} cannot be read: {why}", path.display()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let error = ScrapePlan::parse(Path::new("prometheus.yml"), text).err().map(|error| error.to_string());
        assert_eq!(error.as_deref().unwrap_or("good"), expected);
    }

    #[test]
    fn files_are_read_whole_or_not_at_all() {
        check(
            "scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: p}\n  static_configs: [{targets: ['x:1']}]\n",
            "good",
        );
        let http = |keys: &str| format!("scrape_configs:\n- job_name: a\n  http_sd_configs:\n  - {keys}\n");
        check(&http("{url: 'http://sd/targets', basic_auth: {username: u, password: p}}"), "good");
        check(&http("{url: ''}"), "http_sd_configs: URL is missing (at prometheus.yml:4:5)");
        check(
            &http("{url: 'ftp://x'}"),
            "http_sd_configs: URL scheme must be 'http' or 'https' (at prometheus.yml:4:5)",
        );
        check(
            "scrape_configs:\n- job_name: a\n  scrape_intervall: 5s\n",
            "unknown key `scrape_intervall` (at prometheus.yml:3:3); did you mean `scrape_interval`?",
        );
        check(
            "scrape_configs:\n- job_name: a\n  static_configs:\n  - target: ['x:1']\n",
            "unknown key `target` (at prometheus.yml:4:5); did you mean `targets`?",
        );
        check(
            "global: { scrape_interva: 5s }\n",
            "unknown key `scrape_interva` (at prometheus.yml:1:11); did you mean `scrape_interval`?",
        );
        check("global: { evaluation_interval: 5s, external_labels: { site: ulm } }\n", "good");
        check("[1]\n", "a scrape configuration is a map of keys (at prometheus.yml:1:1); begin with `scrape_configs:`");
        check(
            "scrape_configs: { job_name: a }\n",
            "`scrape_configs` is a list (at prometheus.yml:1:17); begin each job with `- job_name: NAME`",
        );
        check(
            "remote_write: []\n",
            "unknown key `remote_write` (at prometheus.yml:1:1); one of global, scrape_configs, rule_files, alerting is known here",
        );
        check(
            "scrape_configs:\n- job_name: a\n  tls_config: {ca_file: nowhere.pem}\n",
            "`ca_file` of tls_config cannot be used: cannot open nowhere.pem: not found (at prometheus.yml:2:3)",
        );
        check(
            "scrape_configs:\n- job_name: a\n  tls_config: {ca_file: /dev/null}\n",
            "`ca_file` of tls_config cannot be used: there is nothing in PEM in it (at prometheus.yml:2:3)",
        );
        let found = |keys: &str| format!("scrape_configs:\n- job_name: a\n  kubernetes_sd_configs:\n  - {keys}\n");
        check(&found("role: pod\n    namespaces: { names: [shop] }"), "good");
        check(&found("role: pods"), "unknown value `pods` (at prometheus.yml:4:11); did you mean `pod`?");
        check(
            &found("role: pod\n    attach_metadata: { nodes: true }"),
            "unknown key `nodes` (at prometheus.yml:5:24); did you mean `node`?",
        );
        check(
            &found("role: pod\n    proxy_url: http://x"),
            "unknown key `proxy_url` (at prometheus.yml:5:5); one of role, api_server, kubeconfig_file, namespaces, selectors, attach_metadata, basic_auth, authorization, bearer_token, bearer_token_file, tls_config, follow_redirects is known here",
        );
        check(
            &found("api_server: https://x"),
            "a kubernetes_sd_config without a role (one of node, pod, service, endpoints, endpointslice, ingress) (at prometheus.yml:4:5)",
        );
        check(
            "scrape_configs:\n- job_name: a\n- job_name: a\n",
            "two scrape configs are called `a` (at prometheus.yml:3:3); give one of them another job_name",
        );
    }
}
