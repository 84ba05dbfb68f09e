//! Taking a write: limits, known series, then log and memory together. A write is checked and given room in the log
//! before anything changes, so that what is in memory is always in the log too.

use std::collections::BTreeMap;
use std::sync::Arc;

use base_signal::{Buckets, LabelsRef, NativeHistogram, SpanRun, TenantId};
use observe_block::BlockError;
use observe_source::{Appended, MetricWrite, RejectReason, SourceError};

use crate::budget::Budgets;
use crate::head::{Head, Verdict};
use crate::histogram::histogram_bytes;
use crate::index::Key;
use crate::points::Point;
use crate::record::WriteRecords;
use crate::segment::{Cursor, Segment};
use crate::store::{MetricStore, RETRY_AFTER_MS, source_error};
use crate::tombstone::{self, Tombstone};

/// A label set larger than this is no label set.
const LABEL_BYTES_MAX: usize = 64 << 10;
/// A histogram with more buckets than this is refused; Prometheus's own limit for native ones is 160 by default.
const BUCKETS_MAX: usize = 65_536;
/// The log's cost of a number and a time.
const ENTRY_BYTES: usize = 16;

/// The numbers of a write's series; `Err` for the sets that are refused.
type Numbers = Vec<Result<u32, RejectReason>>;

impl MetricStore {
    /// Takes what can be taken. Nothing is durable before [`MetricStore::sync`]. An error took nothing; `Shed` means that
    /// memory or disk are over their share and that the same write may be sent again.
    pub fn append(&mut self, tenant: &TenantId, write: &MetricWrite) -> Result<Appended, SourceError> {
        self.check()?;
        self.make_room()?;
        if !self.heads.contains_key(tenant) {
            let segments_max_ms = self.segments_max_ms(tenant);
            self.heads.insert(tenant.clone(), Head::new(segments_max_ms));
        }
        // A series remembers by the very first time there is that it has no point.
        let (now_ms, oldest_ms) = (self.world.clock.now_ms(), self.oldest_ms().max(i64::MIN + 1));
        let mut budgets = Budgets::new(&self.settings, self.series_count());
        let Some(head) = self.heads.get_mut(tenant) else { return Ok(Appended::default()) };
        let numbers = number_series(head, write, &mut budgets);
        let bound = frame_bound(head, write, &numbers, tenant);
        self.wal.reserve(bound).map_err(refused)?;
        let places = Segments {
            frozen: self.frozen.as_ref().and_then(|frozen| frozen.heads.get(tenant)).map(Arc::as_ref),
            segments: &self.segments,
            tombstones: &self.tombstones,
        };
        let stored = places.look_up(head, tenant.as_str(), write, &numbers);
        let asked = stored.as_ref().is_ok_and(|(_, asked)| *asked > 0);
        let mut taking = Taking {
            head,
            write,
            numbers,
            budgets,
            records: WriteRecords::default(),
            appended: Appended::default(),
            stored: stored.map_err(source_error)?.0,
            window_ms: self.settings.out_of_order_ms,
            oldest_ms,
            newest_ms: now_ms.saturating_add(self.settings.future_ms),
        };
        taking.take();
        let (records, appended) = (taking.records, taking.appended);
        if asked {
            self.trim_indexes();
        }
        records.finish(tenant.as_str(), &mut self.frame);
        if let Err(error) = self.wal.append(&mut self.frame) {
            // Memory has what the log may not have.
            self.broken = Some(error.to_string());
            return Err(source_error(error));
        }
        Ok(appended)
    }

    /// Flushes when memory or log are over their share; sheds when that did not help.
    fn make_room(&mut self) -> Result<(), SourceError> {
        let over = |store: &Self| {
            if store.head_bytes() > store.settings.head_bytes_max() {
                return Some("memory");
            }
            (store.wal.size_bytes() > store.settings.wal_bytes_max).then_some("disk")
        };
        if over(self).is_none() {
            return Ok(());
        }
        match self.flush() {
            Ok(()) | Err(SourceError::Shed { .. }) => {}
            Err(other) => return Err(other),
        }
        if over(self) == Some("memory") {
            // Series that are only remembered are all that is left: forget them, they come back from their labels.
            self.heads.values_mut().for_each(Head::forget_series);
        }
        match over(self) {
            Some(what) => Err(SourceError::Shed { what, retry_after_ms: RETRY_AFTER_MS }),
            None => Ok(()),
        }
    }
}

fn refused(error: BlockError) -> SourceError {
    match error {
        BlockError::FrameTooLarge { .. } => SourceError::Storage { reason: error.to_string() },
        other => source_error(other),
    }
}

/// Finds or makes the write's series. New ones beyond a budget are refused.
fn number_series(head: &mut Head, write: &MetricWrite, budgets: &mut Budgets) -> Numbers {
    // All keys first: the searches that follow then wait for memory side by side.
    let keys: Vec<Key> = write.series.iter().map(Key::of).collect();
    let known: Vec<Option<u32>> = {
        let index = head.index();
        keys.iter().map(|key| index.find(*key)).collect()
    };
    let mut number = |((labels, key), known): ((LabelsRef<'_>, &Key), &Option<u32>)| {
        // Not known a moment ago may be known by now: a write may name a series twice.
        if let Some(id) = known.or_else(|| head.find(*key)) {
            return Ok(id);
        }
        if labels.as_bytes().len() > LABEL_BYTES_MAX {
            return Err(RejectReason::LabelLimit);
        }
        if labels.get("__name__").is_none() {
            return Err(RejectReason::InvalidLabels);
        }
        if budgets.refusal(&head.index(), labels).is_some() {
            return Err(RejectReason::SeriesLimit);
        }
        budgets.spend();
        Ok(head.insert(labels, *key))
    };
    write.series.iter().zip(&keys).zip(&known).map(&mut number).collect()
}

/// The most that the write can take in the log.
fn frame_bound(head: &mut Head, write: &MetricWrite, numbers: &Numbers, tenant: &TenantId) -> u64 {
    let mut bytes = 64 + 6 * (tenant.as_str().len() + 16);
    for (labels, number) in write.series.iter().zip(numbers) {
        let defined = number.ok().and_then(|id| head.series_mut(id)).is_none_or(|series| series.defined);
        bytes += if defined { 0 } else { labels.as_bytes().len() + ENTRY_BYTES };
    }
    bytes += (write.samples.len() + write.created.len()) * (ENTRY_BYTES + 8);
    for (_, _, histogram) in &write.histograms {
        let runs = histogram.positive_runs.len() + histogram.negative_runs.len();
        bytes += ENTRY_BYTES + 128 + runs * 16 + buckets(histogram) * 10 + histogram.custom_bounds.len() * 8;
    }
    bytes += write.exemplars.iter().map(|(_, e)| e.labels.as_bytes().len() + 2 * ENTRY_BYTES + 8).sum::<usize>();
    bytes += write.metadata.iter().map(|(f, m)| f.len() + m.help.len() + m.unit.len() + 64).sum::<usize>();
    bytes as u64
}

fn buckets(histogram: &NativeHistogram) -> usize {
    match &histogram.buckets {
        Buckets::Integer { positive, negative, .. } => positive.len() + negative.len(),
        Buckets::Float { positive, negative, .. } => positive.len() + negative.len(),
    }
}

/// Whether the runs add up to the buckets, as every reader relies on.
fn is_sound(histogram: &NativeHistogram) -> bool {
    let sum = |runs: &[SpanRun]| runs.iter().map(|run| u64::from(run.length)).sum::<u64>();
    let (positive, negative) = match &histogram.buckets {
        Buckets::Integer { positive, negative, .. } => (positive.len(), negative.len()),
        Buckets::Float { positive, negative, .. } => (positive.len(), negative.len()),
    };
    let adds_up = sum(&histogram.positive_runs) == positive as u64 && sum(&histogram.negative_runs) == negative as u64;
    adds_up && positive + negative + histogram.custom_bounds.len() <= BUCKETS_MAX
}

/// One write on its way in.
struct Taking<'a> {
    head: &'a mut Head,
    write: &'a MetricWrite,
    numbers: Numbers,
    budgets: Budgets,
    records: WriteRecords,
    appended: Appended,
    stored: StoredPoints,
    window_ms: i64,
    oldest_ms: i64,
    newest_ms: i64,
}

impl Taking<'_> {
    fn take(&mut self) {
        let write = self.write;
        for (set, time_ms, value) in &write.samples {
            let bits = value.to_bits();
            if let Some(id) = self.point(*set, *time_ms, Point::Float(bits)) {
                self.records.sample(id, *time_ms, bits);
            }
        }
        for (set, time_ms, histogram) in &write.histograms {
            if !is_sound(histogram) {
                self.reject(RejectReason::Invalid, *set, *time_ms, "the runs do not add up to the buckets");
                continue;
            }
            let bytes: Arc<[u8]> = Arc::from(histogram_bytes(histogram));
            let before = self.appended.accepted;
            if let Some(id) = self.point(*set, *time_ms, Point::Histogram(Arc::clone(&bytes))) {
                self.records.histogram(id, *time_ms, &bytes);
            }
            self.appended.histograms += self.appended.accepted - before;
        }
        for (set, exemplar) in &write.exemplars {
            let Some(id) = self.place(*set, exemplar.time_ms) else { continue };
            if self.head.append_exemplar(id, exemplar) {
                self.define(id, *set);
                self.records.exemplar(id, exemplar);
            }
            self.appended.accepted += 1;
            self.appended.exemplars += 1;
        }
        for (family, metadata) in &write.metadata {
            if self.head.set_metadata(family, metadata) {
                self.records.metadata(family, metadata);
            }
        }
        for (set, created_ms) in &write.created {
            let Some(Ok(id)) = self.numbers.get(*set as usize).copied() else { continue };
            if self.head.set_created(id, *created_ms) {
                self.define(id, *set);
                self.records.created(id, *created_ms);
            }
        }
    }

    /// Adds a point to memory; the series' number if it must go to the log.
    fn point(&mut self, set: u32, time_ms: i64, point: Point) -> Option<u32> {
        let id = self.place(set, time_ms)?;
        let stored = self.stored.get(&(id, time_ms));
        match self.head.append(id, time_ms, point, self.window_ms, stored) {
            Verdict::Taken => {
                self.define(id, set);
                self.appended.accepted += 1;
                return Some(id);
            }
            Verdict::Same => self.appended.accepted += 1,
            Verdict::Duplicate => {
                self.reject(RejectReason::DuplicateTimestamp, set, time_ms, "duplicate sample for timestamp");
            }
            Verdict::OutOfOrder => self.reject(RejectReason::OutOfOrder, set, time_ms, "out of order sample"),
        }
        None
    }

    /// The series' number, if set and time are acceptable.
    fn place(&mut self, set: u32, time_ms: i64) -> Option<u32> {
        let (reason, why) = match self.numbers.get(set as usize) {
            Some(Ok(_)) if time_ms < self.oldest_ms => (RejectReason::TooOld, "older than the retention"),
            Some(Ok(_)) if time_ms > self.newest_ms => (RejectReason::TooFarInFuture, "too far in the future"),
            Some(Ok(id)) => return Some(*id),
            Some(Err(RejectReason::SeriesLimit)) => {
                let refusal = self.budgets.refusal(&self.head.index(), self.write.series.get(set));
                // What was in its way may have gone with a series of this very write.
                let why = refusal.unwrap_or_else(|| "too many series".to_owned());
                self.reject(RejectReason::SeriesLimit, set, time_ms, &why);
                return None;
            }
            Some(Err(RejectReason::LabelLimit)) => (RejectReason::LabelLimit, "the labels are too long"),
            Some(Err(reason)) => (*reason, "the metric has no name"),
            None => (RejectReason::InvalidLabels, "there is no such series in the write"),
        };
        self.reject(reason, set, time_ms, why);
        None
    }

    fn reject(&mut self, reason: RejectReason, set: u32, time_ms: i64, why: &str) {
        let write = self.write;
        self.appended.reject(reason, || {
            let labels: String = write.series.get(set).to_labels().to_string().chars().take(300).collect();
            format!("{why}, series {labels}, timestamp {time_ms}")
        });
    }

    /// Puts the series' definition into the log before its first use there.
    fn define(&mut self, id: u32, set: u32) {
        if let Some(series) = self.head.series_mut(id)
            && !series.defined
        {
            series.defined = true;
            self.records.series(id, self.write.series.get(set));
        }
    }
}

/// What segments hold of a write's late points: (series, time) → point.
type StoredPoints = BTreeMap<(u32, i64), Point>;

/// What is no longer in the head, asked for single points.
struct Segments<'a> {
    frozen: Option<&'a Head>,
    segments: &'a BTreeMap<u64, Arc<Segment>>,
    tombstones: &'a [Tombstone],
}

impl Segments<'_> {
    /// Looks for all points that may be there, before anything changes. Also returns how many were looked for.
    fn look_up(
        &self,
        head: &Head,
        tenant: &str,
        write: &MetricWrite,
        numbers: &Numbers,
    ) -> Result<(StoredPoints, usize), BlockError> {
        let (mut found, mut asked) = (StoredPoints::new(), 0);
        let floats = write.samples.iter().map(|(set, time_ms, _)| (*set, *time_ms));
        let histograms = write.histograms.iter().map(|(set, time_ms, _)| (*set, *time_ms));
        for (set, time_ms) in floats.chain(histograms) {
            let Some(Ok(id)) = numbers.get(set as usize).copied() else { continue };
            if !head.may_be_stored(id, time_ms) {
                continue;
            }
            // Noted here too: an earlier item of this write may make it no longer the newest.
            if let Some(point) = head.newest(id, time_ms) {
                found.insert((id, time_ms), point);
            } else {
                asked += 1;
                if let Some(point) = self.at(tenant, write.series.get(set), time_ms)? {
                    found.insert((id, time_ms), point);
                }
            }
        }
        Ok((found, asked))
    }

    fn at(&self, tenant: &str, labels: LabelsRef<'_>, time_ms: i64) -> Result<Option<Point>, BlockError> {
        let key = Key::of(labels);
        let frozen = self.frozen.and_then(|head| head.at(head.find(key)?, time_ms));
        if frozen.is_some() {
            return Ok(frozen);
        }
        for segment in self.segments.values().rev() {
            let summary = segment.reader.summary();
            let covers = summary.time_min <= time_ms && time_ms <= summary.time_max;
            if !covers || segment.reader.tenant() != tenant {
                continue;
            }
            match at(segment, key, time_ms) {
                Ok(Some(point)) => {
                    let gone = tombstone::deleted(self.tombstones, tenant, segment.id, labels);
                    if !gone.iter().any(|range| range.contains(time_ms)) {
                        return Ok(Some(point));
                    }
                }
                Ok(None) => {}
                // A rotten segment is noted there and set aside later; it must not stop new data.
                Err(error) if error.is_corrupt() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

fn at(segment: &Segment, key: Key, time_ms: i64) -> Result<Option<Point>, BlockError> {
    let index = segment.index()?;
    let row = index.series.find(key).and_then(|id| index.row(id));
    let Some(row) = row.filter(|row| row.overlaps(time_ms, time_ms)) else { return Ok(None) };
    Ok(segment.points(&index.pages, row, (time_ms, time_ms), &mut Cursor::default())?.at(time_ms))
}
