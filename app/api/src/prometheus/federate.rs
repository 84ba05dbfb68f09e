//! `/federate`: the newest sample of every series that is asked for, as text that a Prometheus scrapes. A team that has one gets our service and
//! container metrics into it by one scrape job. Form: <https://prometheus.io/docs/prometheus/latest/federation/>; native histograms are left out.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use base_signal::{Labels, Matcher, MetricKind, RangeMs, TenantId, is_stale_nan};
use observe_source::{Budget, Cancel, SelectHints, SelectMetrics, SourceError};
use observe_wire::exposition::{Format, TextWriter};

use super::{Failure, begin, forms};
use crate::Api;

/// A sample older than this is no current value: Prometheus's own limit.
const LOOKBACK_MS: i64 = 300_000;

pub(super) async fn federate(
    State(api): State<Api>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let named = |why: String| Failure::bad_data(format!("invalid parameter \"match[]\": {why}"));
    let sets = forms::matchers(&params).map_err(named)?;
    if sets.is_empty() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }
    let (owned, now_ms) = (api.clone(), api.clock.now_ms());
    let find = move |budget: &Budget, cancel: &Cancel| newest(&owned, &tenant, &sets, now_ms, budget, cancel);
    let found = api.queries.run(forms::timeout(&params)?, find).await??;
    let kind = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    Ok(([(header::CONTENT_TYPE, kind)], written(&found)).into_response())
}

/// By labels: Unix milliseconds and value of the last sample.
type Newest = BTreeMap<Labels, (i64, f64)>;

/// Of series that have not ended.
fn newest(
    api: &Api,
    tenant: &TenantId,
    sets: &[Vec<Matcher>],
    now_ms: i64,
    budget: &Budget,
    cancel: &Cancel,
) -> Result<Newest, SourceError> {
    let mut found = BTreeMap::new();
    for matchers in sets {
        let range = RangeMs::new(now_ms.saturating_sub(LOOKBACK_MS), now_ms);
        let hints = SelectHints::default();
        let mut batches = api.metrics.select(&SelectMetrics { tenant, matchers, range, hints, budget, cancel })?;
        while let Some(batch) = batches.next()? {
            for (i, labels) in batch.series.iter().enumerate() {
                let Some(row) = batch.rows(i).last() else { continue };
                let (time_ms, value) = (batch.times_ms[row], batch.values[row]);
                // Rows of native histograms have no number.
                let histogram = batch.histograms.binary_search_by_key(&row, |(row, _)| *row).is_ok();
                let sample = Some((time_ms, value)).filter(|_| !histogram && !is_stale_nan(value));
                // A series may come in several batches, the later ones last.
                match sample {
                    Some(sample) => found.insert(labels.clone(), sample),
                    None => found.remove(labels),
                };
            }
        }
    }
    Ok(found)
}

fn written(found: &Newest) -> String {
    let mut families: BTreeMap<String, Newest> = BTreeMap::new();
    for (labels, sample) in found {
        let name = labels.get("__name__").unwrap_or_default();
        families.entry(classic(name)).or_default().insert(labels.clone(), *sample);
    }
    let mut out = TextWriter::new(Format::Prometheus);
    for (name, samples) in &families {
        out.family(name, MetricKind::Unknown, "");
        for (labels, (time_ms, value)) in samples {
            let pairs: Vec<(String, &str)> = labels
                .iter()
                .filter(|(name, _)| *name != "__name__")
                .map(|(name, value)| (classic(name), value))
                .collect();
            let mut pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            // Else the scraping side would put its own there.
            for own in ["instance", "job"] {
                if labels.get(own).is_none() {
                    pairs.push((own, ""));
                }
            }
            out.sample_with(name, &pairs, *value, Some(*time_ms), None);
        }
    }
    out.finish()
}

/// A name in the letters that every Prometheus reads.
fn classic(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut out: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}
