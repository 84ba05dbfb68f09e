//! HTTP/1.1 as clients speak it.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use crate::stage::{Server, Stage, body, header, scripted, spec, status};

#[tokio::test]
async fn a_connection_is_kept_and_requests_may_be_pipelined() {
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let mut wire = stage.connect().await;
    for _ in 0..3 {
        wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let (head, body) = wire.answer().await;
        assert_eq!((status(&head), body.as_str()), (200, "blue"));
        assert_eq!(header(&head, "via"), Some("1.1 apm-front"));
    }
    let one = "GET /slow?20 HTTP/1.1\r\nhost: a\r\n\r\n";
    let post = "POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
    wire.send(&format!("{one}{post}{one}")).await;
    let mut bodies = Vec::new();
    for _ in 0..3 {
        bodies.push(wire.answer().await.1);
    }
    assert_eq!(bodies, ["blue", "5", "blue"]);
    // The upstream's connection was kept as well.
    assert_eq!(blue.connections.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn chunks_pass_both_ways_with_their_trailers() {
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let mut wire = stage.connect().await;
    wire.send("POST /echo HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    wire.send("5\r\nhello\r\n").await;
    // The first piece is back before the last is sent.
    let answer = wire.until("5\r\nhello\r\n").await;
    assert_eq!(header(&answer, "transfer-encoding"), Some("chunked"));
    wire.send("6;x=y\r\n world\r\n0\r\nx-sum: 1\r\n\r\n").await;
    assert_eq!(wire.until("0\r\n").await, "6\r\n world\r\n0\r\n");
}

#[tokio::test]
async fn large_bodies_are_streamed_in_constant_memory() {
    const SIZE: usize = 256 << 20;
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let before = resident_bytes();
    let mut wire = stage.connect().await;
    wire.send(&format!("POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: {SIZE}\r\n\r\n")).await;
    let piece = vec![0; 1 << 20];
    for _ in 0..SIZE / piece.len() {
        wire.stream.write_all(&piece).await.unwrap();
    }
    assert_eq!(wire.answer().await.1, SIZE.to_string());
    // And back: a reader that is slow at first holds the upstream, not the bytes.
    let stream = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("/big?{SIZE}")).header("host", "a").body(Full::<Bytes>::default()).unwrap();
    let mut answer = sender.send_request(request).await.unwrap().into_body();
    let mut got = 0;
    while let Some(frame) = answer.frame().await {
        got += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    assert_eq!(got, SIZE);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "grew by {} MB", grown >> 20);
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let mut wire = stage.connect().await;
    wire.send("POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n").await;
    assert_eq!(wire.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    wire.send("hello").await;
    assert_eq!(wire.answer().await.1, "5");
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let blue = Server::start("blue").await;
    let length = scripted(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\netag: \"1\"\r\n\r\n").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let mut wire = stage.connect().await;
    // On one connection: a body that is not there would be read as the next answer.
    wire.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = wire.until("\r\n\r\n").await;
    assert_eq!((status(&head), header(&head, "content-length")), (200, Some("4")));
    wire.send("GET /status?204 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = wire.until("\r\n\r\n").await;
    assert_eq!((status(&head), header(&head, "content-length")), (204, None));
    stage.switch(vec![spec("length", length, 1)]).await;
    wire.send("GET / HTTP/1.1\r\nhost: a\r\nif-none-match: \"1\"\r\n\r\n").await;
    let head = wire.until("\r\n\r\n").await;
    assert_eq!((status(&head), header(&head, "etag")), (304, Some("\"1\"")));
    stage.switch(vec![blue.spec(1)]).await;
    wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(wire.answer().await.1, "blue");
}

#[tokio::test]
async fn an_old_client_and_an_old_upstream_are_served() {
    let old = scripted(b"HTTP/1.0 200 OK\r\n\r\nuntil the end").await;
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let mut wire = stage.connect().await;
    wire.send("GET /big?131072 HTTP/1.0\r\n\r\n").await;
    let answer = wire.closing().await;
    assert_eq!((status(&answer), header(&answer, "transfer-encoding")), (200, None));
    assert_eq!(body(&answer).len(), 131_072);
    stage.switch(vec![spec("old", old, 1)]).await;
    assert_eq!(stage.get("/").await.1, "D\r\nuntil the end\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_client_that_has_said_all_is_still_answered() {
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let mut wire = stage.connect().await;
    wire.send("POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello").await;
    wire.stream.shutdown().await.unwrap();
    let answer = wire.closing().await;
    assert_eq!((status(&answer), body(&answer)), (200, "5"));
}

#[tokio::test]
async fn the_upstream_sees_who_asked() {
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let mut wire = stage.connect().await;
    wire.send("GET /head?x=1 HTTP/1.1\r\nHost: shop\r\ntraceparent: 00-a-b-01\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n")
        .await;
    let (_, seen) = wire.answer().await;
    for line in [
        "GET /head?x=1",
        "host: shop",
        "traceparent: 00-a-b-01",
        "x-forwarded-for: 9.9.9.9, 127.0.0.1",
        "x-forwarded-host: shop",
        "x-forwarded-proto: http",
        "via: 1.1 apm-front",
    ] {
        assert!(seen.lines().any(|one| one == line), "{line} is not in\n{seen}");
    }
}
