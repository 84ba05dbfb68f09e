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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::path::Path;

    use base_http::HttpConfig;
    use observe_ingest::scrape::PromDuration;

    use super::*;

    /// Answers one request after the other with these.
    fn service(answers: Vec<(&'static str, &'static str, &'static str)>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/targets", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            for (status, kind, body) in answers {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let _ = stream.read(&mut [0; 4096]);
                let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n");
                let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
            }
        });
        url
    }

    #[tokio::test]
    async fn what_was_told_holds_until_something_else_is_told() {
        let url = service(vec![
            ("200 OK", "application/json; charset=utf-8", r#"[{"targets": ["a:1"]}, {"targets": ["b:1"]}]"#),
            ("503 Service Unavailable", "application/json", "[]"),
            ("200 OK", "text/html", "<p>"),
            ("200 OK", "application/json", "["),
            ("200 OK", "application/json", r#"[{"targets": ["c:1"]}]"#),
        ]);
        let config = HttpSdConfig { url: url.clone(), refresh_interval: PromDuration { ms: 1 } };
        let fetch = HttpFetch::new(HttpConfig::default(), Path::new("/")).expect("a client");
        let of = Arc::new(HttpSd { config, fetch });
        assert!(of == of.clone(), "the same settings are one discovery");
        let mut targets = HttpTargets::new(of);
        let told = targets.next().await;
        let sources: Vec<_> = told.groups.iter().map(|group| group.source.as_str()).collect();
        assert_eq!((sources, told.complete), (vec![&*format!("{url}:0"), &*format!("{url}:1")], true));
        for why in ["server returned HTTP status 503", "unsupported content type \"text/html\"", "EOF while parsing"] {
            let told = targets.next().await;
            assert!(told.groups.is_empty() && !told.complete);
            assert!(told.troubles.iter().any(|trouble| trouble.contains(why)), "{why}: {:?}", told.troubles);
        }
        let told = targets.next().await;
        assert_eq!(told.groups.len(), 2);
        assert!(told.groups[1].targets.is_empty(), "the second is gone");
    }
}
