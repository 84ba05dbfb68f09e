//! `rules MINOR < rules.yaml`: definitions with rules in CEL and objects of them, and what this crate says of each, as JSON lines: what a comparison
//! with a real API server is fed with. It talks to no server itself.
#![expect(clippy::print_stdout, reason = "a program of its own, for tests")]

#[path = "../corpus/rules.rs"]
mod rules;

use std::io::Read;

use lib_yaml_edit::Limits;
use operate_manifest::{Target, read, validate};
use serde_json::json;

fn main() {
    let minor = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(u8::MAX);
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("the corpus on the standard input");
    for case in rules::cases(&text) {
        let mut all = vec![case.definition.clone()];
        all.extend(case.objects.clone());
        let file = json!({ "apiVersion": "v1", "kind": "List", "items": all }).to_string();
        let objects = read("case", &file, &Limits::default()).expect("a case is manifests").objects;
        let verdicts: Vec<_> = validate(&objects, &Target { minor })
            .iter()
            .map(|v| {
                let findings: Vec<_> = v.findings.iter().map(|f| json!([f.severity, f.rule, f.path, f.what])).collect();
                json!({ "accepts": v.accepts(), "findings": findings, "not_checked": v.not_checked })
            })
            .collect();
        println!("{}", json!({ "name": case.name, "objects": all, "verdicts": verdicts }));
    }
}
