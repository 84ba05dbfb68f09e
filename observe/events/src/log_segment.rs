//! A segment of log lines: written sorted by stream and time, read block by block. Layout: `docs/formats/event-segment.md`.
//! Knows nothing of heads, queries or the manifest.

use std::path::Path;
use std::sync::Arc;

use base_signal::{Labels, RangeNs};
use base_world::World;
use observe_block::codec::{self, Malformed, Reader};
use observe_block::{BlockError, Codec, SegmentKind, SegmentReader, SegmentSummary, SegmentWriter};
use parking_lot::Mutex;

use crate::columns::LogColumns;
use crate::filter::{FilterBuilder, may_contain};
use crate::pack::{self, Place};

const LINES: &str = "lines";
const FILTERS: &str = "filters";
const STREAMS: &str = "streams";
const BLOCKS: &str = "blocks";
/// A block ends with its stream when it is at least this part of a whole one; smaller streams share blocks.
const SHARE: usize = 4;

#[derive(Clone, Debug, Default)]
pub(crate) struct BlockMeta {
    lines: Place,
    filter: Place,
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

/// Writes lines that come sorted by (labels, time, arrival), without duplicates.
pub(crate) struct LogSegmentWriter {
    writer: SegmentWriter,
    block_bytes: usize,
    open: LogColumns,
    filter: FilterBuilder,
    filters: Vec<Vec<u8>>,
    blocks: Vec<BlockMeta>,
    streams: Vec<StreamMeta>,
    rows: u64,
    level: u8,
}

impl LogSegmentWriter {
    pub(crate) fn create(
        world: &World,
        path: &Path,
        tenant: &str,
        level: u8,
        block_bytes: usize,
    ) -> Result<Self, BlockError> {
        let mut writer = SegmentWriter::create(world, path, SegmentKind::Logs, tenant)?;
        writer.begin(LINES);
        Ok(LogSegmentWriter {
            writer,
            block_bytes,
            open: LogColumns::default(),
            filter: FilterBuilder::default(),
            filters: Vec::new(),
            blocks: Vec::new(),
            streams: Vec::new(),
            rows: 0,
            level,
        })
    }

    pub(crate) fn push(&mut self, labels: &Labels, from: &LogColumns, row: usize) -> Result<(), BlockError> {
        let (Some(time_ns), Some(arrival)) = (from.times_ns.get(row).copied(), from.arrivals.get(row).copied()) else {
            return Ok(());
        };
        match self.streams.last_mut().filter(|stream| stream.labels == *labels) {
            Some(stream) => stream.time_max = time_ns,
            None => {
                if self.open.size_bytes() >= self.block_bytes / SHARE {
                    self.close_block()?;
                }
                self.streams.push(StreamMeta { labels: labels.clone(), time_min: time_ns, time_max: time_ns });
            }
        }
        let (line, metadata) = (from.line(row), from.metadata(row));
        self.open.push(self.streams.len() as u32 - 1, time_ns, arrival, line, metadata);
        self.filter.add_line(line);
        metadata.iter().for_each(|(name, value)| self.filter.add_pair(name, value));
        self.rows += 1;
        if self.open.size_bytes() >= self.block_bytes {
            self.close_block()?;
        }
        Ok(())
    }

    fn close_block(&mut self) -> Result<(), BlockError> {
        let columns = std::mem::take(&mut self.open);
        if columns.is_empty() {
            return Ok(());
        }
        let lines = pack::push(&mut self.writer, &columns.encode())?;
        self.filters.push(self.filter.finish());
        self.blocks.push(BlockMeta {
            lines,
            filter: Place::default(),
            stream_first: columns.streams.first().copied().unwrap_or(0),
            stream_last: columns.streams.last().copied().unwrap_or(0),
            time_min: columns.times_ns.iter().min().copied().unwrap_or(0),
            time_max: columns.times_ns.iter().max().copied().unwrap_or(0),
        });
        Ok(())
    }

    /// Durable on return: summary and size.
    pub(crate) fn finish(mut self) -> Result<(SegmentSummary, u64), BlockError> {
        self.close_block()?;
        self.writer.begin(FILTERS);
        for (block, filter) in self.blocks.iter_mut().zip(&self.filters) {
            block.filter = pack::push_plain(&mut self.writer, filter)?;
        }
        let mut streams = Vec::new();
        codec::put_varint(&mut streams, self.streams.len() as u64);
        for stream in &self.streams {
            codec::put_bytes(&mut streams, stream.labels.as_bytes());
            codec::put_zigzag(&mut streams, stream.time_min);
            codec::put_zigzag(&mut streams, stream.time_max);
        }
        self.writer.section(STREAMS, Codec::Zstd, &streams)?;
        let mut blocks = Vec::new();
        codec::put_varint(&mut blocks, self.blocks.len() as u64);
        for block in &self.blocks {
            block.lines.encode(&mut blocks);
            block.filter.encode(&mut blocks);
            codec::put_varint(&mut blocks, u64::from(block.stream_first));
            codec::put_varint(&mut blocks, u64::from(block.stream_last));
            codec::put_zigzag(&mut blocks, block.time_min);
            codec::put_zigzag(&mut blocks, block.time_max);
        }
        self.writer.section(BLOCKS, Codec::Zstd, &blocks)?;
        let summary = SegmentSummary {
            time_min: self.blocks.iter().map(|block| block.time_min).min().unwrap_or(0),
            time_max: self.blocks.iter().map(|block| block.time_max).max().unwrap_or(0),
            rows: self.rows,
            series: self.streams.len() as u64,
            level: self.level,
        };
        let bytes = self.writer.finish(&summary)?;
        Ok((summary, bytes))
    }
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
