//! Rate, errors and duration from spans, under Tempo's names (`traces_spanmetrics_*`).
//!
//! A state machine: each batch of spans gives the cumulative samples of exactly the series it touched, at a time after
//! their last one. Who appends the spans and these samples under one acknowledgement has every acknowledged span in the
//! counter. After a restart the counters go on from what is stored ([`SpanMetrics::resume`]). Knows no store; spans that
//! were sent twice are counted twice.

mod resume;

use base_signal::{Exemplar, LabelArena, Labels, LabelsRef, Metadata, MetricKind, Span, TenantId, Value};
use observe_source::{MetricWrite, SpanWrite};

pub const CALLS: &str = "traces_spanmetrics_calls_total";
pub const LATENCY: &str = "traces_spanmetrics_latency";
pub const SIZE: &str = "traces_spanmetrics_size_total";

/// Name of the span, and where services run out too of the service, past the limit of series.
const OVERFLOW: &str = "overflow";

#[derive(Clone, Debug, PartialEq)]
pub struct SpanMetricsOptions {
    /// Upper bounds of the latency buckets in seconds, ascending, without +Inf.
    pub bounds: Vec<f64>,
    /// Combinations of labels a tenant may have; each is `bounds.len() + 5` series.
    pub label_sets_max: usize,
    /// How long before its first sample a series is given a zero, so that `increase` sees its first calls.
    pub zero_before_ms: i64,
}

impl Default for SpanMetricsOptions {
    /// Tempo's buckets: 2 ms, doubled 13 times.
    fn default() -> Self {
        let bounds = (0..14).map(|n| 0.002 * f64::from(1u32 << n)).collect();
        SpanMetricsOptions { bounds, label_sets_max: 5000, zero_before_ms: 15_000 }
    }
}

#[derive(Debug, Default)]
pub struct SpanMetrics {
    options: SpanMetricsOptions,
    tenants: ahash::HashMap<TenantId, Tenant>,
}

#[derive(Debug, Default)]
struct Tenant {
    /// By labels without a name.
    sets: ahash::HashMap<Labels, Counters>,
    overflow_sets: usize,
    overflowed_spans: u64,
    described: bool,
}

#[derive(Debug, Default)]
struct Counters {
    calls: u64,
    sum_seconds: f64,
    size_bytes: u64,
    /// Cumulative, as long as the bounds.
    buckets: Vec<u64>,
    /// Time of the last sample; `None` before the first.
    last_ms: Option<i64>,
    created_ms: Option<i64>,
}

/// What was counted for one batch.
#[derive(Debug)]
pub struct Receipt {
    tenant: TenantId,
    counted: Vec<(Labels, Counted)>,
}

/// What one span adds.
#[derive(Debug)]
struct Counted {
    /// Index of its bucket; past the bounds for +Inf.
    bucket: usize,
    seconds: f64,
    size_bytes: u64,
}

/// What one batch did to one label set.
#[derive(Default)]
struct Touch {
    /// First exemplar of each bucket; the last is of +Inf.
    exemplars: Vec<Option<Exemplar>>,
}

impl SpanMetrics {
    pub fn new(options: SpanMetricsOptions) -> Self {
        SpanMetrics { options, tenants: ahash::HashMap::default() }
    }

    /// Counts the spans and returns what to append beside them. `now_ms` is Unix milliseconds; samples are never older than
    /// it, and later than it only when the same series was written at `now_ms` already.
    pub fn observe(&mut self, tenant: &TenantId, write: &SpanWrite, now_ms: i64) -> MetricWrite {
        self.observe_with_receipt(tenant, write, now_ms).0
    }

    /// [`Self::observe`], with what [`Self::take_back`] needs should the batch then not be taken.
    pub fn observe_with_receipt(
        &mut self,
        tenant: &TenantId,
        write: &SpanWrite,
        now_ms: i64,
    ) -> (MetricWrite, Receipt) {
        let options = &self.options;
        let mut receipt = Receipt { tenant: tenant.clone(), counted: Vec::with_capacity(write.spans.len()) };
        let tenant = self.tenants.entry(tenant.clone()).or_default();
        let mut touched = ahash::HashMap::<Labels, Touch>::default();
        for span in &write.spans {
            let labels = tenant.labels_of(span, options);
            let counted = Counted::of(span, &options.bounds);
            tenant.sets.entry(labels.clone()).or_default().add(&counted, options.bounds.len());
            let touch = touched.entry(labels.clone()).or_default();
            touch.exemplars.resize_with(options.bounds.len() + 1, || None);
            if let Some(slot) = touch.exemplars.get_mut(counted.bucket).filter(|slot| slot.is_none()) {
                let labels = Labels::from_pairs([("traceID", span.trace_id.to_string())]);
                *slot = Some(Exemplar { labels, time_ms: now_ms, value: counted.seconds });
            }
            receipt.counted.push((labels, counted));
        }
        let mut out = MetricWrite::default();
        // In the order of labels, so that the same spans give the same write.
        let mut order: Vec<_> = touched.into_iter().collect();
        order.sort_by(|a, b| a.0.cmp(&b.0));
        for (labels, touch) in order {
            if let Some(counters) = tenant.sets.get_mut(&labels) {
                counters.write(&labels, touch, options, now_ms, &mut out);
            }
        }
        if !write.spans.is_empty() && !tenant.described {
            tenant.described = true;
            out.metadata = metadata();
        }
        (out, receipt)
    }

    /// Takes a batch back out that was observed and then refused, so that it is not counted twice when it comes again. Only
    /// for a batch whose samples were not appended, and before the next is observed: a later sample would already hold it.
    pub fn take_back(&mut self, receipt: Receipt) {
        let Some(tenant) = self.tenants.get_mut(&receipt.tenant) else { return };
        tenant.described = false;
        for (labels, counted) in receipt.counted {
            if let Some(counters) = tenant.sets.get_mut(&labels) {
                counters.subtract(&counted);
            }
        }
    }

    /// Continues a stored series (any of the families, with `__name__`) from its last sample. Called once a series before
    /// the first `observe`; others are ignored.
    pub fn resume(&mut self, tenant: &TenantId, series: LabelsRef<'_>, value: f64, time_ms: i64) {
        let Some(name) = series.get("__name__") else { return };
        let (whole, bounds) = (value as u64, self.options.bounds.len());
        if !name.starts_with("traces_spanmetrics_") || !value.is_finite() || value < 0.0 {
            return;
        }
        let mut labels = series.to_builder();
        labels.remove("__name__").remove("le");
        let tenant = self.tenants.entry(tenant.clone()).or_default();
        let labels = labels.build();
        let overflow = labels.get("span_name") == Some(OVERFLOW);
        let before = tenant.sets.len();
        let counters = tenant.sets.entry(labels).or_default();
        counters.buckets.resize(bounds, 0);
        counters.last_ms = counters.last_ms.max(Some(time_ms));
        match name.strip_prefix(LATENCY) {
            Some("_sum") => counters.sum_seconds = value,
            Some("_bucket") => {
                // A bucket of other bounds than today's has nothing to continue.
                let at = self.options.bounds.iter().position(|bound| series.get("le") == Some(&bound.to_string()));
                if let Some(bucket) = at.and_then(|at| counters.buckets.get_mut(at)) {
                    *bucket = whole;
                }
            }
            _ if name == CALLS => counters.calls = whole,
            _ if name == SIZE => counters.size_bytes = whole,
            _ => {}
        }
        tenant.overflow_sets += usize::from(overflow && tenant.sets.len() > before);
    }

    /// Spans of a tenant that went to an overflow series, since the process began.
    pub fn overflowed_spans(&self, tenant: &TenantId) -> u64 {
        self.tenants.get(tenant).map_or(0, |tenant| tenant.overflowed_spans)
    }
}

impl Tenant {
    /// The label set a span counts in: its own while there is room, else its service's overflow, else the one overflow.
    fn labels_of(&mut self, span: &Span, options: &SpanMetricsOptions) -> Labels {
        let own = own_labels(span);
        if self.sets.contains_key(&own) || self.sets.len() - self.overflow_sets < options.label_sets_max {
            return own;
        }
        self.overflowed_spans += 1;
        let service = Labels::from_pairs([("service", span.resource.service_name()), ("span_name", OVERFLOW)]);
        if self.sets.contains_key(&service) {
            return service;
        }
        let one = Labels::from_pairs([("service", OVERFLOW), ("span_name", OVERFLOW)]);
        let room = self.overflow_sets <= options.label_sets_max / 10;
        let chosen = if room { service } else { one };
        if !self.sets.contains_key(&chosen) {
            self.overflow_sets += 1;
            self.sets.insert(chosen.clone(), Counters::default());
        }
        chosen
    }
}

fn own_labels(span: &Span) -> Labels {
    let service = span.resource.service_name();
    let text = |name: &str| span.resource.get(name).map(Value::to_string).filter(|text| !text.is_empty());
    let job = match text("service.namespace") {
        Some(namespace) => format!("{namespace}/{service}"),
        None => service.to_owned(),
    };
    let instance = text("service.instance.id").unwrap_or_default();
    // Not one of Tempo's own labels but the dimension that people add to them; it is what tells two versions apart that serve at once.
    let version = text("service.version").unwrap_or_default();
    let mut arena = LabelArena::default();
    let mut pairs = vec![
        ("instance", instance.as_str()),
        ("job", job.as_str()),
        ("service", service),
        ("service_version", version.as_str()),
        ("span_kind", span.kind.as_str()),
        ("span_name", span.name.as_str()),
        ("status_code", span.status.code.as_str()),
    ];
    pairs.retain(|(name, value)| *name != "service_version" || !value.is_empty());
    let index = arena.push(&mut pairs);
    arena.get(index).to_labels()
}

impl Counted {
    fn of(span: &Span, bounds: &[f64]) -> Self {
        let seconds = span.duration_ns() as f64 / 1e9;
        let bucket = bounds.partition_point(|bound| *bound < seconds);
        Counted { bucket, seconds, size_bytes: span_size_bytes(span) }
    }
}

impl Counters {
    fn add(&mut self, span: &Counted, bounds: usize) {
        self.buckets.resize(bounds, 0);
        self.calls += 1;
        self.sum_seconds += span.seconds;
        self.size_bytes = self.size_bytes.saturating_add(span.size_bytes);
        self.buckets.iter_mut().skip(span.bucket).for_each(|count| *count += 1);
    }

    fn subtract(&mut self, span: &Counted) {
        self.calls = self.calls.saturating_sub(1);
        if self.calls == 0 {
            // Nothing of it was stored yet: the next sample begins the series again, with its zero.
            (self.last_ms, self.created_ms) = (None, None);
        }
        self.sum_seconds = (self.sum_seconds - span.seconds).max(0.0);
        self.size_bytes = self.size_bytes.saturating_sub(span.size_bytes);
        self.buckets.iter_mut().skip(span.bucket).for_each(|count| *count = count.saturating_sub(1));
    }

    fn write(
        &mut self,
        labels: &Labels,
        touch: Touch,
        options: &SpanMetricsOptions,
        now_ms: i64,
        out: &mut MetricWrite,
    ) {
        let time_ms = self.last_ms.map_or(now_ms, |last| now_ms.max(last.saturating_add(1)));
        let zero_ms = self.last_ms.is_none().then(|| time_ms.saturating_sub(options.zero_before_ms.max(1)));
        self.created_ms = self.created_ms.or(zero_ms);
        self.last_ms = Some(time_ms);
        let created_ms = self.created_ms;
        let mut put = |name: &str, le: Option<&str>, value: f64, exemplar: Option<Exemplar>| {
            let mut pairs: Vec<(&str, &str)> = labels.iter().collect();
            pairs.push(("__name__", name));
            pairs.extend(le.map(|le| ("le", le)));
            let series = out.series.push(&mut pairs);
            if let Some(zero_ms) = zero_ms {
                out.samples.push((series, zero_ms, 0.0));
            }
            out.samples.push((series, time_ms, value));
            out.created.extend(created_ms.map(|created_ms| (series, created_ms)));
            out.exemplars.extend(exemplar.map(|exemplar| (series, Exemplar { time_ms, ..exemplar })));
        };
        put(CALLS, None, self.calls as f64, None);
        put(SIZE, None, self.size_bytes as f64, None);
        put(&format!("{LATENCY}_sum"), None, self.sum_seconds, None);
        put(&format!("{LATENCY}_count"), None, self.calls as f64, None);
        let bucket = format!("{LATENCY}_bucket");
        let mut exemplars = touch.exemplars.into_iter();
        for (bound, count) in options.bounds.iter().zip(&self.buckets) {
            put(&bucket, Some(&bound.to_string()), *count as f64, exemplars.next().flatten());
        }
        put(&bucket, Some("+Inf"), self.calls as f64, exemplars.next().flatten());
    }
}

fn metadata() -> Vec<(String, Metadata)> {
    let one = |name: &str, kind, help: &str, unit: &str| {
        (name.to_owned(), Metadata { kind, help: help.to_owned(), unit: unit.to_owned() })
    };
    vec![
        one(CALLS, MetricKind::Counter, "Total count of the spans", ""),
        one(LATENCY, MetricKind::Histogram, "Latency of the spans in seconds", "seconds"),
        one(SIZE, MetricKind::Counter, "Total size of the spans in bytes", "bytes"),
    ]
}

/// About as many bytes as the span takes in OTLP: texts and ids as they are, two bytes around each field.
pub fn span_size_bytes(span: &Span) -> u64 {
    let pairs =
        |attributes: &[(String, Value)]| attributes.iter().map(|(n, v)| 6 + n.len() + value_size(v)).sum::<usize>();
    let events: usize = span.events.iter().map(|e| 13 + e.name.len() + pairs(&e.attributes)).sum();
    let links: usize = span.links.iter().map(|l| 30 + l.trace_state.len() + pairs(&l.attributes)).sum();
    let texts = span.name.len() + span.trace_state.len() + span.status.message.len();
    (62 + texts + pairs(&span.attributes) + events + links) as u64
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::Empty => 0,
        Value::String(text) => 2 + text.len(),
        Value::Bool(_) => 2,
        Value::Int(_) => 5,
        Value::Double(_) => 9,
        Value::Bytes(bytes) => 2 + bytes.len(),
        Value::Array(items) => 2 + items.iter().map(|item| 2 + value_size(item)).sum::<usize>(),
        Value::Map(pairs) => 2 + pairs.iter().map(|(name, item)| 6 + name.len() + value_size(item)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests;
