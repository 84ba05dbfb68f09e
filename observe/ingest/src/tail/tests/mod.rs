//! What the tail promises: of lines (`lines`), of names (`names`), of resources (`resources`), over a simulated disk (`simulation` with its `writer`s, `stories`) and on a
//! real one (`real`).

mod lines;
mod multiline;
mod real;
mod resources;
mod simulation;
mod stories;
mod writer;

use std::path::Path;
use std::sync::Arc;

use base_world::sim::SimWorld;
use base_world::{Disk, File, World};
use observe_source::{Appended, LogWrite};

use super::{NoMetadata, PodMetadata, Tail, TailSettings};

const LOGS: &str = "/var/log/pods";
const STATE: &str = "/state";
const POD: &str = "shop_web-6d4cf56db6-abcde_0a1b2c3d";

/// Small limits, so that every one of them is met.
fn small() -> TailSettings {
    TailSettings {
        read_bytes_max: 512,
        line_max_bytes: 256,
        batch_bytes_max: 4096,
        in_flight_bytes_max: 9000,
        ..TailSettings::default()
    }
}

fn open(world: &World, settings: &TailSettings, pods: Arc<dyn PodMetadata>) -> Tail {
    Tail::open(world.clone(), settings.clone(), Path::new(STATE), pods).expect("the tail opens")
}

/// A world with one container and a tail over it.
struct Story {
    sim: SimWorld,
    settings: TailSettings,
    pods: Arc<dyn PodMetadata>,
    tail: Option<Tail>,
    lines: usize,
}

impl Story {
    fn new() -> Story {
        let sim = SimWorld::new(1);
        let folder = format!("{LOGS}/{POD}/web");
        sim.disk.create_folder(Path::new(&folder)).expect("folders");
        Story { sim, settings: small(), pods: Arc::new(NoMetadata), tail: None, lines: 0 }
    }

    fn path(&self, name: &str) -> String {
        format!("{LOGS}/{POD}/web/{name}")
    }

    /// Appends to a file, which is made if it is missing.
    fn write(&mut self, name: &str, text: &str) {
        append(&self.sim.disk, &self.path(name), text.as_bytes());
    }

    /// Appends `count` lines of the container, numbered.
    fn log(&mut self, name: &str, count: usize) {
        for _ in 0..count {
            self.write(name, &cri("stdout F", &format!("line {}", self.lines)));
            self.lines += 1;
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.sim.disk.rename(Path::new(&self.path(from)), Path::new(&self.path(to))).expect("rename");
    }

    fn remove(&mut self, name: &str) {
        self.sim.disk.remove(Path::new(&self.path(name))).expect("remove");
    }

    fn copy(&mut self, from: &str, to: &str) {
        let bytes = self.sim.disk.read(Path::new(&self.path(from)), 1 << 20).expect("read");
        append(&self.sim.disk, &self.path(to), &bytes);
    }

    fn cut(&mut self, name: &str) {
        let file = self.sim.disk.open_write(Path::new(&self.path(name))).expect("open");
        file.set_len(0).expect("cut");
    }

    fn tail(&mut self) -> &mut Tail {
        let (world, settings, pods) = (self.sim.world(), &self.settings, &self.pods);
        self.tail.get_or_insert_with(|| open(&world, settings, pods.clone()))
    }

    fn stop(&mut self) {
        self.tail.take().expect("it runs").close().expect("positions are written");
    }

    /// All that comes while so much time passes, acknowledged: texts and oddities.
    fn take(&mut self, seconds: u32) -> Vec<String> {
        let mut taken = Vec::new();
        for _ in 0..seconds * 10 {
            self.sim.clock.advance_ms(100);
            while let Some(batch) = self.tail().poll() {
                taken.extend(texts(batch.write()));
                self.tail().acknowledge(batch, &Appended::default());
            }
        }
        taken
    }

    /// The numbered lines `from..to`.
    fn numbered(from: usize, to: usize) -> Vec<String> {
        (from..to).map(|number| format!("line {number}")).collect()
    }
}

/// Texts, with what is odd about them in brackets.
fn texts(write: &LogWrite) -> Vec<String> {
    let text = |entry: &base_signal::LogEntry| {
        assert!(entry.metadata.is_sorted(), "metadata is sorted by name: {:?}", entry.metadata);
        let odd = entry.metadata.iter().filter(|(name, _)| name.starts_with("log_") && name != "log_iostream");
        let odd: Vec<String> = odd.map(|(name, value)| format!(" [{name}={value}]")).collect();
        format!("{}{}", entry.line, odd.concat())
    };
    write.entries.iter().map(text).collect()
}

fn append(disk: &dyn Disk, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let path = Path::new(path);
    let file = if disk.exists(path).expect("look") { disk.open_write(path) } else { disk.create(path) };
    let file = file.expect("open");
    file.write_at(file.len().expect("length"), bytes).expect("write");
    file
}

/// `head` is stream and tags. Times differ, as they do in nature.
fn cri(head: &str, text: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NS: AtomicU32 = AtomicU32::new(0);
    format!("2026-01-01T00:00:00.{:09}Z {head} {text}\n", NS.fetch_add(1, Ordering::Relaxed))
}
