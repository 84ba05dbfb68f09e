//! `cargo xtask bench deployments`: the API of deployments under many deployments, watchers and a long history. The load and the figures are
//! those of an example of `app/serve`; this only builds it as it is shipped and starts it.

use crate::sh;

pub(crate) fn run(size: &str) -> sh::Outcome {
    sh::run(sh::cargo().args([
        "run",
        "--release",
        "--quiet",
        "-p",
        "app-serve",
        "--example",
        "deployments",
        "--",
        size,
    ]))
}
