//! In-memory sources for the tests of whoever reads through the waist. Simple and slow on purpose: a model to check stores
//! and languages against, not a store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base_signal::{
    Exemplar, LabelArena, Labels, LogEntry, Matcher, Metadata, NativeHistogram, RangeMs, RangeNs, Span, SpanKind,
    TenantId,
};

use crate::{
    Annotations, Budget, Direction, ExemplarSeries, LabelQuery, LogBatch, LogBatches, LogSource, LogWrite, MetricBatch,
    MetricBatches, MetricSource, MetricWrite, SelectLogs, SelectMetrics, SelectSpans, SourceError, SpanBatch,
    SpanBatches, SpanSource, SpanWrite,
};

/// Metrics of one tenant (whichever is asked for), kept as maps.
#[derive(Clone, Debug, Default)]
pub struct FakeMetrics {
    series: BTreeMap<Labels, BTreeMap<i64, Point>>,
    exemplars: BTreeMap<Labels, Vec<Exemplar>>,
    metadata: BTreeMap<String, Metadata>,
    created: BTreeMap<Labels, i64>,
    starts: BTreeMap<Labels, BTreeMap<i64, i64>>,
}

#[derive(Clone, Debug)]
enum Point {
    Float(f64),
    Histogram(NativeHistogram),
}

impl FakeMetrics {
    pub fn append(&mut self, write: &MetricWrite) {
        for (series, time_ms, value) in &write.samples {
            self.points(&write.series, *series).insert(*time_ms, Point::Float(*value));
        }
        for (series, time_ms, histogram) in &write.histograms {
            self.points(&write.series, *series).insert(*time_ms, Point::Histogram(histogram.clone()));
        }
        for (series, exemplar) in &write.exemplars {
            let labels = write.series.get(*series).to_labels();
            self.exemplars.entry(labels).or_default().push(exemplar.clone());
        }
        for (series, time_ms) in &write.created {
            self.created.insert(write.series.get(*series).to_labels(), *time_ms);
        }
        for (series, time_ms, start_ms) in &write.starts {
            let labels = write.series.get(*series).to_labels();
            self.starts.entry(labels).or_default().insert(*time_ms, *start_ms);
        }
        self.metadata.extend(write.metadata.iter().cloned());
    }

    fn points(&mut self, arena: &LabelArena, series: u32) -> &mut BTreeMap<i64, Point> {
        self.series.entry(arena.get(series).to_labels()).or_default()
    }

    fn matching(&self, sets: &[Vec<Matcher>], range: RangeMs) -> impl Iterator<Item = &Labels> {
        let any = move |labels: &Labels| sets.is_empty() || sets.iter().any(|set| all(set, labels));
        self.series
            .iter()
            .filter(move |(labels, points)| any(labels) && in_range(points, range).next().is_some())
            .map(|(labels, _)| labels)
    }
}

fn all(set: &[Matcher], labels: &Labels) -> bool {
    set.iter().all(|m| m.matches_labels(labels.as_ref()))
}

fn in_range<T>(points: &BTreeMap<i64, T>, range: RangeMs) -> impl Iterator<Item = (&i64, &T)> {
    // A range that ends before it begins holds nothing, and the map would not take it.
    points.range(range.start_ms..=range.end_ms.max(range.start_ms)).filter(move |(time, _)| range.contains(**time))
}

fn limited<T>(items: impl IntoIterator<Item = T>, limit: usize) -> (Vec<T>, Annotations) {
    let mut items: Vec<T> = items.into_iter().collect();
    let mut annotations = Annotations::default();
    if limit > 0 && items.len() > limit {
        items.truncate(limit);
        annotations.warn("results truncated due to limit");
    }
    (items, annotations)
}

/// Answers that are ready and only handed out.
struct Ready<T>(std::vec::IntoIter<T>);

impl MetricBatches for Ready<MetricBatch> {
    fn next(&mut self) -> Result<Option<MetricBatch>, SourceError> {
        Ok(self.0.next())
    }
}

impl LogBatches for Ready<LogBatch> {
    fn next(&mut self) -> Result<Option<LogBatch>, SourceError> {
        Ok(self.0.next())
    }
}

impl SpanBatches for Ready<SpanBatch> {
    fn next(&mut self) -> Result<Option<SpanBatch>, SourceError> {
        Ok(self.0.next())
    }
}

impl MetricSource for FakeMetrics {
    /// One batch a series, so that readers are tested on many batches.
    fn select(&self, request: &SelectMetrics<'_>) -> Result<Box<dyn MetricBatches>, SourceError> {
        request.cancel.check()?;
        let mut batches = Vec::new();
        for (labels, points) in self.series.iter().filter(|(labels, _)| all(request.matchers, labels)) {
            let mut batch = MetricBatch { series: vec![labels.clone()], ..MetricBatch::default() };
            for (time_ms, point) in in_range(points, request.range) {
                let value = match point {
                    Point::Float(value) => *value,
                    Point::Histogram(histogram) => {
                        batch.histograms.push((batch.times_ms.len(), histogram.clone()));
                        f64::NAN
                    }
                };
                if let Some(start_ms) = self.starts.get(labels).and_then(|of_series| of_series.get(time_ms)) {
                    batch.starts.push((batch.times_ms.len(), *start_ms));
                }
                batch.times_ms.push(*time_ms);
                batch.values.push(value);
            }
            if batch.times_ms.is_empty() {
                continue;
            }
            batch.ends.push(batch.times_ms.len());
            batch.created.extend(self.created.get(labels).map(|time_ms| (0, *time_ms)));
            request.budget.reserve(batch.size_bytes() as u64)?;
            batches.push(batch);
        }
        Ok(Box::new(Ready(batches.into_iter())))
    }

    fn label_names(&self, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError> {
        let names: BTreeSet<String> = self
            .matching(query.matchers, query.range)
            .flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()))
            .collect();
        Ok(limited(names, query.limit))
    }

    fn label_values(&self, name: &str, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError> {
        let values: BTreeSet<String> =
            self.matching(query.matchers, query.range).filter_map(|l| l.get(name).map(str::to_owned)).collect();
        Ok(limited(values, query.limit))
    }

    fn series(&self, query: &LabelQuery<'_>) -> Result<(Vec<Labels>, Annotations), SourceError> {
        Ok(limited(self.matching(query.matchers, query.range).cloned(), query.limit))
    }

    fn exemplars(&self, query: &LabelQuery<'_>) -> Result<Vec<ExemplarSeries>, SourceError> {
        let mut found = Vec::new();
        for (labels, exemplars) in &self.exemplars {
            if !query.matchers.is_empty() && !query.matchers.iter().any(|set| all(set, labels)) {
                continue;
            }
            let mut exemplars: Vec<_> = exemplars.iter().filter(|e| query.range.contains(e.time_ms)).cloned().collect();
            exemplars.sort_by_key(|e| e.time_ms);
            if !exemplars.is_empty() {
                found.push(ExemplarSeries { labels: labels.clone(), exemplars });
            }
        }
        Ok(found)
    }

    fn metadata(&self, _: &TenantId, metric: Option<&str>) -> Result<Vec<(String, Metadata)>, SourceError> {
        let wanted = |name: &str| metric.is_none_or(|m| m == name);
        Ok(self.metadata.iter().filter(|(name, _)| wanted(name)).map(|(n, m)| (n.clone(), m.clone())).collect())
    }
}

/// Log lines of one tenant, in order of arrival.
#[derive(Clone, Debug, Default)]
pub struct FakeLogs {
    entries: Vec<(Labels, LogEntry)>,
}

impl FakeLogs {
    pub fn append(&mut self, write: &LogWrite) {
        self.entries.extend(write.entries.iter().map(|e| (write.streams.get(e.stream).to_labels(), e.clone())));
    }
}

impl LogSource for FakeLogs {
    /// One batch an entry, so that readers are tested on many batches.
    fn select_logs(&self, request: &SelectLogs<'_>) -> Result<Box<dyn LogBatches>, SourceError> {
        request.cancel.check()?;
        let wanted = |l: &Labels, e: &LogEntry| all(request.matchers, l) && request.range.contains(e.time_ns);
        let mut found: Vec<_> = self.entries.iter().filter(|(labels, entry)| wanted(labels, entry)).collect();
        found.sort_by(|a, b| (a.1.time_ns, &a.0).cmp(&(b.1.time_ns, &b.0)));
        if request.direction == Direction::Backward {
            found.reverse();
        }
        let one = |(labels, entry): &(Labels, LogEntry)| {
            let mut batch = LogBatch { streams: vec![labels.clone()], ..LogBatch::default() };
            batch.push(0, entry.time_ns, &entry.line, entry.metadata.clone());
            batch
        };
        let batches: Vec<_> = found.into_iter().map(one).collect();
        Ok(Box::new(Ready(batches.into_iter())))
    }

    fn streams(
        &self,
        _: &TenantId,
        matchers: &[Vec<Matcher>],
        range: RangeNs,
        _: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        let any = |labels: &Labels| matchers.is_empty() || matchers.iter().any(|set| all(set, labels));
        let found: BTreeSet<_> =
            self.entries.iter().filter(|(l, e)| range.contains(e.time_ns) && any(l)).map(|(l, _)| l.clone()).collect();
        Ok(found.into_iter().collect())
    }
}

/// Spans of one tenant, in order of arrival.
#[derive(Clone, Debug, Default)]
pub struct FakeSpans {
    spans: Vec<Arc<Span>>,
}

impl FakeSpans {
    pub fn append(&mut self, write: SpanWrite) {
        for span in write.spans {
            let known = |s: &Arc<Span>| (s.trace_id, s.span_id, s.kind) == (span.trace_id, span.span_id, span.kind);
            if !self.spans.iter().any(known) {
                self.spans.push(Arc::new(span));
            }
        }
    }

    fn in_range(&self, range: RangeNs) -> impl Iterator<Item = &Arc<Span>> {
        self.spans.iter().filter(move |s| range.contains(s.start_ns))
    }
}

impl SpanSource for FakeSpans {
    fn select_spans(&self, request: &SelectSpans<'_>) -> Result<Box<dyn SpanBatches>, SourceError> {
        request.cancel.check()?;
        let mut found: Vec<_> = self
            .in_range(request.range)
            .filter(|span| request.trace_ids.is_none_or(|ids| ids.contains(&span.trace_id)))
            .filter(|span| request.filters.iter().all(|f| f.matches(span)))
            .cloned()
            .collect();
        found.sort_by_key(|span| std::cmp::Reverse(span.start_ns));
        let batches: Vec<_> = found.into_iter().map(|span| SpanBatch::new(vec![span])).collect();
        Ok(Box::new(Ready(batches.into_iter())))
    }

    fn services(&self, _: &TenantId, range: RangeNs) -> Result<Vec<String>, SourceError> {
        let names: BTreeSet<_> = self.in_range(range).map(|s| s.resource.service_name().to_owned()).collect();
        Ok(names.into_iter().collect())
    }

    fn operations(&self, _: &TenantId, service: &str, range: RangeNs) -> Result<Vec<(String, SpanKind)>, SourceError> {
        let of_service = self.in_range(range).filter(|s| s.resource.service_name() == service);
        let names: BTreeSet<_> = of_service.map(|s| (s.name.clone(), s.kind)).collect();
        Ok(names.into_iter().collect())
    }
}
