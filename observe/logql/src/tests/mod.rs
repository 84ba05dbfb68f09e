//! Queries as a user writes them, over lines as a user has them.

mod lines;
mod numbers;
mod stages;
mod syntax;

use base_signal::{LabelArena, LogEntry, TenantId};
use observe_source::fake::FakeLogs;
use observe_source::{Budget, Cancel, Direction, LogWrite};

use crate::{Answer, Data, Engine, Query, QueryError, Sample};

const S: i64 = 1_000_000_000;

/// `labels | seconds | line | metadata`, one entry a row: `app=shop level=info | 10 | hello | trace_id=ab`.
fn store(table: &str) -> FakeLogs {
    let mut logs = FakeLogs::default();
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let mut cells = row.split(" | ").map(str::trim);
        let (labels, seconds, line) = (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap());
        let pairs = |text: &str| -> Vec<(String, String)> {
            let pair = |p: &str| p.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap();
            let mut pairs: Vec<_> = text.split_whitespace().map(pair).collect();
            pairs.sort();
            pairs
        };
        let labels = pairs(labels);
        let mut streams = LabelArena::default();
        streams.push(&mut labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect());
        let time_ns = (seconds.parse::<f64>().unwrap() * 1e9) as i64;
        let metadata = cells.next().map(pairs).unwrap_or_default();
        logs.append(&LogWrite {
            streams,
            entries: vec![LogEntry { stream: 0, time_ns, line: line.to_owned(), metadata }],
        });
    }
    logs
}

struct Ask {
    tenant: TenantId,
    budget: Budget,
    cancel: Cancel,
}

impl Ask {
    fn new() -> Self {
        Ask { tenant: TenantId::default(), budget: Budget::unlimited(), cancel: Cancel::default() }
    }

    fn range(&self, logs: &FakeLogs, text: &str, limit: usize, direction: Direction) -> Result<Answer, QueryError> {
        let query = Query { text, tenant: &self.tenant, budget: &self.budget, cancel: &self.cancel };
        Engine::default().query_range(logs, &query, 0, 100 * S, 10_000, limit, direction)
    }

    fn instant(&self, logs: &FakeLogs, text: &str, at_s: i64) -> Result<Answer, QueryError> {
        let query = Query { text, tenant: &self.tenant, budget: &self.budget, cancel: &self.cancel };
        Engine::default().query(logs, &query, at_s * S, 0, Direction::Forward)
    }
}

/// `seconds line` for every entry in the answer, oldest first over all streams; an error as its text.
fn lines(logs: &FakeLogs, text: &str) -> Vec<String> {
    match Ask::new().range(logs, text, 5_000, Direction::Forward) {
        Ok(Answer { data: Data::Streams(streams), .. }) => {
            let mut all: Vec<_> = streams.iter().flat_map(|s| &s.entries).collect();
            all.sort_by_key(|e| e.time_ns);
            all.iter().map(|e| format!("{} {}", e.time_ns / S, e.line)).collect()
        }
        Ok(answer) => vec![format!("{:?}", answer.data)],
        Err(error) => vec![error.to_string()],
    }
}

/// `{labels} value` for every sample, in the order of the answer.
fn samples(logs: &FakeLogs, text: &str, at_s: i64) -> Vec<String> {
    let show = |s: &Sample| format!("{} {}", s.labels, s.point.value);
    match Ask::new().instant(logs, text, at_s) {
        Ok(Answer { data: Data::Vector(samples), .. }) => samples.iter().map(show).collect(),
        Ok(Answer { data: Data::Scalar { value, .. }, .. }) => vec![format!("scalar {value}")],
        Ok(answer) => vec![format!("{:?}", answer.data)],
        Err(error) => vec![error.to_string()],
    }
}
