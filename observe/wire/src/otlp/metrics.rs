//! OTLP metrics to series and samples, translated as Prometheus 3 does by default.
//!
//! Points of delta temporality come out as increases. Knows no previous request: nothing is added up here.

use std::borrow::Cow;

use base_signal::{Exemplar, Labels, Metadata, MetricKind, SpanId, TraceId, is_stale_nan, stale_nan};
use observe_source::{Increase, Increment, MetricWrite, RejectReason};

use super::common::{KeyValue, Listed, find};
use super::exponential::to_native;
use super::metrics_model::{
    Data, ExemplarModel, ExponentialPoint, HistogramPoint, Metric, NumberPoint, ResourceMetrics, Stem, SummaryPoint,
};
use super::names::{NameKind, label_name, metric_name};
use super::{Encoding, Take, decode};
use crate::{DecodeError, DecodeErrorKind, Decoded, Limits};

const DELTA: i64 = 1;

/// OpenMetrics' bound for the names and values of an exemplar's labels, in characters.
const EXEMPLAR_MAX_CHARS: usize = 128;

#[derive(Clone, Debug)]
pub struct MetricOptions {
    pub limits: Limits,
    /// Resource attributes that become labels of every series.
    pub promoted: Vec<String>,
}

impl Default for MetricOptions {
    fn default() -> Self {
        let promoted = ["service.name", "service.version", "deployment.environment.name"];
        MetricOptions { limits: Limits::default(), promoted: promoted.map(str::to_owned).to_vec() }
    }
}

/// Decodes an `ExportMetricsServiceRequest`.
pub fn decode_metrics(
    body: &[u8],
    encoding: Encoding,
    options: &MetricOptions,
) -> Result<Decoded<MetricWrite>, DecodeError> {
    decode(body, encoding, &options.limits, Metrics(options))
}

struct Metrics<'o>(&'o MetricOptions);

impl Take<Decoded<MetricWrite>> for Metrics<'_> {
    type Message<'a> = Listed<ResourceMetrics<'a>>;

    fn take(self, request: Self::Message<'_>) -> Result<Decoded<MetricWrite>, DecodeError> {
        let mut decoded = Decoded::default();
        let mut targets = ahash::HashSet::default();
        for group in &request.0 {
            let mut translation = Translation::new(&group.resource.attributes, self.0, &mut decoded);
            for metric in group.scopes.iter().flat_map(|scoped| &scoped.metrics) {
                translation.metric(metric);
            }
            translation.target_info(&mut targets);
            if translation.too_large {
                return Err(DecodeErrorKind::TooLarge(self.0.limits.decoded_max_bytes).into());
            }
        }
        Ok(decoded)
    }
}

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The work on one resource.
struct Translation<'a, 'd> {
    resource: &'d [KeyValue<'a>],
    /// Promoted attributes, where a point's own attribute wins.
    promoted: Pairs<'a>,
    /// `job` and `instance`, which win over everything.
    target: Pairs<'a>,
    latest_ms: Option<i64>,
    /// Whether the points at hand tell by how much they grew.
    delta: bool,
    labels_max_bytes: u64,
    /// Nothing more is added once this is set: each bucket repeats its point's labels, so a request of megabytes could
    /// become one of gigabytes.
    too_large: bool,
    decoded: &'d mut Decoded<MetricWrite>,
}

impl<'a, 'd> Translation<'a, 'd> {
    fn new(resource: &'d [KeyValue<'a>], options: &MetricOptions, decoded: &'d mut Decoded<MetricWrite>) -> Self {
        let mut promoted = Pairs::new();
        for name in &options.promoted {
            if let (Some(value), Some(label)) = (find(resource, name), label_name(name)) {
                promoted.push((Cow::Owned(label.into_owned()), value.to_text()));
            }
        }
        let mut target = Pairs::new();
        if let Some(service) = find(resource, "service.name") {
            let service = service.to_text();
            let job = match find(resource, "service.namespace") {
                Some(namespace) => Cow::Owned(format!("{}/{service}", namespace.to_text())),
                None => service,
            };
            target.push((Cow::Borrowed("job"), job));
        }
        if let Some(instance) = find(resource, "service.instance.id") {
            target.push((Cow::Borrowed("instance"), instance.to_text()));
        }
        let labels_max_bytes = options.limits.decoded_max_bytes;
        Translation {
            resource,
            promoted,
            target,
            latest_ms: None,
            delta: false,
            labels_max_bytes,
            too_large: false,
            decoded,
        }
    }

    fn metric(&mut self, metric: &Metric<'a>) {
        let (kind, name_kind, temporality) = match &metric.data {
            Data::Missing => return,
            Data::Gauge(_) => (MetricKind::Gauge, NameKind::Gauge, 0),
            Data::Sum(sum) if sum.monotonic => (MetricKind::Counter, NameKind::Counter, sum.temporality),
            Data::Sum(sum) => (MetricKind::Gauge, NameKind::Other, sum.temporality),
            Data::Histogram(histogram) => (MetricKind::Histogram, NameKind::Other, histogram.temporality),
            Data::Exponential(histogram) => (MetricKind::Histogram, NameKind::Other, histogram.temporality),
            Data::Summary(_) => (MetricKind::Summary, NameKind::Other, 0),
        };
        let points = match &metric.data {
            Data::Missing => 0,
            Data::Gauge(points) => points.len(),
            Data::Sum(sum) => sum.points.len(),
            Data::Histogram(histogram) => histogram.points.len(),
            Data::Exponential(histogram) => histogram.points.len(),
            Data::Summary(points) => points.len(),
        };
        let name = metric_name(metric.name, metric.unit, name_kind);
        if name.is_empty() {
            self.reject(points, || format!("metric name {:?} has no letter or digit", metric.name));
            return;
        }
        self.delta = temporality == DELTA;
        match &metric.data {
            Data::Missing => {}
            Data::Gauge(points) => points.iter().for_each(|point| self.number(&name, point, false)),
            Data::Sum(sum) => sum.points.iter().for_each(|point| self.number(&name, point, sum.monotonic)),
            Data::Histogram(histogram) => histogram.points.iter().for_each(|point| self.histogram(&name, point)),
            Data::Exponential(histogram) => histogram.points.iter().for_each(|point| self.exponential(&name, point)),
            Data::Summary(points) => points.iter().for_each(|point| self.summary(&name, point)),
        }
        let metadata = Metadata { kind, help: metric.description.to_owned(), unit: metric.unit.to_owned() };
        self.decoded.write.metadata.push((name, metadata));
    }

    fn reject(&mut self, count: usize, why: impl Fn() -> String) {
        for _ in 0..count {
            self.decoded.rejects.reject(RejectReason::Invalid, &why);
        }
    }

    fn number(&mut self, name: &str, point: &NumberPoint<'a>, monotonic: bool) {
        let stale = point.stem.no_recorded_value().then(stale_nan);
        let Some(value) = stale.or(point.value.as_f64()) else {
            self.reject(1, || format!("a point of {name} has no value"));
            return;
        };
        let labels = self.labels(&point.stem);
        let start_ns = if monotonic { point.stem.start_ns } else { 0 };
        let series = self.sample(name, &labels, None, value, &point.stem, start_ns);
        self.exemplars(&point.exemplars, |_| series);
    }

    fn histogram(&mut self, name: &str, point: &HistogramPoint<'a>) {
        let (counts, bounds) = (&point.bucket_counts, &point.bounds);
        if !counts.is_empty() && counts.len() != bounds.len() + 1 {
            let (counts, bounds) = (counts.len(), bounds.len());
            self.reject(1, || {
                format!("a point of {name} has {counts} bucket counts for {bounds} bounds; one more is wanted")
            });
            return;
        }
        let labels = self.labels(&point.stem);
        let stem = &point.stem;
        let start_ns = stem.start_ns;
        let or_stale = |value: f64| if stem.no_recorded_value() { stale_nan() } else { value };
        if let Some(sum) = point.sum {
            self.sample(&format!("{name}_sum"), &labels, None, or_stale(sum), stem, start_ns);
        }
        self.sample(&format!("{name}_count"), &labels, None, or_stale(point.count as f64), stem, start_ns);
        let bucket = format!("{name}_bucket");
        let mut buckets = Vec::with_capacity(bounds.len() + 1);
        let mut cumulative = 0u64;
        for (bound, count) in bounds.iter().zip(counts) {
            cumulative = cumulative.saturating_add(*count);
            // Rust prints a float64 as Go's 'f' with the fewest digits does.
            let le = bound.to_string();
            let series = self.sample(&bucket, &labels, Some(("le", &le)), or_stale(cumulative as f64), stem, start_ns);
            buckets.push((*bound, series));
        }
        let all = self.sample(&bucket, &labels, Some(("le", "+Inf")), or_stale(point.count as f64), stem, start_ns);
        self.exemplars(&point.exemplars, |value| {
            buckets.get(buckets.partition_point(|(bound, _)| *bound < value)).map_or(all, |(_, series)| *series)
        });
    }

    fn exponential(&mut self, name: &str, point: &ExponentialPoint<'a>) {
        let native = match to_native(point) {
            Ok(native) => native,
            Err(why) => {
                self.reject(1, || format!("a point of {name}: {why}"));
                return;
            }
        };
        let labels = self.labels(&point.stem);
        let series = self.series(name, &labels, None);
        let time_ms = self.time(&point.stem);
        if self.delta {
            self.increase(series, time_ms, point.stem.start_ns, Increment::Histogram(native));
        } else {
            self.decoded.write.histograms.push((series, time_ms, native));
            self.created(series, point.stem.start_ns);
        }
        self.exemplars(&point.exemplars, |_| series);
    }

    fn summary(&mut self, name: &str, point: &SummaryPoint<'a>) {
        let labels = self.labels(&point.stem);
        let stem = &point.stem;
        let or_stale = |value: f64| if stem.no_recorded_value() { stale_nan() } else { value };
        self.sample(&format!("{name}_sum"), &labels, None, or_stale(point.sum), stem, stem.start_ns);
        self.sample(&format!("{name}_count"), &labels, None, or_stale(point.count as f64), stem, stem.start_ns);
        for quantile in &point.quantiles {
            let text = quantile.quantile.to_string();
            self.sample(name, &labels, Some(("quantile", &text)), or_stale(quantile.value), stem, stem.start_ns);
        }
    }

    fn time(&mut self, stem: &Stem<'_>) -> i64 {
        let time_ms = stem.time_ns / 1_000_000;
        self.latest_ms = self.latest_ms.max(Some(time_ms));
        time_ms
    }

    fn increase(&mut self, series: u32, time_ms: i64, start_ns: i64, by: Increment) {
        self.decoded.write.increases.push(Increase { series, start_ms: start_ns / 1_000_000, time_ms, by });
    }

    fn created(&mut self, series: u32, start_ns: i64) {
        if start_ns > 0 {
            self.decoded.write.created.push((series, start_ns / 1_000_000));
        }
    }

    fn sample(
        &mut self,
        name: &str,
        labels: &Pairs<'a>,
        extra: Option<(&str, &str)>,
        value: f64,
        stem: &Stem<'_>,
        start_ns: i64,
    ) -> u32 {
        let series = self.series(name, labels, extra);
        let time_ms = self.time(stem);
        if self.delta && !is_stale_nan(value) {
            self.increase(series, time_ms, stem.start_ns, Increment::Float(value));
        } else {
            self.decoded.write.samples.push((series, time_ms, value));
            self.created(series, start_ns);
        }
        series
    }

    fn series(&mut self, name: &str, labels: &Pairs<'a>, extra: Option<(&str, &str)>) -> u32 {
        if self.decoded.write.series.size_bytes() as u64 > self.labels_max_bytes {
            self.too_large = true;
            return 0;
        }
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(labels.len() + 2);
        pairs.extend(labels.iter().map(|(n, v)| (n.as_ref(), v.as_ref())));
        // Last, so that no attribute of the same name can take their place.
        pairs.extend(extra);
        pairs.push(("__name__", name));
        self.decoded.write.series.push(&mut pairs)
    }

    /// Labels of a point without its name: attributes, then what is promoted, then the target.
    fn labels(&self, stem: &Stem<'a>) -> Pairs<'a> {
        let mut labels = merged(stem.attributes.iter());
        for (name, value) in &self.promoted {
            if !labels.iter().any(|(n, _)| n == name) {
                labels.push((name.clone(), value.clone()));
            }
        }
        self.with_target(labels)
    }

    fn with_target(&self, mut labels: Pairs<'a>) -> Pairs<'a> {
        labels.retain(|(name, _)| !self.target.iter().any(|(n, _)| n == name));
        labels.extend(self.target.iter().cloned());
        labels
    }

    fn exemplars(&mut self, models: &[ExemplarModel<'a>], series_of: impl Fn(f64) -> u32) {
        for model in models {
            if let Some(value) = model.value.as_f64() {
                let exemplar = Exemplar { labels: exemplar_labels(model), time_ms: model.time_ns / 1_000_000, value };
                self.decoded.write.exemplars.push((series_of(value), exemplar));
            }
        }
    }

    /// One sample of `target_info` with what else is known of the resource; nothing when there is nothing else, or no
    /// `job` or `instance` to join it by.
    fn target_info(&mut self, seen: &mut ahash::HashSet<(Labels, i64)>) {
        const IDENTIFYING: [&str; 3] = ["service.namespace", "service.name", "service.instance.id"];
        let rest = || self.resource.iter().filter(|attribute| !IDENTIFYING.contains(&attribute.key));
        let Some(latest_ms) = self.latest_ms else { return };
        if self.target.is_empty() || rest().next().is_none() {
            return;
        }
        let labels = self.with_target(merged(rest()));
        let series = self.series("target_info", &labels, None);
        let set = self.decoded.write.series.get(series).to_labels();
        if seen.insert((set, latest_ms)) {
            self.decoded.write.samples.push((series, latest_ms, 1.0));
            let metadata =
                Metadata { kind: MetricKind::Gauge, help: "Target metadata".to_owned(), unit: String::new() };
            self.decoded.write.metadata.push(("target_info".to_owned(), metadata));
        }
    }
}

/// Attributes as labels; when two names become the same label, their values are joined by `;` in the order of the names.
fn merged<'a: 'l, 'l>(attributes: impl Iterator<Item = &'l KeyValue<'a>>) -> Pairs<'a> {
    let mut attributes: Vec<&KeyValue<'a>> = attributes.collect();
    attributes.sort_by_key(|attribute| attribute.key);
    let named = attributes.into_iter().filter_map(|pair| Some((label_name(pair.key)?, pair.value.to_text())));
    let mut named: Vec<(Cow<'a, str>, Cow<'a, str>)> = named.collect();
    // Stable, so that values of one label stay in the order of their own names.
    named.sort_by(|a, b| a.0.cmp(&b.0));
    let mut labels = Pairs::with_capacity(named.len() + 4);
    for (name, value) in named {
        match labels.last_mut() {
            Some((last, joined)) if *last == name => *joined = Cow::Owned(format!("{joined};{value}")),
            _ if value.is_empty() => {}
            _ => labels.push((name, value)),
        }
    }
    labels
}

fn exemplar_labels(model: &ExemplarModel<'_>) -> Labels {
    let mut pairs = Vec::new();
    if let Some(id) = TraceId::from_slice(&model.trace_id).filter(|id| !id.is_zero()) {
        pairs.push(("trace_id".to_owned(), id.to_string()));
    }
    if let Some(id) = SpanId::from_slice(&model.span_id).filter(|id| !id.is_zero()) {
        pairs.push(("span_id".to_owned(), id.to_string()));
    }
    let attributes: Vec<(String, String)> = model
        .attributes
        .iter()
        .filter_map(|attribute| Some((label_name(attribute.key)?.into_owned(), attribute.value.to_text().into_owned())))
        .collect();
    let chars: usize = pairs.iter().chain(&attributes).map(|(n, v)| n.chars().count() + v.chars().count()).sum();
    if chars <= EXEMPLAR_MAX_CHARS {
        pairs.extend(attributes);
    }
    Labels::from_pairs(pairs)
}
