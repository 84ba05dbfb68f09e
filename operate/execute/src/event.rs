//! What is written down about a run: entries of a journal that together are its state. Nothing is ever changed or removed. It does not
//! know where the journal is kept.

use std::collections::BTreeMap;
use std::fmt;

use operate_plan::{Digest, Failure, ObjectId, PlanId, Severity, StepId, digest};
use serde::{Deserialize, Serialize};

/// A run of a plan; people type it, so it is short and starts with what it is about: `cart-20261121-153004-5f2c`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Planned,
    Running,
    Paused,
    /// A person is asked.
    Waiting,
    /// Stopped until a person says how to go on.
    Halted,
    RollingBack,
    Complete,
    RolledBack,
    /// Neither done nor undone: a person is needed.
    Failed,
}

impl Status {
    pub const ALL: [Status; 9] = [
        Status::Planned,
        Status::Running,
        Status::Paused,
        Status::Waiting,
        Status::Halted,
        Status::RollingBack,
        Status::Complete,
        Status::RolledBack,
        Status::Failed,
    ];

    pub fn is_end(self) -> bool {
        matches!(self, Status::Complete | Status::RolledBack | Status::Failed)
    }

    /// Whether somebody began it and it has not ended: its target is not free.
    pub fn is_begun(self) -> bool {
        !self.is_end() && self != Status::Planned
    }

    pub fn word(self) -> &'static str {
        match self {
            Status::Planned => "planned",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Waiting => "waiting",
            Status::Halted => "halted",
            Status::RollingBack => "rolling-back",
            Status::Complete => "complete",
            Status::RolledBack => "rolled-back",
            Status::Failed => "failed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// What an object was before an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    pub object: ObjectId,
    /// Keyed, so that it tells nothing about a short secret inside; see [`crate::Seal::mark`].
    pub mark: String,
    /// The image itself, sealed; `None`: the object was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

/// What the judge says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// Not decided; ask again after this time.
    Wait {
        again_ms: u64,
        sentence: String,
    },
    Pass {
        sentence: String,
    },
    Fail {
        sentence: String,
        /// Since when people were hurt, milliseconds since 1970, where that is known.
        #[serde(default)]
        hurt_since_ms: Option<i64>,
    },
    /// Decided that it cannot be decided; a person is asked.
    Inconclusive {
        sentence: String,
    },
}

/// A look of the judge: its ruling, and how well each layer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub ruling: Ruling,
    pub health: Health,
}

/// 0 to 100 by layer (`service`, `container`, `host`, `checks`), those of which something is known.
pub type Health = BTreeMap<String, u8>;

impl From<Ruling> for Judgement {
    fn from(ruling: Ruling) -> Self {
        Judgement { ruling, health: Health::new() }
    }
}

/// What a person (or another `apm`) wants of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    Pause,
    /// Goes on after a pause or a halt; a step that failed is tried anew.
    Resume,
    /// Stops and undoes what was done.
    Cancel,
    /// Of a run whose undo failed: tries it again where it stopped.
    UndoAgain,
    /// Treats a step as done.
    Skip(StepId),
    Approve(StepId),
    Reject(StepId),
}

/// An order with who gave it and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub order: Order,
    pub actor: String,
    #[serde(default)]
    pub reason: String,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    Created {
        plan: PlanId,
        actor: String,
        reason: String,
    },
    /// An executor took the run; the first one, or one that goes on after another.
    Taken {
        holder: String,
        token: u64,
    },
    Ordered {
        number: u64,
        command: Command,
    },
    StepBegun {
        step: StepId,
    },
    /// What must hold before holds.
    Checked {
        step: StepId,
    },
    /// What the step touches is written down; from here on the step may be undone.
    Recorded {
        step: StepId,
        before: Vec<Recorded>,
    },
    Attempt {
        step: StepId,
        number: u32,
    },
    AttemptFailed {
        step: StepId,
        number: u32,
        failure: Failure,
        again_ms: Option<u64>,
    },
    Acted {
        step: StepId,
        note: String,
    },
    /// The judge's word, each time it changes.
    Judged {
        step: StepId,
        ruling: Ruling,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        health: Health,
    },
    /// A person is asked to approve.
    Asked {
        step: StepId,
        question: String,
    },
    Told {
        step: StepId,
        severity: Severity,
        message: String,
    },
    StepDone {
        step: StepId,
    },
    StepFailed {
        step: StepId,
        failure: Failure,
    },
    Halted {
        step: StepId,
        why: String,
    },
    /// A step that may fail did, and the run goes on without it.
    GivenUp {
        step: StepId,
        failure: Failure,
    },
    UndoBegun {
        why: String,
    },
    Undoing {
        step: StepId,
    },
    /// Every object the step touched is again what it was, looked at and compared.
    Undone {
        step: StepId,
    },
    /// Left as it is: the plan says that it need not or cannot be undone.
    Kept {
        step: StepId,
        why: String,
    },
    UndoFailed {
        step: StepId,
        failure: Failure,
    },
    Ended {
        status: Status,
        sentence: String,
    },
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub run: RunId,
    /// From 1, without gaps.
    pub seq: u64,
    /// The writer's clock, milliseconds since 1970.
    pub at_ms: i64,
    pub event: Event,
    /// Over the previous entry's hash and all of the above: a line that is changed or removed breaks the chain.
    pub hash: Digest,
}

impl Entry {
    /// The entry that follows `previous`.
    pub fn after(previous: Option<&Entry>, run: &RunId, at_ms: i64, event: Event) -> Entry {
        let seq = previous.map_or(1, |entry| entry.seq + 1);
        let hash = Entry::chain(previous.map(|entry| &entry.hash), run, seq, at_ms, &event);
        Entry { run: run.clone(), seq, at_ms, event, hash }
    }

    fn chain(previous: Option<&Digest>, run: &RunId, seq: u64, at_ms: i64, event: &Event) -> Digest {
        digest(&(previous, run, seq, at_ms, event))
    }

    /// The number of the first entry that does not follow from those before it.
    pub fn broken(entries: &[Entry]) -> Option<u64> {
        let mut previous: Option<&Entry> = None;
        for (entry, seq) in entries.iter().zip(1..) {
            let hash = Entry::chain(previous.map(|entry| &entry.hash), &entry.run, seq, entry.at_ms, &entry.event);
            if entry.seq != seq || entry.hash != hash {
                return Some(seq);
            }
            previous = Some(entry);
        }
        None
    }
}
