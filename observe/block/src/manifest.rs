//! The manifest: which segments are live, and up to where they cover the log. See `docs/formats/manifest.md`.
//!
//! It is the one place where a change becomes true: new segments count once the manifest that names them is durable, and
//! only then may old segments be removed and the log be truncated.

use std::path::{Path, PathBuf};

use base_world::{Disk, replace_file};

use crate::codec::{self, Malformed, Reader};
use crate::error::{BlockError, Damage};
use crate::segment_write::SegmentKind;
use crate::wal::Lsn;

const NAME: &str = "MANIFEST";
/// The same bytes once more: one rotten sector must not cost all segments.
const COPY: &str = "MANIFEST.copy";
const MAGIC: &[u8; 8] = b"APMMAN\r\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 20;
const BYTES_MAX: u64 = 256 << 20;

type Result<T> = std::result::Result<T, BlockError>;

/// One live segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentMeta {
    /// Unique over the folder's life; the order of writing.
    pub id: u64,
    pub kind: SegmentKind,
    pub level: u8,
    pub tenant: String,
    /// File name inside the store's folder.
    pub file: String,
    /// Inclusive, in the store's unit.
    pub time_min: i64,
    pub time_max: i64,
    pub rows: u64,
    pub bytes: u64,
    /// The store's own notes; opaque here.
    pub extra: Vec<u8>,
}

/// The live segments and the log's position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Raised by every commit.
    pub generation: u64,
    /// Frames up to here are in the segments.
    pub wal_covered: Lsn,
    pub next_segment_id: u64,
    pub segments: Vec<SegmentMeta>,
    /// The store's own state, such as tombstones; opaque here.
    pub extra: Vec<u8>,
}

impl Manifest {
    /// Reads the folder's manifest; `None` in a new folder. A rotten one is replaced by its copy and reported.
    pub fn load(disk: &dyn Disk, folder: &Path) -> Result<(Option<Self>, Vec<Damage>)> {
        // What is read may be a rename that no sync has covered: make it durable before anything is built on it.
        disk.sync_folder(folder)?;
        let path = folder.join(NAME);
        let first = read(disk, &path);
        let (error, missing) = match first {
            Ok(Some(manifest)) => return Ok((Some(manifest), Vec::new())),
            Ok(None) => (BlockError::corrupt(&path, "its name", "it is gone, but its copy is there"), true),
            Err(error @ BlockError::Corrupt { .. }) => (error, false),
            Err(other) => return Err(other),
        };
        match read(disk, &folder.join(COPY)) {
            Ok(Some(manifest)) => {
                let what = format!("{error}; its copy of generation {} is used", manifest.generation);
                Ok((Some(manifest), vec![Damage { path, what }]))
            }
            _ if missing => Ok((None, Vec::new())),
            _ => Err(error),
        }
    }

    /// Makes this the folder's manifest, durably and in one step, and raises the generation. On error the old one is
    /// still in force on disk, or this one is: load it again before going on, unless the disk was merely full.
    pub fn commit(&mut self, disk: &dyn Disk, folder: &Path) -> Result<()> {
        let next = Self { generation: self.generation + 1, ..self.clone() };
        let bytes = next.encode();
        replace_file(disk, &folder.join(NAME), &bytes)?;
        self.generation = next.generation;
        // The copy is a spare wheel: its loss or age is no error, the next commit writes it again.
        let _ = replace_file(disk, &folder.join(COPY), &bytes);
        Ok(())
    }

    /// A fresh id for the next segment file. Ids given and not committed may be given again after a restart.
    pub fn take_segment_id(&mut self) -> u64 {
        self.next_segment_id += 1;
        self.next_segment_id
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        codec::put_u64(&mut body, self.generation);
        codec::put_u64(&mut body, self.wal_covered);
        codec::put_u64(&mut body, self.next_segment_id);
        codec::put_varint(&mut body, self.segments.len() as u64);
        for segment in &self.segments {
            codec::put_varint(&mut body, segment.id);
            body.extend_from_slice(&[segment.kind as u8, segment.level]);
            codec::put_bytes(&mut body, segment.tenant.as_bytes());
            codec::put_bytes(&mut body, segment.file.as_bytes());
            codec::put_zigzag(&mut body, segment.time_min);
            codec::put_zigzag(&mut body, segment.time_max);
            codec::put_varint(&mut body, segment.rows);
            codec::put_varint(&mut body, segment.bytes);
            codec::put_bytes(&mut body, &segment.extra);
        }
        codec::put_bytes(&mut body, &self.extra);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend_from_slice(MAGIC);
        codec::put_u32(&mut bytes, VERSION);
        codec::put_u32(&mut bytes, u32::try_from(body.len()).unwrap_or(u32::MAX));
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), &body);
        codec::put_u32(&mut bytes, crc);
        bytes.extend_from_slice(&body);
        bytes
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Manifest>> {
    if !disk.exists(path)? {
        return Ok(None);
    }
    let bytes = disk.read(path, BYTES_MAX)?;
    let body = body_of(path, &bytes)?;
    decode(body).map(Some).map_err(|e| BlockError::corrupt(path, "its entries", e.to_string()))
}

fn body_of<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a [u8]> {
    let corrupt = |why: &str| BlockError::corrupt(path, "header", why);
    let mut reader = Reader::new(bytes);
    let parse = |reader: &mut Reader<'a>| -> std::result::Result<_, Malformed> {
        let magic = reader.take(8, "magic")? == MAGIC;
        Ok((magic, reader.u32("version")?, reader.u32("length")?, reader.u32("checksum")?))
    };
    let (magic, version, len, crc) = parse(&mut reader).map_err(|e| corrupt(&e.to_string()))?;
    if !magic {
        return Err(corrupt("it does not begin as a manifest does"));
    }
    let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
    let head = bytes.get(..HEADER_BYTES - 4).unwrap_or_default();
    if body.len() as u64 != u64::from(len) || crc32c::crc32c_append(crc32c::crc32c(head), body) != crc {
        return Err(corrupt("length or checksum differs"));
    }
    if version > VERSION {
        let path = path.to_path_buf();
        return Err(BlockError::Version { path, what: "manifest", found: version, known: VERSION });
    }
    Ok(body)
}

fn decode(body: &[u8]) -> std::result::Result<Manifest, Malformed> {
    let mut reader = Reader::new(body);
    let (generation, wal_covered) = (reader.u64("generation")?, reader.u64("wal position")?);
    let next_segment_id = reader.u64("next segment id")?;
    let count = reader.count("segment count")?;
    let mut segments = Vec::with_capacity(count);
    for _ in 0..count {
        segments.push(SegmentMeta {
            id: reader.varint("id")?,
            kind: SegmentKind::from_byte(reader.u8("kind")?).ok_or_else(|| reader.malformed("kind"))?,
            level: reader.u8("level")?,
            tenant: reader.str("tenant")?.to_owned(),
            file: reader.str("file")?.to_owned(),
            time_min: reader.zigzag("time_min")?,
            time_max: reader.zigzag("time_max")?,
            rows: reader.varint("rows")?,
            bytes: reader.varint("bytes")?,
            extra: reader.bytes("extra")?.to_vec(),
        });
    }
    let extra = reader.bytes("extra")?.to_vec();
    Ok(Manifest { generation, wal_covered, next_segment_id, segments, extra })
}

/// Removes files that a crash left behind: names that `is_ours` claims and the manifest does not list, and everything
/// that ends in `.tmp`. Returns how many. Durable with the next folder sync; an orphan that comes back is removed again.
pub fn remove_orphans(
    disk: &dyn Disk,
    folder: &Path,
    manifest: &Manifest,
    is_ours: impl Fn(&str) -> bool,
) -> Result<usize> {
    let live: std::collections::BTreeSet<&str> = manifest.segments.iter().map(|s| s.file.as_str()).collect();
    let mut removed = 0;
    for entry in disk.list(folder)?.into_iter().filter(|entry| !entry.is_folder) {
        let orphan = entry.name.ends_with(".tmp") || (is_ours(&entry.name) && !live.contains(entry.name.as_str()));
        if orphan {
            disk.remove(&folder.join(&entry.name))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Moves a damaged file to `folder/quarantine/`, for a person to look at. Returns where it is now.
pub fn quarantine(disk: &dyn Disk, folder: &Path, path: &Path) -> Result<PathBuf> {
    let aside = folder.join("quarantine");
    disk.create_folder(&aside)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut to = aside.join(&name);
    let mut copies = 1;
    while disk.exists(&to)? {
        copies += 1;
        to = aside.join(format!("{name}.{copies}"));
    }
    disk.rename(path, &to)?;
    disk.sync_folder(&aside)?;
    disk.sync_folder(folder)?;
    Ok(to)
}
