//! What a database says when it cannot, in words that help: what, where, why, what to do. It never repeats a URL's password, and does not
//! know what was asked.

use operate_execute::HistoryError;
use sqlx::error::DatabaseError;

/// Where the history is, for people: `/home/ann/.local/share/apm/shop/history.db` or `postgres://db.example.org:5432/apm`.
#[derive(Debug, Clone)]
pub(crate) struct Place(pub(crate) String);

pub(crate) fn store(verb: &'static str, message: impl Into<String>) -> HistoryError {
    HistoryError::Store { verb, message: message.into() }
}

impl Place {
    /// The database's error as ours.
    pub(crate) fn told(&self, verb: &'static str, error: &sqlx::Error) -> HistoryError {
        let place = &self.0;
        store(
            verb,
            match error {
                sqlx::Error::Database(said) if self.is_file() => self.of_sqlite(&**said),
                sqlx::Error::Database(said) => self.of_postgres(&**said),
                sqlx::Error::PoolTimedOut if self.is_file() => {
                    format!("{place} has been busy for too long with what this process writes: try again")
                }
                sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => {
                    format!(
                        "{place} gave no connection in time: look whether the server is up and how many connections it allows"
                    )
                }
                sqlx::Error::Io(why) => {
                    format!("{place} cannot be reached: {why}: look whether the server is up and the address right")
                }
                sqlx::Error::Tls(why) => format!("{place}: no TLS: {why}: see `sslmode` and `sslrootcert` in the URL"),
                sqlx::Error::PoolClosed => format!("{place} was closed"),
                other => format!("{place}: {other}"),
            },
        )
    }

    fn is_file(&self) -> bool {
        !self.0.starts_with("postgres://")
    }

    /// Result codes: https://www.sqlite.org/rescode.html; the low byte is the primary one.
    fn of_sqlite(&self, said: &dyn DatabaseError) -> String {
        let place = &self.0;
        let code = said.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0) & 0xff;
        match code {
            5 | 6 => format!(
                "another process has been writing to {place} for too long: see which with `fuser {place}`, and try again"
            ),
            8 => format!("{place} may not be written: give this user the right to write the file and its folder"),
            11 => format!(
                "{place} is damaged ({}): put a copy back, or move it away to begin a new history",
                said.message()
            ),
            13 => {
                format!("no space is left for {place}: free some on its disk, or raise its size limit, and try again")
            }
            14 => format!("{place} cannot be opened or made: look whether its folder is there and may be written"),
            26 => format!("{place} is not a database: name another file, or move this one away"),
            _ => format!("{place}: {}", said.message()),
        }
    }

    /// Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
    fn of_postgres(&self, said: &dyn DatabaseError) -> String {
        let (place, message) = (&self.0, said.message());
        let next = match said.code().as_deref() {
            Some("28P01" | "28000") => "look at user and password in the URL, or in ~/.pgpass",
            Some("3D000") => "make the database with `createdb`, or name another in the URL",
            Some("42501" | "3F000" | "42P01") => {
                "an admin gives this user the schema by `CREATE SCHEMA apm AUTHORIZATION <user>` in that database, or `ALTER SCHEMA apm OWNER TO <user>`"
            }
            Some("53100") => "free some space on the server's disk",
            Some("53300") => "raise `max_connections` of the server, or close other clients",
            Some("55P03" | "40P01" | "40001") => "somebody else holds what was needed: try again",
            Some("25006") => "this server only reads: name the primary in the URL",
            Some("57P01" | "57P02" | "57P03") => "the server is starting or stopping: try again in a moment",
            _ => return format!("{place}: {message}"),
        };
        format!("{place}: {message}: {next}")
    }
}
