//! `apm up` on free ports in a home of its own.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::home::{Ended, Home, Started, until};
use crate::http::{Reply, ask, query};

/// An engine that is ready.
pub(crate) struct Engine {
    started: Started,
    pub(crate) url: String,
    pub(crate) otlp_http: String,
    pub(crate) otlp_grpc: String,
    token: Option<String>,
}

/// The words of `apm up` that let engines live beside each other.
pub(crate) const FREE_PORTS: [&str; 7] =
    ["up", "--listen", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"];

/// `apm up` on free ports with more words.
pub(crate) fn up(home: &Home, words: &[&str]) -> Command {
    let mut command = home.apm(&FREE_PORTS);
    command.args(words);
    command
}

impl Engine {
    pub(crate) fn start(home: &Home, words: &[&str]) -> Self {
        Self::start_as(home, &mut up(home, words), None)
    }

    /// Starts a command that is `apm up`; every request carries the token.
    pub(crate) fn start_as(home: &Home, command: &mut Command, token: Option<&str>) -> Self {
        let mut started = home.start(command);
        let output = |started: &Started| format!("{}{}", started.stdout(), started.stderr());
        until("the engine's greeting", String::new, || {
            let printed = started.stdout();
            assert!(!started.has_ended(), "the engine ended:\n{}", output(&started));
            printed.contains("Ctrl-C ends it.").then_some(())
        });
        let printed = started.stdout();
        // `  otlp   http://127.0.0.1:4318 http   127.0.0.1:4317 grpc`
        let words = |key: &str| -> Vec<String> {
            let line = printed.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap_or_default();
            line.split_whitespace().map(str::to_owned).collect()
        };
        let (page, otlp) = (words("page"), words("otlp"));
        let before = |kind: &str| {
            let at = otlp.iter().position(|word| word == kind);
            at.map(|at| otlp[at - 1].clone()).unwrap_or_default()
        };
        let (otlp_http, otlp_grpc) = (before("http"), before("grpc"));
        Engine { started, url: page[0].clone(), otlp_http, otlp_grpc, token: token.map(str::to_owned) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.started.pid()
    }

    pub(crate) fn process(&self) -> &Started {
        &self.started
    }

    /// The host and port of the page.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        ask(method, &format!("{}{path}", self.url), &headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.started.stderr()))
    }

    pub(crate) fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Reply {
        self.ask("GET", &format!("{path}{}", query(parameters)), "")
    }

    pub(crate) fn status(&self) -> Value {
        self.get("/apm/v1/status", &[]).json()
    }

    /// The only number of an instant query, or none.
    pub(crate) fn number(&self, query: &str) -> Option<f64> {
        let data = self.get("/api/v1/query", &[("query", query)]).json();
        data["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    /// Waits until an instant query answers so.
    pub(crate) fn becomes(&self, query: &str, expect: Option<f64>) {
        let shown = || format!("{:?}\n{}", self.number(query), self.started.stderr());
        until(&format!("`{query}` to be {expect:?}"), shown, || (self.number(query) == expect).then_some(()));
    }

    /// Sends an OTLP request as JSON to the port for it.
    pub(crate) fn send(&self, signal: &str, body: &Value) -> Reply {
        let json = [("content-type", "application/json")];
        ask("POST", &format!("{}/v1/{signal}", self.otlp_http), &json, &body.to_string()).expect("an answer")
    }

    /// SIGTERM, and the end.
    pub(crate) fn terminate(self) -> Ended {
        self.started.signal(Signal::TERM);
        self.started.ended()
    }
}

pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    u64::try_from(since.as_nanos()).expect("and before 2554")
}

fn resource(service: &str) -> Value {
    json!({"attributes": [{"key": "service.name", "value": {"stringValue": service}}]})
}

/// An OTLP request with one server span.
pub(crate) fn span(service: &str, trace_id: &str, name: &str, start_ns: u64) -> Value {
    json!({"resourceSpans": [{"resource": resource(service), "scopeSpans": [{"spans": [{
        "traceId": trace_id, "spanId": "00000000000000a1", "name": name, "kind": 2,
        "startTimeUnixNano": start_ns.to_string(), "endTimeUnixNano": (start_ns + 25_000_000).to_string()
    }]}]}]})
}

/// An OTLP request with one log line.
pub(crate) fn log(service: &str, line: &str, time_ns: u64) -> Value {
    json!({"resourceLogs": [{"resource": resource(service), "scopeLogs": [{"logRecords": [{
        "timeUnixNano": time_ns.to_string(), "severityText": "INFO", "body": {"stringValue": line}
    }]}]}]})
}

/// An OTLP request with one value of a gauge.
pub(crate) fn gauge(service: &str, name: &str, value: f64, time_ns: u64) -> Value {
    json!({"resourceMetrics": [{"resource": resource(service), "scopeMetrics": [{"metrics": [{
        "name": name, "gauge": {"dataPoints": [{"timeUnixNano": time_ns.to_string(), "asDouble": value}]}
    }]}]}]})
}
