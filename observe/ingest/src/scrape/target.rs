//! From a configuration to the targets it means: defaults, labels, relabelling, URL, and when each is due.

use base_signal::Labels;

use super::config::{GlobalConfig, ScrapeConfig, TargetGroup};
use super::units::PromDuration;
use crate::discovery::Group;
use crate::relabel::{LabelMap, Relabel, RelabelError};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeConfigError {
    #[error("a scrape config without a job_name")]
    NoJobName,
    #[error("job {job:?}: scrape_timeout {timeout} is longer than scrape_interval {interval}")]
    TimeoutTooLong { job: String, timeout: String, interval: String },
    #[error("job {job:?}: scrape_interval and scrape_timeout must be above 0")]
    ZeroInterval { job: String },
    #[error("job {job:?}: scheme {scheme:?} is neither http nor https")]
    Scheme { job: String, scheme: String },
    #[error("job {job:?}, {list}: {error}")]
    Relabel { job: String, list: &'static str, error: RelabelError },
}

/// A scrape config that can be run.
#[derive(Clone, Debug)]
pub struct ScrapeJob {
    pub config: ScrapeConfig,
    pub interval: PromDuration,
    pub timeout: PromDuration,
    relabel: Relabel,
    pub(super) metric_relabel: Relabel,
}

/// One thing to scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The labels every one of its series carries.
    pub labels: Labels,
    /// Everything known before relabelling, for the targets page.
    pub discovered: Labels,
    pub url: String,
    pub interval_ms: i64,
    pub timeout_ms: i64,
}

/// Targets of one job, each once, and what became of the rest.
#[derive(Clone, Debug, Default)]
pub struct TargetSet {
    pub active: Vec<Target>,
    /// Labels of targets that a rule dropped.
    pub dropped: Vec<Labels>,
    /// Targets that cannot be scraped, in words.
    pub errors: Vec<String>,
}

impl ScrapeJob {
    pub fn new(global: &GlobalConfig, config: &ScrapeConfig) -> Result<Self, ScrapeConfigError> {
        let job = config.job_name.clone();
        if job.is_empty() {
            return Err(ScrapeConfigError::NoJobName);
        }
        if !matches!(config.scheme.as_str(), "http" | "https") {
            return Err(ScrapeConfigError::Scheme { job, scheme: config.scheme.clone() });
        }
        let interval = config.scrape_interval.unwrap_or(global.scrape_interval);
        // A timeout nobody chose for this job shrinks to its interval; a chosen one must fit.
        let timeout = config.scrape_timeout.unwrap_or(global.scrape_timeout.min(interval));
        if interval.ms <= 0 || timeout.ms <= 0 {
            return Err(ScrapeConfigError::ZeroInterval { job });
        }
        if timeout > interval {
            let (timeout, interval) = (timeout.to_string(), interval.to_string());
            return Err(ScrapeConfigError::TimeoutTooLong { job, timeout, interval });
        }
        let compile = |list: &'static str, rules| {
            Relabel::compile(rules).map_err(|error| ScrapeConfigError::Relabel { job: job.clone(), list, error })
        };
        let relabel = compile("relabel_configs", &config.relabel_configs)?;
        let metric_relabel = compile("metric_relabel_configs", &config.metric_relabel_configs)?;
        Ok(ScrapeJob { config: config.clone(), interval, timeout, relabel, metric_relabel })
    }

    /// The targets of these groups: static ones, and those of files.
    pub fn targets<'g>(&self, groups: impl IntoIterator<Item = &'g TargetGroup>) -> TargetSet {
        let mut set = TargetSet::default();
        for group in groups {
            for address in &group.targets {
                let mut labels: LabelMap = group.labels.clone();
                labels.insert("__address__".to_owned(), address.clone());
                self.add(labels, &mut set);
            }
        }
        let (active, error) = self.joined([&set]);
        set.active = active.into_iter().cloned().collect();
        set.errors.extend(error);
        set
    }

    /// The targets of a group that discovery found, each perhaps also in another group: see [`ScrapeJob::joined`].
    pub fn found(&self, group: &Group) -> TargetSet {
        let mut set = TargetSet::default();
        for own in &group.targets {
            let all = group.labels.iter().chain(own.iter());
            self.add(all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), &mut set);
        }
        set
    }

    /// All active targets of the job, each once; none, and a sentence, when they are more than `target_limit`.
    pub fn joined<'s>(&self, sets: impl IntoIterator<Item = &'s TargetSet>) -> (Vec<&'s Target>, Option<String>) {
        let mut seen = ahash::HashSet::default();
        let mut active: Vec<&Target> = sets.into_iter().flat_map(|set| &set.active).collect();
        active.retain(|target| seen.insert((&target.labels, target.url.as_str())));
        let (found, limit) = (active.len(), self.config.target_limit);
        if limit == 0 || found <= limit {
            return (active, None);
        }
        let error = format!("job {:?}: {found} targets, more than target_limit {limit}", self.config.job_name);
        (Vec::new(), Some(error))
    }

    fn add(&self, labels: LabelMap, set: &mut TargetSet) {
        let discovered = self.discovered(labels);
        let mut labels = discovered.clone();
        if !self.relabel.apply(&mut labels) {
            set.dropped.push(Labels::from_pairs(discovered));
            return;
        }
        let address = discovered.get("__address__").cloned().unwrap_or_default();
        match self.target(labels, discovered) {
            Ok(target) => set.active.push(target),
            Err(why) => set.errors.push(format!("job {:?}, target {address:?}: {why}", self.config.job_name)),
        }
    }

    fn discovered(&self, mut labels: LabelMap) -> LabelMap {
        labels.retain(|_, value| !value.is_empty());
        let mut default = |name: &str, value: String| {
            labels.entry(name.to_owned()).or_insert(value);
        };
        default("job", self.config.job_name.clone());
        default("__scrape_interval__", self.interval.to_string());
        default("__scrape_timeout__", self.timeout.to_string());
        default("__metrics_path__", self.config.metrics_path.clone());
        default("__scheme__", self.config.scheme.clone());
        for (name, values) in &self.config.params {
            if let Some(first) = values.first() {
                default(&format!("__param_{name}"), first.clone());
            }
        }
        labels.retain(|_, value| !value.is_empty());
        labels
    }

    fn target(&self, mut labels: LabelMap, discovered: LabelMap) -> Result<Target, String> {
        let get = |name: &str| labels.get(name).map_or("", String::as_str);
        let address = get("__address__").to_owned();
        if address.is_empty() || address.contains(['/', ' ']) {
            return Err(format!("{address:?} is not an address: host:port is wanted, without a scheme or path"));
        }
        let scheme = get("__scheme__");
        if !matches!(scheme, "http" | "https") {
            return Err(format!("scheme {scheme:?} is neither http nor https"));
        }
        let duration = |name: &str| PromDuration::parse(get(name)).map_err(|e| format!("{name}: {e}"));
        let (interval, timeout) = (duration("__scrape_interval__")?, duration("__scrape_timeout__")?);
        if timeout.ms <= 0 || timeout > interval {
            return Err(format!("timeout {timeout} must be above 0 and not longer than the interval {interval}"));
        }
        let url = self.url(scheme, &address, &labels);
        labels.entry("instance".to_owned()).or_insert(address);
        labels.retain(|name, _| !name.starts_with("__"));
        Ok(Target {
            labels: Labels::from_pairs(labels),
            discovered: Labels::from_pairs(discovered),
            url,
            interval_ms: interval.ms,
            timeout_ms: timeout.ms,
        })
    }

    fn url(&self, scheme: &str, address: &str, labels: &LabelMap) -> String {
        let path = labels.get("__metrics_path__").map_or("", String::as_str);
        let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
        let mut params = self.config.params.clone();
        for (name, value) in labels {
            if let Some(name) = name.strip_prefix("__param_") {
                let values = params.entry(name.to_owned()).or_default();
                match values.first_mut() {
                    Some(first) => first.clone_from(value),
                    None => values.push(value.clone()),
                }
            }
        }
        let pairs = params.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        let query: Vec<_> = pairs.map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        let mark = match (query.is_empty(), path.contains('?')) {
            (true, _) => "",
            (false, false) => "?",
            (false, true) => "&",
        };
        format!("{scheme}://{address}{slash}{path}{mark}{}", query.join("&"))
    }
}

/// A query's name or value (RFC 3986: what is not unreserved is percent-encoded).
fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

impl Target {
    /// Whether it is scraped in the same way, whatever else is known of it.
    pub fn is_same(&self, other: &Target) -> bool {
        (&self.labels, &self.url) == (&other.labels, &other.url)
            && (self.interval_ms, self.timeout_ms) == (other.interval_ms, other.timeout_ms)
    }

    /// A number that is the same for the same target in every process: FNV-1a of labels and URL.
    pub fn hash(&self) -> u64 {
        let bytes = self.labels.as_bytes().iter().chain(self.url.as_bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// The first moment at or after `now_ms` at which the target is due. Targets are spread over the interval by their
    /// hash, and keep their place over restarts; `seed` tells replicas apart. Later scrapes follow every interval.
    pub fn first_scrape_ms(&self, now_ms: i64, seed: u64) -> i64 {
        let interval = self.interval_ms.max(1);
        let offset = ((self.hash() ^ seed) % interval as u64) as i64;
        let base = now_ms - now_ms.rem_euclid(interval) + offset;
        if base < now_ms { base + interval } else { base }
    }
}
