//! The set in force on disk, so that a front that restarts comes up with it. The format is in docs/formats/front-state.md.

use std::path::{Path, PathBuf};

use base_world::{DiskError, World, replace_file};
use serde::{Deserialize, Serialize};

use crate::model::{ModelError, Upstream, validate};

/// Far above what the largest set takes.
const STATE_BYTES_MAX: u64 = 1 << 20;
const MAGIC: &str = "apm-front-state";
const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the state of the front could not be kept")]
    Disk(#[from] DiskError),
    #[error("{} is not the state of a front, or is damaged: {why}; remove it to begin with no upstream", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("{} was written by a newer version (format {found}, this one reads {VERSION})", path.display())]
    Newer { path: PathBuf, found: u32 },
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) generation: u64,
    pub(crate) upstreams: Vec<Upstream>,
}

/// Durable on return: written aside, synced, renamed, folder synced.
pub(crate) fn write(world: &World, path: &Path, kept: &Kept) -> Result<(), StateError> {
    let json = serde_json::to_string(kept)
        .map_err(|error| StateError::Damaged { path: path.to_owned(), why: error.to_string() })?;
    let text = format!("{MAGIC} {VERSION} {:08x}\n{json}\n", crc32c::crc32c(json.as_bytes()));
    Ok(replace_file(world.disk.as_ref(), path, text.as_bytes())?)
}

/// None when there is none yet.
pub(crate) fn read(world: &World, path: &Path) -> Result<Option<Kept>, StateError> {
    if !world.disk.exists(path)? {
        return Ok(None);
    }
    let bytes = world.disk.read(path, STATE_BYTES_MAX)?;
    parse(&bytes).map(Some).map_err(|wrong| match wrong {
        Wrong::Newer(found) => StateError::Newer { path: path.to_owned(), found },
        Wrong::Damaged(why) => StateError::Damaged { path: path.to_owned(), why },
    })
}

#[derive(Debug)]
enum Wrong {
    Newer(u32),
    Damaged(String),
}

fn parse(bytes: &[u8]) -> Result<Kept, Wrong> {
    let damaged = |why: &str| Wrong::Damaged(why.to_owned());
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is no UTF-8"))?;
    let (first, json) = text.split_once('\n').ok_or_else(|| damaged("it has no first line"))?;
    let mut words = first.split(' ');
    if words.next() != Some(MAGIC) {
        return Err(damaged("its first line names another format"));
    }
    let version = words.next().and_then(|word| word.parse().ok()).ok_or_else(|| damaged("it names no version"))?;
    if version != VERSION {
        return Err(Wrong::Newer(version));
    }
    let json = json.trim_end_matches('\n');
    let sum = words.next().and_then(|word| u32::from_str_radix(word, 16).ok());
    if sum != Some(crc32c::crc32c(json.as_bytes())) {
        return Err(damaged("its checksum differs"));
    }
    let kept: Kept = serde_json::from_str(json).map_err(|error| Wrong::Damaged(error.to_string()))?;
    validate(&kept.upstreams).map_err(|error: ModelError| Wrong::Damaged(error.to_string()))?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_any_flipped_byte_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (world, path) = (World::real(), folder.path().join("front.state"));
        assert_eq!(read(&world, &path).unwrap(), None);
        let json = r#"{"generation":7,"upstreams":[{"name":"blue","address":"127.0.0.1:80","weight":3,"check":{"http":"/"}}]}"#;
        let kept: Kept = serde_json::from_str(json).unwrap();
        write(&world, &path, &kept).unwrap();
        assert_eq!(read(&world, &path).unwrap(), Some(kept));
        let good = world.disk.read(&path, STATE_BYTES_MAX).unwrap();
        // The last byte is the line's end, which may be missing.
        for index in 0..good.len() - 1 {
            let mut bad = good.clone();
            bad[index] ^= 1;
            // The case of a checksum's letter is all that may differ.
            assert!(parse(&bad).is_err(), "byte {index}: {}", String::from_utf8_lossy(&bad));
        }
        assert!(parse(&good[..good.len() / 2]).is_err());
        assert!(matches!(parse(b"apm-front-state 2 0\n{}"), Err(Wrong::Newer(2))));
    }
}
