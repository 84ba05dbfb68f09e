//! The file `tombstones`: what was deleted of a block and still lies in it.

use std::collections::BTreeMap;
use std::path::Path;

use base_signal::RangeMs;
use base_world::Disk;

use crate::bytes::{Malformed, Reader};
use crate::error::{Result, TsdbError};

const FILE: &str = "tombstones";
const MAGIC: u32 = 0x0130_BA30;
const VERSION: u8 = 1;
/// Half a million deletions.
const BYTES_MAX: u64 = 16 << 20;

/// By series, as the index names them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tombstones(BTreeMap<u64, Vec<RangeMs>>);

impl Tombstones {
    /// None when there is no such file.
    pub(crate) fn read(disk: &dyn Disk, block: &Path) -> Result<Self> {
        let path = block.join(FILE);
        if !disk.exists(&path)? {
            return Ok(Tombstones::default());
        }
        let bytes = disk.read(&path, BYTES_MAX)?;
        let corrupt = |why: String| TsdbError::corrupt(&path, "its deletions", why);
        let Some((body, sum)) = bytes.len().checked_sub(4).map(|at| bytes.split_at(at)) else {
            return Err(corrupt(format!("the file ends after {} bytes", bytes.len())));
        };
        let mut from = Reader::new(body);
        let head = (from.u32("magic").unwrap_or(0), from.u8("version").unwrap_or(0));
        if head != (MAGIC, VERSION) {
            return Err(corrupt("this is no file of deletions of version 1".into()));
        }
        let rest = body.get(from.position()..).unwrap_or_default();
        if crc32c::crc32c(rest).to_be_bytes() != sum {
            return Err(corrupt("its checksum does not hold".into()));
        }
        let mut all = BTreeMap::<u64, Vec<RangeMs>>::new();
        let mut read = || -> std::result::Result<(), Malformed> {
            while !from.is_empty() {
                let id = from.uvarint("a series")?;
                let range = RangeMs::new(from.varint("a time")?, from.varint("a time")?);
                all.entry(id).or_default().push(range);
            }
            Ok(())
        };
        read().map_err(|error| corrupt(error.to_string()))?;
        all.values_mut().for_each(merge);
        Ok(Tombstones(all))
    }

    /// What was deleted of a series.
    pub(crate) fn of(&self, id: u64) -> Deleted<'_> {
        Deleted(self.0.get(&id).map_or(&[], Vec::as_slice))
    }
}

/// Puts them in order and makes one of those that touch.
fn merge(ranges: &mut Vec<RangeMs>) {
    ranges.sort_by_key(|range| range.start_ms);
    ranges.dedup_by(|next, before| {
        let one = next.start_ms <= before.end_ms;
        if one {
            before.end_ms = before.end_ms.max(next.end_ms);
        }
        one
    });
}

/// Ranges in order that do not touch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deleted<'a>(&'a [RangeMs]);

impl Deleted<'_> {
    pub(crate) fn contains(self, time_ms: i64) -> bool {
        let before = self.0.partition_point(|range| range.start_ms <= time_ms);
        before.checked_sub(1).and_then(|last| self.0.get(last)).is_some_and(|range| range.contains(time_ms))
    }
}
