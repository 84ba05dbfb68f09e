//! OTLP/HTTP JSON bodies made by hand, as the protocol's examples write them: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

use serde_json::{Value, json};

/// An attribute list of strings.
pub fn attributes(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

/// A server span that is a whole trace. Ids are the number in hex; times in nanoseconds since 1970.
pub fn span(number: u64, name: &str, start_ns: u64, duration_ns: u64) -> Value {
    json!({
        "traceId": trace_id(number), "spanId": format!("{number:016x}"), "name": name, "kind": 2,
        "startTimeUnixNano": start_ns.to_string(), "endTimeUnixNano": (start_ns + duration_ns).to_string(),
        "attributes": attributes(&[("http.request.method", "GET"), ("http.route", name)]), "status": {"code": 0}
    })
}

/// The trace id of `span(number, …)`, 32 hex digits.
pub fn trace_id(number: u64) -> String {
    format!("{:016x}{number:016x}", 0xabad_1dea_u64)
}

/// A request with the spans of one service.
pub fn spans(service: &str, spans: &[Value]) -> Value {
    json!({"resourceSpans": [{"resource": {"attributes": attributes(&[("service.name", service)])},
        "scopeSpans": [{"scope": {"name": "journey"}, "spans": spans}]}]})
}

/// A request with log lines of one service, each with its time in nanoseconds.
pub fn logs(service: &str, lines: &[(u64, &str)]) -> Value {
    let record = |(time_ns, line): &(u64, &str)| {
        json!({"timeUnixNano": time_ns.to_string(), "observedTimeUnixNano": time_ns.to_string(),
            "severityNumber": 9, "severityText": "INFO", "body": {"stringValue": line}})
    };
    let records: Vec<Value> = lines.iter().map(record).collect();
    json!({"resourceLogs": [{"resource": {"attributes": attributes(&[("service.name", service)])},
        "scopeLogs": [{"scope": {"name": "journey"}, "logRecords": records}]}]})
}

/// A request with points of one gauge, each with its time in nanoseconds.
pub fn gauge(service: &str, name: &str, points: &[(u64, f64)]) -> Value {
    let points: Vec<Value> = points
        .iter()
        .map(|(time_ns, value)| json!({"timeUnixNano": time_ns.to_string(), "asDouble": value, "attributes": []}))
        .collect();
    json!({"resourceMetrics": [{"resource": {"attributes": attributes(&[("service.name", service)])},
        "scopeMetrics": [{"scope": {"name": "journey"}, "metrics": [{"name": name, "gauge": {"dataPoints": points}}]}]}]})
}

/// A request by how much a counter grew in the ten seconds before a time in nanoseconds.
pub fn delta(service: &str, name: &str, time_ns: u64, by: u64) -> Value {
    let point = json!({"startTimeUnixNano": (time_ns - 10_000_000_000).to_string(), "timeUnixNano": time_ns.to_string(),
        "asInt": by.to_string(), "attributes": []});
    let sum = json!({"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [point]});
    json!({"resourceMetrics": [{"resource": {"attributes": attributes(&[("service.name", service)])},
        "scopeMetrics": [{"scope": {"name": "journey"}, "metrics": [{"name": name, "sum": sum}]}]}]})
}
