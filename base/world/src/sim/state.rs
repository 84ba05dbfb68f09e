//! What the simulated disk remembers: for each file what is seen now and what would survive, and the same for names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::Rng;

/// The unit a disk writes in one piece.
const SECTOR_BYTES: usize = 512;

pub(super) type NodeId = u64;

/// A change of a file's bytes that no sync has covered yet.
pub(super) enum Pending {
    Write { offset: usize, bytes: Vec<u8> },
    Resize { len: usize },
}

#[derive(Default)]
pub(super) struct Node {
    pub(super) identity: u64,
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Pending>,
}

impl Node {
    pub(super) fn apply(&mut self, change: Pending) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// A failed sync: the system believes the pages clean and will never write them (the "fsyncgate" of 2018).
    pub(super) fn fail_sync(&mut self) {
        self.pending.clear();
    }

    /// What a power cut leaves: with a generator any subset of the unsynced sectors, in any order; else none of them.
    pub(super) fn lose_power(&mut self, keep: Option<(&mut Rng, u64)>) {
        if let Some((rng, percent)) = keep {
            for change in std::mem::take(&mut self.pending) {
                change.apply_torn(&mut self.durable, rng, percent);
            }
        }
        self.pending.clear();
        self.seen.clone_from(&self.durable);
    }
}

impl Pending {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Resize { len } => to.resize(*len, 0),
            Self::Write { offset, bytes } => put(to, *offset, bytes),
        }
    }

    fn apply_torn(&self, to: &mut Vec<u8>, rng: &mut Rng, percent: u64) {
        match self {
            Self::Resize { .. } => {
                if rng.chance(percent) {
                    self.apply(to);
                }
            }
            Self::Write { offset, bytes } => {
                let mut at = 0;
                while at < bytes.len() {
                    let room = SECTOR_BYTES - (offset + at) % SECTOR_BYTES;
                    let end = (at + room).min(bytes.len());
                    if rng.chance(percent) {
                        put(to, offset + at, &bytes[at..end]);
                    }
                    at = end;
                }
            }
        }
    }
}

fn put(to: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[offset..end].copy_from_slice(bytes);
}

/// A change of names that no folder sync has covered yet.
pub(super) enum Renaming {
    Add { path: PathBuf, node: NodeId },
    Move { from: PathBuf, to: PathBuf, node: NodeId },
    Remove { path: PathBuf },
}

impl Renaming {
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Add { path, .. } | Self::Remove { path } | Self::Move { to: path, .. } => path.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, NodeId>) {
        match self {
            Self::Add { path, node } => {
                names.insert(path.clone(), *node);
            }
            Self::Move { from, to, node } => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
            Self::Remove { path } => {
                names.remove(path);
            }
        }
    }
}

/// Names of files; folders are durable once made (see `Disk::create_folder`).
#[derive(Default)]
pub(super) struct Names {
    pub(super) seen: BTreeMap<PathBuf, NodeId>,
    pub(super) durable: BTreeMap<PathBuf, NodeId>,
    pub(super) folders: BTreeSet<PathBuf>,
    pending: Vec<Renaming>,
}

impl Names {
    pub(super) fn apply(&mut self, change: Renaming) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self, folder: &Path) {
        let (now, later) = std::mem::take(&mut self.pending).into_iter().partition(|c| c.folder() == Some(folder));
        self.pending = later;
        let now: Vec<Renaming> = now;
        for change in &now {
            change.apply(&mut self.durable);
        }
    }

    /// Files that have a name, or get one back when power is lost.
    pub(super) fn nodes(&self) -> BTreeSet<NodeId> {
        let changed = self.pending.iter().filter_map(|change| match change {
            Renaming::Add { node, .. } | Renaming::Move { node, .. } => Some(node),
            Renaming::Remove { .. } => None,
        });
        self.seen.values().chain(self.durable.values()).chain(changed).copied().collect()
    }

    pub(super) fn lose_power(&mut self, keep: Option<(&mut Rng, u64)>) {
        let pending = std::mem::take(&mut self.pending);
        if let Some((rng, percent)) = keep {
            for change in &pending {
                if rng.chance(percent) {
                    change.apply(&mut self.durable);
                }
            }
        }
        self.seen.clone_from(&self.durable);
    }
}
