//! What only a server does: it refuses passwords, is away, closes connections, and is shared with other programs.

use std::time::Duration;

use base_world::os::OsDisk;
use operate_execute::{Entry, History as _, Lease};
use operate_history::SqlHistory;

use crate::support::{Raw, begin, begun};
use crate::{database, server, stored, url_of};

/// What is said when it does not open; nobody's password is in it.
async fn check_refused(url: &str, expect: &[&str]) {
    let refused = SqlHistory::open(&OsDisk, url).await.err().expect("refused").to_string();
    for part in expect {
        assert!(refused.contains(part), "{refused}\nshould speak of {part}");
    }
    assert!(!refused.contains("hunter2"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_opened_says_why_and_what_to_do() {
    let place = server();
    let host = place.rsplit_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("a URL").0.to_owned();
    let wrong = format!("postgres://apm:hunter2@{host}/postgres");
    check_refused(&wrong, &["the history cannot be opened", &host, "password authentication failed", "~/.pgpass"])
        .await;
    check_refused(&url_of("nowhere"), &["database \"nowhere\" does not exist", "createdb"]).await;
    check_refused("postgres://apm:hunter2@127.0.0.1:1/x", &["postgres://127.0.0.1:1/x cannot be reached", "refused"])
        .await;
    check_refused("postgres://apm:hunter2@127.0.0.1:port/x", &["is not understood", "postgres://user:password@host"])
        .await;
    check_refused(&format!("{place}?sslmode=require"), &["TLS"]).await;
}

#[tokio::test]
async fn a_user_without_rights_is_told_what_an_admin_must_do() {
    let used = stored().await;
    let empty = url_of(&database().await);
    let name = used.address.rsplit_once('/').expect("a URL").1.to_owned();
    let role = format!("viewer_of_{name}");
    let _ = used.raw.run(&format!("DROP ROLE IF EXISTS {role}")).await;
    used.raw.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")).await.expect("made");
    for (address, said) in [(&used.address, "\"schema_versions\" does not exist"), (&empty, "permission denied")] {
        let (_, rest) = address.rsplit_once('@').expect("a URL");
        let url = format!("postgres://{role}:hunter2@{rest}");
        check_refused(&url, &[said, "CREATE SCHEMA apm AUTHORIZATION"]).await;
    }
}

#[tokio::test]
async fn connections_that_the_server_closes_are_made_anew() {
    let store = stored().await;
    let (run, fence) = begun(&store.a, "r", "t").await;
    for round in 0..5 {
        store.a.append(&run, fence, round, begin("a")).await.expect("kept");
        let close = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
        store.raw.run(close).await.expect("closed");
    }
    let entries = store.b.entries(&run, 0, 100).await.expect("all");
    assert_eq!((entries.len(), Entry::broken(&entries)), (6, None));
}

#[tokio::test]
async fn tables_of_other_programs_are_left_alone() {
    let address = url_of(&database().await);
    let options: sqlx::postgres::PgConnectOptions = address.parse().expect("a URL");
    let public = sqlx::PgPool::connect_lazy_with(options);
    let public = Raw::Postgres(public);
    public.run("CREATE TABLE runs (mine TEXT); INSERT INTO runs VALUES ('still here')").await.expect("made");
    let history = SqlHistory::open(&OsDisk, &address).await.expect("it opens");
    begun(&history, "r", "t").await;
    public.run("SELECT 1 / (SELECT count(*) FROM public.runs WHERE mine = 'still here')").await.expect("still there");
    // In our own schema they are refused by name.
    let other = url_of(&database().await);
    let theirs = Raw::Postgres(sqlx::PgPool::connect_lazy_with(other.parse().expect("a URL")));
    theirs.run("CREATE SCHEMA apm; CREATE TABLE apm.quotes (x TEXT)").await.expect("made");
    check_refused(&other, &["belongs to another program (its tables: quotes)"]).await;
}

#[tokio::test]
async fn ten_open_an_empty_database_at_once() {
    let address = url_of(&database().await);
    let openers = (0..10).map(|_| {
        let address = address.clone();
        tokio::spawn(async move { SqlHistory::open(&OsDisk, &address).await.map(drop) })
    });
    for opener in openers.collect::<Vec<_>>() {
        opener.await.expect("no panic").expect("it opens");
    }
}

/// Returns when so many connections of this database wait for a lock.
async fn until_waiting(raw: &Raw, count: u32) {
    let waiting = format!(
        "SELECT 1 / (count(*) / {count}) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    );
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while raw.run(&waiting).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "nobody waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_lease_is_not_given_away_under_a_line_that_is_being_written() {
    let store = stored().await;
    let (run, fence) = begun(&store.a, "r", "t").await;
    let door = Raw::Postgres(sqlx::PgPool::connect_lazy_with(
        store.address.parse::<sqlx::postgres::PgConnectOptions>().expect("a URL").options([("search_path", "apm")]),
    ));
    // The writer has looked at its token and stands before the journal's door.
    store.raw.run("BEGIN; LOCK TABLE entries IN EXCLUSIVE MODE").await.expect("closed");
    let (writer, taker) = (store.a.clone(), store.b.clone());
    let written = tokio::spawn(async move { writer.append(&run, fence, 20_000, begin("a")).await });
    until_waiting(&door, 1).await;
    let taken = tokio::spawn(async move { taker.lease("t", "b", 20_000, 1_000).await });
    until_waiting(&door, 2).await;
    assert!(!taken.is_finished(), "another has the target while a line is written under the old token");
    store.raw.run("COMMIT").await.expect("opened");
    written.await.expect("no panic").expect("kept");
    assert!(matches!(taken.await.expect("no panic"), Ok(Lease::Got(got)) if got > fence));
}

#[tokio::test]
async fn a_server_that_may_forget_commits_is_asked_not_to_for_ours() {
    let store = stored().await;
    let name = store.address.rsplit_once('/').expect("a URL").1;
    store.raw.run(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await.expect("set");
    let witness = "CREATE TABLE seen (setting TEXT);
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$;
        CREATE TRIGGER see AFTER INSERT ON entries FOR EACH ROW EXECUTE FUNCTION see()";
    store.raw.run(witness).await.expect("made");
    let history = SqlHistory::open(&OsDisk, &store.address).await.expect("it opens");
    begun(&history, "r", "t").await;
    store.raw.run("SELECT 1 / count(*) FROM seen WHERE setting = 'on'").await.expect("it was on");
}
