//! Spans: by trace, by conditions, newest first, once.

use std::collections::BTreeSet;
use std::sync::Arc;

use base_signal::{RangeNs, Span, SpanEvent, SpanId, SpanKind, SpanLink, StatusCode, Value};
use base_world::sim::{PowerLoss, SimWorld};
use observe_source::fake::FakeSpans;
use observe_source::{AttributeScope, Budget, Cancel, RejectReason, SelectSpans, SpanFilter, SpanSource, SpanWrite};

use super::{S, id, open, select_spans, settings, span, tenant};
use crate::EventStore;

const NOW: i64 = 1_767_225_600 * S;

fn all_spans() -> Vec<Span> {
    let mut spans = Vec::new();
    for trace in 0..60u64 {
        for number in 0..9u64 {
            let service = ["web", "cart", "db"][(number % 3) as usize];
            let start_ns = NOW - (7000 - trace as i64 * 100) * S + number as i64 * 1_000_000;
            let mut one = span(trace, number, service, &format!("op-{}", number % 4), start_ns);
            if number == 4 {
                one.events.push(SpanEvent {
                    time_ns: start_ns + 5,
                    name: "retry".into(),
                    attributes: vec![("why".into(), Value::Double(0.5))],
                });
                one.links.push(SpanLink {
                    trace_id: id(trace + 1),
                    span_id: SpanId([1; 8]),
                    trace_state: "a=b".into(),
                    attributes: Vec::new(),
                });
                one.status.message = "slow".into();
                one.trace_state = "x=y".into();
                one.flags = 257;
                one.attributes.push((
                    "list".into(),
                    Value::Array(vec![Value::Bool(true), Value::Empty, Value::Bytes(vec![1, 255])]),
                ));
            }
            spans.push(one);
        }
    }
    spans
}

fn store_with(sim: &SimWorld, spans: &[Span]) -> EventStore {
    let mut store = open(sim, settings());
    for part in spans.chunks(100) {
        let appended = store.append_spans(&tenant(), SpanWrite { spans: part.to_vec() }).unwrap();
        assert_eq!(appended.accepted, part.len() as u64);
        store.flush().unwrap();
    }
    store
}

fn filters() -> Vec<Vec<SpanFilter>> {
    let attribute = |scope, name: &str, value: Value| SpanFilter::Attribute { scope, name: name.into(), value };
    let text = |t: &str| Value::String(t.into());
    vec![
        vec![],
        vec![SpanFilter::Service("cart".into())],
        vec![SpanFilter::Service("nobody".into())],
        vec![SpanFilter::Name("op-2".into()), SpanFilter::Service("web".into())],
        vec![SpanFilter::Kind(SpanKind::Server)],
        vec![SpanFilter::Status(StatusCode::Error)],
        vec![SpanFilter::Status(StatusCode::Ok)],
        vec![SpanFilter::Root],
        vec![SpanFilter::DurationNs { min: Some(3_000), max: Some(5_000) }],
        vec![SpanFilter::DurationNs { min: Some(1 << 40), max: None }],
        vec![attribute(AttributeScope::Span, "n", Value::Int(4))],
        vec![attribute(AttributeScope::Any, "n", text("4"))],
        vec![attribute(AttributeScope::Any, "host.cores", text("8"))],
        vec![attribute(AttributeScope::Resource, "service.name", text("db")), SpanFilter::Name("op-1".into())],
        vec![attribute(AttributeScope::Resource, "n", Value::Int(4))],
        vec![attribute(AttributeScope::Any, "user", text("u99"))],
        vec![attribute(AttributeScope::Span, "list", text("[true,null,\"01ff\"]"))],
    ]
}

/// Against the simplest possible store: the same spans in the same order of time, whatever is asked.
#[test]
fn answers_as_the_model_does_before_and_after_flush_merge_and_restart() {
    let sim = SimWorld::new(1);
    let spans = all_spans();
    let mut model = FakeSpans::default();
    model.append(SpanWrite { spans: spans.clone() });
    let mut store = store_with(&sim, &spans[..400]);
    store.append_spans(&tenant(), SpanWrite { spans: spans[400..].to_vec() }).unwrap();
    let check = |store: &EventStore, when: &str| {
        let middle = RangeNs::new(NOW - 5000 * S, NOW - 3000 * S);
        let traces = [id(3), id(59), id(1_000)];
        for range in [RangeNs::ALL, middle] {
            for filters in filters() {
                for ids in [None, Some(&traces[..])] {
                    let (tenant, budget, cancel) = (tenant(), Budget::unlimited(), Cancel::default());
                    let trace_ids = ids;
                    let request = SelectSpans {
                        tenant: &tenant,
                        range,
                        filters: &filters,
                        trace_ids,
                        budget: &budget,
                        cancel: &cancel,
                    };
                    let mut expect: Vec<Arc<Span>> = Vec::new();
                    let mut batches = model.select_spans(&request).unwrap();
                    while let Some(batch) = batches.next().unwrap() {
                        expect.extend(batch.iter().cloned());
                    }
                    let found = select_spans(store, range, &filters, ids).unwrap();
                    assert!(found == expect, "{when}: {filters:?} {range:?}: {} of {}", found.len(), expect.len());
                }
            }
            assert_eq!(store.services(&tenant(), range).unwrap(), model.services(&tenant(), range).unwrap(), "{when}");
            for service in ["web", "cart", "db", "nobody"] {
                let expect = model.operations(&tenant(), service, range).unwrap();
                assert_eq!(store.operations(&tenant(), service, range).unwrap(), expect, "{when}: {service}");
            }
        }
    };
    check(&store, "half in memory");
    store.flush().unwrap();
    check(&store, "flushed");
    while store.compact().unwrap() > 0 {}
    check(&store, "merged");
    drop(store);
    sim.disk.reboot(PowerLoss::DropAll);
    check(&open(&sim, settings()), "after a restart");
}

#[test]
fn a_span_sent_twice_comes_once() {
    let sim = SimWorld::new(2);
    let spans = all_spans();
    let mut store = store_with(&sim, &spans);
    for _ in 0..3 {
        let appended = store.append_spans(&tenant(), SpanWrite { spans: spans[..50].to_vec() }).unwrap();
        assert_eq!((appended.accepted, appended.rejected_count()), (50, 0));
        assert_eq!(select_spans(&store, RangeNs::ALL, &[], None).unwrap().len(), spans.len());
        store.flush().unwrap();
    }
    let before = store.disk_used();
    while store.compact().unwrap() > 0 {}
    assert!(store.disk_used() < before, "merging keeps one of each");
    assert_eq!(select_spans(&store, RangeNs::ALL, &[], None).unwrap().len(), spans.len());
    // The two sides of a call share their ids in some protocols; they are two spans.
    let mut client = spans[0].clone();
    client.kind = SpanKind::Client;
    store.append_spans(&tenant(), SpanWrite { spans: vec![client] }).unwrap();
    assert_eq!(select_spans(&store, RangeNs::ALL, &[], None).unwrap().len(), spans.len() + 1);
}

#[test]
fn a_trace_and_a_rare_attribute_read_little() {
    let sim = SimWorld::new(3);
    let mut spans = all_spans();
    spans[300].attributes.push(("order".into(), Value::String("needle".into())));
    let store = store_with(&sim, &spans);
    let cost = |filters: &[SpanFilter], ids: Option<&[base_signal::TraceId]>| {
        let before = sim.disk.operations();
        let found = select_spans(&store, RangeNs::ALL, filters, ids).unwrap();
        (found.len(), sim.disk.operations() - before)
    };
    let (all, everything) = cost(&[], None);
    assert_eq!(all, spans.len());
    let (trace, few) = cost(&[], Some(&[id(30)]));
    assert!(trace == 9 && few * 4 < everything, "a trace took {few} reads, everything {everything}");
    let name = SpanFilter::Attribute {
        scope: AttributeScope::Any,
        name: "order".into(),
        value: Value::String("needle".into()),
    };
    let (found, reads) = cost(&[name], None);
    assert!(found == 1 && reads * 3 < everything * 2, "a needle took {reads} reads, everything {everything}");
}

#[test]
fn spans_without_ids_or_too_large_are_refused() {
    let sim = SimWorld::new(4);
    let mut store = open(&sim, crate::Settings { span_bytes_max: 2_000, ..settings() });
    let good = span(1, 1, "web", "get", NOW);
    let no_trace = Span { trace_id: Default::default(), ..good.clone() };
    let large = Span { name: "x".repeat(3_000), ..span(1, 2, "web", "get", NOW) };
    let mut deep = span(1, 3, "web", "get", NOW);
    let nested = (0..200).fold(Value::Int(1), |inner, _| Value::Array(vec![inner]));
    deep.attributes.push(("deep".into(), nested));
    let appended = store.append_spans(&tenant(), SpanWrite { spans: vec![good, no_trace, large, deep] }).unwrap();
    assert_eq!(appended.accepted, 1);
    let reasons: BTreeSet<_> = appended.rejected.keys().copied().collect();
    assert_eq!(reasons, BTreeSet::from([RejectReason::TooLarge, RejectReason::Invalid]));
}

#[test]
fn a_rotten_group_costs_its_spans_only_and_is_named() {
    let sim = SimWorld::new(5);
    let spans = all_spans();
    let mut store = store_with(&sim, &spans);
    let (path, _) =
        sim.disk.files().into_iter().find(|(path, _)| path.extension().is_some_and(|e| e == "spans")).unwrap();
    assert!(sim.disk.flip_bit(&path, 40, 3));
    let found = select_spans(&store, RangeNs::ALL, &[], None).unwrap();
    assert!(found.len() < spans.len() && found.len() > spans.len() * 9 / 10, "{}", found.len());
    let damage = store.damage();
    assert!(damage.len() == 1 && damage[0].path == path, "{damage:?}");
    while store.compact().unwrap() > 0 {}
    assert_eq!(select_spans(&store, RangeNs::ALL, &[], None).unwrap().len(), found.len());
}
