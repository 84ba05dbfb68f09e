//! An open file of the simulated disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::State;
use super::state::{Node, NodeId, Pending};
use crate::{DiskError, DiskErrorKind, File};

type Result<T> = std::result::Result<T, DiskError>;

pub(super) struct SimFile {
    pub(super) path: PathBuf,
    pub(super) node: NodeId,
    pub(super) boot: u64,
    pub(super) state: Arc<Mutex<State>>,
}

impl SimFile {
    /// Runs `act` on the live node, with the room left on the disk.
    fn with<T>(&self, operation: &'static str, act: impl FnOnce(&mut Node, u64) -> Result<T>) -> Result<T> {
        let state = &mut *self.state.lock();
        if self.boot != state.boot {
            return Err(self.error(operation, DiskErrorKind::Crashed));
        }
        state.begin(operation, &self.path)?;
        let room = state.budget_bytes.map_or(u64::MAX, |budget| budget.saturating_sub(state.used_bytes()));
        let node = state.nodes.get_mut(&self.node);
        act(node.ok_or_else(|| self.error(operation, DiskErrorKind::NotFound))?, room)
    }

    fn error(&self, operation: &'static str, kind: DiskErrorKind) -> DiskError {
        DiskError::new(operation, &self.path, kind)
    }

    /// A write that the crash or a full disk interrupts leaves its first part.
    fn write_part(&self, offset: usize, bytes: &[u8]) {
        let state = &mut *self.state.lock();
        if self.boot == state.boot
            && let Some(node) = state.nodes.get_mut(&self.node)
            && !bytes.is_empty()
        {
            node.apply(Pending::Write { offset, bytes: bytes.to_vec() });
        }
    }
}

impl File for SimFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        self.with("read", |node, _| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let rest = node.seen.get(start..).unwrap_or_default();
            let got = rest.len().min(bytes.len());
            bytes[..got].copy_from_slice(&rest[..got]);
            Ok(got)
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX / 2);
        let alive = !self.state.lock().crashed;
        let written = self.with("write", |node, room| {
            let grows = (start + bytes.len()).saturating_sub(node.seen.len()) as u64;
            if grows > room {
                return Err(self.error("write", DiskErrorKind::Full));
            }
            node.apply(Pending::Write { offset: start, bytes: bytes.to_vec() });
            Ok(())
        });
        match &written {
            Err(e) if e.is_full() => {
                let room = self.with("write", |node, room| Ok((node.seen.len() as u64 + room).saturating_sub(offset)));
                let fits = usize::try_from(room.unwrap_or(0)).unwrap_or(usize::MAX).min(bytes.len());
                self.write_part(start, &bytes[..fits]);
            }
            Err(e) if e.is_crash() && alive => self.write_part(start, &bytes[..bytes.len() / 2]),
            _ => {}
        }
        written
    }

    fn preallocate(&self, len: u64) -> Result<()> {
        if self.len()? >= len {
            return Ok(());
        }
        self.set_len(len)
    }

    fn len(&self) -> Result<u64> {
        self.with("look at", |node, _| Ok(node.seen.len() as u64))
    }

    fn identity(&self) -> Result<Option<u64>> {
        self.with("look at", |node, _| Ok(Some(node.identity)))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.with("resize", |node, room| {
            if len.saturating_sub(node.seen.len() as u64) > room {
                return Err(self.error("resize", DiskErrorKind::Full));
            }
            node.apply(Pending::Resize { len: usize::try_from(len).unwrap_or(usize::MAX / 2) });
            Ok(())
        })
    }

    fn sync(&self) -> Result<()> {
        let ignore = self.state.lock().ignore_sync;
        let synced = self.with("sync", |node, _| {
            if !ignore {
                node.sync();
            }
            Ok(())
        });
        if matches!(&synced, Err(e) if !e.is_crash()) {
            let state = &mut *self.state.lock();
            if let Some(node) = state.nodes.get_mut(&self.node) {
                node.fail_sync();
            }
        }
        synced
    }
}
