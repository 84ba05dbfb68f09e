//! What a person may set of the event store, and its defaults. Knows no files.

use observe_block::{Timetable, WalSettings};

const HOUR_MS: i64 = 3_600_000;
pub(crate) const NS_PER_MS: i64 = 1_000_000;

/// Limits of one store. All of memory and disk is bounded by these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The store's share of memory: half of it for the newest data, the rest for tables of contents and room to work.
    pub memory_bytes: u64,
    /// Older lines and spans are refused, not answered, and dropped; `None` keeps them.
    pub retention_ms: Option<i64>,
    /// Disk for segments and log together; the oldest segments go first.
    pub retention_bytes: Option<u64>,
    /// How far ahead of the clock a line or span may be.
    pub future_ms: i64,
    /// Longer lines are refused (Loki's limit).
    pub line_bytes_max: usize,
    /// Larger spans, attributes and events included, are refused.
    pub span_bytes_max: usize,
    /// A flush is due when the log holds so much: it bounds the time of a replay.
    pub wal_bytes_max: u64,
    pub wal: WalSettings,
    /// Segments are kept within windows of this length.
    pub window_ms: i64,
    /// So many small segments make a larger one.
    pub fan_in: usize,
    pub merge_bytes_max: u64,
    /// Lines are packed in blocks of about this size before compression, spans in groups of it.
    pub block_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            retention_ms: Some(15 * 24 * HOUR_MS),
            retention_bytes: None,
            future_ms: 10 * 60_000,
            line_bytes_max: 256 << 10,
            span_bytes_max: 1 << 20,
            wal_bytes_max: 64 << 20,
            wal: WalSettings::default(),
            window_ms: 24 * HOUR_MS,
            fan_in: 6,
            merge_bytes_max: 1 << 30,
            // Large enough for zstd, small enough that a needle costs little and many streams can be read at once.
            block_bytes: 256 << 10,
        }
    }
}

impl Settings {
    pub(crate) fn head_bytes_max(&self) -> u64 {
        self.memory_bytes / 2
    }

    pub(crate) fn window_ns(&self) -> i64 {
        self.window_ms.saturating_mul(NS_PER_MS).max(1)
    }

    /// `wal_bytes`: what the log takes of the disk's share. A large write makes the log large for a moment; it must not cost all that is stored. Times in nanoseconds.
    pub(crate) fn timetable(&self, wal_bytes: u64) -> Timetable {
        Timetable {
            retention_age: self.retention_ms.map(|ms| ms.saturating_mul(NS_PER_MS)),
            retention_bytes: self.retention_bytes.map(|bytes| bytes.saturating_sub(wal_bytes).max(bytes / 2)),
            window: self.window_ns(),
            fan_in: self.fan_in,
            merge_bytes_max: self.merge_bytes_max,
        }
    }
}
