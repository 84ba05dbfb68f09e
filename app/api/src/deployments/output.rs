//! What the containers of a run write, and what is kept with a run. It knows no engine of containers and no history.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use operate_execute::RunId;
use serde::Deserialize;
use serde_json::json;

use super::{Asked, OutputWanted, Refused, asked};
use crate::Api;

const TAIL_DEFAULT: u64 = 1_000;
const TAIL_MAX: u64 = 10_000;

/// Which lines.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputQuery {
    since_ms: Option<i64>,
    tail: Option<u64>,
}

impl OutputQuery {
    fn wanted(self) -> OutputWanted {
        let tail = self.tail.unwrap_or(TAIL_DEFAULT).min(TAIL_MAX);
        OutputWanted { since_ms: self.since_ms.unwrap_or(0).max(0), tail }
    }
}

/// What is there now.
pub(super) async fn output(
    State(api): State<Api>,
    Path(run): Path<String>,
    query: Asked<OutputQuery>,
) -> Result<Response, Refused> {
    let wanted = asked(query)?.wanted();
    Ok(axum::Json(api.deployments.output(RunId(run), wanted).await?).into_response())
}

/// What comes, as server-sent events; whoever has seen the run's end goes.
pub(super) async fn follow(
    State(api): State<Api>,
    Path(run): Path<String>,
    query: Asked<OutputQuery>,
) -> Result<Response, Refused> {
    let wanted = asked(query)?.wanted();
    let permit = api.watchers.permit()?;
    let lines = api.deployments.follow_output(RunId(run), wanted).await?;
    let going = (lines, permit, api.watchers.stop());
    let sent = stream::unfold(going, |(mut lines, permit, mut stop)| async move {
        let line = tokio::select! {
            line = lines.next() => line?,
            _ = stop.wait_for(|stop| *stop) => return None,
        };
        Some((Ok(super::watch::event(&line)), (lines, permit, stop)))
    });
    Ok(super::watch::events(sent))
}

/// What is kept with a run.
pub(super) async fn artefacts(State(api): State<Api>, Path(run): Path<String>) -> Result<Response, Refused> {
    let artefacts = api.deployments.artefacts(RunId(run)).await?;
    Ok(axum::Json(json!({ "artefacts": artefacts })).into_response())
}

/// One of them, as it was put there; never shown as a page.
pub(super) async fn artefact(
    State(api): State<Api>,
    Path((run, name)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let kept = api.deployments.artefact(RunId(run), name).await?;
    let plain = HeaderValue::from_static("application/octet-stream");
    let kind = match HeaderValue::from_str(&kept.media_type) {
        Ok(kind) if !kept.media_type.contains("html") && !kept.media_type.contains("svg") => kind,
        _ => plain,
    };
    let attachment = HeaderValue::from_static("attachment");
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, attachment)], kept.bytes).into_response())
}
