//! The promise for which a front exists: what stands behind it is exchanged under load, and nobody notices.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use app_gateway::control::Drain;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use crate::stage::{Server, Stage};

const CLIENTS: u64 = 32;
const SWITCHES: u64 = 20;

/// Who may answer at this time, and how often the switch changed that.
#[derive(Default)]
struct Allowed {
    names: Mutex<BTreeSet<String>>,
}

#[derive(Default)]
struct Tally {
    requests: AtomicU64,
    failures: Mutex<Vec<String>>,
    took_us: Mutex<Vec<u64>>,
}

pub(crate) fn drain(name: &str) -> Drain {
    Drain { upstream: name.to_owned(), generation: None, timeout_ms: 20_000, cut: false }
}

/// A client on one connection for all its requests; every fifth one posts.
async fn client(address: std::net::SocketAddr, allowed: Arc<Allowed>, tally: Arc<Tally>, done: Arc<AtomicBool>) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut turn = 0_u64;
    while !done.load(Ordering::Relaxed) {
        turn += 1;
        let request = if turn.is_multiple_of(5) { Request::post("/") } else { Request::get("/slow?2") };
        let body = if turn.is_multiple_of(5) { Bytes::from_static(b"a body") } else { Bytes::new() };
        let request = request.header("host", "front").body(Full::new(body)).unwrap();
        let may_before = allowed.names.lock().clone();
        let began = Instant::now();
        let answered = async {
            let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok::<_, String>((status.as_u16(), String::from_utf8_lossy(&body).into_owned()))
        };
        let answered = answered.await;
        tally.took_us.lock().push(u64::try_from(began.elapsed().as_micros()).unwrap());
        tally.requests.fetch_add(1, Ordering::Relaxed);
        let may_after = allowed.names.lock().clone();
        let may = may_before.union(&may_after).cloned().collect::<BTreeSet<_>>();
        match answered {
            Ok((200, name)) if may.contains(&name) => {}
            other => tally.failures.lock().push(format!("{other:?}, allowed {may:?}")),
        }
        if connection.is_finished() {
            tally.failures.lock().push("the client's connection was closed".into());
            return;
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_switches_under_load_fail_no_request() {
    let mut old = Server::start("release-0").await;
    let stage = Stage::new(vec![old.spec(100)]).await;
    let (allowed, tally, done) = (Arc::new(Allowed::default()), Arc::new(Tally::default()), Arc::default());
    allowed.names.lock().insert("release-0".into());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(client(stage.address, allowed.clone(), tally.clone(), Arc::clone(&done))))
        .collect();
    let began = Instant::now();
    for switch in 1..=SWITCHES {
        let enough = tally.requests.load(Ordering::Relaxed) + 100;
        while tally.requests.load(Ordering::Relaxed) < enough {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let new = Server::start(&format!("release-{switch}")).await;
        allowed.names.lock().insert(new.name.clone());
        // Every other switch passes through a time in which both are asked.
        if switch % 2 == 0 {
            stage.switch(vec![old.spec(1), new.spec(1)]).await;
            while new.begun() < 10 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        stage.switch(vec![new.spec(100)]).await;
        let answer = stage.control.drain(&drain(&old.name)).await.unwrap();
        assert!(answer.drained, "{answer:?}");
        let begun = old.begun();
        allowed.names.lock().remove(&old.name);
        let old = std::mem::replace(&mut old, new);
        assert_eq!(old.begun(), begun, "a request came after the drain");
        old.stop().await;
    }
    let took = began.elapsed();
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let requests = tally.requests.load(Ordering::Relaxed);
    let failures = tally.failures.lock().clone();
    assert!(failures.is_empty(), "{} of {requests} failed: {:?}", failures.len(), &failures[..failures.len().min(5)]);
    let mut took_us = tally.took_us.lock().clone();
    took_us.sort_unstable();
    let p99_ms = took_us[took_us.len() * 99 / 100] / 1_000;
    println!("{requests} requests in {took:?}, {SWITCHES} switches, no failure, p99 {p99_ms} ms");
    let text = stage.control.metrics().await.unwrap();
    let retries: u64 = text
        .lines()
        .filter(|line| line.starts_with("apm_front_retries_total"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(retries, 0, "nobody had to be asked twice");
}

#[tokio::test]
async fn weights_are_kept_exactly() {
    let (blue, green) = (Server::start("blue").await, Server::start("green").await);
    let stage = Stage::new(vec![blue.spec(9), green.spec(1)]).await;
    let mut wire = stage.connect().await;
    for _ in 0..200 {
        wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        wire.answer().await;
    }
    assert_eq!((blue.begun(), green.begun()), (180, 20));
}

#[tokio::test]
async fn a_drain_waits_for_what_is_in_flight_and_cuts_only_when_told() {
    let (blue, green) = (Server::start("blue").await, Server::start("green").await);
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let mut wire = stage.connect().await;
    wire.send("GET /drip?60000 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    wire.until("drop").await;
    stage.switch(vec![green.spec(1)]).await;
    assert_eq!(stage.get("/").await.1, "green");
    let brief = Drain { timeout_ms: 50, ..drain("blue") };
    let answer = stage.control.drain(&brief).await.unwrap();
    assert_eq!((answer.drained, answer.in_flight), (false, 1));
    let status = stage.control.health().await.unwrap();
    assert_eq!((status[1].upstream.name.as_str(), status[1].leaving, status[1].in_flight), ("blue", true, 1));
    wire.until("drop").await;
    let answer = stage.control.drain(&Drain { cut: true, ..brief }).await.unwrap();
    assert_eq!((answer.drained, answer.in_flight), (true, 0));
    // The client sees that it was not all.
    assert!(!wire.closing().await.ends_with("0\r\n\r\n"));
    // Asked again by someone who did not hear the answer.
    let answer = stage.control.drain(&drain("blue")).await.unwrap();
    assert_eq!((answer.drained, answer.in_flight, answer.known), (true, 0, false));
}

#[tokio::test]
async fn who_drains_stays_in_the_set_and_gets_nothing_new() {
    let (blue, green) = (Server::start("blue").await, Server::start("green").await);
    let stage = Stage::new(vec![blue.spec(1), green.spec(1)]).await;
    let answer = stage.control.drain(&drain("blue")).await.unwrap();
    assert_eq!((answer.generation, answer.drained, answer.known), (2, true, true));
    for _ in 0..4 {
        assert_eq!(stage.get("/").await.1, "green");
    }
    // The only one, too: nothing is better than a request that is cut off.
    stage.switch(vec![blue.spec(1)]).await;
    assert_eq!(stage.get("/").await.1, "blue");
    stage.control.drain(&drain("blue")).await.unwrap();
    assert_eq!(stage.get("/").await.0, 503);
    assert!(stage.control.health().await.unwrap()[0].upstream.draining);
}
