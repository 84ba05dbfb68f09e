//! One run at a time changes a target, and who comes second leaves nothing behind.

use app_adapt::Places;
use std::sync::Arc;

use base_world::World;
use operate_execute::{Filter, History, Lease, RunError, Status};
use operate_plan::{Draft, Inventory, OnFailure, Plan};

use crate::paper::Quiet;
use crate::{Desk, DeskError, DeskOptions, DockerSurroundings, Planned};

mod asked;
mod past;

/// A desk whose engine of Docker is never asked.
async fn desk(folder: &std::path::Path) -> Desk {
    desk_of(folder, "apm 2 of bob").await
}

async fn desk_of(folder: &std::path::Path, holder: &str) -> Desk {
    let socket = folder.join("nobody.sock");
    let options = DeskOptions {
        world: World::real(),
        history: folder.join("history.db").display().to_string(),
        state_folder: folder.to_owned(),
        program: folder.join("nobody"),
        docker: DockerSurroundings {
            docker_host: Some(format!("unix://{}", socket.display())),
            ..DockerSurroundings::default()
        },
        kube: Default::default(),
        places: Places { engine: "http://127.0.0.1:1".into(), ..Places::default() },
        holder: holder.to_owned(),
        tell: Arc::new(Quiet),
        notify: Vec::new(),
    };
    Desk::open(options).await.expect("a desk")
}

fn planned() -> Planned {
    planned_on("docker:shop")
}

fn planned_on(target: &str) -> Planned {
    let draft = Draft {
        title: "deploy cart 2 to dev".into(),
        reason: String::new(),
        target: target.to_owned(),
        labels: [("service".to_owned(), "cart".to_owned())].into(),
        made_ms: 0,
        time_limit_ms: 1_000,
        on_failure: OnFailure::Undo,
        steps: Vec::new(),
    };
    Planned { plan: Plan::new(draft, &Inventory::new(target)), findings: Vec::new() }
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
    let run = desk.create(&planned(), "bob", "").await.expect("a run");
    // Who creates it holds the target until it is carried out.
    let again = desk.history.lease("docker:shop", "apm 3 of eve", now_ms, 60_000).await;
    assert!(matches!(&again, Ok(Lease::Held { holder, .. }) if holder == "apm 2 of bob"), "{again:?}");
    assert_eq!(desk.execute(&run).await.expect("an end"), Status::Complete);
    let again = desk.history.lease("docker:shop", "apm 3 of eve", now_ms, 60_000).await;
    assert!(matches!(again, Ok(Lease::Got(_))), "{again:?}");
}

/// Two who deploy at one moment, each with a desk of its own on one history: one deploys, the other is told by whom the target is changed
/// and leaves nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_deploy_at_one_moment_one_does() {
    const ROUNDS: usize = 60;
    let folder = tempfile::tempdir().expect("a folder");
    let desks = [desk_of(folder.path(), "apm 1 of ann").await, desk_of(folder.path(), "apm 2 of bob").await];
    let desks = desks.map(Arc::new);
    for round in 0..ROUNDS {
        let start = Arc::new(tokio::sync::Barrier::new(desks.len()));
        let both = desks.each_ref().map(|desk| {
            let (desk, start) = (Arc::clone(desk), Arc::clone(&start));
            tokio::spawn(async move {
                let planned = planned_on(&format!("docker:shop-{round}"));
                start.wait().await;
                match desk.create(&planned, "somebody", "").await {
                    Ok(run) => Ok(desk.execute(&run).await.expect("the target is ours")),
                    Err(error) => Err(error),
                }
            })
        });
        let mut ended = Vec::new();
        for one in both {
            match one.await.expect("no panic") {
                Ok(status) => ended.push(status),
                Err(DeskError::Run(RunError::Busy { .. }) | DeskError::Occupied { .. }) => {}
                Err(error) => panic!("round {round}: {error}"),
            }
        }
        // Both deployed where one was done before the other asked; none was left behind in any case.
        assert!(
            !ended.is_empty() && ended.iter().all(|status| *status == Status::Complete),
            "round {round}: {ended:?}"
        );
        let rows = desks[0].runs(&Filter { limit: 2, ..Filter::default() }).await.expect("a list");
        let statuses: Vec<Status> =
            rows.iter().filter(|row| row.target.ends_with(&format!("-{round}"))).map(|row| row.status).collect();
        assert_eq!(statuses, ended, "round {round}: a run was left behind");
    }
    assert_eq!(desks[0].history.verify_audit().await.expect("read"), None);
}
