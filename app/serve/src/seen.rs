//! When each signal of a user first and last came in since the start, for the ticks of the page. The engine's own metrics do
//! not count: they would say "metrics arrive" before anyone sent one.

use std::sync::atomic::{AtomicI64, Ordering};

use observe_wire::otlp::Signal;

/// Unix milliseconds; 0 is never.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    first_ms: [AtomicI64; 3],
    last_ms: [AtomicI64; 3],
}

impl Seen {
    pub(crate) fn mark(&self, signal: Signal, now_ms: i64) {
        let i = signal as usize;
        let _ = self.first_ms[i].compare_exchange(0, now_ms, Ordering::Relaxed, Ordering::Relaxed);
        self.last_ms[i].fetch_max(now_ms, Ordering::Relaxed);
    }

    /// First and last.
    pub(crate) fn of(&self, signal: Signal) -> Option<(i64, i64)> {
        let i = signal as usize;
        let first = self.first_ms[i].load(Ordering::Relaxed);
        (first != 0).then(|| (first, self.last_ms[i].load(Ordering::Relaxed)))
    }
}
