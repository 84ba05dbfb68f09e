//! A watch through everything a server can do to it.

use std::time::Duration;

use connect_kube::{Change, KubeError, Watch, WatchOptions};
use serde_json::{Value, json};

use crate::server::{Do, Fake, answer, broken, lines, ok, pods};

fn pod(name: &str, uid: &str, version: u64) -> Value {
    json!({"metadata": {"namespace": "shop", "name": name, "uid": uid, "resourceVersion": version.to_string()}})
}

fn list(version: u64, next: &str, items: &[Value]) -> Do {
    ok(
        &json!({"kind": "PodList", "metadata": {"resourceVersion": version.to_string(), "continue": next}, "items": items}),
    )
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}

fn too_old() -> Value {
    event(
        "ERROR",
        json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (9)"}),
    )
}

/// Holds of each pod its version.
fn watch(fake: &Fake) -> Watch<String> {
    let version = |pod: Value| pod["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    fake.cluster().watch(&pods(), Some("shop"), WatchOptions::default(), version)
}

/// The next change in short: `+a`, `~a 1>2`, `-a 2`, `.` for listed, `!` for an interruption, `?` for an error.
async fn next(watch: &mut Watch<String>) -> String {
    let change = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.expect("it goes on");
    match change {
        Ok(Change::Added(key)) => format!("+{}", key.name),
        Ok(Change::Modified(key, before)) => {
            let now = watch.get(&key).expect("it is held");
            format!("~{} {before}>{now}", key.name)
        }
        Ok(Change::Deleted(key, last)) => format!("-{} {last}", key.name),
        Ok(Change::Listed) => ".".into(),
        Ok(Change::Interrupted { error, .. }) => {
            format!("!{}", format!("{error:?}").split([' ', '{']).next().unwrap_or_default())
        }
        Err(error) => format!("?{}", format!("{error:?}").split([' ', '{']).next().unwrap_or_default()),
    }
}

/// What is told with these answers of the server, and the requests it saw in between, from the query's version on.
async fn check(answers: Vec<Do>, expect: &[&str], asked: &[&str]) {
    let mut fake = Fake::new(answers).await;
    let mut watch = watch(&fake);
    let mut told = Vec::new();
    for _ in expect {
        told.push(next(&mut watch).await);
    }
    assert_eq!(told, expect);
    for expect in asked {
        let request = fake.request().await;
        let line = request.line().to_owned();
        assert!(line.contains(expect), "{line} should ask for {expect}");
    }
}

fn stay(messages: &[Value]) -> Do {
    Do::Stay(lines(messages))
}

#[tokio::test]
async fn pages_then_changes() {
    check(
        vec![
            list(5, "next", &[pod("a", "1", 1), pod("b", "2", 2)]),
            list(5, "", &[pod("c", "3", 3)]),
            stay(&[
                event("MODIFIED", pod("a", "1", 6)),
                event("BOOKMARK", json!({"metadata": {"resourceVersion": "7"}})),
                event("ADDED", pod("d", "4", 8)),
                event("DELETED", pod("b", "2", 9)),
            ]),
        ],
        &["+a", "+b", "+c", ".", "~a 1>6", "+d", "-b 2"],
        &["limit=250", "continue=next", "watch=true&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=290"],
    )
    .await;
}

#[tokio::test]
async fn a_broken_watch_goes_on_where_it_was() {
    check(
        vec![
            list(5, "", &[pod("a", "1", 1)]),
            broken(&[event("MODIFIED", pod("a", "1", 6)), event("BOOKMARK", json!({"metadata": {"resourceVersion": "70"}}))]),
            // As a server that is just starting.
            answer("503 Service Unavailable", "", "not yet"),
            answer("403 Forbidden", "", r#"{"kind":"Status","reason":"Forbidden","message":"pods is forbidden: User \"me\" cannot watch resource \"pods\" in API group \"\" in the namespace \"shop\""}"#),
            stay(&[event("MODIFIED", pod("a", "1", 71))]),
        ],
        &["+a", ".", "~a 1>6", "!Broken", "!Unready", "!Permission", "~a 6>71"],
        &["limit=250", "resourceVersion=5", "resourceVersion=70", "resourceVersion=70", "resourceVersion=70"],
    )
    .await;
}

#[tokio::test]
async fn the_end_of_a_turn_is_no_interruption() {
    check(
        vec![
            list(5, "", &[]),
            Do::Write(lines(&[event("ADDED", pod("a", "1", 6))])),
            Do::Write(lines(&[])),
            stay(&[event("ADDED", pod("b", "2", 7))]),
        ],
        &[".", "+a", "+b"],
        &["limit=250", "resourceVersion=5", "resourceVersion=6", "resourceVersion=6"],
    )
    .await;
}

#[tokio::test]
async fn what_was_forgotten_is_listed_and_compared() {
    let before = [pod("same", "1", 1), pod("changed", "2", 2), pod("gone", "3", 3), pod("exchanged", "4", 4)];
    let after = [pod("same", "1", 1), pod("changed", "2", 12), pod("exchanged", "5", 13), pod("new", "6", 14)];
    for forgotten in [
        Do::Write(lines(&[too_old()])),
        answer("410 Gone", "", r#"{"kind":"Status","reason":"Expired","message":"too old"}"#),
        // Another server, restored from a backup: our version is in its future.
        answer(
            "504 Gateway Timeout",
            "",
            r#"{"kind":"Status","reason":"Timeout","message":"Too large resource version","details":{"causes":[{"reason":"ResourceVersionTooLarge"}]}}"#,
        ),
    ] {
        check(
            vec![list(5, "", &before), forgotten, list(20, "", &after), stay(&[])],
            &[
                "+same",
                "+changed",
                "+gone",
                "+exchanged",
                ".",
                "~changed 2>12",
                "-exchanged 4",
                "+exchanged",
                "+new",
                "-gone 3",
                ".",
            ],
            &["limit=250", "resourceVersion=5", "limit=250"],
        )
        .await;
    }
}

#[tokio::test]
async fn a_listing_that_is_forgotten_halfway_begins_again() {
    let gone = || {
        answer(
            "410 Gone",
            "",
            r#"{"kind":"Status","reason":"Expired","message":"The provided continue parameter is too old"}"#,
        )
    };
    check(
        vec![
            list(5, "n", &[pod("a", "1", 1)]),
            gone(),
            list(6, "n", &[pod("a", "1", 2)]),
            gone(),
            // After the second time all at once.
            list(7, "", &[pod("a", "1", 2), pod("b", "2", 3)]),
            stay(&[]),
        ],
        &["+a", "~a 1>2", "+b", "."],
        &["limit=250", "continue=n", "limit=250", "continue=n", "limit=0"],
    )
    .await;
}

#[tokio::test]
async fn a_page_too_large_is_asked_for_in_smaller_ones() {
    check(
        vec![Do::Endless(vec![b' '; 1 << 20]), list(5, "", &[pod("a", "1", 1)]), stay(&[])],
        &["+a", "."],
        &["limit=250", "limit=62"],
    )
    .await;
}

#[tokio::test]
async fn what_will_not_pass_is_an_error_and_not_the_end() {
    let denied = answer(
        "403 Forbidden",
        "",
        r#"{"kind":"Status","reason":"Forbidden","message":"pods is forbidden: User \"me\" cannot list resource \"pods\" in API group \"\" in the namespace \"shop\""}"#,
    );
    check(vec![denied, list(5, "", &[]), stay(&[])], &["?Permission", "."], &[]).await;
    let endless = Do::Endless(vec![b'x'; 1 << 20]);
    check(vec![list(5, "", &[]), endless, stay(&[event("ADDED", pod("a", "1", 6))])], &[".", "?TooLarge", "+a"], &[])
        .await;
    let garbage = Do::Stay(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"type\": 3}\n".to_vec());
    check(vec![list(5, "", &[]), garbage, stay(&[event("ADDED", pod("a", "1", 6))])], &[".", "?Garbled", "+a"], &[])
        .await;
}

#[tokio::test]
async fn a_server_that_is_another_one_is_listed_after_a_while() {
    let mut answers = vec![list(5, "", &[pod("a", "1", 1)])];
    answers.extend((0..6).map(|_| answer("500 Internal Server Error", "", "etcd is gone")));
    answers.extend([list(2, "", &[pod("b", "2", 2)]), stay(&[])]);
    let mut fake = Fake::new(answers).await;
    let mut watch = watch(&fake);
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "-a 1") {
        told.push(next(&mut watch).await);
    }
    assert_eq!(told.iter().filter(|told| *told == "!Unready").count(), 6, "{told:?}");
    assert!(fake.request().await.line().contains("limit=250"));
}

#[tokio::test]
async fn nothing_is_lost_when_nobody_waits_to_the_end() {
    let changes: Vec<_> = (6..16).map(|version| event("MODIFIED", pod("a", "1", version))).collect();
    let fake = Fake::new(vec![list(5, "", &[pod("a", "1", 5)]), Do::Dribble(lines(&changes)), stay(&[])]).await;
    let mut watch = watch(&fake);
    let mut modified = 0;
    while modified < changes.len() {
        // Far less than a line takes to come.
        if let Ok(change) = tokio::time::timeout(Duration::from_millis(2), watch.next()).await
            && let Change::Modified(..) = change.expect("a good server")
        {
            modified += 1;
        }
    }
    assert_eq!(watch.all().map(|(_, version)| version.as_str()).collect::<Vec<_>>(), ["15"]);
}

#[tokio::test]
async fn more_objects_than_allowed_are_an_error() {
    let fake = Fake::new(vec![list(5, "", &[pod("a", "1", 1), pod("b", "2", 2), pod("c", "3", 3)])]).await;
    let options = WatchOptions { objects_max: 2, ..WatchOptions::default() };
    let mut watch = fake.cluster().watch(&pods(), None, options, |_| ());
    let mut error = None;
    while error.is_none() {
        error = watch.next().await.err();
    }
    assert!(
        matches!(&error, Some(KubeError::Garbled { reason, .. }) if reason.contains("more than 2 objects")),
        "{error:?}"
    );
    assert_eq!(watch.len(), 2);
}
