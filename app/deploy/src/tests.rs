//! One run at a time changes a target, and who comes second leaves nothing behind.

use std::sync::Arc;

use base_world::World;
use operate_execute::{Filter, History, Lease, RunError, RunId, Tell};
use operate_plan::{Draft, Inventory, OnFailure, Plan, Severity};

use crate::{Desk, DeskError, DeskOptions, DockerSurroundings, Planned};

struct Quiet;

impl Tell for Quiet {
    fn tell(&self, _: &RunId, _: Severity, _: &str) {}
}

/// A desk whose engine of Docker is never asked.
async fn desk(folder: &std::path::Path) -> Desk {
    let socket = folder.join("nobody.sock");
    let options = DeskOptions {
        world: World::real(),
        history: folder.join("history.db").display().to_string(),
        state_folder: folder.to_owned(),
        docker: DockerSurroundings {
            docker_host: Some(format!("unix://{}", socket.display())),
            ..DockerSurroundings::default()
        },
        prometheus: "http://127.0.0.1:1".into(),
        loki: "http://127.0.0.1:1".into(),
        token: None,
        holder: "apm 2 of bob".into(),
        tell: Arc::new(Quiet),
    };
    Desk::open(options).await.expect("a desk")
}

fn planned() -> Planned {
    let draft = Draft {
        title: "deploy cart 2 to dev".into(),
        reason: String::new(),
        target: "docker:shop".into(),
        labels: [("service".to_owned(), "cart".to_owned())].into(),
        made_ms: 0,
        time_limit_ms: 1_000,
        on_failure: OnFailure::Undo,
        steps: Vec::new(),
    };
    Planned { plan: Plan::new(draft, &Inventory::new("docker:shop")), findings: Vec::new() }
}

#[tokio::test]
async fn a_run_is_not_kept_while_another_changes_the_target() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = desk(folder.path()).await;
    let now_ms = World::real().clock.now_ms();
    let Ok(Lease::Got(fence)) = desk.history.lease("docker:shop", "apm 1 of ann", now_ms, 60_000).await else {
        panic!("nobody else is there")
    };
    match desk.create(&planned(), "bob", "").await {
        Err(DeskError::Run(RunError::Busy { holder, .. })) => assert_eq!(holder, "apm 1 of ann"),
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.runs(&Filter { limit: 10, ..Filter::default() }).await.expect("a list").len(), 0);

    desk.history.release("docker:shop", fence).await.expect("released");
    desk.create(&planned(), "bob", "").await.expect("a run");
    // It holds nothing itself: whoever executes it takes the target.
    let again = desk.history.lease("docker:shop", "apm 3 of eve", now_ms, 60_000).await;
    assert!(matches!(again, Ok(Lease::Got(_))), "{again:?}");
}
