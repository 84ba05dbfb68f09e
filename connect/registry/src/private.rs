//! A file that only its owner may read, replaced in one step. It does not know what is in it.

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base_world::{Disk, DiskError};

/// Writes it aside with mode 0600, then moves it over the old one; a link stays a link. A folder that is made for it has mode 0700.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !disk.exists(folder)? {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| DiskError::from_io("create", folder, &error))?;
    }
    let mut aside = path.as_os_str().to_os_string();
    aside.push(format!(".{}.tmp", std::process::id()));
    let aside = PathBuf::from(aside);
    if disk.exists(&aside)? {
        disk.remove(&aside)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(&aside).map_err(|error| DiskError::from_io("create", &aside, &error))?;
    let written = (|| {
        let file = disk.open_write(&aside)?;
        file.write_at(0, bytes)?;
        file.sync()?;
        disk.rename(&aside, path)
    })();
    if let Err(error) = written {
        // Half a file is of no use; what failed first is what is told.
        let _ = disk.remove(&aside);
        return Err(error);
    }
    disk.sync_folder(folder)
}
