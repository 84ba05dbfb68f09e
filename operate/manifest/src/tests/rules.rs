//! What a real API server of 1.36.3 said of definitions with rules in CEL and of their objects, by server-side dry-run, against what this crate says. Its
//! answers were recorded: null, or the refusal in its words.

use lib_yaml_edit::Limits;
use serde_json::{Value, json};

use super::rules_corpus;
use crate::{Target, Verdict, read, validate};

const CORPUS: &str = include_str!("../../corpus/rules.yaml");
const RECORDED: &str = include_str!("../../corpus/rules-1.36.jsonl");

/// Verdicts of a case's definition and objects, in order.
fn verdicts(case: &rules_corpus::Case) -> Vec<Verdict> {
    let mut all = vec![case.definition.clone()];
    all.extend(case.objects.clone());
    let text = json!({ "apiVersion": "v1", "kind": "List", "items": all }).to_string();
    validate(&read("case", &text, &Limits::default()).expect("manifests").objects, &Target { minor: 36 })
}

#[test]
fn rules_are_judged_as_by_a_real_server() {
    let cases = rules_corpus::cases(CORPUS);
    let recorded: Vec<Value> = RECORDED.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(cases.len(), recorded.len(), "the corpus changed: record the server's answers anew");
    let (mut count, mut same, mut told, mut wrong) = (0, 0, 0, Vec::new());
    for (case, recorded) in cases.iter().zip(&recorded) {
        assert_eq!(recorded["name"], case.name, "the corpus changed: record the server's answers anew");
        let answers = recorded["server"].as_array().expect("answers");
        for (at, (verdict, answer)) in verdicts(case).iter().zip(answers).enumerate() {
            count += 1;
            same += usize::from(verdict.accepts() == answer.is_null());
            let Some(said) = answer.as_str() else {
                if !verdict.accepts() {
                    wrong.push(format!("{} {at} is refused: {:?}", case.name, verdict.findings));
                }
                continue;
            };
            for finding in verdict.findings.iter().filter(|finding| finding.rule == "custom/rule") {
                told += 1;
                // The server writes the keys of maps in brackets.
                let said = said.replace("[b]", ".b").replace("[k]", ".k");
                if !said.contains(&format!("{}: {}", finding.path, finding.what)) {
                    wrong.push(format!(
                        "{} {at} is told otherwise: {} {}\n  {said}",
                        case.name, finding.path, finding.what
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(same * 100 >= count * 98 && told > 100, "{same} of {count} are the same, {told} told");
}
