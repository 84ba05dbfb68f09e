//! Servers built from the Go module proxy by a throw-away module: `tests/journeys/lock/NAME/go.mod` with its go.sum, so that what is built is pinned
//! down to the last dependency. They are counterparts in tests and never shipped.

use super::Got;
use super::cache::{Cache, fingerprint};
use crate::sh;

/// Prometheus 3 and promtool.
pub(super) fn prometheus(cache: &Cache) -> sh::Outcome<Got> {
    // The module v0.315.0 is the release 3.15.0; built as a dependency it would call itself `(devel)`.
    let flags = "-s -w -X github.com/prometheus/common/version.Version=3.15.0";
    let packages = ["github.com/prometheus/prometheus/cmd/prometheus", "github.com/prometheus/prometheus/cmd/promtool"];
    let fresh = build(cache, "prometheus", flags, &packages)?;
    Ok(Got { version: "3.15.0".into(), fresh })
}

/// cAdvisor's library behind a page of its own: see `main.go` beside the lock.
pub(super) fn cadvisor(cache: &Cache) -> sh::Outcome<Got> {
    let fresh = build(cache, "cadvisor", "-s -w", &["apm.test/cadvisor"])?;
    Ok(Got { version: "0.57.0".into(), fresh })
}

/// Builds the packages of a locked module; true if that was needed.
fn build(cache: &Cache, name: &str, link_flags: &str, packages: &[&str]) -> sh::Outcome<bool> {
    let lock = sh::root().join("tests/journeys/lock").join(name);
    let module = sh::read(&lock.join("go.mod"))?;
    // A module that is more than a lock has its program beside it.
    let program = lock.join("main.go");
    let program = if program.exists() { Some(sh::read(&program)?) } else { None };
    let all = module.clone() + link_flags + program.as_deref().unwrap_or_default();
    let place = cache.version(name, &fingerprint(&all))?;
    if !place.done {
        sh::write(&place.folder.join("go.mod"), &module)?;
        sh::write(&place.folder.join("go.sum"), &sh::read(&lock.join("go.sum"))?)?;
        if let Some(program) = program {
            sh::write(&place.folder.join("main.go"), &program)?;
        }
        let mut go = sh::program("go");
        go.current_dir(&place.folder).env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=readonly");
        go.args(["build", "-trimpath", "-ldflags", link_flags, "-o", "./"]).args(packages);
        sh::output(&mut go)?;
        place.finish()?;
    }
    for program in packages.iter().filter_map(|package| package.rsplit('/').next()) {
        cache.bin(program, &[], &place.folder.join(program))?;
    }
    Ok(!place.done)
}
