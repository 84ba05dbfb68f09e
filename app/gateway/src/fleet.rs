//! The set in force and those that leave it: who gets the next request, and how the set is exchanged in one step.
//! Writes nothing to disk; does not know what a request is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base_world::World;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

use crate::balance::{self, Turn};
use crate::metrics::{Metrics, Now};
use crate::model::{Check, Upstream, UpstreamStatus};
use crate::upstream::{Held, Target};

pub(crate) struct Fleet {
    world: World,
    metrics: Arc<Metrics>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    generation: u64,
    members: Vec<Member>,
    leaving: Vec<Arc<Target>>,
}

struct Member {
    spec: Upstream,
    target: Arc<Target>,
    turn: Turn,
    /// Ends the checks with the membership.
    _checks: Option<AbortOnDrop>,
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Fleet {
    pub(crate) fn new(world: World, metrics: Arc<Metrics>) -> Self {
        Fleet { world, metrics, inner: Mutex::default() }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.inner.lock().generation
    }

    /// The set as it was asked for, with its generation.
    pub(crate) fn set(&self) -> (u64, Vec<Upstream>) {
        let inner = self.inner.lock();
        (inner.generation, inner.members.iter().map(|member| member.spec.clone()).collect())
    }

    /// Whose turn it is. The choice and the count of what is in flight are one step: whoever switches and then sees
    /// nothing in flight can stop the old upstream. When all are ill, they are tried all the same.
    pub(crate) fn pick(&self, tried: &[Arc<Target>]) -> Option<Held> {
        let mut inner = self.inner.lock();
        if let [only] = inner.members.as_slice() {
            let may = only.spec.weight > 0 && !only.spec.draining && !is_among(tried, &only.target);
            return may.then(|| Held::new(only.target.clone()));
        }
        for ill_too in [false, true] {
            let weights = inner.members.iter_mut().map(|member| {
                let out = member.spec.weight == 0
                    || member.spec.draining
                    || is_among(tried, &member.target)
                    || !(ill_too || member.target.is_well());
                (if out { 0 } else { member.spec.weight }, &mut member.turn)
            });
            if let Some(target) = balance::next(weights).and_then(|index| inner.members.get(index)) {
                return Some(Held::new(target.target.clone()));
            }
        }
        None
    }

    /// Puts another set in force. Whoever stays keeps its connections and health.
    pub(crate) fn exchange(&self, generation: u64, upstreams: Vec<Upstream>) {
        let mut inner = self.inner.lock();
        let mut before = std::mem::take(&mut inner.members);
        for spec in upstreams {
            let stays = before.iter().position(|member| member.target.serves(&spec));
            let member = match stays.map(|index| before.swap_remove(index)) {
                Some(member) => Member { spec, ..member },
                None => self.join(&mut inner.leaving, spec),
            };
            member.target.retire(member.spec.draining);
            inner.members.push(member);
        }
        for member in before {
            member.target.retire(true);
            inner.leaving.push(member.target);
        }
        inner.leaving.retain(|target| target.in_flight() > 0);
        inner.generation = generation;
    }

    fn join(&self, leaving: &mut Vec<Arc<Target>>, spec: Upstream) -> Member {
        // One that was leaving and is wanted again is the same one: its in-flight requests still count as its.
        let known = leaving.iter().position(|target| target.serves(&spec) && !target.was_cut());
        let target = match known {
            Some(index) => leaving.swap_remove(index),
            None => Target::new(&spec, self.metrics.of(&spec.name), self.world.clone()),
        };
        let checks = spec.check.clone().map(|check| {
            let checked = target.clone();
            AbortOnDrop(tokio::spawn(async move { keep_checking(&checked, &check).await }).abort_handle())
        });
        Member { spec, target, turn: Turn::default(), _checks: checks }
    }

    /// All of this name: in the set, or leaving it.
    pub(crate) fn named(&self, name: &str) -> Vec<Arc<Target>> {
        let mut inner = self.inner.lock();
        inner.leaving.retain(|target| target.in_flight() > 0);
        let members = inner.members.iter().map(|member| &member.target);
        members.chain(&inner.leaving).filter(|target| target.name == name).cloned().collect()
    }

    pub(crate) fn status(&self) -> (u64, Vec<UpstreamStatus>) {
        let mut inner = self.inner.lock();
        inner.leaving.retain(|target| target.in_flight() > 0);
        let tell = |spec: Upstream, target: &Target, leaving| UpstreamStatus {
            upstream: spec,
            healthy: target.is_well(),
            reason: target.reason(),
            in_flight: target.in_flight(),
            leaving,
        };
        let members = inner.members.iter().map(|member| tell(member.spec.clone(), &member.target, false));
        let leaving = inner.leaving.iter().map(|target| {
            let spec = Upstream {
                name: target.name.clone(),
                address: target.address.clone(),
                weight: 0,
                protocol: target.protocol,
                check: target.check.clone(),
                draining: true,
            };
            tell(spec, target, true)
        });
        (inner.generation, members.chain(leaving).collect())
    }

    pub(crate) fn metrics_text(&self) -> String {
        let (generation, upstreams) = self.status();
        let mut by_name: BTreeMap<String, Now> = BTreeMap::new();
        for one in upstreams {
            let idle = self.named(&one.upstream.name).iter().map(|target| target.pool.idle_count() as u64).sum();
            let now = by_name.entry(one.upstream.name.clone()).or_insert_with(|| Now {
                name: one.upstream.name.clone(),
                healthy: one.healthy,
                in_flight: 0,
                weight: if one.upstream.draining { 0 } else { one.upstream.weight },
                idle_connections: idle,
            });
            now.in_flight += one.in_flight;
        }
        self.metrics.text(generation, &by_name.into_values().collect::<Vec<_>>())
    }

    /// Closes connections that nobody used for a while.
    pub(crate) fn expire(&self) {
        let now_ns = self.world.clock.monotonic_ns();
        let mut inner = self.inner.lock();
        inner.leaving.retain(|target| target.in_flight() > 0);
        for member in &inner.members {
            member.target.pool.expire(now_ns);
        }
    }
}

fn is_among(tried: &[Arc<Target>], target: &Arc<Target>) -> bool {
    tried.iter().any(|one| Arc::ptr_eq(one, target))
}

async fn keep_checking(target: &Target, check: &Check) {
    let mut ticks = tokio::time::interval(Duration::from_millis(check.interval_ms));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let timeout = Duration::from_millis(check.timeout_ms);
        let answer = match tokio::time::timeout(timeout, ask(target, check)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("the check had no answer within {} ms", check.timeout_ms)),
        };
        target.checked(answer);
    }
}

/// One check, over a connection of its own.
async fn ask(target: &Target, check: &Check) -> Result<(), String> {
    let stream = tokio::net::TcpStream::connect(&*target.address).await.map_err(|error| error.to_string())?;
    let Some(path) = &check.http else { return Ok(()) };
    let request = http::Request::get(path)
        .header("host", &target.address)
        .header("user-agent", "apm-front")
        .header("connection", "close")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| error.to_string())?;
    let status = if target.protocol == crate::model::Protocol::H2 {
        let mut request = request;
        request.headers_mut().remove("connection");
        let uri = format!("http://{}{path}", target.address);
        *request.uri_mut() = uri.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| error.to_string())?.status()
    } else {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| error.to_string())?.status()
    };
    if status.is_success() || status.is_redirection() {
        return Ok(());
    }
    Err(format!("GET {path} answered {status}"))
}
