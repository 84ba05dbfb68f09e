//! Bytes and back, bit for bit; and bytes that were never written are refused, not crashed on.

use std::sync::Arc;

use base_signal::{Span, SpanEvent, SpanId, SpanLink, TraceId, Value};
use base_world::Rng;
use observe_block::codec::Reader;

use super::span;
use crate::columns::LogColumns;
use crate::span_code::{put_span, take_span};
use crate::span_columns::SpanColumns;

fn columns() -> LogColumns {
    let mut columns = LogColumns::default();
    let metadata = [("trace_id".to_owned(), "ab".to_owned()), ("é".to_owned(), String::new())];
    columns.push(3, i64::MIN, u64::MAX, "first é", &metadata);
    columns.push(3, i64::MAX, 0, "", &[]);
    columns.push(7, 0, 5, "third\nline", &metadata);
    columns.push(7, -1, 6, "fourth", &metadata);
    columns
}

fn odd_span() -> Span {
    let values = vec![
        Value::Empty,
        Value::Double(f64::from_bits(0x7ff8_dead_beef_0001)),
        Value::Map(vec![("k".into(), Value::Bytes(vec![0, 255]))]),
        Value::Int(i64::MIN),
    ];
    let mut span = span(1, 2, "web", "get", i64::MIN);
    span.end_ns = i64::MAX;
    span.flags = u32::MAX;
    span.trace_state = "a=b".into();
    span.attributes.push(("list".into(), Value::Array(values)));
    span.events.push(SpanEvent { time_ns: i64::MAX, name: "e".into(), attributes: span.attributes.clone() });
    let (trace_id, span_id) = (TraceId([9; 16]), SpanId([8; 8]));
    span.links.push(SpanLink { trace_id, span_id, trace_state: String::new(), attributes: Vec::new() });
    span
}

#[test]
fn extremes_come_back_bit_for_bit() {
    let lines = columns();
    assert_eq!(LogColumns::decode(&lines.encode()).unwrap(), lines);
    assert_eq!((lines.line(0), lines.line(1), lines.line(2)), ("first é", "", "third\nline"));
    assert_eq!((lines.metadata(0).len(), lines.metadata(1).len(), lines.metadata(3).len()), (2, 0, 2));

    let span = odd_span();
    let mut bytes = Vec::new();
    put_span(&mut bytes, &span, 0, 0);
    let (resources, scopes) = ([Arc::clone(&span.resource)], [Arc::clone(&span.scope)]);
    let back = take_span(&mut Reader::new(&bytes), &resources, &scopes).unwrap();
    // A NaN is not equal to itself, so the texts and the bytes are compared.
    let mut again = Vec::new();
    put_span(&mut again, &back, 0, 0);
    assert_eq!((again, format!("{back:?}")), (bytes, format!("{span:?}")));

    let mut fixed = SpanColumns { traces: vec![span.trace_id], ..SpanColumns::default() };
    fixed.push(&span, 0, 1, 2, 3);
    assert_eq!(SpanColumns::decode(&fixed.encode()).unwrap(), fixed);
}

#[test]
fn bytes_that_were_never_written_do_no_harm() {
    let span = odd_span();
    let mut whole = Vec::new();
    put_span(&mut whole, &span, 0, 0);
    let mut fixed = SpanColumns { traces: vec![span.trace_id], ..SpanColumns::default() };
    fixed.push(&span, 0, 1, 2, 3);
    let (resources, scopes) = ([Arc::clone(&span.resource)], [Arc::clone(&span.scope)]);
    let mut rng = Rng::new(1);
    let mut refused = 0;
    for good in [columns().encode(), fixed.encode(), whole] {
        for _ in 0..3_000 {
            let mut bytes = good.clone();
            for _ in 0..1 + rng.below(4) {
                let at = rng.index(bytes.len());
                bytes[at] = rng.next_u64() as u8;
            }
            bytes.truncate(bytes.len() - rng.index(3).min(bytes.len() - 1));
            if let Ok(lines) = LogColumns::decode(&bytes) {
                (0..lines.len())
                    .for_each(|row| assert!(lines.line(row).len() <= bytes.len() && lines.metadata(row).len() < 100));
            } else {
                refused += 1;
            }
            if let Ok(columns) = SpanColumns::decode(&bytes) {
                (0..columns.len()).for_each(|row| assert!(!columns.trace_id(row).to_string().is_empty()));
            }
            let _ = take_span(&mut Reader::new(&bytes), &resources, &scopes);
        }
    }
    assert!(refused > 5_000, "{refused}");
}
