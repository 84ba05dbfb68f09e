//! The simulated disk: the [`Disk`] door over memory, with faults that a test or a seed orders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::file::SimFile;
use super::state::{Names, Node, NodeId, Renaming};
use crate::{Disk, DiskError, DiskErrorKind, Entry, File, FolderLock, Rng};

type Result<T> = std::result::Result<T, DiskError>;

/// What becomes of unsynced bytes and names when the machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerLoss {
    /// Only the process died (kill -9): the system still writes everything.
    KeepAll,
    /// Everything unsynced is gone.
    DropAll,
    /// A subset drawn from the seed survives: writes torn at 512-byte sectors, kept in any order; names likewise.
    Subset(u64),
}

#[derive(Default)]
pub(super) struct State {
    pub(super) nodes: BTreeMap<NodeId, Node>,
    names: Names,
    next_node: NodeId,
    next_identity: u64,
    /// Of files that lost their name before the last reboot, when no handle can be left: given again, as file systems do.
    free_identities: Vec<u64>,
    locks: BTreeMap<PathBuf, u64>,
    /// Raised at every reboot: handles and locks of an earlier boot are dead.
    pub(super) boot: u64,
    operations: u64,
    crash_at: Option<u64>,
    fail_at: Option<u64>,
    failed: bool,
    pub(super) crashed: bool,
    pub(super) ignore_sync: bool,
    pub(super) budget_bytes: Option<u64>,
}

/// A disk in memory. Clones share it.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

struct SimLock {
    folder: PathBuf,
    boot: u64,
    state: Arc<Mutex<State>>,
}

/// Steering, for tests.
impl SimDisk {
    pub fn new() -> Self {
        Self::default()
    }

    /// Operations asked for so far, failed ones included. Use it to draw the `k` of a later run.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// The operation with this number (counted from 1 over the disk's life) and all later ones fail with `Crashed`, until
    /// [`SimDisk::reboot`]. A crashing write leaves half of its bytes.
    pub fn crash_at(&self, operation: u64) {
        self.state.lock().crash_at = Some(operation);
    }

    pub fn has_crashed(&self) -> bool {
        self.state.lock().crashed
    }

    /// The operation with this number fails once with an I/O error; a failing sync also loses the bytes it should cover.
    pub fn fail_at(&self, operation: u64) {
        self.state.lock().fail_at = Some(operation);
    }

    /// Whether the failure that was ordered has struck since the last reboot.
    pub fn has_failed(&self) -> bool {
        self.state.lock().failed
    }

    /// Syncs report success and do nothing: a suite that still passes tests nothing.
    pub fn ignore_sync(&self, ignore: bool) {
        self.state.lock().ignore_sync = ignore;
    }

    /// Room for all files together; `None` is endless.
    pub fn set_budget_bytes(&self, bytes: Option<u64>) {
        self.state.lock().budget_bytes = bytes;
    }

    /// Bytes held by all files that have a name.
    pub fn used_bytes(&self) -> u64 {
        self.state.lock().used_bytes()
    }

    /// Stops the machine and starts it again: open handles and locks are dead, faults that were ordered are cleared.
    pub fn reboot(&self, loss: PowerLoss) {
        let state = &mut *self.state.lock();
        match loss {
            PowerLoss::KeepAll => {}
            PowerLoss::DropAll => {
                state.nodes.values_mut().for_each(|node| node.lose_power(None));
                state.names.lose_power(None);
            }
            PowerLoss::Subset(seed) => {
                let mut rng = Rng::new(seed);
                let percent = [10, 50, 90][rng.index(3)];
                for node in state.nodes.values_mut() {
                    node.lose_power(Some((&mut rng, percent)));
                }
                state.names.lose_power(Some((&mut rng, percent)));
            }
        }
        let named = state.names.nodes();
        let nameless: Vec<NodeId> = state.nodes.keys().filter(|id| !named.contains(id)).copied().collect();
        let freed = nameless.iter().filter_map(|id| state.nodes.remove(id)).map(|node| node.identity);
        state.free_identities.extend(freed);
        state.boot += 1;
        state.locks.clear();
        (state.crashed, state.failed) = (false, false);
        state.crash_at = None;
        state.fail_at = None;
    }

    /// Flips one bit of the file, as a cold sector rots: seen now and after every reboot. False if there is no such byte.
    pub fn flip_bit(&self, path: &Path, byte: u64, bit: u8) -> bool {
        let state = &mut *self.state.lock();
        let Some(id) = state.names.seen.get(path) else { return false };
        let (Some(node), Ok(at)) = (state.nodes.get_mut(id), usize::try_from(byte)) else { return false };
        let mut flipped = false;
        for bytes in [&mut node.seen, &mut node.durable] {
            if let Some(b) = bytes.get_mut(at) {
                *b ^= 1 << (bit % 8);
                flipped = true;
            }
        }
        flipped
    }

    /// All files that have a name now, sorted, with their length.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state.lock();
        state.names.seen.iter().map(|(path, id)| (path.clone(), state.len_of(*id))).collect()
    }
}

impl State {
    fn len_of(&self, id: NodeId) -> u64 {
        self.nodes.get(&id).map_or(0, |node| node.seen.len() as u64)
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.names.seen.values().map(|id| self.len_of(*id)).sum()
    }

    /// Counts the operation and decides whether it fails.
    pub(super) fn begin(&mut self, operation: &'static str, path: &Path) -> Result<()> {
        self.operations += 1;
        if self.crashed || self.crash_at.is_some_and(|at| self.operations >= at) {
            self.crashed = true;
            return Err(DiskError::new(operation, path, DiskErrorKind::Crashed));
        }
        if self.fail_at == Some(self.operations) {
            self.failed = true;
            return Err(DiskError::new(operation, path, DiskErrorKind::Other("input/output error (simulated)".into())));
        }
        Ok(())
    }

    fn node_of(&self, operation: &'static str, path: &Path) -> Result<NodeId> {
        let found = self.names.seen.get(path).copied();
        found.ok_or_else(|| DiskError::new(operation, path, DiskErrorKind::NotFound))
    }

    fn need_folder(&self, operation: &'static str, path: &Path) -> Result<()> {
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() && !self.names.folders.contains(parent) => {
                Err(DiskError::new(operation, parent, DiskErrorKind::NotFound))
            }
            _ => Ok(()),
        }
    }
}

impl SimDisk {
    fn handle(&self, state: &State, path: &Path, node: NodeId) -> Arc<dyn File> {
        Arc::new(SimFile { path: path.to_path_buf(), node, boot: state.boot, state: Arc::clone(&self.state) })
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        let state = &mut *self.state.lock();
        state.begin("open", path)?;
        let node = state.node_of("open", path)?;
        Ok(self.handle(state, path, node))
    }

    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.open(path)
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let state = &mut *self.state.lock();
        state.begin("create", path)?;
        state.need_folder("create", path)?;
        if state.names.seen.contains_key(path) {
            return Err(DiskError::new("create", path, DiskErrorKind::AlreadyExists));
        }
        state.next_node += 1;
        let node = state.next_node;
        let identity = state.free_identities.pop().unwrap_or_else(|| {
            state.next_identity += 1;
            state.next_identity
        });
        state.nodes.insert(node, Node { identity, ..Node::default() });
        state.names.apply(Renaming::Add { path: path.to_path_buf(), node });
        Ok(self.handle(state, path, node))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let state = &mut *self.state.lock();
        state.begin("rename", from)?;
        state.need_folder("rename", to)?;
        let node = state.node_of("rename", from)?;
        state.names.apply(Renaming::Move { from: from.to_path_buf(), to: to.to_path_buf(), node });
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let state = &mut *self.state.lock();
        state.begin("remove", path)?;
        state.node_of("remove", path)?;
        state.names.apply(Renaming::Remove { path: path.to_path_buf() });
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> Result<()> {
        let state = &mut *self.state.lock();
        state.begin("remove", path)?;
        if state.names.seen.keys().any(|name| name.parent() == Some(path)) {
            return Err(DiskError::new("remove", path, DiskErrorKind::Other("the folder is not empty".into())));
        }
        state.names.folders.remove(path);
        Ok(())
    }

    fn list(&self, folder: &Path) -> Result<Vec<Entry>> {
        let state = &mut *self.state.lock();
        state.begin("list", folder)?;
        if !state.names.folders.contains(folder) {
            return Err(DiskError::new("list", folder, DiskErrorKind::NotFound));
        }
        let name_of = |path: &Path| path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        let inside = |path: &&PathBuf| path.parent() == Some(folder);
        let folders = state.names.folders.iter().filter(inside);
        let mut entries: Vec<Entry> =
            folders.map(|path| Entry { name: name_of(path), len: 0, is_folder: true }).collect();
        for (path, id) in state.names.seen.iter().filter(|(path, _)| inside(path)) {
            entries.push(Entry { name: name_of(path), len: state.len_of(*id), is_folder: false });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_folder(&self, path: &Path) -> Result<()> {
        let state = &mut *self.state.lock();
        state.begin("create folder", path)?;
        for folder in path.ancestors().filter(|f| !f.as_os_str().is_empty()) {
            state.names.folders.insert(folder.to_path_buf());
        }
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> Result<()> {
        let state = &mut *self.state.lock();
        state.begin("sync folder", path)?;
        if !state.ignore_sync {
            state.names.sync(path);
        }
        Ok(())
    }

    fn free_bytes(&self, path: &Path) -> Result<u64> {
        let state = &mut *self.state.lock();
        state.begin("ask for free space of", path)?;
        Ok(state.budget_bytes.map_or(u64::MAX, |budget| budget.saturating_sub(state.used_bytes())))
    }

    fn lock_folder(&self, folder: &Path) -> Result<FolderLock> {
        let state = &mut *self.state.lock();
        state.begin("lock", folder)?;
        if state.locks.contains_key(folder) {
            let pid = Some(std::process::id());
            return Err(DiskError::new("lock", folder, DiskErrorKind::LockedBy { pid }));
        }
        let boot = state.boot;
        state.locks.insert(folder.to_path_buf(), boot);
        Ok(FolderLock::new(SimLock { folder: folder.to_path_buf(), boot, state: Arc::clone(&self.state) }))
    }

    fn identity(&self, path: &Path) -> Result<Option<u64>> {
        let state = &mut *self.state.lock();
        state.begin("look at", path)?;
        let node = state.node_of("look at", path)?;
        Ok(state.nodes.get(&node).map(|node| node.identity))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        let state = &mut *self.state.lock();
        state.begin("look at", path)?;
        Ok(state.names.seen.contains_key(path) || state.names.folders.contains(path))
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let state = &mut *self.state.lock();
        if state.locks.get(&self.folder) == Some(&self.boot) {
            state.locks.remove(&self.folder);
        }
    }
}
