//! One way to speak to two databases: statements with `$1` places, which both understand, values of three kinds, and transactions that
//! write one after the other. It does not know any table.

use operate_execute::HistoryError;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, Postgres, Row as _, SqlSafeStr, SqlStr, Sqlite, Transaction, TypeInfo as _,
    ValueRef as _,
};

use crate::trouble::{Place, store};

/// What is bound or read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    MaybeInt(Option<i64>),
    Text(String),
    MaybeText(Option<String>),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<u64> for Value {
    /// Counters of ours; one past `i64::MAX` would take longer than the universe.
    fn from(number: u64) -> Value {
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Value {
        Value::MaybeInt(number)
    }
}

impl From<&str> for Value {
    /// PostgreSQL's text holds no NUL; both keep U+FFFD in its place. Journals are JSON, which spells it otherwise.
    fn from(text: &str) -> Value {
        Value::Text(text.replace('\0', "\u{fffd}"))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Value {
        Value::MaybeText(text.map(|text| text.replace('\0', "\u{fffd}")))
    }
}

macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::db::Value::from($value)),*] };
}
pub(crate) use values;

/// A row as it was read.
#[derive(Debug)]
pub(crate) struct Row(Vec<Value>);

impl Row {
    pub(crate) fn int(&self, at: usize) -> Result<i64, HistoryError> {
        self.maybe_int(at)?.ok_or_else(|| self.bent(at, "a number"))
    }

    /// A counter of ours, never negative.
    pub(crate) fn count(&self, at: usize) -> Result<u64, HistoryError> {
        u64::try_from(self.int(at)?).map_err(|_| self.bent(at, "a count"))
    }

    pub(crate) fn maybe_int(&self, at: usize) -> Result<Option<i64>, HistoryError> {
        match self.0.get(at) {
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::MaybeInt(None)) => Ok(None),
            _ => Err(self.bent(at, "a number")),
        }
    }

    pub(crate) fn text(&self, at: usize) -> Result<&str, HistoryError> {
        self.maybe_text(at)?.ok_or_else(|| self.bent(at, "text"))
    }

    pub(crate) fn maybe_text(&self, at: usize) -> Result<Option<&str>, HistoryError> {
        match self.0.get(at) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::MaybeInt(None)) => Ok(None),
            _ => Err(self.bent(at, "text")),
        }
    }

    pub(crate) fn bytes(&self, at: usize) -> Result<&[u8], HistoryError> {
        match self.0.get(at) {
            Some(Value::Bytes(bytes)) => Ok(bytes),
            _ => Err(self.bent(at, "bytes")),
        }
    }

    fn bent(&self, at: usize, wanted: &str) -> HistoryError {
        let found = self.0.get(at);
        let what = format!("column {at} should be {wanted} and is {found:?}: the database was changed outside of apm");
        store("read", what)
    }
}

macro_rules! bound {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query($sql);
        for value in $values {
            query = match value {
                Value::Int(number) => query.bind(number),
                Value::MaybeInt(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
                Value::MaybeText(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }};
}

/// Reads a row by what each value is, not by what it is expected to be.
macro_rules! taken {
    ($row:expr, $of:ty) => {{
        let row: &$of = $row;
        let mut values = Vec::with_capacity(row.columns().len());
        for column in row.columns() {
            let at = column.ordinal();
            let raw = row.try_get_raw(at)?;
            values.push(if raw.is_null() {
                Value::MaybeInt(None)
            } else {
                match raw.type_info().name() {
                    "INT4" => Value::Int(row.try_get::<i32, _>(at)?.into()),
                    "INTEGER" | "INT8" => Value::Int(row.try_get_unchecked::<i64, _>(at)?),
                    "BLOB" | "BYTEA" => Value::Bytes(row.try_get_unchecked::<Vec<u8>, _>(at)?),
                    _ => Value::Text(row.try_get_unchecked::<String, _>(at)?),
                }
            });
        }
        Ok(Row(values))
    }};
}

fn of_sqlite(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    taken!(row, SqliteRow)
}

fn of_postgres(row: &PgRow) -> Result<Row, sqlx::Error> {
    taken!(row, PgRow)
}

/// An open database.
#[derive(Debug, Clone)]
pub(crate) struct Db {
    pub(crate) pools: Pools,
    pub(crate) place: Place,
}

#[derive(Debug, Clone)]
pub(crate) enum Pools {
    /// One connection writes, as the file lets one write at a time; they queue here in order, not in SQLite's lottery.
    Sqlite {
        write: SqlitePool,
        read: SqlitePool,
    },
    Postgres(PgPool),
}

impl Db {
    /// Rows of one statement that changes nothing.
    pub(crate) async fn rows(&self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Vec<Row>, HistoryError> {
        let sql = sql.into_sql_str();
        let rows = match &self.pools {
            Pools::Sqlite { read, .. } => {
                let rows = bound!(sql, values).fetch_all(read).await;
                rows.and_then(|rows| rows.iter().map(of_sqlite).collect())
            }
            Pools::Postgres(pool) => {
                let rows = bound!(sql, values).fetch_all(pool).await;
                rows.and_then(|rows| rows.iter().map(of_postgres).collect())
            }
        };
        rows.map_err(|error| self.place.told("read", &error))
    }

    /// The first of them.
    pub(crate) async fn row(&self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Option<Row>, HistoryError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Begins to write. Nothing of it is kept before [`Tx::commit`], which is durable; dropped, it leaves no trace.
    pub(crate) async fn begin(&self) -> Result<Tx, HistoryError> {
        let begun = match &self.pools {
            // At once the one that writes: a reader that wants to write later could find that it is too late.
            Pools::Sqlite { write, .. } => write.begin_with("BEGIN IMMEDIATE").await.map(Under::Sqlite),
            Pools::Postgres(pool) => pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await.map(Under::Postgres),
        };
        let under = begun.map_err(|error| self.place.told("written", &error))?;
        Ok(Tx { under, place: self.place.clone() })
    }
}

enum Under {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// A transaction that writes.
pub(crate) struct Tx {
    under: Under,
    place: Place,
}

impl Tx {
    /// Runs a statement; returns how many rows it changed.
    pub(crate) async fn run(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, HistoryError> {
        let done = match &mut self.under {
            Under::Sqlite(tx) => bound!(sql, values).execute(&mut **tx).await.map(|done| done.rows_affected()),
            Under::Postgres(tx) => bound!(sql, values).execute(&mut **tx).await.map(|done| done.rows_affected()),
        };
        done.map_err(|error| self.place.told("written", &error))
    }

    pub(crate) async fn rows(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Vec<Row>, HistoryError> {
        let sql: SqlStr = sql.into_sql_str();
        let rows = match &mut self.under {
            Under::Sqlite(tx) => {
                let rows = bound!(sql, values).fetch_all(&mut **tx).await;
                rows.and_then(|rows| rows.iter().map(of_sqlite).collect())
            }
            Under::Postgres(tx) => {
                let rows = bound!(sql, values).fetch_all(&mut **tx).await;
                rows.and_then(|rows| rows.iter().map(of_postgres).collect())
            }
        };
        rows.map_err(|error| self.place.told("written", &error))
    }

    pub(crate) async fn row(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Option<Row>, HistoryError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// The first row, which nobody else may change until this transaction ends. SQLite's one writer has that anyway.
    pub(crate) async fn held(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, HistoryError> {
        match &self.under {
            Under::Sqlite(_) => self.row(sql, values).await,
            Under::Postgres(_) => self.row(AssertSqlSafe(format!("{sql} FOR UPDATE")), values).await,
        }
    }

    /// The same, but others may hold it like this at the same time.
    pub(crate) async fn shared(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, HistoryError> {
        match &self.under {
            Under::Sqlite(_) => self.row(sql, values).await,
            Under::Postgres(_) => self.row(AssertSqlSafe(format!("{sql} FOR SHARE")), values).await,
        }
    }

    /// Many statements without values, from a file of ours.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), HistoryError> {
        let done = match &mut self.under {
            Under::Sqlite(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(|_| ()),
            Under::Postgres(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(|_| ()),
        };
        done.map_err(|error| self.place.told("migrated", &error))
    }

    pub(crate) async fn commit(self) -> Result<(), HistoryError> {
        let done = match self.under {
            Under::Sqlite(tx) => tx.commit().await,
            Under::Postgres(tx) => tx.commit().await,
        };
        done.map_err(|error| self.place.told("written", &error))
    }
}
