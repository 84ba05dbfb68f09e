//! Lines: pull, filter, gather by labels until the limit is reached.

use ahash::AHashMap;
use base_signal::{Labels, MatchOp, Matcher, PatternError, RangeNs};
use observe_source::{Direction, LogBatches, SelectLogs};

use super::{QueryError, Run};
use crate::answer::{Entry, StreamResult};
use crate::pipeline::{Pipeline, Row, hints, wanted_names};
use crate::syntax::{LogExpr, Stage};

/// Asks the source for the lines of a selector, with all the hints that its stages allow.
pub(super) fn select(
    run: &Run<'_>,
    log: &LogExpr,
    range: RangeNs,
    direction: Direction,
) -> Result<Box<dyn LogBatches>, QueryError> {
    let query = run.query;
    let hints = {
        let on_a_stream = names_on_streams(run, log, &log.stages)?;
        hints(&log.stages, |name| !on_a_stream.iter().any(|n| n == name))
    };
    let (tenant, budget, cancel) = (query.tenant, query.budget, query.cancel);
    let matchers = &log.selector.matchers;
    Ok(run.source.select_logs(&SelectLogs { tenant, matchers, range, direction, hints: &hints, budget, cancel })?)
}

/// Of the names that stages filter on, those that some wanted stream has as a label, at whatever time: to ask for the
/// range alone could cost a store as much as the query.
fn names_on_streams(run: &Run<'_>, log: &LogExpr, stages: &[Stage]) -> Result<Vec<String>, QueryError> {
    let mut names = wanted_names(stages);
    if names.is_empty() {
        return Ok(names);
    }
    let with = |name: &String| -> Result<Vec<Matcher>, PatternError> {
        let has = Matcher::new(name.as_str(), MatchOp::NotEqual, "")?;
        Ok(log.selector.matchers.iter().cloned().chain([has]).collect())
    };
    let sets: Result<Vec<_>, _> = names.iter().map(with).collect();
    let sets = sets.map_err(|error| QueryError::Invalid(error.to_string()))?;
    let streams = run.source.streams(run.query.tenant, &sets, RangeNs::ALL, run.query.budget)?;
    names.retain(|name| streams.iter().any(|labels| labels.get(name).is_some()));
    Ok(names)
}

pub(super) fn evaluate(
    run: &mut Run<'_>,
    log: &LogExpr,
    (start_ns, end_ns): (i64, i64),
    limit: usize,
    direction: Direction,
) -> Result<Vec<StreamResult>, QueryError> {
    let pipeline = Pipeline::new(&log.stages).map_err(|refused| run.refused(refused))?;
    let mut results: Vec<StreamResult> = Vec::new();
    if end_ns <= start_ns || limit == 0 {
        return Ok(results);
    }
    let mut known: AHashMap<Labels, usize> = AHashMap::new();
    let mut batches = select(run, log, RangeNs::new(start_ns, end_ns - 1), direction)?;
    let mut taken = 0;
    'all: while let Some(batch) = batches.next()? {
        run.query.cancel.check()?;
        for i in 0..batch.len() {
            let line = batch.line(i);
            run.statistics.lines += 1;
            run.statistics.bytes += line.len() as u64;
            let metadata = batch.metadata.get(i).map_or(&[][..], Vec::as_slice);
            let mut row = Row::new(line, batch.labels(i), metadata);
            if !pipeline.run(&mut row) {
                continue;
            }
            let labels = row.labels();
            run.hold(line.len() + labels.as_bytes().len() + 96)?;
            let at = *known.entry(labels.clone()).or_insert_with(|| {
                results.push(StreamResult { labels, stream: row.stream(), entries: Vec::new() });
                results.len() - 1
            });
            let (structured_metadata, parsed) = (row.pairs(false), row.pairs(true));
            let time_ns = batch.times_ns.get(i).copied().unwrap_or_default();
            if let Some(result) = results.get_mut(at) {
                result.entries.push(Entry { time_ns, line: row.line.into_owned(), structured_metadata, parsed });
            }
            taken += 1;
            if taken == limit {
                break 'all;
            }
        }
    }
    run.statistics.lines_returned += taken as u64;
    run.annotations.merge(batches.annotations());
    results.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(results)
}
