//! What real API servers of each minor said of the corpus, by server-side dry-run, against what this crate says. `cargo xtask verdicts --record` asks them
//! and writes down their answers.

use lib_yaml_edit::Limits;

use super::mutate;
use crate::{CustomKinds, MINOR_NEWEST, MINOR_OLDEST, Target, read, validate};

const BASES: &str = concat!(include_str!("../../corpus/bases.yaml"), "---\n", include_str!("../../corpus/more.yaml"));

/// A server's answers: a line `SEED MUTATIONS CASES of VERSION`, then a bit for each case in order, four to a digit, 1 for what it took.
fn check(minor: u8, recorded: &str) {
    let (head, digits) = recorded.split_once('\n').expect("a head line");
    let numbers: Vec<u64> = head.split(' ').map_while(|word| word.parse().ok()).collect();
    let bases = read("bases", BASES, &Limits::default()).expect("bases").objects;
    let custom = CustomKinds::of(&bases);
    let cases = mutate::cases(&bases, numbers[0], numbers[1]);
    assert_eq!(cases.len() as u64, numbers[2], "the corpus changed: record the servers' answers anew");
    let digits = digits.chars().filter_map(|digit| digit.to_digit(16));
    let bits: Vec<bool> = digits.flat_map(|digit| [8, 4, 2, 1].map(|bit| digit & bit != 0)).collect();
    assert!(bits.len() >= cases.len(), "{head}: {} answers", bits.len());
    let (mut same, mut refused) = (0, Vec::new());
    for (case, taken) in cases.iter().zip(bits) {
        let verdict = mutate::verdict(case, &custom, &Target { minor });
        same += usize::from(verdict.accepts() == taken);
        if taken && !verdict.accepts() {
            refused.push(format!("{}: {}: {:?}", case.base, case.name, verdict.findings.first()));
        }
    }
    assert!(refused.is_empty(), "refused, though {head} takes them:\n{}", refused.join("\n"));
    assert!(same * 100 >= cases.len() * 99, "{head}: {same} of {} are the same", cases.len());
}

#[test]
fn verdicts_agree_with_real_servers() {
    check(30, include_str!("../../corpus/server-1.30.txt"));
    check(32, include_str!("../../corpus/server-1.32.txt"));
    check(36, include_str!("../../corpus/server-1.36.txt"));
}

#[test]
fn good_objects_are_good_in_every_minor_version() {
    let bases = read("bases", include_str!("../../corpus/bases.yaml"), &Limits::default()).expect("bases").objects;
    for minor in MINOR_OLDEST..=MINOR_NEWEST {
        for verdict in validate(&bases, &Target { minor }) {
            assert_eq!(verdict.findings, [], "{} in 1.{minor}", verdict.identity);
        }
    }
}
