//! Jaeger's query API, as its own page and Grafana use it. Answers are `{"data","total","limit","offset","errors"}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base_signal::{RangeNs, Span, StatusCode as SpanStatusCode, TenantId, TraceId, Value};
use observe_source::{AttributeScope, Budget, Cancel, SelectSpans, SourceError, SpanFilter};

use crate::Api;
use crate::params::Params;
use crate::query::Refused;

const DEFAULT_LIMIT: u64 = 100;
const LIMIT_MAX: u64 = 1500;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/services", get(services))
        .route("/api/services/{service}/operations", get(service_operations))
        .route("/api/operations", get(operations))
        .route("/api/traces", get(search))
        .route("/api/traces/{id}", get(trace))
}

struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let errors = [serde_json::json!({"code": self.0.as_u16(), "msg": self.1})];
        let body = serde_json::json!({"data": null, "total": 0, "limit": 0, "offset": 0, "errors": errors});
        (self.0, axum::Json(body)).into_response()
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Failure(StatusCode::SERVICE_UNAVAILABLE, refused.to_string())
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

fn bad(text: impl Into<String>) -> Failure {
    Failure(StatusCode::BAD_REQUEST, text.into())
}

fn no_service() -> Failure {
    bad("parameter 'service' is required")
}

fn success(data: Vec<serde_json::Value>) -> Response {
    with_errors(data, serde_json::Value::Null)
}

fn with_errors(data: Vec<serde_json::Value>, errors: serde_json::Value) -> Response {
    let total = data.len();
    let body = serde_json::json!({"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors});
    axum::Json(body).into_response()
}

async fn begin(api: &Api, headers: &HeaderMap, request: Request) -> Result<(TenantId, Params), Failure> {
    let tenant = api.tenant(headers).map_err(bad)?;
    let params = Params::read(request).await.map_err(bad)?;
    Ok((tenant, params))
}

async fn services(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Failure> {
    let tenant = api.tenant(&headers).map_err(bad)?;
    let spans = api.spans.clone();
    let names = api.queries.run(None, move |_, _| spans.services(&tenant, RangeNs::ALL)).await??;
    Ok(success(names.into_iter().map(Into::into).collect()))
}

async fn operation_list(api: &Api, tenant: TenantId, service: String) -> Result<Vec<(String, String)>, Failure> {
    let spans = api.spans.clone();
    let found = api.queries.run(None, move |_, _| spans.operations(&tenant, &service, RangeNs::ALL)).await??;
    let word = |kind: base_signal::SpanKind| kind.as_str().trim_start_matches("SPAN_KIND_").to_ascii_lowercase();
    Ok(found.into_iter().map(|(name, kind)| (name, word(kind))).collect())
}

async fn service_operations(
    State(api): State<Api>,
    Path(service): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let tenant = api.tenant(&headers).map_err(bad)?;
    let mut names: Vec<_> = operation_list(&api, tenant, service).await?.into_iter().map(|(name, _)| name).collect();
    names.dedup();
    Ok(success(names.into_iter().map(Into::into).collect()))
}

async fn operations(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let service = params.get("service").ok_or_else(no_service)?.to_owned();
    let wanted = params.get("spanKind").map(str::to_owned);
    let found = operation_list(&api, tenant, service).await?;
    let kept = found.into_iter().filter(|(_, kind)| wanted.as_ref().is_none_or(|w| w == kind));
    Ok(success(kept.map(|(name, kind)| serde_json::json!({"name": name, "spanKind": kind})).collect()))
}

/// Traces that hold a span with all the wanted properties, newest first; each trace comes whole.
async fn search(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let asked: Vec<TraceId> = params
        .all("traceID")
        .map(|id| id.parse().map_err(|e| bad(format!("cannot parse traceID param: {e}"))))
        .collect::<Result<_, _>>()?;
    if asked.is_empty() && params.get("service").is_none() {
        return Err(no_service());
    }
    let filters = filters(&params)?;
    let micros = |name: &str| -> Result<Option<i64>, Failure> {
        let read = |text: &str| {
            text.parse::<i64>()
                .map_err(|_| bad(format!("unable to parse param '{name}': `{text}` is not a number of microseconds")))
        };
        Ok(params.get(name).map(read).transpose()?.map(|us| us.saturating_mul(1000)))
    };
    let range = RangeNs::new(micros("start")?.unwrap_or(i64::MIN), micros("end")?.unwrap_or(i64::MAX));
    let limit = params.number("limit").map_err(bad)?.unwrap_or(DEFAULT_LIMIT).clamp(1, LIMIT_MAX) as usize;
    let by_id = asked.clone();
    let found = api
        .queries
        .clone()
        .run(None, move |budget, cancel| {
            let ids =
                if by_id.is_empty() { matching(&api, &tenant, range, &filters, limit, budget, cancel)? } else { by_id };
            whole(&api, &tenant, &ids, budget, cancel)
        })
        .await??;
    let there = |id: &TraceId| found.iter().flatten().any(|span| span.trace_id == *id);
    let missing: Vec<_> = asked
        .iter()
        .filter(|id| !there(id))
        .map(|id| serde_json::json!({"msg": "trace not found", "traceID": id.to_string()}))
        .collect();
    let errors = if missing.is_empty() { serde_json::Value::Null } else { missing.into() };
    let traces: Result<_, _> = found.iter().map(|spans| shown(spans)).collect();
    Ok(with_errors(traces?, errors))
}

fn filters(params: &Params) -> Result<Vec<SpanFilter>, Failure> {
    let mut filters = Vec::new();
    filters.extend(params.get("service").map(|name| SpanFilter::Service(name.to_owned())));
    filters.extend(params.get("operation").filter(|name| *name != "all").map(|name| SpanFilter::Name(name.to_owned())));
    let duration = |name: &str| -> Result<Option<u64>, Failure> {
        let read = |text: &str| {
            go_duration_ns(text).ok_or_else(|| {
                bad(format!("unable to parse param '{name}': `{text}` is not a duration such as 1.5s or 200ms"))
            })
        };
        params.get(name).map(read).transpose()
    };
    let (min, max) = (duration("minDuration")?, duration("maxDuration")?);
    // A longest duration of nothing is none, as an empty field is.
    let max = max.filter(|max| *max > 0);
    if min.zip(max).is_some_and(|(min, max)| max < min) {
        return Err(bad("'maxDuration' should be greater than 'minDuration'"));
    }
    if min.is_some() || max.is_some() {
        filters.push(SpanFilter::DurationNs { min, max });
    }
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    for text in params.all("tags").filter(|text| !text.is_empty()) {
        let read: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| {
            bad(format!("malformed 'tags' parameter, cannot parse `{text}`: an object of strings is wanted"))
        })?;
        tags.extend(read);
    }
    for text in params.all("tag") {
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| bad(format!("malformed 'tag' parameter, expecting key:value, received: {text}")))?;
        tags.insert(name.to_owned(), value.to_owned());
    }
    filters.extend(tags.into_iter().map(|(name, value)| tag_filter(name, value)));
    Ok(filters)
}

/// Jaeger's page knows status and kind as tags; here they are columns.
fn tag_filter(name: String, value: String) -> SpanFilter {
    match (name.as_str(), value.as_str()) {
        ("error", "true") => SpanFilter::Status(SpanStatusCode::Error),
        ("otel.status_code", "ERROR") => SpanFilter::Status(SpanStatusCode::Error),
        ("otel.status_code", "OK") => SpanFilter::Status(SpanStatusCode::Ok),
        ("span.kind", "server") => SpanFilter::Kind(base_signal::SpanKind::Server),
        ("span.kind", "client") => SpanFilter::Kind(base_signal::SpanKind::Client),
        ("span.kind", "producer") => SpanFilter::Kind(base_signal::SpanKind::Producer),
        ("span.kind", "consumer") => SpanFilter::Kind(base_signal::SpanKind::Consumer),
        ("span.kind", "internal") => SpanFilter::Kind(base_signal::SpanKind::Internal),
        _ => SpanFilter::Attribute { scope: AttributeScope::Any, name, value: Value::String(value) },
    }
}

/// Go's `time.ParseDuration`, whole and decimal numbers with units.
fn go_duration_ns(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total = 0f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let tail = &rest[digits..];
        let units = [("ns", 1f64), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];
        let (unit, factor) = units.iter().filter(|(u, _)| tail.starts_with(u)).max_by_key(|(u, _)| u.len())?;
        total += number * factor;
        rest = &tail[unit.len()..];
    }
    (total < 9e18).then_some(total as u64)
}

/// Ids of the newest traces that hold a matching span.
fn matching(
    api: &Api,
    tenant: &TenantId,
    range: RangeNs,
    filters: &[SpanFilter],
    limit: usize,
    budget: &Budget,
    cancel: &Cancel,
) -> Result<Vec<TraceId>, SourceError> {
    let mut batches =
        api.spans.select_spans(&SelectSpans { tenant, range, filters, trace_ids: None, budget, cancel })?;
    let mut ids = Vec::new();
    while let Some(batch) = batches.next()? {
        for i in 0..batch.len() {
            if !ids.contains(&batch.trace_id(i)) {
                ids.push(batch.trace_id(i));
            }
            if ids.len() == limit {
                return Ok(ids);
            }
        }
        cancel.check()?;
    }
    Ok(ids)
}

/// All spans of each trace, in the order of the ids; a trace without spans is left out.
fn whole(
    api: &Api,
    tenant: &TenantId,
    ids: &[TraceId],
    budget: &Budget,
    cancel: &Cancel,
) -> Result<Vec<Vec<Arc<Span>>>, SourceError> {
    let request = SelectSpans { tenant, range: RangeNs::ALL, filters: &[], trace_ids: Some(ids), budget, cancel };
    let mut batches = api.spans.select_spans(&request)?;
    let mut traces: Vec<Vec<Arc<Span>>> = vec![Vec::new(); ids.len()];
    let place: BTreeMap<TraceId, usize> = ids.iter().enumerate().map(|(i, id)| (*id, i)).collect();
    while let Some(batch) = batches.next()? {
        for span in batch.iter() {
            if let Some(i) = place.get(&span.trace_id) {
                traces[*i].push(span.clone());
            }
        }
    }
    traces.retain(|spans| !spans.is_empty());
    for spans in &mut traces {
        spans.sort_by_key(|span| (span.start_ns, span.span_id));
    }
    Ok(traces)
}

/// One trace as Jaeger shows it.
fn shown(spans: &[Arc<Span>]) -> Result<serde_json::Value, Failure> {
    let id = spans.first().map(|span| span.trace_id).unwrap_or_default();
    serde_json::to_value(observe_wire::jaeger::trace(id, spans))
        .map_err(|error| Failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn trace(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Failure> {
    let tenant = api.tenant(&headers).map_err(bad)?;
    let id: TraceId = id.parse().map_err(|error| bad(format!("{error}")))?;
    let found =
        api.queries.clone().run(None, move |budget, cancel| whole(&api, &tenant, &[id], budget, cancel)).await??;
    match found.first() {
        Some(spans) => Ok(success(vec![shown(spans)?])),
        None => Err(Failure(StatusCode::NOT_FOUND, "trace not found".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::go_duration_ns;

    #[test]
    fn durations_as_go_reads_them() {
        let table = [
            ("1.5s", Some(1_500_000_000)),
            ("200ms", Some(200_000_000)),
            ("1h2m", Some(3_720_000_000_000)),
            ("7µs", Some(7_000)),
            ("5", None),
            ("", None),
            ("x", None),
        ];
        for (text, expected) in table {
            assert_eq!(go_duration_ns(text), expected, "{text}");
        }
    }
}
