//! Going back: a release of the version that a run replaced, shown first or carried out. What a release is and how it is made is decided
//! elsewhere.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use base_explain::Report;
use operate_execute::{Filter, RunId, State as RunState, Status, Tag, run_to_go_back_to};
use serde::Deserialize;

use super::{Asked, RUNS_MAX, Refused, RefusedKind, Wanted, asked, begin, journal, request};
use crate::Api;
use crate::auth::Caller;

/// A release of the version that the run replaced.
pub(super) async fn rollback(
    State(api): State<Api>,
    Path(run): Path<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let said: request::RollbackBody = request::read(&api, &headers, body).await?;
    let is_dry = said.dry_run;
    begin(&api, back(&api, RunId(run), caller, said).await?, is_dry).await
}

/// Parameters of the preview.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewQuery {
    to: Option<String>,
}

/// The plan of such a release.
pub(super) async fn preview(
    State(api): State<Api>,
    Path(run): Path<String>,
    Extension(caller): Extension<Caller>,
    query: Asked<PreviewQuery>,
) -> Result<Response, Refused> {
    let said = request::RollbackBody { to: asked(query)?.to, ..request::RollbackBody::default() };
    begin(&api, back(&api, RunId(run), caller, said).await?, true).await
}

async fn back(api: &Api, run: RunId, caller: Caller, said: request::RollbackBody) -> Result<Wanted, Refused> {
    let plan = api.deployments.plan(run.clone()).await?;
    let status = RunState::of(&journal(api, &run).await?).status();
    if !status.is_end() {
        let report = Report::new(format!("run `{run}` is {status}, and has nothing yet to go back from"));
        return Err(Refused::new(RefusedKind::Conflict, "not-ended", report.hint("cancel it: that undoes it")));
    }
    let label = |name: &str| plan.labels.get(name).cloned();
    let (to, as_of) = match said.to {
        Some(to) => version_of(api, to, [("service", label("service")), ("environment", label("environment"))]).await?,
        None => (None, None),
    };
    let before = to.or_else(|| label("version_before").filter(|version| version != "unknown"));
    let version = before.ok_or_else(|| {
        let report = Report::new(format!("run `{run}` does not say which version was there before it"));
        Refused::new(RefusedKind::Refused, "version-unknown", report.hint("`to` names the version"))
    })?;
    let reason = request::reason(said.reason.as_deref())?;
    Ok(Wanted {
        service: label("service"),
        environment: label("environment"),
        version: Some(version),
        actor: request::actor(caller, said.actor.as_deref())?,
        role: caller.role.word(),
        reason: if reason.is_empty() { format!("back from {run}") } else { reason },
        back: Some(run),
        as_of,
        ..Wanted::default()
    })
}

/// A version as it is; or that of the run that is meant by a name, a digest or a tag, with it.
async fn version_of(
    api: &Api,
    to: String,
    labels: [(&str, Option<String>); 2],
) -> Result<(Option<String>, Option<RunId>), Refused> {
    let labels: Vec<_> = labels.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let all = Filter { status: Some(Status::Complete), labels, limit: RUNS_MAX, ..Filter::default() };
    let tagged = match Tag::new(&to) {
        Ok(tag) => api.deployments.runs(Filter { tags: vec![tag], ..all.clone() }).await?,
        Err(_) => Vec::new(),
    };
    let known = api.deployments.runs(all).await?;
    let row = run_to_go_back_to(&to, &known, &tagged);
    let version = row.and_then(|row| row.labels.get("version").cloned());
    Ok((Some(version.unwrap_or(to)), row.map(|row| row.run.clone())))
}
