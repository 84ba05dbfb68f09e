//! The tail itself: containers found and forgotten, turns given, batches numbered, acknowledgements turned into positions.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base_world::{DiskError, FolderLock, World};
use observe_source::Appended;

use super::batch::{Batch, Builder};
use super::container::{Advance, Container, Reading, Turn};
use super::file::Progress;
use super::look::{Admission, Past};
use super::place::LogName;
use super::positions::{self, Found, Position};
use super::{PodMetadata, PodRef, Start, TailSettings, TailStats};

/// Between polls while lines come, so that a batch has more than one.
const BUSY_PAUSE_MS: u32 = 50;

/// Why a tail cannot start, or its positions cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(
        "{} is of version {version}, and this program knows {ours}: start the newer program, or remove the file to read all logs again",
        path.display()
    )]
    Newer { path: PathBuf, version: u32, ours: u32 },
}

/// Follows the logs below one folder.
pub struct Tail {
    world: World,
    settings: TailSettings,
    pods: Arc<dyn PodMetadata>,
    folder: PathBuf,
    containers: BTreeMap<Arc<str>, Container>,
    /// Of containers that no look has found yet.
    loaded: BTreeMap<String, Vec<Position>>,
    flights: VecDeque<Flight>,
    next_batch: u64,
    admission: Admission,
    next_id: u64,
    buffer: Vec<u8>,
    /// Who had the last turn.
    cursor: Option<Arc<str>>,
    looked_ns: Option<u64>,
    stored_ns: u64,
    /// Positions have moved since they were stored.
    moved: bool,
    pause_ms: u32,
    stats: TailStats,
    _lock: FolderLock,
}

/// A batch on its way.
struct Flight {
    id: u64,
    bytes: usize,
    raw_bytes: u64,
    advances: Vec<Advance>,
    done: bool,
}

impl Tail {
    /// `folder` is where positions are kept: one tail at a time; it is made if it is missing. The folder of logs need not be there yet.
    pub fn open(
        world: World,
        settings: TailSettings,
        folder: &Path,
        pods: Arc<dyn PodMetadata>,
    ) -> Result<Tail, TailError> {
        world.disk.create_folder(folder)?;
        let lock = world.disk.lock_folder(folder)?;
        let mut stats = TailStats::default();
        let mut loaded = BTreeMap::<String, Vec<Position>>::new();
        let found = positions::load(world.disk.as_ref(), folder)?;
        let first = matches!(found, Found::First);
        match found {
            Found::First => {}
            Found::Bad(why) => stats.fail(why),
            Found::Positions(list) => {
                list.into_iter()
                    .for_each(|position| loaded.entry(position.container.clone()).or_default().push(position));
            }
        }
        let at_end = first && settings.start == Start::End;
        // A line within the limit fits, whatever its runtime writes before it.
        let buffer = vec![0; settings.read_bytes_max.max(settings.line_max_bytes + 1024)];
        Ok(Tail {
            stored_ns: world.clock.monotonic_ns(),
            admission: Admission { at_end, room: 0 },
            next_id: 0,
            world,
            settings,
            pods,
            folder: folder.to_path_buf(),
            containers: BTreeMap::new(),
            loaded,
            flights: VecDeque::new(),
            next_batch: 1,
            buffer,
            cursor: None,
            looked_ns: None,
            // Also when nothing was found: the next start is not the first any more.
            moved: first,
            pause_ms: 0,
            stats,
            _lock: lock,
        })
    }

    /// Looks, reads, and hands out what there is; `None` when there is nothing, or when enough is waiting for an acknowledgement. What cannot be read is
    /// counted and tried again. Blocks only for the disk.
    pub fn poll(&mut self) -> Option<Batch> {
        let now_ns = self.world.clock.monotonic_ns();
        let mut builder = Builder::new(self.settings.batch_bytes_max);
        let mut buffer = std::mem::take(&mut self.buffer);
        let (containers, stats) = (std::mem::take(&mut self.containers), std::mem::take(&mut self.stats));
        let world = self.world.clone();
        let settings = self.settings.clone();
        let (mut stats, mut next_id) = (stats, self.next_id);
        let mut reading = Reading {
            disk: world.disk.as_ref(),
            settings: &settings,
            now_ns,
            wall_ns: world.clock.now_ns(),
            buffer: &mut buffer,
            builder: &mut builder,
            stats: &mut stats,
            next_id: &mut next_id,
        };
        let mut containers = containers;
        let due =
            self.looked_ns.is_none_or(|at| now_ns.saturating_sub(at) >= u64::from(self.settings.scan_ms) * 1_000_000);
        if due || containers.values().any(|container| container.look_first) {
            self.look(&mut containers, &mut reading);
            self.looked_ns = Some(now_ns);
        }
        let mut advances = Vec::new();
        let mut turn = Turn::End;
        if reading.stats.in_flight_bytes < self.settings.in_flight_bytes_max {
            turn = self.read(&mut containers, &mut reading, &mut advances);
        }
        count(&containers, reading.stats);
        close_excess(&mut containers, reading.stats, self.settings.open_files_max);
        (self.buffer, self.containers, self.stats, self.next_id) = (buffer, containers, stats, next_id);
        self.store_if_due(now_ns);
        self.take_off(builder, advances, turn)
    }

    fn take_off(&mut self, builder: Builder, advances: Vec<Advance>, turn: Turn) -> Option<Batch> {
        let empty = builder.write.entries.is_empty();
        let idle_ms = self.pause_ms.max(BUSY_PAUSE_MS / 2).saturating_mul(2).min(self.settings.poll_max_ms);
        self.pause_ms = match (turn, empty) {
            (Turn::More, _) => 0,
            (Turn::End, false) => BUSY_PAUSE_MS.min(self.settings.poll_max_ms),
            (Turn::End, true) => idle_ms,
        };
        if empty && advances.is_empty() {
            return None;
        }
        let (id, bytes, raw_bytes) = (self.next_batch, builder.bytes, builder.raw_bytes);
        self.next_batch += 1;
        self.flights.push_back(Flight { id, bytes, raw_bytes, advances, done: empty });
        self.stats.in_flight_bytes += bytes;
        if empty {
            self.land();
            return None;
        }
        Some(Batch { id, write: builder.write, bytes })
    }

    /// The batch is durable where it went; `appended` is what became of it there. Positions move in the order of batches, whatever the order of
    /// acknowledgements. A batch that is never given back holds its lines for the next start, and room until then.
    pub fn acknowledge(&mut self, batch: Batch, appended: &Appended) {
        let Some(flight) = self.flights.iter_mut().find(|flight| flight.id == batch.id && !flight.done) else { return };
        flight.done = true;
        let rejected = appended.rejected_count();
        self.stats.lines_rejected += rejected;
        self.stats.lines += (batch.write.entries.len() as u64).saturating_sub(rejected);
        self.land();
        self.store_if_due(self.world.clock.monotonic_ns());
    }

    fn land(&mut self) {
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.done) {
            self.stats.in_flight_bytes -= flight.bytes;
            self.stats.bytes += flight.raw_bytes;
            for advance in flight.advances {
                if let Some(container) = self.containers.get_mut(&advance.container) {
                    self.moved |= container.acknowledged(advance.progress, advance.point);
                }
            }
        }
    }

    /// How long nothing has to be done, at most.
    pub fn pause_ms(&self) -> u32 {
        self.pause_ms
    }

    #[cfg(test)]
    pub(super) fn containers(&self) -> &BTreeMap<Arc<str>, Container> {
        &self.containers
    }

    pub fn stats(&self) -> &TailStats {
        &self.stats
    }

    /// Writes the positions and lets the folder go.
    pub fn close(mut self) -> Result<(), TailError> {
        self.store()?;
        Ok(())
    }

    fn store_if_due(&mut self, now_ns: u64) {
        let due = now_ns.saturating_sub(self.stored_ns) >= u64::from(self.settings.positions_ms) * 1_000_000;
        // Before the first look the containers of the loaded positions are not known, and everything would stay as it is.
        if self.moved
            && due
            && self.looked_ns.is_some()
            && let Err(error) = self.store()
        {
            self.stats.fail(error);
        }
        if due {
            self.stored_ns = now_ns;
        }
    }

    fn store(&mut self) -> Result<(), DiskError> {
        let mut list: Vec<Position> = self.loaded.values().flatten().cloned().collect();
        for container in self.containers.values() {
            let files = container.files.iter().filter(|file| file.mirror_of.is_none() && file.progress.mark.is_some());
            list.extend(files.map(|file| file.position(&container.key)));
            list.extend(container.past.iter().map(|past| past.position(&container.key)));
        }
        positions::store(self.world.disk.as_ref(), &self.folder, &list)?;
        self.moved = false;
        Ok(())
    }

    fn read(&mut self, containers: &mut Containers, reading: &mut Reading<'_>, advances: &mut Vec<Advance>) -> Turn {
        let keys: Vec<Arc<str>> = containers.keys().cloned().collect();
        let first = self.cursor.as_ref().map_or(0, |last| keys.partition_point(|key| key <= last));
        let mut turn = Turn::End;
        for key in keys[first..].iter().chain(&keys[..first]) {
            let Some(container) = containers.get_mut(key) else { continue };
            match container.read(reading) {
                Turn::More => turn = Turn::More,
                Turn::End => container.end_old_records(reading),
            }
            container.flush_old(reading);
            container.advances(advances);
            self.cursor = Some(key.clone());
            if reading.builder.is_full() {
                return Turn::More;
            }
        }
        turn
    }

    fn look(&mut self, containers: &mut Containers, reading: &mut Reading<'_>) {
        let pods = match reading.disk.list(&self.settings.folder) {
            Ok(pods) => pods,
            Err(error) => return reading.stats.fail(error),
        };
        containers.values_mut().for_each(|container| container.found = false);
        let known: usize = containers.values().map(|container| container.files.len()).sum();
        self.admission.room = self.settings.files_max.saturating_sub(known);
        for entry in pods.iter().filter(|entry| entry.is_folder) {
            let Some(pod) = PodRef::of_folder(&entry.name) else { continue };
            if let Err(error) = self.look_at_pod(&pod, &entry.name, containers, reading)
                && !error.is_not_found()
            {
                reading.stats.fail(error);
                // What cannot be looked at is not known to be gone.
                let own = containers.values_mut().filter(|container| container.pod == pod);
                own.for_each(|container| container.found = true);
            }
        }
        for container in containers.values_mut().filter(|container| !container.found) {
            container.look(&[], &mut self.admission, reading);
        }
        containers.retain(|_, container| container.found || !container.files.is_empty());
        // Positions of what is no more.
        self.moved |= !self.loaded.is_empty();
        self.loaded.clear();
        self.admission.at_end = false;
    }

    fn look_at_pod(
        &mut self,
        pod: &PodRef,
        folder: &str,
        containers: &mut Containers,
        reading: &mut Reading<'_>,
    ) -> Result<(), DiskError> {
        let path = self.settings.folder.join(folder);
        for entry in reading.disk.list(&path)?.iter().filter(|entry| entry.is_folder) {
            let key = format!("{folder}/{}", entry.name);
            let entries = reading.disk.list(&path.join(&entry.name));
            if matches!(&entries, Err(error) if error.is_not_found()) {
                continue;
            }
            let container = containers.entry(key.as_str().into()).or_insert_with_key(|key| {
                Container::new(path.join(&entry.name), key.clone(), pod.clone(), &entry.name, reading.now_ns)
            });
            container.found = true;
            for position in self.loaded.remove(&key).unwrap_or_default() {
                let progress = Progress::at(reading.id(), position.mark, position.acked);
                let name = LogName::of_file(&position.file);
                if let Some(name) = name {
                    container.remember(Past { name, identity: position.identity, progress });
                }
            }
            container.ask(self.pods.as_ref(), &self.settings, reading.now_ns, reading.stats);
            container.look(&entries?, &mut self.admission, reading);
            if container.opted_out {
                self.moved |= container.skip(reading);
            }
        }
        Ok(())
    }
}

type Containers = BTreeMap<Arc<str>, Container>;

fn count(containers: &Containers, stats: &mut TailStats) {
    let files = || containers.values().flat_map(|container| &container.files);
    stats.containers = containers.len();
    stats.files = files().count();
    stats.files_open = files().filter(|file| file.handle.is_some()).count();
    stats.behind_bytes = files()
        .filter(|file| file.mirror_of.is_none())
        .map(|file| file.seen_len.saturating_sub(file.progress.read))
        .sum();
}

/// Closes those that are read to their end and grew least recently.
fn close_excess(containers: &mut Containers, stats: &mut TailStats, open_max: usize) {
    if stats.files_open <= open_max {
        return;
    }
    let mut open: Vec<_> = containers.values_mut().flat_map(|container| &mut container.files).collect();
    open.retain(|file| file.handle.is_some() && file.missing == 0 && file.is_done());
    open.sort_by_key(|file| file.grown_ns);
    for file in open.into_iter().take(stats.files_open - open_max) {
        file.handle = None;
        stats.files_open -= 1;
    }
}
