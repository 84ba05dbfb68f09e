//! `cargo xtask journeys`: builds the binary and runs the end-to-end tests against it. It does not know what they do; a missing counterpart makes them fail.

use std::process::Command;

use crate::{ci, connectors, sh};

/// The module of the journeys that are a stage of their own.
const CLUSTER: &str = "cluster::";

/// Runs the journeys whose path contains one of the words, or all; and rooms on their real counterparts, with `connectors` or no word. One counterpart
/// alone is `connectors:kubernetes`.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    let (connectors, words): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|word| word.starts_with("connectors"));
    if connectors.is_empty() || !words.is_empty() {
        sh::run(command()?.args(&words))?;
    }
    if connectors.is_empty() && !words.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = connectors.iter().filter_map(|word| word.strip_prefix("connectors:")).collect();
    connectors::run(&names)
}

/// The journeys alone, without those of `cluster`.
pub(crate) fn all() -> sh::Outcome {
    sh::run(command()?.args(["--skip", CLUSTER]))
}

/// The journeys of the Kubernetes that others deploy to.
pub(crate) fn cluster() -> sh::Outcome {
    sh::run(command()?.arg(CLUSTER))
}

/// The test command, the release binary built unless `APM_BIN` names one. One journey at a time: each measures, or starves on a machine that does
/// something else.
pub(crate) fn command() -> sh::Outcome<Command> {
    let binary = match std::env::var_os("APM_BIN") {
        Some(binary) => binary.into(),
        None => {
            ci::release_build()?;
            ci::target_folder()?.join("release/apm")
        }
    };
    let mut test = sh::cargo();
    test.env("APM_BIN", binary).args(["test", "-p", "tests-journeys", "--test", "all", "--", "--test-threads=1"]);
    Ok(test)
}
