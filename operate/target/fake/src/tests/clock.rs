//! Windows, freezes and clocks that people set: a run waits when it must, is never undone for what a clock says, and an undo waits for nothing.

use std::time::Duration;

use base_world::Clock as _;
use operate_execute::{Command, Event, History, Order, Ruling, State, Status};
use operate_plan::{Calendar, Freeze, OnFailure, Step, Work};
use serde_json::json;

use super::rig::{Objects, Rig, object, pass, put, runtime, work};

/// When the rig's clock begins.
const EPOCH_MS: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;

/// Frozen from .. to, in milliseconds from the beginning.
fn frozen(from_ms: i64, to_ms: i64) -> Work {
    let freeze = Freeze {
        from_ms: EPOCH_MS + from_ms,
        to_ms: EPOCH_MS + to_ms,
        reason: "black friday".into(),
        environments: Vec::new(),
    };
    Work::Window(Calendar { freezes: vec![freeze], windows: Vec::new() })
}

fn rig(middle: Work) -> Rig {
    let steps = vec![
        put("first", "a", json!({"version": 2}), &[]),
        Step { time_limit_ms: 3_600_000, ..work("middle", middle, &["first"]) },
        put("last", "b", json!({"version": 2}), &["middle"]),
    ];
    Rig::new(steps, OnFailure::Undo)
}

fn after() -> Objects {
    [(object("a"), json!({"version": 2})), (object("b"), json!({"version": 2}))].into()
}

/// What happens from outside.
#[derive(Clone)]
enum Do {
    Say(Order),
    SetClock(i64),
    /// Another executor wants the run.
    TakeOver,
}

/// Plays while these happen; the status just before each, the end, and how long it took in seconds.
fn check(rig: &Rig, deeds: &[(u64, Do)], expect: &[Status], took_s: std::ops::Range<u64>) {
    let mut seen = Vec::new();
    let (ended, took) = runtime().block_on(async {
        rig.clock.begin();
        let (first, second) = (rig.executor("first"), rig.executor("second"));
        let mut other = None;
        let from_outside = async {
            let mut now_ms = 0;
            for (at_ms, deed) in deeds {
                tokio::time::sleep(Duration::from_millis(at_ms - now_ms)).await;
                now_ms = *at_ms;
                let entries = rig.memory.entries(&rig.run, 0, usize::MAX).await.expect("entries");
                seen.push(State::of(&entries).status());
                match deed {
                    Do::SetClock(by_ms) => rig.clock.set(*by_ms),
                    Do::TakeOver => other = Some(rig.clock.patient(&second, &rig.run).await),
                    Do::Say(order) => {
                        let command = Command { order: order.clone(), actor: "ann".into(), reason: "I must".into() };
                        rig.memory.order(&rig.run, rig.clock.now_ms(), &command).await.expect("an order");
                    }
                }
            }
        };
        let (ended, ()) = tokio::join!(first.run(&rig.run), from_outside);
        let took = rig.clock.monotonic_ns() / 1_000_000_000;
        rig.clock.carry_over();
        (other.unwrap_or(ended).expect("an end"), took)
    });
    seen.push(ended);
    assert_eq!(seen, expect);
    assert!(took_s.contains(&took), "it took {took} s");
    rig.audit(ended, &after());
}

#[test]
fn a_run_waits_while_changes_are_frozen_and_then_goes_on() {
    let frozen_now = || rig(frozen(0, 2 * HOUR_MS));
    use Status::{Complete, RolledBack, Waiting};
    let rig = frozen_now();
    check(&rig, &[(60_000, Do::SetClock(0))], &[Waiting, Complete], 7_200..7_210);
    let asked: Vec<String> = rig
        .entries()
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Asked { question, .. } => Some(question.clone()),
            _ => None,
        })
        .collect();
    let expect =
        "changes are frozen until 2023-11-15 00:13 UTC: black friday; approve with a reason to go on all the same";
    assert_eq!(asked, [expect]);
    assert!(rig.told.0.lock().iter().any(|line| line.contains(expect)));

    // A person may say otherwise, and an undo waits for nothing.
    let say = |order| vec![(60_000, Do::Say(order))];
    check(&frozen_now(), &say(Order::Approve("middle".into())), &[Waiting, Complete], 60..65);
    check(&frozen_now(), &say(Order::Skip("middle".into())), &[Waiting, Complete], 60..65);
    check(&frozen_now(), &say(Order::Reject("middle".into())), &[Waiting, RolledBack], 60..65);
    check(&frozen_now(), &say(Order::Cancel), &[Waiting, RolledBack], 60..65);
    // Over before it matters, and not begun yet.
    check(&self::rig(frozen(-HOUR_MS, 0)), &[], &[Complete], 0..5);
    check(&self::rig(frozen(HOUR_MS, 2 * HOUR_MS)), &[], &[Complete], 0..5);
}

#[test]
fn a_clock_that_is_set_is_believed_about_windows() {
    use Status::{Complete, Waiting};
    // Forwards, out of the freeze.
    check(&rig(frozen(0, 2 * HOUR_MS)), &[(60_000, Do::SetClock(2 * HOUR_MS))], &[Waiting, Complete], 60..65);
    // Back: it lasts longer than it would have.
    let back = [(60_000, Do::SetClock(-HOUR_MS)), (7_200_000, Do::SetClock(0))];
    check(&rig(frozen(-HOUR_MS, 2 * HOUR_MS)), &back, &[Waiting, Waiting, Complete], 10_800..10_810);
}

#[test]
fn a_clock_that_is_set_ends_no_run_and_no_lease() {
    use Status::{Complete, Paused, Planned, Running};
    // The judge wants five minutes; the limit of the whole is twenty.
    let judged = || {
        let rig = rig(Work::Judge(json!({})));
        let wait = |_| Ruling::Wait { again_ms: 30_000, sentence: "too early".into() };
        *rig.judge.0.lock() = (0..10).map(wait).chain([pass()]).collect();
        rig
    };
    for by_ms in [-26 * HOUR_MS, -HOUR_MS, -20_000, 20_000, HOUR_MS, 26 * HOUR_MS] {
        check(&judged(), &[(60_000, Do::SetClock(by_ms))], &[Running, Complete], 300..310);
        // While a person has paused it, for longer than the limit.
        let paused = [(0, Do::Say(Order::Pause)), (600_000, Do::SetClock(by_ms)), (1_800_000, Do::Say(Order::Resume))];
        check(&judged(), &paused, &[Planned, Paused, Paused, Complete], 2_100..2_110);
    }
    // Whoever asks at the very moment at which the clock was set forwards gets the run; the first is fenced off, and nothing is done twice.
    let taken = [(60_000, Do::SetClock(HOUR_MS)), (60_000, Do::TakeOver)];
    check(&judged(), &taken, &[Running, Running, Complete], 300..310);
}
