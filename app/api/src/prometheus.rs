//! The Prometheus HTTP API, version 1: queries, labels, series, exemplars, metadata and targets.
//!
//! Answers and errors have Prometheus's form (`web/api/v1/api.go`): `{"status","data","warnings","infos"}` or
//! `{"status":"error","errorType","error"}`, with its status codes.

mod answer;
mod federate;
mod targets;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base_signal::{Matcher, TenantId};
use observe_promql::{Engine, Query, QueryError};
use observe_source::{Annotations, Budget, Cancel, LabelQuery, Level, SourceError};

use crate::Api;
use crate::json::{put_labels, put_list, put_string, put_time_ms, put_value};
use crate::params::Params;
use crate::query::Refused;

use answer::{answer_response, cut};
pub use targets::{ActiveTarget, DroppedTarget, LastScrape, Targets};

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/federate", get(federate::federate))
        .route("/api/v1/query", get(query).post(query))
        .route("/api/v1/query_range", get(query_range).post(query_range))
        .route("/api/v1/query_exemplars", get(query_exemplars).post(query_exemplars))
        .route("/api/v1/series", get(series).post(series))
        .route("/api/v1/labels", get(labels).post(labels))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/metadata", get(metadata))
        .route("/api/v1/targets", get(targets::targets))
        .route("/api/v1/status/buildinfo", get(buildinfo))
}

/// An error in the API's form.
pub(crate) struct Failure {
    status: StatusCode,
    kind: &'static str,
    text: String,
}

impl Failure {
    pub(crate) fn bad_data(text: impl Into<String>) -> Self {
        Failure { status: StatusCode::BAD_REQUEST, kind: "bad_data", text: text.into() }
    }

    fn execution(text: impl Into<String>) -> Self {
        Failure { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "execution", text: text.into() }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let text = refused.to_string();
        match refused {
            Refused::Timeout => Failure { status: StatusCode::SERVICE_UNAVAILABLE, kind: "timeout", text },
            Refused::Panicked => Failure { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", text },
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Cancelled => Failure { status: client_gone(), kind: "canceled", text: error.to_string() },
            error => Failure::execution(error.to_string()),
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let status = match error.error_type() {
            "bad_data" => StatusCode::BAD_REQUEST,
            "execution" => StatusCode::UNPROCESSABLE_ENTITY,
            "internal" => StatusCode::INTERNAL_SERVER_ERROR,
            "canceled" => client_gone(),
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Failure { status, kind: error.error_type(), text: error.to_string() }
    }
}

/// nginx's 499, which Prometheus answers when nobody waits any more.
fn client_gone() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::json!({"status": "error", "errorType": self.kind, "error": self.text});
        (self.status, axum::Json(body)).into_response()
    }
}

/// `data` is JSON text already.
fn success(data: &str, annotations: &Annotations) -> Response {
    let mut out = String::with_capacity(data.len() + 64);
    out.push_str("{\"status\":\"success\",\"data\":");
    out.push_str(data);
    for (name, level) in [("warnings", Level::Warning), ("infos", Level::Info)] {
        if annotations.of(level).next().is_some() {
            out.push_str(&format!(",\"{name}\":["));
            put_list(&mut out, annotations.of(level), put_string);
            out.push(']');
        }
    }
    out.push('}');
    ([(header::CONTENT_TYPE, "application/json")], out).into_response()
}

/// What every handler begins with: whose data, and the parameters.
async fn begin(api: &Api, headers: &HeaderMap, request: Request) -> Result<(TenantId, Params), Failure> {
    let tenant = api.tenant(headers).map_err(Failure::bad_data)?;
    let params = Params::read(request).await.map_err(Failure::bad_data)?;
    Ok((tenant, params))
}

fn timeout(params: &Params) -> Result<Option<Duration>, Failure> {
    let ms = params.duration_ms("timeout").map_err(Failure::bad_data)?;
    Ok(ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis))
}

fn engine(params: &Params) -> Result<Engine, Failure> {
    let lookback_ms = params.duration_ms("lookback_delta").map_err(Failure::bad_data)?;
    Ok(lookback_ms.map_or_else(Engine::default, |lookback_ms| Engine { lookback_ms, ..Engine::default() }))
}

async fn query(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let text = params.required("query").map_err(Failure::bad_data)?.to_owned();
    let time_ms = params.time_ms("time").map_err(Failure::bad_data)?.unwrap_or_else(|| api.clock.now_ms());
    let (engine, limit) = (engine(&params)?, limit(&params)?);
    let answer = api
        .queries
        .run(timeout(&params)?, move |budget, cancel| {
            let query = Query { text: &text, tenant: &tenant, budget, cancel };
            engine.instant(api.metrics.as_ref(), &query, time_ms)
        })
        .await??;
    Ok(answer_response(&cut(answer, limit)))
}

async fn query_range(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let text = params.required("query").map_err(Failure::bad_data)?.to_owned();
    let wanted = |name: &'static str| format!("invalid parameter \"{name}\": it is missing");
    let start_ms = params.time_ms("start").and_then(|t| t.ok_or_else(|| wanted("start"))).map_err(Failure::bad_data)?;
    let end_ms = params.time_ms("end").and_then(|t| t.ok_or_else(|| wanted("end"))).map_err(Failure::bad_data)?;
    let step_ms =
        params.duration_ms("step").and_then(|t| t.ok_or_else(|| wanted("step"))).map_err(Failure::bad_data)?;
    if end_ms < start_ms {
        return Err(Failure::bad_data("invalid parameter \"end\": end timestamp must not be before start time"));
    }
    if step_ms <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(Failure::bad_data(format!("invalid parameter \"step\": {why}")));
    }
    if (end_ms - start_ms) / step_ms > 11_000 {
        let why = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(Failure::bad_data(why));
    }
    let (engine, limit) = (engine(&params)?, limit(&params)?);
    let answer = api
        .queries
        .run(timeout(&params)?, move |budget, cancel| {
            let query = Query { text: &text, tenant: &tenant, budget, cancel };
            engine.range(api.metrics.as_ref(), &query, start_ms, end_ms, step_ms)
        })
        .await??;
    Ok(answer_response(&cut(answer, limit)))
}

/// `limit`: the most series, or names, of an answer; 0, as none given, is all.
fn limit(params: &Params) -> Result<usize, Failure> {
    let limit = params.number("limit").map_err(Failure::bad_data)?.unwrap_or(0);
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Runs a look-up of labels with the request's matchers, range and limit.
async fn look_up<T: Send + 'static>(
    api: &Api,
    tenant: TenantId,
    params: &Params,
    sets: Vec<Vec<Matcher>>,
    work: impl FnOnce(&Api, &LabelQuery<'_>) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, Failure> {
    let range = params.range_ms().map_err(Failure::bad_data)?;
    let limit = limit(params)?;
    let owned = api.clone();
    let run = move |budget: &Budget, cancel: &Cancel| {
        work(&owned, &LabelQuery { tenant: &tenant, matchers: &sets, range, limit, budget, cancel })
    };
    Ok(api.queries.run(timeout(params)?, run).await??)
}

async fn series(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let sets = params.matchers().map_err(Failure::bad_data)?;
    if sets.is_empty() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }
    let (found, annotations) = look_up(&api, tenant, &params, sets, |api, query| api.metrics.series(query)).await?;
    let mut out = String::from("[");
    put_list(&mut out, found.iter(), put_labels);
    out.push(']');
    Ok(success(&out, &annotations))
}

async fn labels(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let sets = params.matchers().map_err(Failure::bad_data)?;
    let (names, annotations) =
        look_up(&api, tenant, &params, sets, |api, query| api.metrics.label_names(query)).await?;
    Ok(strings(&names, &annotations))
}

async fn label_values(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let sets = params.matchers().map_err(Failure::bad_data)?;
    let name = unescape_name(&name);
    let (values, annotations) =
        look_up(&api, tenant, &params, sets, move |api, query| api.metrics.label_values(&name, query)).await?;
    Ok(strings(&values, &annotations))
}

fn strings(items: &[String], annotations: &Annotations) -> Response {
    let mut out = String::from("[");
    put_list(&mut out, items.iter(), |out, item| put_string(out, item));
    out.push(']');
    success(&out, annotations)
}

/// `U__my_2e_label` is `my.label`: how a name outside the classic letters travels in a path (Prometheus's value escaping).
fn unescape_name(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if let Some(after) = tail.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let code = tail.split_once('_').and_then(|(hex, after)| Some((u32::from_str_radix(hex, 16).ok()?, after)));
        match code.and_then(|(code, after)| Some((char::from_u32(code)?, after))) {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => return name.to_owned(),
        }
    }
    out.push_str(rest);
    out
}

async fn query_exemplars(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let text = params.required("query").map_err(Failure::bad_data)?;
    let expression = observe_promql::parse(text).map_err(|error| Failure::bad_data(error.to_string()))?;
    let sets: Vec<_> = observe_promql::selectors(&expression).into_iter().map(|s| s.matchers.clone()).collect();
    if sets.is_empty() {
        return Ok(success("[]", &Annotations::default()));
    }
    let found = look_up(&api, tenant, &params, sets, |api, query| api.metrics.exemplars(query)).await?;
    let mut out = String::from("[");
    put_list(&mut out, found.iter(), |out, series| {
        out.push_str("{\"seriesLabels\":");
        put_labels(out, &series.labels);
        out.push_str(",\"exemplars\":[");
        put_list(out, series.exemplars.iter(), |out, exemplar| {
            out.push_str("{\"labels\":");
            put_labels(out, &exemplar.labels);
            out.push_str(",\"value\":");
            put_value(out, exemplar.value);
            out.push_str(",\"timestamp\":");
            put_time_ms(out, exemplar.time_ms);
            out.push('}');
        });
        out.push_str("]}");
    });
    out.push(']');
    Ok(success(&out, &Annotations::default()))
}

async fn metadata(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    // Here alone a limit of 0 is none at all and a negative one is no limit.
    let count = |name: &str| -> Result<Option<usize>, Failure> {
        let Some(text) = params.get(name) else { return Ok(None) };
        let number: i64 = text.parse().map_err(|_| Failure::bad_data(format!("{name} must be a number")))?;
        Ok(usize::try_from(number).ok())
    };
    let (limit, per_metric) = (count("limit")?, count("limit_per_metric")?.filter(|n| *n > 0));
    let found = api.metrics.metadata(&tenant, params.get("metric"))?;
    let mut families: BTreeMap<&str, Vec<serde_json::Value>> = BTreeMap::new();
    for (name, meta) in &found {
        let entry = serde_json::json!({"type": meta.kind.as_str(), "help": meta.help, "unit": meta.unit});
        let entries = families.entry(name).or_default();
        if per_metric.is_none_or(|most| entries.len() < most) {
            entries.push(entry);
        }
    }
    let cut: BTreeMap<_, _> = families.into_iter().take(limit.unwrap_or(usize::MAX)).collect();
    let data = serde_json::to_string(&cut).map_err(|error| Failure::execution(error.to_string()))?;
    Ok(success(&data, &Annotations::default()))
}

/// The version is the Prometheus whose API this is: clients read it to know what they may ask. Ours is in `revision`.
/// There is no `features` on purpose: Grafana takes a server that has them for Mimir.
async fn buildinfo() -> Response {
    let data = serde_json::json!({
        "version": "3.15.0",
        "revision": concat!("apm-", env!("CARGO_PKG_VERSION")),
        "branch": "", "buildUser": "", "buildDate": "", "goVersion": "",
    });
    success(&data.to_string(), &Annotations::default())
}

#[cfg(test)]
mod tests {
    use super::unescape_name;

    #[test]
    fn escaped_names() {
        let table =
            [("job", "job"), ("U__my_2e_label", "my.label"), ("U__a__b", "a_b"), ("U__broken_2", "U__broken_2")];
        for (given, expected) in table {
            assert_eq!(unescape_name(given), expected);
        }
    }
}
