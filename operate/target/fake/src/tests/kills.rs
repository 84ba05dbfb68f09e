//! kill -9 at every single moment of one plan that has all kinds of steps: on the way forward, and on the way back.

use operate_execute::{Event, Status};
use operate_plan::{OnFailure, Severity, Step, Work};
use serde_json::json;

use super::rig::{Objects, Rig, before, object, put, remove, shift, work};
use crate::{Fault, Faults};

/// Two steps side by side, a move of two objects, a removal, a telling and a verdict.
fn steps() -> Vec<Step> {
    vec![
        put("put-c", "c", json!({"version": 2, "port": 82}), &[]),
        put("put-b", "b", json!({"version": 2, "port": 81}), &[]),
        work("tell", Work::Alert { severity: Severity::Info, message: "half way".into() }, &["put-c", "put-b"]),
        shift("keep-a", "a", "a-old", &["tell"]),
        shift("c-to-a", "c", "a", &["keep-a"]),
        work("judge", Work::Judge(json!({})), &["c-to-a"]),
        remove("remove-old", "a-old", &["judge"]),
    ]
}

fn after() -> Objects {
    [(object("a"), json!({"version": 2, "port": 82})), (object("b"), json!({"version": 2, "port": 81}))].into()
}

/// The moments of a life that nobody kills.
fn moments(rig: &Rig, expect: Status) -> u64 {
    assert_eq!(rig.play(&[]), expect);
    rig.crash.passed()
}

#[test]
fn a_run_killed_at_any_moment_comes_to_the_same_end() {
    let rig = Rig::new(steps(), OnFailure::Undo);
    let moments = moments(&rig, Status::Complete);
    rig.audit(Status::Complete, &after());
    assert!(moments > 60, "only {moments} moments: the rig does not see the run");
    for moment in 1..=moments {
        let rig = Rig::new(steps(), OnFailure::Undo);
        // The end may be kept already and only its answer lost.
        assert_eq!(rig.play(&[moment]), Status::Complete, "killed at {moment}");
        rig.audit(Status::Complete, &after());
    }
}

#[test]
fn a_run_killed_at_any_moment_of_its_way_back_ends_in_the_world_before() {
    let failing = || {
        let mut steps = steps();
        // What it expects never comes.
        let Some(last) = steps.last_mut() else { unreachable!("there are steps") };
        last.verify[0].verb = "present".into();
        Rig::new(steps, OnFailure::Undo)
    };
    let rig = failing();
    let moments = moments(&rig, Status::RolledBack);
    rig.audit(Status::RolledBack, &after());
    for moment in 1..=moments {
        let rig = failing();
        assert_eq!(rig.play(&[moment, 7]), Status::RolledBack, "killed at {moment}");
        rig.audit(Status::RolledBack, &after());
    }
}

#[test]
fn undo_from_every_step_ends_in_the_recorded_world() {
    for position in 0..steps().len() {
        let mut steps = steps();
        let Some(step) = steps.get_mut(position) else { continue };
        step.verify.push(operate_plan::Condition {
            says: "what nobody can give".into(),
            verb: "impossible".into(),
            object: object("a"),
            with: json!(null),
        });
        let rig = Rig::new(steps, OnFailure::Undo);
        assert_eq!(rig.play(&[]), Status::RolledBack, "step {position}");
        rig.audit(Status::RolledBack, &after());
    }
}

#[test]
fn a_world_that_cannot_be_restored_is_a_failure_and_never_called_rolled_back() {
    let mut steps = steps();
    steps[6].verify[0].verb = "impossible".into();
    let rig = Rig::new(steps, OnFailure::Undo);
    let runtime = super::rig::runtime();
    // As soon as it goes back, nothing is allowed any more.
    let status = runtime.block_on(async {
        rig.clock.begin();
        let executor = rig.executor("apm");
        let mut events = executor.watch.subscribe();
        let deny = async {
            while let Ok(entry) = events.recv().await {
                if matches!(entry.event, Event::UndoBegun { .. }) {
                    rig.world.set_faults(Faults::new(1, 100, &[Fault::Denied]));
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! { biased; () = deny => unreachable!("it never ends"), status = executor.run(&rig.run) => status }
    });
    assert_eq!(status.expect("an end"), Status::Failed);
    rig.audit(Status::Failed, &after());
    assert_ne!(rig.world.objects(), before());
}
