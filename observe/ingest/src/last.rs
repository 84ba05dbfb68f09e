//! The last samples of stored series, which what counts goes on from after a restart. Knows the waist, not a store.

use base_signal::{Labels, Matcher, RangeMs, TenantId};
use observe_source::{Budget, Cancel, MetricSource, SelectHints, SelectMetrics, SourceError};

/// Calls `each` with labels, time and value of the last sample from then on of every series that matches. To the end of time: a series may be ahead of
/// the clock by the milliseconds that keep its samples apart.
pub(crate) fn last_samples(
    source: &dyn MetricSource,
    tenant: &TenantId,
    matcher: &Matcher,
    since_ms: i64,
    mut each: impl FnMut(&Labels, i64, f64),
) -> Result<(), SourceError> {
    let (budget, cancel) = (Budget::unlimited(), Cancel::default());
    let mut batches = source.select(&SelectMetrics {
        tenant,
        matchers: std::slice::from_ref(matcher),
        range: RangeMs::new(since_ms, i64::MAX),
        hints: SelectHints::default(),
        budget: &budget,
        cancel: &cancel,
    })?;
    while let Some(batch) = batches.next()? {
        for (i, labels) in batch.series.iter().enumerate() {
            if let Some(row) = batch.rows(i).last() {
                each(labels, batch.times_ms[row], batch.values[row]);
            }
        }
    }
    Ok(())
}
