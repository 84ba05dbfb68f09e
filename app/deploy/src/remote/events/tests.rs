//! A journal over connections that break.

use operate_execute::{Event, RunId, Status};
use operate_plan::Digest;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::Remote;

/// One event as the engine sends it.
fn event(seq: u64, kind: &str, detail: &serde_json::Value) -> String {
    let hash = Digest::of_bytes(b"").as_str().to_owned();
    let data = json!({"run": "cart-2", "seq": seq, "at_ms": 0, "kind": kind, "detail": detail, "hash": hash});
    format!("id: {seq}\ndata: {data}\n\n")
}

fn begun(seq: u64) -> String {
    event(seq, "step-begun", &json!({"step": "pull"}))
}

fn ended(seq: u64) -> String {
    event(seq, "ended", &json!({"status": "complete", "sentence": "done"}))
}

const OPEN: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// Answers connection after connection, and tells the `Last-Event-ID` of each.
async fn follow(answers: Vec<String>) -> (Vec<u64>, Vec<String>, Result<Option<Entry>, RemoteError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let served = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("a request"));
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let id = head.lines().find_map(|line| line.strip_prefix("last-event-id: ")).unwrap_or("-");
            asked.push(id.to_owned());
            stream.write_all(answer.as_bytes()).await.expect("written");
        }
        asked
    });
    let remote = Remote::new(&url, None).expect("a client");
    let mut following = remote.follow(&RunId("cart-2".into()));
    let mut seen = Vec::new();
    let last = loop {
        match following.next().await {
            Ok(Some(entry)) => seen.push(entry.seq),
            other => break other,
        }
    };
    (seen, served.await.expect("served"), last)
}

#[tokio::test]
async fn a_lost_connection_goes_on_where_it_ended() {
    let first = format!("{OPEN}:\n\n{}{}{}", begun(1), begun(2), &begun(3)[..30]);
    let second = format!("{OPEN}{}{}", begun(2), begun(3));
    let away = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
    let last = format!("{OPEN}{}", ended(4));
    let (seen, asked, ended) = follow(vec![first, second, away, last]).await;
    assert_eq!(seen, [1, 2, 3, 4], "each once, and in order");
    assert_eq!(asked, ["-", "2", "3", "3"]);
    assert!(matches!(ended, Ok(None)), "{ended:?}");
}

#[tokio::test]
async fn a_journal_that_was_over_already_ends() {
    let nothing = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned();
    let (seen, asked, ended) = follow(vec![format!("{OPEN}{}", begun(1)), nothing]).await;
    assert_eq!((seen, asked), (vec![1], vec!["-".to_owned(), "1".to_owned()]));
    assert!(matches!(ended, Ok(None)), "{ended:?}");
}

#[tokio::test]
async fn a_refusal_is_told_with_its_code() {
    let body = json!({"error": {"code": "no-run", "message": "there is no run called `cart-2`", "hint": "list them"}});
    let body = body.to_string();
    let answer = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let (_, _, ended) = follow(vec![answer]).await;
    match ended {
        Err(RemoteError::Refused { status: 404, code, report }) => {
            assert_eq!((code.as_str(), report.hint.as_deref()), ("no-run", Some("list them")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn events_are_read_whatever_the_pieces() {
    let wire = "id: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n: a comment\n\nevent: x\ndata:two\n\ndata: not whole";
    for size in [1, 2, 3, 7, wire.len()] {
        let mut parser = Parser::default();
        let read: Vec<String> = wire.as_bytes().chunks(size).flat_map(|piece| parser.push(piece)).collect();
        assert_eq!(read, ["{\"a\":\n1}", "two"], "in pieces of {size}");
    }
    let mut parser = Parser::default();
    parser.push(&vec![b'x'; EVENT_BYTES_MAX + 1]);
    assert!(parser.is_too_long());
}

#[test]
fn every_end_is_known() {
    for status in Status::ALL.into_iter().filter(|status| status.is_end()) {
        let data = event(9, "ended", &json!({"status": status, "sentence": ""}));
        let data = Parser::default().push(data.as_bytes()).remove(0);
        let told: Told = serde_json::from_str(&data).expect("a line of a journal");
        let entry = told.entry().expect("an entry");
        assert!(matches!(entry.event, Event::Ended { status: read, .. } if read == status));
    }
}
