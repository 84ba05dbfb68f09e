//! `/api/v1/admin/tsdb/…`: what is deleted, taken off the disk and copied. Off unless the engine is told to heed it, as in Prometheus; where there are
//! tokens, an admin's is wanted besides.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base_signal::RangeMs;
use observe_source::Annotations;
use serde_json::json;

use super::{Failure, begin, forms, success};
use crate::Api;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/admin/tsdb/delete_series", post(delete_series).put(delete_series))
        .route("/admin/tsdb/clean_tombstones", post(clean_tombstones).put(clean_tombstones))
        .route("/admin/tsdb/snapshot", post(snapshot).put(snapshot))
}

fn enabled(api: &Api) -> Result<(), Failure> {
    if api.insides.is_admin_enabled() { Ok(()) } else { Err(Failure::unavailable("admin APIs disabled")) }
}

async fn delete_series(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    enabled(&api)?;
    let (tenant, params) = begin(&api, &headers, request).await?;
    let texts: Vec<&str> = params.all("match[]").collect();
    if texts.is_empty() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }
    let range = forms::range(&params)?;
    let named = |why: String| Failure::bad_data(format!("invalid parameter \"match[]\": {why}"));
    // Prometheus takes `{}` here and deletes everything; what deletes by mistake should not be so short.
    let sets = forms::matchers(&params).map_err(named)?;
    if let Some(range) = range {
        let range = RangeMs::new(range.start_ms, range.end_ms);
        api.insides.delete_series(tenant, sets, range).await.map_err(Failure::internal)?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn clean_tombstones(State(api): State<Api>) -> Result<Response, Failure> {
    enabled(&api)?;
    api.insides.clean_tombstones().await.map_err(Failure::internal)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn snapshot(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    enabled(&api)?;
    let (_, params) = begin(&api, &headers, request).await?;
    let named =
        |why: String| Failure::bad_data(format!("invalid parameter \"skip_head\": unable to parse boolean: {why}"));
    let skip_head = params.get("skip_head").map(forms::flag).transpose().map_err(named)?.unwrap_or(false);
    let failed = |why: String| Failure::internal(format!("create snapshot: {why}"));
    let name = api.insides.snapshot(!skip_head).await.map_err(failed)?;
    Ok(success(&json!({"name": name}).to_string(), &Annotations::default()))
}
