//! Collected metrics as Prometheus text, format 0.0.4.
//!
//! Source: prometheus.io/docs/instrumenting/exposition_formats. Exponential histograms become classic ones (the text
//! format has no others); delta sums cannot occur, because the pull reader asks for cumulative ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, ExponentialHistogramDataPoint, Metric, MetricData, ResourceMetrics,
};

use super::names::{Kind, label_name, metric_name};

/// One family: everything under one name.
struct Family {
    kind: Kind,
    help: String,
    lines: String,
    seen: BTreeSet<String>,
}

/// The text a Prometheus server scrapes: families in the order of their names, with `target_info` for the resource.
pub fn exposition(metrics: &ResourceMetrics) -> String {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
        add(&mut families, metric);
    }
    let resource: Vec<KeyValue> =
        metrics.resource().iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    let info = family(&mut families, "target_info", Kind::Gauge, "Resource attributes of this service.");
    sample(info, "target_info", &labels(resource.iter()), "1");

    let mut out = String::new();
    for (name, family) in families {
        if family.lines.is_empty() {
            continue;
        }
        if !family.help.is_empty() {
            let _ = writeln!(out, "# HELP {name} {}", family.help.replace('\\', "\\\\").replace('\n', "\\n"));
        }
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(out, "# TYPE {name} {kind}");
        out.push_str(&family.lines);
    }
    out
}

fn add(families: &mut BTreeMap<String, Family>, metric: &Metric) {
    match metric.data() {
        AggregatedMetrics::F64(data) => add_data(families, metric, data, |v| v),
        // Prometheus has float64 only; integers above 2^53 are rounded there too.
        AggregatedMetrics::U64(data) => add_data(families, metric, data, |v| v as f64),
        AggregatedMetrics::I64(data) => add_data(families, metric, data, |v| v as f64),
    }
}

fn add_data<T: Copy>(
    families: &mut BTreeMap<String, Family>,
    metric: &Metric,
    data: &MetricData<T>,
    float: impl Fn(T) -> f64,
) {
    let kind = match data {
        MetricData::Sum(sum) if sum.is_monotonic() => Kind::Counter,
        MetricData::Sum(_) | MetricData::Gauge(_) => Kind::Gauge,
        MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) => Kind::Histogram,
    };
    let name = metric_name(metric.name(), metric.unit(), kind);
    let family = family(families, &name, kind, metric.description());
    if family.kind != kind {
        // Two instruments of different kinds claim one name. A scrape with both would be refused as a whole.
        return;
    }
    match data {
        MetricData::Gauge(gauge) => {
            for point in gauge.data_points() {
                sample(family, &name, &labels(point.attributes()), &number(float(point.value())));
            }
        }
        MetricData::Sum(sum) => {
            for point in sum.data_points() {
                sample(family, &name, &labels(point.attributes()), &number(float(point.value())));
            }
        }
        MetricData::Histogram(histogram) => {
            for point in histogram.data_points() {
                let mut cumulative = 0;
                let buckets = point
                    .bounds()
                    .zip(point.bucket_counts())
                    .map(|(bound, count)| {
                        cumulative += count;
                        (bound, cumulative)
                    })
                    .collect();
                histogram_lines(family, &name, &labels(point.attributes()), buckets, float(point.sum()), point.count());
            }
        }
        MetricData::ExponentialHistogram(histogram) => {
            for point in histogram.data_points() {
                let count = u64::try_from(point.count()).unwrap_or(u64::MAX);
                let buckets = exponential_buckets(point);
                histogram_lines(family, &name, &labels(point.attributes()), buckets, float(point.sum()), count);
            }
        }
    }
}

/// Upper bounds and cumulative counts. Bucket `i` of an exponential histogram ends at `2^(2^-scale * (i + 1))`.
fn exponential_buckets<T>(point: &ExponentialHistogramDataPoint<T>) -> Vec<(f64, u64)> {
    let base = 2f64.powf(2f64.powi(-i32::from(point.scale())));
    let mut cumulative: u64 = point.negative_bucket().counts().sum::<u64>() + point.zero_count();
    let mut buckets = vec![(point.zero_threshold(), cumulative)];
    let mut index = point.positive_bucket().offset();
    for count in point.positive_bucket().counts() {
        cumulative += count;
        index = index.saturating_add(1);
        buckets.push((base.powi(index), cumulative));
    }
    buckets
}

fn histogram_lines(family: &mut Family, name: &str, labels: &str, buckets: Vec<(f64, u64)>, sum: f64, count: u64) {
    if !family.seen.insert(labels.to_owned()) {
        return;
    }
    let comma = if labels.is_empty() { "" } else { "," };
    for (bound, cumulative) in buckets {
        let _ = writeln!(family.lines, "{name}_bucket{{{labels}{comma}le=\"{}\"}} {cumulative}", number(bound));
    }
    let _ = writeln!(family.lines, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}");
    let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _ = writeln!(family.lines, "{name}_sum{braces} {}", number(sum));
    let _ = writeln!(family.lines, "{name}_count{braces} {count}");
}

fn family<'a>(families: &'a mut BTreeMap<String, Family>, name: &str, kind: Kind, help: &str) -> &'a mut Family {
    families.entry(name.to_owned()).or_insert_with(|| Family {
        kind,
        help: help.to_owned(),
        lines: String::new(),
        seen: BTreeSet::new(),
    })
}

/// A second sample of the same series would make a scraper refuse the page; the first one stays.
fn sample(family: &mut Family, name: &str, labels: &str, value: &str) {
    if !family.seen.insert(labels.to_owned()) {
        return;
    }
    let _ = if labels.is_empty() {
        writeln!(family.lines, "{name} {value}")
    } else {
        writeln!(family.lines, "{name}{{{labels}}} {value}")
    };
}

/// Labels in the order of their names. Attributes whose names become equal are joined by `;`, as the specification says.
fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let mut by_name: BTreeMap<String, String> = BTreeMap::new();
    for attribute in attributes {
        let value = attribute.value.as_str();
        by_name
            .entry(label_name(attribute.key.as_str()))
            .and_modify(|held| {
                held.push(';');
                held.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    let written: Vec<String> = by_name
        .into_iter()
        .map(|(name, value)| {
            format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
        })
        .collect();
    written.join(",")
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}
