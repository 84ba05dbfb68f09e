//! kill -9: at every boundary of the journal and of the acts, and at random instants; forward and on the way back; with and without a front.

use std::time::Duration;

use base_world::Rng;
use operate_execute::{Image, Status};
use operate_target_fake::Kill;
use serde_json::{Value, json};

use crate::engine::LANES;
use crate::rig::Rig;

/// `cargo xtask soak` plays more.
const INSTANTS: u64 = 20;

/// A release that is killed again and again, each time as a service of its own.
pub(crate) struct Sweep {
    pub(crate) name: &'static str,
    pub(crate) rig: fn(&str) -> Rig,
    /// Nothing of the service was there before.
    pub(crate) is_first: bool,
    /// What must be there when it is complete.
    pub(crate) serves: fn(&Rig, &str),
}

/// A release, whether the judge refuses it, and where each of its lives ends.
type Case = (bool, Vec<Kill>);

impl Sweep {
    /// Releases it; the version, the containers from before, the outcome.
    fn deploy(
        &self,
        rig: &Rig,
        judge_fails: bool,
        kills: &[Kill],
    ) -> (std::collections::BTreeMap<String, Image>, Status) {
        if !self.is_first {
            assert_eq!(rig.deploy(&rig.release("1"), &[]).1, Status::Complete);
        }
        let before = rig.containers();
        let mut release = rig.release("2");
        release.judge = Some(json!({"fail": judge_fails}));
        let (_, status) = rig.deploy(&release, kills);
        (before, status)
    }

    fn check(&self, service: &str, judge_fails: bool, kills: &[Kill]) {
        let rig = (self.rig)(service);
        let (before, status) = self.deploy(&rig, judge_fails, kills);
        let why = format!("{kills:?}");
        if judge_fails {
            assert_eq!(status, Status::RolledBack, "{why}");
            assert_eq!(rig.containers(), before, "{why}");
            assert!(!rig.has_front() || self.is_first || rig.answers(), "{why}");
        } else {
            assert_eq!(status, Status::Complete, "{why}");
            (self.serves)(&rig, &why);
        }
    }

    /// Plays all cases in a few lanes; a case that fails says which.
    fn play(&self, name: &str, cases: &[Case]) {
        std::thread::scope(|scope| {
            for lane in 0..LANES {
                scope.spawn(move || {
                    for (number, (fails, kills)) in (0..).zip(cases).filter(|(number, _)| number % LANES == lane) {
                        self.check(&format!("{}-{name}-{number}", self.name), *fails, kills);
                    }
                });
            }
        });
    }

    /// At every boundary that a release has which nobody kills.
    pub(crate) fn forward(&self, boundaries_min: u64) {
        let rig = (self.rig)(&format!("{}-count", self.name));
        self.deploy(&rig, false, &[]);
        let boundaries = rig.lives.crash.passed();
        assert!(boundaries > boundaries_min, "only {boundaries} boundaries");
        let cases: Vec<Case> = (1..=boundaries).map(|moment| (false, vec![Kill::Moment(moment)])).collect();
        self.play("kill", &cases);
    }

    /// From the judgement on: until then it goes as the way forward does.
    pub(crate) fn back(&self) {
        let rig = (self.rig)(&format!("{}-count-back", self.name));
        self.deploy(&rig, true, &[]);
        let back = rig.lives.judged_at()..=rig.lives.crash.passed();
        let cases: Vec<Case> = back.map(|moment| (true, vec![Kill::Moment(moment)])).collect();
        assert!(cases.len() > 10, "only {} cases", cases.len());
        self.play("back", &cases);
    }
}

/// Names, versions and whether they run.
fn versions(rig: &Rig) -> Vec<(String, Value, Value)> {
    let told = |(name, image): (String, Image)| match image {
        Image::Present(value) => (name, value["body"]["Labels"]["apm.version"].clone(), value["running"].clone()),
        Image::Absent => (name, Value::Null, Value::Null),
    };
    rig.containers().into_iter().map(told).collect()
}

const PLAIN: Sweep = Sweep {
    name: "plain",
    rig: Rig::new,
    is_first: false,
    serves: |rig, why| {
        assert_eq!(versions(rig), [(format!("target-dev-{}", rig.service), json!("2"), json!(true))], "{why}")
    },
};

#[test]
fn a_release_killed_at_any_boundary_takes_over_all_the_same() {
    PLAIN.forward(40);
}

#[test]
fn a_release_killed_at_any_boundary_of_its_way_back_is_undone_all_the_same() {
    PLAIN.back();
}

#[test]
fn a_release_killed_at_random_instants_ends_as_it_should() {
    let instants = std::env::var("APM_TEST_INSTANTS").ok().and_then(|text| text.parse().ok()).unwrap_or(INSTANTS);
    let mut rng = Rng::new(instants);
    let mut drawn = || Kill::After(Duration::from_millis(rng.below(3_000)));
    let cases: Vec<Case> = (0..instants).map(|number| (number % 2 == 1, vec![drawn(), drawn()])).collect();
    PLAIN.play("instant", &cases);
}
