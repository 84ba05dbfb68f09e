//! The files of the repository: what git tracks and what it would. It applies no rule.

use crate::sh;

/// One file.
#[derive(Debug)]
pub(crate) struct File {
    /// From the top folder, with `/`.
    pub(crate) path: String,
    /// Empty for a binary file.
    pub(crate) text: String,
    /// In bytes.
    pub(crate) size: u64,
}

impl File {
    /// Whether the path ends so.
    pub(crate) fn is(&self, ending: &str) -> bool {
        self.path.ends_with(ending)
    }

    /// Made by a tool; written rules for people do not bind it.
    pub(crate) fn is_generated(&self) -> bool {
        self.is("Cargo.lock") || self.is("package-lock.json") || self.is("go.sum") || self.path.contains("/dist/")
    }
}

/// Every file git tracks or would add.
pub(crate) fn all() -> sh::Outcome<Vec<File>> {
    let names = sh::output(sh::program("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    let mut files = Vec::new();
    for path in names.split('\0').filter(|name| !name.is_empty()) {
        // A tracked file that is deleted and not yet committed, or a folder of another repository.
        let Ok(bytes) = std::fs::read(sh::root().join(path)) else { continue };
        let size = bytes.len() as u64;
        files.push(File { path: path.to_owned(), text: String::from_utf8(bytes).unwrap_or_default(), size });
    }
    Ok(files)
}
