//! What a real API server of 1.36.3 said of definitions with rules in CEL and of their objects, by server-side dry-run, against what this crate says. Its
//! answers were recorded: null, or the refusal in its words.

use lib_yaml_edit::Limits;
use serde_json::{Value, json};

use super::rules_corpus;
use crate::{Target, Verdict, read, validate};

const CORPUS: &str = include_str!("../../corpus/rules.yaml");
const RECORDED: &str = include_str!("../../corpus/rules-1.36.jsonl");

/// What a server refuses and this crate takes.
const KNOWN: &[&str] = &[];

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
    let (mut told, mut taken, mut wrong) = (0, Vec::new(), Vec::new());
    for (case, recorded) in cases.iter().zip(&recorded) {
        assert_eq!(recorded["name"], case.name, "the corpus changed: record the server's answers anew");
        let answers = recorded["server"].as_array().expect("answers");
        for (at, (verdict, answer)) in verdicts(case).iter().zip(answers).enumerate() {
            let place = format!("{} {at}", case.name);
            if verdict.accepts() && !answer.is_null() {
                taken.push(place.clone());
            }
            let Some(said) = answer.as_str() else {
                if !verdict.accepts() {
                    wrong.push(format!("{place} is refused: {:?}", verdict.findings));
                }
                continue;
            };
            // Where a definition is refused, and in which words: the server names keys in brackets, and the version's schema otherwise.
            let plain = said.replace("validation.openAPIV3Schema", "versions[0].schema.openAPIV3Schema");
            let plain = plain.replace("properties[", "properties.").replace("].", ".").replace("]:", ":");
            for finding in &verdict.findings {
                let is_told = ["to be structural", "exceeds budget"].iter().any(|words| finding.what.contains(words));
                let path = finding.path.replace("].", ".");
                let path = path.trim_end_matches(']');
                if is_told
                    && !plain
                        .contains(&format!("{path}: Forbidden: {}", finding.what.trim_start_matches("Forbidden: ")))
                {
                    wrong.push(format!("{place} is told otherwise: {} {}\n  {plain}", finding.path, finding.what));
                }
                told += usize::from(is_told);
            }
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
    assert_eq!(taken, KNOWN, "taken, though the server refuses them");
    assert!(told > 100, "{told} findings are told in the server's words");
}
