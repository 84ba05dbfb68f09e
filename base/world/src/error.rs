//! What can go wrong at the disk: which operation, on which path, why. Knows nothing of file contents.

use std::path::{Path, PathBuf};

/// A failed disk operation. `Display` reads as a sentence: `cannot open /data/wal/7.wal: not found`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {operation} {}: {kind}", path.display())]
pub struct DiskError {
    pub operation: &'static str,
    pub path: PathBuf,
    pub kind: DiskErrorKind,
}

/// Why. Callers branch on `Full` (back-pressure), `NotFound` and `LockedBy`; the rest is told to a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskErrorKind {
    #[error("not found")]
    NotFound,
    #[error("it exists already")]
    AlreadyExists,
    #[error("permission denied")]
    Denied,
    #[error("no space left on the disk; free some, or lower the retention")]
    Full,
    #[error("another process holds it{}; stop that one, or choose another data folder", pid.map(|p| format!(" (pid {p})")).unwrap_or_default())]
    LockedBy { pid: Option<u32> },
    #[error("the file ends early: wanted {wanted} bytes at offset {offset}, got {got}")]
    Short { offset: u64, wanted: u64, got: u64 },
    #[error("the machine has crashed (simulated)")]
    Crashed,
    #[error("{0}")]
    Other(String),
}

impl DiskError {
    pub fn new(operation: &'static str, path: &Path, kind: DiskErrorKind) -> Self {
        Self { operation, path: path.to_path_buf(), kind }
    }

    /// From the system's error, keeping its words where we have none of our own.
    pub fn from_io(operation: &'static str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let kind = match error.kind() {
            K::NotFound => DiskErrorKind::NotFound,
            K::AlreadyExists => DiskErrorKind::AlreadyExists,
            K::PermissionDenied => DiskErrorKind::Denied,
            K::StorageFull | K::QuotaExceeded => DiskErrorKind::Full,
            _ => DiskErrorKind::Other(error.to_string()),
        };
        Self::new(operation, path, kind)
    }

    /// No space: the caller sheds load and tries again later.
    pub fn is_full(&self) -> bool {
        self.kind == DiskErrorKind::Full
    }

    pub fn is_not_found(&self) -> bool {
        self.kind == DiskErrorKind::NotFound
    }

    pub fn is_crash(&self) -> bool {
        self.kind == DiskErrorKind::Crashed
    }
}
