//! Reads from disk what a recipe wants to see of a project. Does not know what it is for.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use operate_agents::{Project, ProjectFile, wanted_files};
use tokio::io::AsyncReadExt;

use crate::RunError;

/// A manifest larger than this is not one.
const FILE_BYTES_MAX: u64 = 512 * 1024;
/// Names at the top of the project folder; a folder with more is not a project's.
const NAMES_MAX: usize = 10_000;

/// The project as a recipe sees it.
pub(crate) async fn gather(cwd: &Path, command: &[String]) -> Result<Project, RunError> {
    let failed = |source| RunError::Folder { folder: cwd.to_owned(), source };
    let mut names = Vec::new();
    let mut folder = tokio::fs::read_dir(cwd).await.map_err(failed)?;
    while let Some(entry) = folder.next_entry().await.map_err(failed)? {
        if names.len() >= NAMES_MAX {
            break;
        }
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    let mut files: Vec<ProjectFile> =
        names.iter().map(|name| ProjectFile { path: name.clone(), content: None }).collect();
    for path in wanted_files(command, &names) {
        let Some(content) = read_text(&cwd.join(&path), FILE_BYTES_MAX).await else { continue };
        match files.iter_mut().find(|file| file.path == path) {
            Some(file) => file.content = Some(content),
            None => files.push(ProjectFile { path, content: Some(content) }),
        }
    }
    let program = command.first().map(String::as_str).unwrap_or_default();
    let program_head = match find_program(program, cwd) {
        Some(path) => read_head(&path).await,
        None => None,
    };
    let full = tokio::fs::canonicalize(cwd).await.unwrap_or_else(|_| cwd.to_owned());
    let folder = full.file_name().and_then(OsStr::to_str).unwrap_or("app").to_owned();
    Ok(Project { folder, files, command: command.to_vec(), program_head })
}

/// The text of a small file; `None` where it is absent, large or not text.
pub(crate) async fn read_text(path: &Path, bytes_max: u64) -> Option<String> {
    let meta = tokio::fs::metadata(path).await.ok()?;
    if !meta.is_file() || meta.len() > bytes_max {
        return None;
    }
    tokio::fs::read_to_string(path).await.ok()
}

async fn read_head(path: &Path) -> Option<String> {
    let file = tokio::fs::File::open(path).await.ok()?;
    let mut head = Vec::new();
    file.take(1024).read_to_end(&mut head).await.ok()?;
    head.starts_with(b"#!").then(|| String::from_utf8_lossy(&head).into_owned())
}

/// The file a shell would run for a word.
pub(crate) fn find_program(program: &str, cwd: &Path) -> Option<PathBuf> {
    if program.is_empty() {
        return None;
    }
    if program.contains('/') {
        return Some(cwd.join(program));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Turns the error of starting a program into words.
pub(crate) fn start_error(program: String, source: std::io::Error) -> RunError {
    match source.kind() {
        ErrorKind::NotFound => RunError::NotFound { program },
        _ => RunError::NotRunnable { program, source },
    }
}
