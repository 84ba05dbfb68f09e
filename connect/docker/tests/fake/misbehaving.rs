//! Engines that refuse, hang, die and babble.

use std::time::Duration;

use bytes::Bytes;
use connect_docker::{BuildOptions, DockerError, Engine, EventFilter, ExecSpec, LogOptions, Surroundings, find};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use crate::engine::{Do, answer, cut, engine, fake, head, play};

/// The error of inspecting a container, as text, has these words and this class.
async fn check(what: Do, class: &str, words: &[&str]) {
    let error = fake(vec![what]).engine.inspect_container("web").await.expect_err("it misbehaves");
    let debug = format!("{error:?}");
    assert!(debug.starts_with(class), "{debug} should be {class}");
    for word in words {
        assert!(error.to_string().contains(word), "{error} should speak of {word}");
    }
}

#[tokio::test]
async fn refusals_have_their_class() {
    check(
        answer("404 Not Found", "", r#"{"message":"No such container: web"}"#),
        "NotFound",
        &["container `web`", "404"],
    )
    .await;
    let taken = r#"{"message":"Conflict. The container name \"/web\" is already in use by container \"4f0e\"."}"#;
    check(answer("409 Conflict", "", taken), "Conflict", &["4f0e", "409"]).await;
    check(
        answer("500 Internal Server Error", "", r#"{"message":"driver failed"}"#),
        "Engine",
        &["driver failed", "500"],
    )
    .await;
    check(answer("500 Internal Server Error", "", ""), "Engine", &["Internal Server Error"]).await;
    check(answer("502 Bad Gateway", "", "<html>proxy</html>"), "Engine", &["<html>proxy</html>"]).await;
    check(answer("400 Bad Request", "", r#"{"message":"client version 1.41 is too old"}"#), "Invalid", &["too old"])
        .await;
}

#[tokio::test]
async fn a_throttle_says_how_long() {
    let fake = fake(vec![answer(
        "429 Too Many Requests",
        "Retry-After: 17\r\n",
        r#"{"message":"toomanyrequests: slow down"}"#,
    )]);
    let error = fake.engine.pull("shop:1", None, "").await.err().expect("refused");
    let DockerError::Throttled { retry_after, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*retry_after, Some(Duration::from_secs(17)));
    assert_eq!(error.status(), Some(429));
}

#[tokio::test]
async fn broken_answers_have_their_class() {
    check(Do::Close, "Broken", &["inspect container `web`"]).await;
    check(Do::Write(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "Broken", &["inspect container `web`"]).await;
    check(cut(br#"{"Id":"12""#), "Broken", &["inspect container `web`"]).await;
    check(answer("200 OK", "", "{garbage"), "Garbled", &["inspect container `web`", "column"]).await;
    check(Do::Endless(vec![b' '; 64 << 10]), "TooLarge", &["33554432 bytes"]).await;
}

#[tokio::test]
async fn nobody_listens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let error = engine(folder.path().join("none.sock")).version().await.expect_err("no socket");
    assert!(matches!(error, DockerError::NotReachable { .. }), "{error:?}");
    assert!(error.to_string().contains("none.sock (from the test)"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("is the engine running")));

    // A socket whose listener is gone, and a port where nobody is.
    let path = folder.path().join("left.sock");
    drop(UnixListener::bind(&path).expect("a socket"));
    assert!(matches!(engine(path).info().await, Err(DockerError::NotReachable { .. })));
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = format!("tcp://{}", free.local_addr().expect("bound"));
    drop(free);
    let surroundings = Surroundings { docker_host: Some(host), ..Default::default() };
    let found = find(&surroundings, &*base_world::World::real().disk).expect("an address");
    let error = Engine::new(found).expect("no TLS").version().await.expect_err("nobody there");
    assert!(error.to_string().contains("from DOCKER_HOST"), "{error}");
}

#[tokio::test]
async fn an_engine_that_hangs_is_not_waited_for() {
    let fake = fake(vec![Do::Hang]);
    let impatient = Engine::with_patience(fake.engine.found().clone(), Duration::from_millis(50)).expect("no TLS");
    let error = impatient.inspect_container("web").await.expect_err("it hangs");
    assert_eq!(error.to_string(), "inspect container `web`: no end within 50 ms");
    assert!(error.is_transient());
    let error = fake.engine.wait_container("web", Duration::from_millis(70)).await.expect_err("it hangs");
    assert_eq!(error.to_string(), "wait for container `web`: no end within 70 ms");
    let error = fake.engine.exec("web", &ExecSpec::default(), Duration::from_millis(30)).await.expect_err("it hangs");
    assert!(matches!(error, DockerError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn an_engine_that_dies_in_the_middle_of_logs() {
    let inspect = answer("200 OK", "", r#"{"Config":{"Tty":false}}"#);
    let fake = fake(vec![inspect, cut(b"\x01\0\0\0\0\0\0\x0ahello\nworl")]);
    let mut lines = fake.engine.logs("web", &LogOptions::default()).await.expect("it begins well");
    let first = lines.next().await.expect("a line").expect("whole");
    assert_eq!(first.text, "hello");
    let error = lines.next().await.expect("an end").expect_err("it died");
    assert!(matches!(error, DockerError::Broken { .. }) && error.is_transient(), "{error:?}");
    assert!(lines.next().await.is_none(), "an error ends the stream");
}

#[tokio::test]
async fn a_build_s_error_comes_in_its_stream() {
    let messages = "{\"stream\":\"Step 1/1 : RUN false\\n\"}\r\n{\"errorDetail\":{\"message\":\"write /x: no space left on device\"},\"error\":\"write\"}\r\n";
    let fake = fake(vec![answer("200 OK", "", messages)]);
    let context = futures_util::stream::iter([Ok(Bytes::from_static(b"tar"))]).boxed();
    let mut messages = fake.engine.build(&BuildOptions::default(), context).await.expect("it begins well");
    assert_eq!(messages.next().await.expect("one").expect("good").output, "Step 1/1 : RUN false\n");
    assert!(matches!(messages.next().await, Some(Err(DockerError::NoSpace { .. }))));
}

#[tokio::test]
async fn one_endless_message_is_cut_off() {
    let fake = fake(vec![Do::Endless(vec![b'x'; 64 << 10])]);
    let messages = fake.engine.pull("shop:1", None, "").await.expect("it begins well");
    let error = messages.try_collect::<Vec<_>>().await.expect_err("no end");
    assert!(matches!(error, DockerError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn events_go_on_after_a_break_and_come_once() {
    let event = |at: u64, action: &str| {
        json!({"Type": "container", "Action": action, "Actor": {"ID": "12", "Attributes": {}}, "timeNano": at})
            .to_string()
            + "\n"
    };
    let first = event(1_000_000_000, "create") + &event(2_000_000_005, "start");
    // The engine sends again what happened at the moment asked for.
    let second = event(2_000_000_005, "start") + &event(2_000_000_005, "rename") + &event(3_000_000_000, "die");
    let mut fake = fake(vec![cut(first.as_bytes()), Do::Close, answer("200 OK", "", &second), Do::Hang]);
    let events = fake.engine.events(EventFilter::default()).await.expect("it begins well");
    let actions: Vec<String> = events.take(4).map_ok(|event| event.action).try_collect().await.expect("no error");
    assert_eq!(actions, ["create", "start", "rename", "die"]);
    let mut lines = Vec::new();
    while let Ok(request) = fake.asked.try_recv() {
        lines.push(request.lines().next().unwrap_or_default().to_owned());
    }
    assert!(!lines[0].contains("since=") && lines[2].contains("since=2.000000005"), "{lines:?}");
}

#[tokio::test]
async fn what_is_as_wanted_already_is_no_error() {
    let same = || answer("304 Not Modified", "", "");
    let none = || answer("404 Not Found", "", r#"{"message":"No such thing"}"#);
    let fake = fake(vec![same(), same(), none(), none(), none(), none()]);
    let engine = &fake.engine;
    assert!(!engine.start_container("web").await.expect("running already"));
    assert!(!engine.stop_container("web", Duration::from_secs(1)).await.expect("stopped already"));
    assert!(!engine.remove_container_if_there("web").await.expect("gone already"));
    assert!(!engine.remove_network_if_there("shop").await.expect("gone already"));
    assert!(!engine.remove_volume_if_there("data").await.expect("gone already"));
    assert_eq!(engine.image_if_there("shop:1").await.expect("no error"), None);
}

/// Whoever stops reading a stream that nothing comes from must not leave a connection behind.
#[tokio::test]
async fn a_stream_that_is_dropped_closes_its_connection() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("d.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the version's");
        head(&mut stream).await;
        play(&mut stream, answer("200 OK", "", r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#)).await;
        let (mut stream, _) = listener.accept().await.expect("the events'");
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("a head");
        // Its end: the other side has closed.
        stream.read(&mut [0; 1]).await
    });
    let events = engine(path).events(EventFilter::default()).await.expect("it begins well");
    drop(events);
    let read = tokio::time::timeout(Duration::from_secs(20), served).await.expect("the connection is closed");
    assert_eq!(read.expect("no panic").ok(), Some(0));
}
