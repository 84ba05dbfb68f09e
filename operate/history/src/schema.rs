//! The tables' versions: each is a numbered script for each database, and each ran once. An older database is brought up when it is
//! opened; a newer one is refused by name. It does not know what the tables are for.

use operate_execute::HistoryError;

use crate::db::{Db, Pools, values};
use crate::trouble::store;

struct Migration {
    version: u64,
    sqlite: &'static str,
    postgres: &'static str,
}

/// In order. One that was released is never edited: write the next.
const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sqlite: include_str!("migrations/sqlite/1.sql"),
        postgres: include_str!("migrations/postgres/1.sql"),
    },
    Migration {
        version: 2,
        sqlite: include_str!("migrations/sqlite/2.sql"),
        postgres: include_str!("migrations/postgres/2.sql"),
    },
    Migration {
        version: 3,
        sqlite: include_str!("migrations/sqlite/3.sql"),
        postgres: include_str!("migrations/postgres/3.sql"),
    },
    Migration {
        version: 4,
        sqlite: include_str!("migrations/sqlite/4.sql"),
        postgres: include_str!("migrations/postgres/4.sql"),
    },
];

/// The newest version this program knows.
pub const SCHEMA_VERSION: u64 = 4;

const VERSIONS: &str = "CREATE TABLE schema_versions (version BIGINT NOT NULL PRIMARY KEY, apm TEXT NOT NULL)";

/// Any number; the same in every `apm`, so that one at a time migrates a PostgreSQL database.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(4711430000000001)::TEXT";

/// Brings the tables to the newest version.
pub(crate) async fn migrate(db: &Db) -> Result<(), HistoryError> {
    if version(db).await? == SCHEMA_VERSION {
        return Ok(());
    }
    // Another process may be doing the same: look again once nobody else can.
    let mut tx = db.begin().await?;
    let is_file = matches!(db.pools, Pools::Sqlite { .. });
    if !is_file {
        tx.row(MIGRATION_LOCK, values![]).await?;
        // Asked first, for who may not make schemas may not even ask for one that exists.
        if tx.row("SELECT 1 FROM pg_namespace WHERE nspname = 'apm'", values![]).await?.is_none() {
            tx.script("CREATE SCHEMA apm").await?;
        }
    }
    let tables: Vec<String> = tx
        .rows(tables_of(db), values![])
        .await?
        .iter()
        .map(|row| row.text(0).map(str::to_owned))
        .collect::<Result<_, _>>()?;
    if tables.iter().all(|table| table != "schema_versions") {
        if !tables.is_empty() {
            let found = tables.join(", ");
            let what = format!("{} belongs to another program (its tables: {found}): name another", db.place.0);
            return Err(store("opened", what));
        }
        tx.script(VERSIONS).await?;
    }
    let row = tx.row("SELECT COALESCE(MAX(version), 0) FROM schema_versions", values![]).await?;
    let found = row.map_or(Ok(0), |row| row.count(0))?;
    refuse_newer(db, found).await?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
        tx.script(if is_file { migration.sqlite } else { migration.postgres }).await?;
        let written_by = env!("CARGO_PKG_VERSION");
        tx.run("INSERT INTO schema_versions (version, apm) VALUES ($1, $2)", values![migration.version, written_by])
            .await?;
    }
    tx.commit().await
}

/// The version of the tables; 0 when there are none.
async fn version(db: &Db) -> Result<u64, HistoryError> {
    let tables = db.rows(tables_of(db), values![]).await?;
    if !tables.iter().any(|row| row.text(0).is_ok_and(|name| name == "schema_versions")) {
        return Ok(0);
    }
    let row = db.row("SELECT COALESCE(MAX(version), 0) FROM schema_versions", values![]).await?;
    let found = row.map_or(Ok(0), |row| row.count(0))?;
    refuse_newer(db, found).await?;
    Ok(found)
}

async fn refuse_newer(db: &Db, found: u64) -> Result<(), HistoryError> {
    if found <= SCHEMA_VERSION {
        return Ok(());
    }
    let row = db.row("SELECT apm FROM schema_versions ORDER BY version DESC LIMIT 1", values![]).await?;
    let by = row.as_ref().map_or(Ok("another"), |row| row.text(0))?;
    let what = format!(
        "{} has version {found}, written by apm {by}, and this apm ({}) knows up to {SCHEMA_VERSION}: use the newer apm, or another history",
        db.place.0,
        env!("CARGO_PKG_VERSION")
    );
    Err(store("opened", what))
}

fn tables_of(db: &Db) -> &'static str {
    match db.pools {
        Pools::Sqlite { .. } => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        Pools::Postgres(_) => "SELECT tablename::TEXT FROM pg_tables WHERE schemaname = 'apm'",
    }
}
