//! How far a run has come, for people: its stage, the share of the work that is over, and how long the rest usually takes, for the whole and
//! for each component. Pure: a plan, what its journal says, and the moment. It does not know how it is shown.
//!
//! The percentage never falls: a step that is on its way counts by its usual time and stops short of its end, a step that is begun again
//! keeps what it had, and an undo fills what was left when it began. Steps that wait for people are no work, and count nothing.

use std::collections::BTreeMap;

use operate_plan::{Plan, Step, StepId, Work};
use serde::{Deserialize, Serialize};

use crate::{State, Status, StepState};

/// A run as it stands at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// `planned`, the stage of the first step that is not over (`preparing`, `deploying`, `verifying`), `rolling back`, or the end:
    /// `complete`, `rolled back`, `failed`.
    pub stage: String,
    /// Of the work, by its usual time; 100 only when the run ended as it should, forwards or backwards.
    pub percent: u8,
    /// What is left, usually. Unknown while a person is waited for, when a step takes longer than nine of ten earlier ones did, and when
    /// the run has ended.
    pub eta_ms: Option<u64>,
    /// Some of what is left never ran before, so the planner guessed.
    pub guessed: bool,
    /// In the plan's order.
    pub components: Vec<ComponentProgress>,
}

/// One service or part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentProgress {
    pub name: String,
    /// As the run's, and `waiting` before its first step, `untouched` where nothing had to be taken back.
    pub stage: String,
    pub percent: u8,
    pub steps: Vec<StepProgress>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepProgress {
    pub id: StepId,
    pub name: String,
    pub stage: String,
    /// See [`StepState::word`].
    pub state: String,
    pub percent: u8,
    /// How long it took, or is taking.
    pub elapsed_ms: Option<u64>,
    pub usual_ms: u64,
}

/// A step on its way counts at most so many thousandths: that it is done is for the journal to say.
const ON_ITS_WAY_MAX: u64 = 950;

/// Where a run stands at `now_ms`, milliseconds since 1970. A clock that was set back shows what the journal's last line showed.
pub fn progress(plan: &Plan, state: &State, now_ms: i64) -> Progress {
    let status = state.status();
    let now_ms = state.last.as_ref().map_or(now_ms, |last| now_ms.max(last.at_ms));
    // Once the way back has begun, nothing goes forwards.
    let forward_ms = state.undoing_since_ms.unwrap_or(now_ms);
    let view = View { plan, state, forward_ms };
    let all: Vec<&Step> = plan.steps.iter().collect();
    let (eta_ms, guessed) = view.eta(status);
    Progress {
        stage: view.stage(status),
        percent: match status {
            Status::Complete | Status::RolledBack => 100,
            _ => percent(view.share_of(&all)).min(99),
        },
        eta_ms,
        guessed,
        components: view.components(),
    }
}

struct View<'a> {
    plan: &'a Plan,
    state: &'a State,
    forward_ms: i64,
}

impl View<'_> {
    fn stage(&self, status: Status) -> String {
        let open = || self.plan.steps.iter().find(|step| !self.state.step(&step.id).is_over());
        match status {
            Status::Planned => "planned".to_owned(),
            Status::RollingBack => "rolling back".to_owned(),
            Status::RolledBack => "rolled back".to_owned(),
            Status::Complete | Status::Failed => status.word().to_owned(),
            _ => open().map_or_else(|| "verifying".to_owned(), |step| step.stage.clone()),
        }
    }

    /// Of 1000.
    fn forward(&self, steps: &[&Step]) -> u64 {
        let whole: u64 = steps.iter().map(|step| weight(step)).sum();
        let over: u64 = steps.iter().map(|step| weight(step) * self.share(step)).sum();
        match whole {
            // Nothing but questions to people.
            0 if steps.iter().all(|step| self.state.step(&step.id).is_over()) => 1000,
            0 => 0,
            whole => over / whole,
        }
    }

    /// How much of one step is over, of 1000.
    fn share(&self, step: &Step) -> u64 {
        let now = self.state.step(&step.id);
        if now.is_over() {
            return 1000;
        }
        let usual_ms = step.estimate.usual_ms.max(1);
        let since = |begun_ms| u64::try_from(self.forward_ms.saturating_sub(begun_ms)).unwrap_or(0);
        let passed_ms = now.first_begun_ms.map_or(0, since);
        (passed_ms.saturating_mul(1000) / usual_ms).min(ON_ITS_WAY_MAX)
    }

    /// How much of some steps is over, of 1000, forwards or backwards.
    fn share_of(&self, steps: &[&Step]) -> u64 {
        let forward = self.forward(steps);
        if self.state.undoing.is_none() {
            return forward;
        }
        let recorded = steps.iter().filter(|step| self.state.recorded.contains(&step.id));
        let (all, undone) = recorded.fold((0, 0), |(all, undone), step| {
            (all + 1, undone + u64::from(self.state.step(&step.id).undone_ms.is_some()))
        });
        let back = (undone * 1000u64).checked_div(all).unwrap_or(1000);
        forward + (1000 - forward.min(1000)) * back / 1000
    }

    fn eta(&self, status: Status) -> (Option<u64>, bool) {
        match status {
            Status::Running | Status::Planned => self.eta_forwards(),
            Status::RollingBack => {
                let left = self.state.to_undo();
                let usual = |id| self.plan.step(id).map_or(0, |step| step.estimate.usual_ms);
                // Nobody measured an undo; putting a thing back takes about as long as changing it did.
                (Some(left.iter().map(usual).sum()), true)
            }
            _ => (None, false),
        }
    }

    /// The longest way through what is left.
    fn eta_forwards(&self) -> (Option<u64>, bool) {
        let mut ends: BTreeMap<&StepId, u64> = BTreeMap::new();
        let (mut whole_ms, mut guessed) = (0, false);
        for step in self.plan.order().unwrap_or_default() {
            let Some(left_ms) = self.left_ms(step) else { return (None, guessed) };
            guessed |= left_ms > 0 && step.estimate.runs == 0;
            let begin = step.after.iter().filter_map(|before| ends.get(before)).max().copied().unwrap_or(0);
            let end = begin.saturating_add(left_ms);
            whole_ms = whole_ms.max(end);
            ends.insert(&step.id, end);
        }
        (Some(whole_ms), guessed)
    }

    fn left_ms(&self, step: &Step) -> Option<u64> {
        let now = self.state.step(&step.id);
        if now.is_over() || !is_work(step) {
            return Some(0);
        }
        let Some(begun_ms) = now.begun_ms else { return Some(step.estimate.usual_ms) };
        let passed_ms = u64::try_from(self.forward_ms.saturating_sub(begun_ms)).unwrap_or(0);
        let (usual_ms, p90_ms) = (step.estimate.usual_ms, step.estimate.p90_ms.max(step.estimate.usual_ms));
        match passed_ms {
            passed if passed <= usual_ms => Some(usual_ms - passed),
            passed if passed <= p90_ms => Some(p90_ms - passed),
            // A step so short that its estimate says nothing is as good as over.
            passed if passed < 1_000 => Some(0),
            _ => None,
        }
    }

    fn components(&self) -> Vec<ComponentProgress> {
        let mut order: Vec<&str> = Vec::new();
        let mut parts: BTreeMap<&str, Vec<&Step>> = BTreeMap::new();
        for step in &self.plan.steps {
            let part = parts.entry(&step.component).or_default();
            if part.is_empty() {
                order.push(&step.component);
            }
            part.push(step);
        }
        let component = |name: &str| {
            let steps = parts.get(name).map(Vec::as_slice).unwrap_or_default();
            ComponentProgress {
                name: name.to_owned(),
                stage: self.component(steps),
                percent: percent(self.share_of(steps)),
                steps: steps.iter().map(|step| self.step(step)).collect(),
            }
        };
        order.into_iter().map(component).collect()
    }

    fn component(&self, steps: &[&Step]) -> String {
        let states: Vec<(&Step, StepState)> = steps.iter().map(|step| (*step, self.state.step(&step.id))).collect();
        if self.state.undoing.is_some() {
            let touched: Vec<&StepState> =
                states.iter().filter(|(step, _)| self.state.recorded.contains(&step.id)).map(|(_, now)| now).collect();
            return match touched.as_slice() {
                [] => "untouched",
                all if all.iter().all(|now| now.undone) => "rolled back",
                all if all.iter().any(|now| now.undo_failure.is_some()) => "failed",
                _ => "rolling back",
            }
            .to_owned();
        }
        match states.iter().find(|(_, now)| !now.is_over()) {
            None => "complete".to_owned(),
            Some(_) if states.iter().all(|(_, now)| now.first_begun_ms.is_none() && !now.is_over()) => {
                "waiting".to_owned()
            }
            Some((step, _)) => step.stage.clone(),
        }
    }

    fn step(&self, step: &Step) -> StepProgress {
        let now = self.state.step(&step.id);
        let end_ms = now.ended_ms.unwrap_or(self.forward_ms);
        let elapsed = |begun_ms: i64| u64::try_from(end_ms.saturating_sub(begun_ms)).unwrap_or(0);
        StepProgress {
            id: step.id.clone(),
            name: step.name.clone(),
            stage: step.stage.clone(),
            state: now.word().to_owned(),
            percent: percent(self.share(step)),
            elapsed_ms: now.begun_ms.map(elapsed),
            usual_ms: step.estimate.usual_ms,
        }
    }
}

/// Whether its time is ours, and not that of a person.
fn is_work(step: &Step) -> bool {
    !matches!(step.work, Work::Approve { .. } | Work::Window(_) | Work::Halt { .. })
}

fn percent(share: u64) -> u8 {
    u8::try_from(share / 10).unwrap_or(100)
}

fn weight(step: &Step) -> u64 {
    if is_work(step) { step.estimate.usual_ms.max(1) } else { 0 }
}

#[cfg(test)]
mod tests;
