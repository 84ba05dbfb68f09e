//! What can go wrong with a block: where, which part, why, and what to do. Knows nothing of commands.

use std::path::{Path, PathBuf};

use base_world::DiskError;
use observe_source::SourceError;

/// Why a block could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TsdbError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Reading what is to be exported.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The bytes are not what the format says.
    #[error("{} is damaged at {part}: {why}; move its block away, or take it from a backup, and run again", path.display())]
    Corrupt { path: PathBuf, part: String, why: String },
    /// Sound, and not known here.
    #[error("{} has {what}, which is not read here; {hint}", path.display())]
    Unsupported { path: PathBuf, what: String, hint: &'static str },
    /// More than can be held, or than the format can say.
    #[error("{what}: {found} is more than the {limit} that are taken")]
    Limit { what: String, found: u64, limit: u64 },
}

impl TsdbError {
    pub(crate) fn corrupt(path: &Path, part: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_path_buf(), part: part.into(), why: why.into() }
    }

    /// Whether the bytes are at fault, not the disk or who asked.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }
}

pub(crate) type Result<T> = std::result::Result<T, TsdbError>;
