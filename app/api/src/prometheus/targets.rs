//! `/api/v1/targets`: what is scraped and what relabelling left out, as Prometheus tells it. It does not know how targets are found.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use base_signal::Labels;
use observe_ingest::scrape::PromDuration;
use observe_source::Annotations;

use super::{Failure, begin, success};
use crate::Api;
use crate::json::{put_labels, put_list, put_string};

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
    let mut dropped_counts: BTreeMap<&str, usize> = BTreeMap::new();
    found.active.retain(|target| in_pool(&target.job));
    found.dropped.retain(|target| in_pool(&target.job));
    found.active.sort_by(|a, b| (&a.job, &a.labels).cmp(&(&b.job, &b.labels)));
    found.dropped.sort_by(|a, b| (&a.job, &a.discovered).cmp(&(&b.job, &b.discovered)));
    for target in &found.dropped {
        *dropped_counts.entry(&target.job).or_default() += 1;
    }
    // Straight into the text: a cluster has many, and each many labels.
    let mut out = String::from("{\"activeTargets\":[");
    put_list(&mut out, found.active.iter().filter(|_| shown("active")), put_active);
    out.push_str("],\"droppedTargets\":[");
    put_list(&mut out, found.dropped.iter().filter(|_| shown("dropped")), |out, target| {
        out.push_str("{\"discoveredLabels\":");
        put_labels(out, &target.discovered);
        put_text(out, "scrapePool", &target.job);
        out.push('}');
    });
    out.push_str("],\"droppedTargetCounts\":");
    if shown("dropped") {
        out.push('{');
        put_list(&mut out, dropped_counts.iter(), |out, (job, count)| {
            put_string(out, job);
            out.push_str(&format!(":{count}"));
        });
        out.push('}');
    } else {
        out.push_str("null");
    }
    out.push('}');
    Ok(success(&out, &Annotations::default()))
}

fn put_active(out: &mut String, target: &ActiveTarget) {
    let last = target.last.clone().unwrap_or_default();
    let health = match &target.last {
        None => "unknown",
        Some(LastScrape { error: Some(_), .. }) => "down",
        Some(_) => "up",
    };
    // Go's zero time stands for never.
    let at = jiff::Timestamp::from_millisecond(last.at_ms).ok().filter(|_| target.last.is_some());
    out.push_str("{\"discoveredLabels\":");
    put_labels(out, &target.discovered);
    out.push_str(",\"labels\":");
    put_labels(out, &target.labels);
    put_text(out, "scrapePool", &target.job);
    put_text(out, "scrapeUrl", &target.url);
    put_text(out, "globalUrl", &target.url);
    put_text(out, "lastError", last.error.as_deref().unwrap_or_default());
    put_text(out, "lastScrape", &at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string()));
    out.push_str(&format!(",\"lastScrapeDuration\":{}", last.took_s));
    put_text(out, "health", health);
    put_text(out, "scrapeInterval", &PromDuration { ms: target.interval_ms }.to_string());
    put_text(out, "scrapeTimeout", &PromDuration { ms: target.timeout_ms }.to_string());
    out.push('}');
}

/// One more pair of an object.
fn put_text(out: &mut String, name: &str, value: &str) {
    out.push(',');
    put_string(out, name);
    out.push(':');
    put_string(out, value);
}
