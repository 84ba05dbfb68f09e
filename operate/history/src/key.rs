//! The key under which secrets at rest are sealed: 32 random bytes in a file of their own, outside of the data folder, so that a copy of the
//! data tells nothing. Made once and never replaced: what is sealed under a lost key stays closed. It does not seal; [`operate_execute::Seal`] does.

use std::path::{Path, PathBuf};

use base_world::{Disk, DiskError, DiskErrorKind, Random};

use crate::private;

const FILE: &str = "seal.key";
const KEY_BYTES: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key that seals secrets is not there: {0}")]
    Disk(#[from] DiskError),
    #[error(
        "{} has {found} bytes, and a key has {KEY_BYTES}: put a copy of the right one back, or, if nothing sealed under it is needed any more, remove it", path.display()
    )]
    Length { path: PathBuf, found: usize },
}

/// The key in the folder, made if there is none. `state_folder` is ours alone and not the data's: `$XDG_STATE_HOME/apm`. A key that others
/// may read is refused.
pub fn seal_key(disk: &dyn Disk, random: &dyn Random, state_folder: &Path) -> Result<[u8; KEY_BYTES], KeyError> {
    let path = state_folder.join(FILE);
    if !disk.exists(&path)? {
        make(disk, random, state_folder, &path)?;
    }
    private::check(&path)?;
    let bytes = disk.read(&path, 4096)?;
    <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| KeyError::Length { path, found: bytes.len() })
}

/// Written whole under a name of its own, then given its right name, which fails if another process was quicker: then that one's counts.
fn make(disk: &dyn Disk, random: &dyn Random, folder: &Path, path: &Path) -> Result<(), KeyError> {
    disk.create_folder(folder)?;
    let aside = folder.join(format!("{FILE}.{:016x}", random.next_u64()));
    let mut key = [0; KEY_BYTES];
    random.fill(&mut key);
    private::create(&aside)?;
    let written = (|| {
        let file = disk.open_write(&aside)?;
        file.write_at(0, &key)?;
        file.sync()?;
        match private::link(&aside, path) {
            Err(error) if error.kind != DiskErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    })();
    // Also after a failure: half a key is of no use.
    disk.remove(&aside)?;
    written?;
    disk.sync_folder(folder)?;
    Ok(())
}
