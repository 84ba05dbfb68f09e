//! The Prometheus HTTP API, version 1: queries, labels, series, exemplars, metadata and targets.
//!
//! Answers and errors have Prometheus's form (`web/api/v1/api.go`): `{"status","data","warnings","infos"}` or
//! `{"status":"error","errorType","error"}`, with its status codes.

mod admin;
mod answer;
mod federate;
mod forms;
mod lookups;
mod pools;
mod read;
mod rules;
mod status;
mod syntax;
mod targets;
mod tree;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base_signal::TenantId;
use observe_promql::{Engine, Query, QueryError};
use observe_source::{Annotations, Level, SourceError};

use crate::Api;
use crate::json::{put_list, put_string};
use crate::params::Params;
use crate::query::Refused;

use answer::{answer_response, cut};
pub use status::{Head, Insides, Job, Runtime, StoredBlock};
pub use targets::{ActiveTarget, DroppedTarget, LastScrape, Targets};

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/federate", get(federate::federate)).route("/version", get(status::version)).nest(
        "/api/v1",
        Router::new()
            .route("/query", get(query).post(query))
            .route("/query_range", get(query_range).post(query_range))
            .route("/query_exemplars", get(lookups::query_exemplars).post(lookups::query_exemplars))
            .route("/format_query", get(syntax::format_query).post(syntax::format_query))
            .route("/parse_query", get(syntax::parse_query).post(syntax::parse_query))
            .route("/series", get(lookups::series).post(lookups::series))
            .route("/labels", get(lookups::labels).post(lookups::labels))
            .route("/label/{name}/values", get(lookups::label_values))
            .route("/metadata", get(lookups::metadata))
            .route("/read", post(read::read))
            .route("/rules", get(rules::rules))
            .route("/alerts", get(rules::alerts))
            .route("/alertmanagers", get(rules::alertmanagers))
            .merge(status_routes())
            .merge(admin::routes()),
    )
}

/// What is scraped, and what the engine says of itself.
fn status_routes() -> Router<Api> {
    Router::new()
        .route("/targets", get(targets::targets))
        .route("/targets/metadata", get(pools::target_metadata))
        .route("/scrape_pools", get(pools::scrape_pools))
        .route("/scrape_pools/config", get(pools::config))
        .route("/status/buildinfo", get(status::buildinfo))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/runtimeinfo", get(status::runtimeinfo))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/tsdb/blocks", get(status::blocks))
        .route("/status/walreplay", get(status::walreplay))
        .route("/features", get(status::features))
        .route("/notifications", get(status::notifications))
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

    fn internal(text: impl Into<String>) -> Self {
        Failure { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", text: text.into() }
    }

    /// With Prometheus's status for it: what it has no number for is a 500.
    fn unavailable(text: impl Into<String>) -> Self {
        Failure { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "unavailable", text: text.into() }
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

/// Of each kind, as many as Prometheus shows.
const REMARKS_MAX: usize = 10;

/// `data` is JSON text already.
fn success(data: &str, annotations: &Annotations) -> Response {
    let mut out = String::with_capacity(data.len() + 64);
    out.push_str("{\"status\":\"success\",\"data\":");
    out.push_str(data);
    for (name, level, word) in [("warnings", Level::Warning, "warning"), ("infos", Level::Info, "info")] {
        let more = annotations.of(level).count().saturating_sub(REMARKS_MAX);
        if annotations.of(level).next().is_some() {
            out.push_str(&format!(",\"{name}\":["));
            let omitted = (more > 0).then(|| format!("{more} more {word} annotations omitted"));
            put_list(&mut out, annotations.of(level).take(REMARKS_MAX).chain(omitted.as_deref()), put_string);
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

fn engine(params: &Params) -> Result<Engine, Failure> {
    let lookback_ms = forms::lookback_ms(params)?;
    Ok(lookback_ms.map_or_else(Engine::default, |lookback_ms| Engine { lookback_ms, ..Engine::default() }))
}

/// What the engine says of a query is about the parameter `query`.
fn refused(error: QueryError) -> Failure {
    match error {
        QueryError::BadData(text) => Failure::bad_data(format!("invalid parameter \"query\": {text}")),
        error => error.into(),
    }
}

async fn query(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let limit = forms::limit(&params)?;
    let time_ms = forms::time_or(&params, "time", api.clock.now_ms())?;
    let (timeout, engine) = (forms::timeout(&params)?, engine(&params)?);
    let text = params.get("query").unwrap_or_default().to_owned();
    let answer = api
        .queries
        .run(timeout, move |budget, cancel| {
            let query = Query { text: &text, tenant: &tenant, budget, cancel };
            engine.instant(api.metrics.as_ref(), &query, time_ms)
        })
        .await?
        .map_err(refused)?;
    Ok(answer_response(&cut(answer, limit)))
}

async fn query_range(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let limit = forms::limit(&params)?;
    let (start_ms, end_ms) = (forms::time(&params, "start")?, forms::time(&params, "end")?);
    if end_ms < start_ms {
        return Err(Failure::bad_data("invalid parameter \"end\": end timestamp must not be before start time"));
    }
    let step_ns = forms::duration_ns(&params, "step")?;
    let too_small = || {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        Failure::bad_data(format!("invalid parameter \"step\": {why}"))
    };
    if step_ns <= 0 {
        return Err(too_small());
    }
    if (i128::from(end_ms) - i128::from(start_ms)) * 1_000_000 / i128::from(step_ns) > 11_000 {
        let why = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(Failure::bad_data(why));
    }
    let step_ms = step_ns / 1_000_000;
    // Prometheus takes a step below a millisecond and then divides by zero.
    if step_ms == 0 {
        return Err(too_small());
    }
    let (timeout, engine) = (forms::timeout(&params)?, engine(&params)?);
    let text = params.get("query").unwrap_or_default().to_owned();
    let answer = api
        .queries
        .run(timeout, move |budget, cancel| {
            let query = Query { text: &text, tenant: &tenant, budget, cancel };
            engine.range(api.metrics.as_ref(), &query, start_ms, end_ms, step_ms)
        })
        .await?
        .map_err(refused)?;
    Ok(answer_response(&cut(answer, limit)))
}
