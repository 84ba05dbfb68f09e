//! The disk door: files by offset, folders, and what must be called to make either survive a power cut.
//!
//! Two rules of the real world are kept by every implementation, also the simulated one:
//! bytes survive only after [`File::sync`], names (new, renamed, removed) only after [`Disk::sync_folder`].

use std::path::Path;
use std::sync::Arc;

use crate::{DiskError, DiskErrorKind};

type Result<T> = std::result::Result<T, DiskError>;

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// Bytes; 0 for a folder.
    pub len: u64,
    pub is_folder: bool,
}

/// Files and folders. Object-safe; all paths are used as given.
pub trait Disk: Send + Sync {
    /// Opens an existing file for reading.
    fn open(&self, path: &Path) -> Result<Arc<dyn File>>;

    /// Opens an existing file for reading and writing.
    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>>;

    /// Makes a new, empty file for reading and writing; `AlreadyExists` if the name is taken.
    fn create(&self, path: &Path) -> Result<Arc<dyn File>>;

    /// Moves a file over `to`, replacing it in one step. Durable after `sync_folder`.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file's name. Open handles keep reading its bytes. Durable after `sync_folder`.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Removes an empty folder.
    fn remove_folder(&self, path: &Path) -> Result<()>;

    /// The folder's entries, sorted by name. Names that are not UTF-8 are left out: we never make any.
    fn list(&self, folder: &Path) -> Result<Vec<Entry>>;

    /// Makes the folder and its missing parents; durable on return.
    fn create_folder(&self, path: &Path) -> Result<()>;

    /// Makes the folder's names durable.
    fn sync_folder(&self, path: &Path) -> Result<()>;

    /// Bytes a writer without privileges may still use on the disk that holds `path`.
    fn free_bytes(&self, path: &Path) -> Result<u64>;

    /// Takes the folder for this process, by a `LOCK` file that names the holder's pid.
    /// `LockedBy` if another holds it. Released when the value is dropped or the process ends, however it ends.
    fn lock_folder(&self, folder: &Path) -> Result<FolderLock>;

    /// Whether a file or a folder of this name is there.
    fn exists(&self, path: &Path) -> Result<bool>;

    /// Kind and rights of a file or a folder as `st_mode` has them (inode(7)); `None` where the system knows no such thing.
    fn mode(&self, _path: &Path) -> Result<Option<u32>> {
        Ok(None)
    }

    /// [`File::identity`] of the file that has this name now.
    fn identity(&self, _path: &Path) -> Result<Option<u64>> {
        Ok(None)
    }

    /// The whole of a small file; an error when it is larger than `limit_bytes`.
    fn read(&self, path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
        let file = self.open(path)?;
        let len = file.len()?;
        if len > limit_bytes {
            let why = format!("it has {len} bytes, more than the {limit_bytes} expected of such a file");
            return Err(DiskError::new("read", path, DiskErrorKind::Other(why)));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    }
}

/// An open file. Handles are shared freely; reads and writes at an offset do not disturb each other.
#[expect(clippy::len_without_is_empty, reason = "a file's length is asked of the disk and can fail")]
pub trait File: Send + Sync {
    fn path(&self) -> &Path;

    /// Reads up to `bytes.len()`; fewer only at the end of the file.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize>;

    /// Writes all of `bytes`, or fails; after a failure any part of them may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Reserves space up to `len` so that writes below it do not fail for want of room; new bytes read as zero.
    fn preallocate(&self, len: u64) -> Result<()>;

    fn len(&self) -> Result<u64>;

    /// Cuts or extends (with zeros).
    fn set_len(&self, len: u64) -> Result<()>;

    /// Makes all bytes written before the call durable (fdatasync). After a failure the caller must not trust this
    /// file again: the system may have dropped the bytes and would report success the next time.
    fn sync(&self) -> Result<()>;

    /// A number that stays with the file whatever its name becomes, and that no other file of this disk has as long as this one has a name or a
    /// handle (the inode); a later file may get it again. `None` where the system knows no such thing.
    fn identity(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Fills `bytes`, or fails with `Short`.
    fn read_exact_at(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let got = self.read_at(offset, bytes)?;
        if got == bytes.len() {
            return Ok(());
        }
        let kind = DiskErrorKind::Short { offset, wanted: bytes.len() as u64, got: got as u64 };
        Err(DiskError::new("read", self.path(), kind))
    }
}

/// Holds a folder until dropped.
pub struct FolderLock {
    _held: Box<dyn std::any::Any + Send + Sync>,
}

impl FolderLock {
    pub(crate) fn new(held: impl std::any::Any + Send + Sync) -> Self {
        Self { _held: Box::new(held) }
    }
}

/// Replaces a small file so that a crash leaves either the old or the new one: write aside, sync, rename, sync folder.
pub fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut aside = path.as_os_str().to_os_string();
    aside.push(".tmp");
    let aside = Path::new(&aside);
    if disk.exists(aside)? {
        disk.remove(aside)?;
    }
    let file = disk.create(aside)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    disk.rename(aside, path)?;
    match path.parent() {
        Some(folder) => disk.sync_folder(folder),
        None => Ok(()),
    }
}
