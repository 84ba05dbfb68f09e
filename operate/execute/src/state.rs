//! What a journal says of a run: the fold of its entries. It is all the memory an executor has, so one that starts anew knows as much as
//! the one that was killed. It decides nothing.

use std::collections::BTreeMap;

use operate_plan::{Failure, Plan, Step, StepId};

use crate::{Command, Entry, Event, Health, Order, Recorded, Ruling, Status};

/// How far a step has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepState {
    /// When it began, milliseconds since 1970.
    pub begun_ms: Option<i64>,
    /// The same, kept when a person lets a failed step begin again.
    pub first_begun_ms: Option<i64>,
    pub ended_ms: Option<i64>,
    pub checked: bool,
    /// What was recorded before the act, once it was.
    pub before: Option<Vec<Recorded>>,
    /// Attempts that ended in a failure since the step was last (re)started; one cut off by a kill is not among them.
    pub failed_attempts: u32,
    /// Attempts begun in all, for numbering.
    pub attempts: u32,
    pub acted: bool,
    pub ruling: Option<Ruling>,
    /// What the judge saw of each layer, look by look.
    pub health: Vec<(i64, Health)>,
    pub asked: bool,
    /// What was asked last.
    pub question: Option<String>,
    /// By whom and why, `true` for yes.
    pub answer: Option<(bool, Command)>,
    pub halted: bool,
    pub told: bool,
    pub done: bool,
    pub skipped: Option<Command>,
    /// It failed, and the plan does not need it.
    pub given_up: Option<Failure>,
    pub failure: Option<Failure>,
    pub undone: bool,
    pub undone_ms: Option<i64>,
    pub undo_failure: Option<Failure>,
}

impl StepState {
    /// Whether steps after it may begin.
    pub fn is_over(&self) -> bool {
        self.done || self.skipped.is_some() || self.given_up.is_some()
    }

    /// How far it has come, in one word: `waits`, `running`, `asks`, `halted`, `failed`, `done`, `skipped`, `given-up`, `undone`,
    /// `not-undone`.
    pub fn word(&self) -> &'static str {
        match self {
            StepState { undone: true, .. } => "undone",
            StepState { undo_failure: Some(_), .. } => "not-undone",
            StepState { done: true, .. } => "done",
            StepState { skipped: Some(_), .. } => "skipped",
            StepState { given_up: Some(_), .. } => "given-up",
            StepState { failure: Some(_), .. } => "failed",
            StepState { asked: true, answer: None, .. } => "asks",
            StepState { halted: true, .. } => "halted",
            StepState { begun_ms: Some(_), .. } => "running",
            _ => "waits",
        }
    }
}

/// A run as its journal tells it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub steps: BTreeMap<StepId, StepState>,
    /// Steps with something recorded, in that order; undo goes backwards through it.
    pub recorded: Vec<StepId>,
    pub paused: Option<Command>,
    pub cancelled: Option<Command>,
    /// Why the run is being undone.
    pub undoing: Option<String>,
    /// Since when, milliseconds since 1970.
    pub undoing_since_ms: Option<i64>,
    pub ended: Option<(Status, String)>,
    /// The last order that was taken into account.
    pub orders: u64,
    pub last: Option<Entry>,
    /// When the first executor took it.
    pub started_ms: Option<i64>,
    /// Time that was spent waiting for people, ended waits only.
    pub waited_ms: u64,
    waiting_since_ms: Option<i64>,
    spent_ms: u64,
}

impl State {
    pub fn of(entries: &[Entry]) -> State {
        let mut state = State::default();
        for entry in entries {
            state.add(entry);
        }
        state
    }

    /// What is known of a step; nothing, before it began.
    pub fn step(&self, id: &StepId) -> StepState {
        self.steps.get(id).cloned().unwrap_or_default()
    }

    /// Takes the next entry in.
    pub fn add(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Created { .. } => {}
            Event::Taken { .. } => {
                self.started_ms.get_or_insert(entry.at_ms);
            }
            Event::Ordered { number, command } => {
                self.orders = *number;
                self.obey(command);
            }
            Event::StepBegun { step } => {
                let state = self.at(step);
                state.begun_ms = Some(entry.at_ms);
                state.first_begun_ms.get_or_insert(entry.at_ms);
            }
            Event::Checked { step } => self.at(step).checked = true,
            Event::Recorded { step, before } => {
                self.at(step).before = Some(before.clone());
                self.recorded.push(step.clone());
            }
            Event::Attempt { step, number } => self.at(step).attempts = *number,
            Event::AttemptFailed { step, .. } => self.at(step).failed_attempts += 1,
            Event::Acted { step, .. } => self.at(step).acted = true,
            Event::Judged { step, ruling, health } => {
                let step = self.at(step);
                step.ruling = Some(ruling.clone());
                if !health.is_empty() {
                    step.health.push((entry.at_ms, health.clone()));
                }
            }
            Event::Asked { step, question } => {
                let state = self.at(step);
                (state.asked, state.question) = (true, Some(question.clone()));
            }
            Event::Told { step, .. } => self.at(step).told = true,
            Event::StepDone { step } => {
                let state = self.at(step);
                (state.done, state.ended_ms, state.failure) = (true, Some(entry.at_ms), None);
            }
            Event::StepFailed { step, failure } => {
                let state = self.at(step);
                (state.failure, state.ended_ms) = (Some(failure.clone()), Some(entry.at_ms));
            }
            Event::GivenUp { step, failure } => {
                let state = self.at(step);
                (state.given_up, state.ended_ms) = (Some(failure.clone()), Some(entry.at_ms));
            }
            Event::Halted { step, .. } => self.at(step).halted = true,
            Event::UndoBegun { why } => {
                self.undoing = Some(why.clone());
                self.undoing_since_ms.get_or_insert(entry.at_ms);
            }
            Event::Undoing { .. } => {}
            Event::Undone { step } | Event::Kept { step, .. } => {
                let state = self.at(step);
                (state.undone, state.undone_ms) = (true, Some(entry.at_ms));
            }
            Event::UndoFailed { step, failure } => self.at(step).undo_failure = Some(failure.clone()),
            Event::Ended { status, sentence } => self.ended = Some((*status, sentence.clone())),
        }
        self.count_spent(entry);
        self.count_waiting(entry.at_ms);
        self.last = Some(entry.clone());
    }

    fn at(&mut self, step: &StepId) -> &mut StepState {
        self.steps.entry(step.clone()).or_default()
    }

    fn obey(&mut self, command: &Command) {
        match &command.order {
            Order::Pause => self.paused = Some(command.clone()),
            Order::Resume => {
                self.paused = None;
                for state in self.steps.values_mut() {
                    // What failed is tried anew, from its check on unless it had changed something already.
                    if state.failure.take().is_some() {
                        (state.failed_attempts, state.begun_ms, state.ruling) = (0, None, None);
                        state.health.clear();
                        (state.asked, state.question, state.answer, state.halted) = (false, None, None, false);
                    }
                    // A halt that a person has seen is over.
                    if std::mem::take(&mut state.halted) {
                        state.answer = Some((true, command.clone()));
                    }
                }
            }
            Order::Cancel => self.cancelled = Some(command.clone()),
            Order::UndoAgain => self.undo_again(),
            Order::Skip(step) => {
                let state = self.at(step);
                if !state.done {
                    (state.skipped, state.failure) = (Some(command.clone()), None);
                }
            }
            Order::Approve(step) => self.at(step).answer = Some((true, command.clone())),
            Order::Reject(step) => self.at(step).answer = Some((false, command.clone())),
        }
    }

    /// The place that a step changed; empty where there is only one.
    fn site(&self, id: &StepId) -> String {
        let before = self.steps.get(id).and_then(|state| state.before.as_ref()?.first());
        before.map(|recorded| recorded.object.site_name().to_owned()).unwrap_or_default()
    }

    /// Back to where the undo stopped. A step that could not be undone is before others in time, and those were undone without it: they are
    /// undone once more after it, for what it restores is what was there between them.
    fn undo_again(&mut self) {
        if !matches!(self.ended, Some((Status::Failed, _))) {
            return;
        }
        self.ended = None;
        let stuck = |id: &StepId| self.steps.get(id).is_some_and(|state| state.undo_failure.is_some());
        // Each place has a past of its own: one that was put back whole is left as it is.
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for (position, id) in self.recorded.iter().enumerate().filter(|(_, id)| stuck(id)) {
            last.insert(self.site(id), position);
        }
        for (position, id) in self.recorded.clone().iter().enumerate() {
            if last.get(&self.site(id)).is_some_and(|last| position <= *last)
                && let Some(state) = self.steps.get_mut(id)
            {
                (state.undone, state.undo_failure) = (false, None);
            }
        }
    }

    /// Until somebody took the run, and until somebody took it again, nobody was at work.
    fn count_spent(&mut self, entry: &Entry) {
        let Some(last) = self.last.as_ref().filter(|_| self.started_ms.is_some()) else { return };
        if self.waiting_since_ms.is_none() && !matches!(entry.event, Event::Taken { .. }) {
            let passed_ms = u64::try_from(entry.at_ms.saturating_sub(last.at_ms)).unwrap_or(0);
            self.spent_ms = self.spent_ms.saturating_add(passed_ms);
        }
    }

    fn count_waiting(&mut self, at_ms: i64) {
        let waits = matches!(self.status(), Status::Paused | Status::Waiting | Status::Halted);
        match (waits, self.waiting_since_ms) {
            (true, None) => self.waiting_since_ms = Some(at_ms),
            (false, Some(since_ms)) => {
                self.waited_ms =
                    self.waited_ms.saturating_add(u64::try_from(at_ms.saturating_sub(since_ms)).unwrap_or(0));
                self.waiting_since_ms = None;
            }
            _ => {}
        }
    }

    /// What the run took until its journal's last line, waits for people left out, by the writers' clocks.
    pub fn spent_ms(&self) -> u64 {
        self.spent_ms
    }

    /// Where the run stands.
    pub fn status(&self) -> Status {
        if let Some((status, _)) = &self.ended {
            return *status;
        }
        let some = |test: fn(&StepState) -> bool| self.steps.values().any(|state| !state.is_over() && test(state));
        if self.undoing.is_some() {
            Status::RollingBack
        } else if some(|state| state.halted || state.failure.is_some()) {
            Status::Halted
        } else if self.paused.is_some() {
            Status::Paused
        } else if some(|state| state.asked && state.answer.is_none()) {
            Status::Waiting
        } else if self.started_ms.is_some() {
            Status::Running
        } else {
            Status::Planned
        }
    }

    /// Steps that may begin or go on now, in the plan's order.
    pub fn ready<'a>(&self, plan: &'a Plan) -> Vec<&'a Step> {
        let over = |id: &StepId| self.steps.get(id).is_some_and(StepState::is_over);
        let ready = |step: &&Step| {
            let blocked = self.steps.get(&step.id).is_some_and(|state| state.failure.is_some());
            !over(&step.id) && !blocked && step.after.iter().all(over)
        };
        plan.steps.iter().filter(ready).collect()
    }

    /// Whether every step is over.
    pub fn is_done(&self, plan: &Plan) -> bool {
        plan.steps.iter().all(|step| self.steps.get(&step.id).is_some_and(StepState::is_over))
    }

    /// Steps still to be undone, the last recorded first.
    pub fn to_undo(&self) -> Vec<StepId> {
        let open = |id: &&StepId| self.steps.get(id).is_none_or(|state| !state.undone && state.undo_failure.is_none());
        self.recorded.iter().rev().filter(open).cloned().collect()
    }

    /// [`crate::progress`] at the journal's last line, for whoever wants the percentage alone.
    pub fn percent(&self, plan: &Plan) -> u8 {
        crate::progress(plan, self, 0).percent
    }
}
