//! kill -9 on the real engine: at every boundary of the journal and of the acts, and at random instants; forward and on the way back.

use std::time::Duration;

use base_world::Rng;
use operate_execute::{Image, Status};
use serde_json::{Value, json};

use crate::rig::{Kill, Rig};

/// Side by side on one engine.
const LANES: u64 = 6;
/// `cargo xtask soak` plays more.
const INSTANTS: u64 = 20;

fn check(service: &str, judge_fails: bool, kills: &[Kill]) {
    let rig = Rig::new(service);
    assert_eq!(rig.deploy(&rig.release("1"), &[]).1, Status::Complete);
    let before = rig.containers();
    let mut release = rig.release("2");
    release.judge = Some(json!({"fail": judge_fails}));
    let (_, status) = rig.deploy(&release, kills);
    let after = rig.containers();
    if judge_fails {
        assert_eq!(status, Status::RolledBack, "{kills:?}");
        assert_eq!(after, before, "{kills:?}");
        return;
    }
    assert_eq!(status, Status::Complete, "{kills:?}");
    let versions: Vec<_> = after
        .iter()
        .map(|(name, image)| match image {
            Image::Present(value) => {
                (name.clone(), value["body"]["Labels"]["apm.version"].clone(), value["running"].clone())
            }
            Image::Absent => (name.clone(), Value::Null, Value::Null),
        })
        .collect();
    assert_eq!(versions, [(format!("target-dev-{service}"), json!("2"), json!(true))], "{kills:?}");
}

/// Plays all cases in a few lanes; a case that fails says which.
pub(crate) fn play(name: &str, cases: Vec<(bool, Vec<Kill>)>, check: fn(&str, bool, &[Kill])) {
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let cases = &cases;
            scope.spawn(move || {
                for (number, (fails, kills)) in (0..).zip(cases).filter(|(number, _)| number % LANES == lane) {
                    check(&format!("{name}-{number}"), *fails, kills);
                }
            });
        }
    });
}

/// How many boundaries a release has that nobody kills.
fn boundaries(name: &str, judge_fails: bool) -> u64 {
    let rig = Rig::new(name);
    rig.deploy(&rig.release("1"), &[]);
    let mut release = rig.release("2");
    release.judge = Some(json!({"fail": judge_fails}));
    rig.deploy(&release, &[]);
    rig.crash.passed()
}

#[test]
fn a_release_killed_at_any_boundary_takes_over_all_the_same() {
    let boundaries = boundaries("kill-count", false);
    assert!(boundaries > 40, "only {boundaries} boundaries");
    play("kill", (1..=boundaries).map(|moment| (false, vec![Kill::Moment(moment)])).collect(), check);
}

#[test]
fn a_release_killed_at_any_boundary_of_its_way_back_is_undone_all_the_same() {
    let (forward, both) = (boundaries("back-count-1", false), boundaries("back-count-2", true));
    // The way forward was played already, but for the removal at its end.
    let back = forward.saturating_sub(20)..=both;
    play("back", back.map(|moment| (true, vec![Kill::Moment(moment)])).collect(), check);
}

#[test]
fn a_release_killed_at_random_instants_ends_as_it_should() {
    let instants = std::env::var("APM_TEST_INSTANTS").ok().and_then(|text| text.parse().ok()).unwrap_or(INSTANTS);
    let mut rng = Rng::new(instants);
    let mut drawn = || Kill::After(Duration::from_millis(rng.below(3_000)));
    let cases = (0..instants).map(|number| (number % 2 == 1, vec![drawn(), drawn()])).collect();
    play("instant", cases, check);
}
