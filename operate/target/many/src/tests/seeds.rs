//! kill -9 at every moment of a plan for three worlds, forwards and on the way back, and thousands of plans drawn from seeds, in worlds that refuse, lie,
//! stop in the middle and lose answers.

use std::collections::BTreeMap;

use base_world::Rng;
use operate_execute::Status;
use serde_json::json;

use super::rig::{Objects, Part, Rig, SITES, before, judge, object, put, remove, usual};
use operate_target_fake::{Fault, Faults};

const SEEDS: u64 = 2_000;

/// All three, the last of which the judge refuses if it is to fail.
fn three(fails: bool, parallel: usize) -> Rig {
    Rig::new(SITES.map(|site| (site, usual(site, fails && site == "ap"))).into(), parallel)
}

fn check_every_moment(fails: bool, parallel: usize) {
    let expect = if fails { Status::RolledBack } else { Status::Complete };
    let rig = three(fails, parallel);
    assert_eq!(rig.play(&[]), expect);
    rig.audit(expect);
    let moments = rig.crash.passed();
    assert!(moments > 90, "only {moments} moments: the rig does not see the run");
    for moment in 1..=moments {
        let rig = three(fails, parallel);
        assert_eq!(rig.play(&[moment, 9]), expect, "killed at {moment}");
        rig.audit(expect);
    }
}

#[test]
fn a_run_over_several_worlds_killed_at_any_moment_ends_as_it_should() {
    check_every_moment(false, 1);
    check_every_moment(false, 2);
}

#[test]
fn what_the_last_world_is_refused_all_worlds_lose_killed_at_any_moment() {
    check_every_moment(true, 1);
    check_every_moment(true, 3);
}

/// Steps that make sense for one world, one after the other.
fn drawn(rng: &mut Rng, site: &str, fails: bool) -> Part {
    let (mut steps, mut after) = (Vec::new(), before(site));
    let names = ["a", "b", "c", "d"];
    let mut last: Option<String> = None;
    for number in 0..=rng.below(3) {
        let (id, name) = (format!("s{number}"), names[rng.index(names.len())]);
        let waits: Vec<&str> = last.iter().map(String::as_str).collect();
        steps.push(if rng.chance(25) {
            after.remove(&object(name));
            remove(&id, name, &waits)
        } else {
            let value = json!({"where": site, "version": number + 2, "port": rng.below(100)});
            after.insert(object(name), value.clone());
            put(&id, name, value, &waits)
        });
        last = Some(id);
    }
    let waits: Vec<&str> = last.iter().map(String::as_str).collect();
    steps.push(judge(fails, &waits));
    Part { steps, after }
}

/// One seed from its number alone; what it came to.
fn play(seed: u64) -> Status {
    let mut rng = Rng::new(seed);
    let count = 2 + rng.index(2);
    let fails = rng.chance(30).then(|| rng.index(count));
    let parts: BTreeMap<&str, Part> = SITES
        .into_iter()
        .take(count)
        .enumerate()
        .map(|(at, site)| (site, drawn(&mut rng, site, fails == Some(at))))
        .collect();
    let rig = Rig::new(parts, 1 + rng.index(3));
    let trouble =
        [Fault::Refused, Fault::Throttled, Fault::Slow { ms: 90_000 }, Fault::Partial, Fault::LostAnswer, Fault::Lie];
    let kinds = match seed % 4 {
        0 => &[][..],
        1 => &trouble[..2],
        2 => &trouble[2..],
        _ => &[Fault::Denied, Fault::Denied, Fault::Partial, Fault::Refused, Fault::Refused, Fault::LostAnswer][..],
    };
    let percent = if kinds.is_empty() { 0 } else { 5 + rng.below(15) };
    // One world has the trouble, or all of them have.
    let troubled = rng.index(SITES.len() + 1);
    for (at, site) in SITES.into_iter().enumerate().filter(|(at, _)| troubled == SITES.len() || troubled == *at) {
        rig.worlds[site].set_faults(Faults::new(seed + at as u64, percent, kinds));
    }
    let kills: Vec<u64> = (0..rng.below(4)).map(|_| 1 + rng.below(120)).collect();
    let status = rig.play(&kills);
    rig.audit(status);
    if seed % 4 < 2 {
        let expect = if fails.is_some() { Status::RolledBack } else { Status::Complete };
        assert_eq!(status, expect, "seed {seed} had nothing that retries cannot mend");
    }
    if status == Status::Failed {
        let put_back: Vec<(&str, Objects)> = SITES.into_iter().map(|site| (site, rig.worlds[site].objects())).collect();
        for site in SITES {
            rig.worlds[site].set_faults(Faults::none());
        }
        let kills: Vec<u64> = (0..rng.below(3)).map(|_| 1 + rng.below(30)).collect();
        assert_eq!(rig.play_again(&kills), Status::RolledBack, "seed {seed}: the second undo");
        for (site, was) in put_back {
            let now = rig.worlds[site].objects();
            assert_eq!(now, before(site), "seed {seed}: {site}, which was {was:?}");
        }
    }
    status
}

#[test]
fn every_seed_ends_in_the_plans_worlds_or_in_the_worlds_before() {
    let mut ends = BTreeMap::new();
    for seed in 0..SEEDS {
        let played = std::panic::catch_unwind(|| play(seed));
        let status = played.unwrap_or_else(|_| panic!("seed {seed} does not hold: play({seed}) replays it"));
        *ends.entry(status).or_insert(0u64) += 1;
    }
    println!("{ends:?}");
    // The sweep reaches all three ends, or it shows nothing about one of them.
    for status in [Status::Complete, Status::RolledBack, Status::Failed] {
        assert!(ends.get(&status).is_some_and(|count| *count > 10), "{ends:?}");
    }
}
