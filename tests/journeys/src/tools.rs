//! Finds what `cargo xtask tools` got. A missing tool fails the journey: a skipped one would look like a passed one.

use std::path::PathBuf;

/// The tools' cache.
pub fn cache() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("APM_TOOLS")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("apm-tools")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/apm-tools")))
        .expect("APM_TOOLS, XDG_CACHE_HOME or HOME says where the tools are")
}

/// The program `bin/NAME` of the cache.
pub fn tool(name: &str) -> PathBuf {
    let path = cache().join("bin").join(name);
    assert!(path.is_file(), "no {name} at {}: run `cargo xtask tools`", path.display());
    path
}

/// A program of the distribution, such as strace.
pub fn system(name: &str) -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no {name} on the PATH: run `cargo xtask tools`"))
}
