//! A world that cannot be reached: before anything began, and from some moment on.

use operate_execute::{Event, Status};
use operate_target_fake::{Fault, Faults};

use super::rig::{Rig, SITES, before, usual};

/// Whoever calls is refused.
fn gone() -> Faults {
    Faults::new(1, 100, &[Fault::Refused])
}

#[test]
fn nothing_begins_anywhere_when_one_world_does_not_answer() {
    for away in SITES {
        let rig = Rig::quiet();
        rig.worlds[away].set_faults(gone());
        assert_eq!(rig.play(&[]), Status::RolledBack);
        rig.audit(Status::RolledBack);
        assert_eq!(rig.writes(), 0, "{away}");
        let acted = |event: &Event| matches!(event, Event::Recorded { .. } | Event::Attempt { .. });
        assert!(!rig.entries().iter().any(|entry| acted(&entry.event)));
        assert!(rig.sentence().contains(&format!("{away}: ")), "{}", rig.sentence());
    }
}

/// The judge refuses what `bad` got, and from the moment it says so `away` is gone: what the others are by then, and that they were not kept waiting.
fn check_left(away: &'static str, parallel: usize) {
    let rig = Rig::new(SITES.map(|site| (site, usual(site, site == "ap"))).into(), parallel);
    let status = rig.play_watched(&[], |event| {
        if matches!(event, Event::UndoBegun { .. }) {
            rig.worlds[away].set_faults(gone());
        }
    });
    assert_eq!(status, Status::Failed);
    rig.audit(Status::Failed);
    let sentence = rig.sentence();
    for site in SITES {
        let told = if site == away { "is not what it was before" } else { "is as it was before" };
        assert!(sentence.contains(&format!("{site} {told}")), "{sentence}");
    }
    // The others were put back before anybody was patient with the one that is gone.
    let entries = rig.entries();
    let at = |wanted: &dyn Fn(&Event) -> bool| {
        entries.iter().filter(|entry| wanted(&entry.event)).map(|entry| entry.at_ms).max()
    };
    let begun = at(&|event| matches!(event, Event::UndoBegun { .. })).expect("an undo");
    let last = at(&|event| matches!(event, Event::Undone { .. })).expect("others were undone");
    assert!(last - begun < 120_000, "the others waited {} s", (last - begun) / 1_000);

    // It is back, and a person says: again. Who was put back is left alone.
    let writes = |site: &str| rig.worlds[site].writes();
    let others: Vec<u64> = SITES.iter().filter(|site| **site != away).map(|site| writes(site)).collect();
    rig.worlds[away].set_faults(Faults::none());
    assert_eq!(rig.play_again(&[5]), Status::RolledBack);
    assert_eq!(rig.worlds[away].objects(), before(away));
    let now: Vec<u64> = SITES.iter().filter(|site| **site != away).map(|site| writes(site)).collect();
    assert_eq!(now, others, "worlds that were put back were changed once more");
}

#[test]
fn a_world_that_goes_away_does_not_keep_the_others_from_being_put_back() {
    for away in SITES {
        check_left(away, 1);
    }
    check_left("us", 3);
}

#[test]
fn a_world_that_goes_away_forwards_undoes_the_others_and_is_undone_when_it_is_back() {
    let rig = Rig::quiet();
    // When the second has been changed once, it is gone for ten minutes and more.
    let status = rig.play_watched(&[], |event| {
        if matches!(event, Event::Acted { step, .. } if step.0 == "us-put-c") {
            rig.worlds["us"].set_faults(gone());
        }
    });
    assert_eq!(status, Status::Failed);
    rig.audit(Status::Failed);
    let sentence = rig.sentence();
    let expect = "; eu is as it was before; us is not what it was before; ap was not touched";
    assert!(sentence.contains(expect), "{sentence}");
    rig.worlds["us"].set_faults(Faults::none());
    assert_eq!(rig.play_again(&[]), Status::RolledBack);
    rig.audit_worlds_before();
}
