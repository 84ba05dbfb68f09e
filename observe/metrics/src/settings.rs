//! What a person may set of the metric store, and its defaults. Knows no files.

use observe_block::{Timetable, WalSettings};

const HOUR_MS: i64 = 3_600_000;

/// Limits of one store. All of memory and disk is bounded by these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The store's share of memory: half of it for the newest data, a quarter for indexes of segments.
    pub memory_bytes: u64,
    /// Older samples are refused, not answered, and dropped; `None` keeps them.
    pub retention_ms: Option<i64>,
    /// Disk for segments and log together; the oldest segments go first.
    pub retention_bytes: Option<u64>,
    /// How far behind a series' newest sample one may still come.
    pub out_of_order_ms: i64,
    /// How far ahead of the clock a sample may be.
    pub future_ms: i64,
    /// Series in memory, of all tenants.
    pub series_max: usize,
    /// … of one tenant, of one metric of a tenant, of one `job` of a tenant; `None` for no limit but that of all.
    pub tenant_series_max: Option<usize>,
    pub metric_series_max: Option<usize>,
    pub job_series_max: Option<usize>,
    /// A flush is due when the log holds so much: it bounds the time of a replay.
    pub wal_bytes_max: u64,
    pub wal: WalSettings,
    /// Segments are kept within windows of this length.
    pub window_ms: i64,
    /// So many small segments make a larger one.
    pub fan_in: usize,
    pub merge_bytes_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            retention_ms: Some(15 * 24 * HOUR_MS),
            retention_bytes: None,
            out_of_order_ms: HOUR_MS,
            // As Prometheus's remote write receiver.
            future_ms: 10 * 60_000,
            series_max: 5_000_000,
            tenant_series_max: None,
            metric_series_max: None,
            job_series_max: None,
            // About two million samples: replayed in a fraction of a second.
            wal_bytes_max: 32 << 20,
            wal: WalSettings::default(),
            window_ms: 24 * HOUR_MS,
            fan_in: 6,
            merge_bytes_max: 1 << 30,
        }
    }
}

impl Settings {
    pub(crate) fn head_bytes_max(&self) -> u64 {
        self.memory_bytes / 2
    }

    pub(crate) fn index_bytes_max(&self) -> u64 {
        self.memory_bytes / 4
    }

    /// `wal_bytes`: what the log takes of the disk's share. A large write makes the log large for a moment; it must not cost all that is stored.
    pub(crate) fn timetable(&self, wal_bytes: u64) -> Timetable {
        Timetable {
            retention_age: self.retention_ms,
            retention_bytes: self.retention_bytes.map(|bytes| bytes.saturating_sub(wal_bytes).max(bytes / 2)),
            window: self.window_ms,
            fan_in: self.fan_in,
            merge_bytes_max: self.merge_bytes_max,
        }
    }
}
