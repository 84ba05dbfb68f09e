//! Old runs are removed, each whole and in one step: plan, journal, orders, artefacts whose time is over. What is left is one line that says
//! which run it was and how its journal ended, and the audit log, which names who removed it and loses nothing. It does not decide when.

use std::collections::BTreeMap;

use operate_execute::{Filter, History as _, HistoryError, RunId, RunRow, Status};

use crate::db::{Tx, values};
use crate::history::{Inner, json};
use crate::{Action, Deed, SqlHistory};

/// Which runs may go: those that ended longer ago than `older_ms`, but never the newest `keep` of a service and environment, nor one that has
/// not ended or that has a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub older_ms: u64,
    /// At least 1 is kept: the last run says what is there and what was there before.
    pub keep: usize,
}

/// What went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    pub runs: u64,
    pub artefacts: u64,
}

/// Rows that are read at once.
const PAGE: usize = 500;

impl SqlHistory {
    /// Runs that may go, the oldest first. One with a tag stays, unless it is among `forced`.
    pub async fn prunable(
        &self,
        retention: Retention,
        forced: &[RunId],
        now_ms: i64,
    ) -> Result<Vec<RunRow>, HistoryError> {
        let before_ms = now_ms.saturating_sub_unsigned(retention.older_ms);
        let mut kept: BTreeMap<[Option<String>; 3], usize> = BTreeMap::new();
        let mut old = Vec::new();
        let mut filter = Filter { limit: PAGE, ..Filter::default() };
        loop {
            let rows = self.runs(&filter).await?;
            filter.before = rows.last().map(|row| row.run.clone());
            let is_last = rows.len() < PAGE;
            for row in rows {
                let label = |name: &str| row.labels.get(name).cloned();
                let kept = kept.entry([Some(row.target.clone()), label("service"), label("environment")]).or_default();
                let is_old = row.ended_ms.is_some_and(|ended_ms| ended_ms < before_ms);
                if *kept < retention.keep.max(1) {
                    *kept += 1;
                } else if row.status.is_end() && is_old && (row.tags.is_empty() || forced.contains(&row.run)) {
                    old.push(row);
                }
            }
            if is_last {
                old.reverse();
                return Ok(old);
            }
        }
    }

    /// Removes runs, and artefacts whose time is over. `deed` is written to the audit log for each run, with the run's name; a run that goes
    /// on after all (its undo is tried again) is left, and so is one with a tag that is not among `forced`.
    pub async fn prune(
        &self,
        runs: &[RunId],
        forced: &[RunId],
        now_ms: i64,
        deed: &Deed,
    ) -> Result<Pruned, HistoryError> {
        let mut pruned = Pruned { runs: 0, artefacts: self.expire_artefacts(now_ms).await? };
        for run in runs {
            let deed = Deed { action: Action::Prune, run: Some(run.clone()), ..deed.clone() };
            let (is_forced, run) = (forced.contains(run), run.clone());
            // One at a time: whoever deploys meanwhile does not wait for thousands.
            let gone = self.whole(move |inner| async move { inner.prune(&run, is_forced, now_ms, deed).await }).await?;
            pruned.runs += u64::from(gone);
        }
        Ok(pruned)
    }

    /// The last line's hash of a run that was pruned: what an older copy of its journal must end with.
    pub async fn pruned(&self, run: &RunId) -> Result<Option<String>, HistoryError> {
        let sql = "SELECT last_hash FROM pruned WHERE run = $1";
        let row = self.inner.db.row(sql, values![run.0.as_str()]).await?;
        row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
    }
}

impl Inner {
    /// Whether it is gone now.
    async fn prune(&self, run: &RunId, is_forced: bool, now_ms: i64, deed: Deed) -> Result<bool, HistoryError> {
        let mut tx = self.db.begin().await?;
        let row = tx.held("SELECT number, status, tags FROM runs WHERE id = $1", values![run.0.as_str()]).await?;
        let Some(row) = row else { return Ok(false) };
        let (number, status) = (row.int(0)?, row.text(1)?);
        let is_over = Status::ALL.iter().any(|end| end.is_end() && end.word() == status);
        if !is_over || (row.text(2)? != "[]" && !is_forced) {
            return Ok(false);
        }
        let id = run.0.as_str();
        tx.run(
            "INSERT INTO pruned (run, title, target, labels, status, created_ms, ended_ms, last_seq, last_hash, pruned_ms) \
             SELECT id, title, target, labels, status, created_ms, COALESCE(ended_ms, created_ms), last_seq, last_hash, $2 \
             FROM runs WHERE id = $1",
            values![id, now_ms],
        )
        .await?;
        self.orphan(&mut tx, run).await?;
        for sql in [
            "DELETE FROM entries WHERE run = $1",
            "DELETE FROM plans WHERE run = $1",
            "DELETE FROM orders WHERE run = $1",
            "DELETE FROM told WHERE run = $1",
        ] {
            tx.run(sql, values![id]).await?;
        }
        tx.run("DELETE FROM run_labels WHERE number = $1", values![number]).await?;
        tx.run("DELETE FROM run_tags WHERE number = $1", values![number]).await?;
        tx.run("DELETE FROM runs WHERE number = $1", values![number]).await?;
        self.add(&mut tx, now_ms, deed).await?;
        tx.commit().await?;
        self.forget(run);
        Ok(true)
    }

    /// Artefacts that must be kept longer stay, by their tag `run`.
    async fn orphan(&self, tx: &mut Tx, run: &RunId) -> Result<(), HistoryError> {
        let rows = tx.rows("SELECT id, tags FROM artefacts WHERE run = $1", values![run.0.as_str()]).await?;
        for row in rows {
            let id = row.count(0)?;
            let mut tags: BTreeMap<String, String> = serde_json::from_str(row.text(1)?).unwrap_or_default();
            if tags.insert("run".to_owned(), run.0.clone()).is_none() {
                let sql = "INSERT INTO artefact_tags (name, value, artefact) VALUES ('run', $1, $2)";
                tx.run(sql, values![run.0.as_str(), id]).await?;
            }
            let sql = "UPDATE artefacts SET run = NULL, tags = $2 WHERE id = $1";
            tx.run(sql, values![id, json(&tags)?.as_str()]).await?;
        }
        Ok(())
    }
}
