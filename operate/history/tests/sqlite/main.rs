//! The history in a file of SQLite, beside the memory it is compared with.
#![expect(
    clippy::disallowed_methods,
    reason = "tests of the real thing: real files, real time, a process that is killed"
)]

#[path = "../shared/conformance.rs"]
mod conformance;
#[path = "../shared/support.rs"]
mod support;

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

    conformance!(crate::stored());
}

use std::path::Path;

use base_world::os::OsDisk;
use operate_history::SqlHistory;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

/// A new, empty history in a folder of its own.
async fn stored() -> support::Stored {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("history.db");
    let (a, b) = (open(&path).await, open(&path).await);
    let raw = SqlitePool::connect_lazy_with(SqliteConnectOptions::new().filename(&path));
    support::Stored { a, b, raw: support::Raw::Sqlite(raw), _folder: Some(folder) }
}

async fn open(path: &Path) -> SqlHistory {
    SqlHistory::open(&OsDisk, path.to_str().expect("UTF-8")).await.expect("it opens")
}
