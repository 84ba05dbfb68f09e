//! Delta temporality: senders that tell by how much something grew since they last told it. Here the increases are added up to what Prometheus knows, a counter.
//!
//! What is stored is the state, and what is held here only its newest part: after a restart, or for a series that was forgotten for want of room, the counter goes
//! on where the store's series ends, if that is not longer than an hour ago; else it begins anew, as a restarted process's does. A point that was sent twice counts once; one that
//! is older than the last is refused. Knows the waist, not a store.

mod histogram;

use base_signal::{Labels, Matcher, NativeHistogram, RangeMs, TenantId, is_stale_nan};
use observe_source::{
    Appended, Budget, Cancel, Increase, Increment, MetricSource, MetricWrite, RejectReason, SelectHints, SelectMetrics,
    SourceError,
};

/// Series held at once: some 40 MB of them.
const STREAMS_MAX: usize = 100_000;
/// Of the store, for a series that is not held.
const RESUME_MS: i64 = 3_600_000;

type Key = (TenantId, Labels);

/// One counter.
#[derive(Clone, Debug)]
struct Stream {
    /// When it began.
    start_ms: i64,
    last_ms: i64,
    total: Increment,
    /// Counts requests: the one seen longest ago is forgotten first.
    seen: u64,
}

/// Adds up. Cheap to make: nothing is read before a series comes.
#[derive(Debug, Default)]
pub struct Accumulator {
    streams: ahash::HashMap<Key, Stream>,
    requests: u64,
}

/// What a write changed, to be taken back if it was not stored.
#[derive(Debug, Default)]
pub struct Receipt(Vec<(Key, Option<Stream>)>);

impl Accumulator {
    /// Turns the write's increases into samples and histograms of counters. `source` is what they are stored in.
    pub fn add_up(
        &mut self,
        tenant: &TenantId,
        write: &mut MetricWrite,
        source: &dyn MetricSource,
    ) -> Result<(Appended, Receipt), SourceError> {
        let (mut told, mut receipt) = (Appended::default(), Receipt::default());
        self.requests += 1;
        for increase in std::mem::take(&mut write.increases) {
            let key = (tenant.clone(), write.series.get(increase.series).to_labels());
            let before = self.streams.get(&key).cloned();
            let known = match &before {
                Some(stream) => Some(stream.clone()),
                None => match stored(tenant, &key.1, increase.time_ms, source) {
                    Ok(stored) => stored,
                    Err(error) => {
                        self.take_back(receipt);
                        return Err(error);
                    }
                },
            };
            match next(known, &increase) {
                Next::Grown(mut stream) => {
                    stream.seen = self.requests;
                    write.created.push((increase.series, stream.start_ms));
                    match &stream.total {
                        Increment::Float(value) => write.samples.push((increase.series, increase.time_ms, *value)),
                        Increment::Histogram(total) => {
                            write.histograms.push((increase.series, increase.time_ms, total.clone()));
                        }
                    }
                    self.streams.insert(key.clone(), stream);
                    receipt.0.push((key, before));
                }
                Next::Same => {
                    told.accepted += 1;
                    told.histograms += u64::from(matches!(increase.by, Increment::Histogram(_)));
                }
                Next::NoNumber => told
                    .reject(RejectReason::Invalid, || format!("a delta of {} at {} is NaN", key.1, increase.time_ms)),
                Next::Old(last_ms) => told.reject(RejectReason::OutOfOrder, || {
                    format!("a delta of {} at {} is older than the last, of {last_ms}", key.1, increase.time_ms)
                }),
            }
        }
        self.forget();
        Ok((told, receipt))
    }

    /// As if the write had never come: its sender is told to send it again, and it must count once.
    pub fn take_back(&mut self, receipt: Receipt) {
        for (key, before) in receipt.0.into_iter().rev() {
            match before {
                Some(stream) => self.streams.insert(key, stream),
                None => self.streams.remove(&key),
            };
        }
    }

    /// Half of them, those seen longest ago, when there are too many: seldom, and then at once.
    fn forget(&mut self) {
        if self.streams.len() <= STREAMS_MAX {
            return;
        }
        let mut seen: Vec<u64> = self.streams.values().map(|stream| stream.seen).collect();
        let middle = seen.len() / 2;
        let (_, border, _) = seen.select_nth_unstable(middle);
        let border = *border;
        self.streams.retain(|_, stream| stream.seen > border || stream.seen == self.requests);
    }
}

enum Next {
    Grown(Stream),
    /// It was counted already.
    Same,
    /// Older than what was counted last.
    Old(i64),
    /// Added to a counter it would be all that is left of it.
    NoNumber,
}

fn next(known: Option<Stream>, increase: &Increase) -> Next {
    let fresh = || Stream {
        start_ms: if increase.start_ms > 0 { increase.start_ms } else { increase.time_ms },
        last_ms: increase.time_ms,
        total: increase.by.clone(),
        seen: 0,
    };
    if matches!(increase.by, Increment::Float(by) if by.is_nan()) {
        return Next::NoNumber;
    }
    let Some(mut stream) = known else { return Next::Grown(fresh()) };
    match increase.time_ms.cmp(&stream.last_ms) {
        std::cmp::Ordering::Less => return Next::Old(stream.last_ms),
        std::cmp::Ordering::Equal => return Next::Same,
        std::cmp::Ordering::Greater => {}
    }
    let grown = match (&mut stream.total, &increase.by) {
        (Increment::Float(total), Increment::Float(by)) => {
            *total += by;
            true
        }
        (Increment::Histogram(total), Increment::Histogram(by)) => histogram::add(total, by),
        _ => false,
    };
    stream.last_ms = increase.time_ms;
    // What cannot be added to what was there begins anew.
    Next::Grown(if grown { stream } else { fresh() })
}

/// The counter as the store has it.
fn stored(
    tenant: &TenantId,
    labels: &Labels,
    time_ms: i64,
    source: &dyn MetricSource,
) -> Result<Option<Stream>, SourceError> {
    let matchers: Vec<Matcher> = labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    let (budget, cancel) = (Budget::unlimited(), Cancel::default());
    let mut batches = source.select(&SelectMetrics {
        tenant,
        matchers: &matchers,
        // Also what is newer: a point that is older than that must not count.
        range: RangeMs::new(time_ms.saturating_sub(RESUME_MS), i64::MAX),
        hints: SelectHints::default(),
        budget: &budget,
        cancel: &cancel,
    })?;
    while let Some(batch) = batches.next()? {
        // Others may have these labels and more.
        let Some(i) = batch.series.iter().position(|found| found == labels) else { continue };
        let Some(row) = batch.rows(i).last() else { continue };
        let total = match batch.histograms.binary_search_by_key(&row, |(row, _)| *row) {
            Ok(at) => batch.histograms.get(at).map(|(_, histogram)| Increment::Histogram(histogram.clone())),
            Err(_) => batch.values.get(row).map(|value| Increment::Float(*value)),
        };
        let ended = |total: &Increment| match total {
            Increment::Float(value) => is_stale_nan(*value),
            Increment::Histogram(histogram) => NativeHistogram::is_stale(histogram),
        };
        let last_ms = batch.times_ms[row];
        let start_ms = batch.created.iter().find(|(at, _)| *at == i).map_or(last_ms, |(_, start_ms)| *start_ms);
        return Ok(total.filter(|total| !ended(total)).map(|total| Stream { start_ms, last_ms, total, seen: 0 }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
