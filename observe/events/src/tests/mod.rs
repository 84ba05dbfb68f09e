//! What a user would notice: what was sent is answered, once, in order, after any crash, and within the limits set.

mod codecs;
mod crash;
mod logs;
mod queries;
mod spans;

use std::path::Path;
use std::sync::Arc;

use base_signal::{
    Labels, LogEntry, Matcher, RangeNs, Resource, Scope, Span, SpanId, SpanKind, SpanStatus, StatusCode, TenantId,
    TraceId, Value,
};
use base_world::sim::SimWorld;
use observe_block::WalSettings;
use observe_source::{
    Annotations, Budget, Cancel, Direction, LineHint, LogSource, LogWrite, SelectLogs, SelectSpans, SourceError,
    SpanFilter, SpanSource,
};

use crate::{EventStore, Settings};

const DIR: &str = "/data/events";
const S: i64 = 1_000_000_000;

fn settings() -> Settings {
    Settings {
        memory_bytes: 1 << 20,
        retention_ms: None,
        wal_bytes_max: 64 << 10,
        wal: WalSettings { segment_bytes: 8 << 10, spares_max: 2, ..WalSettings::default() },
        window_ms: 3_600_000,
        fan_in: 3,
        block_bytes: 700,
        ..Settings::default()
    }
}

fn tenant() -> TenantId {
    TenantId::default()
}

fn open(sim: &SimWorld, settings: Settings) -> EventStore {
    let (store, report) = EventStore::open(&sim.world(), Path::new(DIR), settings).unwrap();
    assert_eq!(report.damage, [], "no damage is expected");
    store
}

/// One line as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    time_ns: i64,
    labels: Labels,
    line: String,
    metadata: Vec<(String, String)>,
}

fn entry(labels: &Labels, time_ns: i64, line: &str, metadata: &[(&str, &str)]) -> Seen {
    let metadata = metadata.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Seen { time_ns, labels: labels.clone(), line: line.to_owned(), metadata }
}

fn log_write(lines: &[Seen]) -> LogWrite {
    let mut write = LogWrite::default();
    for seen in lines {
        let known = write.streams.iter().position(|known| known == seen.labels.as_ref());
        let stream = match known {
            Some(known) => known as u32,
            None => write.streams.push_set(seen.labels.as_ref()),
        };
        let (line, metadata) = (seen.line.clone(), seen.metadata.clone());
        write.entries.push(LogEntry { stream, time_ns: seen.time_ns, line, metadata });
    }
    write
}

struct Ask<'a> {
    matchers: &'a [Matcher],
    range: RangeNs,
    direction: Direction,
    hints: &'a [LineHint],
    budget: Budget,
    limit: usize,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        let (direction, budget) = (Direction::Forward, Budget::unlimited());
        Ask { matchers: &[], range: RangeNs::ALL, direction, hints: &[], budget, limit: usize::MAX }
    }
}

impl Ask<'_> {
    fn of(&self, store: &EventStore) -> Result<(Vec<Seen>, Annotations), SourceError> {
        let (tenant, cancel) = (tenant(), Cancel::default());
        let mut batches = store.select_logs(&SelectLogs {
            tenant: &tenant,
            matchers: self.matchers,
            range: self.range,
            direction: self.direction,
            hints: self.hints,
            budget: &self.budget,
            cancel: &cancel,
        })?;
        let mut seen = Vec::new();
        'all: while let Some(batch) = batches.next()? {
            for i in 0..batch.len() {
                let (labels, line) = (batch.labels(i).clone(), batch.line(i).to_owned());
                seen.push(Seen { time_ns: batch.times_ns[i], labels, line, metadata: batch.metadata[i].clone() });
                if seen.len() == self.limit {
                    break 'all;
                }
            }
        }
        Ok((seen, batches.annotations()))
    }
}

fn id(n: u64) -> TraceId {
    TraceId(((u128::from(n) + 1) * 0x9e37_79b9_7f4a_7c15).to_be_bytes())
}

fn resource(service: &str) -> Arc<Resource> {
    let attributes =
        vec![("service.name".to_owned(), Value::String(service.to_owned())), ("host.cores".to_owned(), Value::Int(8))];
    Arc::new(Resource { attributes })
}

fn span(trace: u64, number: u64, service: &str, name: &str, start_ns: i64) -> Span {
    Span {
        trace_id: id(trace),
        span_id: SpanId((number + 1).to_be_bytes()),
        parent_span_id: SpanId(if number == 0 { [0; 8] } else { 1u64.to_be_bytes() }),
        name: name.to_owned(),
        kind: if number == 0 { SpanKind::Server } else { SpanKind::Internal },
        start_ns,
        end_ns: start_ns + 1_000 * number as i64,
        status: SpanStatus {
            code: if number % 5 == 3 { StatusCode::Error } else { StatusCode::Unset },
            message: String::new(),
        },
        attributes: vec![
            ("n".to_owned(), Value::Int(number as i64)),
            ("user".to_owned(), Value::String(format!("u{number}"))),
        ],
        resource: resource(service),
        scope: Arc::new(Scope { name: "lib".to_owned(), version: "1".to_owned(), attributes: Vec::new() }),
        ..Span::default()
    }
}

fn select_spans(
    store: &EventStore,
    range: RangeNs,
    filters: &[SpanFilter],
    trace_ids: Option<&[TraceId]>,
) -> Result<Vec<Arc<Span>>, SourceError> {
    let (tenant, budget, cancel) = (tenant(), Budget::unlimited(), Cancel::default());
    let request = SelectSpans { tenant: &tenant, range, filters, trace_ids, budget: &budget, cancel: &cancel };
    let mut batches = store.select_spans(&request)?;
    let mut spans = Vec::new();
    while let Some(batch) = batches.next()? {
        spans.extend(batch.iter().cloned());
    }
    Ok(spans)
}
