//! The clock door. Knows no time zones and no calendars.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Time as the rest of the program sees it.
pub trait Clock: Send + Sync {
    /// Nanoseconds since 1970-01-01 UTC; may jump when the system's clock is set.
    fn now_ns(&self) -> i64;

    /// Nanoseconds since some fixed moment; never goes back. For durations and deadlines.
    fn monotonic_ns(&self) -> u64;

    /// Milliseconds since 1970-01-01 UTC, rounded down.
    fn now_ms(&self) -> i64 {
        self.now_ns().div_euclid(1_000_000)
    }
}

/// The system's clock.
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn now_ns(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        }
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
