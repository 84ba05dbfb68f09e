//! `cargo xtask check`: formatting and lints. It knows no rule of ours; those are in `tidy` and `arrows`.

use crate::sh;

/// `cargo fmt --check`, then clippy with warnings denied over every crate and target.
pub(crate) fn run(_: &[String]) -> sh::Outcome {
    sh::run(sh::cargo().args(["fmt", "--all", "--", "--check"]))
        .map_err(|problem| format!("{problem}: run `cargo fmt --all`"))?;
    sh::run(sh::cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
}
