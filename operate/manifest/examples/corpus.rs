//! `corpus SEED COUNT MINOR < bases.yaml`: mutations of good objects, and what this crate says of each, as JSON lines: what a comparison with a real API
//! server is fed with. It talks to no server itself.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own, for tests")]

#[path = "../corpus/mutate.rs"]
mod mutate;

use std::io::Read;

use lib_yaml_edit::Limits;
use operate_manifest::{CustomKinds, Target, read};
use serde_json::{Value, json};

fn main() {
    let words: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [seed, count, minor] = words[..] else {
        eprintln!("corpus SEED COUNT MINOR < bases.yaml");
        std::process::exit(2);
    };
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("bases on the standard input");
    let bases = read("bases", &text, &Limits::default()).expect("bases are manifests").objects;
    let custom = CustomKinds::of(&bases);
    let target = Target { minor: u8::try_from(minor).unwrap_or(u8::MAX) };
    for case in mutate::cases(&bases, seed, count) {
        let verdict = mutate::verdict(&case, &custom, &target);
        let findings: Vec<Value> =
            verdict.findings.iter().map(|f| json!([f.severity, f.rule, f.path, f.what])).collect();
        println!(
            "{}",
            json!({ "base": case.base, "case": case.name, "object": case.object, "accepts": verdict.accepts(), "findings": findings, "not_checked": verdict.not_checked })
        );
    }
}
