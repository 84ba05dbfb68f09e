//! Who is ill gets nothing while another is well, and is back when it is well again.

use app_gateway::{Check, Upstream};

use crate::stage::{Server, Stage, nowhere, scripted, spec};

fn checked(mut upstream: Upstream, path: Option<&str>) -> Upstream {
    let http = path.map(str::to_owned);
    upstream.check = Some(Check { http, interval_ms: 20, timeout_ms: 2_000, healthy_after: 2, unhealthy_after: 2 });
    upstream
}

async fn until(stage: &Stage, name: &str, healthy: bool) {
    let waited = async {
        loop {
            let health = stage.control.health().await.unwrap();
            if health.iter().any(|one| one.upstream.name == name && one.healthy == healthy) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::stage::PATIENCE, waited).await.unwrap_or_else(|_| panic!("{name} is not {healthy}"));
}

#[tokio::test]
async fn checks_decide() {
    let blue = Server::start("blue").await;
    let failing = scripted(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let failing = checked(spec("failing", failing, 100), Some("/healthz"));
    let stage = Stage::new(vec![failing.clone(), checked(blue.spec(1), Some("/healthz"))]).await;
    until(&stage, "failing", false).await;
    until(&stage, "blue", true).await;
    for _ in 0..20 {
        assert_eq!(stage.get("/").await, (200, "blue".into()));
    }
    let health = stage.control.health().await.unwrap();
    assert_eq!(health[0].reason.as_deref(), Some("GET /healthz answered 500 Internal Server Error"));
    // When all are ill they are asked all the same: an answer is better than none.
    stage.switch(vec![failing]).await;
    until(&stage, "failing", false).await;
    assert_eq!(stage.get("/").await.0, 500);
}

#[tokio::test]
async fn an_upstream_that_is_started_later_is_found() {
    let address = nowhere().await;
    let stage = Stage::new(vec![checked(spec("late", address, 1), None)]).await;
    until(&stage, "late", false).await;
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    until(&stage, "late", true).await;
    drop(listener);
    until(&stage, "late", false).await;
}

#[tokio::test]
async fn one_with_weight_0_is_checked_and_gets_nothing() {
    let (blue, green) = (Server::start("blue").await, Server::start("green").await);
    let stage = Stage::new(vec![blue.spec(1), checked(green.spec(0), Some("/"))]).await;
    while green.begun() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for _ in 0..10 {
        assert_eq!(stage.get("/").await.1, "blue");
    }
}
