//! Releases on a real Docker engine, judged by the telemetry of the demo's store in containers: good ones stay, bad ones are undone, and neither a
//! kill nor a second deployer nor an engine that goes away leaves half a release behind.
//!
//! The journeys share an engine of Docker and one of ours and run side by side, for most of their time is spent watching a release.
//! `APM_DEPLOY=errors,orders` runs these alone.

mod adopted;
mod by_hand;
mod clusters;
mod composed;
mod customers;
mod elsewhere;
mod fronts;
mod helm;
mod kills;
mod kubernetes;
mod load;
mod orders;
mod outage;
mod page;
mod pinned;
mod promotion;
mod scanned;
mod secrets;
mod shop;
mod taken_over;
mod verdicts;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use shop::Stage;

type Journey = fn(&Stage);

const JOURNEYS: [(&str, Journey); 27] = [
    ("steady", verdicts::a_good_release_stays),
    ("errors", verdicts::a_release_with_errors_is_undone),
    ("slow", verdicts::a_slow_release_is_undone),
    ("crash", verdicts::a_release_that_crashes_again_and_again_is_undone),
    ("leak", verdicts::a_release_that_leaks_is_undone),
    ("prometheus", verdicts::a_real_prometheus_is_asked),
    ("created", kills::killed_after_the_new_container_was_made),
    ("stopped", kills::killed_after_the_old_container_was_stopped),
    ("judged", kills::killed_while_it_is_judged),
    ("orders", orders::orders_come_from_anywhere),
    ("asked", orders::a_person_is_asked),
    ("secrets", secrets::a_secret_is_nowhere_but_in_the_container),
    ("told", secrets::an_engine_tells_no_secret),
    ("hand", by_hand::the_commands_shown_do_the_same),
    ("promoted", promotion::one_image_reaches_prod),
    ("pinned", pinned::a_release_is_the_image_that_was_planned),
    ("local", pinned::an_image_that_was_made_here_is_its_id),
    ("scanned", scanned::an_image_that_is_known_to_be_bad_changes_nothing),
    ("composed", composed::a_compose_project_is_one_run),
    ("adopted", adopted::a_container_made_by_hand_is_put_back),
    ("taken", fronts::a_bad_version_is_taken_back),
    ("by-hand", taken_over::a_container_made_by_hand_becomes_a_service),
    ("brimful", fronts::a_leak_behind_a_front_is_noticed),
    ("canary", fronts::a_bad_canary_hurts_few),
    ("elsewhere", elsewhere::an_engine_elsewhere_tells_the_same),
    ("lacking", elsewhere::an_engine_of_docker_that_is_away_takes_only_its_own_away),
    ("outage", outage::the_engine_of_docker_goes_away),
];
/// One after the other, when all others are done: some of them measure, and a browser takes networks that come and go for its own.
const ALONE: [(&str, Journey); 5] = [
    ("page", page::releases_are_followed_and_approved_on_the_page),
    ("switch", fronts::a_switch_that_nobody_notices),
    ("killed", fronts::killed_before_and_after_the_switch),
    ("kubernetes", kubernetes::a_cluster_is_released_to_judged_and_put_back),
    ("helm", helm::a_chart_is_released_judged_undone_and_repaired),
];

#[test]
fn releases_are_carried_out_judged_and_undone() {
    let chosen = std::env::var("APM_DEPLOY").unwrap_or_default();
    let words: Vec<&str> = chosen.split(',').filter(|word| !word.is_empty()).collect();
    let named = |(name, _): &(&'static str, Journey)| words.is_empty() || words.contains(name);
    let together: Vec<_> = JOURNEYS.into_iter().filter(named).collect();
    let alone: Vec<_> = ALONE.into_iter().filter(named).collect();
    assert!(!together.is_empty() || !alone.is_empty(), "APM_DEPLOY={chosen} names no journey");
    let mut stage = Stage::new();
    let mut failed = play(&stage, together);
    for journey in alone {
        failed.extend(play(&stage, vec![journey]));
    }
    println!("{}", std::fs::read_to_string(stage.notes()).unwrap_or_default());
    let left = stage.left();
    assert!(failed.is_empty(), "failed, see above: {failed:?}");
    assert!(left.is_empty(), "left behind: {left:#?}");
}

/// So many at a time: each has an engine's worth of work for a machine of two cores, and some of them measure.
const SIDE_BY_SIDE: usize = 5;

/// The names of those that failed.
fn play(stage: &Stage, journeys: Vec<(&'static str, Journey)>) -> Vec<&'static str> {
    let next = AtomicUsize::new(0);
    let one_after_the_other = || {
        let mut failed = Vec::new();
        while let Some((name, journey)) = journeys.get(next.fetch_add(1, Ordering::Relaxed)) {
            let played = thread::scope(|scope| {
                let thread = thread::Builder::new().name(format!("deploy {name}"));
                thread.spawn_scoped(scope, move || journey(stage)).expect("a thread").join()
            });
            failed.extend(played.is_err().then_some(*name));
        }
        failed
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scope.spawn(one_after_the_other)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker does not panic")).collect()
    })
}
