//! Releases from beginning to end: the new version serves, or the old one does as before.

use operate_execute::{Image, Status};
use operate_target_fake::Kill;
use serde_json::{Value, json};

use crate::rig::Rig;

fn value(image: Option<&Image>) -> Value {
    match image {
        Some(Image::Present(value)) => value.clone(),
        _ => Value::Null,
    }
}

#[test]
fn the_new_version_takes_over_and_the_old_one_is_removed() {
    let rig = Rig::new("takes-over");
    assert_eq!(rig.deploy(&rig.release("1"), &[]).1, Status::Complete);
    let first = rig.containers();
    let (run, status) = rig.deploy(&rig.release("2"), &[]);
    assert_eq!(status, Status::Complete);
    let second = rig.containers();
    assert_eq!(second.keys().collect::<Vec<_>>(), ["target-dev-takes-over"]);
    let (old, new) = (value(first.values().next()), value(second.values().next()));
    assert_ne!(old["id"], new["id"]);
    assert_eq!(new["running"], json!(true));
    assert_eq!(new["body"]["Labels"]["apm.version"], json!("2"));
    let env = new["body"]["Env"].as_array().expect("variables");
    assert!(env.contains(&json!("DB_PASSWORD=correct-horse")), "the secret did not reach the container");
    assert!(!rig.journal(&run).contains("correct-horse"), "the journal holds a secret");
}

/// The failing version is undone: the very container that ran before runs again, and nothing else is there.
fn check_undone(service: &str, version: &str, change: impl FnOnce(&mut operate_deploy::Release), reason: &str) {
    let rig = Rig::new(service);
    assert_eq!(rig.deploy(&rig.release("1"), &[]).1, Status::Complete);
    let before = rig.containers();
    let mut release = rig.release(version);
    change(&mut release);
    let (run, status) = rig.deploy(&release, &[Kill::Never]);
    assert_eq!(status, Status::RolledBack);
    assert_eq!(rig.containers(), before);
    let journal = rig.journal(&run);
    assert!(journal.contains(reason), "`{reason}` is not in {journal}");
    assert!(!journal.contains("correct-horse"), "the journal holds a secret");
}

#[test]
fn a_version_that_ends_is_undone_with_its_last_words() {
    check_undone("ends", "ends", |_| {}, "ended with code 3; its last words: cannot reach $DB_PASSWORD");
}

#[test]
fn a_version_that_never_answers_is_undone() {
    check_undone("mute", "mute", |release| release.ready_ms = 4_000, "took longer than its limit of 4 s");
}

#[test]
fn a_version_that_the_judge_refuses_is_undone() {
    check_undone("refused", "2", |release| release.judge = Some(json!({"fail": true})), "the test says so");
}

#[test]
fn an_image_that_nobody_has_is_undone_before_anything_is_touched() {
    let gone = |release: &mut operate_deploy::Release| release.image = "127.0.0.1:1/nobody/has:1".into();
    check_undone("no-image", "2", gone, "pull 127.0.0.1:1/nobody/has:1");
}

#[test]
fn the_first_release_of_a_service_is_undone_to_nothing() {
    let rig = Rig::new("first");
    assert_eq!(rig.deploy(&rig.release("ends"), &[]).1, Status::RolledBack);
    assert_eq!(rig.containers().len(), 0);
}
