//! Tools from the distribution: by name, whatever version it has; the version is printed.

use super::Got;
use crate::sh;

/// The program on the PATH, installed first if it is missing and we may; it says its own version.
pub(super) fn get(program: &str, package: &str) -> sh::Outcome<Got> {
    let fresh = sh::which(program).is_none();
    if fresh {
        install(package).map_err(|problem| format!("{problem}: install `{package}` by hand"))?;
    }
    let printed = sh::output(sh::program(program).arg("--version"))?;
    let line = printed.lines().next().unwrap_or_default();
    // "strace -- version 6.1", "Chromium 156.0.8078.79 built on …"
    let version = line.split(' ').find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()));
    Ok(Got { version: version.unwrap_or(line).to_owned(), fresh })
}

/// A package, installed first if it is missing and we may; for programs that do not say their version or come in several packages.
pub(super) fn package(name: &str) -> sh::Outcome<Got> {
    // The status as well: a removed package may still be known.
    let version = || sh::output(sh::program("dpkg-query").args(["-W", "-f", "${db:Status-Status} ${Version}", name]));
    let installed = |text: String| text.strip_prefix("installed ").map(str::to_owned);
    if let Some(version) = version().ok().and_then(installed) {
        return Ok(Got { version, fresh: false });
    }
    install(name).map_err(|problem| format!("{problem}: install `{name}` by hand"))?;
    let version = installed(version()?).ok_or_else(|| format!("`{name}` was installed and is still not there"))?;
    Ok(Got { version, fresh: true })
}

fn install(package: &str) -> sh::Outcome {
    let mut update = sh::program("apt-get");
    let mut install = sh::program("apt-get");
    // In runlevel 1 a package starts no service: a counterpart is started by its test, on a port and a socket of its own.
    install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    install.args(["install", "-y", "-q", "--no-install-recommends", package]);
    sh::output(update.args(["update", "-q"]))?;
    sh::output(&mut install).map(drop)
}
