//! A circuit breaker: after too many failures, stop asking for a while instead of making the other side's trouble worse.
//!
//! A pure state machine: time comes in as milliseconds, nothing is awaited, nothing is logged.
//!
//! ```text
//!            failures reach the ratio
//!   closed ──────────────────────────▶ open
//!     ▲                                 │ the pause is over
//!     │ every probe succeeds            ▼
//!     └───────────────────────────── half-open ──▶ open again on one failure
//! ```

use std::collections::VecDeque;

/// Where the breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    Open,
    HalfOpen,
}

impl State {
    pub(crate) const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// When it trips and how it recovers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// How many of the latest calls are judged.
    pub(crate) window: usize,
    /// Fewer calls than this say nothing.
    pub(crate) calls_min: usize,
    /// Trips when this fraction of the judged calls failed.
    pub(crate) failure_ratio: f64,
    /// How long it stays open.
    pub(crate) pause_ms: u64,
    /// Calls let through while half-open; all must succeed.
    pub(crate) probes: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { window: 20, calls_min: 10, failure_ratio: 0.5, pause_ms: 5_000, probes: 3 }
    }
}

#[derive(Debug)]
pub(crate) struct Breaker {
    policy: Policy,
    state: State,
    outcomes: VecDeque<bool>,
    opened_at_ms: u64,
    probes_sent: usize,
    probes_good: usize,
    trips: u64,
}

impl Breaker {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            state: State::Closed,
            outcomes: VecDeque::new(),
            opened_at_ms: 0,
            probes_sent: 0,
            probes_good: 0,
            trips: 0,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// How often it has opened.
    pub(crate) fn trips(&self) -> u64 {
        self.trips
    }

    /// Whether a call may go out now. Each `true` must be followed by one [`Breaker::record`].
    pub(crate) fn allow(&mut self, now_ms: u64) -> bool {
        if self.state == State::Open && now_ms.saturating_sub(self.opened_at_ms) >= self.policy.pause_ms {
            self.state = State::HalfOpen;
            self.probes_sent = 0;
            self.probes_good = 0;
        }
        match self.state {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen => {
                let free = self.probes_sent < self.policy.probes;
                self.probes_sent += usize::from(free);
                free
            }
        }
    }

    /// How a call ended. A call that went out before the breaker opened changes nothing any more.
    pub(crate) fn record(&mut self, now_ms: u64, good: bool) {
        match self.state {
            State::Closed => {
                self.outcomes.push_back(good);
                if self.outcomes.len() > self.policy.window {
                    self.outcomes.pop_front();
                }
                let failed = self.outcomes.iter().filter(|good| !**good).count();
                let judged = self.outcomes.len();
                if judged >= self.policy.calls_min && failed as f64 >= self.policy.failure_ratio * judged as f64 {
                    self.open(now_ms);
                }
            }
            State::HalfOpen if good => {
                self.probes_good += 1;
                if self.probes_good >= self.policy.probes {
                    self.state = State::Closed;
                    self.outcomes.clear();
                }
            }
            State::HalfOpen => self.open(now_ms),
            State::Open => {}
        }
    }

    /// The caller gave up before the call ended: a probe's place is free again.
    pub(crate) fn forget(&mut self) {
        if self.state == State::HalfOpen {
            self.probes_sent = self.probes_sent.saturating_sub(1);
        }
    }

    fn open(&mut self, now_ms: u64) {
        self.state = State::Open;
        self.opened_at_ms = now_ms;
        self.outcomes.clear();
        self.trips += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script of events: `+` a good call, `-` a failed one, `?` only asks, a number waits so many ms. After each
    /// word the state is written; `x` means that the call was not let out.
    fn check(script: &str, expect: &str) {
        let policy = Policy { window: 4, calls_min: 4, failure_ratio: 0.5, pause_ms: 100, probes: 2 };
        let mut breaker = Breaker::new(policy);
        let mut now_ms = 0;
        let mut seen = Vec::new();
        for word in script.split_whitespace() {
            let mut refused = "";
            match word {
                "+" | "-" => {
                    if breaker.allow(now_ms) {
                        breaker.record(now_ms, word == "+");
                    } else {
                        refused = "x";
                    }
                }
                "?" if !breaker.allow(now_ms) => refused = "x",
                "?" => {}
                "gone" => breaker.forget(),
                wait => now_ms += wait.parse::<u64>().unwrap(),
            }
            seen.push(format!("{}{refused}", breaker.state().name()));
        }
        assert_eq!(format!("{} trips={}", seen.join(" "), breaker.trips()), expect, "{script}");
    }

    #[test]
    fn breaker_table() {
        check("+ - +", "closed closed closed trips=0");
        check("- - -", "closed closed closed trips=0");
        check("- - - -", "closed closed closed open trips=1");
        check("+ + - -", "closed closed closed open trips=1");
        check("+ + + - + + + -", "closed closed closed closed closed closed closed closed trips=0");
        check("- - - - + 99 +", "closed closed closed open openx open openx trips=1");
        check("- - - - 100 + +", "closed closed closed open open half-open closed trips=1");
        check("- - - - 100 + -", "closed closed closed open open half-open open trips=2");
        check("- - - - 100 ? ? ?", "closed closed closed open open half-open half-open half-openx trips=1");
        check(
            "- - - - 100 ? ? gone ?",
            "closed closed closed open open half-open half-open half-open half-open trips=1",
        );
        check("- - - - 100 - 100 + + -", "closed closed closed open open open open half-open closed closed trips=2");
    }
}
