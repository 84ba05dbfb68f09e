//! What is looked at beside a run's journal: who did what to it, its health, its lines, what it changed; and the figures of all runs. It
//! asks whoever stands behind and gives the answers their form.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use operate_execute::{Entry, Event, RunId, State as RunState};
use operate_plan::{Degraded, Plan, Seen, Work, diff as differences};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Refused, answer, asked, journal};
use crate::Api;

const LINES_DEFAULT: usize = 100;
const LINES_MAX: usize = 1000;
const DAY_MS: i64 = 86_400_000;
/// Of the figures, where nothing is said.
const DAYS_DEFAULT: i64 = 30;
const DAYS_MAX: i64 = 3_650;

/// Who did what, what was tried how often, and the releases of the same service and environment.
pub(super) async fn history(State(api): State<Api>, Path(run): Path<String>) -> Result<Response, Refused> {
    let run = RunId(run);
    let past = api.deployments.past(run.clone()).await?;
    let entries = journal(&api, &run).await?;
    let attempts: Vec<Value> = entries.iter().filter_map(|entry| attempt(entry, &entries)).collect();
    let answer = json!({
        "audit": past.audit, "attempts": attempts, "deployments": answer::rows(&past.runs), "degraded": past.degraded,
    });
    Ok(axum::Json(answer).into_response())
}

/// One attempt and how it went; `null` for one that is on its way or was cut off.
fn attempt(entry: &Entry, entries: &[Entry]) -> Option<Value> {
    let Event::Attempt { step, number } = &entry.event else { return None };
    let (mut outcome, mut ended_ms, mut failure) = (Value::Null, Value::Null, Value::Null);
    let later = entries.iter().filter(|later| later.seq > entry.seq);
    for later in later {
        match &later.event {
            Event::Acted { step: acted, .. } if acted == step => outcome = json!("acted"),
            Event::AttemptFailed { step: failed, number: of, failure: why, .. } if failed == step && of == number => {
                (outcome, failure) = (json!("failed"), answer::plain(why));
            }
            Event::Attempt { step: next, .. } if next == step => break,
            _ => continue,
        }
        ended_ms = json!(later.at_ms);
        break;
    }
    Some(json!({
        "step": step, "number": number, "begun_ms": entry.at_ms, "ended_ms": ended_ms, "outcome": outcome, "failure": failure,
    }))
}

/// What the judge said and says, and what became of the containers.
pub(super) async fn health(State(api): State<Api>, Path(run): Path<String>) -> Result<Response, Refused> {
    let run = RunId(run);
    let health = api.deployments.health(run.clone()).await?;
    let entries = journal(&api, &run).await?;
    let status = RunState::of(&entries).status();
    let said: Vec<Value> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Judged { step, ruling, health } => {
                let ruling = answer::plain(ruling);
                let (word, detail) = ruling.as_object().and_then(|members| members.iter().next())?;
                let sentence = &detail["sentence"];
                let at_ms = entry.at_ms;
                Some(json!({"step": step, "at_ms": at_ms, "outcome": word, "sentence": sentence, "layers": health}))
            }
            _ => None,
        })
        .collect();
    let objects: Vec<Value> = health
        .objects
        .facts
        .iter()
        .map(|(object, fact)| {
            let (state, image, why) = match &fact.seen {
                Seen::Present(value) if value["running"] == json!(false) => ("stopped", value["image"].clone(), None),
                Seen::Present(value) => ("running", value["image"].clone(), None),
                Seen::Absent => ("absent", Value::Null, None),
                Seen::Unknown(failure) => ("unknown", Value::Null, Some(&failure.message)),
            };
            json!({"object": object, "state": state, "image": image, "why": why, "at_ms": fact.at_ms})
        })
        .collect();
    let answer = json!({
        "run": run, "status": status, "said": said, "verdict": health.verdict, "objects": objects,
        "degraded": health.degraded,
    });
    Ok(axum::Json(answer).into_response())
}

/// Parameters of lines.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinesQuery {
    limit: Option<usize>,
}

/// What the service's new version said since the run began to change things.
pub(super) async fn logs(
    State(api): State<Api>,
    Path(run): Path<String>,
    query: Asked<LinesQuery>,
) -> Result<Response, Refused> {
    let limit = asked(query)?.limit.unwrap_or(LINES_DEFAULT).clamp(1, LINES_MAX);
    let found = api.deployments.lines(RunId(run), limit).await?;
    let mut words = form_urlencoded::Serializer::for_suffix(String::from("/ui/logs?"), "/ui/logs?".len());
    words.append_pair("q", &found.query);
    words.append_pair("from", &found.start_ms.to_string()).append_pair("to", &found.end_ms.to_string());
    let lines: Vec<Value> = found.lines.iter().map(|(at_ms, text)| json!({"at_ms": at_ms, "text": text})).collect();
    let mut degraded = Vec::new();
    if let Some(why) = &found.failed {
        degraded.push(Degraded::new("lines", why, "loki"));
    } else if found.truncated {
        degraded.push(Degraded::new("older lines", format!("only the newest {limit} are told here"), "loki"));
    }
    let answer = json!({
        "query": found.query, "start_ms": found.start_ms, "end_ms": found.end_ms, "lines": lines,
        "truncated": found.truncated, "failed": found.failed, "degraded": degraded,
        "page": words.finish(),
    });
    Ok(axum::Json(answer).into_response())
}

/// What the run changes against the newest complete one before it, and which objects it touches.
pub(super) async fn diff(State(api): State<Api>, Path(run): Path<String>) -> Result<Response, Refused> {
    let run = RunId(run);
    let plan = api.deployments.plan(run.clone()).await?;
    let before = api.deployments.before(run.clone()).await?;
    let from = before.as_ref().map_or_else(|| json!({}), |(_, plan)| wanted(plan));
    let mut objects: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for step in &plan.steps {
        if let Work::Act(act) = &step.work {
            objects.entry(act.object.to_string()).or_default().push(&act.verb);
        }
    }
    let objects: Vec<Value> = objects.iter().map(|(object, verbs)| json!({"object": object, "verbs": verbs})).collect();
    let changes = answer::plain(&differences(&from, &wanted(&plan)));
    let against = before.map(|(run, _)| run);
    Ok(axum::Json(json!({"run": run, "against": against, "changes": changes, "objects": objects})).into_response())
}

/// What a plan wants to be there, without what is sealed: its labels, and how its objects are made.
fn wanted(plan: &Plan) -> Value {
    let made = plan.steps.iter().filter_map(|step| match &step.work {
        Work::Act(act) if !act.with.is_null() && act.verb != "rename" => {
            Some((format!("{} {}", act.verb, act.object.name), answer::plain(&act.with)))
        }
        _ => None,
    });
    let mut labels = plan.labels.clone();
    // Who asked, and for what it was exchanged, is no part of what is there.
    labels.retain(|name, _| !["actor", "version_before"].contains(&name.as_str()));
    json!({"labels": labels, "made": made.collect::<serde_json::Map<_, _>>()})
}

/// Parameters of the figures.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FiguresQuery {
    days: Option<i64>,
    since_ms: Option<i64>,
}

/// What became of the releases of the last days, and DORA's four keys.
pub(super) async fn metrics(State(api): State<Api>, query: Asked<FiguresQuery>) -> Result<Response, Refused> {
    let query = asked(query)?;
    let days = query.days.unwrap_or(DAYS_DEFAULT).clamp(1, DAYS_MAX);
    let since_ms = query.since_ms.unwrap_or_else(|| api.clock.now_ms() - days * DAY_MS);
    let figures = api.deployments.figures(since_ms).await?;
    Ok(axum::Json(figures).into_response())
}
