//! `meta.json`: what a block says of itself.

use std::path::Path;

use base_world::Disk;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TsdbError};

pub(crate) const FILE: &str = "meta.json";
/// A block that was compacted often names many parents.
const BYTES_MAX: u64 = 16 << 20;
const VERSION: u32 = 1;

/// What a block holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    pub ulid: String,
    /// Unix ms.
    pub min_time: i64,
    /// Unix ms, behind the last sample.
    pub max_time: i64,
    #[serde(default)]
    pub stats: BlockStats,
    #[serde(default)]
    pub(crate) compaction: Compaction,
    pub(crate) version: u32,
}

/// How much it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Floats and histograms.
    pub num_samples: u64,
    pub num_float_samples: u64,
    pub num_histogram_samples: u64,
    pub num_series: u64,
    pub num_chunks: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Compaction {
    pub(crate) level: u32,
    pub(crate) sources: Vec<String>,
}

impl BlockMeta {
    pub(crate) fn new(ulid: String, (min_time, max_time): (i64, i64), stats: BlockStats) -> Self {
        let compaction = Compaction { level: 1, sources: vec![ulid.clone()] };
        BlockMeta { ulid, min_time, max_time, stats, compaction, version: VERSION }
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        // Of strings and numbers only: it cannot fail.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    pub(crate) fn read(disk: &dyn Disk, folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = disk.read(&path, BYTES_MAX)?;
        let meta: BlockMeta =
            serde_json::from_slice(&text).map_err(|error| TsdbError::corrupt(&path, "its JSON", error.to_string()))?;
        if meta.version != VERSION {
            let what = format!("version {}", meta.version);
            return Err(TsdbError::Unsupported { path, what, hint: "version 1 is the only one known" });
        }
        Ok(meta)
    }
}
