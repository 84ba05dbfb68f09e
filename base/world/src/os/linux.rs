//! Linux: pread, pwrite, fallocate, fdatasync, flock.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock, statvfs};

use crate::{Disk, DiskError, DiskErrorKind, Entry, File, FolderLock, Random};

type Result<T> = std::result::Result<T, DiskError>;

/// The system's files.
pub struct OsDisk;

/// The system's generator.
pub struct OsRandom;

struct OsFile {
    path: PathBuf,
    file: fs::File,
}

fn at<T>(operation: &'static str, path: &Path, result: std::io::Result<T>) -> Result<T> {
    result.map_err(|e| DiskError::from_io(operation, path, &e))
}

fn open_with(operation: &'static str, path: &Path, options: &fs::OpenOptions) -> Result<Arc<dyn File>> {
    let file = at(operation, path, options.open(path))?;
    Ok(Arc::new(OsFile { path: path.to_path_buf(), file }))
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
impl Disk for OsDisk {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        open_with("open", path, fs::OpenOptions::new().read(true))
    }

    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>> {
        open_with("open", path, fs::OpenOptions::new().read(true).write(true))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        open_with("create", path, fs::OpenOptions::new().read(true).write(true).create_new(true))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        at("rename", from, fs::rename(from, to))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        at("remove", path, fs::remove_file(path))
    }

    fn remove_folder(&self, path: &Path) -> Result<()> {
        at("remove", path, fs::remove_dir(path))
    }

    fn list(&self, folder: &Path) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in at("list", folder, fs::read_dir(folder))? {
            let entry = at("list", folder, entry)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A file removed between the listing and the look is no longer there: leave it out.
            let Ok(meta) = entry.metadata() else { continue };
            let is_folder = meta.is_dir();
            entries.push(Entry { name, len: if is_folder { 0 } else { meta.len() }, is_folder });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_folder(&self, path: &Path) -> Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        let parent = path.parent().unwrap_or_else(|| Path::new(""));
        self.create_folder(parent)?;
        match fs::create_dir(path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
            other => at("create folder", path, other)?,
        }
        self.sync_folder(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
    }

    fn sync_folder(&self, path: &Path) -> Result<()> {
        let folder = at("open", path, fs::File::open(path))?;
        at("sync folder", path, folder.sync_all())
    }

    fn free_bytes(&self, path: &Path) -> Result<u64> {
        let stat = at("ask for free space of", path, statvfs(path).map_err(std::io::Error::from))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock_folder(&self, folder: &Path) -> Result<FolderLock> {
        let path = folder.join("LOCK");
        let mut options = fs::OpenOptions::new();
        // Not truncated on open: the holder's pid must survive a second opener.
        let file = at("lock", &path, options.read(true).write(true).create(true).truncate(false).open(&path))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            return Err(DiskError::new("lock", folder, DiskErrorKind::LockedBy { pid }));
        }
        at("lock", &path, file.set_len(0))?;
        at("lock", &path, file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0))?;
        Ok(FolderLock::new(file))
    }

    fn mode(&self, path: &Path) -> Result<Option<u32>> {
        use std::os::unix::fs::MetadataExt as _;
        Ok(Some(at("look at", path, fs::metadata(path))?.mode()))
    }

    fn identity(&self, path: &Path) -> Result<Option<u64>> {
        use std::os::unix::fs::MetadataExt as _;
        Ok(Some(at("look at", path, fs::metadata(path))?.ino()))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        at("look at", path, path.try_exists())
    }
}

impl File for OsFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        let mut got = 0;
        while let Some(rest) = bytes.get_mut(got..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + got as u64) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(DiskError::from_io("read", &self.path, &e)),
            }
        }
        Ok(got)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        at("write", &self.path, self.file.write_all_at(bytes, offset))
    }

    fn preallocate(&self, len: u64) -> Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            // Some file systems (NFS, some overlays) cannot reserve: a longer file is the next best.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) if self.len()? < len => self.set_len(len),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(e) => Err(DiskError::from_io("reserve space for", &self.path, &e.into())),
        }
    }

    fn len(&self) -> Result<u64> {
        Ok(at("look at", &self.path, self.file.metadata())?.len())
    }

    fn identity(&self) -> Result<Option<u64>> {
        use std::os::unix::fs::MetadataExt as _;
        Ok(Some(at("look at", &self.path, self.file.metadata())?.ino()))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        at("resize", &self.path, self.file.set_len(len))
    }

    fn sync(&self) -> Result<()> {
        at("sync", &self.path, self.file.sync_data())
    }
}

impl Random for OsRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn fill(&self, bytes: &mut [u8]) {
        use std::io::Read;
        let filled = fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(bytes));
        // A machine without /dev/urandom cannot make tokens; going on with guessable ones would be worse than stopping.
        assert!(filled.is_ok(), "cannot read /dev/urandom: this system gives no randomness");
    }
}
