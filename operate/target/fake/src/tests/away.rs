//! The target goes away in the middle of an undo. A step that is given up would leave half of the change, so it is waited for.

use std::time::Duration;

use base_world::Clock as _;
use operate_execute::{Command, History, Order, Status};
use operate_plan::{OnFailure, Work};
use serde_json::json;

use super::rig::{Objects, Rig, object, put, runtime, work};
use crate::{Fault, Faults};

/// Rejected after half a minute, and everything refused from then on for so long.
fn check(away_min: u64, expect: Status) {
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
}

#[test]
fn an_undo_waits_for_a_target_that_is_away() {
    check(1, Status::RolledBack);
    check(9, Status::RolledBack);
    check(60, Status::Failed);
}
