//! The folder outside the clone where counterparts live: `$APM_TOOLS`, else `$XDG_CACHE_HOME/apm-tools`, else `~/.cache/apm-tools`. Whoever needs a
//! tool starts `bin/NAME` there. It does not know how a tool is made.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::sh;

/// The cache, its folder made.
pub(super) struct Cache(PathBuf);

impl Cache {
    /// Finds the place and makes it.
    pub(super) fn open() -> sh::Outcome<Self> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = variable("APM_TOOLS")
            .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("apm-tools")))
            .or_else(|| variable("HOME").map(|home| home.join(".cache/apm-tools")))
            .ok_or("no place for the tools: set APM_TOOLS, XDG_CACHE_HOME or HOME")?;
        make(&folder.join("bin"))?;
        Ok(Self(folder))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    /// A folder for one version of one tool. A half-made one from an interrupted call is removed: only `finish` makes it count.
    pub(super) fn version(&self, tool: &str, version: &str) -> sh::Outcome<Version> {
        let folder = self.0.join(tool).join(version);
        let done = folder.join(".done").is_file();
        if !done {
            if folder.exists() {
                std::fs::remove_dir_all(&folder)
                    .map_err(|error| format!("cannot clear {}: {error}", folder.display()))?;
            }
            make(&folder)?;
        }
        Ok(Version { folder, done })
    }

    /// Makes `bin/NAME` start `program` with some variables set; the process id stays that of the program.
    pub(super) fn bin(&self, name: &str, variables: &[(&str, &Path)], program: &Path) -> sh::Outcome {
        let variables: String =
            variables.iter().map(|(key, value)| format!("export {key}='{}'\n", value.display())).collect();
        let text = format!("#!/bin/sh\n{variables}exec '{}' \"$@\"\n", program.display());
        let path = self.0.join("bin").join(name);
        // A new file and a rename: another process may just be starting the old one.
        let new = path.with_extension(format!("new{}", std::process::id()));
        sh::write(&new, &text)?;
        let worked = std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755));
        worked
            .and_then(|()| std::fs::rename(&new, &path))
            .map_err(|error| format!("cannot make {}: {error}", path.display()))
    }

    /// Puts a file at `share/NAME`.
    pub(super) fn share(&self, name: &str, file: &Path) -> sh::Outcome {
        let folder = self.0.join("share");
        make(&folder)?;
        sh::write(&folder.join(name), &sh::read(file)?)
    }
}

/// A folder of one version.
pub(super) struct Version {
    pub(super) folder: PathBuf,
    /// Whether an earlier call finished it.
    pub(super) done: bool,
}

impl Version {
    /// Makes it count for the next call.
    pub(super) fn finish(&self) -> sh::Outcome {
        sh::write(&self.folder.join(".done"), "")
    }
}

/// A short name for a lock's content, so that a changed lock is another version. FNV-1a: it tells versions apart and guards nothing.
pub(super) fn fingerprint(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

fn make(folder: &Path) -> sh::Outcome {
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))
}
