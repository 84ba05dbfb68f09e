//! Where a history is and how it is opened: a file of SQLite, or a PostgreSQL database by its URL. What makes both keep their word is set
//! here: every commit on disk before it returns. It does not know the tables.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use base_world::{Disk, DiskErrorKind};
use operate_execute::HistoryError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use crate::db::{Db, Pools};
use crate::trouble::{Place, store};

/// Lists and polls; writing has its own.
const READERS_MAX: u32 = 4;
const POSTGRES_CONNECTIONS_MAX: u32 = 8;
/// A write-ahead log that grew in a rush is cut back to this.
const LOG_BYTES_MAX: &str = "16777216";
const PAGE_BYTES: u64 = 4096;

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a file that another process writes to, a row that another connection holds, or a server that is silent, is waited for.
    pub wait: Duration,
    /// How large the file of SQLite may become, in bytes; past it nothing is written and the error says so. PostgreSQL has its own means.
    pub file_bytes_max: Option<u64>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { wait: Duration::from_secs(10), file_bytes_max: None }
    }
}

pub(crate) async fn open(disk: &dyn Disk, place: &str, settings: &Settings) -> Result<Db, HistoryError> {
    if place.starts_with("postgres://") || place.starts_with("postgresql://") {
        return postgres(place, settings).await;
    }
    if let Some((scheme, _)) = place.split_once("://") {
        let what =
            format!("`{scheme}://` is no history: give the path of a file, or a URL that begins with postgres://");
        return Err(store("opened", what));
    }
    sqlite(disk, Path::new(place), settings).await
}

async fn sqlite(disk: &dyn Disk, path: &Path, settings: &Settings) -> Result<Db, HistoryError> {
    let place = Place(path.display().to_string());
    let refused = |error: base_world::DiskError| store("opened", error.to_string());
    if let Some(folder) = path.parent() {
        disk.create_folder(folder).map_err(refused)?;
    }
    match crate::private::create(path) {
        Err(error) if error.kind != DiskErrorKind::AlreadyExists => return Err(refused(error)),
        // SQLite gives the files beside it (-wal, -shm) the same rights.
        _ => {}
    }
    let mut options = SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(settings.wait)
        .foreign_keys(true)
        .pragma("journal_size_limit", LOG_BYTES_MAX)
        .disable_statement_logging();
    if let Some(bytes) = settings.file_bytes_max {
        options = options.pragma("max_page_count", (bytes / PAGE_BYTES).max(1).to_string());
    }
    into_wal(&place, &options, settings.wait).await?;
    let pool = || SqlitePoolOptions::new().acquire_timeout(settings.wait * 2).test_before_acquire(false);
    let read = pool().max_connections(READERS_MAX).connect_lazy_with(options.clone().pragma("query_only", "ON"));
    // The writer stays: closing the last connection of a file rewrites it.
    let write = pool().max_connections(1).idle_timeout(None).max_lifetime(None).connect_lazy_with(options);
    Ok(Db { pools: Pools::Sqlite { write, read }, place })
}

/// An empty file, or one of ours.
const OURS: &str = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_master) \
                    OR EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'schema_versions')";

/// Puts the file into write-ahead mode, which it then remembers. Only one may do so at a time and SQLite does not wait for its turn.
async fn into_wal(place: &Place, options: &SqliteConnectOptions, wait: Duration) -> Result<(), HistoryError> {
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let asked = async {
            let mut connection = options.connect().await?;
            let ours: bool = sqlx::query_scalar(OURS).fetch_one(&mut connection).await?;
            // Another program's file is left as it is; the migration refuses it by name.
            let mode = match ours {
                true => sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(&mut connection).await?,
                false => "wal".to_owned(),
            };
            connection.close().await?;
            Ok(mode)
        };
        match asked.await {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                let what = format!(
                    "the file system of {} allows no write-ahead log (SQLite stays in `{mode}` mode): keep it on a local disk",
                    place.0
                );
                return Err(store("opened", what));
            }
            Err(error) if is_busy(&error) && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(place.told("opened", &error)),
        }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|said| said.code()?.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

/// What each connection is told first. Our tables have a schema of their own, so that they meet nobody else's; a server that is set to
/// forget the last commits in a crash is asked not to, for ours.
fn postgres_session(wait: Duration) -> String {
    let wait_ms = wait.as_millis().max(1);
    format!(
        "SET search_path TO apm; SET lock_timeout TO {wait_ms}; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
}

async fn postgres(url: &str, settings: &Settings) -> Result<Db, HistoryError> {
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        // The error does not repeat the URL, which may hold a password.
        store(
            "opened",
            format!(
                "the URL of PostgreSQL is not understood: {error}: it reads postgres://user:password@host:5432/database"
            ),
        )
    })?;
    let options = options.application_name("apm").disable_statement_logging();
    let (host, port) = (options.get_host(), options.get_port());
    let database = options.get_database().unwrap_or(options.get_username());
    let place = Place(format!("postgres://{host}:{port}/{database}"));
    // Once by hand: the pool would try until its time is over, and then not say why.
    match tokio::time::timeout(settings.wait, options.connect()).await {
        Ok(Ok(connection)) => drop(connection.close().await),
        Ok(Err(error)) => return Err(place.told("opened", &error)),
        Err(_) => {
            return Err(store("opened", format!("{} does not answer: look whether it is up", place.0)));
        }
    }
    let session = postgres_session(settings.wait);
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS_MAX)
        .acquire_timeout(settings.wait)
        .after_connect(move |connection, _| {
            let session = sqlx::raw_sql(AssertSqlSafe(session.clone()));
            Box::pin(async move { connection.execute(session).await.map(|_| ()) })
        })
        .connect_lazy_with(options);
    Ok(Db { pools: Pools::Postgres(pool), place })
}

#[cfg(test)]
mod tests {
    use base_world::os::OsDisk;

    use super::{Settings, open};
    use crate::db::values;

    /// Nothing outside can tell whether a commit is on disk before it returns; these settings are why.
    #[tokio::test]
    async fn a_commit_of_sqlite_is_on_disk_before_it_returns() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("history.db");
        let db = open(&OsDisk, path.to_str().expect("UTF-8"), &Settings::default()).await.expect("it opens");
        let mut tx = db.begin().await.expect("it begins");
        for (pragma, expect) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1)] {
            let row = tx.row(pragma, values![]).await.expect("an answer").expect("a row");
            assert_eq!(row.int(0), Ok(expect), "{pragma}");
        }
        let row = tx.row("PRAGMA journal_mode", values![]).await.expect("an answer").expect("a row");
        assert_eq!(row.text(0), Ok("wal"));
    }
}
