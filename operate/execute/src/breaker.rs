//! A circuit breaker for one remote: after some failures in a row it is left alone for a while, then tried with one request. It is told
//! the time and does not know what the requests are.

use operate_plan::{Class, Failure};

/// Failures in a row that open it: one retry series of a usual step does not.
const FAILURES_MAX: u32 = 6;
/// How long it stays open.
const OPEN_MS: u64 = 5_000;

/// Closed until told of failures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    open_until_ms: Option<u64>,
}

impl Breaker {
    /// `None`: go ahead. Else how long to wait before the next try. Passing makes the caller the one that tries: until it tells how it
    /// went, others wait.
    pub fn admit(&mut self, now_ms: u64) -> Option<u64> {
        match self.open_until_ms {
            Some(until_ms) if now_ms < until_ms => Some(until_ms - now_ms),
            Some(_) => {
                self.open_until_ms = Some(now_ms.saturating_add(OPEN_MS));
                None
            }
            None => None,
        }
    }

    pub fn worked(&mut self) {
        *self = Breaker::default();
    }

    /// Only trouble of the remote itself counts; a refusal with a reason is an answer.
    pub fn failed(&mut self, failure: &Failure, now_ms: u64) {
        if !matches!(failure.class, Class::Transient | Class::Throttled | Class::Unknown) {
            return self.worked();
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            self.open_until_ms = Some(now_ms.saturating_add(OPEN_MS));
        }
    }
}
