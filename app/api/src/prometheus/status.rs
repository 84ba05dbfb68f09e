//! `/api/v1/status/…`, `/features` and `/notifications`: what the engine says of itself in Prometheus's forms. Who stands behind [`Insides`] it does
//! not know.

use std::collections::{BTreeMap, HashMap};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use base_signal::{Labels, Matcher, RangeMs, TenantId};
use futures_util::future::BoxFuture;
use observe_promql::syntax::FUNCTIONS;
use observe_rules::GroupState;
use observe_source::{Annotations, Budget, Cancel, LabelQuery, SourceError};
use serde_json::{Value, json};

use super::{Failure, begin, forms, success};
use crate::Api;

/// What the engine knows of itself, and what an administrator may order of the metric store. Errors are sentences for a person.
pub trait Insides: Send + Sync {
    fn runtime(&self) -> Runtime;
    /// The scrape configuration in force as YAML, without its secrets.
    fn config_yaml(&self) -> String;
    /// Settings by name, as far as Prometheus has the like.
    fn flags(&self) -> BTreeMap<String, String>;
    /// Jobs of the scrape configuration, in its order.
    fn jobs(&self) -> Vec<Job>;
    /// Groups of rules as they stood after their last evaluation, by file and name.
    fn rule_groups(&self) -> Vec<GroupState>;
    /// Where alerts are posted.
    fn alertmanagers(&self) -> Vec<String>;
    /// Reads memory only, but all of it.
    fn head(&self, tenant: &TenantId) -> Head;
    fn blocks(&self, tenant: &TenantId) -> Vec<StoredBlock>;
    /// Whether the orders below are heeded: whoever may send them may delete.
    fn is_admin_enabled(&self) -> bool;
    /// Deletes the points in the range of series that match any set; durable when it ends.
    fn delete_series(
        &self,
        tenant: TenantId,
        sets: Vec<Vec<Matcher>>,
        range: RangeMs,
    ) -> BoxFuture<'_, Result<(), String>>;
    /// Takes deleted points off the disk.
    fn clean_tombstones(&self) -> BoxFuture<'_, Result<(), String>>;
    /// A copy of what is stored under the data folder's `snapshots/`, and its name; without what is only in memory where that is not wanted.
    fn snapshot(&self, with_memory: bool) -> BoxFuture<'_, Result<String, String>>;
}

#[derive(Clone, Debug, Default)]
pub struct Runtime {
    pub started_at_ms: i64,
    pub folder: String,
    pub host: String,
    pub configured_at_ms: i64,
    pub is_configured_well: bool,
    pub threads: usize,
    pub memory_limit_bytes: u64,
    /// `15d or 20GB`
    pub retention: String,
}

/// What is newest.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Pieces that hold a series' newest points.
    pub chunks: u64,
    /// Of all that is stored; `None` when there is nothing.
    pub times_ms: Option<(i64, i64)>,
}

/// A file of the store.
#[derive(Clone, Debug, Default)]
pub struct StoredBlock {
    pub id: u64,
    pub time_min_ms: i64,
    pub time_max_ms: i64,
    pub samples: u64,
    pub series: u64,
    pub level: u8,
    pub bytes: u64,
}

/// A job of the scrape configuration.
#[derive(Clone, Debug, Default)]
pub struct Job {
    pub name: String,
    /// Without its secrets.
    pub yaml: String,
}

fn plain(data: &Value) -> Response {
    success(&data.to_string(), &Annotations::default())
}

/// The version is the Prometheus whose API this is: clients read it to know what they may ask. Ours is in `revision`.
/// There is no `features` on purpose: Grafana takes a server that has them here for Mimir.
fn build() -> Value {
    json!({
        "version": "3.15.0",
        "revision": concat!("apm-", env!("CARGO_PKG_VERSION")),
        "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
    })
}

pub(super) async fn buildinfo() -> Response {
    plain(&build())
}

pub(super) async fn version() -> Response {
    axum::Json(build()).into_response()
}

pub(super) async fn config(State(api): State<Api>) -> Response {
    plain(&json!({"yaml": api.insides.config_yaml()}))
}

pub(super) async fn flags(State(api): State<Api>) -> Response {
    plain(&json!(api.insides.flags()))
}

/// RFC 3339, as Go prints it.
fn time_text(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| "0001-01-01T00:00:00Z".to_owned(), |time| time.to_string())
}

pub(super) async fn runtimeinfo(State(api): State<Api>) -> Response {
    let runtime = api.insides.runtime();
    plain(&json!({
        "startTime": time_text(runtime.started_at_ms),
        "CWD": runtime.folder,
        "hostname": runtime.host,
        "serverTime": time_text(api.clock.now_ms()),
        "reloadConfigSuccess": runtime.is_configured_well,
        "lastConfigTime": time_text(runtime.configured_at_ms),
        "corruptionCount": 0,
        // Clients want the fields; there is no Go here, and a thread is what comes nearest to a goroutine.
        "goroutineCount": runtime.threads,
        "GOMAXPROCS": runtime.threads,
        "GOMEMLIMIT": runtime.memory_limit_bytes,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": runtime.retention,
    }))
}

/// Nothing is asked before the log is replayed: all of it is.
pub(super) async fn walreplay() -> Response {
    plain(&json!({"min": 0, "max": 0, "current": 0}))
}

pub(super) async fn notifications() -> Response {
    plain(&json!([]))
}

/// What is on here. A name that is missing is one that we do not have.
pub(super) async fn features(State(api): State<Api>) -> Response {
    let on = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), true)).collect::<BTreeMap<_, _>>();
    let functions: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
    let mut faces = on(&[
        "exclude_alerts",
        "label_values_match",
        "otlp_write_receiver",
        "query_warnings",
        "remote_write_receiver",
        "time_range_labels",
        "time_range_series",
    ]);
    faces.insert("admin".to_owned(), api.insides.is_admin_enabled());
    plain(&json!({
        "api": faces,
        "otlp_receiver": {"delta_conversion": true, "native_delta_ingestion": false},
        "promql": on(&[
            "anchored", "at_modifier", "bool", "by", "delayed_name_removal", "duration_expr", "fill", "fill_left", "fill_right",
            "group_left", "group_right", "ignoring", "negative_offset", "offset", "on", "per_query_lookback_delta",
            "smoothed", "subqueries", "without",
        ]),
        "promql_functions": on(&functions),
    }))
}

/// A series is active that had a point in this time: what Prometheus's own head holds.
const ACTIVE_MS: i64 = 2 * 60 * 60 * 1000;
const TOP_MAX: i64 = 10_000;

pub(super) async fn tsdb(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let top = match params.get("limit").map(forms::whole) {
        None => 10,
        Some(Ok(top)) if top > TOP_MAX => return Err(Failure::bad_data(format!("limit must not exceed {TOP_MAX}"))),
        Some(Ok(top)) if top > 0 => usize::try_from(top).unwrap_or(10),
        Some(_) => return Err(Failure::bad_data("limit must be a positive number")),
    };
    let (owned, now_ms) = (api.clone(), api.clock.now_ms());
    let count = move |budget: &Budget, cancel: &Cancel| {
        let range = RangeMs::new(now_ms.saturating_sub(ACTIVE_MS), i64::MAX);
        let query = LabelQuery { tenant: &tenant, matchers: &[], range, limit: 0, budget, cancel };
        let (series, _) = owned.metrics.series(&query)?;
        Ok::<_, SourceError>(counted(&series, &owned.insides.head(&tenant), top))
    };
    Ok(plain(&api.queries.run(forms::timeout(&params)?, count).await??))
}

/// By name of a label: its values, and how many series have each.
type Values<'l> = HashMap<&'l str, HashMap<&'l str, u64>>;

fn counted(series: &[Labels], head: &Head, top: usize) -> Value {
    let mut names: Values<'_> = HashMap::new();
    for (name, value) in series.iter().flat_map(Labels::iter) {
        *names.entry(name).or_default().entry(value).or_default() += 1;
    }
    let largest = |mut all: Vec<(String, u64)>| -> Value {
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.into_iter().take(top).map(|(name, value)| json!({"name": name, "value": value})).collect()
    };
    let each = |of: fn(&HashMap<&str, u64>) -> u64| -> Value {
        largest(names.iter().map(|(name, values)| ((*name).to_owned(), of(values))).collect())
    };
    let metrics = names.get("__name__").into_iter().flatten();
    let pairs =
        names.iter().flat_map(|(name, values)| values.iter().map(move |(value, n)| (format!("{name}={value}"), *n)));
    let (time_min_ms, time_max_ms) = head.times_ms.unwrap_or((i64::MAX, i64::MIN));
    json!({
        "headStats": {
            "numSeries": series.len(),
            "numLabelPairs": names.values().map(HashMap::len).sum::<usize>(),
            "chunkCount": head.chunks,
            "minTime": time_min_ms,
            "maxTime": time_max_ms,
        },
        "seriesCountByMetricName": largest(metrics.map(|(name, n)| ((*name).to_owned(), *n)).collect()),
        "labelValueCountByLabelName": each(|values| values.len() as u64),
        "memoryInBytesByLabelName": each(|values| values.iter().map(|(value, n)| value.len() as u64 * n).sum()),
        "seriesCountByLabelValuePair": largest(pairs.collect()),
    })
}

pub(super) async fn blocks(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, _) = begin(&api, &headers, request).await?;
    let shown = |block: StoredBlock| {
        // The name of its file, in the length of a ULID: clients keep it as one.
        let id = format!("{:026}", block.id);
        json!({
            "ulid": id,
            "minTime": block.time_min_ms,
            // Ends before it, as Prometheus counts.
            "maxTime": block.time_max_ms.saturating_add(1),
            "stats": {"numSamples": block.samples, "numSeries": block.series, "numChunks": block.series},
            "compaction": {"level": u16::from(block.level) + 1, "sources": [id]},
            "version": 1,
            "size": block.bytes,
        })
    };
    let found: Vec<Value> = api.insides.blocks(&tenant).into_iter().map(shown).collect();
    Ok(plain(&json!({"blocks": found})))
}
