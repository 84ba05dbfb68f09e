//! Taking the counters up where the stored series end. Knows the waist, not a store.

use base_signal::{Labels, MatchOp, Matcher, RangeMs, TenantId};
use observe_source::{Budget, Cancel, LabelQuery, MetricSource, SourceError};

use super::SpanMetrics;
use crate::last::last_samples;

/// How far back to look for the last samples, in turn: most series were written just before the restart, and the rest
/// should not cost every start a walk over all that is kept.
const LOOKBACKS_MS: [i64; 3] = [3_600_000, 86_400_000, i64::MAX];

impl SpanMetrics {
    /// Continues every stored series of the tenant from its last sample.
    pub fn resume_from(
        &mut self,
        source: &dyn MetricSource,
        tenant: &TenantId,
        now_ms: i64,
    ) -> Result<(), SourceError> {
        let name = "traces_spanmetrics_(calls_total|size_total|latency_(bucket|sum|count))";
        let matcher = Matcher::new("__name__", MatchOp::Regex, name)
            .map_err(|error| SourceError::Unavailable { reason: error.to_string() })?;
        let (budget, cancel) = (Budget::unlimited(), Cancel::default());
        let sets = [vec![matcher.clone()]];
        let (all, _) = source.series(&LabelQuery {
            tenant,
            matchers: &sets,
            range: RangeMs::ALL,
            limit: 0,
            budget: &budget,
            cancel: &cancel,
        })?;
        let mut missing: ahash::HashSet<Labels> = all.into_iter().collect();
        for lookback_ms in LOOKBACKS_MS {
            if missing.is_empty() {
                break;
            }
            last_samples(source, tenant, &matcher, now_ms.saturating_sub(lookback_ms), |labels, time_ms, value| {
                if missing.remove(labels) {
                    self.resume(tenant, labels.as_ref(), value, time_ms);
                }
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use base_signal::{Resource, Span, Value};
    use observe_source::SpanWrite;
    use observe_source::fake::FakeMetrics;

    use super::*;

    #[test]
    fn counters_go_on_after_a_restart() {
        let resource = Resource { attributes: vec![("service.name".into(), Value::String("cart".into()))] };
        let span = Span { name: "GET /".into(), end_ns: 5_000_000, resource: resource.into(), ..Span::default() };
        let spans = |n: usize| SpanWrite { spans: vec![span.clone(); n] };
        let (tenant, mut stored) = (TenantId::default(), FakeMetrics::default());
        let mut before = SpanMetrics::default();
        stored.append(&before.observe(&tenant, &spans(3), 1_000_000));
        let mut after = SpanMetrics::default();
        after.resume_from(&stored, &tenant, 2_000_000).unwrap();
        let write = after.observe(&tenant, &spans(2), 2_000_000);
        let values: Vec<(Option<&str>, Option<&str>, f64)> = write
            .samples
            .iter()
            .map(|(series, _, value)| (write.series.get(*series), *value))
            .map(|(labels, value)| (labels.get("__name__"), labels.get("le"), value))
            .collect();
        assert!(values.contains(&(Some("traces_spanmetrics_calls_total"), None, 5.0)), "{values:?}");
        assert!(values.contains(&(Some("traces_spanmetrics_latency_bucket"), Some("0.008"), 5.0)), "{values:?}");
        assert!(values.contains(&(Some("traces_spanmetrics_latency_count"), None, 5.0)), "{values:?}");
    }
}
