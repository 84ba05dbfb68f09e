//! `/apm/v1/promotions`: a version's way through environments as one thing: decide, look, and a person's yes or no to the next stage. What comes next
//! is decided elsewhere.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::{Asked, Promoted, Refused, Yes, asked, planned, request};
use crate::Api;
use crate::auth::Caller;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/apm/v1/promotions", get(list).post(create))
        .route("/apm/v1/promotions/{promotion}", get(one))
        .route("/apm/v1/promotions/{promotion}/approve", post(approve))
        .route("/apm/v1/promotions/{promotion}/reject", post(reject))
}

/// Parameters of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    limit: Option<usize>,
}

async fn list(State(api): State<Api>, query: Asked<ListQuery>) -> Result<Response, Refused> {
    let limit = asked(query)?.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    Ok(Json(json!({"promotions": api.deployments.promotions(limit).await?})).into_response())
}

async fn one(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Refused> {
    Ok(Json(api.deployments.promotion(id).await?).into_response())
}

async fn create(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let said: request::PromoteBody = request::read(&api, &headers, body).await?;
    let wanted = Promoted {
        service: said.service,
        version: said.version,
        image: said.image,
        from: said.from,
        environment: said.environment,
        actor: request::actor(caller, said.actor.as_deref())?,
        reason: request::reason(said.reason.as_deref())?,
    };
    Ok((StatusCode::CREATED, Json(api.deployments.promote(wanted).await?)).into_response())
}

fn yes(id: String, caller: Caller, said: &request::YesBody) -> Result<Yes, Refused> {
    Ok(Yes {
        promotion: id,
        actor: request::actor(caller, said.actor.as_deref())?,
        role: caller.role.word(),
        reason: request::reason(said.reason.as_deref())?,
    })
}

async fn approve(
    State(api): State<Api>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let said: request::YesBody = request::read(&api, &headers, body).await?;
    let yes = yes(id, caller, &said)?;
    if said.dry_run {
        let prepared = api.deployments.prepare_next(yes).await?;
        return Ok(Json(planned(&prepared.plan, &prepared.findings)).into_response());
    }
    let run = api.deployments.approve_next(yes).await?;
    let url = format!("/apm/v1/deployments/{}", request::escaped(&run.0));
    let place = [(header::LOCATION, url.clone())];
    Ok((StatusCode::ACCEPTED, place, Json(json!({"run": run, "url": url}))).into_response())
}

async fn reject(
    State(api): State<Api>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let said: request::YesBody = request::read(&api, &headers, body).await?;
    Ok(Json(api.deployments.reject_next(yes(id, caller, &said)?).await?).into_response())
}
