//! Listeners and connections, over real sockets of the loopback.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::*;
use crate::{ConnectionLimits, Gate, serve};

struct Listening {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

async fn listen(router: Router, limits: ConnectionLimits) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    Listening { address, stop, serving: tokio::spawn(serve(listener, router, limits, stopped)) }
}

impl Listening {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Ends within the test's patience, or the test fails.
    async fn end(self) {
        self.stop.send(true).unwrap();
        patient(self.serving).await.unwrap();
        assert!(TcpStream::connect(self.address).await.is_err(), "nobody listens any more");
    }
}

async fn patient<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it took too long")
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// All that comes until the other side closes; a reset is an end too.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = patient(stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What comes until it ends with `end`.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let byte = patient(stream.read_u8()).await.unwrap_or_else(|error| panic!("{error} after {text:?}"));
        text.push(char::from(byte));
    }
    text
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n";
const LAST: &str = "GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn hello() -> Router {
    Router::new().route("/hello", get(|| async { "hello." }))
}

#[tokio::test]
async fn http_1_and_2_on_one_port() {
    let listening = listen(hello(), ConnectionLimits::default()).await;
    let mut first = listening.connect().await;
    // Two requests over one connection.
    send(&mut first, HELLO).await;
    assert!(until(&mut first, "hello.").await.starts_with("HTTP/1.1 200 OK\r\n"));
    send(&mut first, LAST).await;
    assert!(rest(&mut first).await.ends_with("hello."));
    // The preface of HTTP/2 and empty SETTINGS; the answer begins with the server's SETTINGS frame (type 4, stream 0).
    let mut second = listening.connect().await;
    second.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").await.unwrap();
    let mut frame = [0; 9];
    patient(second.read_exact(&mut frame)).await.unwrap();
    assert_eq!((frame[3], &frame[5..]), (4, &[0u8; 4][..]));
    drop(second);
    // What is no HTTP harms nobody else.
    let mut odd = listening.connect().await;
    send(&mut odd, "\u{1}\u{2}\u{3} what?\r\n\r\n").await;
    assert!(rest(&mut odd).await.starts_with("HTTP/1.1 400 "));
    let mut third = listening.connect().await;
    send(&mut third, LAST).await;
    assert!(rest(&mut third).await.ends_with("hello."));
    listening.end().await;
}

#[tokio::test]
async fn a_head_that_does_not_end_is_given_up() {
    let limits = ConnectionLimits { header_timeout: Duration::from_millis(50), ..ConnectionLimits::default() };
    let listening = listen(hello(), limits).await;
    let mut slow = listening.connect().await;
    send(&mut slow, "GET /hello HTTP/1.1\r\nhost: loc").await;
    assert!(!rest(&mut slow).await.contains("200 OK"));
    // So is a connection on which no further request comes.
    let mut idle = listening.connect().await;
    send(&mut idle, HELLO).await;
    assert!(rest(&mut idle).await.ends_with("hello."));
    let mut large = listening.connect().await;
    let head = format!("GET /hello HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(128 << 10));
    let _ = large.write_all(head.as_bytes()).await;
    let answer = rest(&mut large).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    listening.end().await;
}

#[tokio::test]
async fn one_connection_too_many_waits_for_its_turn() {
    let limits = ConnectionLimits { connections: 1, ..ConnectionLimits::default() };
    let listening = listen(hello(), limits).await;
    let mut first = listening.connect().await;
    send(&mut first, HELLO).await;
    until(&mut first, "hello.").await;
    let mut second = listening.connect().await;
    send(&mut second, LAST).await;
    // The first is served a hundred times over while the second waits.
    for _ in 0..100 {
        send(&mut first, HELLO).await;
        until(&mut first, "hello.").await;
    }
    let mut byte = [0];
    assert!(second.try_read(&mut byte).is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock));
    drop(first);
    assert!(rest(&mut second).await.ends_with("hello."));
    listening.end().await;
}

#[tokio::test]
async fn a_stop_lets_running_requests_end() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (enter, go) = (entered.clone(), leave.clone());
    let work = get(move || async move {
        enter.notify_one();
        go.notified().await;
        "done."
    });
    let listening = listen(Router::new().route("/hello", work), ConnectionLimits::default()).await;
    let mut idle = listening.connect().await;
    let mut busy = listening.connect().await;
    send(&mut busy, HELLO).await;
    patient(entered.notified()).await;
    listening.stop.send(true).unwrap();
    // The idle connection is closed at once, the busy one when it is done.
    assert_eq!(rest(&mut idle).await, "");
    leave.notify_one();
    assert!(rest(&mut busy).await.ends_with("done."));
    patient(listening.serving).await.unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_the_stop() {
    let entered = Arc::new(Notify::new());
    let enter = entered.clone();
    let forever = get(move || async move {
        enter.notify_one();
        std::future::pending::<&str>().await
    });
    let limits =
        ConnectionLimits { connections: 1, drain_timeout: Duration::from_millis(50), ..ConnectionLimits::default() };
    let listening = listen(Router::new().route("/hello", forever), limits).await;
    let mut stuck = listening.connect().await;
    send(&mut stuck, HELLO).await;
    patient(entered.notified()).await;
    // The listener waits for a free place meanwhile: that does not hold the stop either.
    listening.stop.send(true).unwrap();
    patient(listening.serving).await.unwrap();
    assert_eq!(rest(&mut stuck).await, "");
}

#[tokio::test]
async fn a_gate_answers_until_the_router_is_there() {
    let gate = Gate::default();
    let listening = listen(gate.router(), ConnectionLimits::default()).await;
    let ask = async |path: &str| {
        let mut stream = listening.connect().await;
        send(&mut stream, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await;
        rest(&mut stream).await
    };
    let early = ask("/api/v1/query").await;
    assert!(early.starts_with("HTTP/1.1 503 ") && early.contains("\r\nretry-after: 1\r\n"), "{early}");
    assert!(early.ends_with("apm is not ready: it replays its log\n"), "{early}");
    assert!(ask("/-/ready").await.starts_with("HTTP/1.1 503 "));
    assert!(ask("/-/healthy").await.starts_with("HTTP/1.1 200 "));
    gate.open(Server::new().router);
    gate.open(hello());
    assert!(ask("/-/ready").await.ends_with("apm is Ready.\n"));
    assert!(ask("/hello").await.starts_with("HTTP/1.1 404 "), "the first router stays");
    listening.end().await;
}
