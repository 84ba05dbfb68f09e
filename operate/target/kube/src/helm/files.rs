//! Files that the program reads: the chart and the values of one call, for their owner alone, gone when the call is over. It knows nothing of
//! what is in them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use operate_plan::{Class, Failure};

use super::lock::private;

pub(crate) struct Files {
    folder: PathBuf,
}

impl Files {
    /// In a folder of this name; what a killed one left there goes.
    pub(crate) fn new(folder: &Path, name: &str) -> Result<Files, Failure> {
        let folder = folder.join(name);
        // It may not be there; if it cannot be removed, making the files says so.
        let _ = std::fs::remove_dir_all(&folder);
        private(&folder)?;
        Ok(Files { folder })
    }

    /// In a folder that no other call of this process or another has.
    pub(crate) fn own(folder: &Path, what: &str) -> Result<Files, Failure> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Files::new(folder, &format!("{what}.{}.{number}", std::process::id()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn add(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.folder.join(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.and_then(|mut file| file.write_all(bytes)).map_err(|error| {
            let message = format!("{} cannot be written: {error}", path.display());
            Failure::new(Class::Transient, "helm.folder", message, "see whether the disk is full")
        })?;
        Ok(path)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
