//! `http_sd_configs` while they run: a web service is asked every now and then, and what it told last holds while it does not answer. What an answer
//! means is in `observe/ingest`.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use observe_ingest::discovery::http::HttpSdConfig;
use observe_ingest::discovery::{Changes, Discover, Group};

use super::fetch::HttpFetch;

/// One of them, with how to log in.
pub(crate) struct HttpSd {
    pub(crate) config: HttpSdConfig,
    pub(crate) fetch: HttpFetch,
}

impl PartialEq for HttpSd {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config && self.fetch.is_alike(&other.fetch)
    }
}

impl Eq for HttpSd {}

impl Hash for HttpSd {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.config.hash(state);
    }
}

pub(super) struct HttpTargets {
    of: Arc<HttpSd>,
    /// Sources that were told last.
    known: BTreeSet<String>,
    asked: bool,
}

impl HttpTargets {
    pub(super) fn new(of: Arc<HttpSd>) -> Self {
        HttpTargets { of, known: BTreeSet::new(), asked: false }
    }

    async fn ask(&self) -> Result<Vec<Group>, String> {
        let HttpSdConfig { url, refresh_interval } = &self.of.config;
        let seconds = (refresh_interval.ms as f64 / 1000.0).to_string();
        let headers = [("accept", "application/json"), ("x-prometheus-refresh-interval-seconds", seconds.as_str())];
        let answer = self.of.fetch.json(url, &headers).await?;
        self.of.config.groups(&answer)
    }
}

impl Discover for HttpTargets {
    async fn next(&mut self) -> Changes {
        if self.asked {
            let pause_ms = u64::try_from(self.of.config.refresh_interval.ms).unwrap_or(0).max(1_000);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        let answer = self.ask().await;
        self.asked = true;
        match answer {
            Ok(mut groups) => {
                let told: BTreeSet<String> = groups.iter().map(|group| group.source.clone()).collect();
                groups.extend(self.known.difference(&told).cloned().map(Group::empty));
                self.known = told;
                Changes { groups, complete: true, troubles: BTreeSet::new() }
            }
            Err(why) => Changes { troubles: [why].into(), ..Changes::default() },
        }
    }
}
