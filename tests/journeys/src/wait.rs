//! Waiting for another process: polls with a deadline, and says what was still wrong when it passed.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How often a poll looks.
const STEP: Duration = Duration::from_millis(25);

/// Looks until `look` says `Ok`; panics with its last `Err` after `seconds`.
pub fn until<T, E: Debug>(what: &str, seconds: u64, mut look: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        match look() {
            Ok(found) => return found,
            Err(wrong) if Instant::now() > deadline => panic!("waited {seconds} s for {what}; still: {wrong:?}"),
            Err(_) => std::thread::sleep(STEP),
        }
    }
}

/// Seconds since 1970, for the time parameters of the APIs.
pub fn now_s() -> f64 {
    now_ns() as f64 / 1e9
}

/// Nanoseconds since 1970, as OTLP wants them.
pub fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
