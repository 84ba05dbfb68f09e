//! The commit a project folder is at, read from git's own files so that no git program is needed. Does not know whether the
//! work tree has changes.
//!
//! Format: `gitrepository-layout(5)`: HEAD is a hash or `ref: NAME`; a ref is a file or a line of `packed-refs`; `.git` may
//! be a file `gitdir: PATH` (a work tree), whose `commondir` holds the refs.

use std::path::{Path, PathBuf};

use crate::project::read_text;

const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The abbreviated hash of HEAD, for the folder or one above it.
pub async fn of(folder: &Path) -> Option<String> {
    let git = git_of(folder).await?;
    let head = read_text(&git.join("HEAD"), BYTES_MAX).await?;
    let hash = match head.trim().strip_prefix("ref:") {
        Some(name) => resolve(&git, name.trim()).await?,
        None => head.trim().to_owned(),
    };
    let is_hash = hash.len() >= 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| hash.chars().take(12).collect())
}

/// Where the folder's repository was cloned from, without the name and password a URL may hold.
pub async fn source_of(folder: &Path) -> Option<String> {
    let git = git_of(folder).await?;
    let common = match read_text(&git.join("commondir"), BYTES_MAX).await {
        Some(text) => git.join(text.trim()),
        None => git,
    };
    origin(&read_text(&common.join("config"), BYTES_MAX).await?)
}

/// `url` of `[remote "origin"]`; `gitcfg(5)`.
fn origin(config: &str) -> Option<String> {
    let mut inside = false;
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[remote \"origin\"]";
        } else if inside && let Some(("url", url)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()))
        {
            return Some(match url.split_once("://") {
                Some((scheme, rest)) => {
                    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                    let host = host.rsplit('@').next().unwrap_or(host);
                    format!("{scheme}://{host}/{path}")
                }
                None => url.to_owned(),
            });
        }
    }
    None
}

async fn git_of(folder: &Path) -> Option<PathBuf> {
    for above in folder.ancestors() {
        let candidate = above.join(".git");
        if tokio::fs::metadata(&candidate).await.is_ok() {
            return git_dir(&candidate).await;
        }
    }
    None
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

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn the_origin_without_a_password() {
        let check = |url: &str, expect: &str| {
            let config = format!("[core]\n\tbare = false\n[remote \"origin\"]\n\turl = {url}\n[branch \"main\"]\n");
            assert_eq!(origin(&config).as_deref(), Some(expect));
        };
        check("https://me:hunter2@git.example.org/shop.git", "https://git.example.org/shop.git");
        check("git@git.example.org:shop.git", "git@git.example.org:shop.git");
        assert_eq!(origin("[remote \"fork\"]\nurl = x\n"), None);
    }
}
