//! Gets the OpenAPI v3 files of a release out of its Go module; nothing else of the module is kept. Does not read them.

use std::path::Path;

use serde_json::Value;

use crate::sh;

/// The specs of a release, by the Go module proxy. The module is 250 MB unpacked and goes at once.
pub(super) fn module(release: &str) -> sh::Outcome<Vec<Value>> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot make a folder: {error}"))?;
    let module = format!("k8s.io/kubernetes@{release}");
    sh::output(
        sh::program("go")
            .current_dir(folder.path())
            .env("GOMODCACHE", folder.path())
            .env("GOFLAGS", "-modcacherw")
            .args(["mod", "download", "-json", &module]),
    )?;
    read(&folder.path().join(&module).join("api/openapi-spec/v3"))
}

/// All specs in a folder.
pub(super) fn read(folder: &Path) -> sh::Outcome<Vec<Value>> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    if paths.is_empty() {
        return Err(format!("{} holds no specs", folder.display()));
    }
    let one = |path: &std::path::PathBuf| {
        serde_json::from_str(&sh::read(path)?).map_err(|error| format!("{}: {error}", path.display()))
    };
    paths.iter().map(one).collect()
}
