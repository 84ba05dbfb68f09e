//! Writing a segment of log lines, sorted by stream and time. Layout: `docs/formats/event-segment.md`.

use std::path::Path;

use base_signal::Labels;
use base_world::World;
use observe_block::codec;
use observe_block::{BlockError, Codec, SegmentKind, SegmentSummary, SegmentWriter};

use crate::columns::LogColumns;
use crate::filter::FilterBuilder;
use crate::log_segment::{BLOCKS, BlockMeta, FILTERS, LINES, STREAMS, StreamMeta};
use crate::pack::{self, Place};

/// A block ends with its stream when it is at least this part of a whole one; smaller streams share blocks.
const SHARE: usize = 4;

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

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
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
