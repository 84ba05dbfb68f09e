//! The commit a project folder is at, read from git's own files so that no git program is needed. Does not know whether the
//! work tree has changes.
//!
//! Format: `gitrepository-layout(5)`: HEAD is a hash or `ref: NAME`; a ref is a file or a line of `packed-refs`; `.git` may
//! be a file `gitdir: PATH` (a work tree), whose `commondir` holds the refs.

use std::path::{Path, PathBuf};

use crate::project::read_text;

const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The abbreviated hash of HEAD, for the folder or one above it.
pub(crate) async fn of(folder: &Path) -> Option<String> {
    let mut git = None;
    for above in folder.ancestors() {
        let candidate = above.join(".git");
        if tokio::fs::metadata(&candidate).await.is_ok() {
            git = Some(git_dir(&candidate).await?);
            break;
        }
    }
    let git = git?;
    let head = read_text(&git.join("HEAD"), BYTES_MAX).await?;
    let hash = match head.trim().strip_prefix("ref:") {
        Some(name) => resolve(&git, name.trim()).await?,
        None => head.trim().to_owned(),
    };
    let is_hash = hash.len() >= 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| hash.chars().take(12).collect())
}

async fn git_dir(path: &Path) -> Option<PathBuf> {
    if tokio::fs::metadata(path).await.ok()?.is_dir() {
        return Some(path.to_owned());
    }
    let text = read_text(path, BYTES_MAX).await?;
    Some(path.parent()?.join(text.trim().strip_prefix("gitdir:")?.trim()))
}

async fn resolve(git: &Path, name: &str) -> Option<String> {
    let common = match read_text(&git.join("commondir"), BYTES_MAX).await {
        Some(text) => git.join(text.trim()),
        None => git.to_owned(),
    };
    for folder in [git, common.as_path()] {
        if let Some(text) = read_text(&folder.join(name), BYTES_MAX).await {
            return Some(text.trim().to_owned());
        }
    }
    let packed = read_text(&common.join("packed-refs"), BYTES_MAX).await?;
    packed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(_, one)| *one == name)
        .map(|(hash, _)| hash.to_owned())
}
