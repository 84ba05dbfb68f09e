//! Where plans, journals, leases and orders are kept: the contract. [`crate::MemoryHistory`] keeps them for a test; a database keeps them
//! for people. It does not know what a step does.

use async_trait::async_trait;
use operate_plan::Plan;
use serde::{Deserialize, Serialize};

use crate::{Command, Entry, Event, RunId, Status, Tag};

/// The right to write into a run and to act on its target. A higher token takes it from every lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence(pub u64);

/// The answer to who may act on a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    Got(Fence),
    /// By whom, and until when unless renewed, milliseconds since 1970.
    Held {
        holder: String,
        until_ms: i64,
    },
}

/// The answer to who may begin a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// The run is kept, and its target is the asker's.
    Got(Fence),
    /// Somebody acts on the target; nothing was kept.
    Held { holder: String, until_ms: i64 },
    /// A run that somebody began has not ended, whoever carries it out; nothing was kept.
    Occupied { run: RunId, status: Status },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    #[error("there is no run called `{0}`")]
    NoRun(RunId),
    #[error("the run `{0}` exists already")]
    Exists(RunId),
    /// Another executor has taken the target since.
    #[error("the lease on `{target}` was lost to another apm")]
    LeaseLost { target: String },
    #[error("the plan in the history is not what its id says")]
    Edited(RunId),
    /// The store itself: disk full, locked, unreachable. What was asked was not done.
    #[error("the history cannot be {verb}: {message}")]
    Store { verb: &'static str, message: String },
}

/// One run, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    pub run: RunId,
    pub title: String,
    pub target: String,
    pub labels: std::collections::BTreeMap<String, String>,
    pub status: Status,
    pub created_ms: i64,
    pub ended_ms: Option<i64>,
    /// What the end said, empty before.
    pub sentence: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// Which runs of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub status: Option<Status>,
    /// All of these labels with these values.
    pub labels: Vec<(String, String)>,
    /// All of these.
    pub tags: Vec<Tag>,
    /// Only those before this one in the list (older), for paging.
    pub before: Option<RunId>,
    pub limit: usize,
}

/// A run that is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewRun<'a> {
    pub run: &'a RunId,
    pub plan: &'a Plan,
    /// By whom and why.
    pub command: &'a Command,
}

/// The store of runs. Every call is durable before it returns; a call that was cut off was done or not done, never half.
///
/// A target may be of several places ([`operate_plan::sites`]): then each of them is leased, all or none, with one token for all. Who has one of them
/// keeps everybody else from it, whatever else they want.
#[async_trait]
pub trait History: Send + Sync {
    /// Keeps a new run with its plan and takes its target for `holder`, both or neither: its first entries are `Created` and `Taken`. Of
    /// two who begin at one moment one gets it, and the other leaves nothing behind.
    async fn begin(&self, new: NewRun<'_>, at_ms: i64, holder: &str, ttl_ms: u64) -> Result<Begun, HistoryError>;

    /// Keeps a new run with its plan for somebody to take later; its first entry is `Created`.
    async fn create(&self, run: &RunId, plan: &Plan, at_ms: i64, command: &Command) -> Result<(), HistoryError>;

    /// The plan of a run, refused when it is not what its id says.
    async fn plan(&self, run: &RunId) -> Result<Plan, HistoryError>;

    /// Entries after `after` in order, at most `limit`.
    async fn entries(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<Entry>, HistoryError>;

    /// Writes the next entry, if nobody has taken the lease on the run's target since `fence` was given.
    async fn append(&self, run: &RunId, fence: Fence, at_ms: i64, event: Event) -> Result<Entry, HistoryError>;

    /// Takes the target for `holder` until `now_ms + ttl_ms`, if it is free or its holder's time is over.
    async fn lease(&self, target: &str, holder: &str, now_ms: i64, ttl_ms: u64) -> Result<Lease, HistoryError>;

    /// Keeps the target for longer; fails as lost if somebody else has it.
    async fn renew(&self, target: &str, fence: Fence, now_ms: i64, ttl_ms: u64) -> Result<(), HistoryError>;

    /// Gives the target back; nothing happens if it is somebody else's by now.
    async fn release(&self, target: &str, fence: Fence) -> Result<(), HistoryError>;

    /// Leaves an order for whoever executes the run; returns its number, from 1.
    async fn order(&self, run: &RunId, at_ms: i64, command: &Command) -> Result<u64, HistoryError>;

    /// Orders after `after`, in order.
    async fn orders(&self, run: &RunId, after: u64) -> Result<Vec<(u64, Command)>, HistoryError>;

    /// The newest first.
    async fn runs(&self, filter: &Filter) -> Result<Vec<RunRow>, HistoryError>;
}
