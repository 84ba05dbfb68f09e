//! How far receivers of notices were told about runs, so that whoever goes on with a run, or comes after its end, tells what was not told
//! yet. It does not know what a notice says or how it is sent.

use operate_execute::{HistoryError, RunId};

use crate::SqlHistory;
use crate::db::values;

impl SqlHistory {
    /// Up to which line of a run's journal a receiver was told; nothing when it is not followed.
    pub async fn told(&self, receiver: &str, run: &RunId) -> Result<Option<u64>, HistoryError> {
        let sql = "SELECT seq FROM told WHERE receiver = $1 AND run = $2";
        let row = self.inner.db.row(sql, values![receiver, run.0.as_str()]).await?;
        row.map(|row| row.count(0)).transpose()
    }

    /// The receiver was told all up to this line; it is never told less afterwards. With 0 the run is followed from its beginning.
    pub async fn set_told(&self, receiver: &str, run: &RunId, seq: u64) -> Result<(), HistoryError> {
        let (receiver, run) = (receiver.to_owned(), run.clone());
        self.whole(move |inner| async move {
            let mut tx = inner.db.begin().await?;
            tx.run(
                "INSERT INTO told (receiver, run, seq) VALUES ($1, $2, $3) \
                 ON CONFLICT (receiver, run) DO UPDATE SET seq = excluded.seq WHERE told.seq < excluded.seq",
                values![receiver.as_str(), run.0.as_str(), seq],
            )
            .await?;
            tx.commit().await
        })
        .await
    }

    /// Runs that a receiver follows and was not told all of, the oldest first.
    pub async fn untold(&self, receiver: &str, limit: usize) -> Result<Vec<RunId>, HistoryError> {
        let sql = "SELECT r.id FROM told t JOIN runs r ON r.id = t.run \
                   WHERE t.receiver = $1 AND r.last_seq > t.seq ORDER BY r.number LIMIT $2";
        let rows = self.inner.db.rows(sql, values![receiver, limit as u64]).await?;
        rows.iter().map(|row| Ok(RunId(row.text(0)?.to_owned()))).collect()
    }
}
