//! `for` goes on over a restart: since when an alert held is read from `ALERTS_FOR_STATE`. Source: Prometheus's documentation of
//! `--rules.alert.for-outage-tolerance` and `--rules.alert.for-grace-period`.

use std::collections::BTreeMap;

use base_signal::{Labels, Matcher, RangeMs, is_stale_nan};
use observe_source::{SelectHints, SelectMetrics, SourceError};

use crate::alerting::Alerts;
use crate::ask::Over;
use crate::file::RuleSpec;
use crate::group::Settings;

/// Moves the beginnings of alerts back to what was stored before the outage.
pub(crate) fn restore(
    alerts: &mut Alerts,
    rule: &RuleSpec,
    for_ms: i64,
    settings: &Settings,
    over: &Over<'_>,
    now_ms: i64,
) -> Result<(), SourceError> {
    alerts.restored = true;
    let grace_ms = settings.for_grace_period_ms;
    if for_ms < grace_ms || alerts.active.is_empty() {
        return Ok(());
    }
    let stored = stored(rule, settings, over, now_ms)?;
    for (labels, alert) in &mut alerts.active {
        let Some((down_at_ms, since)) = stored.get(labels).filter(|(_, since)| !is_stale_nan(*since)) else { continue };
        let since_ms = (*since as i64).saturating_mul(1000);
        let remaining_ms = for_ms - (down_at_ms - since_ms);
        alert.active_at_ms = match remaining_ms {
            // It fired; the next evaluation says so again.
            remaining_ms if remaining_ms <= 0 => since_ms,
            // It fires once the grace period is over.
            remaining_ms if remaining_ms < grace_ms => now_ms + grace_ms - for_ms,
            // The time during which nobody looked does not count.
            _ => since_ms + (now_ms - down_at_ms),
        };
    }
    Ok(())
}

/// By the labels of the alert, the last sample's time and value.
fn stored(
    rule: &RuleSpec,
    settings: &Settings,
    over: &Over<'_>,
    now_ms: i64,
) -> Result<BTreeMap<Labels, (i64, f64)>, SourceError> {
    // A template's text is not what is stored.
    let fixed = rule.labels.iter().filter(|(_, value)| !value.contains("{{"));
    let mut matchers: Vec<Matcher> =
        fixed.map(|(name, value)| Matcher::equal(name, value)).filter(|m| !m.matches_empty()).collect();
    matchers.extend([Matcher::equal("__name__", "ALERTS_FOR_STATE"), Matcher::equal("alertname", &rule.name)]);
    let request = SelectMetrics {
        tenant: over.tenant,
        matchers: &matchers,
        range: RangeMs::new(now_ms - settings.outage_tolerance_ms, now_ms),
        hints: SelectHints::default(),
        budget: over.budget,
        cancel: over.cancel,
    };
    let mut batches = over.source.select(&request)?;
    let mut found = BTreeMap::new();
    while let Some(batch) = batches.next()? {
        for (i, labels) in batch.series.iter().enumerate() {
            if let Some(last) = batch.rows(i).last() {
                found.insert(labels.without(|name| name == "__name__"), (batch.times_ms[last], batch.values[last]));
            }
        }
    }
    Ok(found)
}
