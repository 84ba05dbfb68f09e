//! Releases behind a real front: the new color takes over, a bad one is taken back, and a life that ends anywhere leaves a front that the
//! next one can go on with.

use operate_execute::{Image, Status};
use serde_json::{Value, json};

use crate::kills::Sweep;
use crate::rig::Rig;

/// Name, weight and port of each upstream in force.
fn sends(rig: &Rig) -> Vec<(String, u64)> {
    let Some(Image::Present(front)) = rig.containers().remove("front") else { return Vec::new() };
    let upstreams = front["upstreams"].as_array().cloned().unwrap_or_default();
    let told = |one: Value| (one["name"].as_str().unwrap_or("?").to_owned(), one["weight"].as_u64().unwrap_or(0));
    upstreams.into_iter().map(told).collect()
}

/// The containers that are there, with their versions.
fn versions(rig: &Rig) -> Vec<(String, Value)> {
    let mut containers = rig.containers();
    containers.remove("front");
    let version = |image: Image| match image {
        Image::Present(value) if value["running"] == true => value["body"]["Labels"]["apm.version"].clone(),
        _ => Value::Null,
    };
    containers.into_iter().map(|(name, image)| (name, version(image))).collect()
}

#[track_caller]
fn serves(rig: &Rig, color: &str, version: &str, why: &str) {
    assert_eq!(sends(rig), [(color.to_owned(), 1)], "{why}");
    assert_eq!(versions(rig), [(format!("target-dev-{}-{color}", rig.service), json!(version))], "{why}");
    assert!(rig.answers(), "{why}");
}

#[test]
fn colors_take_turns_behind_the_front() {
    let rig = Rig::behind_a_front("turns");
    assert_eq!(rig.deploy(&rig.release("1"), &[]).1, Status::Complete);
    serves(&rig, "blue", "1", "the first release starts the front");
    assert_eq!(rig.deploy(&rig.release("2"), &[]).1, Status::Complete);
    serves(&rig, "green", "2", "");
    assert_eq!(rig.deploy(&rig.release("1"), &[]).1, Status::Complete);
    serves(&rig, "blue", "1", "and back again");
}

/// A second version that comes to nothing: containers and front are what they were.
fn check_undone(service: &str, version: &str, change: impl FnOnce(&mut operate_deploy::Release), reason: &str) {
    let rig = Rig::behind_a_front(service);
    assert_eq!(rig.deploy(&rig.release("1"), &[]).1, Status::Complete);
    let before = rig.containers();
    let mut release = rig.release(version);
    change(&mut release);
    let (run, status) = rig.deploy(&release, &[]);
    assert_eq!(status, Status::RolledBack);
    assert_eq!(rig.containers(), before);
    serves(&rig, "blue", "1", "");
    let journal = rig.journal(&run);
    assert!(journal.contains(reason), "`{reason}` is not in {journal}");
}

#[test]
fn a_version_that_the_judge_refuses_is_taken_back() {
    check_undone("refused-front", "2", |release| release.judge = Some(json!({"fail": true})), "the test says so");
}

#[test]
fn a_version_that_never_answers_gets_no_traffic() {
    check_undone("mute-front", "mute", |release| release.ready_ms = 3_000, "took longer than its limit of 3 s");
}

#[test]
fn a_canary_that_the_judge_refuses_is_taken_back_from_its_share() {
    check_undone(
        "canary-front",
        "2",
        |release| {
            release.strategy = operate_deploy::Strategy::Canary;
            let beside =
                operate_deploy::Beside { request: json!({"fail": true, "old": null}), old_version_at: "/old".into() };
            release.canary =
                Some(operate_deploy::Canary { steps: vec![10, 50], beside: Some(beside), judge_ms: 10_000 });
        },
        "the test says so",
    );
}

#[test]
fn the_first_release_behind_a_front_is_undone_to_nothing() {
    let rig = Rig::behind_a_front("first-front");
    let mut release = rig.release("1");
    release.judge = Some(json!({"fail": true}));
    assert_eq!(rig.deploy(&release, &[]).1, Status::RolledBack);
    assert_eq!(versions(&rig), []);
    assert_eq!(rig.containers().remove("front"), Some(Image::Absent));
}

#[test]
fn a_container_from_before_the_front_gives_its_port_up_and_gets_it_back() {
    let rig = Rig::behind_a_front("plain");
    let plain = |version: &str| {
        let mut release = rig.release(version);
        let front = release.front.take().expect("a front");
        let port: u16 = front.listen.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        release.strategy = operate_deploy::Strategy::Recreate;
        release.container.ports[0].publish = Some(operate_deploy::Publish { address: "127.0.0.1".into(), port });
        release
    };
    assert_eq!(rig.deploy(&plain("1"), &[]).1, Status::Complete);
    assert!(rig.answers());
    let before = rig.containers();
    let mut bad = rig.release("2");
    bad.judge = Some(json!({"fail": true}));
    assert_eq!(rig.deploy(&bad, &[]).1, Status::RolledBack);
    assert_eq!(rig.containers(), before);
    assert!(rig.answers(), "the plain container has its port again");
    assert_eq!(rig.deploy(&rig.release("2"), &[]).1, Status::Complete);
    serves(&rig, "blue", "2", "");
}

#[test]
fn a_front_that_died_is_started_with_what_it_had() {
    let rig = Rig::behind_a_front("died");
    assert_eq!(rig.deploy(&rig.release("1"), &[]).1, Status::Complete);
    rig.end_the_front();
    assert!(!rig.answers());
    assert_eq!(rig.deploy(&rig.release("2"), &[]).1, Status::Complete);
    serves(&rig, "green", "2", "");
}

const SWITCH: Sweep = Sweep {
    name: "switch",
    rig: Rig::behind_a_front,
    is_first: false,
    serves: |rig, why| serves(rig, "green", "2", why),
};

#[test]
fn a_switch_killed_at_any_boundary_takes_over_all_the_same() {
    SWITCH.forward(40);
}

#[test]
fn a_switch_killed_at_any_boundary_of_its_way_back_is_undone_all_the_same() {
    SWITCH.back();
}

/// The release that starts the front; nothing is left of it where the judge refuses it.
const FIRST: Sweep =
    Sweep { name: "first", rig: Rig::behind_a_front, is_first: true, serves: |rig, why| serves(rig, "blue", "2", why) };

#[test]
fn the_release_that_starts_the_front_may_be_killed_at_any_boundary() {
    FIRST.forward(15);
}

#[test]
fn the_release_that_starts_the_front_is_undone_from_any_boundary() {
    FIRST.back();
}
