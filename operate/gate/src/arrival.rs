//! Whether the telemetry of new pods arrives: what has to be asked for their first sample, span and log line, and what the answers come to. Pure, as
//! the judge is: it knows no cluster and no clock. Who injected what is not known here either, only which signals are expected of whom.
//!
//! A pod is known by the resource attribute `k8s.pod.uid`: in a Prometheus as the label of `target_info`, in a Loki as stream label or structured
//! metadata, in a Jaeger as a tag of the process. What cannot be expected is not held against it: without a request there is no span, and a program
//! that logs nothing sends no line.

mod seen;

use serde::{Deserialize, Serialize};

use crate::ask::{Language, Question, escaped, quoted};
use crate::evidence::Evidence;
use seen::{Came, Seen};

/// Of so many pods the telemetry is asked for; one that arrives proves the way.
const INSTANCES_MAX: usize = 10;
/// Between two looks.
const AGAIN_MS: u64 = 2_000;
/// After the first sample, how long it is waited for what may never come.
const SETTLE_MS: i64 = 30_000;
/// Clocks of nodes and of whoever stores may differ by this.
const SKEW_MS: i64 = 30_000;
const HOUR_MS: i64 = 3_600_000;
const LINES_MAX: usize = 100;

/// What a pod may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    Metrics,
    Traces,
    Logs,
}

impl Signal {
    /// As in settings.
    pub fn word(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Traces => "traces",
            Signal::Logs => "logs",
        }
    }

    /// One of it.
    pub fn one(self) -> &'static str {
        match self {
            Signal::Metrics => "sample",
            Signal::Traces => "span",
            Signal::Logs => "log line",
        }
    }
}

/// What becomes of a release of which a signal did not come that may have had no reason to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unproven {
    /// It goes on, and that is said.
    #[default]
    Warn,
    /// A person is asked.
    Halt,
}

/// What is expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// `service.name`.
    pub service: String,
    pub signals: Vec<Signal>,
    /// Something calls its pods over HTTP even when nobody else does: the kubelet.
    #[serde(default)]
    pub probed: bool,
    /// Since the step began.
    pub within_ms: i64,
    #[serde(default)]
    pub unproven: Unproven,
    /// Who injects them is asked when they are admitted: what the pods say of themselves counts, `service` and `signals` only where they say nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admitted: bool,
}

/// A new pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub pod: String,
    pub uid: String,
    /// Unix milliseconds.
    pub begun_ms: i64,
}

/// What the answers come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// Ask again after this time.
    Wait { again_ms: u64, sentence: String },
    /// All that was expected.
    All { sentence: String },
    /// What did not come may have had no reason to.
    Quiet { sentence: String },
    /// What must have come did not.
    Missing { signals: Vec<Signal>, sentence: String },
    /// Nothing came at all.
    Nothing { signals: Vec<Signal>, sentence: String },
    /// Nobody could say.
    Unknown { sentence: String },
}

/// All that [`arrived`] wants to know at `now_ms`.
pub fn questions_arrival(arrival: &Arrival, instances: &[Instance], now_ms: i64) -> Vec<Question> {
    let instances = witnesses(instances);
    let begun_ms = instances.iter().map(|one| one.begun_ms).min().unwrap_or(now_ms);
    let start_ms = (begun_ms - SKEW_MS).clamp(now_ms - HOUR_MS, now_ms);
    let step_ms = ((now_ms - start_ms) / 500).max(1_000);
    let any = |name: fn(&Instance) -> &str| {
        let names: Vec<String> = instances.iter().map(|one| escaped(name(one))).collect();
        names.join("|")
    };
    let uids = quoted(&any(|one| &one.uid));
    let question = |id: String, language: Language, expression: String| {
        let (step_ms, limit) = match language {
            Language::Promql => (step_ms, 0),
            _ => (0, LINES_MAX),
        };
        let label = format!("telemetry of {} arrives", arrival.service);
        Question { id, label, language, expression, start_ms, end_ms: now_ms, step_ms, limit }
    };
    let mut asked = Vec::new();
    for signal in &arrival.signals {
        match signal {
            Signal::Metrics => {
                let expression = format!("min by (k8s_pod_uid) (target_info{{k8s_pod_uid=~{uids}}})");
                asked.push(question(id(Signal::Metrics, 0), Language::Promql, expression));
            }
            Signal::Logs => {
                // Who tails a file may name the pod with each line, and no service.
                let streams = quoted(&format!("{}|unknown_service", escaped(&arrival.service)));
                let expression = format!("{{service_name=~{streams}}} | k8s_pod_uid=~{uids}");
                asked.push(question(id(Signal::Logs, 0), Language::Logql, expression));
            }
            Signal::Traces => {
                for (at, one) in instances.iter().enumerate() {
                    let (service, uid) = (quoted(&arrival.service), quoted(&one.uid));
                    let expression = format!("{{\"service\":{service},\"k8s.pod.uid\":{uid}}}");
                    asked.push(question(id(Signal::Traces, at), Language::Jaeger, expression));
                }
                // What the agent counted: with requests and no span, spans do not come; without, there was nothing to make one of.
                let instances = quoted(&format!(".*({}).*", any(|one| &one.pod)));
                let counted = format!("sum({{__name__=~\"{COUNTED}\",instance=~{instances}}})");
                asked.push(question(REQUESTS.to_owned(), Language::Promql, counted));
            }
        }
    }
    asked
}

/// By OpenTelemetry's conventions for HTTP and RPC, the stable ones and those before, as Prometheus names them.
const COUNTED: &str = "(http|rpc)_server_(request_|call_)?duration(_milliseconds|_seconds)?_count";
const REQUESTS: &str = "arrival.requests";

fn id(signal: Signal, at: usize) -> String {
    match signal {
        Signal::Metrics => "arrival.metrics".to_owned(),
        Signal::Logs => "arrival.logs".to_owned(),
        Signal::Traces => format!("arrival.traces.{at}"),
    }
}

/// The newest: an older one may be on its way out.
fn witnesses(instances: &[Instance]) -> Vec<&Instance> {
    let mut all: Vec<_> = instances.iter().collect();
    all.sort_by(|a, b| (b.begun_ms, &a.pod).cmp(&(a.begun_ms, &b.pod)));
    all.truncate(INSTANCES_MAX);
    all
}

/// Reads the answers. `since_ms` is when it was first asked.
pub fn arrived(arrival: &Arrival, instances: &[Instance], evidence: &Evidence, since_ms: i64, now_ms: i64) -> Arrived {
    let instances = witnesses(instances);
    let seen = Seen::of(arrival, &instances, evidence);
    let is_over = now_ms - since_ms >= arrival.within_ms;
    let missing = seen.missing();
    if missing.is_empty() {
        return Arrived::All { sentence: format!("of {}, {}", seen.pods(), seen.told()) };
    }
    // What must come if anything does; where only spans or lines are expected, nothing must.
    let must = |signal: &Signal| match signal {
        Signal::Metrics => true,
        Signal::Traces => seen.requests > 0.0 || (arrival.probed && !arrival.signals.contains(&Signal::Metrics)),
        Signal::Logs => false,
    };
    let wanting: Vec<Signal> = missing.iter().copied().filter(must).collect();
    let proved_ms = if seen.is_proved() { seen.last_ms() } else { None };
    let is_settled = proved_ms.is_some_and(|ms| now_ms - ms.max(since_ms) >= SETTLE_MS);
    let is_enough = wanting.is_empty() && is_settled;
    if !is_over && !is_enough {
        return Arrived::Wait { again_ms: AGAIN_MS, sentence: waits(&seen, &missing) };
    }
    if let Some((signal, reason)) = seen.unknown().filter(|(signal, _)| wanting.contains(signal) || !seen.any()) {
        let sentence = format!("nobody could say whether a {} of {} arrived: {reason}", signal.one(), seen.pods());
        return Arrived::Unknown { sentence };
    }
    let s = (now_ms - since_ms) / 1_000;
    let lacks = format!("no {} of {} arrived within {s} s", ones(&missing), seen.pods());
    let though = match seen.any() {
        true => format!("; {}", seen.told()),
        false => String::new(),
    };
    if !wanting.is_empty() {
        let counted = match seen.requests > 0.0 && wanting.contains(&Signal::Traces) {
            true => format!(", although it counted {} requests", seen.requests),
            false => String::new(),
        };
        let sentence = format!("{lacks}{counted}{though}");
        return match seen.any() {
            true => Arrived::Missing { signals: wanting, sentence },
            false => Arrived::Nothing { signals: missing, sentence },
        };
    }
    let mut whys = Vec::new();
    if missing.contains(&Signal::Traces) {
        whys.push("nobody called it, as far as it counted");
    }
    if missing.contains(&Signal::Logs) {
        whys.push("perhaps it logged nothing");
    }
    Arrived::Quiet { sentence: format!("{lacks} ({}){though}", whys.join("; ")) }
}

fn waits(seen: &Seen<'_>, missing: &[Signal]) -> String {
    let came = seen.came().map(|(signal, _)| signal).collect::<Vec<_>>();
    let far = if came.is_empty() { String::new() } else { format!("; a {} has come", ones(&came)) };
    format!("waits for the first {} of {}{far}", ones(missing), seen.pods())
}

/// `sample, span and log line`.
fn ones(signals: &[Signal]) -> String {
    let words: Vec<&str> = signals.iter().map(|signal| signal.one()).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

impl Came {
    /// `12 s after it began`.
    fn after(&self, begun_ms: i64) -> String {
        format!("{} s after", (self.at_ms - begun_ms).max(0) / 1_000)
    }
}

#[cfg(test)]
mod tests;
