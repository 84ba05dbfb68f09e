//! The control socket: who may switch, what is refused, what is told.

use app_gateway::control::{Client, ControlError};
use app_gateway::{Front, FrontError};
use base_world::World;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage::{Server, Stage, options, socket, spec, status};
use crate::switch::drain;

#[tokio::test]
async fn a_stale_caller_is_refused_and_changes_nothing() {
    let (blue, green) = (Server::start("blue").await, Server::start("green").await);
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let seen = stage.control.get().await.unwrap();
    assert_eq!((seen.generation, seen.pid, seen.listen.clone()), (1, std::process::id(), stage.address.to_string()));
    assert_eq!(stage.control.set(1, vec![green.spec(1)]).await.unwrap().generation, 2);
    match stage.control.set(1, vec![blue.spec(1)]).await {
        Err(ControlError::Stale { generation: 2, reason }) => {
            assert_eq!(reason, "generation 1 is stale: 2 is in force; read it and decide again");
        }
        other => panic!("{other:?}"),
    }
    let stale = app_gateway::control::Drain { generation: Some(1), ..drain("green") };
    assert!(stage.control.drain(&stale).await.is_err_and(|error| error.is_stale()));
    assert_eq!(stage.get("/").await.1, "green");
}

#[tokio::test]
async fn of_many_who_switch_at_once_one_wins() {
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let racers: Vec<_> = (1..=16)
        .map(|weight| {
            let (control, set) = (stage.control.clone(), vec![blue.spec(weight)]);
            tokio::spawn(async move { control.set(1, set).await })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(state) => {
                assert_eq!(state.generation, 2);
                won += 1;
            }
            Err(error) => assert!(error.is_stale(), "{error}"),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn who_runs_a_front_learns_that_somebody_wants_it_to_end() {
    let blue = Server::start("blue").await;
    let mut stage = Stage::new(vec![blue.spec(1)]).await;
    let front = stage.front.take().unwrap();
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(200), front.is_told_to_end()).await;
    assert!(waiting.is_err(), "nobody has said so yet");
    assert_eq!(stage.control.stop().await.unwrap().pid, std::process::id());
    tokio::time::timeout(crate::stage::PATIENCE, front.is_told_to_end()).await.unwrap();
    front.stop().await;
    assert!(stage.control.get().await.is_err_and(|error| error.is_unreachable()));
}

/// The protocol as someone without our client speaks it.
async fn ask(stage: &Stage, method: &str, path: &str, body: &str) -> String {
    let mut stream = tokio::net::UnixStream::connect(socket(&stage.folder)).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: front\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    // A body that is refused is not read to its end, so either may break off.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

async fn check(stage: &Stage, method: &str, path: &str, body: &str, code: u16, expect: &str) {
    let answer = ask(stage, method, path, body).await;
    assert_eq!(status(&answer), code, "{method} {path} {body}: {answer}");
    assert!(answer.contains(expect), "{method} {path} {body}: {answer}");
}

#[tokio::test]
async fn a_wrong_request_is_answered_with_its_reason() {
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    check(&stage, "GET", "/v1/state", "", 200, r#""generation":1"#).await;
    check(&stage, "GET", "/v1/health", "", 200, r#""healthy":true"#).await;
    check(&stage, "GET", "/metrics", "", 200, "apm_front_generation 1").await;
    check(&stage, "GET", "/v1/stat", "", 404, "there is no /v1/stat").await;
    check(&stage, "POST", "/v1/upstreams", "{}", 404, "/v1/upstreams takes PUT, not POST").await;
    check(&stage, "PUT", "/v1/upstreams", "{", 400, "EOF").await;
    check(&stage, "PUT", "/v1/upstreams", r#"{"upstreams":[]}"#, 400, "missing field `generation`").await;
    check(&stage, "PUT", "/v1/upstreams", r#"{"generation":1,"upstreams":[],"force":true}"#, 400, "unknown field")
        .await;
    let twice = r#"{"generation":1,"upstreams":[{"name":"a","address":"a:1"},{"name":"a","address":"b:1"}]}"#;
    check(&stage, "PUT", "/v1/upstreams", twice, 400, "is there twice").await;
    let padded = format!("{}{}", r#"{"generation":1,"upstreams":[]}"#, " ".repeat(300 << 10));
    assert_ne!(ask(&stage, "PUT", "/v1/upstreams", &padded).await.split(' ').nth(1), Some("200"), "it is too large");
    check(&stage, "POST", "/v1/drain", r#"{"upstream":"red"}"#, 200, r#""known":false"#).await;
    check(&stage, "GET", "/v1/state", "", 200, r#""generation":1"#).await;
}

#[tokio::test]
async fn a_second_front_is_refused_by_name() {
    let stage = Stage::new(Vec::new()).await;
    let error = Front::start(World::real(), options(stage.folder.path())).await.err().unwrap();
    let pid = std::process::id();
    assert!(matches!(&error, FrontError::ControlTaken { pid: other, .. } if *other == pid), "{error}");
    assert!(error.to_string().contains(&format!("another front (pid {pid}) answers on")), "{error}");
    let elsewhere = tempfile::tempdir().unwrap();
    let mut other = options(elsewhere.path());
    other.listen = stage.address.to_string();
    let error = Front::start(World::real(), other).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        format!("the port of {} is taken; another front or program holds it (`ss -ltnp` names it)", stage.address)
    );
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0, "it leaves nothing behind");
    assert!(stage.control.get().await.is_ok(), "the first goes on");
}

#[tokio::test]
async fn only_the_owner_may_switch() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new(Vec::new()).await;
    let mode = std::fs::metadata(socket(&stage.folder)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn figures_are_served_apart_without_the_power_to_change() {
    let blue = Server::start("blue").await;
    let stage = Stage::with(vec![blue.spec(1)], |options| options.metrics = Some("127.0.0.1:0".into())).await;
    assert_eq!(stage.get("/status?500").await.0, 500);
    let address = stage.front.as_ref().unwrap().metrics_address().unwrap();
    let ask = async |line: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{line} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let text = ask("GET /metrics").await;
    assert!(text.contains("apm_front_requests_total{upstream=\"blue\",code=\"500\"} 1\n"), "{text}");
    assert!(text.contains("apm_front_upstream_healthy{upstream=\"blue\"} 1\n"), "{text}");
    assert_eq!(status(&ask("GET /v1/state").await), 404);
    assert_eq!(status(&ask("PUT /v1/upstreams").await), 404);
}

#[tokio::test]
async fn nobody_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let error = Client::new(folder.path().join("none.sock")).get().await.unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("no front answers on"), "{error}");
    let stage = Stage::new(vec![spec("a", "127.0.0.1:9".parse().unwrap(), 0)]).await;
    let (code, text) = stage.get("/").await;
    assert_eq!((code, text.as_str()), (503, "apm front: there is no upstream to ask\n"));
}
