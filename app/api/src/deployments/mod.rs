//! `/apm/v1/deployments`: what `apm deploy` does, for programs and for our page: list, look, follow, order about, create, roll back.
//!
//! [`Deployments`] is what must stand behind it. This room knows no history, no engine of containers and no settings; the forms are told in
//! `openapi.json`, which is served beside it.

mod answer;
mod back;
mod behind;
mod everything;
mod judged;
mod looks;
mod output;
mod promotions;
mod refused;
mod request;
mod socket;
mod tags;
mod watch;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use base_explain::Report;
use operate_execute::{Command, Entry, Filter, Order, RunId, State as RunState, Status};
use operate_plan::{Finding, Plan, StepId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Api;
use crate::auth::Caller;

pub use behind::{
    Deployments, Following, Health, JudgeWanted, Kept, Lines, OutputWanted, Past, Prepared, Promoted, Wanted, Yes,
};
pub(crate) use refused::body as refused_body;
pub use refused::{Refused, RefusedKind};
pub use tags::Retag;
pub use watch::Watchers;

const RUNS_DEFAULT: usize = 50;
const RUNS_MAX: usize = 500;
const ENTRIES_MAX: usize = 1000;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/apm/v1/openapi.json", get(openapi))
        .route("/apm/v1/deployments", get(list).post(create))
        .route("/apm/v1/deployments/metrics", get(looks::metrics))
        .route("/apm/v1/deployments/judge", get(judged::now))
        .route("/apm/v1/deployments/replay", get(judged::replay))
        .route("/apm/v1/deployments/diff", get(judged::differences))
        .route("/apm/v1/deployments/watch", get(follow_all))
        .route("/apm/v1/deployments/ws", get(socket::all))
        .route("/apm/v1/deployments/{run}", get(one))
        .route("/apm/v1/deployments/{run}/plan", get(plan))
        .route("/apm/v1/deployments/{run}/diff", get(looks::diff))
        .route("/apm/v1/deployments/{run}/health", get(looks::health))
        .route("/apm/v1/deployments/{run}/history", get(looks::history))
        .route("/apm/v1/deployments/{run}/logs", get(looks::logs))
        .route("/apm/v1/deployments/{run}/judge", get(judged::run))
        .route("/apm/v1/deployments/{run}/output", get(output::output))
        .route("/apm/v1/deployments/{run}/output/watch", get(output::follow))
        .route("/apm/v1/deployments/{run}/artefacts", get(output::artefacts))
        .route("/apm/v1/deployments/{run}/artefacts/{name}", get(output::artefact))
        .route("/apm/v1/deployments/{run}/events", get(events))
        .route("/apm/v1/deployments/{run}/watch", get(follow))
        .route("/apm/v1/deployments/{run}/ws", get(socket::one))
        .route("/apm/v1/deployments/{run}/approve", post(|way: Way| way.step(Order::Approve)))
        .route("/apm/v1/deployments/{run}/reject", post(|way: Way| way.step(Order::Reject)))
        .route("/apm/v1/deployments/{run}/skip", post(|way: Way| way.step(Order::Skip)))
        .route("/apm/v1/deployments/{run}/pause", post(|way: Way| way.whole(Order::Pause)))
        .route("/apm/v1/deployments/{run}/resume", post(|way: Way| way.whole(Order::Resume)))
        .route("/apm/v1/deployments/{run}/cancel", post(|way: Way| way.whole(Order::Cancel)))
        .route("/apm/v1/deployments/{run}/tags", put(tags::give).delete(tags::take))
        .route("/apm/v1/deployments/{run}/rollback", get(back::preview).post(back::rollback))
        .merge(promotions::routes())
}

pub(crate) const OPENAPI: &str = include_str!("openapi.json");

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// Parameters of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    limit: Option<usize>,
    before: Option<String>,
    status: Option<String>,
    service: Option<String>,
    environment: Option<String>,
    tag: Option<String>,
}

type Asked<T> = Result<Query<T>, axum::extract::rejection::QueryRejection>;

fn asked<T>(query: Asked<T>) -> Result<T, Refused> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(error) => Err(Refused::invalid(error.body_text(), "the parameters are told in /apm/v1/openapi.json")),
    }
}

async fn list(State(api): State<Api>, query: Asked<ListQuery>) -> Result<Response, Refused> {
    let query = asked(query)?;
    let status = query.status.as_deref().map(|word| {
        let known = Status::ALL.into_iter().find(|status| status.word() == word);
        let words = || Status::ALL.map(Status::word).join(", ");
        known.ok_or_else(|| Refused::invalid(format!("`{word}` is no status"), &format!("there are {}", words())))
    });
    let labels = [("service", query.service), ("environment", query.environment)];
    let limit = query.limit.unwrap_or(RUNS_DEFAULT).clamp(1, RUNS_MAX);
    let filter = Filter {
        status: status.transpose()?,
        labels: labels.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        tags: tags::tags(&query.tag.iter().flat_map(|tags| tags.split(',')).map(str::to_owned).collect::<Vec<_>>())?,
        before: query.before.map(RunId),
        limit,
    };
    let rows = api.deployments.runs(filter).await?;
    // A page that is not full is the last one.
    let next = rows.last().filter(|_| rows.len() >= limit).map(|row| row.run.clone());
    Ok(axum::Json(json!({"deployments": answer::rows(&rows), "next": next})).into_response())
}

/// A whole journal; an executor keeps it at some hundred lines.
async fn journal(api: &Api, run: &RunId) -> Result<Vec<Entry>, Refused> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let after = all.last().map_or(0, |entry| entry.seq);
        let page = api.deployments.entries(run.clone(), after, ENTRIES_MAX).await?;
        let is_last = page.len() < ENTRIES_MAX;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

async fn one(State(api): State<Api>, Path(run): Path<String>) -> Result<Response, Refused> {
    let run = RunId(run);
    let plan = api.deployments.plan(run.clone()).await?;
    let entries = journal(&api, &run).await?;
    Ok(axum::Json(answer::run(&plan, &entries, api.clock.now_ms())).into_response())
}

async fn plan(State(api): State<Api>, Path(run): Path<String>) -> Result<Response, Refused> {
    let plan = api.deployments.plan(RunId(run)).await?;
    Ok(axum::Json(planned(&plan, &[])).into_response())
}

fn planned(plan: &Plan, findings: &[Finding]) -> Value {
    noted(plan, findings, &[])
}

fn noted(plan: &Plan, findings: &[Finding], notes: &[String]) -> Value {
    json!({
        "plan": answer::plan(plan),
        "findings": answer::findings(findings),
        "report": operate_plan::report(plan, findings),
        "notes": notes,
    })
}

/// Parameters of journals.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    after: Option<u64>,
    limit: Option<usize>,
}

async fn events(
    State(api): State<Api>,
    Path(run): Path<String>,
    query: Asked<EventsQuery>,
) -> Result<Response, Refused> {
    let query = asked(query)?;
    let after = query.after.unwrap_or(0);
    let limit = query.limit.unwrap_or(ENTRIES_MAX).clamp(1, ENTRIES_MAX);
    let entries = api.deployments.entries(RunId(run), after, limit).await?;
    let next = entries.last().map_or(after, |entry| entry.seq);
    let events: Vec<_> = entries.iter().map(answer::entry).collect();
    Ok(axum::Json(json!({"events": events, "next": next})).into_response())
}

async fn follow(
    State(api): State<Api>,
    Path(run): Path<String>,
    headers: HeaderMap,
    query: Asked<EventsQuery>,
) -> Result<Response, Refused> {
    let query = asked(query)?;
    let after = match headers.get("last-event-id").and_then(|value| value.to_str().ok()).filter(|id| !id.is_empty()) {
        Some(id) => id.parse().map_err(|_| {
            Refused::invalid(format!("`{id}` is no id of an event"), "`Last-Event-ID` is the number of an event")
        })?,
        None => query.after.unwrap_or(0),
    };
    api.watchers.open(Arc::clone(&api.deployments), RunId(run), after).await
}

/// Where a watcher of all runs begins.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllQuery {
    after: Option<String>,
}

async fn follow_all(State(api): State<Api>, headers: HeaderMap, query: Asked<AllQuery>) -> Result<Response, Refused> {
    let query = asked(query)?;
    let id = headers.get("last-event-id").and_then(|value| value.to_str().ok()).filter(|id| !id.is_empty());
    let place = id.or(query.after.as_deref()).map(socket::place).transpose()?;
    api.watchers.open_all(Arc::clone(&api.deployments), place).await
}

/// An order's request: to which run, by whom, and what it says.
struct Way {
    api: Api,
    run: RunId,
    caller: Caller,
    said: Result<request::OrderBody, Refused>,
}

impl axum::extract::FromRequest<Api> for Way {
    type Rejection = Response;

    async fn from_request(request: axum::extract::Request, api: &Api) -> Result<Self, Response> {
        use axum::RequestPartsExt as _;
        let (mut parts, body) = request.into_parts();
        let Path(run) = parts.extract_with_state::<Path<String>, _>(api).await.map_err(IntoResponse::into_response)?;
        let caller = parts.extensions.get::<Caller>().copied();
        let caller = caller.ok_or_else(|| StatusCode::UNAUTHORIZED.into_response())?;
        let said = request::read(api, &parts.headers, body).await;
        Ok(Way { api: api.clone(), run: RunId(run), caller, said })
    }
}

impl Way {
    async fn whole(self, order: Order) -> Result<Response, Refused> {
        let said = self.said?;
        give(&self.api, self.run, self.caller, order, said).await
    }

    /// The step that is named, or the one that waits.
    async fn step(self, order: fn(StepId) -> Order) -> Result<Response, Refused> {
        let said = self.said?;
        let step = match &said.step {
            Some(step) => StepId(step.clone()),
            None => {
                let plan = self.api.deployments.plan(self.run.clone()).await?;
                let state = RunState::of(&journal(&self.api, &self.run).await?);
                answer::waiting(&plan, &state).cloned().ok_or_else(|| {
                    let report = Report::new(format!("no step of {} waits for anybody", self.run));
                    Refused::new(RefusedKind::Conflict, "nothing-waits", report.hint("`step` names one"))
                })?
            }
        };
        give(&self.api, self.run, self.caller, order(step), said).await
    }
}

async fn give(
    api: &Api,
    run: RunId,
    caller: Caller,
    order: Order,
    said: request::OrderBody,
) -> Result<Response, Refused> {
    let actor = request::actor(caller, said.actor.as_deref())?;
    let reason = request::reason(said.reason.as_deref())?;
    let step = order.step().cloned();
    api.deployments.order(run.clone(), Command { order, actor: actor.clone(), reason }, caller.role.word()).await?;
    // The executor takes it within a quarter of a second; until then nothing has changed.
    Ok((StatusCode::ACCEPTED, axum::Json(json!({"run": run, "step": step, "actor": actor}))).into_response())
}

async fn create(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let said: request::CreateBody = request::read_large(&api, &headers, body).await?;
    let wanted = Wanted {
        service: said.service,
        environment: said.environment,
        image: said.image,
        version: said.version,
        strategy: said.strategy,
        adopt: said.adopt,
        force: said.force,
        repair: said.repair,
        back: None,
        as_of: None,
        compose: said.compose.map(Arc::new),
        actor: request::actor(caller, said.actor.as_deref())?,
        role: caller.role.word(),
        reason: request::reason(said.reason.as_deref())?,
    };
    begin(&api, wanted, said.dry_run).await
}

async fn begin(api: &Api, wanted: Wanted, is_dry: bool) -> Result<Response, Refused> {
    if is_dry {
        let prepared = api.deployments.prepare(wanted).await?;
        return Ok(axum::Json(noted(&prepared.plan, &prepared.findings, &prepared.notes)).into_response());
    }
    let run = api.deployments.create(wanted).await?;
    let url = format!("/apm/v1/deployments/{}", request::escaped(&run.0));
    let place = [(header::LOCATION, url.clone())];
    Ok((StatusCode::ACCEPTED, place, axum::Json(json!({"run": run, "url": url}))).into_response())
}
