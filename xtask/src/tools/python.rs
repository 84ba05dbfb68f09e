//! Python environments by a lock with hashes: `tests/journeys/lock/python-NAME.txt`, made from the `.in` beside it by
//! `pip-compile --generate-hashes --no-emit-index-url --no-annotate --no-header`.

use super::Got;
use super::cache::{Cache, fingerprint};
use crate::sh;

/// An environment with exactly what its lock names; its interpreter becomes `bin/python-NAME`.
pub(super) fn get(cache: &Cache, name: &str) -> sh::Outcome<Got> {
    let lock = sh::root().join(format!("tests/journeys/lock/python-{name}.txt"));
    let interpreter = sh::output(sh::program("python3").arg("--version"))?;
    let version = fingerprint(&(sh::read(&lock)? + &interpreter));
    let place = cache.version(&format!("python-{name}"), &version)?;
    let python = place.folder.join("bin/python");
    if !place.done {
        sh::output(sh::program("python3").args(["-m", "venv"]).arg(&place.folder))?;
        let pip = ["-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r"];
        sh::output(sh::program(&python).args(pip).arg(&lock))?;
        place.finish()?;
    }
    cache.bin(&format!("python-{name}"), &[], &python)?;
    Ok(Got { version: interpreter.replace("Python ", ""), fresh: !place.done })
}
