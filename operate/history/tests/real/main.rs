//! The history in a real PostgreSQL: the same checks. `cargo xtask journeys` starts the server and names it in APM_TEST_POSTGRES_URL; this
//! file is compiled only with the feature `real-postgres`.

#[path = "../shared/conformance.rs"]
mod conformance;
#[path = "../shared/databases.rs"]
mod databases;
#[path = "../shared/retention.rs"]
mod retention;
#[path = "../shared/support.rs"]
mod support;
#[path = "../shared/versions.rs"]
mod versions_shared;

mod server;
mod versions;

use std::sync::atomic::{AtomicU32, Ordering};

use base_world::os::OsDisk;
use operate_history::SqlHistory;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};

use crate::conformance::conformance;
use crate::databases::databases;

conformance!(stored());
databases!(stored());

/// The URL of the server's superuser; its path is a database.
fn server() -> String {
    let url = std::env::var("APM_TEST_POSTGRES_URL");
    url.expect("APM_TEST_POSTGRES_URL is not set: these tests are run by `cargo xtask journeys`")
}

/// The URL of another database of the server.
fn url_of(database: &str) -> String {
    let url = server();
    let (server, _) = url.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{database}")
}

/// A new, empty database.
async fn database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let options: PgConnectOptions = server().parse().expect("a URL");
    let mut connection = options.connect().await.expect("the server is up");
    // Left by an earlier run of the tests on the same server.
    for sql in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.expect("a new database");
    }
    name
}

/// A new, empty history.
async fn stored() -> support::Stored {
    let address = url_of(&database().await);
    let open = async || SqlHistory::open(&OsDisk, &address).await.expect("it opens");
    let (a, b) = (open().await, open().await);
    let options: PgConnectOptions = address.parse().expect("a URL");
    let raw = PgPoolOptions::new().max_connections(1);
    let raw = raw.connect_lazy_with(options.options([("search_path", "apm")]));
    support::Stored { a, b, raw: support::Raw::Postgres(raw), address, _folder: None }
}
