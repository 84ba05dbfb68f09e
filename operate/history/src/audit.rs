//! The audit log: who did what, when, on which run, and why; one chain of hashes over all runs. Lines are only ever added: the database
//! refuses to change them, and a line that was changed all the same breaks the chain. It does not decide who may do what.

use operate_execute::{HistoryError, RunId};
use operate_plan::digest;
use serde::{Deserialize, Serialize};

use crate::SqlHistory;
use crate::db::{Row, Tx, values};
use crate::history::Inner;
use crate::trouble::store;

/// What people do to runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Create,
    Approve,
    Reject,
    Pause,
    Resume,
    Cancel,
    Rollback,
    Skip,
    /// Went on with a run whose executor was gone.
    Takeover,
    /// Removed an old run.
    Prune,
    /// Gave a run tags.
    Tag,
    /// Took tags from a run.
    Untag,
}

impl Action {
    pub const ALL: [Action; 12] = [
        Action::Create,
        Action::Approve,
        Action::Reject,
        Action::Pause,
        Action::Resume,
        Action::Cancel,
        Action::Rollback,
        Action::Skip,
        Action::Takeover,
        Action::Prune,
        Action::Tag,
        Action::Untag,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Approve => "approve",
            Action::Reject => "reject",
            Action::Pause => "pause",
            Action::Resume => "resume",
            Action::Cancel => "cancel",
            Action::Rollback => "rollback",
            Action::Skip => "skip",
            Action::Takeover => "takeover",
            Action::Prune => "prune",
            Action::Tag => "tag",
            Action::Untag => "untag",
        }
    }
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    pub actor: String,
    /// `viewer`, `deployer`, `admin`; empty where nobody asked for one.
    pub role: String,
    pub action: Action,
    pub run: Option<RunId>,
    pub why: String,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// From 1, without gaps, over all runs.
    pub seq: u64,
    /// The writer's clock, milliseconds since 1970.
    pub at_ms: i64,
    #[serde(flatten)]
    pub deed: Deed,
    /// Over the previous line's hash and all of the above.
    pub hash: String,
}

/// Lines that are read at once.
const PAGE: usize = 1000;

/// The hash of a line; that of no line is empty.
fn chain(previous: &str, seq: u64, at_ms: i64, deed: &Deed) -> String {
    digest(&(previous, seq, at_ms, deed)).as_str().to_owned()
}

impl SqlHistory {
    /// Adds a line.
    pub async fn record(&self, at_ms: i64, deed: &Deed) -> Result<AuditLine, HistoryError> {
        let deed = deed.clone();
        self.whole(move |inner| async move { inner.record(at_ms, deed).await }).await
    }

    /// Lines after `after`, in order, at most `limit`.
    pub async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditLine>, HistoryError> {
        let sql =
            "SELECT seq, at_ms, actor, role, action, run, why, hash FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
        let rows = self.inner.db.rows(sql, values![after, limit as u64]).await?;
        rows.iter().map(line).collect()
    }

    /// Lines of one run, in order, at most `limit`.
    pub async fn audit_of(&self, run: &RunId, limit: usize) -> Result<Vec<AuditLine>, HistoryError> {
        let sql =
            "SELECT seq, at_ms, actor, role, action, run, why, hash FROM audit WHERE run = $1 ORDER BY seq LIMIT $2";
        let rows = self.inner.db.rows(sql, values![run.0.as_str(), limit as u64]).await?;
        rows.iter().map(line).collect()
    }

    /// Reads the whole log. The number of the first line that does not follow from those before it, or that is missing at the end.
    pub async fn verify_audit(&self) -> Result<Option<u64>, HistoryError> {
        let head = self.inner.db.row("SELECT seq, hash FROM audit_head", values![]).await?;
        let (mut seq, mut previous) = (0, String::new());
        loop {
            // A line that is not understood was changed too; but the database being away is no verdict.
            let sql = "SELECT seq, at_ms, actor, role, action, run, why, hash FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
            let rows = self.inner.db.rows(sql, values![seq, PAGE as u64]).await?;
            for row in &rows {
                let next = seq + 1;
                match line(row) {
                    Ok(line) if line.seq == next && line.hash == chain(&previous, next, line.at_ms, &line.deed) => {
                        (seq, previous) = (next, line.hash);
                    }
                    _ => return Ok(Some(next)),
                }
            }
            if rows.len() < PAGE {
                break;
            }
        }
        // Lines may have been added since the head was read, none may be gone.
        let Some(head) = head else { return Ok(Some(seq + 1)) };
        let complete = seq > head.count(0)? || (seq == head.count(0)? && previous == head.text(1)?);
        Ok((!complete).then_some(seq + 1))
    }
}

impl Inner {
    async fn record(&self, at_ms: i64, deed: Deed) -> Result<AuditLine, HistoryError> {
        let mut tx = self.db.begin().await?;
        let line = self.add(&mut tx, at_ms, deed).await?;
        tx.commit().await?;
        Ok(line)
    }

    /// The next line, kept when the transaction is.
    pub(crate) async fn add(&self, tx: &mut Tx, at_ms: i64, deed: Deed) -> Result<AuditLine, HistoryError> {
        let head = tx.held("SELECT seq, hash FROM audit_head", values![]).await?;
        let head = head.ok_or_else(|| store("written", "the head of the audit log was removed outside of apm"))?;
        // As it will be read again, or the chain would not hold.
        let plain = |text: String| text.replace('\0', "\u{fffd}");
        let deed = Deed {
            actor: plain(deed.actor),
            role: plain(deed.role),
            why: plain(deed.why),
            run: deed.run.map(|run| RunId(plain(run.0))),
            ..deed
        };
        let seq = head.count(0)? + 1;
        let hash = chain(head.text(1)?, seq, at_ms, &deed);
        tx.run(
            "INSERT INTO audit (seq, at_ms, actor, role, action, run, why, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            values![
                seq,
                at_ms,
                deed.actor.as_str(),
                deed.role.as_str(),
                deed.action.word(),
                deed.run.as_ref().map(|run| run.0.as_str()),
                deed.why.as_str(),
                hash.as_str(),
            ],
        )
        .await?;
        tx.run("UPDATE audit_head SET seq = $1, hash = $2", values![seq, hash.as_str()]).await?;
        Ok(AuditLine { seq, at_ms, deed, hash })
    }
}

fn line(row: &Row) -> Result<AuditLine, HistoryError> {
    let seq = row.count(0)?;
    let action = Action::ALL.into_iter().find(|action| row.text(4).is_ok_and(|word| word == action.word()));
    let unread =
        || store("read", format!("the action of audit line {seq} is not understood: a newer apm may have written it"));
    let deed = Deed {
        actor: row.text(2)?.to_owned(),
        role: row.text(3)?.to_owned(),
        action: action.ok_or_else(unread)?,
        run: row.maybe_text(5)?.map(|run| RunId(run.to_owned())),
        why: row.text(6)?.to_owned(),
    };
    Ok(AuditLine { seq, at_ms: row.int(1)?, deed, hash: row.text(7)?.to_owned() })
}
