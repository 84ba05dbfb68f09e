//! `/api/v1/targets`: what is scraped and what relabelling left out, as Prometheus tells it. It does not know how targets are found.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use base_signal::Labels;
use observe_source::Annotations;
use serde_json::{Value, json};

use super::{Failure, begin, success};
use crate::Api;

/// The targets of this moment.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    pub active: Vec<ActiveTarget>,
    pub dropped: Vec<DroppedTarget>,
}

/// One that is scraped.
#[derive(Clone, Debug)]
pub struct ActiveTarget {
    pub job: String,
    /// Before relabelling.
    pub discovered: Labels,
    /// Of its series.
    pub labels: Labels,
    pub url: String,
    pub interval_ms: i64,
    pub timeout_ms: i64,
    /// `None` before the first scrape.
    pub last: Option<LastScrape>,
}

/// How a target's last scrape went.
#[derive(Clone, Debug, Default)]
pub struct LastScrape {
    pub at_ms: i64,
    pub took_s: f64,
    /// Why it is down.
    pub error: Option<String>,
}

/// One that a rule of relabelling left out.
#[derive(Clone, Debug)]
pub struct DroppedTarget {
    pub job: String,
    pub discovered: Labels,
}

pub(super) async fn targets(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (_, params) = begin(&api, &headers, request).await?;
    let state = params.get("state").unwrap_or_default().to_lowercase();
    let shown = |wanted: &str| matches!(state.as_str(), "" | "any") || state == wanted;
    let pool = params.get("scrapePool");
    let in_pool = |job: &str| pool.is_none_or(|pool| pool == job);
    let mut found = api.control.targets();
    let mut dropped_counts = serde_json::Map::new();
    for target in found.dropped.iter().filter(|target| in_pool(&target.job)) {
        let count = dropped_counts.entry(target.job.clone()).or_insert(json!(0));
        *count = json!(count.as_u64().unwrap_or(0) + 1);
    }
    found.active.retain(|target| shown("active") && in_pool(&target.job));
    found.dropped.retain(|target| shown("dropped") && in_pool(&target.job));
    found.active.sort_by(|a, b| (&a.job, &a.labels).cmp(&(&b.job, &b.labels)));
    found.dropped.sort_by(|a, b| (&a.job, &a.discovered).cmp(&(&b.job, &b.discovered)));
    let left_out =
        |target: &DroppedTarget| json!({"discoveredLabels": map(&target.discovered), "scrapePool": target.job});
    let data = json!({
        "activeTargets": found.active.iter().map(active).collect::<Vec<_>>(),
        "droppedTargets": found.dropped.iter().map(left_out).collect::<Vec<_>>(),
        "droppedTargetCounts": dropped_counts,
    });
    Ok(success(&data.to_string(), &Annotations::default()))
}

fn active(target: &ActiveTarget) -> Value {
    let last = target.last.clone().unwrap_or_default();
    let health = match &target.last {
        None => "unknown",
        Some(LastScrape { error: Some(_), .. }) => "down",
        Some(_) => "up",
    };
    // Go's zero time stands for never.
    let at = jiff::Timestamp::from_millisecond(last.at_ms).ok().filter(|_| target.last.is_some());
    json!({
        "discoveredLabels": map(&target.discovered),
        "labels": map(&target.labels),
        "scrapePool": target.job,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": last.error.unwrap_or_default(),
        "lastScrape": at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string()),
        "lastScrapeDuration": last.took_s,
        "health": health,
        "scrapeInterval": span(target.interval_ms),
        "scrapeTimeout": span(target.timeout_ms),
    })
}

fn map(labels: &Labels) -> Value {
    labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<serde_json::Map<_, _>>().into()
}

fn span(ms: i64) -> String {
    observe_ingest::scrape::PromDuration { ms }.to_string()
}
