//! The loop over one run: takes the lease, starts the steps that are ready, listens for orders, keeps the lease, ends or undoes. One task,
//! so nothing here runs at the same time as anything else but the waits. It does not know how a step is carried out ([`crate::step`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base_world::Clock;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use operate_plan::{Class, Failure, OnFailure, Plan, Severity, Step, StepId, Work, overlaps};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::broadcast;

use crate::log::Log;
use crate::step::Drive;
use crate::{
    Breaker, Entry, Event, Fence, Filter, History, HistoryError, Judge, Lease, Order, Ruling, RunId, Seal, State,
    Status, Target, undo,
};

/// Tells people something while a run goes on: an alert step, a rollback, a run that needs them.
pub trait Tell: Send + Sync {
    /// Must not block; whether it arrives is the teller's business.
    fn tell(&self, run: &RunId, severity: Severity, message: &str);
}

/// The executor's own times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a lease holds without renewal; after that any other executor may go on.
    pub lease_ms: u64,
    /// How often orders are looked for.
    pub poll_ms: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { lease_ms: 15_000, poll_ms: 250 }
    }
}

/// Why a run was not carried to an end by this executor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Another run changes the target, or another executor has this one.
    #[error("`{target}` is being changed by {holder}")]
    Busy { target: String, holder: String, until_ms: i64 },
    /// The undo of a run is not taken up again when a later run has changed the target: it would undo that one too.
    #[error("`{run}` is not undone any more: `{by}` has changed `{target}` since")]
    Overtaken { run: RunId, target: String, by: RunId },
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// Everything that is needed to carry plans out on one target.
pub struct Executor {
    pub history: Arc<dyn History>,
    pub target: Arc<dyn Target>,
    pub judge: Arc<dyn Judge>,
    pub tell: Arc<dyn Tell>,
    pub clock: Arc<dyn Clock>,
    pub seal: Arc<Seal>,
    /// Who this is, for people: `apm 4711 on host`.
    pub holder: String,
    pub settings: Settings,
    /// Each entry after it was kept; who lags reads them from the history.
    pub watch: broadcast::Sender<Entry>,
}

/// What the parts of one run share.
pub(crate) struct Running<'a> {
    pub(crate) executor: &'a Executor,
    pub(crate) run: RunId,
    pub(crate) plan: Plan,
    pub(crate) fence: Fence,
    pub(crate) log: Arc<Log>,
    /// One for each place that is changed: trouble in one is none of the others'.
    pub(crate) breakers: Mutex<BTreeMap<String, Breaker>>,
    spent: Mutex<Spent>,
}

/// Time that the run itself took, waits for people left out. Within one executor it is counted by a clock that nobody sets.
struct Spent {
    ms: u64,
    counted_ms: u64,
}

impl Executor {
    /// Carries a run to its end, from wherever its journal says it is. Returns where it ended; a run that waits for a person is waited for.
    pub async fn run(&self, run: &RunId) -> Result<Status, RunError> {
        let plan = self.history.plan(run).await?;
        // A run that has ended takes its target not even for a moment: somebody may be about to begin the next one.
        let ended = self.state(run).await?.ended.map(|(status, _)| status);
        if let Some(status) = ended.filter(|status| *status != Status::Failed) {
            return Ok(status);
        }
        let now_ms = self.clock.now_ms();
        let fence = match self.history.lease(&plan.target, &self.holder, now_ms, self.settings.lease_ms).await? {
            Lease::Got(fence) => fence,
            Lease::Held { holder, until_ms } => {
                return Err(RunError::Busy { target: plan.target.clone(), holder, until_ms });
            }
        };
        self.run_held(run, plan, fence).await
    }

    /// The same by whoever has the target already, as [`History::begin`] gives it.
    pub async fn run_begun(&self, run: &RunId, fence: Fence) -> Result<Status, RunError> {
        let plan = self.history.plan(run).await?;
        self.run_held(run, plan, fence).await
    }

    async fn run_held(&self, run: &RunId, plan: Plan, fence: Fence) -> Result<Status, RunError> {
        let target = plan.target.clone();
        let ended = self.lead(run, plan, fence).await;
        if !matches!(ended, Err(RunError::History(_))) {
            self.history.release(&target, fence).await?;
        }
        ended
    }

    /// Where the journal says that it stands; read in pages, so that the history may bound its answers.
    async fn state(&self, run: &RunId) -> Result<State, HistoryError> {
        let mut state = State::default();
        loop {
            let after = state.last.as_ref().map_or(0, |entry| entry.seq);
            let entries = self.history.entries(run, after, 1000).await?;
            if entries.is_empty() {
                return Ok(state);
            }
            entries.iter().for_each(|entry| state.add(entry));
        }
    }

    async fn lead(&self, run: &RunId, plan: Plan, fence: Fence) -> Result<Status, RunError> {
        let state = self.state(run).await?;
        let mut again = Vec::new();
        if let Some((status, _)) = &state.ended {
            let status = *status;
            if status == Status::Failed {
                again = self.history.orders(run, state.orders).await?;
            }
            if !again.iter().any(|(_, command)| command.order == Order::UndoAgain) {
                return Ok(status);
            }
            self.not_overtaken(run, &plan).await?;
        }
        let taken = |last: &Entry| matches!(last.event, Event::Taken { token, .. } if token == fence.0);
        let begun = state.last.clone().filter(taken);
        let running = Running {
            executor: self,
            run: run.clone(),
            plan,
            fence,
            spent: Mutex::new(Spent { ms: state.spent_ms(), counted_ms: self.clock.monotonic_ns() / 1_000_000 }),
            log: Arc::new(Log::new(self, run, fence, state)),
            breakers: Mutex::default(),
        };
        // What was ordered of a run that had ended comes first, so that no line stands after an end that still holds.
        for (number, command) in again {
            running.note(Event::Ordered { number, command }).await?;
        }
        if let Some(begun) = begun {
            // Written when it was begun; whoever listens here has not heard of it. Nobody may be listening; that is fine.
            let _ = self.watch.send(begun);
        } else {
            running.note(Event::Taken { holder: self.holder.clone(), token: fence.0 }).await?;
        }
        // The lease is kept beside whatever goes on; when it is lost, everything is dropped where it stands.
        tokio::select! {
            biased;
            lost = running.keep_lease() => Err(lost.into()),
            ended = running.to_the_end() => ended,
        }
    }
}

impl Executor {
    /// Whether what a run recorded is still what was before: nobody began another run on the target since, unless that was undone whole.
    /// Asked again under the lease when the undo is taken up.
    pub async fn not_overtaken(&self, run: &RunId, plan: &Plan) -> Result<(), RunError> {
        let mut filter = Filter { limit: 200, ..Filter::default() };
        loop {
            let rows = self.history.runs(&filter).await?;
            for row in &rows {
                if row.run == *run {
                    return Ok(());
                }
                if overlaps(&row.target, &plan.target) && !matches!(row.status, Status::Planned | Status::RolledBack) {
                    let (run, target) = (run.clone(), plan.target.clone());
                    return Err(RunError::Overtaken { run, target, by: row.run.clone() });
                }
            }
            let Some(last) = rows.last() else { return Ok(()) };
            filter.before = Some(last.run.clone());
        }
    }
}

impl Running<'_> {
    /// Writes an entry and takes it into account.
    pub(crate) async fn note(&self, event: Event) -> Result<(), HistoryError> {
        Arc::clone(&self.log).note(event).await
    }

    /// The run as it stands.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.log.state.lock()
    }

    async fn keep_lease(&self) -> HistoryError {
        let executor = self.executor;
        let every = Duration::from_millis(executor.settings.lease_ms / 5);
        let mut deadline_ns = self.lease_deadline_ns();
        loop {
            tokio::time::sleep(every).await;
            // From before the call: the store counts from some moment within it.
            let next_ns = self.lease_deadline_ns();
            let (now_ms, ttl_ms) = (executor.clock.now_ms(), executor.settings.lease_ms);
            let renewed = executor.history.renew(&self.plan.target, self.fence, now_ms, ttl_ms);
            match tokio::time::timeout(every, renewed).await {
                Ok(Ok(())) => deadline_ns = next_ns,
                Ok(Err(error)) if !matches!(error, HistoryError::Store { .. }) => return error,
                // A store that is away for a moment is no loss of the lease until its time is over.
                _ if executor.clock.monotonic_ns() < deadline_ns => {}
                _ => return HistoryError::LeaseLost { target: self.plan.target.clone() },
            }
        }
    }

    fn lease_deadline_ns(&self) -> u64 {
        let lease_ns = self.executor.settings.lease_ms.saturating_mul(1_000_000);
        self.executor.clock.monotonic_ns().saturating_add(lease_ns)
    }

    async fn to_the_end(&self) -> Result<Status, RunError> {
        if self.state().undoing.is_none() {
            if let Some(why) = self.forwards().await? {
                // Steps were let go in the middle; what they were writing is written before anything is decided.
                self.log.settled().await;
                self.note(Event::UndoBegun { why }).await?;
            } else {
                let sentence = format!("{} is done", self.plan.title);
                return self.end(Status::Complete, sentence).await;
            }
        }
        let why = self.state().undoing.clone().unwrap_or_default();
        self.executor.tell.tell(&self.run, Severity::High, &format!("{} is being undone: {why}", self.plan.title));
        let failed = undo::all(self).await?;
        if failed.is_empty() {
            return self.end(Status::RolledBack, format!("undone, because {why}{}", self.hurt())).await;
        }
        let names: Vec<_> = failed.iter().map(|step| step.0.as_str()).collect();
        let stands = undo::stands(self, &failed);
        let sentence = format!("could not be undone at {}; it was undone because {why}{stands}", names.join(", "));
        self.executor.tell.tell(&self.run, Severity::Critical, &format!("{} {sentence}", self.plan.title));
        self.end(Status::Failed, sentence).await
    }

    /// How long people were hurt, where a judge said since when.
    fn hurt(&self) -> String {
        let since_ms = self.state().steps.values().find_map(|step| match step.ruling {
            Some(Ruling::Fail { hurt_since_ms, .. }) => hurt_since_ms,
            _ => None,
        });
        let Some(since_ms) = since_ms else { return String::new() };
        let hurt_ms = self.executor.clock.now_ms().saturating_sub(since_ms).max(0);
        format!("; people were hurt for {}.{} s", hurt_ms / 1000, hurt_ms % 1000 / 100)
    }

    async fn end(&self, status: Status, sentence: String) -> Result<Status, RunError> {
        self.note(Event::Ended { status, sentence }).await?;
        Ok(status)
    }

    /// Steps, until all are over (`None`) or the run must be undone (the reason).
    async fn forwards(&self) -> Result<Option<String>, RunError> {
        let mut driven: FuturesUnordered<Drive<'_>> = FuturesUnordered::new();
        let mut active: Vec<StepId> = Vec::new();
        let mut changed = self.log.changed.subscribe();
        let mut orders = std::pin::pin!(self.listen());
        let mut clock = tokio::time::interval(Duration::from_millis(self.executor.settings.poll_ms));
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if let Some(why) = self.must_undo() {
                return Ok(Some(why));
            }
            if self.state().is_done(&self.plan) {
                return Ok(None);
            }
            // A step that was skipped while it ran is let go; its neighbours begin again where they stand.
            let skipped = |id: &StepId| self.state().step(id).skipped.is_some();
            if active.iter().any(skipped) {
                driven.clear();
                active.clear();
            }
            let ready: Vec<Step> = {
                let state = self.state();
                let ready = if state.paused.is_some() { Vec::new() } else { state.ready(&self.plan) };
                ready.into_iter().filter(|step| !active.contains(&step.id)).cloned().collect()
            };
            for step in ready {
                active.push(step.id.clone());
                driven.push(crate::step::drive(self, step));
            }
            // Nothing is awaited but here: what is not polled may hold what the awaited one needs.
            tokio::select! {
                biased;
                Some((step, ended)) = driven.next(), if !driven.is_empty() => {
                    active.retain(|id| *id != step);
                    ended?;
                }
                error = &mut orders => return Err(error.into()),
                _ = changed.changed() => {}
                _ = clock.tick() => {}
            }
        }
    }

    /// The reason to go back, if there is one.
    fn must_undo(&self) -> Option<String> {
        let state = self.state();
        if let Some(command) = &state.cancelled {
            let reason = if command.reason.is_empty() { String::new() } else { format!(": {}", command.reason) };
            return Some(format!("{} cancelled it{reason}", command.actor));
        }
        if self.plan.on_failure == OnFailure::Halt {
            return None;
        }
        let limit_ms = self.plan.time_limit_ms;
        if self.spent_ms(state.status()) > limit_ms {
            return Some(format!("it took longer than its limit of {} s", limit_ms / 1000));
        }
        self.plan.steps.iter().find_map(|step| {
            let failure = state.steps.get(&step.id).filter(|state| !state.is_over())?.failure.clone()?;
            // A person's no and a judge's no speak for themselves.
            Some(if matches!(step.work, Work::Act(_)) {
                format!("`{}` failed: {failure}", step.name)
            } else {
                failure.message
            })
        })
    }

    /// What the run has taken until now; what passed since the last look counts if it is at work.
    fn spent_ms(&self, status: Status) -> u64 {
        let now_ms = self.executor.clock.monotonic_ns() / 1_000_000;
        let mut spent = self.spent.lock();
        let passed_ms = now_ms.saturating_sub(std::mem::replace(&mut spent.counted_ms, now_ms));
        if !matches!(status, Status::Paused | Status::Waiting | Status::Halted) {
            spent.ms = spent.ms.saturating_add(passed_ms);
        }
        spent.ms
    }

    /// Takes orders as they come, until the history refuses.
    async fn listen(&self) -> HistoryError {
        loop {
            let after = self.state().orders;
            match self.executor.history.orders(&self.run, after).await {
                Ok(orders) => {
                    for (number, command) in orders {
                        if let Err(error) = self.note(Event::Ordered { number, command }).await {
                            return error;
                        }
                    }
                }
                // Orders can wait; entries cannot, and their own append will say if the store is gone.
                Err(HistoryError::Store { .. }) => {}
                Err(error) => return error,
            }
            tokio::time::sleep(Duration::from_millis(self.executor.settings.poll_ms)).await;
        }
    }
}

/// A failure of the executor's own.
pub(crate) fn own(class: Class, code: &str, message: String, next: &str) -> Failure {
    Failure::new(class, code, message, next)
}

/// Whether an order names a step, for whoever checks it against the plan.
impl Order {
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Order::Skip(step) | Order::Approve(step) | Order::Reject(step) => Some(step),
            Order::Pause | Order::Resume | Order::Cancel | Order::UndoAgain => None,
        }
    }
}
