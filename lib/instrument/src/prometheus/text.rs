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

#[cfg(test)]
mod tests {
    use super::*;

    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::metrics::{Aggregation, Instrument, SdkMeterProvider, Stream};

    use crate::prometheus::Pull;

    fn provider(pull: &Pull) -> SdkMeterProvider {
        let exponential = |instrument: &Instrument| {
            let aggregation =
                Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 0, record_min_max: false };
            let wanted = instrument.name().starts_with("exp");
            wanted.then(|| Stream::builder().with_aggregation(aggregation).build().unwrap())
        };
        let resource = Resource::builder_empty().with_attributes([KeyValue::new("service.name", "a\"b\\c\nd")]);
        SdkMeterProvider::builder()
            .with_reader(pull.clone())
            .with_view(exponential)
            .with_resource(resource.build())
            .build()
    }

    const INFO: &str = "# HELP target_info Resource attributes of this service.\n# TYPE target_info gauge\n\
                        target_info{service_name=\"a\\\"b\\\\c\\nd\"} 1\n";

    #[test]
    fn exponential_histograms_become_classic_ones() {
        let pull = Pull::new();
        let provider = provider(&pull);
        let histogram = provider.meter("m").f64_histogram("exp.f").with_unit("s").build();
        // Of scale 0: (0.5, 1], (1, 2] and (4, 8]; negative ones count as less than zero.
        for value in [1.0, 2.0, 1.5, 5.0, 0.0] {
            histogram.record(value, &[KeyValue::new("k", "v")]);
        }
        let whole = provider.meter("m").u64_histogram("exp.whole").build();
        whole.record(3, &[]);
        let expect = "# TYPE exp_f_seconds histogram\n\
                      exp_f_seconds_bucket{k=\"v\",le=\"0\"} 1\n\
                      exp_f_seconds_bucket{k=\"v\",le=\"1\"} 2\n\
                      exp_f_seconds_bucket{k=\"v\",le=\"2\"} 4\n\
                      exp_f_seconds_bucket{k=\"v\",le=\"4\"} 4\n\
                      exp_f_seconds_bucket{k=\"v\",le=\"8\"} 5\n\
                      exp_f_seconds_bucket{k=\"v\",le=\"+Inf\"} 5\n\
                      exp_f_seconds_sum{k=\"v\"} 9.5\n\
                      exp_f_seconds_count{k=\"v\"} 5\n\
                      # TYPE exp_whole histogram\n\
                      exp_whole_bucket{le=\"0\"} 0\n\
                      exp_whole_bucket{le=\"4\"} 1\n\
                      exp_whole_bucket{le=\"+Inf\"} 1\n\
                      exp_whole_sum 3\n\
                      exp_whole_count 1\n";
        assert_eq!(pull.text(), format!("{expect}{INFO}"));
    }

    #[test]
    fn every_kind_of_number() {
        let pull = Pull::new();
        let provider = provider(&pull);
        let meter = provider.meter("m");
        let gauge = meter.f64_gauge("g").with_description("One\nor \\ two").build();
        gauge.record(0.25, &[]);
        // Sums that no longer fit.
        let (up, down) = (meter.f64_counter("up").build(), meter.f64_up_down_counter("down").build());
        for _ in 0..2 {
            up.add(f64::MAX, &[]);
            down.add(-f64::MAX, &[]);
        }
        meter.i64_up_down_counter("level").build().add(-3, &[]);
        meter.f64_counter("money").with_unit("{coin}").build().add(1.5, &[]);
        // Names that become equal: values joined by `;`, of two equal series the first.
        let hits = meter.u64_counter("hits").build();
        hits.add(1, &[KeyValue::new("a.b", "1"), KeyValue::new("a_b", "2")]);
        // A gauge that claims a counter's name is left out: a scraper would refuse the whole page.
        meter.u64_gauge("hits_total").build().record(9, &[]);
        let text = pull.text();
        let lines: Vec<_> = text.lines().filter(|line| !line.contains("target_info")).collect();
        for line in [
            "# HELP g One\\nor \\\\ two",
            "g 0.25",
            "up_total +Inf",
            "down -Inf",
            "# TYPE level gauge",
            "level -3",
            "# TYPE money_total counter",
            "money_total 1.5",
        ] {
            assert!(lines.contains(&line), "{line} is not in {text}");
        }
        let of_hits: Vec<_> = lines.iter().filter(|line| line.contains("hits")).collect();
        assert_eq!(of_hits, [&"# TYPE hits_total counter", &"hits_total{a_b=\"1;2\"} 1"]);
        provider.shutdown().unwrap();
        assert_eq!(pull.text(), "", "nothing is told after the end");
        assert_eq!(number(f64::NAN), "NaN");
    }
}
