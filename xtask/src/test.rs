//! `cargo xtask test`: what the README says, and this tool's own checks, which the README's command leaves out.

use crate::sh;

/// `cargo test` with the given words, then the tests of xtask and of the journeys' harness.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    sh::run(sh::cargo().arg("test").args(words))?;
    own()
}

/// The tests outside `default-members` that need no other program.
pub(crate) fn own() -> sh::Outcome {
    sh::run(sh::cargo().args(["test", "-p", "xtask", "-p", "tests-journeys", "--bins", "--lib"]))
}
