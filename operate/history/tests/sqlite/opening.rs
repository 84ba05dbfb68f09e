//! What a file can be: new, somebody else's, busy, full, in the wrong place; each has its words.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use base_world::os::OsDisk;
use operate_execute::{Entry, Event, Filter, History as _, Status};
use operate_history::{Settings, SqlHistory};
use operate_plan::{Severity, StepId};

use crate::support::{begin, begun, ended};
use crate::{open, stored};

async fn check_refused(place: &Path, expect: &[&str]) {
    let refused = SqlHistory::open(&OsDisk, place.to_str().expect("UTF-8")).await.err();
    let refused = refused.unwrap_or_else(|| panic!("{} opened", place.display())).to_string();
    for part in expect {
        assert!(refused.contains(part), "{refused}\nshould speak of {part}");
    }
}

#[tokio::test]
async fn what_cannot_be_opened_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("notes.txt"), "dear diary, ".repeat(1_000)).expect("written");
    check_refused(&path("notes.txt"), &["cannot be opened", "notes.txt is not a database", "name another file"]).await;
    check_refused(&path("notes.txt").join("history.db"), &["notes.txt"]).await;
    check_refused(folder.path(), &["cannot be opened"]).await;
    // Not even root may make files there.
    check_refused(Path::new("/sys/kernel/history.db"), &["cannot create /sys/kernel/history.db", "denied"]).await;
    check_refused(Path::new("mysql://host/db"), &["`mysql://` is no history", "postgres://"]).await;

    let theirs = crate::raw(&path("theirs.db"));
    theirs.run("CREATE TABLE quotes (x TEXT)").await.expect("made");
    check_refused(&path("theirs.db"), &["belongs to another program (its tables: quotes)"]).await;
    // As it was: a file of SQLite says in byte 18 whether it is in write-ahead mode (2) or not (1).
    assert_eq!(std::fs::read(path("theirs.db")).expect("read").get(18), Some(&1));
}

#[tokio::test]
async fn a_new_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("deep/er/history.db");
    let history = open(&path).await;
    begun(&history, "r", "t").await;
    let mut names = Vec::new();
    for file in std::fs::read_dir(path.parent().expect("it has one")).expect("listed") {
        let file = file.expect("an entry");
        let mode = file.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
        names.push(file.file_name().into_string().expect("UTF-8"));
    }
    assert!(names.len() >= 2, "only {names:?}: is there no write-ahead log?");
}

#[tokio::test]
async fn what_was_written_survives_reopening() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("history.db");
    let mut written = Vec::new();
    for life in 0..3_i64 {
        let history = open(&path).await;
        let run = if life == 0 { begun(&history, "r", "t").await.0 } else { crate::support::run_id("r") };
        let fence = crate::support::leased(&history, "t", 100_000 * (life + 1), 1_000).await;
        assert_eq!(fence.0, life as u64 + 2, "the token of an earlier life again");
        written.push(history.append(&run, fence, life, begin("a")).await.expect("kept"));
        assert_eq!(history.entries(&run, 1, 100).await.expect("all"), written);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("history.db");
    let openers = (0..10).map(|number| {
        let path = path.clone();
        tokio::spawn(async move {
            let history = open(&path).await;
            begun(&history, &format!("r{number}"), &format!("t{number}")).await;
        })
    });
    for opener in openers.collect::<Vec<_>>() {
        opener.await.expect("it opens");
    }
    let all = Filter { limit: 100, ..Filter::default() };
    assert_eq!(open(&path).await.runs(&all).await.expect("a list").len(), 10);
}

#[tokio::test]
async fn a_file_that_another_process_holds_is_named() {
    let store = stored().await;
    let (run, fence) = begun(&store.a, "r", "t").await;
    let settings = Settings { wait: Duration::from_millis(150), ..Settings::default() };
    let hasty = SqlHistory::open_with(&OsDisk, &store.address, &settings).await.expect("it opens");
    store.raw.run("BEGIN IMMEDIATE").await.expect("taken");
    let refused = hasty.append(&run, fence, 1, begin("a")).await.expect_err("busy").to_string();
    assert!(refused.contains("another process has been writing to"), "{refused}");
    assert!(refused.contains("fuser"), "{refused}");
    // Reading goes on meanwhile.
    assert_eq!(hasty.entries(&run, 0, 10).await.expect("read").len(), 1);
    store.raw.run("ROLLBACK").await.expect("let go");
    hasty.append(&run, fence, 1, begin("a")).await.expect("kept");
}

#[tokio::test]
async fn a_full_disk_is_named_and_leaves_nothing_half_written() {
    let store = stored().await;
    let (run, fence) = begun(&store.a, "r", "t").await;
    let settings = Settings { file_bytes_max: Some(400_000), ..Settings::default() };
    let full = SqlHistory::open_with(&OsDisk, &store.address, &settings).await.expect("it opens");
    let told = |number: u64| Event::Told {
        step: StepId(format!("s{number}")),
        severity: Severity::Info,
        message: "x".repeat(9_000),
    };
    let mut kept = 1;
    let refused = loop {
        match full.append(&run, fence, 1, told(kept)).await {
            Ok(entry) => kept = entry.seq,
            Err(error) => break error.to_string(),
        }
        assert!(kept < 100, "it is never full");
    };
    assert!(kept > 10, "full after {kept}");
    assert!(refused.contains("the history cannot be written: no space is left for"), "{refused}");
    assert!(full.append(&run, fence, 1, told(0)).await.is_err(), "still full");
    let entries = full.entries(&run, 0, 1_000).await.expect("reading needs no space");
    assert_eq!((entries.len() as u64, Entry::broken(&entries)), (kept, None));
    assert_eq!(full.verify_run(&run).await, Ok(None));
    // With space again it goes on where it stood, in the same process and in another.
    store.b.append(&run, fence, 2, begin("more")).await.expect("there is space");
    store.b.append(&run, fence, 3, ended(Status::Failed)).await.expect("there is space");
    let rows = full.runs(&Filter { limit: 1, ..Filter::default() }).await.expect("a list");
    assert_eq!(rows.first().map(|row| row.status), Some(Status::Failed));
    assert_eq!(store.a.verify_run(&run).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_write_for_two_seconds_and_neither_is_locked_out() {
    let store = stored().await;
    let writers = [(store.a.clone(), "a"), (store.b.clone(), "b")].map(|(history, name)| {
        tokio::spawn(async move {
            let (run, fence) = begun(&history, name, name).await;
            let end = tokio::time::Instant::now() + Duration::from_secs(2);
            let mut kept = 1;
            while tokio::time::Instant::now() < end {
                kept = history.append(&run, fence, 1, begin("a")).await.expect("never locked").seq;
                history.renew(name, fence, 1, 1_000).await.expect("never locked");
                history.orders(&run, 0).await.expect("never locked");
            }
            (run, kept)
        })
    });
    for writer in writers {
        let (run, kept) = writer.await.expect("no error");
        assert!(kept > 5, "{run} wrote only {kept} lines in two seconds");
        assert_eq!(store.a.verify_run(&run).await, Ok(None));
    }
}
