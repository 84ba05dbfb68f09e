//! Where a journey leaves logs, traces of system calls and screenshots: `$CI_ARTEFACTS`, else `artefacts` in cargo's target folder.

use std::path::{Path, PathBuf};

/// The folder of one journey, made and empty.
pub fn folder(journey: &str) -> PathBuf {
    let all = std::env::var_os("CI_ARTEFACTS").map_or_else(|| target().join("artefacts"), PathBuf::from);
    let folder = all.join("journeys").join(journey);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
    folder
}

/// Cargo's target folder, from where this very test lies: `TARGET/debug/deps/all-…`.
pub(crate) fn target() -> PathBuf {
    let this = std::env::current_exe().expect("a running test has a path");
    this.ancestors().nth(3).map(Path::to_path_buf).expect("a test lies three folders below cargo's target folder")
}
