//! What can go wrong with our files, told with the file, the part of it, and what to do.

use std::path::{Path, PathBuf};

use base_world::DiskError;

/// An error of WAL, segment or manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The bytes are not what was written.
    #[error("{} is damaged at {part}: {why}; the file is set aside, restore it from a backup if its data matters", path.display())]
    Corrupt { path: PathBuf, part: String, why: String },
    /// Written by another version of the program.
    #[error("{} has {what} version {found}, this program reads up to {known}: start the newer program, or use another data folder", path.display())]
    Version { path: PathBuf, what: &'static str, found: u32, known: u32 },
    /// A write or sync of the log failed earlier: nothing may be acknowledged until it is opened again.
    #[error("the write-ahead log {} stopped accepting data after a failed write: {cause}; restart to recover what was acknowledged", path.display())]
    Poisoned { path: PathBuf, cause: DiskError },
    #[error(
        "a write of {bytes} bytes is larger than the write-ahead log takes at once ({limit} bytes): send smaller batches"
    )]
    FrameTooLarge { bytes: u64, limit: u64 },
}

impl BlockError {
    pub fn corrupt(path: &Path, part: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_path_buf(), part: part.into(), why: why.into() }
    }

    /// No space left: shed load, try again when some was freed.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Disk(e) if e.is_full())
    }

    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }
}

/// Damage found while opening: data that was promised and is not there. Reported to a person, not fatal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub path: PathBuf,
    /// What is missing, in words.
    pub what: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}
