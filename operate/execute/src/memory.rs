//! A history that forgets when the process ends: for tests and rehearsals. It keeps the whole contract, tokens and chain of hashes
//! included, and is what a database is compared with.

use std::collections::BTreeMap;

use async_trait::async_trait;
use operate_plan::{Plan, leases, overlaps};
use parking_lot::Mutex;

use crate::{
    Begun, Command, Entry, Event, Fence, Filter, History, HistoryError, Lease, NewRun, RunId, RunRow, State, Status,
};

#[derive(Default)]
struct Kept {
    runs: Vec<Run>,
    leases: BTreeMap<String, Held>,
}

struct Run {
    id: RunId,
    plan: Plan,
    entries: Vec<Entry>,
    orders: Vec<Command>,
}

struct Held {
    holder: String,
    fence: Fence,
    until_ms: i64,
}

/// All in memory, behind one lock.
#[derive(Default)]
pub struct MemoryHistory {
    kept: Mutex<Kept>,
}

impl Kept {
    fn run(&mut self, id: &RunId) -> Result<&mut Run, HistoryError> {
        self.runs.iter_mut().find(|run| run.id == *id).ok_or_else(|| HistoryError::NoRun(id.clone()))
    }
}

impl Kept {
    fn create(&mut self, new: NewRun<'_>, at_ms: i64) -> Result<(), HistoryError> {
        if self.runs.iter().any(|run| run.id == *new.run) {
            return Err(HistoryError::Exists(new.run.clone()));
        }
        let (actor, reason) = (new.command.actor.clone(), new.command.reason.clone());
        let created = Event::Created { plan: new.plan.id().clone(), actor, reason };
        let entries = vec![Entry::after(None, new.run, at_ms, created)];
        self.runs.push(Run { id: new.run.clone(), plan: new.plan.clone(), entries, orders: Vec::new() });
        Ok(())
    }

    /// The leases of all places of a target, or none of them. One token for all: higher than any that was ever given for one of them.
    fn lease(&mut self, target: &str, holder: &str, now_ms: i64, ttl_ms: u64) -> Lease {
        let until_ms = now_ms.saturating_add_unsigned(ttl_ms);
        if let Some(held) = self.held(target, now_ms) {
            return Lease::Held { holder: held.holder.clone(), until_ms: held.until_ms };
        }
        let places = leases(target);
        let last = places.iter().filter_map(|place| self.leases.get(place)).map(|held| held.fence.0).max();
        let fence = Fence(last.unwrap_or(0) + 1);
        for place in places {
            self.leases.insert(place, Held { holder: holder.to_owned(), fence, until_ms });
        }
        Lease::Got(fence)
    }

    /// Whoever has one of a target's places.
    fn held(&self, target: &str, now_ms: i64) -> Option<&Held> {
        leases(target).iter().filter_map(|place| self.leases.get(place)).find(|held| held.until_ms > now_ms)
    }

    /// Whether all places of a target are still the token's.
    fn is_ours(&self, target: &str, fence: Fence) -> bool {
        leases(target).iter().all(|place| self.leases.get(place).is_some_and(|held| held.fence == fence))
    }
}

#[async_trait]
impl History for MemoryHistory {
    async fn begin(&self, new: NewRun<'_>, at_ms: i64, holder: &str, ttl_ms: u64) -> Result<Begun, HistoryError> {
        let mut kept = self.kept.lock();
        let target = &new.plan.target;
        if let Some(held) = kept.held(target, at_ms) {
            return Ok(Begun::Held { holder: held.holder.clone(), until_ms: held.until_ms });
        }
        let begun = kept.runs.iter().map(|run| (run, row(run).status));
        let mut begun = begun.filter(|(run, status)| overlaps(&run.plan.target, target) && status.is_begun());
        if let Some((run, status)) = begun.next() {
            return Ok(Begun::Occupied { run: run.id.clone(), status });
        }
        drop(begun);
        kept.create(new, at_ms)?;
        let Lease::Got(fence) = kept.lease(target, holder, at_ms, ttl_ms) else {
            return Err(HistoryError::LeaseLost { target: target.clone() });
        };
        let entries = &mut kept.run(new.run)?.entries;
        let taken = Event::Taken { holder: holder.to_owned(), token: fence.0 };
        entries.push(Entry::after(entries.last(), new.run, at_ms, taken));
        Ok(Begun::Got(fence))
    }

    async fn create(&self, run: &RunId, plan: &Plan, at_ms: i64, command: &Command) -> Result<(), HistoryError> {
        self.kept.lock().create(NewRun { run, plan, command }, at_ms)
    }

    async fn plan(&self, id: &RunId) -> Result<Plan, HistoryError> {
        let plan = self.kept.lock().run(id)?.plan.clone();
        if plan.is_intact() { Ok(plan) } else { Err(HistoryError::Edited(id.clone())) }
    }

    async fn entries(&self, id: &RunId, after: u64, limit: usize) -> Result<Vec<Entry>, HistoryError> {
        let mut kept = self.kept.lock();
        Ok(kept.run(id)?.entries.iter().filter(|entry| entry.seq > after).take(limit).cloned().collect())
    }

    async fn append(&self, id: &RunId, fence: Fence, at_ms: i64, event: Event) -> Result<Entry, HistoryError> {
        let mut kept = self.kept.lock();
        let target = kept.run(id)?.plan.target.clone();
        if !kept.is_ours(&target, fence) {
            return Err(HistoryError::LeaseLost { target });
        }
        let entries = &mut kept.run(id)?.entries;
        let entry = Entry::after(entries.last(), id, at_ms, event);
        entries.push(entry.clone());
        Ok(entry)
    }

    async fn lease(&self, target: &str, holder: &str, now_ms: i64, ttl_ms: u64) -> Result<Lease, HistoryError> {
        Ok(self.kept.lock().lease(target, holder, now_ms, ttl_ms))
    }

    async fn renew(&self, target: &str, fence: Fence, now_ms: i64, ttl_ms: u64) -> Result<(), HistoryError> {
        let mut kept = self.kept.lock();
        if !kept.is_ours(target, fence) {
            return Err(HistoryError::LeaseLost { target: target.to_owned() });
        }
        for place in leases(target) {
            if let Some(held) = kept.leases.get_mut(&place) {
                held.until_ms = now_ms.saturating_add_unsigned(ttl_ms);
            }
        }
        Ok(())
    }

    async fn release(&self, target: &str, fence: Fence) -> Result<(), HistoryError> {
        // The row stays, so that tokens keep rising.
        let mut kept = self.kept.lock();
        for place in leases(target) {
            if let Some(held) = kept.leases.get_mut(&place).filter(|held| held.fence == fence) {
                held.until_ms = i64::MIN;
            }
        }
        Ok(())
    }

    async fn order(&self, id: &RunId, _at_ms: i64, command: &Command) -> Result<u64, HistoryError> {
        let mut kept = self.kept.lock();
        let orders = &mut kept.run(id)?.orders;
        orders.push(command.clone());
        Ok(orders.len() as u64)
    }

    async fn orders(&self, id: &RunId, after: u64) -> Result<Vec<(u64, Command)>, HistoryError> {
        let mut kept = self.kept.lock();
        let numbered = (1..).zip(kept.run(id)?.orders.iter().cloned());
        Ok(numbered.filter(|(number, _)| *number > after).collect())
    }

    async fn runs(&self, filter: &Filter) -> Result<Vec<RunRow>, HistoryError> {
        let kept = self.kept.lock();
        let newest = kept.runs.iter().rev();
        let older = newest.skip_while(|run| filter.before.as_ref().is_some_and(|before| run.id != *before));
        let rows = older.skip(usize::from(filter.before.is_some())).map(row).filter(|row| {
            let labels = filter.labels.iter().all(|(name, value)| row.labels.get(name) == Some(value));
            labels && filter.tags.is_empty() && filter.status.is_none_or(|status| row.status == status)
        });
        Ok(rows.take(filter.limit).collect())
    }
}

fn row(run: &Run) -> RunRow {
    let state = State::of(&run.entries);
    let ended = run.entries.last().and_then(|entry| match &entry.event {
        Event::Ended { sentence, .. } => Some((entry.at_ms, sentence.clone())),
        _ => None,
    });
    RunRow {
        run: run.id.clone(),
        title: run.plan.title.clone(),
        target: run.plan.target.clone(),
        labels: run.plan.labels.clone(),
        status: if run.entries.len() <= 1 { Status::Planned } else { state.status() },
        created_ms: run.entries.first().map_or(0, |entry| entry.at_ms),
        ended_ms: ended.as_ref().map(|(at_ms, _)| *at_ms),
        sentence: ended.map(|(_, sentence)| sentence).unwrap_or_default(),
        // Nobody gives tags here.
        tags: Vec::new(),
    }
}
