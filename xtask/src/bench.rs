//! `cargo xtask bench`: measures the real binary and prints Markdown. Each suite is a file; `bench/README.md` keeps the last honest figures. It judges
//! nothing: bounds live in tests.

mod client;
mod deployments;
mod engine;
mod metrics;
mod otlp;
mod peer;
mod process;
mod protobuf;
mod spine;
mod write;

use crate::sh;

/// `spine`, `deployments` or `metrics`, with `--smoke` for a short run that only shows that everything answers.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    match words {
        [suite] if suite == "spine" => spine::run(&spine::FULL),
        [suite, smoke] if suite == "spine" && smoke == "--smoke" => spine::run(&spine::SMOKE),
        [suite] if suite == "deployments" => deployments::run("full"),
        [suite, smoke] if suite == "deployments" && smoke == "--smoke" => deployments::run("smoke"),
        [suite, words @ ..] if suite == "metrics" => metrics::run(words),
        _ => Err("say `spine`, `deployments` or `metrics`, and `--smoke` for a short run".into()),
    }
}
