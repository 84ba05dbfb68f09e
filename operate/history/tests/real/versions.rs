//! The same of PostgreSQL: tables as the first version made them, with the rows of its stored file.

use base_world::os::OsDisk;
use operate_history::SqlHistory;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{Connection as _, Row as _, SqliteConnection};

use crate::support::Raw;
use crate::versions_shared::check_upgraded;
use crate::{database, url_of};

const FIRST: &str = include_str!("../../src/migrations/postgres/1.sql");
const TABLES: [&str; 6] = ["runs", "run_labels", "plans", "entries", "leases", "orders"];

#[tokio::test]
async fn a_database_of_the_first_version_goes_on() {
    let address = url_of(&database().await);
    let options: sqlx::postgres::PgConnectOptions = address.parse().expect("a URL");
    let raw = Raw::Postgres(sqlx::PgPool::connect_lazy_with(options.options([("search_path", "apm")])));
    raw.run("CREATE SCHEMA apm").await.expect("made");
    raw.run("CREATE TABLE schema_versions (version BIGINT NOT NULL PRIMARY KEY, apm TEXT NOT NULL)")
        .await
        .expect("made");
    raw.run(FIRST).await.expect("made");
    raw.run("INSERT INTO schema_versions VALUES (1, '0.1.0')").await.expect("made");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/versions/1.db");
    let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
    let mut file = SqliteConnection::connect_with(&options).await.expect("it is stored");
    for table in TABLES {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT * FROM {table}"))).fetch_all(&mut file).await;
        for row in rows.expect("rows") {
            raw.run(&format!("INSERT INTO {table} VALUES ({})", literals(&row))).await.expect("written");
        }
    }
    raw.run("SELECT setval(pg_get_serial_sequence('runs', 'number'), (SELECT max(number) FROM runs))")
        .await
        .expect("set");
    let history = SqlHistory::open(&OsDisk, &address).await.expect("it opens");
    check_upgraded(&history, 1).await;
    SqlHistory::open(&OsDisk, &address).await.expect("it opens again");
}

fn literals(row: &SqliteRow) -> String {
    let one = |at: usize| match row.try_get_unchecked::<Option<String>, _>(at).expect("text or a number") {
        None => "NULL".to_owned(),
        Some(text) => format!("'{}'", text.replace('\'', "''")),
    };
    (0..row.len()).map(one).collect::<Vec<_>>().join(", ")
}
