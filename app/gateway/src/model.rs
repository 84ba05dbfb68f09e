//! What a front is told and what it tells: the upstreams with their weights, and how each of them does. Plain data.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// More upstreams than this in one set are refused: each has its own checks and connections.
pub(crate) const UPSTREAMS_MAX: usize = 64;
const WEIGHT_MAX: u32 = 10_000;

/// Where requests may go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Unique in a set; the label of metrics.
    pub name: String,
    /// `HOST:PORT`; a host's name is looked up at each new connection.
    pub address: String,
    /// Its share among the weights of all; 0 is checked but gets nothing.
    #[serde(default = "one")]
    pub weight: u32,
    #[serde(default)]
    pub protocol: Protocol,
    /// None: only failed connections tell that it is ill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// Takes nothing new, whatever its weight.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
}

impl Upstream {
    /// Without a check, of the protocol that each request asks for.
    pub fn new(name: impl Into<String>, address: impl Into<String>, weight: u32) -> Self {
        let (name, address) = (name.into(), address.into());
        Upstream { name, address, weight, protocol: Protocol::Auto, check: None, draining: false }
    }
}

fn one() -> u32 {
    1
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// h2c for gRPC, else HTTP/1.1.
    #[default]
    Auto,
    Http1,
    /// HTTP/2 with prior knowledge, without TLS.
    H2,
}

/// An active check: a GET on `http`, or a connection alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Check {
    /// The path to GET; any 2xx or 3xx is well. None: a TCP connection is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    /// So many good answers in a row make it healthy.
    pub healthy_after: u32,
    /// So many bad ones in a row make it unhealthy.
    pub unhealthy_after: u32,
}

impl Default for Check {
    fn default() -> Self {
        Check { http: None, interval_ms: 1_000, timeout_ms: 1_000, healthy_after: 2, unhealthy_after: 3 }
    }
}

/// A wish to switch: all upstreams at once, from the generation that the caller has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Refused as stale unless it is the front's own.
    pub generation: u64,
    pub upstreams: Vec<Upstream>,
}

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The process that answers.
    pub pid: u32,
    /// The address that clients reach, with the port that was taken.
    pub listen: String,
    /// Grows by one with each change.
    pub generation: u64,
    /// The set in force, in its order; after it those that have left it and still hold requests.
    pub upstreams: Vec<UpstreamStatus>,
}

/// One upstream and how it does now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamStatus {
    #[serde(flatten)]
    pub upstream: Upstream,
    pub healthy: bool,
    /// Of the last check or connection that failed; gone when it is healthy again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Requests, tunnels and raw connections that have begun and not ended.
    pub in_flight: u64,
    /// No longer in the set: it ends what it has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("{count} upstreams are more than the {UPSTREAMS_MAX} that a front takes")]
    TooMany { count: usize },
    #[error("the upstream name `{name}` cannot be used: write 1 to 64 letters, digits, `-`, `_` or `.`")]
    Name { name: String },
    #[error("the upstream `{name}` is there twice; names are unique in a set")]
    Twice { name: String },
    #[error("the address `{address}` of {name} is not HOST:PORT")]
    Address { name: String, address: String },
    #[error("the weight {weight} of {name} is above {WEIGHT_MAX}")]
    Weight { name: String, weight: u32 },
    #[error("the check of {name}: {what}")]
    Check { name: String, what: &'static str },
}

/// Whether a front can take this set as a whole.
pub(crate) fn validate(upstreams: &[Upstream]) -> Result<(), ModelError> {
    if upstreams.len() > UPSTREAMS_MAX {
        return Err(ModelError::TooMany { count: upstreams.len() });
    }
    let mut names = BTreeSet::new();
    for upstream in upstreams {
        let name = upstream.name.clone();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(ModelError::Name { name });
        }
        if !names.insert(&upstream.name) {
            return Err(ModelError::Twice { name });
        }
        let address = &upstream.address;
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(char::is_whitespace));
        if port.and_then(|(_, port)| port.parse::<u16>().ok()).is_none_or(|port| port == 0) || address.len() > 260 {
            return Err(ModelError::Address { name, address: address.clone() });
        }
        if upstream.weight > WEIGHT_MAX {
            return Err(ModelError::Weight { name, weight: upstream.weight });
        }
        if let Some(check) = &upstream.check {
            let path_ok =
                check.http.as_ref().is_none_or(|path| path.starts_with('/') && !path.contains(char::is_whitespace));
            let what = if check.interval_ms < 10 || check.timeout_ms < 1 {
                "interval_ms is at least 10 and timeout_ms at least 1"
            } else if check.interval_ms > 3_600_000 || check.timeout_ms > 3_600_000 {
                "interval_ms and timeout_ms are at most an hour"
            } else if check.healthy_after == 0 || check.unhealthy_after == 0 {
                "healthy_after and unhealthy_after are at least 1"
            } else if !path_ok {
                "http is a path that begins with `/`"
            } else {
                continue;
            };
            return Err(ModelError::Check { name, what });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: &str) {
        let upstreams: Vec<Upstream> = serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
        let answer = validate(&upstreams).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(answer.contains(expect) && expect.is_empty() == answer.is_empty(), "{json}: `{answer}`");
    }

    #[test]
    fn a_set_is_refused_as_a_whole_with_its_reason() {
        check("[]", "");
        check(r#"[{"name":"blue","address":"127.0.0.1:80"},{"name":"green","address":"[::1]:80","weight":0}]"#, "");
        check(r#"[{"name":"blue","address":"a:80"},{"name":"blue","address":"b:80"}]"#, "is there twice");
        check(r#"[{"name":"","address":"a:80"}]"#, "cannot be used");
        check(r#"[{"name":"b\"lue","address":"a:80"}]"#, "cannot be used");
        check(r#"[{"name":"blue","address":"a"}]"#, "not HOST:PORT");
        check(r#"[{"name":"blue","address":":80"}]"#, "not HOST:PORT");
        check(r#"[{"name":"blue","address":"a:0"}]"#, "not HOST:PORT");
        check(r#"[{"name":"blue","address":"a:65536"}]"#, "not HOST:PORT");
        check(r#"[{"name":"blue","address":"a:1","weight":10001}]"#, "above 10000");
        check(r#"[{"name":"blue","address":"a:1","check":{"interval_ms":1}}]"#, "at least 10");
        check(r#"[{"name":"blue","address":"a:1","check":{"http":"healthz"}}]"#, "begins with `/`");
        check(r#"[{"name":"blue","address":"a:1","check":{"healthy_after":0}}]"#, "at least 1");
    }
}
