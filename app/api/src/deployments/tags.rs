//! Tags of a run: given, taken away. Which names are tags is decided by the executor's contract; where they are kept is not known here.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use operate_execute::{RunId, TAGS_MAX, Tag};
use serde::Deserialize;
use serde_json::json;

use super::{Refused, request};
use crate::Api;
use crate::auth::Caller;

/// What somebody wants of a run's tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retag {
    pub tags: Vec<Tag>,
    /// They are taken from the run; else they are given to it.
    pub takes: bool,
    pub actor: String,
    /// Of whoever asks: `deployer`, `admin`.
    pub role: &'static str,
    pub reason: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TagsBody {
    tags: Vec<String>,
    actor: Option<String>,
    reason: Option<String>,
}

pub(super) fn tags<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<Vec<Tag>, Refused> {
    let tag = |name: &String| {
        Tag::new(name).map_err(|error| Refused::invalid(error.to_string(), "`golden`, `v1.2`, `before-black-friday`"))
    };
    names.into_iter().map(tag).collect()
}

/// A run's tags and these.
pub(super) async fn give(
    State(api): State<Api>,
    Path(run): Path<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    retag(&api, run, caller, request::read(&api, &headers, body).await?, false).await
}

/// A run's tags without these, which are in the path's parameters or in the body.
pub(super) async fn take(
    State(api): State<Api>,
    Path(run): Path<String>,
    Extension(caller): Extension<Caller>,
    Query(pairs): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let mut said: TagsBody = request::read(&api, &headers, body).await?;
    for (name, value) in pairs {
        match name.as_str() {
            "tag" => said.tags.push(value),
            _ => {
                return Err(Refused::invalid(
                    format!("`{name}` is no parameter of this"),
                    "`tag` is, any number of times",
                ));
            }
        }
    }
    retag(&api, run, caller, said, true).await
}

async fn retag(api: &Api, run: String, caller: Caller, said: TagsBody, takes: bool) -> Result<Response, Refused> {
    if said.tags.is_empty() || said.tags.len() > TAGS_MAX {
        let message = format!("1 to {TAGS_MAX} tags are given or taken at once, not {}", said.tags.len());
        return Err(Refused::invalid(message, "send {\"tags\": [\"golden\"]}"));
    }
    let retag = Retag {
        tags: tags(&said.tags)?,
        takes,
        actor: request::actor(caller, said.actor.as_deref())?,
        role: caller.role.word(),
        reason: request::reason(said.reason.as_deref())?,
    };
    let run = RunId(run);
    let tags = api.deployments.retag(run.clone(), retag).await?;
    Ok(Json(json!({"run": run, "tags": tags})).into_response())
}
