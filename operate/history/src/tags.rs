//! Tags of runs: given, taken away, each with its line in the audit log in the same transaction. Lists find runs by them, and a run that has one is kept.

use std::collections::BTreeSet;

use operate_execute::{HistoryError, RunId, TAGS_MAX, Tag};

use crate::db::values;
use crate::history::{Inner, json};
use crate::trouble::store;
use crate::{Action, Deed, SqlHistory};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    #[error("the run `{run}` would have {count} tags, and {TAGS_MAX} are the most")]
    TooMany { run: RunId, count: usize },
    #[error(transparent)]
    History(#[from] HistoryError),
}

impl SqlHistory {
    /// Gives a run tags besides those it has; returns all of them. `deed` tells who and why, and is written only if anything is otherwise
    /// afterwards.
    pub async fn tag(&self, run: &RunId, tags: &[Tag], at_ms: i64, deed: &Deed) -> Result<Vec<Tag>, TagError> {
        self.retagged(run, tags, at_ms, Deed { action: Action::Tag, ..deed.clone() }).await
    }

    /// Takes tags from a run; returns those that are left.
    pub async fn untag(&self, run: &RunId, tags: &[Tag], at_ms: i64, deed: &Deed) -> Result<Vec<Tag>, TagError> {
        self.retagged(run, tags, at_ms, Deed { action: Action::Untag, ..deed.clone() }).await
    }

    async fn retagged(&self, run: &RunId, tags: &[Tag], at_ms: i64, deed: Deed) -> Result<Vec<Tag>, TagError> {
        let (run, tags) = (run.clone(), tags.to_vec());
        // The refusal travels beside the transaction's own errors.
        self.whole(move |inner| async move { inner.retag(&run, &tags, at_ms, deed).await }).await?
    }
}

impl Inner {
    async fn retag(
        &self,
        run: &RunId,
        tags: &[Tag],
        at_ms: i64,
        deed: Deed,
    ) -> Result<Result<Vec<Tag>, TagError>, HistoryError> {
        let mut tx = self.db.begin().await?;
        let row = tx.held("SELECT number, tags FROM runs WHERE id = $1", values![run.0.as_str()]).await?;
        let row = row.ok_or_else(|| HistoryError::NoRun(run.clone()))?;
        let number = row.int(0)?;
        let before: BTreeSet<Tag> = read(run, row.text(1)?)?;
        let named: BTreeSet<Tag> = tags.iter().cloned().collect();
        let after: BTreeSet<Tag> = match deed.action {
            Action::Untag => before.difference(&named).cloned().collect(),
            _ => before.union(&named).cloned().collect(),
        };
        if after.len() > TAGS_MAX && after.len() > before.len() {
            return Ok(Err(TagError::TooMany { run: run.clone(), count: after.len() }));
        }
        if after != before {
            let sql = "UPDATE runs SET tags = $2 WHERE number = $1";
            tx.run(sql, values![number, json(&after)?.as_str()]).await?;
            for tag in before.difference(&after) {
                let sql = "DELETE FROM run_tags WHERE number = $1 AND name = $2";
                tx.run(sql, values![number, tag.as_str()]).await?;
            }
            for tag in after.difference(&before) {
                tx.run("INSERT INTO run_tags (name, number) VALUES ($2, $1)", values![number, tag.as_str()]).await?;
            }
            let changed: Vec<&str> = before.symmetric_difference(&after).map(Tag::as_str).collect();
            let reason = if deed.why.is_empty() { String::new() } else { format!(": {}", deed.why) };
            let why = format!("{}{reason}", changed.join(", "));
            self.add(&mut tx, at_ms, Deed { run: Some(run.clone()), why, ..deed }).await?;
            tx.commit().await?;
        }
        Ok(Ok(after.into_iter().collect()))
    }
}

/// The column `tags` of a run.
pub(crate) fn read<T: serde::de::DeserializeOwned>(run: &RunId, text: &str) -> Result<T, HistoryError> {
    serde_json::from_str(text)
        .map_err(|error| store("read", format!("the tags of `{run}` are not understood: {error}")))
}
