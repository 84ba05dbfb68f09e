//! Artefacts: bytes that belong to a run and are kept with it for a while: reports, rendered manifests, scans. Each is known by its
//! SHA-256, and one that no longer has it is refused. It does not know what the bytes mean; secrets are sealed before they come here.

use std::collections::BTreeMap;

use operate_execute::{HistoryError, RunId};
use operate_plan::Digest;
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use crate::SqlHistory;
use crate::db::{Row, Value, values};
use crate::history::{Inner, json};
use crate::trouble::store;

/// One artefact; a whole image layer is none.
pub const ARTEFACT_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtefactError {
    #[error("there is no artefact {0}: it may have expired")]
    Unknown(u64),
    #[error(
        "`{name}` has {size_bytes} bytes, at most {ARTEFACT_BYTES_MAX} are kept: keep it elsewhere and put a link here"
    )]
    TooLarge { name: String, size_bytes: usize },
    /// The bytes are not given back.
    #[error(
        "artefact {id} (`{name}`) is not what was put there: its SHA-256 should begin with {expected} and begins with {found}"
    )]
    Changed { id: u64, name: String, expected: String, found: String },
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// What is told when one is put down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewArtefact {
    pub run: Option<RunId>,
    /// `image-scan.sarif`
    pub name: String,
    /// `application/sarif+json`
    pub media_type: String,
    pub tags: BTreeMap<String, String>,
    /// From when on it may be removed, milliseconds since 1970; `None`: never.
    pub expires_ms: Option<i64>,
}

/// One artefact without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    pub id: u64,
    pub run: Option<RunId>,
    pub name: String,
    pub media_type: String,
    /// 64 hexadecimal digits.
    pub sha256: String,
    pub size_bytes: u64,
    pub tags: BTreeMap<String, String>,
    pub created_ms: i64,
    pub expires_ms: Option<i64>,
}

/// Which artefacts of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArtefactFilter {
    pub run: Option<RunId>,
    /// All of these with these values.
    pub tags: Vec<(String, String)>,
    /// Only those with a lower id, for paging.
    pub before: Option<u64>,
    pub limit: usize,
}

const COLUMNS: &str = "a.id, a.run, a.name, a.media_type, a.sha256, a.size_bytes, a.tags, a.created_ms, a.expires_ms";

impl SqlHistory {
    /// Keeps bytes.
    pub async fn put_artefact(&self, at_ms: i64, new: &NewArtefact, bytes: &[u8]) -> Result<Artefact, ArtefactError> {
        if bytes.len() > ARTEFACT_BYTES_MAX {
            return Err(ArtefactError::TooLarge { name: new.name.clone(), size_bytes: bytes.len() });
        }
        let (new, bytes) = (new.clone(), bytes.to_vec());
        Ok(self.whole(move |inner| async move { inner.put(at_ms, new, bytes).await }).await?)
    }

    /// An artefact and its bytes, which are what was put down.
    pub async fn artefact(&self, id: u64) -> Result<(Artefact, Vec<u8>), ArtefactError> {
        let sql = format!("SELECT {COLUMNS}, a.content FROM artefacts a WHERE a.id = $1");
        let row = self.inner.db.row(AssertSqlSafe(sql), values![id]).await?.ok_or(ArtefactError::Unknown(id))?;
        let (artefact, bytes) = (artefact(&row)?, row.bytes(9)?.to_vec());
        let found = Digest::of_bytes(&bytes);
        if found.as_str() != artefact.sha256 {
            let short = |digits: &str| digits.get(..12).unwrap_or(digits).to_owned();
            let (expected, found) = (short(&artefact.sha256), short(found.as_str()));
            return Err(ArtefactError::Changed { id, name: artefact.name, expected, found });
        }
        Ok((artefact, bytes))
    }

    /// The newest first.
    pub async fn artefacts(&self, filter: &ArtefactFilter) -> Result<Vec<Artefact>, HistoryError> {
        let mut values: Vec<Value> = Vec::new();
        let mut bind = |value: Value| {
            values.push(value);
            format!("${}", values.len())
        };
        let mut tests = Vec::new();
        if let Some(run) = &filter.run {
            tests.push(format!("a.run = {}", bind(run.0.as_str().into())));
        }
        for (name, value) in &filter.tags {
            let (name, value) = (bind(name.as_str().into()), bind(value.as_str().into()));
            tests.push(format!(
                "a.id IN (SELECT t.artefact FROM artefact_tags t WHERE t.name = {name} AND t.value = {value})"
            ));
        }
        if let Some(before) = filter.before {
            tests.push(format!("a.id < {}", bind(before.into())));
        }
        let limit = bind((filter.limit as u64).into());
        let tests = if tests.is_empty() { String::new() } else { format!("WHERE {} ", tests.join(" AND ")) };
        let sql = format!("SELECT {COLUMNS} FROM artefacts a {tests}ORDER BY a.id DESC LIMIT {limit}");
        let rows = self.inner.db.rows(AssertSqlSafe(sql), values).await?;
        rows.iter().map(artefact).collect()
    }

    /// Removes those whose time is over; returns how many. Those of a run with a tag stay with it.
    pub async fn expire_artefacts(&self, now_ms: i64) -> Result<u64, HistoryError> {
        self.whole(move |inner| async move {
            let mut tx = inner.db.begin().await?;
            let sql = "DELETE FROM artefacts WHERE expires_ms <= $1 AND NOT EXISTS \
                       (SELECT 1 FROM runs r WHERE r.id = artefacts.run AND r.tags <> '[]')";
            let gone = tx.run(sql, values![now_ms]).await?;
            tx.commit().await?;
            Ok(gone)
        })
        .await
    }
}

impl Inner {
    async fn put(&self, at_ms: i64, new: NewArtefact, bytes: Vec<u8>) -> Result<Artefact, HistoryError> {
        let sha256 = Digest::of_bytes(&bytes).as_str().to_owned();
        let size_bytes = bytes.len() as u64;
        let mut tx = self.db.begin().await?;
        if let Some(run) = &new.run {
            let there = tx.row("SELECT number FROM runs WHERE id = $1", values![run.0.as_str()]).await?;
            there.ok_or_else(|| HistoryError::NoRun(run.clone()))?;
        }
        let mut values = values![
            new.run.as_ref().map(|run| run.0.as_str()),
            new.name.as_str(),
            new.media_type.as_str(),
            sha256.as_str(),
            size_bytes,
            json(&new.tags)?.as_str(),
            at_ms,
            new.expires_ms,
        ];
        values.push(Value::Bytes(bytes));
        let sql = "INSERT INTO artefacts (run, name, media_type, sha256, size_bytes, tags, created_ms, expires_ms, content) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id";
        let row = tx.row(sql, values).await?;
        let id =
            row.ok_or_else(|| store("written", "the database kept an artefact and gave it no number"))?.count(0)?;
        for (name, value) in &new.tags {
            let sql = "INSERT INTO artefact_tags (name, value, artefact) VALUES ($1, $2, $3)";
            tx.run(sql, values![name.as_str(), value.as_str(), id]).await?;
        }
        tx.commit().await?;
        let NewArtefact { run, name, media_type, tags, expires_ms } = new;
        Ok(Artefact { id, run, name, media_type, sha256, size_bytes, tags, created_ms: at_ms, expires_ms })
    }
}

fn artefact(row: &Row) -> Result<Artefact, HistoryError> {
    let id = row.count(0)?;
    Ok(Artefact {
        run: row.maybe_text(1)?.map(|run| RunId(run.to_owned())),
        name: row.text(2)?.to_owned(),
        media_type: row.text(3)?.to_owned(),
        sha256: row.text(4)?.to_owned(),
        size_bytes: row.count(5)?,
        tags: serde_json::from_str(row.text(6)?)
            .map_err(|error| store("read", format!("the tags of artefact {id} are not understood: {error}")))?,
        created_ms: row.int(7)?,
        expires_ms: row.maybe_int(8)?,
        id,
    })
}
