//! A journal that is followed as it grows: nothing is missed, nothing comes twice, and nobody keeps the engine from stopping.

use std::time::Duration;

use futures_util::StreamExt as _;
use operate_execute::{Event, Status};

use super::deployments::at;
use super::*;

/// A stream that is read event by event.
struct Events(axum::body::BodyDataStream, String);

impl Events {
    async fn of(server: &Server, path: &str, headers: &[(&str, &str)]) -> Events {
        let mut request = Request::builder().uri(path).header("host", "127.0.0.1:4300");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = server.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &axum::http::HeaderValue::from_static("text/event-stream"))
        );
        Events(response.into_body().into_data_stream(), String::new())
    }

    /// The next block of lines, or nothing at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.1.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.1 = rest;
                return Some(block);
            }
            let more =
                tokio::time::timeout(Duration::from_secs(60), self.0.next()).await.expect("an event within a minute");
            self.1.push_str(std::str::from_utf8(&more?.unwrap()).unwrap());
        }
    }

    /// Number and kind of the next event, heartbeats left out.
    async fn next(&mut self) -> Option<(u64, String)> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let (Some(id), Some(data)) = (field("id"), field("data")) else { continue };
            let data: Value = serde_json::from_str(data).unwrap();
            let root: Value = serde_json::from_str(crate::deployments::OPENAPI).unwrap();
            let form = super::contract::follow(&root, "#/components/schemas/Entry");
            assert_eq!(super::contract::faults(&root, form, &data, "$"), Vec::<String>::new());
            assert_eq!(data["seq"].to_string(), id);
            return Some((id.parse().unwrap(), data["kind"].as_str().unwrap().to_owned()));
        }
    }

    async fn expect(&mut self, seq: u64, kind: &str) {
        assert_eq!(self.next().await, Some((seq, kind.to_owned())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_followed_to_its_end() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let mut first = Events::of(&server, &at(&run, "/watch"), &[]).await;
    first.expect(1, "created").await;
    server.desk.until_it_asks(&run).await;
    for (seq, kind) in
        (2..).zip(["taken", "step-begun", "recorded", "attempt", "acted", "step-done", "step-begun", "asked"])
    {
        first.expect(seq, kind).await;
    }
    // Another process writes, and nobody tells.
    let begun = tokio::time::Instant::now();
    server.desk.write(&run, Event::UndoBegun { why: "bob cancelled it".into() }, false).await;
    first.expect(10, "undo-begun").await;
    assert!(begun.elapsed() <= Duration::from_millis(600), "{:?}", begun.elapsed());
    // What this process writes comes at once.
    let begun = tokio::time::Instant::now();
    server.desk.write(&run, Event::Undoing { step: "create".into() }, true).await;
    first.expect(11, "undoing").await;
    assert!(begun.elapsed() < Duration::from_millis(50), "{:?}", begun.elapsed());
    // A second one comes back after a loss.
    let mut second = Events::of(&server, &at(&run, "/watch?after=1"), &[("last-event-id", "9")]).await;
    second.expect(10, "undo-begun").await;
    second.expect(11, "undoing").await;
    let mut third = Events::of(&server, &at(&run, "/watch?after=10"), &[]).await;
    third.expect(11, "undoing").await;
    server.desk.write(&run, Event::Ended { status: Status::RolledBack, sentence: String::new() }, false).await;
    for watcher in [&mut first, &mut second, &mut third] {
        watcher.expect(12, "ended").await;
        assert_eq!(watcher.next().await, None);
    }
    // Nothing follows: a browser is told not to come again.
    let again = async |id: &str| server.documented("GET", &at(&run, "/watch"), &[("last-event-id", id)], "").await.0;
    assert_eq!([again("12").await, again("13").await, again("12x").await, again("11").await], [204, 400, 400, 200]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_misses_nothing() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let mut slow = Events::of(&server, &at(&run, "/watch"), &[]).await;
    slow.expect(1, "created").await;
    // More than is held for it.
    for number in 1..=1500 {
        server.desk.write(&run, Event::Attempt { step: "create".into(), number }, true).await;
        if number % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for seq in 2..=1501 {
        slow.expect(seq, "attempt").await;
    }
}

#[tokio::test(start_paused = true)]
async fn watchers_are_counted_and_kept_awake() {
    let server = Server::new();
    let run = server.desk.run("cart-1", "cart").await;
    let path = at(&run, "/watch");
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(Events::of(&server, &path, &[]).await);
    }
    let (status, body) = server.documented("GET", &path, &[], "").await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("too-many-watchers")));
    open.pop();
    let mut next = Events::of(&server, &path, &[]).await;
    next.expect(1, "created").await;
    let begun = tokio::time::Instant::now();
    let beat = next.block().await.expect("a heartbeat");
    assert!(beat.starts_with(':') && begun.elapsed() == Duration::from_secs(15), "{beat} after {:?}", begun.elapsed());
    // The engine stops: nobody waits for a watcher.
    server.desk.stop.send(true).unwrap();
    assert_eq!(next.next().await, None);
}
