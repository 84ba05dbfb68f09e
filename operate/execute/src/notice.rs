//! What others are told of a run: its begin, that it waits for a person, that it is being undone, its end, and what a plan wanted told. A
//! notice is made from one line of the journal, so the same line makes the same notice whoever sends it. It does not know who listens.

use async_trait::async_trait;
use operate_plan::{Plan, Severity, StepId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{Entry, Event, RunId, Status};

/// What happened, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// Somebody began to carry it out.
    Started,
    /// A person is asked, or it stopped until one says how to go on.
    Waiting,
    /// What was done is being undone.
    RollingBack,
    /// For good or not: `status` tells.
    Ended,
    /// What a step wanted people to be told, and what the run goes on without.
    Alert,
}

impl Occasion {
    pub const ALL: [Occasion; 5] =
        [Occasion::Started, Occasion::Waiting, Occasion::RollingBack, Occasion::Ended, Occasion::Alert];
}

/// One thing that is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// `RUN/LINE`: the same when it is sent again, so that a receiver can tell.
    pub id: String,
    pub event: Occasion,
    pub run: RunId,
    /// The line of the journal.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    pub title: String,
    pub target: String,
    pub labels: BTreeMap<String, String>,
    pub severity: Severity,
    /// For people.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// Of an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// What a line of the journal has others be told, if it has.
pub fn notice(plan: &Plan, entry: &Entry) -> Option<Notice> {
    let (event, severity, message, step) = match &entry.event {
        // Whoever goes on after another takes it too, later in the journal.
        Event::Taken { .. } if entry.seq == 2 => (Occasion::Started, Severity::Info, plan.title.clone(), None),
        Event::Asked { step, question } => (Occasion::Waiting, Severity::Warning, question.clone(), Some(step)),
        Event::Halted { step, why } => (Occasion::Waiting, Severity::High, why.clone(), Some(step)),
        Event::StepFailed { step, failure } if plan.on_failure == operate_plan::OnFailure::Halt => {
            (Occasion::Waiting, Severity::High, failure.to_string(), Some(step))
        }
        Event::UndoBegun { why } => (Occasion::RollingBack, Severity::High, why.clone(), None),
        Event::Told { step, severity, message } => (Occasion::Alert, *severity, message.clone(), Some(step)),
        Event::GivenUp { step, failure } => (Occasion::Alert, Severity::Warning, failure.to_string(), Some(step)),
        Event::Ended { status, sentence } => {
            let severity = match status {
                Status::Failed => Severity::Critical,
                Status::RolledBack => Severity::High,
                _ => Severity::Info,
            };
            (Occasion::Ended, severity, sentence.clone(), None)
        }
        _ => return None,
    };
    let status = match &entry.event {
        Event::Ended { status, .. } => Some(*status),
        _ => None,
    };
    Some(Notice {
        id: format!("{}/{}", entry.run, entry.seq),
        event,
        run: entry.run.clone(),
        seq: entry.seq,
        at_ms: entry.at_ms,
        title: plan.title.clone(),
        target: plan.target.clone(),
        labels: plan.labels.clone(),
        severity,
        message,
        step: step.cloned(),
        status,
    })
}

/// What became of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    Done,
    /// It may work later. The reason, without secrets.
    Later(String),
    /// The receiver will never take it. The reason, without secrets.
    Refused(String),
}

/// Somebody who is told.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// The same for the same receiver in every process, and no secret.
    fn id(&self) -> &str;

    /// Whether it wants to hear of this.
    fn wants(&self, event: Occasion) -> bool;

    /// One try, with a time limit of its own.
    async fn deliver(&self, notice: &Notice) -> Delivery;
}
