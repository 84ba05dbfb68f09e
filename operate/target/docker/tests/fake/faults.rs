//! An engine that goes wrong at one request of a release, whichever: the new version takes over or the old one runs as before, and nothing is left of the
//! attempt.

use connect_docker_fake::Fault;
use operate_execute::{Image, Status};
use serde_json::json;

use crate::engine::LANES;
use crate::rig::Rig;

/// What may come of a release when this goes wrong.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Complete,
    Either,
}

/// Requests of a release that nothing goes wrong with, from its plan on.
fn requests(judge_fails: bool) -> u64 {
    let rig = Rig::new("fault-count");
    assert_eq!(rig.deploy(&rig.release("1"), &[]).1, Status::Complete);
    let mut release = rig.release("2");
    release.judge = Some(json!({"fail": judge_fails}));
    let id = rig.planned(&release);
    let before = rig.engine.0.asked().len();
    rig.run(&id, &[]);
    (rig.engine.0.asked().len() - before) as u64
}

fn play(number: u64, fault: &Fault, judge_fails: bool, end: End) {
    let rig = Rig::new(&format!("fault-{number}"));
    assert_eq!(rig.deploy(&rig.release("1"), &[]).1, Status::Complete);
    let before = rig.containers();
    let mut release = rig.release("2");
    release.judge = Some(json!({"fail": judge_fails}));
    let id = rig.planned(&release);
    // What answers a change with 200 has made it; a look may be answered with anything.
    let line = if matches!(fault, Fault::Garbage | Fault::Refuse(404, _)) { "GET " } else { "" };
    rig.engine.0.fail_number(number, line, fault.clone());
    let status = rig.run(&id, &[]);
    let why = format!("{fault:?} at request {number}");
    let after = rig.containers();
    match status {
        Status::RolledBack if judge_fails || end == End::Either => assert_eq!(after, before, "{why}"),
        Status::Complete if !judge_fails => {
            assert_eq!(rig.engine.0.container_names(), [format!("target-dev-{}", rig.service)], "{why}");
            let Some(Image::Present(now)) = after.values().next() else { panic!("{why}: {after:?}") };
            assert_eq!((&now["body"]["Labels"]["apm.version"], &now["running"]), (&json!("2"), &json!(true)), "{why}");
        }
        other => panic!("{why}: {other:?}\n{}", rig.journal(&id)),
    }
}

/// The fault at every request, or at every so manieth, one release each.
fn check(fault: &Fault, judge_fails: bool, end: End, every: u64) {
    let requests = requests(judge_fails);
    assert!(requests > 30, "only {requests} requests");
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || {
                (1..=requests)
                    .filter(|number| number % every == 0 && number / every % LANES == lane)
                    .for_each(|number| play(number, fault, judge_fails, end));
            });
        }
    });
}

#[test]
fn an_answer_that_is_lost_stops_no_release() {
    check(&Fault::LoseAnswer, false, End::Complete, 1);
}

#[test]
fn an_engine_that_hangs_up_stops_no_release() {
    check(&Fault::HangUp, false, End::Complete, 3);
}

#[test]
fn an_answer_that_is_lost_on_the_way_back_stops_no_undo() {
    check(&Fault::LoseAnswer, true, End::Either, 1);
}

#[test]
fn a_refusal_anywhere_leaves_the_new_version_or_the_old_one() {
    check(&Fault::Refuse(500, "driver failed"), false, End::Either, 2);
}

#[test]
fn an_engine_that_knows_nothing_for_a_moment_loses_no_version() {
    check(&Fault::Refuse(404, "No such container: it is gone"), false, End::Either, 3);
}

#[test]
fn what_is_no_answer_of_docker_leaves_the_new_version_or_the_old_one() {
    check(&Fault::Garbage, false, End::Either, 5);
}
