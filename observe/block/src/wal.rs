//! The write-ahead log: a folder of preallocated, recycled files of frames. See `docs/formats/wal.md`.
//!
//! A frame is acknowledged when [`Wal::durable_lsn`] has reached it, not before. One writer appends; syncing may happen
//! on another thread through a [`SyncHandle`], so that a store's lock is not held while the disk works.

mod read;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base_world::{Disk, DiskError, File, World};
use parking_lot::Mutex;

use crate::error::BlockError;
use crate::frame::FrameBuilder;
use crate::wal_scan::{FILE_HEADER_BYTES, Replay, Scanned, WalReport, file_header, join, scan_file};

pub use read::WalCursor;

/// A frame's place in the log: 1 for the first ever, 0 for "nothing".
pub type Lsn = u64;

type Result<T> = std::result::Result<T, BlockError>;

/// Sizes. The defaults suit a server; tests take small ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalSettings {
    /// Size of one file. A larger frame gets a file of its own size.
    pub segment_bytes: u64,
    /// Emptied files kept for reuse.
    pub spares_max: usize,
    /// The largest frame taken.
    pub frame_bytes_max: u64,
}

impl Default for WalSettings {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, spares_max: 4, frame_bytes_max: 256 << 20 }
    }
}

struct Current {
    file: Arc<dyn File>,
    path: PathBuf,
    number: u64,
    first: Lsn,
    offset: u64,
    capacity: u64,
}

struct Closed {
    path: PathBuf,
    number: u64,
    last: Lsn,
    frame_bytes: u64,
    file_bytes: u64,
    damaged: bool,
}

/// What a sync on another thread shares with the log.
struct Shared {
    folder: PathBuf,
    durable: AtomicU64,
    /// Held while syncing: of two syncs at once, only one may be told of a failure by the system, and the other must
    /// not report success.
    poisoned: Mutex<Option<DiskError>>,
}

/// The log.
pub struct Wal {
    world: World,
    folder: PathBuf,
    settings: WalSettings,
    closed: Vec<Closed>,
    current: Option<Current>,
    spares: Vec<PathBuf>,
    next_number: u64,
    next_lsn: Lsn,
    shared: Arc<Shared>,
}

/// Syncs what was appended before it was taken; may be run on any thread, without the log at hand.
pub struct SyncHandle {
    file: Option<Arc<dyn File>>,
    covers: Lsn,
    shared: Arc<Shared>,
}

impl Wal {
    /// Opens the log in `folder`, making it if need be. `covered` is the manifest's position: frames up to it live in
    /// segments and are not replayed. What the iterator yields is durable: a crash right after finds it again.
    pub fn open(world: &World, folder: &Path, settings: WalSettings, covered: Lsn) -> Result<(Self, Replay)> {
        let disk = &*world.disk;
        disk.create_folder(folder)?;
        let (mut files, mut spares, mut next_number) = (Vec::new(), Vec::new(), 1);
        for entry in disk.list(folder)? {
            let path = folder.join(&entry.name);
            let Some((stem, kind)) = entry.name.split_once('.') else { continue };
            let Ok(number) = u64::from_str_radix(stem, 16) else { continue };
            next_number = next_number.max(number + 1);
            match kind {
                "wal" => files.push(scan_file(disk, path, number)?),
                "spare" if entry.len == settings.segment_bytes && spares.len() < settings.spares_max => {
                    spares.push(path);
                }
                "spare" => disk.remove(&path)?,
                _ => {}
            }
        }
        files.sort_by_key(|file| file.number);
        let mut report = WalReport::default();
        let next_lsn = join(&mut files, covered, &mut report);
        let (closed, live) = settle(disk, folder, files, &mut report)?;
        report.frames = live.iter().map(|(.., first, last)| last.saturating_sub(covered.max(first - 1))).sum();
        let live = live.into_iter().map(|(file, number, _, last)| (file, number, last)).collect();
        let shared = Arc::new(Shared {
            folder: folder.to_path_buf(),
            durable: AtomicU64::new(next_lsn - 1),
            poisoned: Mutex::new(None),
        });
        let wal = Self {
            world: world.clone(),
            folder: folder.to_path_buf(),
            settings,
            closed,
            current: None,
            spares,
            next_number,
            next_lsn,
            shared,
        };
        Ok((wal, Replay::new(live, covered, report)))
    }

    /// Writes the frame behind the others, without syncing, and clears the builder. On `Full` nothing was taken and the
    /// builder keeps its records; after any other disk error the log is poisoned. An empty builder writes nothing.
    pub fn append(&mut self, frame: &mut FrameBuilder) -> Result<Lsn> {
        self.shared.check()?;
        if frame.is_empty() {
            return Ok(self.last_lsn());
        }
        let needed = frame.size_bytes() as u64;
        self.reserve(needed)?;
        let lsn = self.next_lsn;
        if let Some(current) = &mut self.current {
            let bytes = frame.seal(current.number, lsn);
            if let Err(error) = current.file.write_at(current.offset, bytes) {
                return Err(self.shared.poison_unless_full(error));
            }
            current.offset += needed;
        }
        frame.clear();
        self.next_lsn += 1;
        Ok(lsn)
    }

    /// Makes room for a frame of up to `bytes`, so that an append that follows cannot fail for want of space. A store
    /// calls it before it changes its memory. `Full` leaves the log as it was.
    pub fn reserve(&mut self, bytes: u64) -> Result<()> {
        self.shared.check()?;
        let limit = self.settings.frame_bytes_max.min(u64::from(u32::MAX));
        if bytes > limit {
            return Err(BlockError::FrameTooLarge { bytes, limit });
        }
        if self.current.as_ref().is_none_or(|current| current.offset + bytes > current.capacity) {
            self.roll(bytes)?;
        }
        Ok(())
    }

    /// Why nothing is taken any more: after a failure of the disk nobody knows what is on it, until the log is opened again.
    pub fn trouble(&self) -> Option<BlockError> {
        self.shared.check().err()
    }

    /// One fdatasync of all that was appended. Returns [`Wal::durable_lsn`].
    pub fn sync(&mut self) -> Result<Lsn> {
        self.sync_handle().run()
    }

    /// The same for another thread. Taking it is cheap.
    pub fn sync_handle(&self) -> SyncHandle {
        let file = self.current.as_ref().map(|current| Arc::clone(&current.file));
        SyncHandle { file, covers: self.last_lsn(), shared: Arc::clone(&self.shared) }
    }

    /// The last frame appended, durable or not.
    pub fn last_lsn(&self) -> Lsn {
        self.next_lsn - 1
    }

    /// Frames up to here survive a power cut.
    pub fn durable_lsn(&self) -> Lsn {
        self.shared.durable.load(Ordering::SeqCst)
    }

    /// Drops whole files of which every frame is at or below `lsn`; call it only once a durable manifest covers `lsn`.
    /// Emptied files are kept for reuse, damaged ones are moved to `quarantine/`.
    pub fn truncate_through(&mut self, lsn: Lsn) -> Result<()> {
        let disk = &*self.world.disk;
        while let Some(first) = self.closed.first().filter(|first| first.last <= lsn) {
            if first.damaged {
                crate::quarantine(disk, &self.folder, &first.path)?;
            } else if first.file_bytes == self.settings.segment_bytes && self.spares.len() < self.settings.spares_max {
                let spare = first.path.with_extension("spare");
                disk.rename(&first.path, &spare)?;
                self.spares.push(spare);
            } else {
                disk.remove(&first.path)?;
            }
            self.closed.remove(0);
        }
        Ok(())
    }

    /// Bytes of frames not yet truncated: what a replay would read. The store flushes to keep it bounded.
    pub fn size_bytes(&self) -> u64 {
        let current = self.current.as_ref().map_or(0, |current| current.offset);
        self.closed.iter().map(|closed| closed.frame_bytes).sum::<u64>() + current
    }

    /// Bytes taken on the disk, spare files included.
    pub fn disk_bytes(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|closed| closed.file_bytes).sum();
        let current = self.current.as_ref().map_or(0, |current| current.capacity);
        closed + current + self.spares.len() as u64 * self.settings.segment_bytes
    }

    /// Begins a new file with room for `needed` bytes of frame. The old one is synced first, so that frames in a later
    /// file are never durable before those of an earlier one: a hole in the middle then always means damage.
    fn roll(&mut self, needed: u64) -> Result<()> {
        self.sync()?;
        let capacity = self.settings.segment_bytes.max(needed + FILE_HEADER_BYTES as u64);
        let number = self.next_number;
        let path = self.folder.join(format!("{number:016x}.wal"));
        let file = match self.new_file(&path, capacity) {
            Ok(file) => file,
            Err(error) => {
                self.next_number += 1;
                return Err(self.shared.poison_unless_full(error));
            }
        };
        self.next_number += 1;
        let (first, offset) = (self.next_lsn, FILE_HEADER_BYTES as u64);
        let old = self.current.replace(Current { file, path, number, first, offset, capacity });
        self.closed.extend(old.map(|old| Closed {
            last: first.saturating_sub(1).max(old.first.saturating_sub(1)),
            path: old.path,
            number: old.number,
            frame_bytes: old.offset,
            file_bytes: old.capacity,
            damaged: false,
        }));
        Ok(())
    }

    fn new_file(&mut self, path: &Path, capacity: u64) -> std::result::Result<Arc<dyn File>, DiskError> {
        let disk = &*self.world.disk;
        let spare = if capacity == self.settings.segment_bytes { self.spares.pop() } else { None };
        let file = match spare {
            Some(spare) => {
                disk.rename(&spare, path)?;
                disk.open_write(path)?
            }
            None => disk.create(path)?,
        };
        let made = file
            .preallocate(capacity)
            .and_then(|()| file.write_at(0, &file_header(self.next_number, self.next_lsn)))
            .and_then(|()| file.sync())
            .and_then(|()| disk.sync_folder(&self.folder));
        if let Err(error) = made {
            if error.is_full() {
                disk.remove(path)?;
            }
            return Err(error);
        }
        Ok(file)
    }
}

/// Makes what was scanned durable, cuts torn tails, removes files that hold nothing.
#[expect(clippy::type_complexity, reason = "file, number, first and last: passed on at once")]
fn settle(
    disk: &dyn Disk,
    folder: &Path,
    files: Vec<Scanned>,
    report: &mut WalReport,
) -> Result<(Vec<Closed>, Vec<(Arc<dyn File>, u64, Lsn, Lsn)>)> {
    let (mut closed, mut live) = (Vec::new(), Vec::new());
    let newest = files.last().map(|file| file.number);
    for file in files {
        let end = file.end as u64;
        let Some((first, last)) = file.range else {
            if file.damaged {
                crate::quarantine(disk, folder, &file.path)?;
            } else {
                disk.remove(&file.path)?;
            }
            continue;
        };
        if Some(file.number) == newest {
            // Only the newest can hold bytes that were never synced; also gives back the room it had reserved.
            report.torn_bytes += file.torn_bytes;
            if file.file_bytes > end {
                file.file.set_len(end)?;
            }
            // After a failed sync the system holds these bytes and believes them written: write them again, or the
            // sync below covers nothing.
            let mut bytes = vec![0; file.end];
            file.file.read_exact_at(0, &mut bytes)?;
            file.file.write_at(0, &bytes)?;
            file.file.sync()?;
        }
        report.bytes += end;
        let file_bytes = if Some(file.number) == newest { end } else { file.file_bytes };
        let (path, number, damaged) = (file.path, file.number, file.damaged);
        closed.push(Closed { path, number, last, frame_bytes: end, file_bytes, damaged });
        live.push((file.file, file.number, first, last));
    }
    disk.sync_folder(folder)?;
    Ok((closed, live))
}

impl Shared {
    fn check(&self) -> Result<()> {
        match &*self.poisoned.lock() {
            Some(cause) => Err(BlockError::Poisoned { path: self.folder.clone(), cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// A full disk can be waited for; after any other failure nobody knows what is on the disk.
    fn poison_unless_full(&self, error: DiskError) -> BlockError {
        if error.is_full() {
            return error.into();
        }
        self.poisoned.lock().get_or_insert(error.clone());
        error.into()
    }
}

impl SyncHandle {
    /// The frame up to which a successful run makes durable.
    pub fn covers(&self) -> Lsn {
        self.covers
    }

    /// Syncs, unless another run has covered it already. After a failure the log is poisoned.
    pub fn run(&self) -> Result<Lsn> {
        let mut poisoned = self.shared.poisoned.lock();
        if let Some(cause) = &*poisoned {
            return Err(BlockError::Poisoned { path: self.shared.folder.clone(), cause: cause.clone() });
        }
        if let Some(file) = self.file.as_ref().filter(|_| self.shared.durable.load(Ordering::SeqCst) < self.covers) {
            if let Err(error) = file.sync() {
                *poisoned = Some(error.clone());
                return Err(error.into());
            }
            self.shared.durable.fetch_max(self.covers, Ordering::SeqCst);
        }
        Ok(self.shared.durable.load(Ordering::SeqCst))
    }
}
