//! Releases on a real Docker engine, judged by the telemetry of the demo's store in containers: good ones stay, bad ones are undone, and neither a
//! kill nor a second deployer nor an engine that goes away leaves half a release behind.
//!
//! The journeys share an engine of Docker and one of ours and run side by side, for most of their time is spent watching a release.
//! `APM_DEPLOY=errors,orders` runs these alone.

mod by_hand;
mod customers;
mod fronts;
mod kills;
mod load;
mod orders;
mod outage;
mod pinned;
mod promotion;
mod secrets;
mod shop;
mod verdicts;

use std::thread;

use shop::Stage;

type Journey = fn(&Stage);

const JOURNEYS: [(&str, Journey); 16] = [
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
    ("promoted", promotion::one_image_reaches_prod),
    ("pinned", pinned::a_release_is_the_image_that_was_planned),
    ("local", pinned::an_image_that_was_made_here_is_its_id),
    ("taken", fronts::a_bad_version_is_taken_back),
    ("canary", fronts::a_bad_canary_hurts_few),
    ("outage", outage::the_engine_of_docker_goes_away),
];
/// One after the other, when all others are done: they measure.
const ALONE: [(&str, Journey); 2] =
    [("switch", fronts::a_switch_that_nobody_notices), ("killed", fronts::killed_before_and_after_the_switch)];

#[test]
fn releases_are_carried_out_judged_and_undone() {
    let chosen = std::env::var("APM_DEPLOY").unwrap_or_default();
    let words: Vec<&str> = chosen.split(',').filter(|word| !word.is_empty()).collect();
    let named = |(name, _): &(&'static str, Journey)| words.is_empty() || words.contains(name);
    let together: Vec<_> = JOURNEYS.into_iter().filter(named).collect();
    let alone: Vec<_> = ALONE.into_iter().filter(named).collect();
    assert!(!together.is_empty() || !alone.is_empty(), "APM_DEPLOY={chosen} names no journey");
    let stage = Stage::new();
    let mut failed = play(&stage, together);
    for journey in alone {
        failed.extend(play(&stage, vec![journey]));
    }
    println!("{}", std::fs::read_to_string(stage.notes()).unwrap_or_default());
    assert!(failed.is_empty(), "failed, see above: {failed:?}");
}

/// Side by side; the names of those that failed.
fn play(stage: &Stage, journeys: Vec<(&'static str, Journey)>) -> Vec<&'static str> {
    thread::scope(|scope| {
        let start = |(name, journey): (&'static str, Journey)| {
            let thread =
                thread::Builder::new().name(format!("deploy {name}")).spawn_scoped(scope, move || journey(stage));
            (name, thread.expect("a thread"))
        };
        let running: Vec<_> = journeys.into_iter().map(start).collect();
        running.into_iter().filter_map(|(name, thread)| thread.join().err().map(|_| name)).collect()
    })
}
