//! OTLP logs to streams and entries, as Loki takes them: some resource attributes become stream labels, everything else
//! structured metadata, the body the line.
//!
//! `observed_timestamp` and `flags`, which Loki keeps too, are left out: a number that differs in every entry costs more
//! than it tells.

use std::borrow::Cow;

use base_signal::{LogEntry, Severity, SpanId, TraceId};
use observe_source::LogWrite;

use super::common::{Any, KeyValue, Listed, ResourceModel, ScopeModel, listed};
use super::names::label_name;
use super::{Encoding, Take, decode};
use crate::level::{self, detect_level};
use crate::message::message;
use crate::{DecodeError, DecodeErrorKind, Decoded, Limits};

/// Resource attributes that become stream labels: Loki's default list.
pub const PROMOTED_BY_DEFAULT: &[&str] = &[
    "service.name",
    "service.namespace",
    "service.instance.id",
    "deployment.environment",
    "deployment.environment.name",
    "cloud.region",
    "cloud.availability_zone",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
    "container.name",
    "k8s.replicaset.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
];

#[derive(Clone, Debug)]
pub struct LogOptions {
    pub limits: Limits,
    /// Resource attributes that become stream labels.
    pub promoted: Vec<String>,
}

impl Default for LogOptions {
    fn default() -> Self {
        let promoted = PROMOTED_BY_DEFAULT.iter().map(|name| (*name).to_owned()).collect();
        LogOptions { limits: Limits::default(), promoted }
    }
}

#[derive(Default)]
struct ResourceLogs<'a> {
    resource: ResourceModel<'a>,
    scopes: Vec<ScopeLogs<'a>>,
}

#[derive(Default)]
struct ScopeLogs<'a> {
    scope: ScopeModel<'a>,
    records: Vec<Record<'a>>,
}

#[derive(Default)]
struct Record<'a> {
    time_ns: i64,
    observed_ns: i64,
    severity_number: i64,
    severity_text: &'a str,
    body: Any<'a>,
    attributes: Vec<KeyValue<'a>>,
    trace_id: Cow<'a, [u8]>,
    span_id: Cow<'a, [u8]>,
    event_name: &'a str,
}

listed!(ResourceLogs, "resourceLogs");

message! { ResourceLogs {
    1 "resource" (m, v) => m.resource = v.message()?,
    2 "scopeLogs" (m, v) => v.push(&mut m.scopes)?,
} }

message! { ScopeLogs {
    1 "scope" (m, v) => m.scope = v.message()?,
    2 "logRecords" (m, v) => v.push(&mut m.records)?,
} }

message! { Record {
    1 "timeUnixNano" (m, v) => m.time_ns = v.time_ns()?,
    2 "severityNumber" (m, v) => m.severity_number = v.choice(SEVERITIES)?,
    3 "severityText" (m, v) => m.severity_text = v.text()?,
    5 "body" (m, v) => m.body = v.message()?,
    6 "attributes" (m, v) => v.push(&mut m.attributes)?,
    9 "traceId" (m, v) => m.trace_id = v.hex()?,
    10 "spanId" (m, v) => m.span_id = v.hex()?,
    11 "observedTimeUnixNano" (m, v) => m.observed_ns = v.time_ns()?,
    12 "eventName" (m, v) => m.event_name = v.text()?,
} }

/// Names of the enum, for senders whose JSON has names.
const SEVERITIES: &[&str] = &[
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];

/// Decodes an `ExportLogsServiceRequest`. `now_ns` is the time of records that carry none.
pub fn decode_logs(
    body: &[u8],
    encoding: Encoding,
    now_ns: i64,
    options: &LogOptions,
) -> Result<Decoded<LogWrite>, DecodeError> {
    decode(body, encoding, &options.limits, Logs { now_ns, options })
}

struct Logs<'o> {
    now_ns: i64,
    options: &'o LogOptions,
}

type Pairs = Vec<(String, String)>;

impl Take<Decoded<LogWrite>> for Logs<'_> {
    type Message<'a> = Listed<ResourceLogs<'a>>;

    fn take(self, request: Self::Message<'_>) -> Result<Decoded<LogWrite>, DecodeError> {
        let mut write = LogWrite::default();
        let mut left_bytes = self.options.limits.decoded_max_bytes;
        for group in &request.0 {
            let (labels, resource) = self.split(&group.resource.attributes);
            let mut borrowed: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let stream = write.streams.push(&mut borrowed);
            for scoped in &group.scopes {
                let mut shared = resource.clone();
                scope_pairs(&scoped.scope, &mut shared);
                let shared_bytes: usize =
                    shared.iter().map(|(name, value)| PAIR_BYTES + name.len() + value.len()).sum();
                for record in &scoped.records {
                    // Every entry carries its resource's attributes: many small records of a large resource would grow
                    // far beyond the request.
                    left_bytes = left_bytes
                        .checked_sub(shared_bytes as u64)
                        .ok_or(DecodeErrorKind::TooLarge(self.options.limits.decoded_max_bytes))?;
                    write.entries.push(self.entry(record, stream, &shared));
                }
            }
        }
        Ok(Decoded { write, ..Decoded::default() })
    }
}

/// Two strings' own size.
const PAIR_BYTES: usize = 48;

impl Logs<'_> {
    /// Stream labels, and what stays as structured metadata.
    fn split(&self, attributes: &[KeyValue<'_>]) -> (Pairs, Pairs) {
        let (mut labels, mut rest) = (Pairs::new(), Pairs::new());
        for attribute in attributes {
            let promoted = self.options.promoted.iter().any(|name| name == attribute.key);
            flatten(if promoted { &mut labels } else { &mut rest }, "", attribute);
        }
        if !labels.iter().any(|(name, value)| name == "service_name" && !value.is_empty()) {
            labels.push(("service_name".to_owned(), "unknown_service".to_owned()));
        }
        (labels, rest)
    }

    fn entry(&self, record: &Record<'_>, stream: u32, shared: &Pairs) -> LogEntry {
        let line = record.body.to_text().into_owned();
        let mut metadata = shared.clone();
        for attribute in &record.attributes {
            flatten(&mut metadata, "", attribute);
        }
        let mut add = |name: &str, value: String| metadata.push((name.to_owned(), value));
        if !record.event_name.is_empty() {
            add("event_name", record.event_name.to_owned());
        }
        if record.severity_number != 0 {
            add("severity_number", record.severity_number.to_string());
        }
        if !record.severity_text.is_empty() {
            add("severity_text", record.severity_text.to_owned());
        }
        if let Some(id) = TraceId::from_slice(&record.trace_id).filter(|id| !id.is_zero()) {
            add("trace_id", id.to_string());
        }
        if let Some(id) = SpanId::from_slice(&record.span_id).filter(|id| !id.is_zero()) {
            add("span_id", id.to_string());
        }
        let level = match Severity::from_number(record.severity_number) {
            Severity::Unknown => level::of_word(record.severity_text).unwrap_or_else(|| detect_level(&metadata, &line)),
            known => known.as_str(),
        };
        metadata.push(("detected_level".to_owned(), level.to_owned()));
        level::tidy(&mut metadata);
        let time_ns = [record.time_ns, record.observed_ns].into_iter().find(|t| *t != 0).unwrap_or(self.now_ns);
        LogEntry { stream, time_ns, line, metadata }
    }
}

fn scope_pairs(scope: &ScopeModel<'_>, pairs: &mut Pairs) {
    for attribute in &scope.attributes {
        flatten(pairs, "scope", attribute);
    }
    for (name, value) in [("scope_name", scope.name), ("scope_version", scope.version)] {
        if !value.is_empty() {
            pairs.push((name.to_owned(), value.to_owned()));
        }
    }
}

/// Maps become one pair a leaf, names joined by underscores; the depth is bounded by the decoder.
fn flatten(pairs: &mut Pairs, prefix: &str, attribute: &KeyValue<'_>) {
    let Some(own) = label_name(attribute.key) else { return };
    let name = if prefix.is_empty() { own.into_owned() } else { format!("{prefix}_{own}") };
    match &attribute.value {
        Any::Map(inner) => inner.iter().for_each(|pair| flatten(pairs, &name, pair)),
        value => {
            let text = value.to_text();
            if !text.is_empty() {
                pairs.push((name, text.into_owned()));
            }
        }
    }
}
