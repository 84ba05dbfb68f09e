//! The blocks of Prometheus: written from any source of metrics, and read back as batches.
//!
//! A block is a folder of series and chunks over a range of time, as the documents of Prometheus describe it
//! (tsdb/docs/format in github.com/prometheus/prometheus). What is written here is what every Prometheus since 2.40 reads:
//! index version 2, chunks of floats, histograms and float histograms. It knows no store, no command and no log of
//! Prometheus (`wal`, `chunks_head`), which it only names.

mod bits;
mod block_read;
mod block_write;
mod bytes;
mod chunk;
mod chunk_files;
mod data_folder;
mod error;
mod export;
mod float_histogram;
mod histogram;
mod index_read;
mod index_write;
mod layout;
mod meta;
mod output;
mod symbols;
#[cfg(test)]
mod tests;
mod tombstones;
mod ulid;
mod varbit;
mod window;
mod xor;
mod xor2;

pub use block_read::{BlockBatches, BlockReader};
pub use data_folder::{DataFolder, FoundBlock};
pub use error::TsdbError;
pub use export::{BLOCK_MS, Export, Exported, export};
pub use meta::{BlockMeta, BlockStats};
