//! One upstream while it is known: what it holds, how it does, its connections. It does not know the others.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use std::time::Duration;

use base_world::World;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

use crate::health::{Health, Thresholds};
use crate::metrics::Counters;
use crate::model::{Check, Protocol, Upstream};
use crate::pool::Pool;

/// The running side of an [`Upstream`]. A change of weight keeps it; a change of address or check makes another.
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) protocol: Protocol,
    pub(crate) check: Option<Check>,
    pub(crate) pool: Pool,
    pub(crate) counters: Arc<Counters>,
    health: Mutex<Health>,
    in_flight: AtomicU64,
    ended: Notify,
    retired: AtomicBool,
    /// Turns true when what is left is to be cut off.
    cut: watch::Sender<bool>,
    world: World,
}

impl Target {
    pub(crate) fn new(spec: &Upstream, counters: Arc<Counters>, world: World) -> Arc<Self> {
        Arc::new(Target {
            name: spec.name.clone(),
            address: spec.address.clone(),
            protocol: spec.protocol,
            check: spec.check.clone(),
            pool: Pool::default(),
            counters,
            health: Mutex::default(),
            in_flight: AtomicU64::new(0),
            ended: Notify::new(),
            retired: AtomicBool::new(false),
            cut: watch::Sender::new(false),
            world,
        })
    }

    /// Whether this is the running side of `spec`.
    pub(crate) fn serves(&self, spec: &Upstream) -> bool {
        self.name == spec.name
            && self.address == spec.address
            && self.protocol == spec.protocol
            && self.check == spec.check
    }

    fn thresholds(&self) -> Thresholds {
        let check = self.check.clone().unwrap_or_default();
        Thresholds {
            healthy_after: check.healthy_after,
            unhealthy_after: check.unhealthy_after,
            checked: self.check.is_some(),
        }
    }

    pub(crate) fn is_well(&self) -> bool {
        self.health.lock().is_well(self.thresholds(), self.world.clock.monotonic_ns())
    }

    pub(crate) fn reason(&self) -> Option<String> {
        self.health.lock().reason().map(str::to_owned)
    }

    pub(crate) fn checked(&self, answer: Result<(), String>) {
        let thresholds = self.thresholds();
        let mut health = self.health.lock();
        let before = health.is_well(thresholds, self.world.clock.monotonic_ns());
        let reason = answer.as_ref().err().cloned().unwrap_or_default();
        health.checked(thresholds, answer);
        let after = health.is_well(thresholds, self.world.clock.monotonic_ns());
        if before != after {
            let verdict = if after { "well again" } else { "ill" };
            tracing::warn!(upstream = self.name, address = self.address, reason, "the upstream is {verdict}");
        }
    }

    /// Opens a connection, and remembers how that went.
    pub(crate) async fn connect(&self, timeout: Duration) -> Result<TcpStream, String> {
        let failed = match tokio::time::timeout(timeout, TcpStream::connect(&*self.address)).await {
            Ok(Ok(stream)) => {
                self.health.lock().connected(self.thresholds());
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no connection within {} ms", timeout.as_millis()),
        };
        self.counters.connect_errors.fetch_add(1, Relaxed);
        self.health.lock().refused(self.world.clock.monotonic_ns(), failed.clone());
        tracing::debug!(upstream = self.name, address = self.address, error = failed, "no connection");
        Err(failed)
    }

    /// From now on no connection is kept. With `false` it may be used again.
    pub(crate) fn retire(&self, retired: bool) {
        self.retired.store(retired, Release);
        if retired {
            self.pool.close_idle();
        }
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Acquire)
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Acquire)
    }

    /// Returns when nothing is in flight.
    pub(crate) async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // Registered before the look, or an end between the two would be missed.
            ended.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Ends what is left by force.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(true);
    }

    pub(crate) fn was_cut(&self) -> bool {
        *self.cut.borrow()
    }

    /// Tells when it comes to that.
    pub(crate) fn watch_cut(&self) -> watch::Receiver<bool> {
        self.cut.subscribe()
    }
}

/// A request, tunnel or connection that an upstream holds; it ends when dropped.
pub(crate) struct Held {
    pub(crate) target: Arc<Target>,
}

impl Held {
    /// Called under the fleet's lock, so that whoever switches sees either this or the new set.
    pub(crate) fn new(target: Arc<Target>) -> Self {
        target.in_flight.fetch_add(1, AcqRel);
        Held { target }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.target.in_flight.fetch_sub(1, AcqRel) == 1 {
            self.target.ended.notify_waiters();
        }
    }
}
