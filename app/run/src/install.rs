//! Puts an agent's packages into the cache, outside of the project: by pip, from the lock, checked by hash, whole or not at
//! all. Does not know which packages a program needs, nor how they are switched on.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use operate_agents::{Launch, python};

use crate::interpreter::Interpreter;

const INSTALL_TIME_MAX: Duration = Duration::from_secs(600);

/// Where one launch's agent lies.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    pub(crate) agent_dir: PathBuf,
    pub(crate) shim_dir: PathBuf,
}

/// `$XDG_CACHE_HOME/apm`, else `~/.cache/apm`.
pub(crate) fn cache_dir(given: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .map(|cache| cache.join("apm"))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME is set, so there is no folder to keep the agent in".to_owned())
}

/// Makes sure that the launch's packages and start-up files are there. `busy` is called before anything slow. The error is a
/// sentence for the person.
pub(crate) async fn ensure(
    launch: &Launch,
    interpreter: &Interpreter,
    cache: &Path,
    busy: &mut (dyn FnMut(&str) + Send),
) -> Result<Installed, String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let platform: String = interpreter.runtime.abi.chars().map(plain).collect();
    let home =
        cache.join("agents/python").join(format!("{}-{platform}-{}", interpreter.runtime.tag(), python::lock_digest()));
    let agent_dir = home.join(python::set_digest(&launch.packages));
    let explain = |what: &Path, error: std::io::Error| format!("{}: {error}", what.display());
    tokio::fs::create_dir_all(&home).await.map_err(|error| explain(&home, error))?;
    let shim_dir = shim(launch, &home).await.map_err(|error| explain(&home, error))?;
    let installed = Installed { agent_dir, shim_dir };
    if tokio::fs::metadata(&installed.agent_dir).await.is_ok() {
        return Ok(installed);
    }
    let lock_path = installed.agent_dir.with_extension("lock");
    let _held = hold(&lock_path, busy).await.map_err(|error| explain(&lock_path, error))?;
    if tokio::fs::metadata(&installed.agent_dir).await.is_ok() {
        return Ok(installed);
    }
    busy(&format!("Fetching the Python agent ({} packages, once for this set)", launch.packages.len()));
    // A folder of an earlier process that was killed half-way is of no use to anyone.
    let staging = installed.agent_dir.with_extension("partial");
    let _ = tokio::fs::remove_dir_all(&staging).await;
    tokio::fs::create_dir_all(&staging).await.map_err(|error| explain(&staging, error))?;
    let list = installed.agent_dir.with_extension("txt");
    let pinned: Vec<&str> = launch.packages.iter().map(|one| one.pinned.as_str()).collect();
    tokio::fs::write(&list, pinned.join("\n") + "\n").await.map_err(|error| explain(&list, error))?;
    let outcome = pip(interpreter, &list, &staging).await;
    if outcome.is_ok() {
        tokio::fs::rename(&staging, &installed.agent_dir)
            .await
            .map_err(|error| explain(&installed.agent_dir, error))?;
    } else {
        let _ = tokio::fs::remove_dir_all(&staging).await;
    }
    outcome.map(|()| installed)
}

/// The start-up files, in a folder named by their content.
async fn shim(launch: &Launch, home: &Path) -> std::io::Result<PathBuf> {
    let whole: String = launch.shim.iter().map(|file| file.content).collect();
    let folder = home.join(format!("shim-{}", python::content_digest(&whole)));
    if tokio::fs::metadata(&folder).await.is_ok() {
        return Ok(folder);
    }
    let staging = home.join(format!("shim-{}.partial", std::process::id()));
    tokio::fs::create_dir_all(&staging).await?;
    for file in &launch.shim {
        tokio::fs::write(staging.join(file.path), file.content).await?;
    }
    if let Err(error) = tokio::fs::rename(&staging, &folder).await {
        let _ = tokio::fs::remove_dir_all(&staging).await;
        // Another process was first with the same content.
        if tokio::fs::metadata(&folder).await.is_err() {
            return Err(error);
        }
    }
    Ok(folder)
}

/// Waits for its turn among several `apm run`; the turn ends when the file is dropped.
async fn hold(path: &Path, busy: &mut (dyn FnMut(&str) + Send)) -> std::io::Result<std::fs::File> {
    use rustix::fs::{FlockOperation, flock};
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        return Ok(file);
    }
    busy("Waiting for another `apm run` that fetches the same agent");
    let waited = tokio::task::spawn_blocking(move || flock(&file, FlockOperation::LockExclusive).map(|()| file));
    Ok(waited.await.map_err(std::io::Error::other)??)
}

/// Tries the interpreter's own pip, then that of the Python it was made from, then uv.
async fn pip(interpreter: &Interpreter, list: &Path, target: &Path) -> Result<(), String> {
    let runtime = &interpreter.runtime;
    let mut installers = vec![vec![runtime.executable.as_str(), "-m", "pip", "install"]];
    if !interpreter.base.is_empty() && interpreter.base != runtime.executable {
        installers.push(vec![interpreter.base.as_str(), "-m", "pip", "install"]);
    }
    installers.push(vec!["uv", "pip", "install", "--python", &runtime.executable]);
    for installer in &installers {
        let is_uv = installer.first() == Some(&"uv");
        let mut command = tokio::process::Command::new(installer[0]);
        command.args(&installer[1..]).args(["--no-deps", "--require-hashes", "--only-binary", ":all:", "--quiet"]);
        if !is_uv {
            command.args(["--no-input", "--disable-pip-version-check", "--retries", "1", "--no-warn-script-location"]);
        }
        command.arg("--target").arg(target).arg("--requirement").arg(list);
        // The person's mirrors and proxies count; what would send the packages elsewhere does not.
        for name in ["PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH"] {
            command.env_remove(name);
        }
        command
            .env("PIP_USER", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = match tokio::time::timeout(INSTALL_TIME_MAX, command.output()).await {
            Err(_) => {
                return Err(format!(
                    "the package index did not deliver within {} minutes",
                    INSTALL_TIME_MAX.as_secs() / 60
                ));
            }
            Ok(Err(_)) => continue,
            Ok(Ok(output)) => output,
        };
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !said.contains("No module named pip") {
            return Err(why_pip_failed(&said));
        }
    }
    Err(format!("{} has no pip and there is no uv; add one: `{} -m ensurepip`", runtime.executable, runtime.executable))
}

/// The reason in what an installer printed, in words.
fn why_pip_failed(said: &str) -> String {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["DO NOT MATCH THE HASHES", "Hash mismatch"]) {
        return "a downloaded package does not match its recorded hash and was refused; if you use a package mirror, ask who runs it".to_owned();
    }
    if has(&[
        "NewConnectionError",
        "ConnectTimeout",
        "name resolution",
        "Failed to establish",
        "ProxyError",
        "dns error",
        "No route to host",
        "Connection refused",
    ]) {
        return "the package index cannot be reached (no network, or a proxy is needed: pip reads HTTPS_PROXY and pip.conf); \
                connect once and start again, the agent is then kept"
            .to_owned();
    }
    if has(&["No space left"]) {
        return "the disk is full".to_owned();
    }
    let last: Vec<&str> =
        said.lines().filter(|line| line.contains("ERROR") || line.contains("error")).take(2).collect();
    let shown =
        if last.is_empty() { said.lines().last().unwrap_or("no reason given").to_owned() } else { last.join("; ") };
    format!("pip failed: {}", shown.chars().take(400).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_in_words() {
        let check =
            |said: &str, expect: &str| assert!(why_pip_failed(said).contains(expect), "{}", why_pip_failed(said));
        check(
            "WARNING: Retrying … NewConnectionError('…: [Errno -3] Temporary failure in name resolution')\nERROR: Could not find a version",
            "cannot be reached",
        );
        check(
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "does not match its recorded hash",
        );
        check(
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk is full",
        );
        check("ERROR: wrapt has no wheel for this platform", "wrapt has no wheel");
    }
}
