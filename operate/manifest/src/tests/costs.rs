//! What a real API server of 1.36.3 said of the cost of rules, by server-side dry-run of their definitions, against what is estimated here: the same
//! rules are too costly, by the same factor. Its answers were recorded.

use lib_yaml_edit::Limits;

use super::costs_corpus;
use crate::{Target, Verdict, read, validate};

const RECORDED: &str = include_str!("../../corpus/costs-1.36.jsonl");

fn verdict(case: &costs_corpus::Case, minor: u8) -> Verdict {
    let text = case.definition.to_string();
    let mut verdicts =
        validate(&read("case", &text, &Limits::default()).expect("a manifest").objects, &Target { minor });
    verdicts.remove(0)
}

#[test]
fn rules_are_as_costly_as_a_real_server_finds_them() {
    let mut wrong = Vec::new();
    let cases = costs_corpus::cases(RECORDED);
    for case in &cases {
        let verdict = verdict(case, 36);
        let told = verdict.findings.iter().find(|one| one.what.contains("exceeds budget"));
        let told = told.map(|one| one.what.trim_start_matches("Forbidden: "));
        if told.is_none_or(|told| case.said.as_ref().is_none_or(|said| !said.contains(told)))
            && (told.is_some() || case.said.is_some())
        {
            wrong.push(format!("{}: {told:?}, not {:?}", case.rule, case.said));
        }
        assert!(verdict.findings.len() <= 2, "{}: {:?}", case.rule, verdict.findings);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(cases.len() > 140, "{}", cases.len());
}

/// Earlier servers count some functions otherwise: nothing is refused for them, and that is said.
#[test]
fn for_an_earlier_server_it_is_told_and_not_refused() {
    let cases = costs_corpus::cases(RECORDED);
    let costly = cases.iter().find(|case| case.said.is_some()).expect("one that is refused");
    let verdict = verdict(costly, 33);
    assert!(verdict.accepts(), "{:?}", verdict.findings);
    let told = verdict.not_checked.join("\n");
    assert!(told.contains("rule: whether this server finds it too costly") && told.contains("factor of"), "{told}");
}
