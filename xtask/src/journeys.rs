//! `cargo xtask journeys`: builds the binary and runs the end-to-end tests against it. It does not know what they do; a missing counterpart makes them fail.

use std::process::Command;

use crate::{ci, sh};

/// Runs the journeys whose path contains one of the words, or all.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    sh::run(command()?.args(words))
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
