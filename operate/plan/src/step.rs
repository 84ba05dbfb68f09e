//! One step of a plan: what must hold before, what is done, what must hold after, how it is undone, and its limits. It is so specific that
//! whoever carries it out chooses nothing. It does not know what its verbs mean; the target does.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Calendar, ObjectId, Severity};

/// A step's name within its plan: lower case, digits and dashes; people type it in `apm deploy skip`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

impl fmt::Display for StepId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<&str> for StepId {
    fn from(text: &str) -> StepId {
        StepId(text.to_owned())
    }
}

/// Something that holds or does not, asked of the target; used before a step and after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// For people: `shop-cart answers on /healthz`.
    pub says: String,
    /// The target's word for the test.
    pub verb: String,
    pub object: ObjectId,
    /// What the verb needs to know.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub with: Value,
}

/// A change to the world. Carrying it out twice has the effect of once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// The target's word: `create`, `start`, `switch`.
    pub verb: String,
    pub object: ObjectId,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub with: Value,
    /// Everything the act may change, `object` among it. What they were is recorded before the act; touching anything else is a failure.
    pub touches: Vec<ObjectId>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    Act(Act),
    /// Ask the judge until it decides; what to ask is the judge's own form.
    Judge(Value),
    /// Wait for a person of the deployer role to agree.
    Approve {
        question: String,
    },
    /// Wait until changes may be made; a person of the deployer role may override that with a reason.
    Window(Calendar),
    /// Stop until a person resumes.
    Halt {
        why: String,
    },
    /// Tell people and go on.
    Alert {
        severity: Severity,
        message: String,
    },
}

/// How a step is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// Everything it touches becomes what was recorded before the act, and is proved equal.
    Restore,
    /// There is nothing that would have to be taken back.
    Needless { why: String },
    /// Nobody can take it back.
    Impossible { why: String },
}

/// When to try again, and how often. Jitter is drawn from the run, step and attempt, so a replay waits the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// At once.
    Immediate { attempts: u32 },
    /// After the same wait each time.
    Linear { attempts: u32, wait_ms: u64 },
    /// Twice the wait each time, up to a most; half of each wait is jitter.
    Exponential { attempts: u32, first_ms: u64, most_ms: u64 },
}

impl Retry {
    /// What most remotes stand: 5 attempts over about 15 s.
    pub const USUAL: Retry = Retry::Exponential { attempts: 5, first_ms: 500, most_ms: 10_000 };

    /// How often in all, the first time included; at least once.
    pub fn attempts(self) -> u32 {
        match self {
            Retry::Immediate { attempts } | Retry::Linear { attempts, .. } | Retry::Exponential { attempts, .. } => {
                attempts.max(1)
            }
        }
    }

    /// The wait after the `attempt`-th failed attempt (from 1), or `None` when there is no other. `seed` draws the jitter; a wish of the
    /// remote is honoured when it is longer.
    pub fn wait_ms(self, attempt: u32, seed: u64, asked_ms: Option<u64>) -> Option<u64> {
        if attempt >= self.attempts() {
            return None;
        }
        let own_ms = match self {
            Retry::Immediate { .. } => 0,
            Retry::Linear { wait_ms, .. } => wait_ms,
            Retry::Exponential { first_ms, most_ms, .. } => {
                let doubled = first_ms.saturating_mul(1u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX));
                let whole = doubled.min(most_ms);
                whole / 2 + seed.checked_rem(whole / 2 + 1).unwrap_or(0)
            }
        };
        Some(own_ms.max(asked_ms.unwrap_or(0)))
    }
}

/// How much a step may hurt at once; the lint holds the plan to it and the executor the act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blast {
    /// Objects it may change.
    pub objects_max: u32,
    /// Instances of the service that may be down while it runs.
    pub down_max: u32,
}

/// What a step will take, as far as earlier runs tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// The usual time.
    pub usual_ms: u64,
    /// Nine of ten runs were quicker.
    pub p90_ms: u64,
    /// From how many earlier runs; 0 is a guess of the planner.
    pub runs: u32,
    /// Memory that is used besides while it runs, such as a second copy of the service.
    #[serde(default)]
    pub memory_bytes: u64,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub id: StepId,
    /// For people: `start the new cart beside the old one`.
    pub name: String,
    /// Why it is there.
    pub reason: String,
    /// `preparing`, `deploying`, `verifying`: the stage that a person sees.
    pub stage: String,
    /// The service or part it belongs to.
    pub component: String,
    /// What must be done before; steps with no path between them run side by side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<StepId>,
    /// Must hold before the act; asked once, before anything of this step was changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub check: Vec<Condition>,
    pub work: Work,
    /// Must come to hold after the act within the time limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<Condition>,
    pub undo: Undo,
    /// For check, act and verify together, waits between attempts included.
    pub time_limit_ms: u64,
    pub retry: Retry,
    pub blast: Blast,
    /// Its failure is told, and the run goes on without it: tidying up.
    #[serde(default)]
    pub optional: bool,
    #[serde(default)]
    pub estimate: Estimate,
    /// The same by hand, for `--dry-run`: `docker stop shop-cart`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by_hand: String,
}

impl Step {
    /// A step with the usual retry, one object of blast and a guess for its time.
    pub fn new(id: impl Into<String>, name: impl Into<String>, work: Work) -> Step {
        let undo = match &work {
            Work::Act(_) => Undo::Restore,
            _ => Undo::Needless { why: "it changes nothing".to_owned() },
        };
        let objects_max = match &work {
            Work::Act(act) => u32::try_from(act.touches.len()).unwrap_or(u32::MAX),
            _ => 0,
        };
        Step {
            id: StepId(id.into()),
            name: name.into(),
            reason: String::new(),
            stage: String::new(),
            component: String::new(),
            after: Vec::new(),
            check: Vec::new(),
            work,
            verify: Vec::new(),
            undo,
            time_limit_ms: 60_000,
            retry: Retry::USUAL,
            blast: Blast { objects_max, down_max: 0 },
            optional: false,
            estimate: Estimate::default(),
            by_hand: String::new(),
        }
    }

    /// What it may change.
    pub fn touches(&self) -> &[ObjectId] {
        match &self.work {
            Work::Act(act) => &act.touches,
            _ => &[],
        }
    }
}
