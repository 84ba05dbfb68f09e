//! The journals of all runs as one stream, for lists that live: one reader for all who watch, and a place from which a watcher goes on
//! after a loss. Runs that had ended before a watcher came are not in it. It knows no way by which entries are sent.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use operate_execute::{Entry, Event, Filter, RunId, Status};
use tokio::sync::{OwnedSemaphorePermit, broadcast};

use super::watch::{LAG, LOOK, PAGE};
use super::{Deployments, Refused, Watchers};

/// Runs that are looked through for new ones and for those that have not ended; more do not go on at once.
const RUNS: usize = 200;

/// Where a watcher of all runs stands: the newest run it knows, and of each run that has not ended its last entry. As a word
/// `web-2-77aa01:3,cart-1-5f2c1a:12`, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    newest: Option<RunId>,
    last: BTreeMap<RunId, u64>,
    /// The newest has ended, and is kept only until there is a newer one.
    over: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(newest) = &self.newest else { return Ok(()) };
        write!(out, "{newest}:{}", self.last.get(newest).copied().unwrap_or(0))?;
        self.last.iter().filter(|(run, _)| *run != newest).try_for_each(|(run, seq)| write!(out, ",{run}:{seq}"))
    }
}

impl Place {
    /// `None` for what is no place.
    pub(crate) fn parse(text: &str) -> Option<Place> {
        let mut place = Place::default();
        for part in text.split(',') {
            let (run, seq) = part.rsplit_once(':').filter(|(run, _)| !run.is_empty())?;
            let run = RunId(run.to_owned());
            place.newest.get_or_insert_with(|| run.clone());
            place.last.insert(run, seq.parse().ok()?);
        }
        (place.last.len() <= RUNS).then_some(place)
    }

    /// Whether the entry is the next of its run; it is then known.
    fn takes(&mut self, entry: &Entry) -> Next {
        let known = self.last.get(&entry.run).copied();
        match known {
            Some(last) if entry.seq <= last => return Next::Known,
            Some(last) if entry.seq > last + 1 => return Next::Gap,
            _ => {}
        }
        if known.is_none() && entry.seq == 1 {
            let before = self.newest.replace(entry.run.clone());
            if let Some(before) = before.filter(|_| std::mem::take(&mut self.over)) {
                self.last.remove(&before);
            }
        }
        // One that failed may be undone again.
        let ends = matches!(entry.event, Event::Ended { status: Status::Complete | Status::RolledBack, .. });
        if ends && self.newest.as_ref() != Some(&entry.run) {
            self.last.remove(&entry.run);
        } else {
            self.last.insert(entry.run.clone(), entry.seq);
            self.over |= ends;
        }
        Next::Yes
    }
}

enum Next {
    Yes,
    Known,
    Gap,
}

/// The newest run, and those that have not ended; the newest first.
async fn listed(deployments: &dyn Deployments) -> Result<Vec<(RunId, Status)>, Refused> {
    let rows = deployments.runs(Filter { limit: RUNS, ..Filter::default() }).await?;
    Ok(rows.into_iter().map(|row| (row.run, row.status)).collect())
}

/// The number of a journal's last entry.
async fn last_of(deployments: &dyn Deployments, run: &RunId) -> Result<u64, Refused> {
    let mut last = 0;
    loop {
        let page = deployments.entries(run.clone(), last, PAGE).await?;
        match page.last() {
            Some(entry) => last = entry.seq,
            None => return Ok(last),
        }
    }
}

/// Where somebody stands who begins now.
async fn now(deployments: &dyn Deployments) -> Result<Place, Refused> {
    let runs = listed(deployments).await?;
    let newest = runs.first();
    let over = newest.is_some_and(|(_, status)| status.is_end());
    let mut place = Place { newest: newest.map(|(run, _)| run.clone()), last: BTreeMap::new(), over };
    for (number, (run, status)) in runs.iter().enumerate() {
        if number == 0 || !status.is_end() {
            place.last.insert(run.clone(), last_of(deployments, run).await?);
        }
    }
    Ok(place)
}

/// What has happened since a place: of the runs it knows, and of those that were made after it.
async fn since(deployments: &dyn Deployments, place: &Place) -> Result<Vec<Entry>, Refused> {
    let runs = listed(deployments).await?;
    let newer = runs.iter().map(|(run, _)| run).take_while(|run| place.newest.as_ref() != Some(run));
    let mut wanted: Vec<(RunId, u64)> = place.last.iter().map(|(run, seq)| (run.clone(), *seq)).collect();
    // The oldest first, so that the newest is the one that is known at last.
    let newer: Vec<_> = newer.filter(|run| !place.last.contains_key(*run)).map(|run| (run.clone(), 0)).collect();
    wanted.extend(newer.into_iter().rev());
    let mut entries = Vec::new();
    for (run, after) in wanted {
        entries.extend(deployments.entries(run, after, PAGE).await?);
    }
    Ok(entries)
}

/// A watcher that begins at a place, or now.
pub(super) async fn begin(
    all: &Watchers,
    deployments: Arc<dyn Deployments>,
    place: Option<Place>,
    permit: OwnedSemaphorePermit,
) -> Result<Everything, Refused> {
    let goes_on = place.is_some();
    let place = match place {
        Some(place) => place,
        None => now(&*deployments).await?,
    };
    let (feed, all) = (None, all.clone());
    let stale = goes_on;
    Ok(Everything { deployments, place, ready: VecDeque::new(), feed, stale, all, _permit: permit })
}

/// One open stream of all runs.
pub(super) struct Everything {
    deployments: Arc<dyn Deployments>,
    place: Place,
    ready: VecDeque<Entry>,
    feed: Option<broadcast::Receiver<Entry>>,
    /// The history may hold what the feed has not told.
    stale: bool,
    all: Watchers,
    _permit: OwnedSemaphorePermit,
}

impl Everything {
    /// Behind the entry that was given last.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The next entry of any run; `None` when the engine stops or the history is away. It may be dropped at any moment and called again.
    pub(super) async fn next(&mut self) -> Option<Entry> {
        let mut stop = self.all.stop();
        loop {
            if *stop.borrow() {
                return None;
            }
            if let Some(entry) = self.ready.pop_front() {
                match self.place.takes(&entry) {
                    Next::Yes => return Some(entry),
                    Next::Known => {}
                    Next::Gap => self.stale = true,
                }
                continue;
            }
            if self.stale {
                self.ready = since(&*self.deployments, &self.place).await.ok()?.into();
                self.stale = self.ready.len() >= PAGE;
                continue;
            }
            let Some(feed) = &mut self.feed else {
                // Joined first and then read: what is written in between comes twice and is sent once.
                self.feed = Some(join(&self.all, &self.deployments, &self.place));
                self.stale = true;
                continue;
            };
            let heard = tokio::select! {
                heard = feed.recv() => heard,
                _ = stop.wait_for(|stop| *stop) => return None,
            };
            match heard {
                Ok(entry) => self.ready.push_back(entry),
                Err(broadcast::error::RecvError::Lagged(_)) => self.stale = true,
                Err(broadcast::error::RecvError::Closed) => self.feed = None,
            }
        }
    }
}

/// What is read of all runs from now on; somebody reads already, or begins to.
fn join(all: &Watchers, deployments: &Arc<dyn Deployments>, place: &Place) -> broadcast::Receiver<Entry> {
    let mut whole = all.whole.lock();
    if let Some(feed) = &*whole {
        return feed.subscribe();
    }
    let (feed, joined) = broadcast::channel(LAG);
    *whole = Some(feed.clone());
    tokio::spawn(read(all.clone(), Arc::clone(deployments), place.clone(), feed));
    joined
}

/// Reads all journals for all who watch, until nobody does.
async fn read(all: Watchers, deployments: Arc<dyn Deployments>, mut place: Place, feed: broadcast::Sender<Entry>) {
    let mut live = deployments.live();
    let mut stop = all.stop();
    let mut is_live = true;
    loop {
        // A history that is away for a moment is asked again; watchers keep their connections.
        for entry in since(&*deployments, &place).await.unwrap_or_default() {
            if matches!(place.takes(&entry), Next::Yes) {
                // Nobody listening is no trouble.
                let _ = feed.send(entry);
            }
        }
        {
            let mut whole = all.whole.lock();
            if feed.receiver_count() == 0 || *stop.borrow() {
                *whole = None;
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            // What this process writes is told at once; it is read from the history all the same, so that the order is the journal's.
            heard = live.recv(), if is_live => is_live = !matches!(heard, Err(broadcast::error::RecvError::Closed)),
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}
