//! A store for tests of rules: it takes samples while it is read, and refuses what a store refuses. Keeps all in memory.

use std::collections::HashMap;

use base_signal::{Labels, Metadata, NativeHistogram, TenantId};
use observe_querytest::stored_hint;
use observe_source::fake::FakeMetrics;
use observe_source::{
    Annotations, Appended, ExemplarSeries, LabelQuery, MetricBatches, MetricSource, MetricWrite, RejectReason,
    SelectMetrics, SourceError,
};
use parking_lot::Mutex;

#[derive(Default)]
pub(crate) struct Bench(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    source: FakeMetrics,
    newest: HashMap<Labels, i64>,
    histograms: HashMap<Labels, NativeHistogram>,
}

impl Bench {
    /// Takes what is newer than what its series has: of two rules that write one series at one moment, the first counts.
    pub(crate) fn append(&self, write: MetricWrite) -> Appended {
        let mut inner = self.0.lock();
        let Inner { source, newest, histograms } = &mut *inner;
        let (mut taken, mut appended) = (MetricWrite::default(), Appended::default());
        let mut fits = |series: u32, time_ms: i64| {
            let labels = write.series.get(series).to_labels();
            let known = newest.entry(labels.clone()).or_insert(i64::MIN);
            if time_ms > *known {
                *known = time_ms;
                return Some(labels);
            }
            let reason = if time_ms == *known { RejectReason::DuplicateTimestamp } else { RejectReason::OutOfOrder };
            appended.reject(reason, || labels.to_string());
            None
        };
        for (series, time_ms, value) in &write.samples {
            if let Some(labels) = fits(*series, *time_ms) {
                let series = taken.series.push_set(labels.as_ref());
                taken.samples.push((series, *time_ms, *value));
            }
        }
        for (series, time_ms, histogram) in &write.histograms {
            if let Some(labels) = fits(*series, *time_ms) {
                let series = taken.series.push_set(labels.as_ref());
                // As a store hands it back: that a counter went on is known by comparison with what stood before.
                let mut histogram = histogram.clone();
                histogram.counter_reset = stored_hint(histograms.get(&labels), &histogram);
                taken.histograms.push((series, *time_ms, histogram.clone()));
                histograms.insert(labels, histogram);
            }
        }
        source.append(&taken);
        appended.merge(Appended::all_of(&taken));
        appended
    }
}

impl MetricSource for Bench {
    fn select(&self, request: &SelectMetrics<'_>) -> Result<Box<dyn MetricBatches>, SourceError> {
        self.0.lock().source.select(request)
    }

    fn label_names(&self, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError> {
        self.0.lock().source.label_names(query)
    }

    fn label_values(&self, name: &str, query: &LabelQuery<'_>) -> Result<(Vec<String>, Annotations), SourceError> {
        self.0.lock().source.label_values(name, query)
    }

    fn series(&self, query: &LabelQuery<'_>) -> Result<(Vec<Labels>, Annotations), SourceError> {
        self.0.lock().source.series(query)
    }

    fn exemplars(&self, query: &LabelQuery<'_>) -> Result<Vec<ExemplarSeries>, SourceError> {
        self.0.lock().source.exemplars(query)
    }

    fn metadata(&self, tenant: &TenantId, metric: Option<&str>) -> Result<Vec<(String, Metadata)>, SourceError> {
        self.0.lock().source.metadata(tenant, metric)
    }
}
