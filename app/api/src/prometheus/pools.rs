//! `/api/v1/scrape_pools` and what targets say of their metrics. How targets are found and scraped it does not know.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use base_signal::{Labels, Matcher, Metadata, RangeMs, TenantId};
use observe_promql::syntax::quote;
use observe_source::{Annotations, Budget, Cancel, LabelQuery, SourceError};
use serde_json::{Value, json};

use super::{Failure, begin, forms, success};
use crate::Api;

pub(super) async fn scrape_pools(
    State(api): State<Api>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    begin(&api, &headers, request).await?;
    let names: BTreeSet<String> = api.insides.jobs().into_iter().map(|job| job.name).collect();
    Ok(success(&json!({"scrapePools": names}).to_string(), &Annotations::default()))
}

pub(super) async fn config(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (_, params) = begin(&api, &headers, request).await?;
    let Some(wanted) = params.get("scrapePool") else {
        return Err(Failure::bad_data("no scrapePool parameter provided"));
    };
    let found = api.insides.jobs().into_iter().find(|job| job.name == wanted);
    let missing = || format!("error retrieving scrape config: scrape pool {} not found", quote(wanted));
    let job = found.ok_or_else(|| Failure::bad_data(missing()))?;
    Ok(success(&json!({"yaml": job.yaml}).to_string(), &Annotations::default()))
}

/// A target that gave nothing in this time says nothing of its metrics.
const LOOKBACK_MS: i64 = 300_000;
/// What a histogram or summary is stored as, and a counter in OpenMetrics is called.
const SUFFIXES: [&str; 5] = ["_bucket", "_sum", "_count", "_total", "_created"];

pub(super) async fn target_metadata(
    State(api): State<Api>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let limit = forms::number(&params, "limit")?.and_then(|limit| usize::try_from(limit).ok());
    let named =
        |error: observe_promql::ParseError| Failure::bad_data(format!("invalid parameter \"match_target\": {error}"));
    let matchers = params.get("match_target").map(observe_promql::parse_selector).transpose().map_err(named)?;
    let metric = params.get("metric").map(str::to_owned);
    let (owned, now_ms) = (api.clone(), api.clock.now_ms());
    let look = move |budget: &Budget, cancel: &Cancel| {
        let families: BTreeMap<String, Metadata> = owned.metrics.metadata(&tenant, None)?.into_iter().collect();
        let fits = |labels: &Labels| matchers.iter().flatten().all(|m| m.matches_labels(labels.as_ref()));
        let mut told: Vec<Value> = Vec::new();
        for target in owned.control.targets().active.iter().filter(|target| fits(&target.labels)) {
            if limit.is_some_and(|most| told.len() >= most) {
                break;
            }
            let range = RangeMs::new(now_ms.saturating_sub(LOOKBACK_MS), now_ms);
            let names = names_of(&owned, &tenant, &target.labels, range, budget, cancel)?;
            let known: BTreeSet<&String> = names.iter().filter_map(|name| family(name, &families)).collect();
            let known = known.into_iter().filter(|name| metric.as_ref().is_none_or(|metric| metric == *name));
            told.extend(
                known.filter_map(|name| Some(shown(&target.labels, name, families.get(name)?, metric.is_none()))),
            );
        }
        Ok::<_, SourceError>(Value::Array(told))
    };
    let told = api.queries.run(forms::timeout(&params)?, look).await??;
    Ok(success(&told.to_string(), &Annotations::default()))
}

/// Names of a target's metrics.
fn names_of(
    api: &Api,
    tenant: &TenantId,
    labels: &Labels,
    range: RangeMs,
    budget: &Budget,
    cancel: &Cancel,
) -> Result<Vec<String>, SourceError> {
    let all = [labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect()];
    let query = LabelQuery { tenant, matchers: &all, range, limit: 0, budget, cancel };
    Ok(api.metrics.label_values("__name__", &query)?.0)
}

/// The family that a series' name belongs to.
fn family<'f>(name: &str, families: &'f BTreeMap<String, Metadata>) -> Option<&'f String> {
    let stems = SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(suffix));
    std::iter::once(name).chain(stems).find_map(|name| families.get_key_value(name)).map(|(name, _)| name)
}

fn shown(target: &Labels, name: &str, metadata: &Metadata, with_name: bool) -> Value {
    let labels: BTreeMap<&str, &str> = target.iter().collect();
    let mut out =
        json!({"target": labels, "type": metadata.kind.as_str(), "help": metadata.help, "unit": metadata.unit});
    if with_name {
        out["metric"] = name.into();
    }
    out
}
