//! The judge against the corpus.

use super::*;
use crate::replay::{Ended, Tally};
use crate::verdict::Outcome;

#[test]
fn tune() {
    let env = |name: &str, otherwise: u64| std::env::var(name).ok().and_then(|s| s.parse().ok()).unwrap_or(otherwise);
    let (from, to) = (env("FROM", 0), env("SEEDS", 100));
    let mut all: Vec<(Case, Ended)> = Vec::new();
    let verbose = std::env::var("V").is_ok();
    for seed in from..to {
        let case = Case::new(seed);
        let (ended, verdict) = case.run(crate::judge);
        let wrong = match case.truth.is_bad {
            Some(true) => ended.outcome != Outcome::Fail,
            Some(false) => ended.outcome == Outcome::Fail,
            None => false,
        };
        if wrong && verbose {
            println!(
                "{seed} {:?} {:?}\n   {:?} {} s: {}",
                case.shape,
                case.truth,
                ended.outcome,
                ended.after_ms / 1000,
                verdict.sentence
            );
        }
        all.push((case, ended));
    }
    let of = |wanted: &dyn Fn(&Case) -> bool| {
        Tally::of(&all.iter().filter(|(c, _)| wanted(c)).map(|(_, e)| *e).collect::<Vec<_>>())
    };
    for shape in SHAPES {
        println!("{shape:?}: {}", of(&|c| c.shape == shape).render());
    }
    println!("beside: {}", of(&|c| c.truth.side_by_side).render());
    println!("past: {}", of(&|c| !c.truth.side_by_side).render());
    println!("low: {}", of(&|c| c.truth.traffic < 5.0).render());
    println!("mid: {}", of(&|c| c.truth.traffic >= 5.0 && c.truth.traffic < 20.0).render());
    println!("high: {}", of(&|c| c.truth.traffic >= 20.0).render());
    println!("near: {}", of(&|c| c.truth.errors_more < 0.04 && c.truth.p95_times < 1.6).render());
    println!("far: {}", of(&|c| !(c.truth.errors_more < 0.04 && c.truth.p95_times < 1.6)).render());
    println!("ALL {}", of(&|_| true).render());
}
