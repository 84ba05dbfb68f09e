//! What a person can say to a run, and what it does then.

use std::time::Duration;

use base_world::Clock as _;
use operate_execute::{Command, Event, History, Order, Ruling, State, Status};
use operate_plan::{OnFailure, Step, StepId, Work};
use serde_json::json;

use super::rig::{Objects, Rig, before, object, pass, put, runtime, work};
use crate::{Fault, Faults};

fn three(middle: Step) -> Vec<Step> {
    vec![
        put("first", "a", json!({"version": 2}), &[]),
        Step { after: vec!["first".into()], ..middle },
        put("last", "b", json!({"version": 2}), &["middle"]),
    ]
}

fn after() -> Objects {
    [(object("a"), json!({"version": 2})), (object("b"), json!({"version": 2}))].into()
}

/// Plays with orders at these times; the status at each of them just before, and the end.
fn check(rig: &Rig, orders: &[(u64, Order)], expect: &[Status]) {
    let mut seen = Vec::new();
    let ended = runtime().block_on(async {
        rig.clock.begin();
        let executor = rig.executor("apm");
        let say = async {
            let mut now_ms = 0;
            for (at_ms, order) in orders {
                tokio::time::sleep(Duration::from_millis(at_ms - now_ms)).await;
                now_ms = *at_ms;
                let entries = rig.memory.entries(&rig.run, 0, usize::MAX).await.expect("entries");
                seen.push(State::of(&entries).status());
                let command = Command { order: order.clone(), actor: "ann".into(), reason: "I say so".into() };
                rig.memory.order(&rig.run, rig.clock.now_ms(), &command).await.expect("an order");
            }
        };
        let (ended, ()) = tokio::join!(executor.run(&rig.run), say);
        rig.clock.carry_over();
        ended.expect("an end")
    });
    seen.push(ended);
    assert_eq!(seen, expect);
    rig.audit(ended, &after());
}

#[test]
fn an_approval_waits_for_a_yes() {
    use Status::{Complete, RolledBack, Waiting};
    let asks = || three(work("middle", Work::Approve { question: "Ship it?".into() }, &[]));
    let middle = || StepId::from("middle");
    check(&Rig::new(asks(), OnFailure::Undo), &[(30_000, Order::Approve(middle()))], &[Waiting, Complete]);
    check(&Rig::new(asks(), OnFailure::Undo), &[(30_000, Order::Reject(middle()))], &[Waiting, RolledBack]);
    check(&Rig::new(asks(), OnFailure::Undo), &[(30_000, Order::Skip(middle()))], &[Waiting, Complete]);
    check(&Rig::new(asks(), OnFailure::Undo), &[(30_000, Order::Cancel)], &[Waiting, RolledBack]);
    // Nobody answers: the step's own limit ends it.
    check(&Rig::new(asks(), OnFailure::Undo), &[], &[RolledBack]);
}

#[test]
fn a_halt_waits_as_long_as_it_takes() {
    use Status::{Complete, Halted, RolledBack};
    let halts = || three(work("middle", Work::Halt { why: "look at the disk".into() }, &[]));
    check(&Rig::new(halts(), OnFailure::Undo), &[(7_200_000, Order::Resume)], &[Halted, Complete]);
    check(&Rig::new(halts(), OnFailure::Undo), &[(7_200_000, Order::Cancel)], &[Halted, RolledBack]);
}

#[test]
fn a_pause_lets_the_running_step_end_and_begins_no_other() {
    let rig = Rig::new(three(put("middle", "a", json!({"version": 2}), &[])), OnFailure::Undo);
    let orders = [(0, Order::Pause), (60_000, Order::Resume)];
    check(&rig, &orders, &[Status::Planned, Status::Paused, Status::Complete]);
    let entries = rig.entries();
    let at =
        |wanted: &dyn Fn(&Event) -> bool| entries.iter().position(|entry| wanted(&entry.event)).expect("it happened");
    let resumed = at(&|event| matches!(event, Event::Ordered { number: 2, .. }));
    let last = at(&|event| matches!(event, Event::StepBegun { step } if step.0 == "last"));
    assert!(resumed < last);
}

#[test]
fn what_halts_on_failure_is_tried_anew_on_resume() {
    let rig = Rig::new(three(put("middle", "a", json!({"version": 2}), &[])), OnFailure::Halt);
    rig.world.set_faults(Faults::new(3, 100, &[Fault::Denied]));
    runtime().block_on(async {
        rig.clock.begin();
        let executor = rig.executor("apm");
        let mend = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            rig.world.set_faults(Faults::none());
            let command = Command { order: Order::Resume, actor: "ann".into(), reason: "mended".into() };
            rig.memory.order(&rig.run, 0, &command).await.expect("an order");
        };
        let (ended, ()) = tokio::join!(executor.run(&rig.run), mend);
        assert_eq!(ended, Ok(Status::Complete));
    });
    rig.audit(Status::Complete, &after());
    assert!(rig.told.0.lock().iter().any(|line| line.contains("waits for a person")));
}

/// When the rig's clock begins.
fn rig_epoch_ms() -> i64 {
    1_700_000_000_000
}

#[test]
fn the_judge_is_asked_until_it_rules() {
    let wait = || Ruling::Wait { again_ms: 5_000, sentence: "too early".into() };
    let judged = |rulings: Vec<Ruling>| {
        let rig = Rig::new(three(work("middle", Work::Judge(json!({})), &[])), OnFailure::Undo);
        *rig.judge.0.lock() = rulings;
        rig
    };
    check(&judged(vec![wait(), wait(), pass()]), &[], &[Status::Complete]);
    let fail = Ruling::Fail { sentence: "errors rose from 0.1 % to 12 %".into(), hurt_since_ms: Some(rig_epoch_ms()) };
    let rig = judged(vec![wait(), fail]);
    check(&rig, &[], &[Status::RolledBack]);
    let Some(Event::Ended { sentence, .. }) = rig.entries().last().map(|entry| entry.event.clone()) else { panic!() };
    // The judge waited 5 s before it ruled; the rest are the fake world's calls.
    assert!(
        sentence.starts_with("undone, because errors rose from 0.1 % to 12 %; people were hurt for 5."),
        "{sentence}"
    );
    let unsure = Ruling::Inconclusive { sentence: "2 requests in 5 min".into() };
    let approve = [(30_000, Order::Approve("middle".into()))];
    check(&judged(vec![unsure]), &approve, &[Status::Waiting, Status::Complete]);
}

#[test]
fn a_plan_that_takes_too_long_goes_back_but_waiting_for_people_does_not_count() {
    // 20 min is the rig's limit for the whole; each life of the judge takes longer than its step's minute, so it is raised.
    let mut middle = work("middle", Work::Judge(json!({})), &[]);
    middle.time_limit_ms = 3_600_000;
    let rig = Rig::new(three(middle), OnFailure::Undo);
    *rig.judge.0.lock() = vec![Ruling::Wait { again_ms: 10_000, sentence: "wait".into() }];
    check(&rig, &[], &[Status::RolledBack]);
    let ended = rig.entries().last().map(|entry| format!("{:?}", entry.event)).unwrap_or_default();
    assert!(ended.contains("longer than its limit of 1200 s"), "{ended}");

    let rig = Rig::new(three(put("middle", "a", json!({"version": 2}), &[])), OnFailure::Undo);
    check(&rig, &[(0, Order::Pause), (7_200_000, Order::Resume)], &[Status::Planned, Status::Paused, Status::Complete]);
}

#[test]
fn what_the_plan_does_not_need_is_given_up_and_told() {
    let mut middle = put("middle", "a", json!({"version": 2}), &[]);
    middle.verify[0].with = json!({"version": "what never comes"});
    middle.optional = true;
    let rig = Rig::new(three(middle), OnFailure::Undo);
    check(&rig, &[], &[Status::Complete]);
    assert!(
        rig.told.0.lock().iter().any(|line| line.starts_with("warning: change the things goes on without `put a`"))
    );
}

#[test]
fn a_step_that_waits_is_skipped_with_a_reason() {
    let mut middle = put("middle", "a", json!({"version": 2}), &[]);
    middle.verify[0].with = json!({"version": "what never comes"});
    let rig = Rig::new(three(middle), OnFailure::Undo);
    check(&rig, &[(20_000, Order::Skip("middle".into()))], &[Status::Running, Status::Complete]);
    assert_ne!(rig.world.objects(), before());
}

/// Whoever looks at a run that is over is not in the way of somebody who begins the next one.
#[test]
fn a_run_that_ended_takes_no_target() {
    let rig = Rig::new(three(put("middle", "c", json!({"version": 2}), &[])), OnFailure::Undo);
    let ended = rig.play(&[]);
    let (seen, next) = runtime().block_on(async {
        rig.clock.begin();
        let next = rig.memory.lease("fake", "somebody", rig.clock.now_ms(), 15_000).await.expect("a lease");
        (rig.executor("late").run(&rig.run).await, next)
    });
    assert!(matches!(next, operate_execute::Lease::Got(_)));
    assert_eq!(seen.expect("nobody has to be waited for"), ended);
}
