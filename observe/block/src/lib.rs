//! WAL, segment files, manifest, checksums and the compaction timetable, shared by the metric store and the event store.
//!
//! It knows frames, records and sections as bytes with a kind and a tenant. It does not know what a sample, a log line or
//! a span is, it starts no threads, and it reaches the disk through `base-world` only. Formats: `docs/formats/`.

pub mod codec;
mod error;
mod frame;
mod manifest;
mod segment_read;
mod segment_write;
#[cfg(test)]
mod tests;
mod timetable;
mod wal;
mod wal_scan;
pub mod zstd_context;

pub use error::{BlockError, Damage};
pub use frame::{Frame, FrameBuilder, Record, RecordKind};
pub use manifest::{Manifest, SegmentMeta, quarantine, remove_orphans};
pub use segment_read::SegmentReader;
pub use segment_write::{Codec, SegmentKind, SegmentSummary, SegmentWriter};
pub use timetable::{Timetable, Work, plan};
pub use wal::{Lsn, SyncHandle, Wal, WalCursor, WalSettings};
pub use wal_scan::{Replay, WalReport};
