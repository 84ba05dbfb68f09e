//! Reading a segment: header and table of contents are verified at open, a section when it is read.
//! Any number of threads may read one reader; it holds an open file and its table of contents, no data.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base_world::{File, World};

use crate::codec::{Malformed, Reader};
use crate::error::BlockError;
use crate::segment_write::{Codec, FOOTER_BYTES, HEADER_BYTES, MAGIC, Section, SegmentKind, SegmentSummary, VERSION};
use crate::zstd_context::unpack;

/// Larger tables of contents and sections than these are not ours.
const TOC_BYTES_MAX: u32 = 64 << 20;
const SECTION_BYTES_MAX: u64 = 4 << 30;

type Result<T> = std::result::Result<T, BlockError>;

/// An open segment.
pub struct SegmentReader {
    path: PathBuf,
    file: Arc<dyn File>,
    kind: SegmentKind,
    tenant: String,
    summary: SegmentSummary,
    sections: Vec<Section>,
    bytes: u64,
}

impl SegmentReader {
    pub fn open(world: &World, path: &Path) -> Result<Self> {
        let file = world.disk.open(path)?;
        let bytes = file.len()?;
        let corrupt = |part: &str, why: &str| BlockError::corrupt(path, part, why);
        if bytes < (HEADER_BYTES + FOOTER_BYTES) as u64 {
            return Err(corrupt("its length", "it is shorter than an empty segment"));
        }
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(0, &mut header)?;
        let kind = read_header(path, &header)?;
        let mut footer = [0; FOOTER_BYTES];
        let footer_at = bytes - FOOTER_BYTES as u64;
        file.read_exact_at(footer_at, &mut footer)?;
        let (toc_at, toc_len, toc_crc) =
            read_footer(&footer).map_err(|e| BlockError::corrupt(path, "footer", e.to_string()))?;
        if toc_len > TOC_BYTES_MAX || toc_at.checked_add(u64::from(toc_len)) != Some(footer_at) {
            return Err(corrupt("footer", "the table of contents is not where it says"));
        }
        let mut toc = vec![0; usize::try_from(toc_len).unwrap_or(0)];
        file.read_exact_at(toc_at, &mut toc)?;
        if crc32c::crc32c(&toc) != toc_crc {
            return Err(corrupt("table of contents", "checksum differs"));
        }
        let (tenant, summary, sections) =
            read_toc(&toc, toc_at).map_err(|e| BlockError::corrupt(path, "table of contents", e.to_string()))?;
        Ok(Self { path: path.to_path_buf(), file, kind, tenant, summary, sections, bytes })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn kind(&self) -> SegmentKind {
        self.kind
    }

    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    pub fn summary(&self) -> &SegmentSummary {
        &self.summary
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn has(&self, name: &str) -> bool {
        self.sections.iter().any(|section| section.name == name)
    }

    /// Length of a section when unpacked.
    pub fn section_bytes(&self, name: &str) -> Option<u64> {
        self.sections.iter().find(|section| section.name == name).map(|section| section.raw_bytes)
    }

    /// A whole section, verified and unpacked. `Corrupt` names the file and the section.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        let section = self.find(name)?;
        let mut stored = vec![0; usize::try_from(section.stored_bytes).unwrap_or(0)];
        self.file.read_exact_at(section.offset, &mut stored)?;
        if crc32c::crc32c(&stored) != section.crc {
            return Err(self.corrupt(name, "checksum differs"));
        }
        match section.codec {
            Codec::Plain => Ok(stored),
            Codec::Zstd => {
                let raw_bytes = usize::try_from(section.raw_bytes).unwrap_or(0);
                let raw = unpack(&stored, raw_bytes);
                raw.filter(|raw| raw.len() == raw_bytes).ok_or_else(|| self.corrupt(name, "zstd cannot unpack it"))
            }
        }
    }

    /// A part of a plain section. Not verified: the store's pages carry a checksum of their own.
    pub fn read_part(&self, name: &str, offset: u64, len: usize) -> Result<Vec<u8>> {
        let section = self.find(name)?;
        let end = offset.checked_add(len as u64);
        if section.codec != Codec::Plain || end.is_none_or(|end| end > section.stored_bytes) {
            return Err(self.corrupt(name, format!("no {len} plain bytes at {offset}")));
        }
        let mut bytes = vec![0; len];
        self.file.read_exact_at(section.offset + offset, &mut bytes)?;
        Ok(bytes)
    }

    /// An error that names this file and the section, for what the store finds wrong inside it.
    pub fn corrupt(&self, name: &str, why: impl Into<String>) -> BlockError {
        BlockError::corrupt(&self.path, format!("section {name:?}"), why)
    }

    fn find(&self, name: &str) -> Result<&Section> {
        let found = self.sections.iter().find(|section| section.name == name);
        found.ok_or_else(|| self.corrupt(name, "there is no such section"))
    }
}

fn read_header(path: &Path, header: &[u8; HEADER_BYTES]) -> Result<SegmentKind> {
    let corrupt = |why: &str| BlockError::corrupt(path, "header", why);
    let mut reader = Reader::new(header);
    let parse = |reader: &mut Reader<'_>| -> std::result::Result<_, Malformed> {
        let magic = reader.take(8, "magic")? == MAGIC;
        let version = u16::from(reader.u8("version")?) | u16::from(reader.u8("version")?) << 8;
        let (kind, _reserved) = (reader.u8("kind")?, reader.u8("reserved")?);
        Ok((magic, version, kind, reader.u32("crc")?))
    };
    let (magic, version, kind, crc) = parse(&mut reader).map_err(|e| corrupt(&e.to_string()))?;
    if !magic {
        return Err(corrupt("it does not begin as a segment does"));
    }
    if header.get(..HEADER_BYTES - 4).map(crc32c::crc32c) != Some(crc) {
        return Err(corrupt("checksum differs"));
    }
    if version > VERSION {
        let path = path.to_path_buf();
        let (found, known) = (u32::from(version), u32::from(VERSION));
        return Err(BlockError::Version { path, what: "segment", found, known });
    }
    SegmentKind::from_byte(kind).ok_or_else(|| corrupt("it is of an unknown kind"))
}

fn read_footer(footer: &[u8]) -> std::result::Result<(u64, u32, u32), Malformed> {
    let mut reader = Reader::new(footer);
    let (at, len, crc) = (reader.u64("offset")?, reader.u32("length")?, reader.u32("checksum")?);
    if reader.take(8, "magic")? == MAGIC { Ok((at, len, crc)) } else { Err(reader.malformed("end mark")) }
}

fn read_toc(toc: &[u8], toc_at: u64) -> std::result::Result<(String, SegmentSummary, Vec<Section>), Malformed> {
    let mut reader = Reader::new(toc);
    let tenant = reader.str("tenant")?.to_owned();
    let summary = SegmentSummary {
        time_min: reader.zigzag("time_min")?,
        time_max: reader.zigzag("time_max")?,
        rows: reader.varint("rows")?,
        series: reader.varint("series")?,
        level: reader.u8("level")?,
    };
    let count = reader.count("sections")?;
    let mut sections = Vec::with_capacity(count);
    for _ in 0..count {
        let name = reader.str("section name")?.to_owned();
        let (offset, stored_bytes) = (reader.varint("section offset")?, reader.varint("section length")?);
        let raw_bytes = reader.varint("section raw length")?;
        let codec = Codec::from_byte(reader.u8("section codec")?).ok_or_else(|| reader.malformed("section codec"))?;
        let crc = reader.u32("section checksum")?;
        let inside = offset.checked_add(stored_bytes).is_some_and(|end| end <= toc_at);
        if !inside || raw_bytes > SECTION_BYTES_MAX {
            return Err(reader.malformed("section range"));
        }
        sections.push(Section { name, offset, stored_bytes, raw_bytes, codec, crc });
    }
    Ok((tenant, summary, sections))
}
