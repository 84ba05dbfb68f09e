//! Connections that leave HTTP, and those that never were: WebSocket and raw TCP.

use app_gateway::control::Drain;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::stage::{Server, Stage, header, nowhere, spec, status};
use crate::switch::drain;

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Agrees to leave HTTP, then echoes whatever comes, until the other side has ended.
async fn websocket() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                assert!(head.contains("connection: upgrade") && head.contains("upgrade: websocket"), "{head}");
                let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                              sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
                stream.write_all(answer.as_bytes()).await.unwrap();
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_websocket_passes_and_outlives_the_switch_until_it_is_cut() {
    let (chat, blue) = (spec("chat", websocket().await, 1), Server::start("blue").await);
    let stage = Stage::new(vec![chat]).await;
    let mut wire = stage.connect().await;
    wire.send(ASK).await;
    let head = wire.until("\r\n\r\n").await;
    assert_eq!((status(&head), header(&head, "upgrade")), (101, Some("websocket")));
    assert_eq!(header(&head, "sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    // Bytes that would be refused as HTTP.
    for said in ["\u{1}\nno: http\n\n", "content-length : x\r\n\r\n"] {
        wire.send(said).await;
        assert_eq!(wire.until(said).await, said);
    }
    stage.switch(vec![blue.spec(1)]).await;
    wire.send("still").await;
    assert_eq!(wire.until("still").await, "still");
    let brief = Drain { timeout_ms: 50, ..drain("chat") };
    assert_eq!(stage.control.drain(&brief).await.unwrap().in_flight, 1);
    assert!(stage.control.drain(&Drain { cut: true, ..brief }).await.unwrap().drained);
    assert_eq!(wire.closing().await, "");
}

#[tokio::test]
async fn an_upgrade_that_is_declined_stays_http() {
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let mut wire = stage.connect().await;
    for _ in 0..2 {
        wire.send(ASK).await;
        let (head, body) = wire.answer().await;
        assert_eq!((status(&head), body.as_str()), (200, "blue"));
    }
}

/// Reads to the end, then says how much it was: only half-closes make that work.
async fn counting() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                let _ = stream.read_to_end(&mut bytes).await;
                let _ = stream.write_all(format!("{} bytes", bytes.len()).as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn raw_tcp_passes_with_its_half_closes() {
    let upstreams = vec![spec("gone", nowhere().await, 1), spec("count", counting().await, 1)];
    let stage = Stage::with(upstreams, |options| options.tcp = true).await;
    for _ in 0..4 {
        let mut wire = stage.connect().await;
        wire.send(&"\n".repeat(100_000)).await;
        wire.stream.shutdown().await.unwrap();
        assert_eq!(wire.closing().await, "100000 bytes");
    }
    let mut open = stage.connect().await;
    open.send("x").await;
    while stage.control.health().await.unwrap()[1].in_flight == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let brief = Drain { timeout_ms: 50, cut: true, ..drain("count") };
    assert!(stage.control.drain(&brief).await.unwrap().drained);
    assert_eq!(open.closing().await, "");
    // Nobody is left: the connection is closed.
    assert_eq!(stage.connect().await.closing().await, "");
}
