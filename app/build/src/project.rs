//! The project on the disk: its Dockerfile, its `.dockerignore`, and what tells its language.

use std::path::{Path, PathBuf};

use base_world::{Disk, DiskErrorKind};
use operate_agents::{Project, ProjectFile, wanted_files};
use operate_build::needs_buildkit;
use operate_dockerfile::{Dockerfile, FILE_BYTES_MAX};

use crate::context::Context;
use crate::{BuildError, Options};

const TEXT_BYTES_MAX: u64 = 1 << 20;
/// Names at the top of the folder that are looked at.
const NAMES_MAX: usize = 2000;

/// What was read.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    dockerignore: String,
}

impl Source {
    pub(crate) fn read(disk: &dyn Disk, options: &Options) -> Result<Source, BuildError> {
        let path = options.file.clone().unwrap_or_else(|| options.context.join("Dockerfile"));
        let unreadable = |path: &Path, reason: String| BuildError::Unreadable { path: path.to_owned(), reason };
        let bytes =
            disk.read(&path, FILE_BYTES_MAX as u64).map_err(|error| unreadable(&path, error.kind.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| unreadable(&path, "it is no UTF-8 text".to_owned()))?;
        let file = Dockerfile::parse(&text);
        let needs = needs_buildkit(&file);
        if !needs.is_empty() {
            return Err(BuildError::NeedsBuildkit { path, needs });
        }
        if let Some(problem) = file.problems.first() {
            let line = file.lines.point(&text, problem.span.start).line;
            return Err(BuildError::Malformed { path, line, what: problem.what.clone() });
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".dockerignore");
        let mut dockerignore = String::new();
        // The Dockerfile's own comes first.
        for candidate in [PathBuf::from(beside), options.context.join(".dockerignore")] {
            match disk.read(&candidate, TEXT_BYTES_MAX) {
                Ok(bytes) => {
                    dockerignore = String::from_utf8_lossy(&bytes).into_owned();
                    break;
                }
                Err(error) if error.kind == DiskErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&candidate, error.kind.to_string())),
            }
        }
        Ok(Source { path, text, dockerignore })
    }

    pub(crate) fn context(&self, options: &Options) -> Result<Context, BuildError> {
        let unreadable =
            |error: std::io::Error| BuildError::Unreadable { path: options.context.clone(), reason: error.to_string() };
        Context::new(&options.context, &self.path, self.text.as_bytes(), &self.dockerignore).map_err(unreadable)
    }
}

/// The project as the agents' recipes see it, with the image's program as its command.
pub(crate) fn project(disk: &dyn Disk, folder: &Path, command: Vec<String>) -> Project {
    // A hint only: what cannot be read tells nothing.
    let names: Vec<String> =
        disk.list(folder).unwrap_or_default().into_iter().map(|entry| entry.name).take(NAMES_MAX).collect();
    let wanted = wanted_files(&command, &names);
    let read = |path: &str| {
        let bytes = disk.read(&folder.join(path), TEXT_BYTES_MAX).ok()?;
        String::from_utf8(bytes).ok()
    };
    let mut files: Vec<ProjectFile> = names
        .iter()
        .map(|name| ProjectFile { path: name.clone(), content: if wanted.contains(name) { read(name) } else { None } })
        .collect();
    for path in wanted.iter().filter(|path| !names.contains(path)) {
        if let Some(content) = read(path) {
            files.push(ProjectFile { path: path.clone(), content: Some(content) });
        }
    }
    let real = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = real.components().next_back().map(|part| part.as_os_str().to_string_lossy().into_owned());
    Project { folder: name.unwrap_or_default(), files, command, program_head: None }
}
