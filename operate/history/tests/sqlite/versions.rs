//! A stored file of each version is opened and goes on. `UPDATE=1 cargo test -p operate-history` writes the newest version's once; a stored
//! one is never written again.

use std::path::{Path, PathBuf};

use operate_execute::{History as _, Order, Status, Tag};
use operate_history::{Action, Deed, NewArtefact, SCHEMA_VERSION, SqlHistory};

use crate::open;
use crate::support::{begin, begun, command, ended, run_id};
use crate::versions_shared::check_upgraded;

/// Puts something into every table that the newest version has; what is stored of a version was written by this.
async fn fill(history: &SqlHistory) {
    for number in 0..3 {
        let (run, fence) = begun(history, &format!("run-{number}"), &format!("target-{number}")).await;
        history.append(&run, fence, 2_000, begin("a")).await.expect("kept");
        history.order(&run, 2_001, &command(Order::Pause)).await.expect("kept");
        if number == 1 {
            history.append(&run, fence, 2_002, ended(Status::RolledBack)).await.expect("kept");
        }
    }
    let run = Some(run_id("run-1"));
    let deed =
        Deed { actor: "ann".into(), role: "admin".into(), action: Action::Rollback, run: run.clone(), why: "x".into() };
    history.record(2_003, &deed).await.expect("kept");
    let new = NewArtefact { run, name: "scan".into(), ..NewArtefact::default() };
    history.put_artefact(2_004, &new, b"bytes").await.expect("kept");
    let golden = [Tag::new("golden").expect("a tag")];
    history.tag(&run_id("run-1"), &golden, 2_005, &deed).await.expect("tagged");
}

fn stored(version: u64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/versions/{version}.db"))
}

#[tokio::test]
async fn a_file_of_every_version_goes_on() {
    if std::env::var_os("UPDATE").is_some() && !stored(SCHEMA_VERSION).exists() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("history.db");
        fill(&open(&path).await).await;
        let to = stored(SCHEMA_VERSION).display().to_string();
        crate::raw(&path).run(&format!("VACUUM INTO '{to}'")).await.expect("stored");
    }
    for version in 1..=SCHEMA_VERSION {
        let from = stored(version);
        assert!(from.exists(), "{} is missing: run this test with UPDATE=1 and keep the file", from.display());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("history.db");
        std::fs::copy(&from, &path).expect("copied");
        println!("version {version}");
        check_upgraded(&open(&path).await, version).await;
        // Twice: the second time there is nothing to do.
        drop(open(&path).await);
    }
}
