//! Journals over a WebSocket (RFC 6455): entries as JSON, one a message; a ping now and then, and a reason whenever the engine closes. It
//! knows what a watcher gives, and not where that comes from.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use base_explain::Report;
use futures_util::{SinkExt as _, StreamExt as _};
use operate_execute::{Entry, RunId};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::everything::{self, Everything, Place};
use super::watch::{HEARTBEAT, Watcher};
use super::{Asked, Refused, RefusedKind, answer, asked};
use crate::Api;
use crate::auth::{By, Caller, from_our_page};

/// How long a first message is waited for that says where to begin.
const FIRST: Duration = Duration::from_secs(1);
/// Who takes none of what is sent for so long is cut.
const SLOW: Duration = Duration::from_secs(10);
/// For the words of parting.
const PARTING: Duration = Duration::from_secs(5);
/// Pings in a row that nobody answered.
const SILENT_MAX: u32 = 2;
/// Of what a watcher may say.
const SAID_BYTES_MAX: usize = 16 << 10;

/// Codes of RFC 6455, §7.4.1, and 1013 of the registry it made.
mod code {
    pub(super) const OVER: u16 = 1000;
    pub(super) const GOING: u16 = 1001;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const AGAIN: u16 = 1013;
}

/// Where to begin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SocketQuery {
    #[serde(rename = "last-event-id")]
    last_event_id: Option<String>,
}

/// The same as a first message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstMessage {
    last_event_id: String,
}

type Wanted = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

pub(super) async fn one(
    State(api): State<Api>,
    Path(run): Path<String>,
    Extension(caller): Extension<Caller>,
    (headers, uri): (HeaderMap, Uri),
    query: Asked<SocketQuery>,
    wanted: Wanted,
) -> Result<Response, Refused> {
    let run = RunId(run);
    let (query, upgrade) = (asked(query)?, admitted(caller, &headers, &uri, wanted)?);
    let after = query.last_event_id.as_deref().map(number).transpose()?;
    let permit = api.watchers.permit()?;
    // Before the switch, so that an unknown run is an answer of its own.
    api.deployments.entries(run.clone(), 0, 1).await?;
    Ok(upgrade.on_upgrade(move |mut socket| async move {
        let begun = match after {
            Some(after) => Ok(after),
            None => first(&mut socket).await.and_then(|said| said.as_deref().map_or(Ok(0), number)),
        };
        let watcher = match begun {
            Ok(after) => api.watchers.begin(Arc::clone(&api.deployments), run, after, permit).await,
            Err(refused) => Err(refused),
        };
        match watcher {
            Ok(Some(watcher)) => tell(socket, Feed::One(Box::new(watcher)), &api).await,
            Ok(None) => part(socket, code::OVER, "the run has ended, and nothing follows").await,
            Err(refused) => part(socket, code_of(&refused), &refused.report.one_line()).await,
        }
    }))
}

pub(super) async fn all(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    (headers, uri): (HeaderMap, Uri),
    query: Asked<SocketQuery>,
    wanted: Wanted,
) -> Result<Response, Refused> {
    let (query, upgrade) = (asked(query)?, admitted(caller, &headers, &uri, wanted)?);
    let given = query.last_event_id.as_deref().map(place).transpose()?;
    let permit = api.watchers.permit()?;
    Ok(upgrade.on_upgrade(move |mut socket| async move {
        let begun = match given {
            Some(place) => Ok(Some(place)),
            None => first(&mut socket).await.and_then(|said| said.as_deref().map(place).transpose()),
        };
        match begin_all(&api, begun, permit).await {
            Ok(watcher) => tell(socket, Feed::All(Box::new(watcher)), &api).await,
            Err(refused) => part(socket, code_of(&refused), &refused.report.one_line()).await,
        }
    }))
}

async fn begin_all(
    api: &Api,
    begun: Result<Option<Place>, Refused>,
    permit: OwnedSemaphorePermit,
) -> Result<Everything, Refused> {
    everything::begin(&api.watchers, Arc::clone(&api.deployments), begun?, permit).await
}

/// A page of another site can open a socket here, and the browser brings our cookie along: so a browser must say that it is our page, and
/// who shows a cookie is a browser.
fn admitted(caller: Caller, headers: &HeaderMap, uri: &Uri, wanted: Wanted) -> Result<WebSocketUpgrade, Refused> {
    let ours = from_our_page(headers, uri);
    if ours == Some(false) || (ours.is_none() && caller.by == By::Cookie) {
        let report = Report::new("a page of another origin may not watch this engine");
        let hint = "open the socket from the engine's own page; a program sends its token as a bearer and no `Origin`";
        return Err(Refused::new(RefusedKind::Forbidden, "origin", report.hint(hint)));
    }
    let upgrade = wanted.map_err(|rejection| {
        Refused::invalid(rejection.body_text(), "this is a WebSocket; `…/watch` gives the same as server-sent events")
    })?;
    Ok(upgrade.max_message_size(SAID_BYTES_MAX).max_frame_size(SAID_BYTES_MAX).write_buffer_size(0))
}

pub(super) fn number(said: &str) -> Result<u64, Refused> {
    said.parse().map_err(|_| {
        Refused::invalid(format!("`{said}` is no id of an event"), "it is the number of an event of this run")
    })
}

pub(super) fn place(said: &str) -> Result<Place, Refused> {
    Place::parse(said).ok_or_else(|| {
        Refused::invalid(format!("`{said}` is no id of an event"), "it is the `id` of a message, as it came")
    })
}

/// What a first message says, if one comes in time.
async fn first(socket: &mut WebSocket) -> Result<Option<String>, Refused> {
    match tokio::time::timeout(FIRST, socket.recv()).await {
        Ok(Some(Ok(Message::Text(text)))) => {
            let said: Result<FirstMessage, _> = serde_json::from_str(&text);
            let form = r#"the first message is {"last_event_id": "…"}, or none is sent"#;
            said.map(|said| Some(said.last_event_id))
                .map_err(|error| Refused::invalid(format!("the message is not understood: {error}"), form))
        }
        _ => Ok(None),
    }
}

fn code_of(refused: &Refused) -> u16 {
    if refused.kind == RefusedKind::Away { code::AGAIN } else { code::POLICY }
}

/// Whatever is watched.
enum Feed {
    One(Box<Watcher>),
    All(Box<Everything>),
}

impl Feed {
    /// The next entry, with the id by which its watcher goes on from there.
    async fn next(&mut self) -> Option<(String, Entry)> {
        match self {
            Feed::One(watcher) => watcher.next().await.map(|entry| (entry.seq.to_string(), entry)),
            Feed::All(watcher) => {
                let entry = watcher.next().await?;
                Some((watcher.place().to_string(), entry))
            }
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self, Feed::One(watcher) if watcher.has_ended())
    }
}

enum Now {
    Next(Option<Box<(String, Entry)>>),
    Heard(Option<Result<Message, axum::Error>>),
    Beat,
}

/// Sends what comes until there is no more, nobody listens, or somebody listens too slowly.
async fn tell(socket: WebSocket, mut feed: Feed, api: &Api) {
    let (mut out, mut heard) = socket.split();
    let mut beat = tokio::time::interval(HEARTBEAT);
    beat.tick().await;
    let mut silent = 0;
    let (code, why) = loop {
        let now = tokio::select! {
            next = feed.next() => Now::Next(next.map(Box::new)),
            message = heard.next() => Now::Heard(message),
            _ = beat.tick() => Now::Beat,
        };
        let message = match now {
            Now::Next(Some(next)) => {
                let (id, entry) = *next;
                let text = json!({"id": id, "entry": answer::entry(&entry)}).to_string();
                Message::Text(text.into())
            }
            Now::Next(None) if feed.has_ended() => break (code::OVER, "the run has ended"),
            Now::Next(None) if *api.watchers.stop().borrow() => break (code::GOING, "the engine stops"),
            Now::Next(None) => break (code::AGAIN, "the history cannot be read now; come again with the last id"),
            Now::Heard(None | Some(Err(_) | Ok(Message::Close(_)))) => return,
            Now::Heard(Some(Ok(Message::Text(_) | Message::Binary(_)))) => {
                break (code::POLICY, "only the first message may say where to begin, and nothing else is understood");
            }
            Now::Heard(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {
                silent = 0;
                continue;
            }
            Now::Beat if silent >= SILENT_MAX => break (code::POLICY, "pings are not answered"),
            Now::Beat => {
                silent += 1;
                Message::Ping(Vec::new().into())
            }
        };
        match tokio::time::timeout(SLOW, out.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                tracing::info!("a watcher of deployments did not take what was sent for 10 s and was cut");
                break (code::POLICY, "too slow: nothing was taken for 10 s; come again with the last id");
            }
        }
    };
    let frame = CloseFrame { code, reason: why.into() };
    if let Ok(Ok(())) = tokio::time::timeout(PARTING, out.send(Message::Close(Some(frame)))).await {
        // Its answer ends the connection in order; what else it says is of no interest.
        let _ = tokio::time::timeout(PARTING, async { while let Some(Ok(_)) = heard.next().await {} }).await;
    }
}

/// Closes with a reason before anything was sent.
async fn part(mut socket: WebSocket, code: u16, why: &str) {
    // A close frame holds 125 bytes, two of them the code (RFC 6455, §5.5).
    let reason: String = why
        .chars()
        .scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            (*bytes <= 123).then_some(c)
        })
        .collect();
    let frame = CloseFrame { code, reason: reason.into() };
    if let Ok(Ok(())) = tokio::time::timeout(PARTING, socket.send(Message::Close(Some(frame)))).await {
        let _ = tokio::time::timeout(PARTING, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
    }
}
