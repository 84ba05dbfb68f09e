//! `judge MINOR < manifests`: what this crate says of each object, as JSON lines. `judge MINOR N < manifests`: how long it takes to read and judge N
//! objects, made of those by repeating them. It talks to no server.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program of its own, for tests and figures"
)]

use std::io::Read;
use std::time::Instant;

use lib_yaml_edit::Limits;
use operate_manifest::{Target, read, validate};
use serde_json::json;

fn main() {
    let words: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let target = Target { minor: words.first().and_then(|word| u8::try_from(*word).ok()).unwrap_or(u8::MAX) };
    let mut text = String::new();
    if let Err(error) = std::io::stdin().read_to_string(&mut text) {
        eprintln!("cannot read: {error}");
        return;
    }
    let file = match read("input", &text, &Limits::default()) {
        Ok(file) => file,
        Err(error) => {
            println!("{}", json!({ "error": error.to_string() }));
            return;
        }
    };
    let Some(wanted) = words.get(1) else {
        for (object, verdict) in file.objects.iter().zip(validate(&file.objects, &target)) {
            let findings: Vec<_> =
                verdict.findings.iter().map(|f| json!([f.severity, f.rule, f.path, f.what])).collect();
            println!(
                "{}",
                json!({ "base": object.identity.to_string(), "case": "as it is", "object": object.json(), "accepts": verdict.accepts(), "findings": findings, "not_checked": verdict.not_checked })
            );
        }
        return;
    };
    // Each repetition is a file, as a repository has them.
    let started = Instant::now();
    let (mut objects, mut refused) = (0, 0);
    while objects < *wanted {
        let Ok(file) = read("input", &text, &Limits::default()) else { return };
        objects += file.objects.len() as u64;
        refused += validate(&file.objects, &target).iter().filter(|verdict| !verdict.accepts()).count();
    }
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{objects} objects, {refused} refused, {seconds:.3} s, {:.0} objects/s", objects as f64 / seconds);
}
