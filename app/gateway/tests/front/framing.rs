//! Requests that two servers could read in two ways are refused by this one, and nothing of them reaches an upstream.

use crate::stage::{Server, Stage, header, status};

/// What the first answer is, and that nothing behind the refused request is answered.
async fn check(stage: &Stage, blue: &Server, request: &str, code: u16) {
    let before = blue.begun();
    let mut wire = stage.connect().await;
    let request = request.replace('|', "\r\n");
    wire.send(&format!("{request}GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    let answer = wire.closing().await;
    assert_eq!(status(&answer), code, "{request:?}: {answer:?}");
    assert_eq!(
        answer.lines().filter(|line| line.starts_with("HTTP/1.1 ") && !line.contains("needs")).count(),
        1,
        "{request:?}: {answer:?}"
    );
    let passed = blue.begun() - before;
    assert!(passed == 0 || request.contains("chunked"), "{request:?} reached the upstream");
    // A bad chunk is found after the head has gone; what came behind it has not.
    assert!(passed <= 1, "{request:?}: {passed} requests reached the upstream");
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused() {
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let post = "POST /count HTTP/1.1|host: a|";
    for head in [
        "content-length: 5|transfer-encoding: chunked||0||",
        "transfer-encoding: chunked|content-length: 5||0||",
        "content-length: 5|content-length: 6||hello",
        "content-length: 5|content-length: 5||hello",
        "content-length: +5||hello",
        "content-length: 5, 5||hello",
        "transfer-encoding: gzip, chunked||0||",
        "transfer-encoding: chunked, identity||0||",
        "transfer-encoding : chunked||0||",
        "x: 1| folded: 1||",
        "transfer-encoding: chunked||0x1|a|0||",
        "transfer-encoding: chunked||-1|a|0||",
        "transfer-encoding: chunked||1|ab|0||",
        "transfer-encoding: chunked||ffffffffffffffffff|a|0||",
    ] {
        check(&stage, &blue, &format!("{post}{head}"), 400).await;
    }
    check(&stage, &blue, "POST / HTTP/1.0|host: a|transfer-encoding: chunked||0||", 400).await;
    check(&stage, &blue, "GET / HTTP/1.1|accept: a||", 400).await;
    check(&stage, &blue, "GET / HTTP/1.1|host: a|host: b||", 400).await;
    check(&stage, &blue, "GET / HTTP/1.1|host: a\nx: y||", 400).await;
    check(&stage, &blue, "GET / HTTP/1.1|host: a|x\u{0}: y||", 400).await;
    check(&stage, &blue, "CONNECT a:443 HTTP/1.1|host: a||", 501).await;
    check(&stage, &blue, "not http at all||", 400).await;
    // The front is well after all of it.
    assert_eq!(stage.get("/").await, (200, "blue".into()));
}

#[tokio::test]
async fn limits_are_kept() {
    let blue = Server::start("blue").await;
    let stage = Stage::with(vec![blue.spec(1)], |options| {
        options.limits.header_bytes_max = 8 << 10;
        options.limits.headers_max = 20;
        options.limits.body_bytes_max = 1000;
        options.limits.connections_max = 3;
    })
    .await;
    let large = format!("GET / HTTP/1.1|host: a|x: {}||", "x".repeat(16 << 10));
    check(&stage, &blue, &large, 431).await;
    let many = format!("GET / HTTP/1.1|host: a|{}|", "x: y|".repeat(30));
    check(&stage, &blue, &many, 431).await;
    let before = blue.begun();
    let mut wire = stage.connect().await;
    wire.send("POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n").await;
    assert_eq!(status(&wire.closing().await), 413);
    assert_eq!(blue.begun(), before);
    let mut wire = stage.connect().await;
    let piece = format!("200\r\n{}\r\n", "x".repeat(512));
    wire.send(&format!("POST /count HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{piece}{piece}0\r\n\r\n"))
        .await;
    let answer = wire.closing().await;
    assert_eq!((status(&answer), header(&answer, "connection")), (413, Some("close")));
    // A fourth client waits until one of three is gone.
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut wire = stage.connect().await;
        wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        wire.answer().await;
        held.push(wire);
    }
    let mut fourth = stage.connect().await;
    fourth.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let waited = tokio::time::timeout(std::time::Duration::from_millis(100), fourth.until("blue")).await;
    assert!(waited.is_err(), "it was served");
    held.pop();
    assert!(fourth.until("blue").await.starts_with("HTTP/1.1 200"));
}
