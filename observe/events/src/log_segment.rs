//! Reading a segment of log lines: tables in memory, blocks on demand. Written by `log_segment_write`. Layout:
//! `docs/formats/event-segment.md`.
//! Knows nothing of heads, queries or the manifest.

use std::path::Path;
use std::sync::Arc;

use base_signal::{Labels, RangeNs};
use base_world::World;
use observe_block::codec::{Malformed, Reader};
use observe_block::{BlockError, SegmentReader};
use parking_lot::Mutex;

use crate::columns::LogColumns;
use crate::filter::may_contain;
use crate::pack::{self, Place};

pub(crate) const LINES: &str = "lines";
pub(crate) const FILTERS: &str = "filters";
pub(crate) const STREAMS: &str = "streams";
pub(crate) const BLOCKS: &str = "blocks";

#[derive(Clone, Debug, Default)]
pub(crate) struct BlockMeta {
    pub(crate) lines: Place,
    pub(crate) filter: Place,
    /// Streams in the block: all from first to last, by number.
    pub(crate) stream_first: u32,
    pub(crate) stream_last: u32,
    pub(crate) time_min: i64,
    pub(crate) time_max: i64,
}

impl BlockMeta {
    pub(crate) fn range(&self) -> RangeNs {
        RangeNs::new(self.time_min, self.time_max)
    }

    pub(crate) fn raw_bytes(&self) -> u64 {
        u64::from(self.lines.raw_bytes)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct StreamMeta {
    pub(crate) labels: Labels,
    pub(crate) time_min: i64,
    pub(crate) time_max: i64,
}

/// An open segment: its tables are in memory, its lines are not.
pub(crate) struct LogSegment {
    pub(crate) id: u64,
    pub(crate) reader: SegmentReader,
    /// Sorted by labels.
    pub(crate) streams: Vec<StreamMeta>,
    /// By stream and time.
    pub(crate) blocks: Vec<BlockMeta>,
    pub(crate) index_bytes: u64,
    /// The first damage that a reader found.
    pub(crate) damage: Mutex<Option<BlockError>>,
}

impl LogSegment {
    pub(crate) fn open(world: &World, path: &Path, id: u64) -> Result<Self, BlockError> {
        let reader = SegmentReader::open(world, path)?;
        let malformed = |section: &'static str, e: Malformed| reader.corrupt(section, e.to_string());
        let streams = take_streams(&reader.read(STREAMS)?).map_err(|e| malformed(STREAMS, e))?;
        let blocks = take_blocks(&reader.read(BLOCKS)?).map_err(|e| malformed(BLOCKS, e))?;
        let labels: usize = streams.iter().map(|stream| stream.labels.as_bytes().len() + 64).sum();
        let index_bytes = (labels + blocks.len() * size_of::<BlockMeta>()) as u64;
        Ok(LogSegment { id, reader, streams, blocks, index_bytes, damage: Mutex::new(None) })
    }

    /// Whether the block may hold all of the hashes.
    pub(crate) fn may_hold(&self, block: &BlockMeta, hashes: &[u64]) -> Result<bool, BlockError> {
        if hashes.is_empty() {
            return Ok(true);
        }
        let bits = self.noted(pack::read(&self.reader, FILTERS, block.filter))?;
        Ok(hashes.iter().all(|hash| may_contain(&bits, *hash)))
    }

    pub(crate) fn read(&self, block: &BlockMeta) -> Result<Arc<LogColumns>, BlockError> {
        let bytes = self.noted(pack::read(&self.reader, LINES, block.lines))?;
        let columns = LogColumns::decode(&bytes).map_err(|e| self.reader.corrupt(LINES, e.to_string()));
        self.noted(columns.map(Arc::new))
    }

    /// Blocks that hold lines of the stream.
    pub(crate) fn blocks_of(&self, stream: u32) -> impl Iterator<Item = (usize, &BlockMeta)> {
        let from = self.blocks.partition_point(|block| block.stream_last < stream);
        let blocks = self.blocks.iter().enumerate().skip(from);
        blocks.take_while(move |(_, block)| block.stream_first <= stream)
    }

    fn noted<T>(&self, result: Result<T, BlockError>) -> Result<T, BlockError> {
        if let Err(error) = &result
            && error.is_corrupt()
        {
            self.damage.lock().get_or_insert_with(|| error.clone());
        }
        result
    }
}

fn take_streams(bytes: &[u8]) -> Result<Vec<StreamMeta>, Malformed> {
    let mut from = Reader::new(bytes);
    let count = from.count("streams")?;
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        let labels = Labels::from_bytes(from.bytes("labels")?).ok_or_else(|| from.malformed("labels"))?;
        streams.push(StreamMeta { labels, time_min: from.zigzag("time")?, time_max: from.zigzag("time")? });
    }
    Ok(streams)
}

fn take_blocks(bytes: &[u8]) -> Result<Vec<BlockMeta>, Malformed> {
    let mut from = Reader::new(bytes);
    let count = from.count("blocks")?;
    let mut blocks = Vec::with_capacity(count);
    for _ in 0..count {
        blocks.push(BlockMeta {
            lines: Place::decode(&mut from)?,
            filter: Place::decode(&mut from)?,
            stream_first: from.varint_u32("first stream")?,
            stream_last: from.varint_u32("last stream")?,
            time_min: from.zigzag("time")?,
            time_max: from.zigzag("time")?,
        });
    }
    Ok(blocks)
}
