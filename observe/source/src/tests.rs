//! What the waist's own types promise: counts, conditions on spans, and what a sender is told.

use base_signal::{Labels, Resource, Span, SpanId, SpanKind, SpanStatus, StatusCode, Value};

use super::*;

#[test]
fn an_outcome_says_how_many_of_what_and_the_first_of_each() {
    let reasons = [
        (RejectReason::OutOfOrder, "out_of_order"),
        (RejectReason::DuplicateTimestamp, "duplicate_timestamp"),
        (RejectReason::TooOld, "too_old"),
        (RejectReason::TooFarInFuture, "too_far_in_future"),
        (RejectReason::InvalidLabels, "invalid_labels"),
        (RejectReason::LabelLimit, "label_limit"),
        (RejectReason::SeriesLimit, "series_limit"),
        (RejectReason::TooLarge, "too_large"),
        (RejectReason::Invalid, "invalid"),
    ];
    for (reason, word) in reasons {
        let mut appended = Appended { accepted: 2, ..Appended::default() };
        assert_eq!((appended.rejected_count(), appended.message()), (0, String::new()));
        appended.reject(reason, || "the first".into());
        appended.reject(reason, || unreachable!("only the first is shown"));
        let mut other = Appended { accepted: 3, ..Appended::default() };
        other.reject(reason, || "a later one".into());
        other.reject(RejectReason::Invalid, || "odd".into());
        appended.merge(other);
        assert_eq!((appended.accepted, appended.rejected_count()), (5, 4));
        assert!(
            appended
                .message()
                .starts_with(&format!("{} {word} (first: the first)", if word == "invalid" { 4 } else { 3 }))
        );
    }
}

#[test]
fn a_write_of_metadata_alone_is_not_empty() {
    let mut write = MetricWrite::default();
    assert_eq!((write.is_empty(), write.len()), (true, 0));
    write.created.push((0, 1));
    assert_eq!((write.is_empty(), write.len()), (false, 0));
}

#[test]
fn conditions_on_a_span() {
    let text = |t: &str| Value::String(t.into());
    let resource = Resource { attributes: vec![("service.name".into(), text("cart")), ("zone".into(), text("eu"))] };
    let span = Span {
        name: "GET /".into(),
        kind: SpanKind::Server,
        end_ns: 10,
        status: SpanStatus { code: StatusCode::Error, message: String::new() },
        attributes: vec![("zone".into(), text("us")), ("code".into(), Value::Int(200))],
        resource: resource.into(),
        ..Span::default()
    };
    let attribute = |scope, name: &str, value| SpanFilter::Attribute { scope, name: name.into(), value };
    let duration = |min, max| SpanFilter::DurationNs { min, max };
    let table = [
        (SpanFilter::Service("cart".into()), true),
        (SpanFilter::Service("car".into()), false),
        (SpanFilter::Name("GET /".into()), true),
        (SpanFilter::Kind(SpanKind::Client), false),
        (SpanFilter::Status(StatusCode::Error), true),
        (duration(Some(10), Some(10)), true),
        (duration(Some(11), None), false),
        (duration(None, Some(9)), false),
        (attribute(AttributeScope::Span, "zone", text("us")), true),
        (attribute(AttributeScope::Span, "service.name", text("cart")), false),
        (attribute(AttributeScope::Resource, "zone", text("eu")), true),
        // The span's own goes before the resource's.
        (attribute(AttributeScope::Any, "zone", text("us")), true),
        (attribute(AttributeScope::Any, "zone", text("eu")), false),
        (attribute(AttributeScope::Any, "service.name", text("cart")), true),
        // A page knows only text.
        (attribute(AttributeScope::Any, "code", text("200")), true),
        (attribute(AttributeScope::Any, "code", Value::Int(200)), true),
        (attribute(AttributeScope::Any, "code", Value::Double(200.0)), false),
        (SpanFilter::Root, true),
    ];
    for (filter, expected) in table {
        assert_eq!(filter.matches(&span), expected, "{filter:?}");
    }
    let child = Span { parent_span_id: SpanId([1; 8]), start_ns: 3, ..span };
    assert!(!SpanFilter::Root.matches(&child));
    let batch = SpanBatch::new(vec![child.into()]);
    assert_eq!((batch.len(), batch.is_empty(), batch.start_ns(0), batch.span(0).name.as_str()), (1, false, 3, "GET /"));
    assert!(SpanBatch::default().is_empty());
}

#[test]
fn batches_of_lines_give_each_line_back() {
    let mut batch = LogBatch { streams: vec![Labels::from_pairs([("a", "1")])], ..LogBatch::default() };
    assert!(batch.is_empty());
    for (time_ns, line) in [(1, "first"), (2, ""), (3, "é")] {
        batch.push(0, time_ns, line, vec![("k".into(), "v".into())]);
    }
    let lines: Vec<_> = (0..batch.len()).map(|i| batch.line(i)).collect();
    assert_eq!(lines, ["first", "", "é"]);
    assert!(!batch.is_empty() && batch.labels(2).get("a") == Some("1"));
    assert!(batch.size_bytes() > batch.text.len() + 3 * 50);
}

#[test]
fn remarks_come_once_and_by_level() {
    let mut all = Annotations::default();
    assert!(all.is_empty());
    all.warn("w");
    all.info("i");
    let mut more = Annotations::default();
    more.warn("w");
    more.warn("x");
    all.merge(more);
    assert_eq!(all.of(Level::Warning).collect::<Vec<_>>(), ["w", "x"]);
    assert_eq!((all.of(Level::Info).collect::<Vec<_>>(), all.is_empty()), (vec!["i"], false));
}
