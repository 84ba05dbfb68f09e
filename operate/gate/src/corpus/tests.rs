//! The judge against the corpus. `SEEDS=0..1000 cargo test -p operate-gate corpus::tests::sweep -- --ignored --nocapture`
//! prints every case it gets wrong: for tuning.

use super::*;
use crate::replay::{Ended, Tally};
use crate::verdict::{Outcome, Verdict};

type Judge = fn(&Subject, &Settings, &crate::Evidence, i64) -> Verdict;

fn ended(seeds: std::ops::Range<u64>, judge: Judge) -> Vec<(Case, Ended, Verdict)> {
    let one = |seed| {
        let case = Case::new(seed);
        let (ended, verdict) = case.run(judge);
        (case, ended, verdict)
    };
    seeds.map(one).collect()
}

fn tally(all: &[(Case, Ended, Verdict)], wanted: impl Fn(&Case) -> bool) -> Tally {
    Tally::of(&all.iter().filter(|(case, ..)| wanted(case)).map(|(_, ended, _)| *ended).collect::<Vec<_>>())
}

fn print(all: &[(Case, Ended, Verdict)]) {
    for shape in SHAPES {
        println!("{:12} {}", format!("{shape:?}"), tally(all, |case| case.shape == shape).render());
    }
    println!("side by side {}", tally(all, |case| case.truth.side_by_side).render());
    println!("its own past {}", tally(all, |case| !case.truth.side_by_side).render());
    println!("1 to 5 req/s {}", tally(all, |case| case.truth.traffic >= 1.0 && case.truth.traffic < 5.0).render());
    println!(
        "near         {}",
        tally(all, |case| case.truth.errors_more < 0.04 && case.truth.p95_times < 1.6).render()
    );
    println!("all          {}", tally(all, |_| true).render());
}

#[test]
#[ignore = "for tuning: takes a range of seeds"]
fn sweep() {
    let seeds = std::env::var("SEEDS").unwrap_or("0..1000".into());
    let (from, to) = seeds.split_once("..").unwrap();
    let all = ended(from.parse().unwrap()..to.parse().unwrap(), crate::judge);
    for (case, ended, verdict) in &all {
        let failed = ended.outcome == Outcome::Fail;
        if case.truth.is_bad.is_some_and(|bad| bad != failed) {
            println!("{} {:?} {:?}\n    {}", case.seed, case.shape, case.truth, verdict.sentence);
        }
    }
    print(&all);
}
