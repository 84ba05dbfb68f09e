//! Counters that must be exact: through bursts, overflow and restarts.

use std::collections::BTreeMap;
use std::sync::Arc;

use base_signal::{Resource, SpanKind, SpanStatus, StatusCode, TraceId};

use super::*;

fn span(service: &str, name: &str, duration_ms: i64, code: StatusCode) -> Span {
    let text = |t: &str| Value::String(t.to_owned());
    let attributes = vec![("service.name".to_owned(), text(service)), ("service.instance.id".to_owned(), text("i"))];
    Span {
        trace_id: TraceId([7; 16]),
        name: name.to_owned(),
        kind: SpanKind::Server,
        end_ns: duration_ms * 1_000_000,
        status: SpanStatus { code, message: String::new() },
        resource: Arc::new(Resource { attributes }),
        ..Span::default()
    }
}

fn batch(spans: impl IntoIterator<Item = Span>) -> SpanWrite {
    SpanWrite { spans: spans.into_iter().collect() }
}

/// The latest value of every series, and a check that times only ascend.
#[derive(Default)]
struct Stored(BTreeMap<Labels, (i64, f64)>);

impl Stored {
    fn append(&mut self, write: &MetricWrite) {
        for (series, time_ms, value) in &write.samples {
            let labels = write.series.get(*series).to_labels();
            if let Some((last_ms, last)) = self.0.insert(labels.clone(), (*time_ms, *value)) {
                assert!(last_ms < *time_ms, "{labels} went from {last_ms} to {time_ms}");
                assert!(last <= *value, "{labels} fell from {last} to {value}");
            }
        }
    }

    fn sum(&self, name: &str) -> f64 {
        self.0.iter().filter(|(labels, _)| labels.get("__name__") == Some(name)).map(|(_, (_, v))| v).sum()
    }

    fn value(&self, wanted: &str) -> f64 {
        let found = self.0.iter().find(|(labels, _)| labels.to_string() == wanted);
        found.unwrap_or_else(|| panic!("{wanted} in {:?}", self.0.keys())).1.1
    }
}

#[test]
fn tempo_names_labels_and_buckets() {
    let mut metrics = SpanMetrics::default();
    let write = metrics.observe(
        &TenantId::default(),
        &batch([
            span("shop", "GET /", 3, StatusCode::Unset),
            span("shop", "GET /", 2, StatusCode::Unset),
            span("shop", "GET /", 60_000, StatusCode::Unset),
        ]),
        1_000_000,
    );
    let mut stored = Stored::default();
    stored.append(&write);
    let rest = r#"instance="i", job="shop""#;
    let tail = r#"service="shop", span_kind="SPAN_KIND_SERVER", span_name="GET /", status_code="STATUS_CODE_UNSET""#;
    let of = |name: &str, le: &str| {
        let le = if le.is_empty() { String::new() } else { format!(", le=\"{le}\"") };
        format!(r#"{{__name__="traces_spanmetrics_{name}", {rest}{le}, {tail}}}"#)
    };
    for (name, le, expect) in [
        ("calls_total", "", 3.0),
        ("latency_count", "", 3.0),
        ("latency_sum", "", 60.005),
        ("latency_bucket", "0.002", 1.0),
        ("latency_bucket", "0.004", 2.0),
        ("latency_bucket", "16.384", 2.0),
        ("latency_bucket", "+Inf", 3.0),
    ] {
        assert_eq!(stored.value(&of(name, le)), expect, "{name} {le}");
    }
    assert_eq!(stored.0.len(), 4 + 15);
    assert!(stored.value(&of("size_total", "")) > 180.0);
    let exemplars: Vec<_> =
        write.exemplars.iter().map(|(s, e)| (write.series.get(*s).get("le").unwrap(), e.value)).collect();
    assert_eq!(exemplars, [("0.002", 0.002), ("0.004", 0.003), ("+Inf", 60.0)]);
    assert_eq!(write.exemplars[0].1.labels.get("traceID"), Some("07070707070707070707070707070707"));
    assert_eq!(write.metadata.len(), 3);
}

#[test]
fn a_new_series_begins_with_a_zero_one_interval_earlier() {
    let mut metrics = SpanMetrics::default();
    let tenant = TenantId::default();
    let first = metrics.observe(&tenant, &batch([span("a", "x", 1, StatusCode::Ok)]), 100_000);
    let calls: Vec<_> =
        first.samples.iter().filter(|(s, ..)| first.series.get(*s).get("__name__") == Some(CALLS)).collect();
    assert_eq!(calls, [&(0, 85_000, 0.0), &(0, 100_000, 1.0)]);
    assert!(first.created.iter().all(|(_, time_ms)| *time_ms == 85_000));
    // The same millisecond, then a clock that ran backwards: times still ascend, no second zero.
    for (now_ms, expect) in [(100_000, (100_001, 2.0)), (90_000, (100_002, 3.0)), (200_000, (200_000, 4.0))] {
        let next = metrics.observe(&tenant, &batch([span("a", "x", 1, StatusCode::Ok)]), now_ms);
        let calls: Vec<_> =
            next.samples.iter().filter(|(s, ..)| next.series.get(*s).get("__name__") == Some(CALLS)).collect();
        assert_eq!(calls, [&(0, expect.0, expect.1)]);
    }
    assert!(metrics.observe(&tenant, &SpanWrite::default(), 300_000).is_empty());
}

#[test]
fn versions_of_one_service_are_told_apart_where_they_are_known() {
    let mut metrics = SpanMetrics::default();
    let of = |version: Option<&str>| {
        let mut span = span("shop", "GET /", 3, StatusCode::Unset);
        let mut attributes = span.resource.attributes.clone();
        attributes.extend(version.map(|version| ("service.version".to_owned(), Value::String(version.to_owned()))));
        span.resource = Arc::new(Resource { attributes });
        span
    };
    let spans = [of(Some("1")), of(Some("2")), of(Some("2")), of(None), of(Some(""))];
    let write = metrics.observe(&TenantId::default(), &batch(spans), 1_000_000);
    let mut stored = Stored::default();
    stored.append(&write);
    let of = |version: &str| {
        format!(
            r#"{{__name__="traces_spanmetrics_calls_total", instance="i", job="shop", service="shop", {version}span_kind="SPAN_KIND_SERVER", span_name="GET /", status_code="STATUS_CODE_UNSET"}}"#
        )
    };
    for (version, expect) in [(r#"service_version="1", "#, 1.0), (r#"service_version="2", "#, 2.0), ("", 2.0)] {
        assert_eq!(stored.value(&of(version)), expect, "{version}");
    }
}

#[test]
fn only_touched_series_are_written() {
    let mut metrics = SpanMetrics::default();
    let tenant = TenantId::default();
    metrics.observe(&tenant, &batch([span("a", "x", 1, StatusCode::Ok), span("a", "y", 1, StatusCode::Ok)]), 1000);
    let next = metrics.observe(&tenant, &batch([span("a", "y", 1, StatusCode::Ok)]), 2000);
    assert!(next.series.iter().all(|labels| labels.get("span_name") == Some("y")));
    assert_eq!(next.series.len(), 19);
}

#[test]
fn restart_overflow_and_tenants_lose_no_call() {
    let options = SpanMetricsOptions { label_sets_max: 20, ..SpanMetricsOptions::default() };
    let (tenant, other) = (TenantId::default(), TenantId::new("other").unwrap());
    let mut stored = Stored::default();
    let mut sent = 0.0;
    let mut clock_ms = 1_000_000;
    for round in 0..5 {
        // A new process: it knows only what was stored.
        let mut metrics = SpanMetrics::new(options.clone());
        for (labels, (time_ms, value)) in &stored.0 {
            metrics.resume(&tenant, labels.as_ref(), *value, *time_ms);
        }
        for i in 0..60 {
            let spans = (0..3).map(|n| {
                let code = if n == 0 { StatusCode::Error } else { StatusCode::Ok };
                span(&format!("s{}", (i * 7 + round) % 11), &format!("op{}", i % 13), n * i, code)
            });
            stored.append(&metrics.observe(&tenant, &batch(spans), clock_ms));
            metrics.observe(&other, &batch([span("z", "z", 1, StatusCode::Ok)]), clock_ms);
            sent += 3.0;
            clock_ms += i % 2;
        }
        assert!(metrics.overflowed_spans(&tenant) > 0);
        assert_eq!(stored.sum(CALLS), sent, "round {round}");
        assert_eq!(stored.sum("traces_spanmetrics_latency_count"), sent);
    }
    // 20 sets, overflow of up to 3 services and the last resort.
    let sets = stored.0.keys().filter(|labels| labels.get("__name__") == Some(CALLS)).count();
    assert!((21..=24).contains(&sets), "{sets}");
}

#[test]
fn spans_that_were_not_stored_are_taken_back() {
    let mut metrics = SpanMetrics::default();
    let tenant = TenantId::default();
    let spans = batch([span("a", "x", 5, StatusCode::Ok)]);
    let (_, receipt) = metrics.observe_with_receipt(&tenant, &spans, 1000);
    metrics.take_back(receipt);
    let again = metrics.observe(&tenant, &spans, 2000);
    assert_eq!((again.samples[0], again.metadata.len()), ((0, -13_000, 0.0), 3), "it begins anew");
    let mut stored = Stored::default();
    stored.append(&again);
    assert_eq!((stored.sum(CALLS), stored.sum(SIZE)), (1.0, span_size_bytes(&spans.spans[0]) as f64));
}
