//! A world that is not there: objects in memory that can be looked at and changed as a real target's, with faults by a seed. Plans are
//! rehearsed on it, and the executor is tried against it at every moment at which it can be killed.
//!
//! It knows four verbs and no container. It does not know what a plan is for.

mod crash;
mod faults;
mod history;
mod lives;
mod things;
mod world;

pub use crash::{Crash, SimClock};
pub use faults::{Fault, Faults};
pub use history::CrashingHistory;
pub use lives::{Kill, Lives, Obedient, Quiet};
pub use world::FakeWorld;

#[cfg(test)]
mod tests;
