//! What a caller learns of each way in which a front can answer, or not answer. The front here is a listener that says what it is told to;
//! the real one is tried in the journeys and in `operate/target/docker`.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::path::PathBuf;
use std::time::Duration;

use connect_front::{Front, FrontError, Upstream};
use tokio::net::UnixListener;

mod control;

use control::{STATE, answer};

/// A front that answers every request with these bytes and then keeps the connection, or hangs up.
fn front(folder: &tempfile::TempDir, says: String, hangs_up: bool) -> Front {
    let path = folder.path().join("front.sock");
    control::listen(&path, vec![says], hangs_up);
    Front::new(path).unwrap().within(Duration::from_millis(500))
}

/// The error of setting an upstream where the front says this.
async fn check(says: &str, hangs_up: bool, expect: fn(&FrontError) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let front = front(&folder, says.to_owned(), hangs_up);
    let upstream: Upstream = serde_json::from_str(r#"{"name":"blue","address":"127.0.0.1:81"}"#).unwrap();
    let error = front.set(3, &[upstream]).await.unwrap_err();
    assert!(expect(&error), "{says}: {error:?}");
    assert!(!error.is_not_running(), "{error}");
}

#[tokio::test]
async fn each_way_to_go_wrong_is_told_apart() {
    let refusal = |kind: &str| format!(r#"{{"error":"{kind}","reason":"because","generation":9}}"#);
    check(&answer("409 Conflict", &refusal("stale")), false, |error| {
        matches!(error, FrontError::Stale { generation: 9, .. })
    })
    .await;
    check(
        &answer("400 Bad", &refusal("invalid")),
        false,
        |error| matches!(error, FrontError::Refused { kind, reason, .. } if kind == "invalid" && reason == "because"),
    )
    .await;
    check(&answer("507 Full", &refusal("disk")), false, |error| matches!(error, FrontError::Disk { .. })).await;
    check(&answer("200 OK", "no JSON"), false, |error| matches!(error, FrontError::Garbled { .. })).await;
    check(&answer("502 Bad", "<html>"), false, |error| matches!(error, FrontError::Garbled { .. })).await;
    check("", true, |error| matches!(error, FrontError::Broken { .. })).await;
    check("", false, |error| matches!(error, FrontError::Timeout { after_ms: 500, .. })).await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{", true, |error| matches!(error, FrontError::Broken { .. }))
        .await;
    check(&answer("200 OK", &" ".repeat(5 << 20)), false, |error| matches!(error, FrontError::TooLarge { .. })).await;
}

#[tokio::test]
async fn a_state_is_the_set_and_who_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = front(&folder, answer("200 OK", STATE), false).state().await.unwrap();
    assert_eq!((state.generation, state.listen.as_str(), state.in_flight("blue")), (4, "127.0.0.1:80", 5));
    let addresses: Vec<_> = state.set().into_iter().map(|upstream| upstream.address).collect();
    assert_eq!(addresses, ["127.0.0.1:81"]);
}

#[tokio::test]
async fn a_front_that_does_not_run_is_not_one_that_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("front.sock");
    let front = Front::new(&path).unwrap();
    assert!(front.state().await.unwrap_err().is_not_running());
    // What a front leaves that was killed.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists() && front.state().await.unwrap_err().is_not_running());
    let long = PathBuf::from(format!("/{}", "x".repeat(107)));
    assert!(matches!(Front::new(long), Err(FrontError::PathTooLong { bytes_max: 107, .. })));
}
