//! Journals as they grow, for many watchers: one reader for each run that is watched, and a history to catch up from. What another process
//! writes is found by looking, what this one writes at once. It knows server-sent events (HTML, §9.2) and no run.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use base_explain::Report;
use futures_util::stream;
use operate_execute::{Entry, Event, RunId};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};

use super::everything::{self, Place};
use super::{Deployments, Refused, RefusedKind, answer};

/// How often a journal is looked at that another process may write.
pub(super) const LOOK: Duration = Duration::from_millis(150);
/// A comment that keeps proxies from closing a quiet connection.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Entries at a time.
pub(super) const PAGE: usize = 500;
/// Entries a slow watcher may lag behind before it reads them from the history instead.
pub(super) const LAG: usize = 256;

/// How many may watch at once, and who reads for them. Clones share both.
#[derive(Clone)]
pub struct Watchers {
    limit: usize,
    permits: Arc<Semaphore>,
    feeds: Arc<Mutex<BTreeMap<RunId, broadcast::Sender<Entry>>>>,
    /// Of all runs together.
    pub(super) whole: Arc<Mutex<Option<broadcast::Sender<Entry>>>>,
    stop: watch::Receiver<bool>,
}

impl Watchers {
    /// `stop` turning true ends them all, so that nobody waits for a watcher when the engine stops.
    pub fn new(limit: usize, stop: watch::Receiver<bool>) -> Self {
        Watchers { limit, permits: Arc::new(Semaphore::new(limit)), feeds: Arc::default(), whole: Arc::default(), stop }
    }

    /// A place among the watchers, of which there are so many.
    pub(super) fn permit(&self) -> Result<OwnedSemaphorePermit, Refused> {
        self.permits.clone().try_acquire_owned().map_err(|_| {
            let report = Report::new(format!("{} watchers are open, and no more are taken", self.limit));
            let hint = "close one, or ask `…/events?after=` now and then";
            Refused::new(RefusedKind::Away, "too-many-watchers", report.hint(hint))
        })
    }

    /// Turns true when the engine stops.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }

    /// A watcher of what follows `after`; `None` when the run has ended and nothing follows.
    pub(super) async fn begin(
        &self,
        deployments: Arc<dyn Deployments>,
        run: RunId,
        after: u64,
        permit: OwnedSemaphorePermit,
    ) -> Result<Option<Watcher>, Refused> {
        // Before the stream begins, so that an unknown run is an answer of its own.
        let ready: VecDeque<Entry> = deployments.entries(run.clone(), after, PAGE).await?.into();
        if ready.is_empty() && ended(&*deployments, &run, after).await? {
            return Ok(None);
        }
        let all = self.clone();
        Ok(Some(Watcher {
            deployments,
            run,
            after,
            ready,
            feed: None,
            stale: false,
            ended: false,
            all,
            _permit: permit,
        }))
    }

    /// A stream of what follows `after`, or the reason why there is none.
    pub(crate) async fn open(
        &self,
        deployments: Arc<dyn Deployments>,
        run: RunId,
        after: u64,
    ) -> Result<Response, Refused> {
        let permit = self.permit()?;
        let Some(watcher) = self.begin(deployments, run, after, permit).await? else {
            // What a browser's EventSource takes as: do not connect again.
            return Ok(axum::http::StatusCode::NO_CONTENT.into_response());
        };
        let sent = stream::unfold(watcher, |mut watcher| async move {
            let entry = watcher.next().await?;
            let data = answer::entry(&entry).to_string();
            Some((Ok::<_, Infallible>(Sent::default().id(entry.seq.to_string()).data(data)), watcher))
        });
        Ok(events(sent))
    }

    /// Journals of all runs as server-sent events; the id of each is where its watcher stands among them.
    pub(crate) async fn open_all(
        &self,
        deployments: Arc<dyn Deployments>,
        place: Option<Place>,
    ) -> Result<Response, Refused> {
        let watcher = everything::begin(self, deployments, place, self.permit()?).await?;
        let sent = stream::unfold(watcher, |mut watcher| async move {
            let entry = watcher.next().await?;
            let data = answer::entry(&entry).to_string();
            Some((Ok::<_, Infallible>(Sent::default().id(watcher.place().to_string()).data(data)), watcher))
        });
        Ok(events(sent))
    }

    /// What is read of a run from now on; somebody reads it already, or begins to.
    fn join(&self, deployments: &Arc<dyn Deployments>, run: &RunId, after: u64) -> broadcast::Receiver<Entry> {
        let mut feeds = self.feeds.lock();
        if let Some(feed) = feeds.get(run) {
            return feed.subscribe();
        }
        let (feed, joined) = broadcast::channel(LAG);
        feeds.insert(run.clone(), feed.clone());
        let reader = Reader { all: self.clone(), deployments: Arc::clone(deployments), run: run.clone(), after, feed };
        tokio::spawn(reader.read());
        joined
    }
}

/// An event that has no id: nobody goes on from it.
pub(super) fn event(data: &serde_json::Value) -> Sent {
    Sent::default().data(data.to_string())
}

pub(super) fn events(sent: impl futures_util::Stream<Item = Result<Sent, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(sent).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    // A proxy that gathers an answer before it passes it on would hold every event back.
    let name = axum::http::HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(name, axum::http::HeaderValue::from_static("no"));
    response
}

/// Whether the entry that was sent last is the run's end.
async fn ended(deployments: &dyn Deployments, run: &RunId, after: u64) -> Result<bool, Refused> {
    let last = deployments.entries(run.clone(), after.saturating_sub(1), 1).await?;
    match last.first() {
        Some(last) => Ok(matches!(last.event, Event::Ended { .. })),
        None => {
            let message = format!("the journal of {run} does not reach {after}");
            Err(Refused::invalid(message, "leave `Last-Event-ID` and `after` out to begin at the beginning"))
        }
    }
}

/// Reads one run's journal for all who watch it.
struct Reader {
    all: Watchers,
    deployments: Arc<dyn Deployments>,
    run: RunId,
    after: u64,
    feed: broadcast::Sender<Entry>,
}

impl Reader {
    async fn read(mut self) {
        let mut live = self.deployments.live();
        let mut stop = self.all.stop.clone();
        let mut is_live = true;
        loop {
            // A history that is away for a moment is asked again; watchers keep their connections.
            let page = self.deployments.entries(self.run.clone(), self.after, PAGE).await.unwrap_or_default();
            let mut is_over = false;
            for entry in page {
                self.after = entry.seq;
                // An end after which there is more was not the last: the undo was tried again.
                is_over = matches!(entry.event, Event::Ended { .. });
                // Nobody listening is no trouble.
                let _ = self.feed.send(entry);
            }
            if self.leave(is_over) {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                still = written(&mut live, &self.run), if is_live => is_live = still,
                _ = stop.wait_for(|stop| *stop) => {
                    self.leave(true);
                    return;
                }
            }
        }
    }

    /// Ends the feed if nobody listens, or in any case. Decided under the lock under which others join.
    fn leave(&self, in_any_case: bool) -> bool {
        let mut feeds = self.all.feeds.lock();
        let leaves = in_any_case || self.feed.receiver_count() == 0;
        if leaves {
            feeds.remove(&self.run);
        }
        leaves
    }
}

/// Returns when this process has written a line of the run; `false` when it never will again.
async fn written(live: &mut broadcast::Receiver<Entry>, run: &RunId) -> bool {
    loop {
        match live.recv().await {
            Ok(entry) if entry.run == *run => return true,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => return true,
            Err(broadcast::error::RecvError::Closed) => return false,
        }
    }
}

/// One open stream.
pub(super) struct Watcher {
    deployments: Arc<dyn Deployments>,
    run: RunId,
    /// The last entry that was sent.
    after: u64,
    ready: VecDeque<Entry>,
    feed: Option<broadcast::Receiver<Entry>>,
    /// The history may hold what the feed has not told.
    stale: bool,
    ended: bool,
    all: Watchers,
    _permit: OwnedSemaphorePermit,
}

impl Watcher {
    /// Whether the run's last entry was given.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next entry; `None` after the run's last one, or when the engine stops. It may be dropped at any moment and called again.
    pub(super) async fn next(&mut self) -> Option<Entry> {
        let mut stop = self.all.stop.clone();
        loop {
            if self.ended || *stop.borrow() {
                return None;
            }
            if let Some(entry) = self.ready.pop_front() {
                self.after = entry.seq;
                self.ended = self.ready.is_empty() && matches!(entry.event, Event::Ended { .. });
                return Some(entry);
            }
            if self.stale {
                // Without a history the stream ends, and whoever watches comes again with the last id.
                self.ready = self.deployments.entries(self.run.clone(), self.after, PAGE).await.ok()?.into();
                self.stale = self.ready.len() == PAGE;
                continue;
            }
            let Some(feed) = &mut self.feed else {
                // Joined first and then read: what is written in between comes twice and is sent once.
                self.feed = Some(self.all.join(&self.deployments, &self.run, self.after));
                self.stale = true;
                continue;
            };
            let heard = tokio::select! {
                heard = feed.recv() => heard,
                _ = stop.wait_for(|stop| *stop) => return None,
            };
            match heard {
                Ok(entry) if entry.seq <= self.after => {}
                Ok(entry) if entry.seq == self.after + 1 => self.ready.push_back(entry),
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.stale = true,
                Err(broadcast::error::RecvError::Closed) => self.feed = None,
            }
        }
    }
}
