//! `cargo xtask bench`: measures the real binary and prints Markdown. Each suite is a file; `bench/README.md` keeps the last honest figures. It judges
//! nothing: bounds live in tests.

mod deployments;
mod engine;
mod manifests;
mod metrics;
mod otlp;
mod peer;
mod process;
mod protobuf;
mod spine;
mod write;

use crate::sh;

/// `spine`, `deployments`, `metrics` or `manifests`, with `--smoke` for a short run that only shows that everything answers.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    match words {
        [suite] if suite == "spine" => spine::run(&spine::FULL),
        [suite, smoke] if suite == "spine" && smoke == "--smoke" => spine::run(&spine::SMOKE),
        [suite] if suite == "deployments" => deployments::run("full"),
        [suite, smoke] if suite == "deployments" && smoke == "--smoke" => deployments::run("smoke"),
        [suite, words @ ..] if suite == "metrics" => metrics::run(words),
        [suite] if suite == "manifests" => manifests::run(&manifests::FULL),
        [suite, smoke] if suite == "manifests" && smoke == "--smoke" => manifests::run(&manifests::SMOKE),
        _ => Err("say `spine`, `deployments`, `metrics` or `manifests`, and `--smoke` for a short run".into()),
    }
}
