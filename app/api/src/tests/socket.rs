//! Journals over WebSockets, by a client that we did not write, over a wire in memory that holds little.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use operate_execute::{Event, RunId, Status};
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::deployments::at;
use super::*;
use crate::ConnectionLimits;
use crate::server::{Peer, handle};

/// What the wire holds in each direction.
const WIRE_BYTES: usize = 8 << 10;

type Socket = WebSocketStream<DuplexStream>;

/// A socket, or the status and the code with which it was refused.
async fn open(server: &Server, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, (u16, String)> {
    let (ours, theirs) = tokio::io::duplex(WIRE_BYTES);
    let (stops, stop) = tokio::sync::watch::channel(false);
    let router = server.router.clone();
    tokio::spawn(async move {
        let peer = Peer(std::net::Ipv4Addr::LOCALHOST.into());
        handle(theirs, peer, router, &ConnectionLimits::default(), stop).await;
        drop(stops);
    });
    let mut request = format!("ws://127.0.0.1:4300{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match client_async(request, ours).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => {
            let body: Value = serde_json::from_slice(answer.body().as_deref().unwrap_or_default()).unwrap_or_default();
            Err((answer.status().as_u16(), body["error"]["code"].as_str().unwrap_or_default().to_owned()))
        }
        Err(error) => panic!("{error}"),
    }
}

/// The next entry: its id, its run and its kind. Held to the document.
async fn next(socket: &mut Socket) -> (String, String, String) {
    loop {
        let message =
            tokio::time::timeout(Duration::from_secs(60), socket.next()).await.expect("a message in a minute");
        let text = match message.expect("the socket is open").unwrap() {
            Message::Text(text) => text,
            Message::Ping(_) => continue,
            other => panic!("{other:?}"),
        };
        let told: Value = serde_json::from_str(&text).unwrap();
        let root: Value = serde_json::from_str(crate::deployments::OPENAPI).unwrap();
        let form = super::contract::follow(&root, "#/components/schemas/Message");
        assert_eq!(super::contract::faults(&root, form, &told, "$"), Vec::<String>::new());
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        return (word(&told["id"]), word(&told["entry"]["run"]), word(&told["entry"]["kind"]));
    }
}

async fn expect(socket: &mut Socket, id: &str, run: &str, kind: &str) {
    assert_eq!(next(socket).await, (id.to_owned(), run.to_owned(), kind.to_owned()));
}

/// Code and reason of the close that comes after whatever is still to be read.
async fn closed(socket: &mut Socket) -> (u16, String) {
    loop {
        match tokio::time::timeout(Duration::from_secs(120), socket.next()).await.expect("an end") {
            Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
            Some(Ok(_)) => {}
            other => panic!("no word of parting: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_followed_and_gone_on_with_after_a_loss() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let path = at(&run, "/ws");
    let mut first = open(&server, &path, &[]).await.unwrap();
    expect(&mut first, "1", "cart-1", "created").await;
    server.desk.until_it_asks(&run).await;
    let kinds = ["taken", "step-begun", "recorded", "attempt", "acted", "step-done", "step-begun", "asked"];
    for (seq, kind) in (2..).zip(kinds) {
        expect(&mut first, &seq.to_string(), "cart-1", kind).await;
    }
    drop(first);
    server.desk.write(&run, Event::UndoBegun { why: "bob cancelled it".into() }, true).await;
    // By the query, and by a first message.
    let mut second = open(&server, &format!("{path}?last-event-id=8"), &[]).await.unwrap();
    let mut third = open(&server, &path, &[]).await.unwrap();
    third.send(Message::text(r#"{"last_event_id": "9"}"#)).await.unwrap();
    expect(&mut second, "9", "cart-1", "asked").await;
    expect(&mut second, "10", "cart-1", "undo-begun").await;
    expect(&mut third, "10", "cart-1", "undo-begun").await;
    // What this process writes comes at once.
    let begun = tokio::time::Instant::now();
    server.desk.write(&run, Event::Undoing { step: "create".into() }, true).await;
    expect(&mut second, "11", "cart-1", "undoing").await;
    assert!(begun.elapsed() < Duration::from_millis(50), "{:?}", begun.elapsed());
    // Another process writes, and nobody tells.
    server.desk.write(&run, Event::Ended { status: Status::RolledBack, sentence: String::new() }, false).await;
    expect(&mut second, "12", "cart-1", "ended").await;
    assert_eq!(closed(&mut second).await, (1000, "the run has ended".into()));
    assert_eq!(closed(&mut third).await, (1000, "the run has ended".into()));
    let mut late = open(&server, &format!("{path}?last-event-id=12"), &[]).await.unwrap();
    assert_eq!(closed(&mut late).await, (1000, "the run has ended, and nothing follows".into()));
    let mut beyond = open(&server, &format!("{path}?last-event-id=13"), &[]).await.unwrap();
    assert_eq!(
        closed(&mut beyond).await,
        (
            1008,
            "the journal of cart-1 does not reach 13; leave `Last-Event-ID` and `after` out to begin at the beginning"
                .into()
        )
    );
}

#[tokio::test(start_paused = true)]
async fn all_runs_are_followed_and_gone_on_with() {
    let server = Server::new();
    let (old, cart) = (server.desk.run("old-1", "old").await, server.desk.run("cart-1", "cart").await);
    server.desk.write(&old, Event::Ended { status: Status::Complete, sentence: String::new() }, true).await;
    let path = "/apm/v1/deployments/ws";
    // What was before is not told again.
    let mut first = open(&server, path, &[]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    server.desk.until_it_asks(&cart).await;
    expect(&mut first, "cart-1:2", "cart-1", "taken").await;
    let web = server.desk.run("web-1", "web").await;
    for _ in 3..9 {
        assert_eq!(next(&mut first).await.1, "cart-1");
    }
    expect(&mut first, "cart-1:9", "cart-1", "asked").await;
    expect(&mut first, "web-1:1,cart-1:9", "web-1", "created").await;
    drop(first);
    // Meanwhile one ends and another begins.
    let ended = || Event::Ended { status: Status::Complete, sentence: String::new() };
    server.desk.write(&web, ended(), true).await;
    server.desk.run("cart-2", "cart").await;
    let mut second = open(&server, &format!("{path}?last-event-id=web-1:1,cart-1:9"), &[]).await.unwrap();
    expect(&mut second, "web-1:2,cart-1:9", "web-1", "ended").await;
    expect(&mut second, "cart-2:1,cart-1:9", "cart-2", "created").await;
    server.desk.write(&cart, ended(), false).await;
    expect(&mut second, "cart-2:1", "cart-1", "ended").await;
    // The same over server-sent events.
    let bad = server.documented("GET", "/apm/v1/deployments/watch?after=cart-2", &[], "").await;
    assert_eq!((bad.0, &bad.1["error"]["code"]), (400, &json!("invalid-request")));
    let events = server.router.clone().oneshot(
        Request::builder()
            .uri("/apm/v1/deployments/watch?after=web-1:1,cart-1:9")
            .header("host", "127.0.0.1:4300")
            .body(Body::empty())
            .unwrap(),
    );
    let mut body = events.await.unwrap().into_body().into_data_stream();
    let event = String::from_utf8(body.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(event.contains("id: web-1:1") && event.contains("\"run\":\"cart-1\""), "{event}");
    let mut bad = open(&server, path, &[]).await.unwrap();
    bad.send(Message::text(r#"{"last_event_id": "cart-2"}"#)).await.unwrap();
    assert_eq!(
        closed(&mut bad).await,
        (1008, "`cart-2` is no id of an event; it is the `id` of a message, as it came".into())
    );
}

#[tokio::test(start_paused = true)]
async fn pages_of_other_origins_are_kept_out() {
    let file = "viewer viewer-0123456789\ningest ingest-0123456789\n";
    let locked = Server::with(|api| api.tokens = Tokens::parse(file).unwrap());
    let open_to_all = Server::new();
    let cookie = format!("apm_session_4300={}", locked.api.tokens.sessions().open(crate::Role::Viewer, 0, None));
    for server in [&locked, &open_to_all] {
        server.desk.run("cart-1", "cart").await;
    }
    let bearer = ("authorization", "Bearer viewer-0123456789");
    let ours = ("origin", "http://127.0.0.1:4300");
    let check = async |server: &Server, headers: &[(&'static str, &str)], expect: Result<(), (u16, &str)>| {
        for path in ["/apm/v1/deployments/ws", "/apm/v1/deployments/cart-1/ws"] {
            let opened = open(server, path, headers).await;
            let opened = opened.as_ref().map(|_| ()).map_err(|(status, code)| (*status, code.as_str()));
            assert_eq!(opened, expect, "{path} {headers:?}");
        }
    };
    let strange = Err((403, "origin"));
    check(&locked, &[], Err((401, "unauthorized"))).await;
    check(&locked, &[bearer], Ok(())).await;
    check(&locked, &[bearer, ("origin", "http://evil.example")], strange).await;
    check(&locked, &[("authorization", "Bearer ingest-0123456789")], Err((403, "forbidden"))).await;
    check(&locked, &[("cookie", &cookie), ours], Ok(())).await;
    check(&locked, &[("cookie", &cookie), ("sec-fetch-site", "same-origin")], Ok(())).await;
    check(&locked, &[("cookie", &cookie), ("origin", "http://127.0.0.1:9999")], strange).await;
    check(&locked, &[("cookie", &cookie)], strange).await;
    check(&open_to_all, &[], Ok(())).await;
    check(&open_to_all, &[ours], Ok(())).await;
    check(&open_to_all, &[("origin", "null")], strange).await;
    check(&open_to_all, &[("origin", "http://evil.example")], Err((403, "forbidden"))).await;
}

#[tokio::test(start_paused = true)]
async fn sockets_and_streams_share_their_places() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let path = at(&run, "/ws");
    let mut open_now = vec![open(&server, &path, &[]).await.unwrap(), open(&server, &path, &[]).await.unwrap()];
    let mut last = open(&server, "/apm/v1/deployments/ws", &[]).await.unwrap();
    assert_eq!(open(&server, &path, &[]).await.err(), Some((503, "too-many-watchers".into())));
    let (status, body) = server.documented("GET", &at(&run, "/watch"), &[], "").await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("too-many-watchers")));
    let gone = open(&server, "/apm/v1/deployments/gone/ws", &[]).await.err();
    assert_eq!(gone, Some((503, "too-many-watchers".into())));
    open_now.pop();
    // The place is free once the other side has seen that nobody is there.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let gone = open(&server, "/apm/v1/deployments/gone/ws", &[]).await.err();
    assert_eq!(gone, Some((404, "no-run".into())));
    let mut next_one = open(&server, &path, &[]).await.unwrap();
    expect(&mut next_one, "1", "cart-1", "created").await;
    server.desk.stop.send(true).unwrap();
    assert_eq!(closed(&mut next_one).await, (1001, "the engine stops".into()));
    assert_eq!(closed(&mut last).await, (1001, "the engine stops".into()));
    let reply = server.documented("GET", &at(&RunId("cart-1".into()), "/ws"), &[], "").await;
    assert_eq!((reply.0, &reply.1["error"]["code"]), (400, &json!("invalid-request")), "no WebSocket was asked for");
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_or_silent_is_cut_with_a_reason() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let mut slow = open(&server, &at(&run, "/ws?last-event-id=0"), &[]).await.unwrap();
    let mut other = open(&server, &at(&run, "/ws?last-event-id=0"), &[]).await.unwrap();
    // Far more than the wire holds.
    for number in 1..=400 {
        server.desk.write(&run, Event::Attempt { step: "create".into(), number }, true).await;
    }
    for seq in 1..=401 {
        assert_eq!(next(&mut other).await.0, seq.to_string(), "one that is slow keeps nobody else");
    }
    tokio::time::sleep(Duration::from_secs(11)).await;
    let (code, reason) = closed(&mut slow).await;
    assert!(code == 1008 && reason.starts_with("too slow"), "{code} {reason}");
    // Nobody reads, so nobody answers pings; reading at last shows why it was cut.
    tokio::time::sleep(Duration::from_secs(36)).await;
    assert_eq!(closed(&mut other).await, (1008, "pings are not answered".into()));
    // Who answers stays.
    let mut awake = open(&server, &at(&run, "/ws?last-event-id=401"), &[]).await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_secs(300), async {
        while let Some(Ok(Message::Ping(_))) = awake.next().await {}
    });
    assert!(quiet.await.is_err(), "it was closed");
    awake.send(Message::text("hello")).await.unwrap();
    assert_eq!(closed(&mut awake).await.0, 1008);
}
