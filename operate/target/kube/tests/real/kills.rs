//! kill -9 on a real cluster: at every boundary of the journal and of the acts, and at random instants; forward and on the way back. The pods
//! are pretended, so that hundreds of releases take minutes; the objects, the API server and its controllers are real.

use std::time::Duration;

use base_world::Rng;
use operate_deploy::Strategy;
use operate_execute::{Image, Status};
use operate_target_fake::Kill;
use serde_json::json;

use crate::rig::Rig;

/// Side by side on one cluster.
const LANES: usize = 6;
/// `cargo xtask soak` plays more.
const INSTANTS: u64 = 20;

fn check(namespace: &str, strategy: Strategy, judge_fails: bool, kills: &[Kill]) -> u64 {
    let rig = Rig::pretended(namespace);
    let release = |version: &str| {
        let mut release = rig.release(version);
        release.strategy = strategy;
        release
    };
    let (run, status) = rig.deploy(&release("1"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    let before = rig.objects();
    let mut second = release("2");
    second.judge = Some(json!({"fail": judge_fails}));
    let (run, status) = rig.deploy(&second, kills);
    if judge_fails {
        assert_eq!(status, Status::RolledBack, "{kills:?}: {}", rig.reason(&run));
        rig.is_as(&before).unwrap_or_else(|why| panic!("{kills:?}: {why}"));
    } else {
        assert_eq!(status, Status::Complete, "{kills:?}: {}", rig.reason(&run));
        let deployments: Vec<_> = rig.objects().into_iter().filter(|(id, _)| id.kind == "Deployment.apps").collect();
        let [(_, Image::Present(only))] = &deployments[..] else { panic!("{kills:?}: {deployments:?}") };
        assert_eq!(only["metadata"]["annotations"]["apm.version"], "2", "{kills:?}");
    }
    rig.lives.crash.passed()
}

/// A release in a namespace of its own, killed so; how many boundaries it passed.
pub(crate) type Case<'a> = &'a (dyn Fn(&str, bool, &[Kill]) -> u64 + Sync);

/// Plays all cases in a few lanes; a case that fails says which.
fn play(name: &str, case: Case<'_>, cases: Vec<(bool, Vec<Kill>)>) {
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let cases = &cases;
            scope.spawn(move || {
                for (number, (fails, kills)) in cases.iter().enumerate().skip(lane).step_by(LANES) {
                    case(&format!("{name}-{number}"), *fails, kills);
                }
            });
        }
    });
}

/// At every boundary, forward and on the way back.
pub(crate) fn sweep(name: &str, case: Case<'_>) {
    let forward = case(&format!("{name}-count-1"), false, &[]);
    let both = case(&format!("{name}-count-2"), true, &[]);
    assert!(forward > 15 && both > 15, "only {forward} and {both} boundaries");
    let cases = (1..=forward).map(|moment| (false, vec![Kill::Moment(moment)]));
    // The way forward was played already, but for its end.
    let back = (forward.saturating_sub(12)..=both).map(|moment| (true, vec![Kill::Moment(moment)]));
    play(name, case, cases.chain(back).collect());
}

#[test]
fn a_rolling_release_killed_at_any_boundary_ends_as_it_should() {
    sweep("kill-rolling", &|namespace, fails, kills| check(namespace, Strategy::Rolling, fails, kills));
}

#[test]
fn a_blue_green_release_killed_at_any_boundary_ends_as_it_should() {
    sweep("kill-colors", &|namespace, fails, kills| check(namespace, Strategy::BlueGreen, fails, kills));
}

#[test]
fn a_release_killed_at_random_instants_ends_as_it_should() {
    let instants = std::env::var("APM_TEST_INSTANTS").ok().and_then(|text| text.parse().ok()).unwrap_or(INSTANTS);
    let mut rng = Rng::new(instants);
    let mut drawn = || Kill::After(Duration::from_millis(rng.below(4_000)));
    let cases = (0..instants).map(|number| (number % 2 == 1, vec![drawn(), drawn()])).collect();
    play("kill-instant", &|namespace, fails, kills| check(namespace, Strategy::Rolling, fails, kills), cases);
}
