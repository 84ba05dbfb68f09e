//! Node with the packages of `tests/journeys/browser/package-lock.json`, installed outside the clone; `bin/node-browser` finds them by `require`.

use super::Got;
use super::cache::{Cache, fingerprint};
use crate::sh;

/// Node with playwright-core and axe-core.
pub(super) fn get(cache: &Cache) -> sh::Outcome<Got> {
    let from = sh::root().join("tests/journeys/browser");
    let manifest = sh::read(&from.join("package.json"))?;
    let lock = sh::read(&from.join("package-lock.json"))?;
    let node = sh::which("node").ok_or("no `node` on the PATH: install Node 20 or newer")?;
    let place = cache.version("browser", &fingerprint(&lock))?;
    if !place.done {
        sh::write(&place.folder.join("package.json"), &manifest)?;
        sh::write(&place.folder.join("package-lock.json"), &lock)?;
        sh::output(
            sh::program("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&place.folder),
        )?;
        place.finish()?;
    }
    cache.bin("node-browser", &[("NODE_PATH", &place.folder.join("node_modules"))], &node)?;
    Ok(Got { version: sh::output(sh::program(&node).arg("--version"))?, fresh: !place.done })
}
