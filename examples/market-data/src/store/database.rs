//! SQLite through a small pool: every operation is a client span and a duration, every wait for a connection a number.
//!
//! Names are OpenTelemetry's semantic conventions for database clients. It does not know HTTP.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use lib_instrument::Dependency;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use serde::Serialize;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{Row as _, Sqlite, SqlitePool};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::cache::Quote;
use crate::Error;
use crate::faults::Switch;
use crate::tick::Tick;

/// Readers and the one writer. More would only wait for each other.
const CONNECTIONS_MAX: u32 = 3;
const WAIT_MAX: Duration = Duration::from_secs(2);
/// Ticks older than this are removed.
const KEPT_US: i64 = 30 * 60 * 1_000_000;
const BOUNDS_SECONDS: [f64; 13] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS quote (symbol TEXT PRIMARY KEY, price REAL NOT NULL, bid REAL NOT NULL, \
     ask REAL NOT NULL, at_us INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS tick (symbol TEXT NOT NULL, at_us INTEGER NOT NULL, sequence INTEGER NOT NULL, \
     price REAL NOT NULL, size REAL NOT NULL, PRIMARY KEY (symbol, at_us, sequence)) WITHOUT ROWID",
];
// One statement takes a whole batch as a JSON array: a round trip to SQLite's thread costs more than its rows.
const INSERT_TICKS: &str = "INSERT OR IGNORE INTO tick SELECT value->>'symbol', value->>'at_us', value->>'sequence', \
                            value->>'price', value->>'size' FROM json_each(?)";
const UPSERT_QUOTES: &str = "INSERT INTO quote SELECT value->>'symbol', value->>'price', value->>'bid', \
                             value->>'ask', value->>'at_us' FROM json_each(?) WHERE true \
                             ON CONFLICT (symbol) DO UPDATE SET price = excluded.price, bid = excluded.bid, \
                             ask = excluded.ask, at_us = excluded.at_us WHERE excluded.at_us >= quote.at_us";
const SELECT_QUOTE: &str = "SELECT symbol, price, bid, ask, at_us FROM quote WHERE symbol = ?";
const SELECT_QUOTES: &str = "SELECT symbol, price, bid, ask, at_us FROM quote ORDER BY symbol";
const SELECT_HISTORY: &str = "SELECT at_us, price, size FROM tick WHERE symbol = ? ORDER BY at_us DESC LIMIT ?";
const DELETE_OLD: &str = "DELETE FROM tick WHERE at_us < ?";

/// One past price.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Point {
    /// Microseconds since 1970.
    pub(crate) at_us: i64,
    pub(crate) price: f64,
    pub(crate) size: f64,
}

#[derive(Clone)]
pub(crate) struct Database {
    pool: SqlitePool,
    switch: Switch,
    duration: Histogram<f64>,
    wait: Histogram<f64>,
    rows_written: Counter<u64>,
    rows_read: Counter<u64>,
}

impl Database {
    /// Opens or makes `market.db` in the folder.
    pub(crate) async fn open(folder: &Path, meter: &Meter, switch: Switch) -> Result<Self, Error> {
        let path = folder.join("market.db");
        let failed = |reason: String| Error::Database { path: path.display().to_string(), reason };
        tokio::fs::create_dir_all(folder).await.map_err(|error| failed(error.to_string()))?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(WAIT_MAX);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(WAIT_MAX)
            .connect_with(options)
            .await
            .map_err(|error| failed(error.to_string()))?;
        for statement in SCHEMA {
            sqlx::query(statement).execute(&pool).await.map_err(|error| failed(error.to_string()))?;
        }
        observe_pool(meter, &pool);
        observe_size(meter, path);
        let histogram = |name, help| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(help)
                .with_boundaries(BOUNDS_SECONDS.to_vec())
                .build()
        };
        let counter = |name, help| meter.u64_counter(name).with_unit("{row}").with_description(help).build();
        Ok(Self {
            pool,
            switch,
            duration: histogram("db.client.operation.duration", "Duration of database operations."),
            wait: histogram("db.client.connection.wait_time", "Time it took to get a connection from the pool."),
            rows_written: counter("market.db.rows.written", "Rows written, by table."),
            rows_read: counter("market.db.rows.read", "Rows read, by table."),
        })
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// For `/readyz`: a query that touches the file.
    pub(crate) fn dependency(&self) -> Dependency {
        let pool = self.pool.clone();
        Dependency::new("sqlite", move || {
            let pool = pool.clone();
            async move {
                let asked = sqlx::query("SELECT count(*) FROM quote").fetch_one(&pool).await;
                asked.map(|_| ()).map_err(|error| error.to_string())
            }
        })
    }

    pub(crate) async fn quote(&self, symbol: &str) -> Result<Option<Quote>, sqlx::Error> {
        let mut connection = self.connection().await?;
        let asked = async {
            self.simulated_delay().await;
            sqlx::query(SELECT_QUOTE).bind(symbol).fetch_optional(&mut *connection).await
        };
        let row = self.timed("SELECT", "quote", SELECT_QUOTE, asked).await?;
        self.rows_read.add(u64::from(row.is_some()), &[KeyValue::new("table", "quote")]);
        row.as_ref().map(quote_of).transpose()
    }

    pub(crate) async fn quotes(&self) -> Result<Vec<Quote>, sqlx::Error> {
        let mut connection = self.connection().await?;
        let asked = async {
            self.simulated_delay().await;
            sqlx::query(SELECT_QUOTES).fetch_all(&mut *connection).await
        };
        let rows = self.timed("SELECT", "quote", SELECT_QUOTES, asked).await?;
        self.rows_read.add(rows.len() as u64, &[KeyValue::new("table", "quote")]);
        rows.iter().map(quote_of).collect()
    }

    /// The latest `limit` prices, newest first.
    pub(crate) async fn history(&self, symbol: &str, limit: u32) -> Result<Vec<Point>, sqlx::Error> {
        let mut connection = self.connection().await?;
        let asked = async {
            self.simulated_delay().await;
            sqlx::query(SELECT_HISTORY).bind(symbol).bind(limit).fetch_all(&mut *connection).await
        };
        let rows = self.timed("SELECT", "tick", SELECT_HISTORY, asked).await?;
        self.rows_read.add(rows.len() as u64, &[KeyValue::new("table", "tick")]);
        rows.iter()
            .map(|row| Ok(Point { at_us: row.try_get(0)?, price: row.try_get(1)?, size: row.try_get(2)? }))
            .collect()
    }

    /// Writes ticks and the quotes they make, in one transaction.
    pub(crate) async fn write(&self, ticks: &[Tick]) -> Result<(), sqlx::Error> {
        // The last of a symbol is its quote. SQLite accepts one row a key in an upsert's source as well as many.
        let text = serde_json::to_string(ticks).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        let mut connection = self.connection().await?;
        let written = async {
            let mut transaction = sqlx::Connection::begin(&mut *connection).await?;
            let ticks = sqlx::query(INSERT_TICKS).bind(&text).execute(&mut *transaction).await?.rows_affected();
            let quotes = sqlx::query(UPSERT_QUOTES).bind(&text).execute(&mut *transaction).await?.rows_affected();
            transaction.commit().await?;
            Ok((ticks, quotes))
        };
        let (ticks, quotes) = self.timed("INSERT", "tick", INSERT_TICKS, written).await?;
        self.rows_written.add(ticks, &[KeyValue::new("table", "tick")]);
        self.rows_written.add(quotes, &[KeyValue::new("table", "quote")]);
        Ok(())
    }

    /// Removes what nobody asks for any more.
    pub(crate) async fn prune(&self, now_us: i64) -> Result<u64, sqlx::Error> {
        let mut connection = self.connection().await?;
        let asked = sqlx::query(DELETE_OLD).bind(now_us - KEPT_US).execute(&mut *connection);
        Ok(self.timed("DELETE", "tick", DELETE_OLD, asked).await?.rows_affected())
    }

    async fn connection(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        let started = Instant::now();
        let connection = self.pool.acquire().await;
        self.wait
            .record(started.elapsed().as_secs_f64(), &[KeyValue::new("db.client.connection.pool.name", "market.db")]);
        connection
    }

    async fn simulated_delay(&self) {
        let delay_ms = self.switch.get().slow_store_ms;
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
    }

    async fn timed<T>(
        &self,
        operation: &'static str,
        table: &'static str,
        text: &'static str,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        // Writes go on all the time; only those inside a traced message become spans.
        let span = if operation == "SELECT" || lib_instrument::current_trace_id().is_some() {
            tracing::info_span!(
                "sqlite",
                otel.name = format!("{operation} {table}"),
                otel.kind = "client",
                db.system.name = "sqlite",
                db.namespace = "market.db",
                db.operation.name = operation,
                db.collection.name = table,
                db.query.text = text
            )
        } else {
            tracing::Span::none()
        };
        let started = Instant::now();
        let result = work.instrument(span.clone()).await;
        let mut labels = vec![
            KeyValue::new("db.system.name", "sqlite"),
            KeyValue::new("db.operation.name", operation),
            KeyValue::new("db.collection.name", table),
        ];
        if let Err(error) = &result {
            labels.push(KeyValue::new("error.type", "sqlite"));
            span.in_scope(|| tracing::error!(error = %error, operation, table, "the database refused"));
        }
        self.duration.record(started.elapsed().as_secs_f64(), &labels);
        result
    }
}

fn quote_of(row: &SqliteRow) -> Result<Quote, sqlx::Error> {
    Ok(Quote {
        symbol: row.try_get(0)?,
        price: row.try_get(1)?,
        bid: row.try_get(2)?,
        ask: row.try_get(3)?,
        at_us: row.try_get(4)?,
    })
}

fn observe_pool(meter: &Meter, pool: &SqlitePool) {
    let name = KeyValue::new("db.client.connection.pool.name", "market.db");
    let (seen, label) = (pool.clone(), name.clone());
    meter
        .u64_observable_gauge("db.client.connection.count")
        .with_unit("{connection}")
        .with_description("Connections of the pool, by state.")
        .with_callback(move |gauge| {
            let idle = seen.num_idle() as u64;
            let used = u64::from(seen.size()).saturating_sub(idle);
            for (state, count) in [("idle", idle), ("used", used)] {
                gauge.observe(count, &[label.clone(), KeyValue::new("db.client.connection.state", state)]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("db.client.connection.max")
        .with_unit("{connection}")
        .with_description("Connections the pool may open.")
        .with_callback(move |gauge| gauge.observe(u64::from(CONNECTIONS_MAX), std::slice::from_ref(&name)))
        .build();
}

fn observe_size(meter: &Meter, path: std::path::PathBuf) {
    meter
        .u64_observable_gauge("market.db.size")
        .with_unit("By")
        .with_description("Size of the database file.")
        .with_callback(move |gauge| {
            if let Ok(about) = std::fs::metadata(&path) {
                gauge.observe(about.len(), &[]);
            }
        })
        .build();
}
