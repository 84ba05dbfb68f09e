//! What waits to be passed on: a durable queue for each way out, and the rules by which its messages are sent, tried again or given up.
//!
//! A state machine over `base/world`: it opens no connection and owns no thread. Whoever drives it asks [`Queue::step`] what to do, does it, and
//! tells [`Queue::done`] how it went. What was acknowledged leaves the queue only when the other side has taken or refused it, so each message
//! arrives at least once; after a kill those of the last second may arrive twice. Each request is told apart by its [`Queue::delivery`], by which
//! another side that knows it stores it once. It knows no URL and nothing of what a message says.

mod batch;
mod identity;
mod mend;
mod outcome;
mod queue;
#[cfg(test)]
mod tests;
mod way;

pub use batch::{Batch, Message};
pub use outcome::{Outcome, Told, of_status};
pub use queue::{Figures, Queue, QueueSettings, Step};
pub use way::Way;
