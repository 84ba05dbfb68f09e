//! Spans in the JSON of Jaeger's query API (`/api/traces`), as its page and Grafana's Jaeger source read it.
//!
//! The shapes are those of Jaeger's `model/json`, the tags those of the OpenTelemetry collector's translation. Knows
//! nothing of queries; one way only.

use std::collections::BTreeMap;
use std::sync::Arc;

use base_signal::{Resource, Span, SpanId, SpanKind, StatusCode, TraceId, Value};
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JaegerTrace {
    #[serde(rename = "traceID")]
    pub trace_id: String,
    pub spans: Vec<JaegerSpan>,
    /// By the id that spans name.
    pub processes: BTreeMap<String, JaegerProcess>,
    pub warnings: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JaegerSpan {
    #[serde(rename = "traceID")]
    pub trace_id: String,
    #[serde(rename = "spanID")]
    pub span_id: String,
    pub flags: u32,
    pub operation_name: String,
    pub references: Vec<JaegerReference>,
    /// Unix microseconds.
    pub start_time: i64,
    /// Microseconds.
    pub duration: u64,
    pub tags: Vec<JaegerTag>,
    pub logs: Vec<JaegerLog>,
    #[serde(rename = "processID")]
    pub process_id: String,
    pub warnings: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JaegerReference {
    /// `CHILD_OF` or `FOLLOWS_FROM`.
    #[serde(rename = "refType")]
    pub ref_type: &'static str,
    #[serde(rename = "traceID")]
    pub trace_id: String,
    #[serde(rename = "spanID")]
    pub span_id: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JaegerTag {
    pub key: String,
    /// `string`, `bool`, `int64`, `float64` or `binary`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub value: serde_json::Value,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JaegerLog {
    /// Unix microseconds.
    pub timestamp: i64,
    pub fields: Vec<JaegerTag>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JaegerProcess {
    pub service_name: String,
    pub tags: Vec<JaegerTag>,
}

/// JavaScript's largest exact whole number; beyond it Jaeger sends the digits as text.
const EXACT_MAX: u64 = (1 << 53) - 1;

/// One trace from its spans, in the order given. Spans of other traces are left out.
pub fn trace(trace_id: TraceId, spans: &[Arc<Span>]) -> JaegerTrace {
    let mut processes = Vec::<(&Resource, String)>::new();
    let mut shown = Vec::with_capacity(spans.len());
    for span in spans.iter().filter(|span| span.trace_id == trace_id) {
        let known = processes
            .iter()
            .find(|(resource, _)| std::ptr::eq(*resource, span.resource.as_ref()) || **resource == *span.resource);
        let process_id = match known {
            Some((_, id)) => id.clone(),
            None => {
                let id = format!("p{}", processes.len() + 1);
                processes.push((&span.resource, id.clone()));
                id
            }
        };
        shown.push(one(span, process_id));
    }
    let processes = processes.into_iter().map(|(resource, id)| (id, process(resource))).collect();
    JaegerTrace { trace_id: trace_id.to_string(), spans: shown, processes, warnings: None }
}

/// All traces of the spans, in the order in which each trace is first met.
pub fn traces(spans: &[Arc<Span>]) -> Vec<JaegerTrace> {
    let mut order = Vec::new();
    let mut by_trace = ahash::HashMap::<TraceId, Vec<Arc<Span>>>::default();
    for span in spans {
        let group = by_trace.entry(span.trace_id).or_insert_with(|| {
            order.push(span.trace_id);
            Vec::new()
        });
        group.push(span.clone());
    }
    order.into_iter().map(|id| trace(id, by_trace.get(&id).map_or(&[][..], Vec::as_slice))).collect()
}

fn process(resource: &Resource) -> JaegerProcess {
    let tags = resource.attributes.iter().filter(|(name, _)| name != "service.name").map(|(n, v)| tag(n, v)).collect();
    JaegerProcess { service_name: resource.service_name().to_owned(), tags }
}

fn one(span: &Span, process_id: String) -> JaegerSpan {
    let reference = |ref_type, trace_id: TraceId, span_id: SpanId| JaegerReference {
        ref_type,
        trace_id: trace_id.to_string(),
        span_id: span_id.to_string(),
    };
    let mut references = Vec::new();
    if !span.parent_span_id.is_zero() {
        references.push(reference("CHILD_OF", span.trace_id, span.parent_span_id));
    }
    references.extend(span.links.iter().map(|link| reference("FOLLOWS_FROM", link.trace_id, link.span_id)));
    JaegerSpan {
        trace_id: span.trace_id.to_string(),
        span_id: span.span_id.to_string(),
        flags: span.flags & 0xff,
        operation_name: span.name.clone(),
        references,
        start_time: span.start_ns.div_euclid(1000),
        duration: span.duration_ns() / 1000,
        tags: tags(span),
        logs: logs(span),
        process_id,
        warnings: None,
    }
}

fn tags(span: &Span) -> Vec<JaegerTag> {
    let mut tags: Vec<JaegerTag> = span.attributes.iter().map(|(name, value)| tag(name, value)).collect();
    let mut add = |name: &str, text: &str| {
        if !text.is_empty() {
            tags.push(text_tag(name, text));
        }
    };
    add("otel.scope.name", &span.scope.name);
    add("otel.scope.version", &span.scope.version);
    add(
        "span.kind",
        match span.kind {
            SpanKind::Unspecified => "",
            SpanKind::Internal => "internal",
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
        },
    );
    add(
        "otel.status_code",
        match span.status.code {
            StatusCode::Unset => "",
            StatusCode::Ok => "OK",
            StatusCode::Error => "ERROR",
        },
    );
    add("otel.status_description", &span.status.message);
    add("w3c.tracestate", &span.trace_state);
    if span.status.code == StatusCode::Error && !tags.iter().any(|tag| tag.key == "error") {
        tags.push(JaegerTag { key: "error".to_owned(), kind: "bool", value: true.into() });
    }
    tags
}

fn logs(span: &Span) -> Vec<JaegerLog> {
    let log = |event: &base_signal::SpanEvent| {
        let mut fields = Vec::with_capacity(event.attributes.len() + 1);
        // The collector writes the event's name as `event`, unless an attribute already says one.
        if !event.name.is_empty() && !event.attributes.iter().any(|(name, _)| name == "event") {
            fields.push(text_tag("event", &event.name));
        }
        fields.extend(event.attributes.iter().map(|(name, value)| tag(name, value)));
        JaegerLog { timestamp: event.time_ns.div_euclid(1000), fields }
    };
    span.events.iter().map(log).collect()
}

fn text_tag(key: &str, text: &str) -> JaegerTag {
    JaegerTag { key: key.to_owned(), kind: "string", value: text.into() }
}

fn tag(key: &str, value: &Value) -> JaegerTag {
    let (kind, value) = match value {
        Value::Bool(flag) => ("bool", (*flag).into()),
        Value::Int(number) if number.unsigned_abs() <= EXACT_MAX => ("int64", (*number).into()),
        Value::Int(number) => ("int64", number.to_string().into()),
        // JSON has no NaN or infinity.
        Value::Double(number) if number.is_finite() => ("float64", (*number).into()),
        Value::Bytes(bytes) => ("binary", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()),
        other => ("string", other.to_string().into()),
    };
    JaegerTag { key: key.to_owned(), kind, value }
}

#[cfg(test)]
mod tests {
    use base_signal::{Scope, SpanEvent, SpanLink, SpanStatus};

    use super::*;

    fn resource(service: &str) -> Arc<Resource> {
        let text = |t: &str| Value::String(t.to_owned());
        Arc::new(Resource { attributes: vec![("service.name".into(), text(service)), ("host".into(), text("h"))] })
    }

    #[test]
    fn a_trace_as_the_page_reads_it() {
        let id = TraceId([1; 16]);
        let root = Span {
            trace_id: id,
            span_id: SpanId([2; 8]),
            name: "GET /".into(),
            kind: SpanKind::Server,
            start_ns: 1_000_500,
            end_ns: 3_000_999,
            resource: resource("shop"),
            attributes: vec![("big".into(), Value::Int(i64::MAX)), ("ok".into(), Value::Bool(true))],
            ..Span::default()
        };
        let child = Span {
            span_id: SpanId([3; 8]),
            parent_span_id: SpanId([2; 8]),
            kind: SpanKind::Client,
            status: SpanStatus { code: StatusCode::Error, message: "no".into() },
            scope: Arc::new(Scope { name: "lib".into(), ..Scope::default() }),
            events: vec![SpanEvent {
                time_ns: 2_000_000,
                name: "exception".into(),
                attributes: vec![("n".into(), Value::Double(0.5))],
            }],
            links: vec![SpanLink { trace_id: TraceId([9; 16]), span_id: SpanId([8; 8]), ..SpanLink::default() }],
            // Equal to the root's, but another allocation: still one process.
            resource: resource("shop"),
            attributes: vec![],
            ..root.clone()
        };
        let other = Span { trace_id: TraceId([7; 16]), resource: resource("cart"), ..root.clone() };
        let all = traces(&[Arc::new(root), Arc::new(child), Arc::new(other)]);
        assert_eq!(all.len(), 2);
        let json = serde_json::to_value(&all[0]).unwrap();
        assert_eq!(
            json["processes"],
            serde_json::json!({"p1": {"serviceName": "shop", "tags": [{"key": "host", "type": "string", "value": "h"}]}})
        );
        assert_eq!(json["spans"][0]["startTime"], 1000);
        assert_eq!(json["spans"][0]["duration"], 2000);
        assert_eq!(
            json["spans"][0]["tags"],
            serde_json::json!([
                {"key": "big", "type": "int64", "value": "9223372036854775807"},
                {"key": "ok", "type": "bool", "value": true},
                {"key": "span.kind", "type": "string", "value": "server"},
            ])
        );
        assert_eq!(
            json["spans"][1],
            serde_json::json!({
                "traceID": "01".repeat(16), "spanID": "03".repeat(8), "flags": 0, "operationName": "GET /",
                "references": [
                    {"refType": "CHILD_OF", "traceID": "01".repeat(16), "spanID": "02".repeat(8)},
                    {"refType": "FOLLOWS_FROM", "traceID": "09".repeat(16), "spanID": "08".repeat(8)},
                ],
                "startTime": 1000, "duration": 2000,
                "tags": [
                    {"key": "otel.scope.name", "type": "string", "value": "lib"},
                    {"key": "span.kind", "type": "string", "value": "client"},
                    {"key": "otel.status_code", "type": "string", "value": "ERROR"},
                    {"key": "otel.status_description", "type": "string", "value": "no"},
                    {"key": "error", "type": "bool", "value": true},
                ],
                "logs": [{"timestamp": 2000, "fields": [
                    {"key": "event", "type": "string", "value": "exception"},
                    {"key": "n", "type": "float64", "value": 0.5},
                ]}],
                "processID": "p1", "warnings": null,
            })
        );
    }

    #[test]
    fn every_kind_and_state_has_jaegers_word() {
        let tags = |kind, code| {
            let span = Span { kind, status: SpanStatus { code, message: String::new() }, ..Span::default() };
            tags(&span).into_iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect::<Vec<_>>().join(" ")
        };
        let table = [
            (SpanKind::Unspecified, StatusCode::Unset, ""),
            (SpanKind::Internal, StatusCode::Ok, r#"span.kind="internal" otel.status_code="OK""#),
            (SpanKind::Producer, StatusCode::Unset, r#"span.kind="producer""#),
            (SpanKind::Consumer, StatusCode::Error, r#"span.kind="consumer" otel.status_code="ERROR" error=true"#),
        ];
        for (kind, code, expect) in table {
            assert_eq!(tags(kind, code), expect);
        }
        // The sender's own mark stays the only one.
        let own = Span {
            status: SpanStatus { code: StatusCode::Error, message: String::new() },
            attributes: vec![("error".into(), Value::String("timeout".into()))],
            ..Span::default()
        };
        assert_eq!(super::tags(&own).iter().filter(|tag| tag.key == "error").count(), 1);
        let odd = [Value::Bytes(vec![0, 255]), Value::Double(f64::NAN), Value::Array(vec![Value::Int(1)])];
        let shown = odd.map(|value| tag("x", &value)).map(|tag| format!("{} {}", tag.kind, tag.value));
        assert_eq!(shown, [r#"binary "00ff""#, r#"string "\"NaN\"""#, r#"string "[1]""#]);
    }
}
