//! The moment at which a process is killed, and a clock that goes on over it. Every call to the world and to the history passes some
//! moments; at the chosen one nothing comes back any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use base_world::Clock;
use operate_execute::{Executor, RunError, RunId, Status};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Counts moments and stops at one of them.
#[derive(Default)]
pub struct Crash {
    passed: AtomicU64,
    at: AtomicU64,
    struck: Notify,
}

impl Crash {
    /// Strikes at the `at`-th moment from now, counted from 1; 0 never strikes.
    pub fn arm(&self, at: u64) {
        self.passed.store(0, Ordering::Relaxed);
        self.at.store(at, Ordering::Relaxed);
    }

    /// Moments that were passed since it was armed.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// A moment at which the process may be killed: then it never returns.
    pub async fn moment(&self) {
        let number = self.passed.fetch_add(1, Ordering::Relaxed) + 1;
        if number == self.at.load(Ordering::Relaxed) {
            self.struck.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Returns when it has struck.
    pub async fn struck(&self) {
        self.struck.notified().await;
    }
}

/// tokio's clock, which a test can let pass at once, as the world's clock. One for all the runtimes of a test: call
/// [`SimClock::carry_over`] when one ends.
pub struct SimClock {
    begun: parking_lot::Mutex<Instant>,
    before_ns: AtomicU64,
    /// By how much the system's clock was set.
    set_ms: AtomicI64,
}

/// 2023-11-14 22:13:20 UTC.
const EPOCH_NS: i64 = 1_700_000_000_000_000_000;

impl SimClock {
    /// Must be made within a runtime.
    pub fn new() -> Arc<SimClock> {
        Arc::new(SimClock {
            begun: parking_lot::Mutex::new(Instant::now()),
            before_ns: AtomicU64::new(0),
            set_ms: AtomicI64::new(0),
        })
    }

    /// What passed until now is kept, at the end of a runtime.
    pub fn carry_over(&self) {
        self.before_ns.store(self.monotonic_ns(), Ordering::Relaxed);
    }

    /// Somebody sets the system's clock, forwards or back; what measures durations does not notice.
    pub fn set(&self, by_ms: i64) {
        self.set_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// By how much it was set in all.
    pub fn set_by_ms(&self) -> i64 {
        self.set_ms.load(Ordering::Relaxed)
    }

    /// A new runtime begins.
    pub fn begin(&self) {
        *self.begun.lock() = Instant::now();
    }

    /// Carries a run to its end, and waits for the leases of lives that were killed.
    pub async fn patient(&self, executor: &Executor, run: &RunId) -> Result<Status, RunError> {
        loop {
            match executor.run(run).await {
                Err(RunError::Busy { until_ms, .. }) => {
                    let wait_ms = u64::try_from(until_ms - self.now_ms()).unwrap_or(0).max(1);
                    tokio::time::sleep(std::time::Duration::from_millis(wait_ms)).await;
                }
                ended => return ended,
            }
        }
    }
}

impl Clock for SimClock {
    fn now_ns(&self) -> i64 {
        let set_ns = self.set_ms.load(Ordering::Relaxed).saturating_mul(1_000_000);
        EPOCH_NS.saturating_add_unsigned(self.monotonic_ns()).saturating_add(set_ns)
    }

    fn monotonic_ns(&self) -> u64 {
        let passed = self.begun.lock().elapsed().as_nanos();
        self.before_ns.load(Ordering::Relaxed).saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}
