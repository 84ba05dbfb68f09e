//! What goes wrong with a call, drawn from a seed. The same seed and the same calls give the same faults.

use base_world::Rng;
use operate_plan::{Class, Failure};

/// One thing that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Connection refused, and nothing was done.
    Refused,
    /// Asked to slow down.
    Throttled,
    /// It takes this long, and works.
    Slow { ms: u64 },
    /// It stops in the middle of the change.
    Partial,
    /// The change is made and the answer is an error.
    LostAnswer,
    /// The answer is fine and nothing was done.
    Lie,
    /// Not allowed, now or ever.
    Denied,
}

/// How often what goes wrong, in per cent of calls.
#[derive(Debug, Clone)]
pub struct Faults {
    rng: Rng,
    percent: u64,
    kinds: Vec<Fault>,
}

impl Faults {
    /// `percent` of the calls go wrong, in one of these ways.
    pub fn new(seed: u64, percent: u64, kinds: &[Fault]) -> Faults {
        Faults { rng: Rng::new(seed), percent, kinds: kinds.to_vec() }
    }

    pub fn none() -> Faults {
        Faults::new(0, 0, &[])
    }

    pub(crate) fn draw(&mut self) -> Option<Fault> {
        if !self.rng.chance(self.percent) {
            return None;
        }
        let index = self.rng.index(self.kinds.len());
        self.kinds.get(index).copied()
    }
}

impl Fault {
    pub(crate) fn failure(self) -> Failure {
        match self {
            Fault::Throttled => {
                Failure::new(Class::Throttled, "fake.throttled", "too many requests", "wait").retry_after_ms(Some(700))
            }
            Fault::Denied => Failure::new(Class::Permission, "fake.denied", "permission denied", "ask for the right"),
            _ => Failure::new(Class::Transient, "fake.refused", "connection refused", "look whether the world is up"),
        }
    }
}
