//! The history in a file of SQLite, beside the memory it is compared with.
#![expect(
    clippy::disallowed_methods,
    reason = "tests of the real thing: real files, real time, a process that is killed"
)]

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

mod key;
mod kills;
mod opening;
mod rig;
mod versions;

mod memory {
    use std::sync::Arc;

    use operate_execute::MemoryHistory;

    use crate::conformance::conformance;
    use crate::support::Two;

    struct Memory(Arc<MemoryHistory>);

    impl Memory {
        fn two(&self) -> Two {
            Two { a: self.0.clone(), b: self.0.clone() }
        }
    }

    conformance!(async { Memory(Arc::default()) });
}

mod file {
    use crate::conformance::conformance;

    use crate::databases::databases;

    conformance!(crate::stored());
    databases!(crate::stored());
}

use std::path::Path;

use base_world::os::OsDisk;
use operate_history::SqlHistory;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

/// A new, empty history in a folder of its own.
async fn stored() -> support::Stored {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("history.db");
    let (a, b) = (open(&path).await, open(&path).await);
    support::Stored { a, b, raw: raw(&path), address: path.display().to_string(), _folder: Some(folder) }
}

async fn open(path: &Path) -> SqlHistory {
    SqlHistory::open(&OsDisk, path.to_str().expect("UTF-8")).await.expect("it opens")
}

/// The tables themselves, past the crate.
fn raw(path: &Path) -> support::Raw {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let one = SqlitePoolOptions::new().max_connections(1);
    support::Raw::Sqlite(one.connect_lazy_with(options))
}
