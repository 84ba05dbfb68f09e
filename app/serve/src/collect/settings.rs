//! The sections `forward` and `collect` of `apm.yaml`: where to, and what of this node.

use std::path::PathBuf;

use app_config::{ByteSize, ConfigError, Tree, Value};
use base_explain::Report;
use observe_forward::Way;
use observe_ingest::tail::MultilineRule;
use observe_wire::otlp::Signal;
use serde::Deserialize;

/// Where everything goes: the address of an engine, or one for each protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardSettings {
    Engine(String),
    Each(Each),
}

/// Addresses as those who take it document them; what has none is not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "the address of an engine, or a map of `prometheus`, `loki` and `otlp`"
)]
pub struct Each {
    /// Of remote write, such as `https://…/api/v1/write`.
    pub prometheus: Option<String>,
    /// Of the server; the path of its push API is added.
    pub loki: Option<String>,
    /// Of the server, as in `OTEL_EXPORTER_OTLP_ENDPOINT`; `/v1/traces` and its like are added.
    pub otlp: Option<String>,
}

/// What a collector is, beside `server` and `observe`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct CollectSettings {
    /// The node's name; its ports are open to others then.
    pub node: Option<String>,
    /// Where the kubelet keeps the logs of pods; tailed when given.
    pub pod_logs: Option<PathBuf>,
    /// Which lines of pods are one record.
    pub multiline: Vec<MultilineRule>,
    /// The node's root directory, where that is not ours.
    pub host_root: Option<PathBuf>,
    /// A file with the token for where it goes.
    pub token_file: Option<PathBuf>,
    /// Of all queues together, on the disk.
    pub queue_size: ByteSize,
}

impl ForwardSettings {
    /// What the tree says under `forward`.
    pub fn read(tree: &Tree) -> Result<Self, ConfigError> {
        match tree.node("forward").map(|node| &node.value) {
            Some(Value::Scalar { .. }) => tree.section("forward").map(ForwardSettings::Engine),
            _ => tree.section("forward").map(ForwardSettings::Each),
        }
    }
}

impl Default for CollectSettings {
    fn default() -> Self {
        CollectSettings {
            node: None,
            pod_logs: None,
            multiline: Vec::new(),
            host_root: None,
            token_file: None,
            queue_size: ByteSize(1 << 30),
        }
    }
}

/// Below this a request of the largest size would not fit in beside the files that are in use.
pub(crate) const QUEUE_SIZE_MIN: u64 = 64 << 20;

/// The ways out that there are, each with its URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Routes {
    pub(crate) urls: Vec<(Way, String)>,
}

impl Routes {
    pub(crate) fn has(&self, way: Way) -> bool {
        self.urls.iter().any(|(known, _)| *known == way)
    }

    pub(crate) fn of(settings: &ForwardSettings) -> Result<Self, Report> {
        let each = match settings {
            // An engine takes all of it in the form in which it came.
            ForwardSettings::Engine(url) => {
                let base = address(url)?;
                let otlp = [Signal::Metrics, Signal::Logs, Signal::Traces].map(|signal| otlp(base, signal));
                let mut urls = vec![
                    (Way::RemoteWrite, format!("{base}/api/v1/write")),
                    (Way::LokiPush, format!("{base}/loki/api/v1/push")),
                ];
                urls.extend(otlp);
                return Ok(Routes { urls });
            }
            ForwardSettings::Each(each) => each.clone(),
        };
        let mut urls = Vec::new();
        if let Some(url) = &each.prometheus {
            urls.push((Way::RemoteWrite, address(url)?.to_owned()));
        }
        if let Some(url) = &each.loki {
            let url = address(url)?;
            let path = if url.ends_with("/push") { "" } else { "/loki/api/v1/push" };
            urls.push((Way::LokiPush, format!("{url}{path}")));
        }
        if let Some(url) = &each.otlp {
            let base = address(url)?;
            // Who takes OTLP beside a Prometheus or a Loki is a store of traces: the other signals have a home.
            let homed = [(Signal::Metrics, each.prometheus.is_some()), (Signal::Logs, each.loki.is_some())];
            let homeless = homed.into_iter().filter(|(_, has_home)| !has_home).map(|(signal, _)| signal);
            urls.extend(homeless.chain([Signal::Traces]).map(|signal| otlp(base, signal)));
        }
        if urls.is_empty() {
            return Err(Report::new("there is nowhere to forward to")
                .hint("give `--forward http://ENGINE:4300`, or `forward:` in apm.yaml"));
        }
        Ok(Routes { urls })
    }
}

fn otlp(base: &str, signal: Signal) -> (Way, String) {
    (Way::Otlp(signal), format!("{base}/v1/{}", signal.as_str()))
}

/// Without a slash at its end.
fn address(url: &str) -> Result<&str, Report> {
    let good =
        ["http://", "https://"].iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    match good {
        true => Ok(url.trim_end_matches('/')),
        false => Err(Report::new(format!("`{url}` is no address to forward to"))
            .hint("write it as `http://HOST:PORT` or `https://…`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, expect: &[&str]) {
        let mut tree = app_config::Tree::default();
        tree.add_file("apm.yaml", yaml, &|_: &str| None).unwrap();
        let routes = ForwardSettings::read(&tree).map_err(|error| error.to_string());
        let routes = routes.and_then(|settings| Routes::of(&settings).map_err(|report| report.one_line()));
        let shown = match routes {
            Ok(routes) => routes.urls.iter().map(|(way, url)| format!("{} {url}", way.as_str())).collect(),
            Err(why) => vec![why],
        };
        assert_eq!(shown, expect, "{yaml}");
    }

    #[test]
    fn where_everything_goes() {
        check(
            "forward: http://apm-engine:4300/\n",
            &[
                "remote-write http://apm-engine:4300/api/v1/write",
                "loki-push http://apm-engine:4300/loki/api/v1/push",
                "otlp-metrics http://apm-engine:4300/v1/metrics",
                "otlp-logs http://apm-engine:4300/v1/logs",
                "otlp-traces http://apm-engine:4300/v1/traces",
            ],
        );
        check(
            "forward: { prometheus: 'https://p/api/v1/write', loki: 'http://l:3100', otlp: 'http://jaeger:4318' }\n",
            &[
                "remote-write https://p/api/v1/write",
                "loki-push http://l:3100/loki/api/v1/push",
                "otlp-traces http://jaeger:4318/v1/traces",
            ],
        );
        check(
            "forward: { otlp: 'http://gateway:4318' }\n",
            &[
                "otlp-metrics http://gateway:4318/v1/metrics",
                "otlp-logs http://gateway:4318/v1/logs",
                "otlp-traces http://gateway:4318/v1/traces",
            ],
        );
        check("forward: { loki: 'http://l/own/push' }\n", &["loki-push http://l/own/push"]);
        let nowhere = "there is nowhere to forward to; give `--forward http://ENGINE:4300`, or `forward:` in apm.yaml";
        check("project: shop\n", &[nowhere]);
        check("forward: {}\n", &[nowhere]);
        check(
            "forward: engine:4300\n",
            &["`engine:4300` is no address to forward to; write it as `http://HOST:PORT` or `https://…`"],
        );
    }
}
