//! The executor's contract kept by a database: see [`operate_execute::History`]. A row of `runs` is what its journal says, written in the
//! same transaction as the line that changes it. It does not know what a step does.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use base_world::Disk;
use operate_execute::{
    Begun, Command, Entry, Event, Fence, Filter, History, HistoryError, Lease, NewRun, RunId, RunRow, State, Status,
};
use operate_plan::{Plan, leases};
use parking_lot::Mutex;
use serde::Serialize;

use crate::db::{Db, Row, Tx, values};
use crate::open::Settings;
use crate::trouble::store;
use crate::{open, runs, schema};

/// Runs whose state is remembered between two lines of their journal; more are read anew.
const STATES_MAX: usize = 256;

/// Runs, plans, journals, leases and orders in a database; artefacts and the audit log beside them. Clones share it.
#[derive(Clone)]
pub struct SqlHistory {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: Db,
    /// What the journals of runs on their way say so far; the last line tells whether it is still true.
    states: Mutex<BTreeMap<RunId, State>>,
}

impl SqlHistory {
    /// Opens or makes a history: `place` is the path of a file, or the URL of a PostgreSQL database (`postgres://…`). Tables of an older
    /// version are brought up, those of a newer one refused.
    pub async fn open(disk: &dyn Disk, place: &str) -> Result<SqlHistory, HistoryError> {
        SqlHistory::open_with(disk, place, &Settings::default()).await
    }

    pub async fn open_with(disk: &dyn Disk, place: &str, settings: &Settings) -> Result<SqlHistory, HistoryError> {
        let db = open::open(disk, place, settings).await?;
        schema::migrate(&db).await?;
        Ok(SqlHistory { inner: Arc::new(Inner { db, states: Mutex::default() }) })
    }

    /// Where it is, for people; without a password.
    pub fn place(&self) -> &str {
        &self.inner.db.place.0
    }

    /// The first line of a run's journal that does not follow from those before it; `None` when all do and none is missing at the end.
    pub async fn verify_run(&self, run: &RunId) -> Result<Option<u64>, HistoryError> {
        let head = self.inner.db.row("SELECT last_seq, last_hash FROM runs WHERE id = $1", values![run.0.as_str()]);
        let head = head.await?.ok_or_else(|| HistoryError::NoRun(run.clone()))?;
        let entries = self.entries(run, 0, usize::MAX).await?;
        if let Some(seq) = Entry::broken(&entries) {
            return Ok(Some(seq));
        }
        // Lines may have been added since the head was read; the one it names must be there.
        let named = head.count(0)?;
        let there = entries.iter().any(|entry| entry.seq == named && Ok(entry.hash.as_str()) == head.text(1));
        Ok((!there).then_some(named.min(entries.len() as u64 + 1)))
    }

    /// Runs to its end even if whoever waits for it goes away: what a driver does with a call that is cut off in the middle of a commit is
    /// not ours to know.
    pub(crate) async fn whole<T, W>(&self, work: impl FnOnce(Arc<Inner>) -> W) -> Result<T, HistoryError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, HistoryError>> + Send + 'static,
    {
        let gone = |error: tokio::task::JoinError| store("written", error.to_string());
        tokio::spawn(work(Arc::clone(&self.inner))).await.map_err(gone)?
    }
}

pub(crate) fn json(value: &impl Serialize) -> Result<String, HistoryError> {
    serde_json::to_string(value).map_err(|error| store("written", format!("this cannot be put down as JSON: {error}")))
}

/// The word by which an event is told apart: `step-begun`.
fn kind(event: &Event) -> String {
    match serde_json::to_value(event) {
        Ok(serde_json::Value::Object(map)) => map.keys().next().cloned().unwrap_or_default(),
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// From `seq, at_ms, event, hash`.
fn entry(run: &RunId, row: &Row) -> Result<Entry, HistoryError> {
    let seq = row.count(0)?;
    let unread = |error: serde_json::Error| {
        store(
            "read",
            format!("line {seq} of the journal of `{run}` is not understood: {error}: a newer apm may have written it"),
        )
    };
    let event = serde_json::from_str(row.text(2)?).map_err(unread)?;
    let hash = serde_json::from_value(row.text(3)?.into()).map_err(unread)?;
    Ok(Entry { run: run.clone(), seq, at_ms: row.int(1)?, event, hash })
}

pub(crate) async fn keep(tx: &mut Tx, entry: &Entry) -> Result<(), HistoryError> {
    let values = values![
        entry.run.0.as_str(),
        entry.seq,
        entry.at_ms,
        kind(&entry.event).as_str(),
        json(&entry.event)?.as_str(),
        entry.hash.as_str(),
    ];
    tx.run("INSERT INTO entries (run, seq, at_ms, kind, event, hash) VALUES ($1, $2, $3, $4, $5, $6)", values).await?;
    Ok(())
}

/// A run with its plan and its first line, which is returned.
pub(crate) async fn insert(
    tx: &mut Tx,
    run: &RunId,
    plan: &Plan,
    at_ms: i64,
    command: &Command,
) -> Result<Entry, HistoryError> {
    let created =
        Event::Created { plan: plan.id().clone(), actor: command.actor.clone(), reason: command.reason.clone() };
    let first = Entry::after(None, run, at_ms, created);
    let row = tx
        .row(
            "INSERT INTO runs (id, title, target, labels, created_ms, status, sentence, last_seq, last_hash) \
                 VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8) ON CONFLICT (id) DO NOTHING RETURNING number",
            values![
                run.0.as_str(),
                plan.title.as_str(),
                plan.target.as_str(),
                json(&plan.labels)?.as_str(),
                at_ms,
                Status::Planned.word(),
                first.seq,
                first.hash.as_str(),
            ],
        )
        .await?;
    let number = row.ok_or_else(|| HistoryError::Exists(run.clone()))?.int(0)?;
    for (name, value) in &plan.labels {
        let values = values![name.as_str(), value.as_str(), number];
        tx.run("INSERT INTO run_labels (name, value, number) VALUES ($1, $2, $3)", values).await?;
    }
    let values = values![run.0.as_str(), plan.id().0.as_str(), json(plan)?.as_str()];
    tx.run("INSERT INTO plans (run, plan_id, plan) VALUES ($1, $2, $3)", values).await?;
    keep(tx, &first).await?;
    Ok(first)
}

impl Inner {
    async fn create(&self, run: &RunId, plan: &Plan, at_ms: i64, command: &Command) -> Result<(), HistoryError> {
        let mut tx = self.db.begin().await?;
        insert(&mut tx, run, plan, at_ms, command).await?;
        tx.commit().await
    }

    async fn append(&self, run: &RunId, fence: Fence, at_ms: i64, event: Event) -> Result<Entry, HistoryError> {
        let mut tx = self.db.begin().await?;
        let head = tx.held("SELECT target, last_hash FROM runs WHERE id = $1", values![run.0.as_str()]).await?;
        let head = head.ok_or_else(|| HistoryError::NoRun(run.clone()))?;
        let target = head.text(0)?.to_owned();
        // Held until the commit: whoever takes the target meanwhile waits, and finds this line.
        for place in leases(&target) {
            let lease = tx.shared("SELECT fence FROM leases WHERE target = $1", values![place.as_str()]).await?;
            if lease.is_none_or(|lease| lease.count(0).ok() != Some(fence.0)) {
                return Err(HistoryError::LeaseLost { target });
            }
        }
        let mut state = self.state(&mut tx, run, head.text(1)?).await?;
        let entry = Entry::after(state.last.as_ref(), run, at_ms, event);
        keep(&mut tx, &entry).await?;
        state.add(&entry);
        let (ended_ms, sentence) = match &entry.event {
            Event::Ended { sentence, .. } => (Some(at_ms), sentence.as_str()),
            _ => (None, ""),
        };
        tx.run(
            "UPDATE runs SET last_seq = $2, last_hash = $3, status = $4, ended_ms = $5, sentence = $6 WHERE id = $1",
            values![run.0.as_str(), entry.seq, entry.hash.as_str(), state.status().word(), ended_ms, sentence,],
        )
        .await?;
        tx.commit().await?;
        let mut states = self.states.lock();
        if ended_ms.is_some() {
            states.remove(run);
        } else {
            if states.len() >= STATES_MAX {
                states.clear();
            }
            states.insert(run.clone(), state);
        }
        Ok(entry)
    }

    /// A run that is no longer there.
    pub(crate) fn forget(&self, run: &RunId) {
        self.states.lock().remove(run);
    }

    /// What the journal says up to the line with this hash: remembered, or read and checked.
    async fn state(&self, tx: &mut Tx, run: &RunId, last_hash: &str) -> Result<State, HistoryError> {
        let remembered = self.states.lock().remove(run);
        let is_last = |state: &State| state.last.as_ref().is_some_and(|last| last.hash.as_str() == last_hash);
        if let Some(state) = remembered.filter(is_last) {
            return Ok(state);
        }
        let sql = "SELECT seq, at_ms, event, hash FROM entries WHERE run = $1 ORDER BY seq";
        let rows = tx.rows(sql, values![run.0.as_str()]).await?;
        let entries: Vec<Entry> = rows.iter().map(|row| entry(run, row)).collect::<Result<_, _>>()?;
        let state = State::of(&entries);
        let broken = Entry::broken(&entries).or((!is_last(&state)).then_some(entries.len() as u64 + 1));
        if let Some(seq) = broken {
            let what = format!(
                "line {seq} of the journal of `{run}` was changed or removed outside of apm: nothing is added to it"
            );
            return Err(store("written", what));
        }
        Ok(state)
    }

    async fn lease(&self, target: &str, holder: &str, now_ms: i64, ttl_ms: u64) -> Result<Lease, HistoryError> {
        let mut tx = self.db.begin().await?;
        let lease = self.take(&mut tx, target, holder, now_ms, ttl_ms).await?;
        if matches!(lease, Lease::Got(_)) {
            tx.commit().await?;
        }
        Ok(lease)
    }

    pub(crate) async fn take(
        &self,
        tx: &mut Tx,
        target: &str,
        holder: &str,
        now_ms: i64,
        ttl_ms: u64,
    ) -> Result<Lease, HistoryError> {
        let places = leases(target);
        // Rows to hold, so that two who come first are told apart too.
        for place in &places {
            tx.run(
                "INSERT INTO leases (target, holder, fence, until_ms) VALUES ($1, '', 0, $2) ON CONFLICT (target) DO NOTHING",
                values![place.as_str(), i64::MIN],
            )
            .await?;
        }
        let mut last = 0;
        for place in &places {
            let sql = "SELECT holder, fence, until_ms FROM leases WHERE target = $1";
            let row = tx.held(sql, values![place.as_str()]).await?;
            let row =
                row.ok_or_else(|| store("written", format!("the lease on `{place}` was removed outside of apm")))?;
            let until_ms = row.int(2)?;
            if until_ms > now_ms {
                return Ok(Lease::Held { holder: row.text(0)?.to_owned(), until_ms });
            }
            last = last.max(row.count(1)?);
        }
        let fence = Fence(last.saturating_add(1));
        for place in &places {
            tx.run(
                "UPDATE leases SET holder = $2, fence = $3, until_ms = $4 WHERE target = $1",
                values![place.as_str(), holder, fence.0, now_ms.saturating_add_unsigned(ttl_ms)],
            )
            .await?;
        }
        Ok(Lease::Got(fence))
    }

    /// Sets until when the leases of a target hold, as far as they are still ours; whether all were.
    async fn extend(&self, target: &str, fence: Fence, until_ms: i64) -> Result<bool, HistoryError> {
        let mut tx = self.db.begin().await?;
        let mut ours = true;
        for place in leases(target) {
            let sql = "UPDATE leases SET until_ms = $3 WHERE target = $1 AND fence = $2";
            ours &= tx.run(sql, values![place.as_str(), fence.0, until_ms]).await? > 0;
        }
        tx.commit().await?;
        Ok(ours)
    }

    async fn order(&self, run: &RunId, at_ms: i64, command: &Command) -> Result<u64, HistoryError> {
        let mut tx = self.db.begin().await?;
        let held = tx.held("SELECT number FROM runs WHERE id = $1", values![run.0.as_str()]).await?;
        held.ok_or_else(|| HistoryError::NoRun(run.clone()))?;
        let sql = "SELECT COALESCE(MAX(number), 0) FROM orders WHERE run = $1";
        let last = tx.row(sql, values![run.0.as_str()]).await?.map_or(Ok(0), |row| row.count(0))?;
        tx.run(
            "INSERT INTO orders (run, number, at_ms, command) VALUES ($1, $2, $3, $4)",
            values![run.0.as_str(), last + 1, at_ms, json(command)?.as_str()],
        )
        .await?;
        tx.commit().await?;
        Ok(last + 1)
    }
}

#[async_trait]
impl History for SqlHistory {
    async fn begin(&self, new: NewRun<'_>, at_ms: i64, holder: &str, ttl_ms: u64) -> Result<Begun, HistoryError> {
        self.begin_as(new, at_ms, holder, ttl_ms, None).await
    }

    async fn create(&self, run: &RunId, plan: &Plan, at_ms: i64, command: &Command) -> Result<(), HistoryError> {
        let (run, plan, command) = (run.clone(), plan.clone(), command.clone());
        self.whole(move |inner| async move { inner.create(&run, &plan, at_ms, &command).await }).await
    }

    async fn plan(&self, run: &RunId) -> Result<Plan, HistoryError> {
        let row = self.inner.db.row("SELECT plan FROM plans WHERE run = $1", values![run.0.as_str()]).await?;
        let row = row.ok_or_else(|| HistoryError::NoRun(run.clone()))?;
        let plan: Option<Plan> = serde_json::from_str(row.text(0)?).ok();
        plan.filter(Plan::is_intact).ok_or_else(|| HistoryError::Edited(run.clone()))
    }

    async fn entries(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<Entry>, HistoryError> {
        let sql = "SELECT e.seq, e.at_ms, e.event, e.hash FROM runs r LEFT JOIN entries e ON e.run = r.id AND e.seq > $2 \
                   WHERE r.id = $1 ORDER BY e.seq LIMIT $3";
        // A run without a line to tell is one row of nothing, a run that is not there is none.
        let rows = self.inner.db.rows(sql, values![run.0.as_str(), after, limit.max(1) as u64]).await?;
        if rows.is_empty() {
            return Err(HistoryError::NoRun(run.clone()));
        }
        let lines = rows.iter().filter(|row| !matches!(row.maybe_int(0), Ok(None)));
        lines.take(limit).map(|row| entry(run, row)).collect()
    }

    async fn append(&self, run: &RunId, fence: Fence, at_ms: i64, event: Event) -> Result<Entry, HistoryError> {
        let run = run.clone();
        self.whole(move |inner| async move { inner.append(&run, fence, at_ms, event).await }).await
    }

    async fn lease(&self, target: &str, holder: &str, now_ms: i64, ttl_ms: u64) -> Result<Lease, HistoryError> {
        let (target, holder) = (target.to_owned(), holder.to_owned());
        self.whole(move |inner| async move { inner.lease(&target, &holder, now_ms, ttl_ms).await }).await
    }

    async fn renew(&self, target: &str, fence: Fence, now_ms: i64, ttl_ms: u64) -> Result<(), HistoryError> {
        let (owned, until_ms) = (target.to_owned(), now_ms.saturating_add_unsigned(ttl_ms));
        let ours = self.whole(move |inner| async move { inner.extend(&owned, fence, until_ms).await }).await?;
        if ours { Ok(()) } else { Err(HistoryError::LeaseLost { target: target.to_owned() }) }
    }

    async fn release(&self, target: &str, fence: Fence) -> Result<(), HistoryError> {
        let target = target.to_owned();
        // The row stays, so that tokens keep rising.
        self.whole(move |inner| async move { inner.extend(&target, fence, i64::MIN).await }).await?;
        Ok(())
    }

    async fn order(&self, run: &RunId, at_ms: i64, command: &Command) -> Result<u64, HistoryError> {
        let (run, command) = (run.clone(), command.clone());
        self.whole(move |inner| async move { inner.order(&run, at_ms, &command).await }).await
    }

    async fn orders(&self, run: &RunId, after: u64) -> Result<Vec<(u64, Command)>, HistoryError> {
        let sql = "SELECT o.number, o.command FROM runs r LEFT JOIN orders o ON o.run = r.id AND o.number > $2 \
                   WHERE r.id = $1 ORDER BY o.number";
        let rows = self.inner.db.rows(sql, values![run.0.as_str(), after]).await?;
        if rows.is_empty() {
            return Err(HistoryError::NoRun(run.clone()));
        }
        let given = rows.iter().filter(|row| !matches!(row.maybe_int(0), Ok(None)));
        given
            .map(|row| {
                let number = row.count(0)?;
                let unread = |error| store("read", format!("order {number} of `{run}` is not understood: {error}"));
                Ok((number, serde_json::from_str(row.text(1)?).map_err(unread)?))
            })
            .collect()
    }

    async fn runs(&self, filter: &Filter) -> Result<Vec<RunRow>, HistoryError> {
        runs::list(&self.inner.db, filter).await
    }
}
