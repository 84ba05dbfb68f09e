//! Senders that tell which part of their queue a request is: stored once, also when they went away before the answer.

use std::sync::atomic::Ordering;

use observe_wire::delivery::{DELIVERY_HEADER, MARK_CONTENT_TYPE};
use tokio::sync::Semaphore;

use super::writes::{PROTOBUF, write_request};
use super::*;

/// Of a queue; the stamp is as good as any other.
fn delivery(first: u64, through: u64) -> String {
    format!("000102030405060708090a0b0c0d0e0f {first} {through} 0000002a")
}

async fn send(server: &Server, delivery: &str) -> Reply {
    let headers = [("content-type", "application/json"), (DELIVERY_HEADER, delivery)];
    server.ask("POST", "/v1/traces", &headers, one_trace().to_string()).await
}

/// Takes spans when it is let.
struct Slow {
    memory: Arc<Memory>,
    let_in: Semaphore,
}

impl Sink for Slow {
    fn metrics(&self, tenant: TenantId, write: MetricWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        self.memory.metrics(tenant, write)
    }

    fn logs(&self, tenant: TenantId, write: LogWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        self.memory.logs(tenant, write)
    }

    fn spans(&self, tenant: TenantId, write: SpanWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        Box::pin(async move {
            self.let_in.acquire().await.expect("it stays open").forget();
            self.memory.spans(tenant, write).await
        })
    }
}

#[tokio::test]
async fn what_comes_again_is_answered_and_not_stored_again() {
    let server = Server::new();
    for (sent, status, stored) in [
        (delivery(1, 3), 200, 1),
        (delivery(1, 3), 200, 1),
        (delivery(4, 4), 200, 2),
        // Not what was sent before, and not all of it new.
        (delivery(2, 5), 409, 2),
        (delivery(5, 5), 200, 3),
        // Who says nothing, or nothing that is understood, is taken as before.
        (String::new(), 200, 4),
        ("1 2 3".to_owned(), 200, 5),
    ] {
        let reply = send(&server, &sent).await;
        assert_eq!(reply.status, status, "{sent}: {}", reply.text());
        assert_eq!(server.memory.requests.load(Ordering::SeqCst), stored, "{sent}");
        if status == 409 {
            assert_eq!((reply.header("content-type"), &reply.text()[..]), (MARK_CONTENT_TYPE, "4 0000002a"));
        }
    }
}

#[tokio::test]
async fn a_request_that_failed_is_stored_when_it_comes_again() {
    let server = Server::new();
    server.fault(Fault::Error(SourceError::Unavailable { reason: "no disk".into() }));
    assert_eq!(send(&server, &delivery(1, 3)).await.status, 503);
    server.fault(Fault::None);
    assert_eq!(send(&server, &delivery(1, 3)).await.status, 200);
    assert_eq!(send(&server, &delivery(3, 3)).await.status, 200, "it is part of what was stored");
    assert_eq!(send(&server, &delivery(3, 4)).await.status, 409);
}

#[tokio::test]
async fn samples_refused_in_part_are_not_taken_for_stored() {
    let server = Server::new();
    let send = async |series: &[&[(&str, &str)]]| {
        let delivery = delivery(1, 3);
        let headers = [PROTOBUF, ("content-encoding", "snappy"), (DELIVERY_HEADER, &delivery[..])];
        server.ask("POST", "/api/v1/write", &headers, write_request(series)).await.status
    };
    assert_eq!(send(&[&[("job", "nameless")], &[("__name__", "first")]]).await, 400);
    // The sender sends the parts, to learn which.
    assert_eq!(send(&[&[("__name__", "second")]]).await, 204);
    assert_eq!(send(&[&[("__name__", "third")]]).await, 204);
    for (name, stored) in [("first", 1), ("second", 1), ("third", 0)] {
        let (_, found) = server.get(&format!("/api/v1/query?query={name}")).await;
        assert_eq!(found["data"]["result"].as_array().map(Vec::len), Some(stored), "{name}");
    }
}

#[tokio::test]
async fn a_sender_that_goes_before_the_answer_is_answered_the_next_time() {
    let slow = |memory: &Arc<Memory>| Arc::new(Slow { memory: memory.clone(), let_in: Semaphore::new(0) });
    let mut kept = None;
    let server = Server::with(|api| {
        let memory = Arc::new(Memory::default());
        let sink = slow(&memory);
        api.sink = sink.clone();
        kept = Some((memory, sink));
    });
    let (memory, sink) = kept.expect("it was made");
    // The second try waits for the first, which nobody waits for any more, and nobody waits for the second.
    for _ in 0..2 {
        let gone = tokio::time::timeout(std::time::Duration::from_millis(20), send(&server, &delivery(1, 3))).await;
        assert!(gone.is_err(), "it was answered");
    }
    sink.let_in.add_permits(3);
    assert_eq!(send(&server, &delivery(1, 3)).await.status, 200);
    assert_eq!(memory.requests.load(Ordering::SeqCst), 1);
}
