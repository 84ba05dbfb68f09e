//! Files for their owner's eyes only. The disk door makes files as the user's mask says, so the right is set here. It does not know what
//! is inside.

use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use base_world::{DiskError, DiskErrorKind};

/// Makes a new, empty file that only its owner can read and write; `AlreadyExists` if the name is taken.
pub(crate) fn create(path: &Path) -> Result<(), DiskError> {
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map(drop).map_err(|error| DiskError::from_io("create", path, &error))
}

/// Gives a file a second name, unless that is taken: `AlreadyExists`.
pub(crate) fn link(from: &Path, to: &Path) -> Result<(), DiskError> {
    std::fs::hard_link(from, to).map_err(|error| DiskError::from_io("create", to, &error))
}

/// Refuses a file that others than its owner may read or write; the fix is named.
pub(crate) fn check(path: &Path) -> Result<(), DiskError> {
    let found = std::fs::metadata(path).map_err(|error| DiskError::from_io("look at", path, &error))?;
    let mode = found.mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let why = format!("others may read it (its mode is {mode:o}): run `chmod 600 {}`", path.display());
    Err(DiskError::new("use", path, DiskErrorKind::Other(why)))
}
