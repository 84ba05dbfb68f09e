//! A folder of Prometheus: which blocks there are, and what else holds samples and is not read here.

use std::path::{Path, PathBuf};

use base_world::World;

use crate::block_read::BlockReader;
use crate::error::Result;
use crate::meta::{self, BlockMeta};
use crate::ulid::is_ulid;

/// A block and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundBlock {
    pub folder: PathBuf,
    pub meta: BlockMeta,
}

/// What was found in a data folder, a snapshot, or a block itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataFolder {
    /// Oldest first.
    pub blocks: Vec<FoundBlock>,
    /// What is there and not read, each a sentence.
    pub left_out: Vec<String>,
}

impl DataFolder {
    pub fn open(world: &World, folder: &Path) -> Result<Self> {
        let disk = &*world.disk;
        let mut found = DataFolder::default();
        if disk.exists(&folder.join(meta::FILE))? {
            found.add(world, folder)?;
            return Ok(found);
        }
        for entry in disk.list(folder)?.iter().filter(|entry| entry.is_folder) {
            let path = folder.join(&entry.name);
            match &*entry.name {
                name if is_ulid(name) && disk.exists(&path.join(meta::FILE))? => found.add(world, &path)?,
                name if is_ulid(name) => {
                    found.left_out.push(format!("{}: it has no meta.json, so it is no finished block", path.display()));
                }
                name if name.contains(".tmp") && name.split('.').next().is_some_and(is_ulid) => {
                    found.left_out.push(format!("{}: a block that was being made or deleted", path.display()));
                }
                "wal" => {
                    let mut bytes = 0;
                    for log in [path.clone(), folder.join("chunks_head"), folder.join("wbl")] {
                        let files = if disk.exists(&log)? { disk.list(&log)? } else { Vec::new() };
                        bytes += files.iter().map(|file| file.len).sum::<u64>();
                    }
                    if bytes > 0 {
                        found.left_out.push(format!(
                            "{}: the log ({bytes} bytes), which holds the newest samples, up to three hours, that are in \
                             no block yet; to have them too, make a snapshot of the running Prometheus \
                             (`curl -XPOST http://…/api/v1/admin/tsdb/snapshot`) and import that",
                            path.display()
                        ));
                    }
                }
                _ => {}
            }
        }
        found.blocks.sort_by(|a, b| (a.meta.min_time, &a.meta.ulid).cmp(&(b.meta.min_time, &b.meta.ulid)));
        Ok(found)
    }

    fn add(&mut self, world: &World, folder: &Path) -> Result<()> {
        let meta = BlockReader::open(world, folder)?.meta().clone();
        self.blocks.push(FoundBlock { folder: folder.to_path_buf(), meta });
        Ok(())
    }
}
