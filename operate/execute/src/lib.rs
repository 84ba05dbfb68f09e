//! Carries a plan out: one journal entry before and after everything that is done, so that any `apm` can go on where another was killed;
//! retries by class of failure; a lease with a fencing token, so that one plan at a time changes a target; undo in reverse order, proved
//! equal to what was recorded.
//!
//! It chooses nothing, the plan has chosen. It does not know what a container or a cluster is ([`Target`] does), how a service is judged
//! ([`Judge`] does), or how history is stored ([`History`] does). Time comes from [`base_world::Clock`] and tokio's timer.

mod breaker;
mod event;
mod executor;
mod history;
mod log;
mod memory;
mod notice;
mod progress;
mod seal;
mod state;
mod step;
mod tag;
mod target;
mod undo;
mod window;

pub use breaker::Breaker;
pub use event::{Command, Entry, Event, Health, Judgement, Order, Recorded, Ruling, RunId, Status};
pub use executor::{Executor, RunError, Settings, Tell};
pub use history::{Begun, Fence, Filter, History, HistoryError, Lease, NewRun, RunRow};
pub use memory::MemoryHistory;
pub use notice::{Deliver, Delivery, Notice, Occasion, notice};
pub use progress::{ComponentProgress, Progress, StepProgress, progress};
pub use seal::{Seal, SealError};
pub use state::{State, StepState};
pub use tag::{BadTag, TAGS_MAX, Tag, run_to_go_back_to};
pub use target::{Context, Done, Image, Judge, Met, Target};

#[cfg(test)]
mod tests;
