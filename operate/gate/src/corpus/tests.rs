//! The judge against the corpus. For tuning, `SEEDS=0..1000 cargo test -p operate-gate corpus::tests::sweep -- --ignored
//! --nocapture` prints every case that it gets wrong.

use std::ops::Range;

use super::*;
use crate::evidence::Evidence;
use crate::replay::{Ended, Tally};
use crate::verdict::{Outcome, Verdict};

type Judge = fn(&Subject, &Settings, &Evidence, i64) -> Verdict;
type Run = (Case, Ended, Verdict);

/// Shares of the good that may be failed, and of the bad that may be missed.
const FALSE_ABORTS_MAX: f64 = 0.02;
const MISSES_MAX: f64 = 0.02;

/// All seeds, on all cores.
fn runs(seeds: Range<u64>) -> Vec<Run> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()) as u64;
    let every = |first: u64| {
        let mine = seeds.clone().skip(first as usize).step_by(threads as usize);
        mine.map(|seed| {
            let case = Case::new(seed);
            let (ended, verdict) = case.run(crate::judge);
            (case, ended, verdict)
        })
        .collect::<Vec<Run>>()
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|first| scope.spawn(move || every(first))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

fn tally(runs: &[Run], wanted: impl Fn(&Case) -> bool) -> Tally {
    Tally::of(&runs.iter().filter(|(case, ..)| wanted(case)).map(|(_, ended, _)| *ended).collect::<Vec<_>>())
}

fn print(runs: &[Run]) {
    for shape in SHAPES {
        println!("{:12} {}", format!("{shape:?}"), tally(runs, |case| case.shape == shape).render());
    }
    let near = |case: &Case| case.truth.errors_more < 0.04 && case.truth.p95_times < 1.6;
    println!("side by side {}", tally(runs, |case| case.truth.side_by_side).render());
    println!("its own past {}", tally(runs, |case| !case.truth.side_by_side).render());
    println!("1 to 5 req/s {}", tally(runs, |case| (1.0..5.0).contains(&case.truth.traffic)).render());
    println!("near         {}", tally(runs, near).render());
    println!("all          {}", tally(runs, |_| true).render());
}

fn holds(tally: &Tally) -> bool {
    tally.false_abort_rate() <= FALSE_ABORTS_MAX && tally.miss_rate() <= MISSES_MAX
}

/// Says the same of everything.
fn blind(outcome: Outcome) -> Verdict {
    Verdict {
        outcome,
        sentence: String::new(),
        metrics: Vec::new(),
        score: None,
        layers: Vec::new(),
        hurt_since_ms: None,
        hurt_ms: 0,
        links: Vec::new(),
        notes: Vec::new(),
        at_ms: 0,
        again_ms: None,
    }
}

/// The measurement: seeds that no threshold was chosen by. `APM_TEST_SEEDS=0..1000` plays others, for tuning.
#[test]
fn a_thousand_releases_never_tuned_for() {
    let seeds = std::env::var("APM_TEST_SEEDS").unwrap_or("1000..2000".into());
    let (from, to) = seeds.split_once("..").unwrap();
    let judged = runs(from.parse().unwrap()..to.parse().unwrap());
    for (case, ended, verdict) in &judged {
        let failed = ended.outcome == Outcome::Fail;
        if case.truth.is_bad.is_some_and(|bad| bad != failed) {
            println!("{} {:?} {:?}\n    {}", case.seed, case.shape, case.truth, verdict.sentence);
        }
    }
    print(&judged);
    let tally_of = |judge: Judge| Tally::of(&judged.iter().map(|(case, ..)| case.run(judge).0).collect::<Vec<Ended>>());
    assert!(holds(&tally(&judged, |_| true)), "{}", tally(&judged, |_| true).render());

    let (passed, failed) = (tally_of(|_, _, _, _| blind(Outcome::Pass)), tally_of(|_, _, _, _| blind(Outcome::Fail)));
    assert!(!holds(&passed) && passed.miss_rate() == 1.0, "{}", passed.render());
    assert!(!holds(&failed) && failed.false_abort_rate() == 1.0, "{}", failed.render());
    let undecided = tally_of(|_, _, _, _| blind(Outcome::Inconclusive));
    assert!(!holds(&undecided), "{}", undecided.render());
}

/// The corpus is as hard as it says.
#[test]
fn a_corpus_worth_being_measured_by() {
    let cases: Vec<Case> = (0..240).map(Case::new).collect();
    let share = |wanted: &dyn Fn(&Case) -> bool, among: &dyn Fn(&Case) -> bool| {
        let among: Vec<&Case> = cases.iter().filter(|case| among(case)).collect();
        among.iter().filter(|case| wanted(case)).count() as f64 / among.len() as f64
    };
    let bad = |case: &Case| case.truth.is_bad == Some(true);
    let good = |case: &Case| case.truth.is_bad == Some(false);
    let near = |case: &Case| case.truth.errors_more < 0.04 && case.truth.p95_times < 1.6;
    let drifts = |case: &Case| case.truth.errors_more > 0.001 || case.truth.p95_times > 1.03;
    assert!(share(&near, &bad) > 0.25, "near the threshold: {}", share(&near, &bad));
    assert!(share(&drifts, &good) > 0.25, "drifting: {}", share(&drifts, &good));
    assert!((0.4..0.6).contains(&share(&bad, &|case| case.truth.is_bad.is_some())));
    for shape in SHAPES {
        assert!(share(&|case| case.shape == shape, &|_| true) > 0.1, "{shape:?}");
    }
    for case in &cases {
        let (errors, p95) = (case.truth.errors_more, case.truth.p95_times);
        match case.truth.is_bad {
            Some(true) => assert!(errors >= 0.02 || p95 >= 1.3, "seed {}: {:?}", case.seed, case.truth),
            Some(false) => assert!(errors <= 0.005 && p95 <= 1.1, "seed {}: {:?}", case.seed, case.truth),
            None => assert!(case.truth.traffic < 1.0),
        }
    }
}

#[test]
fn a_seed_is_a_case() {
    let told = |seed| {
        let (ended, verdict) = Case::new(seed).run(crate::judge);
        (ended, verdict.render())
    };
    assert_eq!(told(5), told(5));
    assert_ne!(told(5).1, told(21).1);
}

/// The same judge, but the service was first seen a minute before the release, as on a developer's machine.
fn young(subject: &Subject, settings: &Settings, evidence: &Evidence, now_ms: i64) -> Verdict {
    let known = |id: &str| !id.contains(".day");
    let mut short: Evidence = evidence.clone().into_iter().filter(|(id, _)| known(id)).collect();
    for (_, answer) in short.iter_mut().filter(|(id, _)| id.ends_with(".before")) {
        if let crate::Answer::Series(series) = answer {
            for one in series {
                one.points.retain(|(at_ms, _)| *at_ms > RELEASED_MS - 60_000);
            }
        }
    }
    crate::judge(subject, settings, &short, now_ms)
}

/// A minute does not tell of a world's spikes and bursts, so more good releases fail than with a past; but what is plainly broken
/// is found at once, and every time.
#[test]
fn a_service_without_a_past_is_not_left_in_its_harm() {
    let (mut all, mut plain) = (Vec::new(), Vec::new());
    for case in (1000..1400).map(Case::new).filter(|case| !case.truth.side_by_side) {
        let ended = case.run(young).0;
        let truth = case.truth;
        if truth.is_bad == Some(true) && (truth.errors_more >= 0.1 || truth.p95_times >= 2.0) {
            plain.push(ended);
        }
        all.push(ended);
    }
    let (all, plain) = (Tally::of(&all), Tally::of(&plain));
    println!("all   {}\nplain {}", all.render(), plain.render());
    assert!(all.false_abort_rate() <= 0.08 && all.miss_rate() <= 0.08, "{}", all.render());
    assert!(plain.miss_rate() <= 0.02 && plain.median_found_ms <= 30_000, "{}", plain.render());
}
