//! Upstreams that die and clients that dawdle: each harms its own request only.

use std::time::Duration;

use crate::stage::{Server, Stage, body, nowhere, scripted, spec, status};

#[tokio::test]
async fn an_upstream_that_dies_is_a_502_and_the_next_request_is_fine() {
    let blue = Server::start("blue").await;
    let silent = spec("silent", scripted(b"").await, 1);
    let halved = spec("halved", scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await, 1);
    let nonsense = spec("nonsense", scripted(b"no http\r\n\r\n").await, 1);
    let stage = Stage::new(vec![silent.clone()]).await;
    let mut wire = stage.connect().await;
    wire.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx").await;
    let answer = wire.closing().await;
    assert_eq!((status(&answer), body(&answer)), (502, "apm front: silent did not answer\n"));
    stage.switch(vec![nonsense]).await;
    assert_eq!(stage.get("/").await.0, 502);
    // An answer that breaks off breaks off for the client too: it must not be taken for a whole one.
    stage.switch(vec![halved]).await;
    let mut wire = stage.connect().await;
    wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = wire.closing().await;
    assert!(status(&answer) == 200 && body(&answer).len() < 100, "{answer}");
    stage.switch(vec![blue.spec(1)]).await;
    assert_eq!(stage.get("/").await, (200, "blue".into()));
    let text = stage.control.metrics().await.unwrap();
    assert!(text.contains("apm_front_cut_total{upstream=\"halved\"} 1"), "{text}");
}

#[tokio::test]
async fn who_refuses_the_connection_is_passed_over_whatever_the_method() {
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![spec("gone", nowhere().await, 1), blue.spec(1)]).await;
    for _ in 0..20 {
        let mut wire = stage.connect().await;
        wire.send("POST /count HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
        let (head, body) = wire.answer().await;
        assert_eq!((status(&head), body.as_str()), (200, "5"));
    }
    // After three refusals it is not asked any more.
    let health = stage.control.health().await.unwrap();
    assert_eq!((health[0].healthy, health[1].healthy), (false, true));
    assert!(health[0].reason.as_ref().unwrap().contains("refused"), "{health:?}");
    let text = stage.control.metrics().await.unwrap();
    assert!(text.contains("apm_front_connect_errors_total{upstream=\"gone\"} 3"), "{text}");
}

#[tokio::test]
async fn what_may_have_been_read_is_sent_again_only_when_that_is_safe() {
    let blue = Server::start("blue").await;
    let silent = scripted(b"").await;
    let check = async |request: &str, code: u16| {
        let stage = Stage::new(vec![spec("silent", silent, 1), blue.spec(1)]).await;
        // The first turn is the silent one's.
        let mut wire = stage.connect().await;
        wire.send(request).await;
        let head = wire.until("\r\n\r\n").await;
        assert_eq!(status(&head), code, "{request}");
    };
    check("GET / HTTP/1.1\r\nhost: a\r\n\r\n", 200).await;
    check("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello", 200).await;
    check("DELETE / HTTP/1.1\r\nhost: a\r\n\r\n", 200).await;
    check("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello", 502).await;
    check("PATCH / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello", 502).await;
    // Idempotent, but its body was not kept.
    check("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 502).await;
}

#[tokio::test]
async fn nobody_reachable_is_said() {
    let stage = Stage::new(vec![spec("gone", nowhere().await, 1)]).await;
    assert_eq!(stage.get("/").await, (502, "apm front: no upstream could be reached\n".into()));
    stage.switch(Vec::new()).await;
    assert_eq!(stage.get("/").await.0, 503);
}

#[tokio::test]
async fn dawdlers_are_given_up_and_hold_nobody_else() {
    let blue = Server::start("blue").await;
    let stage = Stage::with(vec![blue.spec(1)], |options| {
        options.limits.header_timeout = Duration::from_millis(300);
        options.limits.client_idle_timeout = Duration::from_millis(300);
        options.limits.response_timeout = Duration::from_millis(500);
    })
    .await;
    // A byte now and then is no progress.
    let mut loris = stage.connect().await;
    let dawdled = async {
        for _ in 0..100 {
            loris.send("GET / HTTP/1.1\r\n").await;
            if loris.stream.try_read(&mut [0; 1]).is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it may go on for ever");
    };
    let others = async {
        for _ in 0..10 {
            assert_eq!(stage.get("/").await.0, 200);
        }
    };
    tokio::join!(dawdled, others);
    // A body that stops.
    let mut wire = stage.connect().await;
    wire.send("POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 50000\r\n\r\nhel").await;
    assert_eq!(status(&wire.closing().await), 408);
    // A client that does not read holds its upstream for so long only.
    let mut deaf = stage.connect().await;
    deaf.send("GET /big?100000000 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    deaf.until("\r\n\r\n").await;
    let released = async {
        while stage.control.health().await.unwrap()[0].in_flight > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::stage::PATIENCE, released).await.expect("the upstream is released");
    // An upstream that takes its time.
    assert_eq!(stage.get("/slow?5000").await, (504, "apm front: blue did not answer in time\n".into()));
    // A connection that waits between requests is not in a head.
    let mut wire = stage.connect().await;
    wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    wire.answer().await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(wire.answer().await.1, "blue");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_nobody_an_error() {
    // It answers once on each connection and closes it without a word.
    let once = scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nonce").await;
    let stage = Stage::new(vec![spec("once", once, 1)]).await;
    let mut wire = stage.connect().await;
    for _ in 0..200 {
        wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(wire.answer().await.1, "once");
    }
}
