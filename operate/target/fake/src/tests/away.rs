//! The target goes away in the middle of an undo. A step that is given up would leave half of the change, so it is waited for.

use std::time::Duration;

use base_world::Clock as _;
use operate_execute::{Begun, Command, Event, History, NewRun, Order, RunError, RunId, Status};
use operate_plan::{OnFailure, Work};
use serde_json::json;

use super::rig::{Objects, Rig, object, put, runtime, work};
use crate::{Fault, Faults};

/// Rejected after half a minute, and everything refused from then on for so long.
fn check(away_min: u64, expect: Status) -> Rig {
    let steps = vec![
        put("first", "a", json!({"version": 2}), &[]),
        put("second", "b", json!({"version": 2}), &["first"]),
        work("ask", Work::Approve { question: "Ship it?".into() }, &["second"]),
    ];
    let rig = Rig::new(steps, OnFailure::Undo);
    let ended = runtime().block_on(async {
        rig.clock.begin();
        let executor = rig.executor("apm");
        let outage = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            rig.world.set_faults(Faults::new(1, 100, &[Fault::Refused]));
            let no = Command { order: Order::Reject("ask".into()), actor: "ann".into(), reason: String::new() };
            rig.memory.order(&rig.run, rig.clock.now_ms(), &no).await.expect("an order");
            tokio::time::sleep(Duration::from_secs(away_min * 60)).await;
            rig.world.set_faults(Faults::none());
        };
        let (ended, ()) = tokio::join!(executor.run(&rig.run), outage);
        rig.clock.carry_over();
        ended.expect("an end")
    });
    assert_eq!(ended, expect, "away for {away_min} min");
    let after: Objects = [(object("a"), json!({"version": 2})), (object("b"), json!({"version": 2}))].into();
    rig.audit(ended, &after);
    rig
}

#[test]
fn an_undo_waits_for_a_target_that_is_away() {
    check(1, Status::RolledBack);
    check(9, Status::RolledBack);
    check(60, Status::Failed);
}

/// Whether the undo is taken up once another run on the target stands so.
fn check_again(later: Option<Status>, expect: Option<Status>) {
    let rig = check(60, Status::Failed);
    let ended = runtime().block_on(async {
        rig.clock.begin();
        let executor = rig.executor("apm 2");
        assert_eq!(executor.run(&rig.run).await, Ok(Status::Failed), "nobody asked for it");
        let say = Command { order: Order::UndoAgain, actor: "ann".into(), reason: "it is back".into() };
        rig.memory.order(&rig.run, rig.clock.now_ms(), &say).await.expect("an order");
        if let Some(status) = later {
            let other = RunId("things-2".into());
            let new = NewRun { run: &other, plan: &rig.plan, command: &say };
            let begun = rig.memory.begin(new, rig.clock.now_ms(), "bob", 15_000).await;
            let Ok(Begun::Got(fence)) = begun else { panic!("{begun:?}") };
            let end = Event::Ended { status, sentence: String::new() };
            rig.memory.append(&other, fence, rig.clock.now_ms(), end).await.expect("kept");
            rig.memory.release("fake", fence).await.expect("released");
        }
        executor.run(&rig.run).await
    });
    match expect {
        Some(status) => {
            assert_eq!(ended, Ok(status));
            rig.audit(status, &Objects::new());
        }
        None => assert!(matches!(&ended, Err(RunError::Overtaken { by, .. }) if by.0 == "things-2"), "{ended:?}"),
    }
}

#[test]
fn an_undo_is_taken_up_again_unless_a_later_run_changed_the_target() {
    check_again(None, Some(Status::RolledBack));
    check_again(Some(Status::RolledBack), Some(Status::RolledBack));
    check_again(Some(Status::Complete), None);
    check_again(Some(Status::Failed), None);
}
