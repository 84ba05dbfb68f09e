//! Releases from beginning to end on both clusters: the new version is on both, or both are as they were.

use operate_execute::{Event, RunId, Status};
use operate_target_fake::Kill;

use crate::rig::{Rig, Wanted, api_server};

/// Boundaries at which it is killed, spread over a run.
const KILLS: u64 = 8;

/// Where in the journal a line is.
fn at(rig: &Rig, run: &RunId, wanted: impl Fn(&Event) -> bool) -> usize {
    let journal = rig.journal(run);
    journal.iter().position(|entry| wanted(&entry.event)).unwrap_or_else(|| panic!("no such line: {}", rig.told(run)))
}

#[test]
fn a_good_release_goes_to_one_cluster_after_the_other() {
    let rig = Rig::new("good");
    for version in ["1", "2"] {
        let (run, status) = rig.deploy(Wanted::good(version), &[]);
        assert_eq!(status, Status::Complete, "{}", rig.told(&run));
        assert_eq!(rig.versions(), [format!("eu cart:{version}"), format!("us cart:{version}")]);
        let good = at(&rig, &run, |event| matches!(event, Event::StepDone { step } if step.0 == "eu-judge"));
        let next = at(&rig, &run, |event| matches!(event, Event::Recorded { step, .. } if step.0.starts_with("us-")));
        assert!(good < next, "us was changed before eu was found good");
    }
}

#[test]
fn a_version_that_gets_ready_on_one_cluster_only_is_undone_on_both() {
    let rig = Rig::new("unready");
    let (run, status) = rig.deploy(Wanted::good("1"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.told(&run));
    let before = rig.objects();
    let (run, status) = rig.deploy(Wanted { unready_at: "us", ..Wanted::good("2") }, &[]);
    assert_eq!(status, Status::RolledBack, "{}", rig.told(&run));
    rig.same(&before, &rig.objects()).unwrap_or_else(|why| panic!("{why}"));
    let told = rig.told(&run);
    assert!(told.contains("`us: apply Deployment unready/cart`"), "{told}");
    // Both had been changed, and the last was put back first.
    let undone =
        |site: &'static str| move |event: &Event| matches!(event, Event::Undone { step } if step.0.starts_with(site));
    assert!(at(&rig, &run, undone("us-")) < at(&rig, &run, undone("eu-")));
}

fn check_killed(refused_at: &'static str) {
    let wanted = |version| Wanted { refused_at, ..Wanted::good(version) };
    let expect = if refused_at.is_empty() { Status::Complete } else { Status::RolledBack };
    let moments = {
        let rig = Rig::new(&format!("count-{refused_at}x"));
        rig.deploy(Wanted::good("1"), &[]);
        let (run, status) = rig.deploy(wanted("2"), &[]);
        assert_eq!(status, expect, "{}", rig.told(&run));
        rig.lives.crash.passed()
    };
    assert!(moments > 40, "only {moments} boundaries");
    for number in 1..=KILLS {
        let moment = 1 + (moments - 1) * number / KILLS;
        let rig = Rig::new(&format!("kill-{refused_at}x-{number}"));
        let (run, status) = rig.deploy(Wanted::good("1"), &[]);
        assert_eq!(status, Status::Complete, "{}", rig.told(&run));
        let before = rig.objects();
        let (run, status) = rig.deploy(wanted("2"), &[Kill::Moment(moment)]);
        assert_eq!(status, expect, "killed at {moment}: {}", rig.told(&run));
        if refused_at.is_empty() {
            assert_eq!(rig.versions(), ["eu cart:2", "us cart:2"], "killed at {moment}");
        } else {
            rig.same(&before, &rig.objects()).unwrap_or_else(|why| panic!("killed at {moment}: {why}"));
        }
    }
}

#[test]
fn a_run_over_both_that_is_killed_ends_as_it_should() {
    check_killed("");
    check_killed("us");
}

#[test]
fn an_api_server_that_is_dead_lets_nothing_begin_and_one_that_dies_keeps_nobody_from_being_put_back() {
    let rig = Rig::alone("dies");
    let (run, status) = rig.deploy(Wanted::good("1"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.told(&run));
    let before = rig.objects();
    let eu = rig.objects_at("eu");

    let plan = rig.plan(Wanted::good("2"), 1);
    api_server("kill", "us");
    let (run, status) = rig.carry_out(&plan, &[]);
    assert_eq!(status, Status::RolledBack, "{}", rig.told(&run));
    assert!(rig.told(&run).contains("us: "), "{}", rig.told(&run));
    assert!(!rig.journal(&run).iter().any(|entry| matches!(entry.event, Event::Recorded { .. })), "something began");
    rig.same(&eu, &rig.objects_at("eu")).unwrap_or_else(|why| panic!("{why}"));
    api_server("start", "us");
    rig.same(&before, &rig.objects()).unwrap_or_else(|why| panic!("{why}"));

    let plan = rig.plan(Wanted::good("2"), 1);
    let run = RunId("cart-dies".into());
    rig.begin(&run, &plan);
    let ended = std::thread::scope(|scope| {
        let carried = scope.spawn(|| rig.go_on(&run, &[]));
        rig.await_line(
            &run,
            |event| matches!(event, Event::Acted { step, .. } if step.0 == "us-apply-deployment-cart"),
        );
        api_server("kill", "us");
        // It is the first of all to be put back, so this waits for the one that is away to be set aside.
        rig.await_line(&run, |event| matches!(event, Event::Undone { step } if step.0 == "eu-apply-configmap-cart"));
        rig.same(&eu, &rig.objects_at("eu")).unwrap_or_else(|why| panic!("{why}"));
        assert!(!carried.is_finished(), "us is not put back, and the run has ended: {}", rig.told(&run));
        api_server("start", "us");
        carried.join().expect("no panic")
    });
    assert_eq!(ended, Status::RolledBack, "{}", rig.told(&run));
    rig.same(&before, &rig.objects()).unwrap_or_else(|why| panic!("{why}"));
}
