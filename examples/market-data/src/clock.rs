//! The wall clock of the simulated market.

use std::time::UNIX_EPOCH;

/// Microseconds since 1970, UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "the demo stands for any service of a user: it reads the wall clock itself"
)]
pub(crate) fn now_us() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
}

/// Seconds from `then_us` to now; 0 when `then_us` lies in the future.
pub(crate) fn age_seconds(then_us: i64) -> f64 {
    (now_us().saturating_sub(then_us).max(0)) as f64 / 1e6
}
