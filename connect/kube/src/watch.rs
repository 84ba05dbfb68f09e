//! All objects of a kind, and every change of them, through whatever happens to the connection: list page by page, then watch; on a broken connection
//! watch on from the last version seen; on a version the server has forgotten list again and tell what is different.
//!
//! What is promised: every object is seen in its latest state, every object that is gone is told gone, and one that was exchanged for another of its
//! name is told gone and come. What is not: states between two that followed quickly may be left out, as everywhere in Kubernetes.
//!
//! It holds of each object only what the caller makes of it. Source: <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::call::{Call, garbled};
use crate::list::{RawPage, object, page_call, too_many};
use crate::object::{Identity, complete, identity, text};
use crate::{Cluster, KubeError, ListOptions, ObjectKey, Resource, Result};
use base_http::body::Lines;

/// Between attempts, the first and the longest; each is drawn between half of it and the whole.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Failures in a row to go on from a version before everything is listed anew: the server may no longer be the one that gave it.
const RESUMES_MAX: u32 = 5;
/// Listings that end in "too old" before one without pages is tried.
const UNFINISHED_MAX: u32 = 2;
/// Refusals in a row that a watch which worked before does not believe, about three seconds long: a server that starts knows neither roles nor custom
/// kinds at first.
const DOUBTS_MAX: u32 = 5;
/// Beyond the end of a watch that the server was asked for, how long it may stay open without a word.
const LATE_MAX: Duration = Duration::from_secs(15);
/// An object has at most 1.5 MiB in etcd, in protobuf.
const EVENT_BYTES_MAX: usize = 16 << 20;
const OBJECTS_MAX: usize = 200_000;
/// Smaller than for a list that is read whole: less memory at a time.
const PAGE_OBJECTS: u32 = 250;

/// Which objects, and how they are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchOptions {
    pub labels: Option<String>,
    pub fields: Option<String>,
    /// More are an error.
    pub objects_max: usize,
    /// Objects on a page of the listing.
    pub page: u32,
    /// After so long a watch is opened anew: rights and logins are judged again, and a connection that died unnoticed is left.
    pub turn: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        let turn = Duration::from_secs(290);
        Self { labels: None, fields: None, objects_max: OBJECTS_MAX, page: PAGE_OBJECTS, turn }
    }
}

/// What is different.
#[derive(Debug)]
pub enum Change<T> {
    Added(ObjectKey),
    /// With what was held of it before.
    Modified(ObjectKey, T),
    /// With what was held of it last.
    Deleted(ObjectKey, T),
    /// Everything that was there has been told; again after each listing.
    Listed,
    /// Something is wrong that may pass; it is tried again after the pause. Told for every attempt, so that a caller can give up.
    Interrupted {
        error: KubeError,
        attempt: u32,
        pause: Duration,
    },
}

/// What is held of an object.
struct Held<T> {
    uid: Box<str>,
    version: Box<str>,
    /// The listing that saw it last.
    listing: u32,
    made: T,
}

/// A call on its way is kept: a caller who never waits long still sees it arrive.
enum State {
    /// The page that comes next.
    List {
        from: Option<String>,
        call: Option<BoxFuture<'static, Result<Bytes>>>,
    },
    Open {
        call: Option<BoxFuture<'static, Result<Lines>>>,
    },
    Watch(Lines),
}

impl State {
    fn list(from: Option<String>) -> Self {
        Self::List { from, call: None }
    }

    fn open() -> Self {
        Self::Open { call: None }
    }
}

/// A watch; ends when it is dropped.
pub struct Watch<T> {
    cluster: Cluster,
    resource: Resource,
    namespace: Option<String>,
    options: WatchOptions,
    make: Box<dyn Fn(Value) -> T + Send>,
    held: HashMap<ObjectKey, Held<T>>,
    state: State,
    ready: VecDeque<Change<T>>,
    /// The last version told by the server.
    version: String,
    listing: u32,
    /// Failures in a row.
    attempts: u32,
    /// Listings in a row that the server had forgotten before their end.
    unfinished: u32,
    not_before: Option<Instant>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

impl Cluster {
    /// Watches a kind; `namespace: None` is the whole cluster. Of each object only what `make` makes of it is held: `|object| object` keeps all of it.
    pub fn watch<T>(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        options: WatchOptions,
        make: impl Fn(Value) -> T + Send + 'static,
    ) -> Watch<T> {
        Watch {
            cluster: self.clone(),
            resource: resource.clone(),
            namespace: namespace.map(str::to_owned),
            options,
            make: Box::new(make),
            held: HashMap::new(),
            state: State::list(None),
            ready: VecDeque::new(),
            version: String::new(),
            listing: 1,
            attempts: 0,
            unfinished: 0,
            not_before: None,
        }
    }
}

impl<T> Watch<T> {
    /// What is held of an object. It may be newer than the change told last: a page of a listing is taken whole and told object by object.
    pub fn get(&self, key: &ObjectKey) -> Option<&T> {
        self.held.get(key).map(|held| &held.made)
    }

    /// All that is held, in no order.
    pub fn all(&self) -> impl Iterator<Item = (&ObjectKey, &T)> {
        self.held.iter().map(|(key, held)| (key, &held.made))
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The next change. An error is what will not pass by itself (no right, no login, no such kind); called again it goes on nevertheless, later each
    /// time. Nothing is lost when it is dropped while waiting.
    pub async fn next(&mut self) -> Result<Change<T>> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            if let Some(not_before) = self.not_before {
                tokio::time::sleep_until(not_before).await;
                self.not_before = None;
            }
            if let Err(error) = self.step().await {
                self.failed(error)?;
            }
        }
    }

    /// One page, one connection, or one event.
    async fn step(&mut self) -> Result<()> {
        match &mut self.state {
            State::List { call: Some(call), .. } => {
                let page = call.await;
                // What is over may not be asked again.
                if let State::List { call, .. } = &mut self.state {
                    *call = None;
                }
                self.page(&page?)
            }
            State::Open { call: Some(call) } => {
                let lines = call.await;
                self.state = State::open();
                self.state = State::Watch(lines?);
                Ok(())
            }
            State::List { from, .. } => {
                let from = from.clone();
                let (call, cluster) = (self.page_call(from.clone()), self.cluster.clone());
                let call = async move { Ok(cluster.bytes(call).await?.value) };
                self.state = State::List { from, call: Some(Box::pin(call)) };
                Ok(())
            }
            State::Open { .. } => {
                let (call, cluster) = (self.watch_call(), self.cluster.clone());
                let call = async move { Ok(Lines::new(cluster.open(call).await?.body, EVENT_BYTES_MAX)) };
                self.state = State::Open { call: Some(Box::pin(call)) };
                Ok(())
            }
            State::Watch(lines) => match lines.message().await? {
                Some(message) => self.event(&message),
                None => {
                    self.state = State::open();
                    // It ends by itself after each turn; one that ends at once and again must not spin.
                    if self.attempts > 0 {
                        self.pause(None);
                    }
                    self.attempts += 1;
                    Ok(())
                }
            },
        }
    }

    fn page_call(&self, from: Option<String>) -> Call {
        let (labels, fields) = (self.options.labels.clone(), self.options.fields.clone());
        // Too many for the time the server keeps a page's moment: all at once, as the answer's limit allows.
        let page = if self.unfinished >= UNFINISHED_MAX { 0 } else { self.options.page };
        let options = ListOptions { labels, fields, page: Some(page), from };
        page_call(&self.resource, self.namespace.as_deref(), &options)
    }

    fn watch_call(&self) -> Call {
        let namespace = self.namespace.as_deref();
        let (labels, fields) = (self.options.labels.clone(), self.options.fields.clone());
        let options = ListOptions { labels, fields, ..ListOptions::default() };
        let target = self.resource.target(namespace, "");
        let call = options.on(Call::get(self.resource.collection(namespace), "watch", target));
        let call = call.query("watch", "true").query("allowWatchBookmarks", "true");
        let call = call.query("resourceVersion", self.version.clone());
        let call = call.query("timeoutSeconds", self.options.turn.as_secs().max(1).to_string());
        call.silent_for(Some(self.options.turn + LATE_MAX))
    }

    /// Takes a page of the listing; after the last one, whatever no page had is gone.
    fn page(&mut self, bytes: &[u8]) -> Result<()> {
        let doing = || format!("list {}", self.resource.target(self.namespace.as_deref(), ""));
        let page: RawPage<'_> = serde_json::from_slice(bytes).map_err(|error| garbled(doing(), &error))?;
        for item in page.items.unwrap_or_default() {
            let object = object(item, &self.resource, || format!("list {}", self.resource.full_name()))?;
            self.seen(object)?;
        }
        self.attempts = 0;
        if let Some(next) = page.metadata.next() {
            self.state = State::list(Some(next));
            return Ok(());
        }
        self.version = page.metadata.resource_version;
        let old = |held: &Held<T>| held.listing != self.listing;
        let gone: Vec<_> = self.held.iter().filter(|(_, held)| old(held)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.gone(key);
        }
        self.unfinished = 0;
        self.ready.push_back(Change::Listed);
        self.state = State::open();
        Ok(())
    }

    fn event(&mut self, message: &[u8]) -> Result<()> {
        let doing = || format!("watch {}", self.resource.target(self.namespace.as_deref(), ""));
        let event: Event<'_> = serde_json::from_slice(message).map_err(|error| garbled(doing(), &error))?;
        if event.kind == "ERROR" {
            return Err(self
                .cluster
                .said_in_stream(self.resource.target(self.namespace.as_deref(), ""), event.object.get().as_bytes()));
        }
        let mut object: Value = serde_json::from_str(event.object.get()).map_err(|error| garbled(doing(), &error))?;
        complete(&mut object, &self.resource);
        let version = text(&object, "/metadata/resourceVersion").to_owned();
        match event.kind {
            "ADDED" | "MODIFIED" => self.seen(object)?,
            "DELETED" => self.gone(identity(&object).key),
            // A bookmark says only how far we are.
            _ => {}
        }
        if !version.is_empty() {
            self.version = version;
        }
        self.attempts = 0;
        Ok(())
    }

    fn seen(&mut self, object: Value) -> Result<()> {
        let Identity { key, uid, version } = identity(&object);
        let (listing, full) = (self.listing, self.held.len() >= self.options.objects_max);
        match self.held.get_mut(&key) {
            Some(held) if *held.uid == *uid => {
                held.listing = listing;
                if *held.version != *version {
                    held.version = version.into();
                    let before = std::mem::replace(&mut held.made, (self.make)(object));
                    self.ready.push_back(Change::Modified(key, before));
                }
                return Ok(());
            }
            Some(_) => self.gone(key.clone()),
            None if full => {
                return Err(too_many(&self.resource, self.namespace.as_deref(), self.options.objects_max));
            }
            None => {}
        }
        let held = Held { uid: uid.into(), version: version.into(), listing, made: (self.make)(object) };
        self.held.insert(key.clone(), held);
        self.ready.push_back(Change::Added(key));
        Ok(())
    }

    fn gone(&mut self, key: ObjectKey) {
        if let Some(held) = self.held.remove(&key) {
            self.ready.push_back(Change::Deleted(key, held.made));
        }
    }

    /// Where to go on after a failure, and when; `Err` is for the caller.
    fn failed(&mut self, error: KubeError) -> Result<()> {
        self.attempts += 1;
        let expired = matches!(error, KubeError::Expired { .. });
        let listing = matches!(self.state, State::List { .. });
        // A listing goes on with its page as long as the server has it; a watch from its version.
        if listing && matches!(error, KubeError::TooLarge { .. }) && self.options.page > 1 {
            // Few, but large ones.
            self.options.page = (self.options.page / 4).max(1);
            self.unfinished = 0;
            self.state = State::list(None);
            return Ok(());
        }
        self.unfinished += u32::from(expired && listing);
        if expired || (!listing && self.attempts > RESUMES_MAX) {
            self.listing = self.listing.wrapping_add(1);
            self.state = State::list(None);
        } else if !listing {
            self.state = State::open();
        }
        if expired && self.attempts == 1 {
            return Ok(());
        }
        let pause = self.pause(error.retry_after());
        let doubted = !self.version.is_empty() && self.attempts <= DOUBTS_MAX && error.said().is_some();
        if error.is_transient() || expired || doubted {
            self.ready.push_back(Change::Interrupted { error, attempt: self.attempts, pause });
            return Ok(());
        }
        Err(error)
    }

    fn pause(&mut self, at_least: Option<Duration>) -> Duration {
        let whole = PAUSE_MIN.saturating_mul(1 << self.attempts.saturating_sub(1).min(10)).min(PAUSE_MAX);
        let drawn = self.cluster.inner.world.random.next_u64() % 1000;
        let half = whole / 2;
        let pause = half + half.mul_f64(f64::from(u32::try_from(drawn).unwrap_or(0)) / 1000.0);
        let pause = at_least.map_or(pause, |least| pause.max(least.min(PAUSE_MAX * 6)));
        self.not_before = Some(Instant::now() + pause);
        pause
    }
}
