//! The desk's errors in the API's words, and an engine that starts with a desk behind its port.

use std::time::Duration;

use app_deploy::{DockerSurroundings, KeeperOptions, Project};
use base_http::{Client, HttpConfig, Limits};
use serde_json::{Value, json};

use super::*;

#[test]
fn each_error_has_its_code() {
    let check = |error: DeskError, kind: RefusedKind, code: &str| {
        let sentence = error.report().message;
        let refused = refused(error);
        assert_eq!((refused.kind, refused.code, refused.report.message), (kind, code, sentence));
    };
    let run = || RunId("cart-1".into());
    let history = |error| DeskError::History(error);
    let store = HistoryError::Store { verb: "read", message: "the disk is full".into() };
    let ended = |status| DeskError::Ended { run: run(), status };
    let busy = RunError::Busy { target: "t".into(), holder: "apm 2".into(), until_ms: 0 };
    let nothing = Refusal::NothingToDo { service: "cart".into(), version: "1".into() };
    let occupied = DeskError::Occupied { target: "t".into(), run: run(), status: operate_execute::Status::Paused };
    check(history(HistoryError::NoRun(run())), RefusedKind::Unknown, "no-run");
    check(history(HistoryError::Exists(run())), RefusedKind::Conflict, "run-exists");
    check(history(store), RefusedKind::Away, "history-away");
    check(ended(operate_execute::Status::Complete), RefusedKind::Conflict, "run-ended");
    check(ended(operate_execute::Status::RollingBack), RefusedKind::Conflict, "run-rolling-back");
    check(DeskError::Run(busy), RefusedKind::Conflict, "target-busy");
    check(occupied, RefusedKind::Conflict, "target-busy");
    check(DeskError::Refused(nothing), RefusedKind::Refused, "nothing-to-do");
    check(DeskError::NoStep { run: run(), step: "x".into() }, RefusedKind::Refused, "no-step");
    let overtaken = RunError::Overtaken { run: run(), target: "t".into(), by: RunId("cart-2".into()) };
    check(DeskError::Run(overtaken), RefusedKind::Conflict, "run-overtaken");
    check(DeskError::NoReason { step: "window".into() }, RefusedKind::Refused, "no-reason");
    check(DeskError::Lint(Vec::new()), RefusedKind::Refused, "critical-findings");
    check(DeskError::Settings(Report::new("no service")), RefusedKind::Refused, "settings");
    check(DeskError::Told(Report::new("no engine")), RefusedKind::Away, "desk-closed");
}

#[tokio::test]
async fn an_engine_answers_for_its_project_and_makes_no_history_for_a_look() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.db");
    let mut settings = crate::Settings::default();
    settings.server.listen = "127.0.0.1:0".into();
    (settings.server.otlp_grpc, settings.server.otlp_http) = ("off".into(), "off".into());
    settings.observe.host_metrics = false;
    let nowhere = format!("unix://{}", folder.path().join("docker.sock").display());
    let project = |environment: Option<&str>| {
        let mut tree = app_config::Tree::default();
        let file = "project: shop\nservices: { cart: { image: \"shop/cart:1\" } }\n";
        let added = tree.add_file("apm.yaml", file, &|_: &str| None);
        added.and_then(|()| Project::read(tree, environment, "shop")).map_err(|error| error.report().clone())
    };
    let running = crate::start(crate::Options {
        settings,
        data_dir: folder.path().join("data"),
        state_home: folder.path().join("state"),
        tokens: app_api::Tokens::default(),
        scrape: crate::ScrapePlan::default(),
        reload: Box::new(|| Ok(crate::ScrapePlan::default())),
        deploy: KeeperOptions {
            history: history.display().to_string(),
            state_folder: folder.path().join("key"),
            program: folder.path().join("nobody"),
            docker: DockerSurroundings { docker_host: Some(nowhere), ..DockerSurroundings::default() },
            kube: Default::default(),
            project: Box::new(project),
            owner: "ann".into(),
        },
        demo: false,
    });
    let running = running.await.unwrap_or_else(|_| panic!("the engine did not start"));
    let client = Client::new(HttpConfig::default()).unwrap();
    let limits = Limits { timeout: Duration::from_secs(30), body_bytes: 1 << 20 };
    let url = |path: &str| format!("{}/apm/v1/{path}", running.entry.url);
    let json_of = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
    let get = async |path: &str| {
        let answer = client.get(&url(path), &[], limits).await.unwrap();
        (answer.status, json_of(&answer.body))
    };
    assert_eq!(get("deployments").await, (200, json!({"deployments": [], "next": null})));
    assert_eq!(get("openapi.json").await.1["openapi"], json!("3.1.0"));
    let (status, body) = get("deployments/cart-1/watch").await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("no-run")));
    assert!(!history.exists());
    // There is no Docker at all: nothing is known, so nothing is promised.
    let answer = client.post(&url("deployments"), "application/json", "{}", limits).await.unwrap();
    let body = json_of(&answer.body);
    assert_eq!((answer.status, &body["error"]["code"]), (422, &json!("target-unknown")), "{body}");
    assert!(body["error"]["hint"].is_string(), "{body}");
    assert_eq!(get("deployments").await, (200, json!({"deployments": [], "next": null})));
    running.stop().await;
}
