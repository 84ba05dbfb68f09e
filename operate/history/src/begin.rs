//! The begin of a run: itself, the lease on its target and the line of the audit log in one transaction, so that of two who begin at one moment
//! one does, and nothing is left of the other. It does not carry anything out.

use operate_execute::{Begun, Command, Entry, Event, HistoryError, Lease, NewRun, RunId, Status};
use operate_plan::{Plan, overlaps};

use crate::db::values;
use crate::history::{Inner, insert, keep};
use crate::{Deed, SqlHistory};

impl SqlHistory {
    /// [`History::begin`] with a line in the audit log: both, or neither.
    pub async fn begin_as(
        &self,
        new: NewRun<'_>,
        at_ms: i64,
        holder: &str,
        ttl_ms: u64,
        deed: Option<Deed>,
    ) -> Result<Begun, HistoryError> {
        let (run, plan, command) = (new.run.clone(), new.plan.clone(), new.command.clone());
        let holder = holder.to_owned();
        self.whole(
            move |inner| async move { inner.begin((&run, &plan, &command), at_ms, (&holder, ttl_ms), deed).await },
        )
        .await
    }
}

impl Inner {
    /// A run, the lease on its target and the line of the audit log, or nothing of it.
    async fn begin(
        &self,
        (run, plan, command): (&RunId, &Plan, &Command),
        at_ms: i64,
        lease: (&str, u64),
        deed: Option<Deed>,
    ) -> Result<Begun, HistoryError> {
        let mut tx = self.db.begin().await?;
        // First of all the lease's row: whoever else begins waits for it, and finds what was done here.
        let fence = match self.take(&mut tx, &plan.target, lease.0, at_ms, lease.1).await? {
            Lease::Got(fence) => fence,
            Lease::Held { holder, until_ms } => return Ok(Begun::Held { holder, until_ms }),
        };
        let sql = "SELECT id, status, target FROM runs \
                   WHERE status IN ('running', 'paused', 'waiting', 'halted', 'rolling-back') ORDER BY number";
        // A run of several places is in the way of whoever wants one of them; few have begun and not ended.
        for row in tx.rows(sql, values![]).await? {
            if overlaps(row.text(2)?, &plan.target) {
                let status = Status::ALL.into_iter().find(|status| row.text(1).is_ok_and(|word| word == status.word()));
                return Ok(Begun::Occupied {
                    run: RunId(row.text(0)?.to_owned()),
                    status: status.unwrap_or(Status::Running),
                });
            }
        }
        let first = insert(&mut tx, run, plan, at_ms, command).await?;
        let taken = Event::Taken { holder: lease.0.to_owned(), token: fence.0 };
        let second = Entry::after(Some(&first), run, at_ms, taken);
        keep(&mut tx, &second).await?;
        tx.run(
            "UPDATE runs SET last_seq = $2, last_hash = $3, status = $4 WHERE id = $1",
            values![run.0.as_str(), second.seq, second.hash.as_str(), Status::Running.word()],
        )
        .await?;
        if let Some(deed) = deed {
            self.add(&mut tx, at_ms, deed).await?;
        }
        tx.commit().await?;
        Ok(Begun::Got(fence))
    }
}
