//! A plan: steps in an order, for one target, made from one inventory. Once made it does not change: another decision is another plan,
//! with this one as its parent and the next generation. Its id is the digest of all it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, Estimate, Inventory, Step, StepId, digest};

/// The digest of a plan's content; equal plans have equal ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanId(pub Digest);

impl fmt::Display for PlanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.short())
    }
}

/// What happens when a step fails for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Everything done so far is undone, in reverse order.
    Undo,
    /// The run stops where it is and waits for a person.
    Halt,
}

/// The content of a plan, before it is fixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// `deploy cart 1.4.2 to prod`.
    pub title: String,
    pub reason: String,
    /// The lease is on this: one plan per target at a time.
    pub target: String,
    /// What it is about, for history and charts: `service`, `environment`, `version`, `version_before`, `strategy`.
    pub labels: BTreeMap<String, String>,
    /// When it was made, milliseconds since 1970, as handed in.
    pub made_ms: i64,
    /// For the run as a whole, time spent waiting for people not counted; past it the run is undone. A plan that halts on failure is not
    /// held to it.
    pub time_limit_ms: u64,
    pub on_failure: OnFailure,
    pub steps: Vec<Step>,
}

/// An immutable plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    id: PlanId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<PlanId>,
    generation: u32,
    /// The digest of the inventory it was made from.
    inventory: Digest,
    #[serde(flatten)]
    draft: Draft,
}

impl std::ops::Deref for Plan {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.draft
    }
}

impl Plan {
    /// The first plan of a line.
    pub fn new(draft: Draft, inventory: &Inventory) -> Plan {
        Plan::fixed(draft, inventory.digest(), None, 1)
    }

    /// A plan that takes the place of `self`: what was seen or wanted has changed.
    pub fn child(&self, draft: Draft, inventory: &Inventory) -> Plan {
        Plan::fixed(draft, inventory.digest(), Some(self.id.clone()), self.generation.saturating_add(1))
    }

    /// A plan from the same inventory with other steps.
    pub(crate) fn amended(&self, steps: Vec<Step>) -> Plan {
        let draft = Draft { steps, ..self.draft.clone() };
        Plan::fixed(draft, self.inventory.clone(), Some(self.id.clone()), self.generation.saturating_add(1))
    }

    fn fixed(draft: Draft, inventory: Digest, parent: Option<PlanId>, generation: u32) -> Plan {
        let id = PlanId(digest(&(&parent, generation, &inventory, &draft)));
        Plan { id, parent, generation, inventory, draft }
    }

    pub fn id(&self) -> &PlanId {
        &self.id
    }

    pub fn parent(&self) -> Option<&PlanId> {
        self.parent.as_ref()
    }

    /// 1 for the first of its line, one more for each child.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The digest of the inventory it was made from; a world that digests otherwise has moved on.
    pub fn inventory(&self) -> &Digest {
        &self.inventory
    }

    /// Whether the content is what the id says: a stored plan that somebody edited is not.
    pub fn is_intact(&self) -> bool {
        self.id.0 == digest(&(&self.parent, self.generation, &self.inventory, &self.draft))
    }

    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == *id)
    }

    /// The steps in an order that respects `after`, ties as written; `None` where they wait for each other in a circle.
    pub fn order(&self) -> Option<Vec<&Step>> {
        let mut done: BTreeSet<&StepId> = BTreeSet::new();
        let mut ordered = Vec::with_capacity(self.steps.len());
        while ordered.len() < self.steps.len() {
            let next = self
                .steps
                .iter()
                .find(|step| !done.contains(&step.id) && step.after.iter().all(|before| done.contains(before)))?;
            done.insert(&next.id);
            ordered.push(next);
        }
        Some(ordered)
    }

    /// Every step that must be done before `id`, near or far.
    pub fn ancestors<'a>(&'a self, id: &'a StepId) -> BTreeSet<&'a StepId> {
        let mut found = BTreeSet::new();
        let mut open = vec![id];
        while let Some(current) = open.pop() {
            for before in self.step(current).map(|step| step.after.as_slice()).unwrap_or_default() {
                if found.insert(before) {
                    open.push(before);
                }
            }
        }
        found
    }

    /// How long it usually takes: the longest way through the steps, and the same of the slow runs.
    pub fn estimate(&self) -> Estimate {
        let mut ends: BTreeMap<&StepId, (u64, u64)> = BTreeMap::new();
        let mut whole = Estimate { runs: u32::MAX, ..Estimate::default() };
        for step in self.order().unwrap_or_default() {
            let begin = |pick: fn(&(u64, u64)) -> u64| {
                step.after.iter().filter_map(|before| ends.get(before)).map(pick).max().unwrap_or(0)
            };
            let end = (
                begin(|end| end.0).saturating_add(step.estimate.usual_ms),
                begin(|end| end.1).saturating_add(step.estimate.p90_ms),
            );
            whole.usual_ms = whole.usual_ms.max(end.0);
            whole.p90_ms = whole.p90_ms.max(end.1);
            whole.runs = whole.runs.min(step.estimate.runs);
            whole.memory_bytes = whole.memory_bytes.max(step.estimate.memory_bytes);
            ends.insert(&step.id, end);
        }
        if self.steps.is_empty() {
            whole.runs = 0;
        }
        whole
    }
}
