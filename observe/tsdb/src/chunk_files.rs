//! The files of `chunks/`: segments of at most 512 MiB, in each the chunks with length, encoding and checksum.

use std::path::{Path, PathBuf};

use base_world::{Disk, World};

use crate::bytes::{Reader, put_uvarint};
use crate::chunk::{Chunk, READ};
use crate::error::{Result, TsdbError};
use crate::output::Output;
use crate::window::Window;

pub(crate) const FOLDER: &str = "chunks";
const MAGIC: u32 = 0x85BD_40DD;
const VERSION: u8 = 1;
const HEAD_BYTES: u64 = 8;
const SEGMENT_BYTES_MAX: u64 = 512 << 20;
/// Prometheus's chunks have about a kilobyte, with wide histograms some ten.
const CHUNK_BYTES_MAX: u64 = 16 << 20;
/// Five bytes of length, one of encoding, four of checksum.
const AROUND_BYTES_MAX: u64 = 10;

/// Writes chunks one behind the other.
pub(crate) struct ChunkWriter {
    world: World,
    folder: PathBuf,
    segment_bytes_max: u64,
    segments: u32,
    open: Option<Output>,
    pub(crate) bytes: u64,
}

impl ChunkWriter {
    /// Into a folder that is there and empty.
    pub(crate) fn new(world: &World, folder: PathBuf) -> Self {
        let segment_bytes_max = SEGMENT_BYTES_MAX;
        ChunkWriter { world: world.clone(), folder, segment_bytes_max, segments: 0, open: None, bytes: 0 }
    }

    #[cfg(test)]
    pub(crate) fn limit_segments(&mut self, bytes: u64) {
        self.segment_bytes_max = bytes;
    }

    /// The chunk's reference: which segment, and where in it.
    pub(crate) fn put(&mut self, chunk: &Chunk) -> Result<u64> {
        let mut bytes = Vec::with_capacity(chunk.data.len() + AROUND_BYTES_MAX as usize);
        put_uvarint(&mut bytes, chunk.data.len() as u64);
        let summed = bytes.len();
        bytes.push(chunk.encoding);
        bytes.extend_from_slice(&chunk.data);
        let sum = crc32c::crc32c(bytes.get(summed..).unwrap_or_default());
        bytes.extend_from_slice(&sum.to_be_bytes());
        let full = self.open.as_ref().map(|open| open.position() + bytes.len() as u64 > self.segment_bytes_max);
        if full != Some(false) {
            self.cut()?;
        }
        let Some(open) = &mut self.open else { return Ok(0) };
        let at = open.position();
        open.put(&bytes)?;
        Ok((u64::from(self.segments - 1) << 32) | at)
    }

    fn cut(&mut self) -> Result<()> {
        self.close()?;
        self.segments += 1;
        let mut open = Output::create(&*self.world.disk, &self.folder.join(format!("{:06}", self.segments)))?;
        open.put(&MAGIC.to_be_bytes())?;
        open.put(&[VERSION, 0, 0, 0])?;
        self.open = Some(open);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            self.bytes += open.finish()?;
        }
        Ok(())
    }

    /// Makes all of it durable.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.close()?;
        Ok(self.world.disk.sync_folder(&self.folder)?)
    }
}

/// Reads chunks by their references.
pub(crate) struct ChunkReader {
    segments: Vec<Window>,
    /// A block without `chunks/` may have an index without chunks.
    folder: PathBuf,
}

impl ChunkReader {
    pub(crate) fn open(disk: &dyn Disk, block: &Path) -> Result<Self> {
        let folder = block.join(FOLDER);
        let mut segments = Vec::new();
        let entries = if disk.exists(&folder)? { disk.list(&folder)? } else { Vec::new() };
        let is_segment = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        for entry in entries.iter().filter(|entry| !entry.is_folder && is_segment(&entry.name)) {
            let mut segment = Window::open(disk, &folder.join(&entry.name))?;
            let mut head = Reader::new(segment.read(0, HEAD_BYTES, "its first bytes")?);
            let (magic, version) = (head.u32("magic").unwrap_or(0), head.u8("version").unwrap_or(0));
            if magic != MAGIC {
                return Err(segment.corrupt("its first bytes", "this is no file of chunks"));
            }
            if version != VERSION {
                let (path, what) = (segment.path().to_path_buf(), format!("chunks of version {version}"));
                return Err(TsdbError::Unsupported { path, what, hint: "version 1 is the only one known" });
            }
            segments.push(segment);
        }
        Ok(ChunkReader { segments, folder })
    }

    /// Encoding and data, the checksum compared.
    pub(crate) fn chunk(&mut self, reference: u64) -> Result<(u8, Vec<u8>)> {
        let (number, at) = ((reference >> 32) as usize, reference & 0xffff_ffff);
        let count = self.segments.len();
        let Some(segment) = self.segments.get_mut(number) else {
            let why = format!("the index names a chunk of segment {}, and there are {count}", number + 1);
            return Err(TsdbError::corrupt(&self.folder, "its segments", why));
        };
        let part = || format!("the chunk at byte {at}");
        if at < HEAD_BYTES {
            return Err(segment.corrupt(part(), "a chunk cannot begin there"));
        }
        let (len, len_bytes) = segment.uvarint(at, &part())?;
        if len > CHUNK_BYTES_MAX {
            return Err(segment
                .corrupt(part(), format!("it says it has {len} bytes, more than the {CHUNK_BYTES_MAX} of any chunk")));
        }
        let bytes = segment.read(at + len_bytes, len + 5, &part())?;
        let (summed, sum) = bytes.split_at(bytes.len() - 4);
        if crc32c::crc32c(summed).to_be_bytes() != sum {
            return Err(segment.corrupt(part(), "its checksum does not hold"));
        }
        let (encoding, data) = (summed.first().copied().unwrap_or(0), summed.get(1..).unwrap_or_default().to_vec());
        if !READ.contains(&encoding) {
            let (path, what) = (segment.path().to_path_buf(), format!("a chunk of the unknown encoding {encoding}"));
            let hint = "take the data over by remote write or remote read";
            return Err(TsdbError::Unsupported { path, what, hint });
        }
        Ok((encoding, data))
    }

    /// For an error about a chunk whose bytes hold their checksum.
    pub(crate) fn corrupt(&self, reference: u64, why: impl Into<String>) -> TsdbError {
        let path = self.segments.get((reference >> 32) as usize).map_or(&*self.folder, Window::path);
        TsdbError::corrupt(path, format!("the chunk at byte {}", reference & 0xffff_ffff), why)
    }
}
