//! What is asked and ordered at the desk about runs that are kept: lists, journals, orders with their line in the audit log, and which old ones go. It
//! carries nothing out.

use base_explain::Report;
use operate_execute::{Command, Entry, Filter, History as _, Order, RunId, RunRow, State, Status};
use operate_history::{Action, Deed, Pruned, Retention};
use operate_plan::{Plan, Work};

use super::{Desk, DeskError, action, deed};

impl Desk {
    /// A line in the audit log.
    pub async fn record(
        &self,
        actor: &str,
        role: &str,
        action: Action,
        run: &RunId,
        why: &str,
    ) -> Result<(), DeskError> {
        self.history.record(self.world.clock.now_ms(), &deed(actor, role, action, run, why)).await?;
        Ok(())
    }

    /// Leaves an order for whoever carries the run out. Nobody asked for a role.
    pub async fn order(&self, run: &RunId, command: Command) -> Result<(), DeskError> {
        self.order_as(run, command, "").await
    }

    /// The same by somebody with a role. It is in the audit log before it is given. To resume a run whose undo failed is to try the undo again;
    /// whoever executes it next does.
    pub async fn order_as(&self, run: &RunId, mut command: Command, role: &str) -> Result<(), DeskError> {
        let (plan, state) = self.look(run).await?;
        if state.status() == Status::Failed && command.order == Order::Resume {
            command.order = Order::UndoAgain;
        }
        if let Some(step) = command.order.step().filter(|step| plan.step(step).is_none()) {
            return Err(DeskError::NoStep { run: run.clone(), step: step.0.clone() });
        }
        let status = state.status();
        if (status.is_end() && command.order != Order::UndoAgain) || status == Status::RollingBack {
            return Err(DeskError::Ended { run: run.clone(), status });
        }
        let overrides = |order: &Order| match order {
            Order::Approve(step) | Order::Skip(step) => {
                plan.step(step).filter(|step| matches!(step.work, Work::Window(_))).map(|step| step.id.clone())
            }
            _ => None,
        };
        if let Some(step) = overrides(&command.order).filter(|_| command.reason.trim().is_empty()) {
            return Err(DeskError::NoReason { step });
        }
        if command.order == Order::UndoAgain {
            self.executor(&plan.target)?.not_overtaken(run, &plan).await?;
        }
        self.record(&command.actor, role, action(&command.order), run, &command.reason).await?;
        self.history.order(run, self.world.clock.now_ms(), &command).await?;
        Ok(())
    }

    /// The plan and where it stands.
    pub async fn look(&self, run: &RunId) -> Result<(Plan, State), DeskError> {
        let plan = self.history.plan(run).await?;
        Ok((plan, State::of(&self.entries(run, 0).await?)))
    }

    /// What a run is to do.
    pub async fn plan_of(&self, run: &RunId) -> Result<Plan, DeskError> {
        Ok(self.history.plan(run).await?)
    }

    /// Entries after one, at most `limit`.
    pub async fn page(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<Entry>, DeskError> {
        Ok(self.history.entries(run, after, limit).await?)
    }

    /// All entries after one.
    pub async fn entries(&self, run: &RunId, after: u64) -> Result<Vec<Entry>, DeskError> {
        let mut all: Vec<Entry> = Vec::new();
        loop {
            let after = all.last().map_or(after, |entry| entry.seq);
            let page = self.history.entries(run, after, 1000).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// Runs that may go by now, the oldest first; removes nothing. One with a tag is among them only if it is `forced`.
    pub async fn prunable(&self, retention: Retention, forced: &[RunId]) -> Result<Vec<RunRow>, DeskError> {
        Ok(self.history.prunable(retention, forced, self.world.clock.now_ms()).await?)
    }

    /// Removes them, with a line in the audit log for each.
    pub async fn prune(
        &self,
        rows: &[RunRow],
        forced: &[RunId],
        actor: &str,
        role: &str,
        why: &str,
    ) -> Result<Pruned, DeskError> {
        let runs: Vec<RunId> = rows.iter().map(|row| row.run.clone()).collect();
        let (actor, role, why) = (actor.to_owned(), role.to_owned(), why.to_owned());
        let deed = Deed { actor, role, action: Action::Prune, run: None, why };
        Ok(self.history.prune(&runs, forced, self.world.clock.now_ms(), &deed).await?)
    }

    pub async fn runs(&self, filter: &Filter) -> Result<Vec<RunRow>, DeskError> {
        Ok(self.history.runs(filter).await?)
    }

    /// The run that is meant by a name, or by nothing: the newest.
    pub async fn find(&self, name: Option<&str>) -> Result<RunId, DeskError> {
        if let Some(name) = name {
            return Ok(RunId(name.to_owned()));
        }
        let newest = self.runs(&Filter { limit: 1, ..Filter::default() }).await?;
        newest
            .into_iter()
            .next()
            .map(|row| row.run)
            .ok_or_else(|| DeskError::Told(Report::new("nothing was deployed yet").hint("begin with `apm deploy`")))
    }
}
