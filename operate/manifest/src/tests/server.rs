//! What a real API server of 1.36.3 said of the corpus, by server-side dry-run, against what this crate says. The answers were recorded: a 1 for each
//! case that it took, in order.

use lib_yaml_edit::Limits;

use super::mutate;
use crate::{CustomKinds, MINOR_NEWEST, MINOR_OLDEST, Target, read, validate};

const BASES: &str = include_str!("../../corpus/bases.yaml");
/// `seed count` and the bits.
const RECORDED: &str = include_str!("../../corpus/server-1.36.txt");

#[test]
fn verdicts_agree_with_a_real_server() {
    let (head, bits) = RECORDED.split_once('\n').expect("a head line");
    let numbers: Vec<u64> = head.split(' ').filter_map(|word| word.parse().ok()).collect();
    let bases = read("bases", BASES, &Limits::default()).expect("bases").objects;
    let custom = CustomKinds::of(&bases);
    let cases = mutate::cases(&bases, numbers[0], numbers[1]);
    let bits: Vec<bool> = bits.chars().filter(|c| !c.is_whitespace()).map(|c| c == '1').collect();
    assert_eq!(cases.len(), bits.len(), "the corpus changed: record the server's answers anew");
    let (mut same, mut refused) = (0, Vec::new());
    for (case, taken) in cases.iter().zip(bits) {
        let verdict = mutate::verdict(case, &custom, &Target { minor: 36 });
        same += usize::from(verdict.accepts() == taken);
        if taken && !verdict.accepts() {
            refused.push(format!("{}: {}: {:?}", case.base, case.name, verdict.findings.first()));
        }
    }
    assert!(refused.is_empty(), "refused, though the server takes them:\n{}", refused.join("\n"));
    assert!(same * 100 >= cases.len() * 99, "{same} of {} are the same", cases.len());
}

#[test]
fn good_objects_are_good_in_every_minor_version() {
    let bases = read("bases", BASES, &Limits::default()).expect("bases").objects;
    for minor in MINOR_OLDEST..=MINOR_NEWEST {
        for verdict in validate(&bases, &Target { minor }) {
            assert_eq!(verdict.findings, [], "{} in 1.{minor}", verdict.identity);
        }
    }
}
