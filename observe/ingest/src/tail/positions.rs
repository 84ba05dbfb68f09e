//! How far each file has been acknowledged, as a small file that is replaced whole: `docs/formats/positions.md`. Knows no log.

use std::fmt::Write as _;
use std::path::Path;

use base_world::{Disk, DiskError, replace_file};
use serde::{Deserialize, Serialize};

use super::mark::Mark;

/// Below the folder that was given for it.
pub(super) const FILE: &str = "positions";
/// Where one that cannot be read is put.
const BAD: &str = "positions.bad";
const VERSION: u32 = 1;
/// Far more than [`super::TailSettings::files_max`] files need.
const MAX_BYTES: u64 = 64 << 20;

/// Of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Folder of the pod and of the container.
    pub(super) container: String,
    /// Its name when this was written.
    pub(super) file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) identity: Option<u64>,
    #[serde(flatten)]
    pub(super) mark: Mark,
    #[serde(flatten)]
    pub(super) acked: Point,
}

/// How far something is done in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Point {
    /// Everything below, but for the parts of lines that wait for their rest:
    pub(super) offset: u64,
    /// of standard output from here on,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stdout: Option<u64>,
    /// of standard error from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stderr: Option<u64>,
}

impl Point {
    /// Where reading has to begin.
    pub(super) fn first(&self) -> u64 {
        [self.stdout, self.stderr].into_iter().flatten().min().unwrap_or(u64::MAX).min(self.offset)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    positions: usize,
    /// Of everything after this line.
    crc32c: u32,
}

/// What a start finds.
pub(super) enum Found {
    /// There was none.
    First,
    Positions(Vec<Position>),
    /// Not readable, and put aside: why.
    Bad(String),
}

/// A version of a later program is an error: what it means is not known here, and to begin anew would send everything again.
pub(super) fn load(disk: &dyn Disk, folder: &Path) -> Result<Found, super::TailError> {
    let path = folder.join(FILE);
    if !disk.exists(&path)? {
        return Ok(Found::First);
    }
    let read = disk.read(&path, MAX_BYTES)?;
    match parse(&read) {
        Ok(positions) => Ok(Found::Positions(positions)),
        Err(Bad::Newer(version)) => Err(super::TailError::Newer { path, version, ours: VERSION }),
        Err(Bad::Broken(why)) => {
            disk.rename(&path, &folder.join(BAD))?;
            disk.sync_folder(folder)?;
            Ok(Found::Bad(format!(
                "{} cannot be read ({why}); it is kept as {BAD}, and all logs are read again",
                path.display()
            )))
        }
    }
}

enum Bad {
    Newer(u32),
    Broken(String),
}

fn parse(bytes: &[u8]) -> Result<Vec<Position>, Bad> {
    let broken = |why: &str| Bad::Broken(why.to_owned());
    let end = memchr::memchr(b'\n', bytes).ok_or_else(|| broken("no first line"))?;
    let (head, rest) = (&bytes[..end], &bytes[end + 1..]);
    let head: Head = serde_json::from_slice(head).map_err(|error| Bad::Broken(error.to_string()))?;
    if head.version != VERSION {
        return Err(Bad::Newer(head.version));
    }
    if crc32c::crc32c(rest) != head.crc32c {
        return Err(broken("its checksum is wrong"));
    }
    let lines = rest.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let positions: Result<Vec<Position>, _> = lines.map(serde_json::from_slice).collect();
    let positions = positions.map_err(|error| Bad::Broken(error.to_string()))?;
    if positions.len() == head.positions { Ok(positions) } else { Err(broken("lines are missing")) }
}

/// Replaces the file; durable on return.
pub(super) fn store(disk: &dyn Disk, folder: &Path, positions: &[Position]) -> Result<(), DiskError> {
    let mut rest = String::new();
    for position in positions {
        // Plain fields: neither can fail.
        let _ = writeln!(rest, "{}", serde_json::to_string(position).unwrap_or_default());
    }
    let head = Head { version: VERSION, positions: positions.len(), crc32c: crc32c::crc32c(rest.as_bytes()) };
    let text = format!("{}\n{rest}", serde_json::to_string(&head).unwrap_or_default());
    replace_file(disk, &folder.join(FILE), text.as_bytes())
}
