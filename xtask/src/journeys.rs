//! `cargo xtask journeys`: builds the binary and runs the end-to-end tests against it. It does not know what they do; a missing counterpart makes them fail.

use crate::{ci, sh};

/// Builds the release binary unless `APM_BIN` names one, then runs the journeys whose path contains one of the words, or all. One at a time: each
/// measures or starves on a machine that does something else.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    let binary = match std::env::var_os("APM_BIN") {
        Some(binary) => binary.into(),
        None => {
            ci::release_build()?;
            ci::target_folder()?.join("release/apm")
        }
    };
    let mut test = sh::cargo();
    test.env("APM_BIN", binary).args(["test", "-p", "tests-journeys", "--test", "all", "--"]).args(words);
    sh::run(test.args(["--test-threads=1"]))
}
