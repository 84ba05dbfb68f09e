//! Answering: the store as a `MetricSource`. A query takes a snapshot (numbers of series, shared chunks, open segments)
//! and then reads without the store, so appends go on beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base_signal::{Labels, LabelsRef, Metadata, RangeMs, TenantId};
use observe_block::codec::Reader;
use observe_source::{
    Annotations, Budget, Cancel, ExemplarSeries, LabelQuery, MetricBatch, MetricBatches, MetricSource, Reservation,
    SelectMetrics, SourceError,
};
use roaring::RoaringBitmap;

use crate::head::same_exemplar;
use crate::histogram::take_histogram;
use crate::index::SeriesIndex;
use crate::points::Points;
use crate::segment::{Cursor, Segment};
use crate::segment_index::{Pages, Row, SegmentIndex};
use crate::series::Snapshot;
use crate::store::{MetricStore, source_error};
use crate::tombstone::{self, Tombstone};

/// A batch is handed out when it holds so many rows or series.
const BATCH_ROWS: usize = 64 << 10;
const BATCH_SERIES: usize = 4096;
/// Cost of a series in the list of what is to be read.
const ENTRY_BYTES: u64 = 320 + size_of::<Row>() as u64;

type Result<T> = std::result::Result<T, SourceError>;

/// A segment as one query holds it: without its index, which may be larger than all that the query wants of it.
struct Opened {
    segment: Arc<Segment>,
    pages: Arc<Pages>,
}

/// Where the points of one series are.
#[derive(Default)]
struct Places {
    /// (which of the opened segments, place there), oldest segment first.
    segments: Vec<(usize, Row)>,
    /// Of what a flush is writing, then of what is newest.
    heads: Vec<Snapshot>,
    created_ms: Option<i64>,
}

/// One place of a series.
enum Place {
    Segment(usize, Row),
    Head(Snapshot),
    /// No points of the range, but since when it counts.
    Created(i64),
}

/// By labels, ascending. Every segment and every head gave its own in this order, and the sort makes use of that.
fn joined(mut found: Vec<(Labels, Place)>) -> Vec<(Labels, Places)> {
    found.sort_by(|(a, _), (b, _)| a.as_ref().cmp(&b.as_ref()));
    let mut all: Vec<(Labels, Places)> = Vec::with_capacity(found.len());
    for (labels, place) in found {
        if all.last().is_none_or(|(last, _)| *last != labels) {
            all.push((labels, Places::default()));
        }
        let Some((_, places)) = all.last_mut() else { continue };
        match place {
            Place::Segment(segment, row) => places.segments.push((segment, row)),
            Place::Head(snapshot) => places.heads.push(snapshot),
            Place::Created(created_ms) => places.created_ms = Some(created_ms),
        }
    }
    all
}

struct Batches {
    series: std::vec::IntoIter<(Labels, Places)>,
    opened: Vec<Opened>,
    cursors: Vec<Cursor>,
    tombstones: Vec<Tombstone>,
    tenant: TenantId,
    range: RangeMs,
    budget: Budget,
    cancel: Cancel,
    annotations: Annotations,
    /// What the list and the snapshots take.
    _held: Vec<Reservation>,
    /// What the batch last given takes.
    batch: Vec<Reservation>,
}

impl MetricStore {
    /// Calls `each` with the tenant's segments that overlap the range, oldest first. One index is held at a time, beside those
    /// that the store keeps within its share. A rotten segment is left out and said.
    fn each_segment(
        &self,
        tenant: &TenantId,
        range: RangeMs,
        annotations: &mut Annotations,
        mut each: impl FnMut(&Arc<Segment>, &SegmentIndex) -> Result<()>,
    ) -> Result<()> {
        let wanted = |segment: &&Arc<Segment>| {
            let summary = segment.reader.summary();
            let overlaps = range.overlaps(RangeMs::new(summary.time_min, summary.time_max));
            segment.reader.tenant() == tenant.as_str() && overlaps
        };
        let mut segments: Vec<&Arc<Segment>> = self.segments.values().filter(wanted).collect();
        segments.sort_by_key(|segment| (segment.rank, segment.id));
        for segment in segments {
            match segment.index() {
                Ok(index) => each(segment, &index)?,
                Err(error) if error.is_corrupt() => annotations.warn(format!("some data is missing: {error}")),
                Err(error) => return Err(source_error(error)),
            }
            self.used(segment);
            self.trim_indexes();
        }
        Ok(())
    }

    fn visible(&self, range: RangeMs) -> RangeMs {
        RangeMs::new(range.start_ms.max(self.oldest_ms()), range.end_ms)
    }

    /// Calls `each` with every series that matches and has points in the range: index, number, labels on demand.
    fn visit(
        &self,
        query: &LabelQuery<'_>,
        annotations: &mut Annotations,
        mut each: impl FnMut(&SeriesIndex, u32),
    ) -> Result<()> {
        query.cancel.check()?;
        let range = self.visible(query.range);
        let matching = |index: &SeriesIndex| match query.matchers {
            [] => (0..index.len() as u32).collect(),
            sets => sets.iter().map(|set| index.matching(set)).fold(RoaringBitmap::new(), |all, set| all | set),
        };
        for head in self.heads_of(query.tenant) {
            let index = head.index();
            for id in matching(&index) {
                if head.time_range(id).is_some_and(|(first, last)| range.overlaps(RangeMs::new(first, last))) {
                    each(&index, id);
                }
            }
        }
        self.each_segment(query.tenant, range, annotations, |segment, index| {
            query.cancel.check()?;
            for id in matching(&index.series) {
                let row = index.row(id).filter(|row| row.overlaps(range.start_ms, range.end_ms));
                if row.is_some_and(|row| !self.is_all_deleted(segment, index, id, row)) {
                    each(&index.series, id);
                }
            }
            Ok(())
        })
    }

    fn is_all_deleted(&self, segment: &Segment, index: &SegmentIndex, id: u32, row: &Row) -> bool {
        if self.tombstones.iter().all(|t| t.before_id <= segment.id) {
            return false;
        }
        let labels = index.series.labels(id);
        let tenant = segment.reader.tenant();
        let gone = tombstone::deleted(&self.tombstones, tenant, segment.id, labels.as_ref());
        gone.iter().any(|range| range.contains(row.time_min) && range.contains(row.time_max))
    }
}

impl MetricSource for MetricStore {
    fn select(&self, request: &SelectMetrics<'_>) -> Result<Box<dyn MetricBatches>> {
        request.cancel.check()?;
        let (range, mut annotations) = (self.visible(request.range), Annotations::default());
        let (mut opened, mut found, mut held) = (Vec::new(), Vec::<(Labels, Place)>::new(), Vec::new());
        let mut hold = |labels: &Labels, more: u64| {
            held.push(request.budget.reserve(ENTRY_BYTES + labels.as_bytes().len() as u64 + more)?);
            Ok::<_, SourceError>(())
        };
        self.each_segment(request.tenant, range, &mut annotations, |segment, index| {
            request.cancel.check()?;
            for id in index.series.matching(request.matchers) {
                if let Some(row) = index.row(id).filter(|row| row.overlaps(range.start_ms, range.end_ms)) {
                    let labels = index.series.labels(id);
                    hold(&labels, 0)?;
                    found.push((labels, Place::Segment(opened.len(), row.clone())));
                }
            }
            opened.push(Opened { segment: Arc::clone(segment), pages: Arc::clone(&index.pages) });
            Ok(())
        })?;
        for head in self.heads_of(request.tenant) {
            let index = head.index();
            for id in index.sorted_of(&index.matching(request.matchers)) {
                let overlaps = |(first, last)| range.overlaps(RangeMs::new(first, last));
                let place = if head.time_range(id).is_some_and(overlaps) {
                    Place::Head(head.snapshot(id, range))
                } else if let Some(created_ms) = head.created_ms(id) {
                    Place::Created(created_ms)
                } else {
                    continue;
                };
                let labels = index.labels(id);
                hold(&labels, if let Place::Head(snapshot) = &place { snapshot.decoded_bytes() / 4 } else { 0 })?;
                found.push((labels, place));
            }
        }
        let mut cursors = Vec::new();
        cursors.resize_with(opened.len(), Cursor::default);
        Ok(Box::new(Batches {
            series: joined(found).into_iter(),
            opened,
            cursors,
            tombstones: self.tombstones.iter().filter(|t| t.tenant == request.tenant.as_str()).cloned().collect(),
            tenant: request.tenant.clone(),
            range,
            budget: request.budget.clone(),
            cancel: request.cancel.clone(),
            annotations,
            _held: held,
            batch: Vec::new(),
        }))
    }

    fn label_names(&self, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations)> {
        let (mut names, mut annotations) = (BTreeSet::new(), Annotations::default());
        self.visit(query, &mut annotations, |index, id| {
            for name in index.names(id).filter(|name| !names.contains(*name)).map(str::to_owned).collect::<Vec<_>>() {
                names.insert(name);
            }
        })?;
        Ok((limited(names, query.limit, &mut annotations), annotations))
    }

    fn label_values(&self, name: &str, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations)> {
        let (mut values, mut annotations) = (BTreeSet::new(), Annotations::default());
        self.visit(query, &mut annotations, |index, id| {
            if let Some(value) = index.value(id, name).filter(|value| !values.contains(*value)) {
                values.insert(value.to_owned());
            }
        })?;
        Ok((limited(values, query.limit, &mut annotations), annotations))
    }

    fn series(&self, query: &LabelQuery<'_>) -> Result<(Vec<Labels>, Annotations)> {
        let (mut series, mut annotations) = (BTreeSet::new(), Annotations::default());
        let (mut held, mut over) = (Vec::new(), None);
        self.visit(query, &mut annotations, |index, id| {
            let labels = index.labels(id);
            if over.is_none() && !series.contains(&labels) {
                match query.budget.reserve(ENTRY_BYTES + labels.as_bytes().len() as u64) {
                    Ok(reservation) => held.push(reservation),
                    Err(error) => over = Some(error),
                }
                series.insert(labels);
            }
        })?;
        match over {
            Some(error) => Err(error),
            None => Ok((limited(series, query.limit, &mut annotations), annotations)),
        }
    }

    fn exemplars(&self, query: &LabelQuery<'_>) -> Result<Vec<ExemplarSeries>> {
        query.cancel.check()?;
        let (range, mut annotations) = (self.visible(query.range), Annotations::default());
        let mut found: BTreeMap<Labels, Vec<_>> = BTreeMap::new();
        let any = |labels: LabelsRef<'_>| {
            let all = |set: &Vec<base_signal::Matcher>| set.iter().all(|matcher| matcher.matches_labels(labels));
            query.matchers.is_empty() || query.matchers.iter().any(all)
        };
        self.each_segment(query.tenant, range, &mut annotations, |segment, index| {
            for id in 0..index.series.len() as u32 {
                let Some(row) = index.row(id).filter(|row| row.has_exemplars()) else { continue };
                let labels = index.series.labels(id);
                if any(labels.as_ref()) {
                    let gone = tombstone::deleted(&self.tombstones, query.tenant.as_str(), segment.id, labels.as_ref());
                    let mut exemplars = match segment.exemplars(row) {
                        Err(error) if error.is_corrupt() => Vec::new(),
                        read => read.map_err(source_error)?,
                    };
                    exemplars.retain(|exemplar| !gone.iter().any(|range| range.contains(exemplar.time_ms)));
                    found.entry(labels).or_default().extend(exemplars);
                }
            }
            Ok(())
        })?;
        for head in self.heads_of(query.tenant) {
            let index = head.index();
            for id in 0..index.len() as u32 {
                let exemplars = head.exemplars(id);
                if !exemplars.is_empty() && any(index.labels(id).as_ref()) {
                    found.entry(index.labels(id)).or_default().extend(exemplars.iter().cloned());
                }
            }
        }
        let mut all = Vec::new();
        for (labels, mut exemplars) in found {
            exemplars.retain(|exemplar| range.contains(exemplar.time_ms));
            exemplars.sort_by_key(|e| (e.time_ms, e.value.to_bits(), e.labels.clone()));
            exemplars.dedup_by(|a, b| same_exemplar(a, b));
            if !exemplars.is_empty() {
                all.push(ExemplarSeries { labels, exemplars });
            }
        }
        Ok(all)
    }

    fn metadata(&self, tenant: &TenantId, metric: Option<&str>) -> Result<Vec<(String, Metadata)>> {
        let Some(head) = self.heads.get(tenant) else { return Ok(Vec::new()) };
        let wanted = head.metadata.iter().filter(|(family, _)| metric.is_none_or(|metric| metric == *family));
        Ok(wanted.map(|(family, metadata)| (family.clone(), metadata.clone())).collect())
    }
}

fn limited<T>(items: BTreeSet<T>, limit: usize, annotations: &mut Annotations) -> Vec<T> {
    if limit == 0 || items.len() <= limit {
        return items.into_iter().collect();
    }
    annotations.warn("results truncated due to limit");
    items.into_iter().take(limit).collect()
}

impl Batches {
    /// The points of one series in the range, and when its counter began.
    fn read(&mut self, labels: &Labels, places: Places) -> Result<(Points, Option<i64>)> {
        let (mut parts, mut created_ms) = (Vec::new(), None);
        for (i, row) in places.segments {
            let (Some(Opened { segment, pages }), Some(cursor)) = (self.opened.get(i), self.cursors.get_mut(i)) else {
                continue;
            };
            match segment.points(pages, &row, (self.range.start_ms, self.range.end_ms), cursor) {
                Ok(mut points) => {
                    let gone = tombstone::deleted(&self.tombstones, self.tenant.as_str(), segment.id, labels.as_ref());
                    points.retain(|time| !gone.iter().any(|range| range.contains(time)));
                    parts.push(points);
                    created_ms = row.created_ms.or(created_ms);
                }
                Err(error) if error.is_corrupt() => self.annotations.warn(format!("some data is missing: {error}")),
                Err(error) => return Err(source_error(error)),
            }
        }
        created_ms = places.created_ms.or(created_ms);
        for snapshot in places.heads {
            created_ms = snapshot.created_ms.or(created_ms);
            let mut points = snapshot.into_points();
            points.keep_within(self.range.start_ms, self.range.end_ms);
            parts.push(points);
        }
        Ok((Points::merge(parts), created_ms))
    }
}

impl MetricBatches for Batches {
    fn next(&mut self) -> Result<Option<MetricBatch>> {
        self.batch.clear();
        let mut batch = MetricBatch::default();
        while batch.times_ms.len() < BATCH_ROWS && batch.series.len() < BATCH_SERIES {
            self.cancel.check()?;
            let Some((labels, places)) = self.series.next() else { break };
            let (points, created_ms) = self.read(&labels, places)?;
            if points.is_empty() {
                continue;
            }
            let bytes = points.len() * 16 + points.histograms.len() * 400;
            self.batch.push(self.budget.reserve(bytes as u64)?);
            let base = batch.times_ms.len();
            for (row, encoded) in &points.histograms {
                let histogram = take_histogram(&mut Reader::new(encoded)).map_err(|error| SourceError::Storage {
                    reason: format!("a histogram of {labels} cannot be read: {error}"),
                })?;
                batch.histograms.push((base + row, histogram));
            }
            batch.times_ms.extend_from_slice(&points.times_ms);
            batch.values.extend(points.bits.iter().map(|bits| f64::from_bits(*bits)));
            for (row, _) in &points.histograms {
                if let Some(value) = batch.values.get_mut(base + row) {
                    *value = f64::NAN;
                }
            }
            batch.created.extend(created_ms.map(|at| (batch.series.len(), at)));
            batch.series.push(labels);
            batch.ends.push(batch.times_ms.len());
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn annotations(&mut self) -> Annotations {
        std::mem::take(&mut self.annotations)
    }
}
