//! What is asked without a run, or of one again: the judge's word, how good he is, and what a release would change. It judges nothing.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use operate_execute::RunId;
use serde::Deserialize;

use super::{Asked, JudgeWanted, Refused, Wanted, asked, request};
use crate::Api;
use crate::auth::Caller;

const DAY_MS: i64 = 86_400_000;
/// How far back a replay goes where nothing is said.
const REPLAY_MS: i64 = 90 * DAY_MS;

/// Which service.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JudgeQuery {
    service: Option<String>,
    environment: Option<String>,
}

/// A service as it runs now.
pub(super) async fn now(State(api): State<Api>, query: Asked<JudgeQuery>) -> Result<Response, Refused> {
    let JudgeQuery { service, environment } = asked(query)?;
    Ok(Json(api.deployments.judged(JudgeWanted::Now, service, environment).await?).into_response())
}

/// Whose settings the judge goes by.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunQuery {
    environment: Option<String>,
}

/// A release again, as it went.
pub(super) async fn run(
    State(api): State<Api>,
    Path(run): Path<String>,
    query: Asked<RunQuery>,
) -> Result<Response, Refused> {
    let environment = asked(query)?.environment;
    Ok(Json(api.deployments.judged(JudgeWanted::Run(RunId(run)), None, environment).await?).into_response())
}

/// Which releases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayQuery {
    service: Option<String>,
    environment: Option<String>,
    since_ms: Option<i64>,
}

/// All past releases again.
pub(super) async fn replay(State(api): State<Api>, query: Asked<ReplayQuery>) -> Result<Response, Refused> {
    let ReplayQuery { service, environment, since_ms } = asked(query)?;
    let since_ms = since_ms.unwrap_or_else(|| api.clock.now_ms().saturating_sub(REPLAY_MS));
    Ok(Json(api.deployments.judged(JudgeWanted::Replay { since_ms }, service, environment).await?).into_response())
}

/// Which release.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffQuery {
    service: Option<String>,
    environment: Option<String>,
    image: Option<String>,
    version: Option<String>,
}

/// What it would change.
pub(super) async fn differences(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    query: Asked<DiffQuery>,
) -> Result<Response, Refused> {
    let DiffQuery { service, environment, image, version } = asked(query)?;
    let actor = request::actor(caller, None)?;
    let wanted = Wanted { service, environment, image, version, actor, role: caller.role.word(), ..Wanted::default() };
    Ok(Json(api.deployments.differences(wanted).await?).into_response())
}
