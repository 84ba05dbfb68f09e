//! Two executors for one run: the second waits for the lease, and one that slept through the end of its lease can neither write nor act.

use std::time::Duration;

use operate_execute::{HistoryError, RunError, Status};
use operate_plan::OnFailure;
use serde_json::json;

use super::rig::{Objects, Rig, before, object, put, runtime};

fn rig() -> (Rig, Objects) {
    let value = |version: usize| json!({"version": version, "port": 80, "a": 1, "b": 2});
    let ids: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    let steps = ids.iter().enumerate().map(|(number, id)| {
        let after = number.checked_sub(1).and_then(|before| ids.get(before)).map(String::as_str);
        put(id, "a", value(number + 2), after.as_slice())
    });
    let mut after = before();
    after.insert(object("a"), value(21));
    (Rig::new(steps.collect(), OnFailure::Undo), after)
}

#[test]
fn the_second_is_told_who_has_the_target() {
    let (rig, after) = rig();
    runtime().block_on(async {
        rig.clock.begin();
        let (first, second) = (rig.executor("first"), rig.executor("second"));
        let late = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let error = second.run(&rig.run).await.expect_err("the first has it");
            assert!(matches!(&error, RunError::Busy { holder, .. } if holder == "first"), "{error}");
        };
        let (status, ()) = tokio::join!(first.run(&rig.run), late);
        assert_eq!(status, Ok(Status::Complete));
    });
    rig.audit(Status::Complete, &after);
    assert_eq!(rig.world.refused_tokens(), 0);
}

#[test]
fn one_that_slept_through_its_lease_is_fenced_off() {
    // Frozen after each of these times, for longer than the lease.
    for frozen_at_ms in (10..1_150).step_by(35) {
        let (rig, after) = rig();
        runtime().block_on(async {
            rig.clock.begin();
            let (first, second) = (rig.executor("first"), rig.executor("second"));
            let mut frozen = Box::pin(first.run(&rig.run));
            let early = tokio::time::timeout(Duration::from_millis(frozen_at_ms), &mut frozen).await;
            assert!(early.is_err(), "it was done before it was frozen: {early:?}");
            tokio::time::sleep(Duration::from_secs(16)).await;
            // The second goes on while the first stirs again now and then.
            let other = rig.clock.patient(&second, &rig.run);
            tokio::pin!(other);
            let early = tokio::time::timeout(Duration::from_millis(100), &mut other).await;
            let woken = frozen.await;
            let lost = Err(RunError::History(HistoryError::LeaseLost { target: "fake".into() }));
            assert_eq!(woken, lost, "frozen at {frozen_at_ms} ms");
            let ended = if let Ok(ended) = early { ended } else { other.await };
            assert_eq!(ended, Ok(Status::Complete), "frozen at {frozen_at_ms} ms");
        });
        rig.audit(Status::Complete, &after);
    }
}
