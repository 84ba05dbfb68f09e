//! The same on the real file system: a thread that logs and is rotated, a tail that is run.

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use base_world::{Disk, World};
use observe_source::{Appended, LogWrite, SourceError};
use parking_lot::Mutex;

use super::super::{NoMetadata, Pace, Tail, TailSettings, TakeLogs, run};
use super::{append, cri, texts};

/// Refuses every third batch.
#[derive(Default)]
struct Sink {
    came: Mutex<Vec<String>>,
    calls: Mutex<u32>,
}

impl TakeLogs for Sink {
    async fn take<'a>(&'a self, write: &'a LogWrite) -> Result<Appended, SourceError> {
        let mut calls = self.calls.lock();
        *calls += 1;
        if calls.is_multiple_of(3) {
            return Err(SourceError::Shed { what: "memory", retry_after_ms: 1 });
        }
        self.came.lock().extend(texts(write));
        Ok(Appended { accepted: write.entries.len() as u64, ..Appended::default() })
    }
}

/// Goes on at once, until so much has come and a while has passed in which more could.
struct Hurry<'a> {
    world: World,
    sink: &'a Sink,
    lines: usize,
    until_ns: Mutex<Option<u64>>,
}

/// A machine that does much else takes its time; past this nothing will come.
const PATIENCE_NS: u64 = 60_000_000_000;

impl Pace for Hurry<'_> {
    async fn pause(&self, _: u32) -> bool {
        std::thread::yield_now();
        let now_ns = self.world.clock.monotonic_ns();
        let came = self.sink.came.lock().len() >= self.lines;
        let mut until_ns = self.until_ns.lock();
        let until_ns = if came { *until_ns.get_or_insert(now_ns + 100_000_000) } else { PATIENCE_NS };
        now_ns < until_ns
    }
}

/// None of the futures here ever waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}

#[test]
fn rotation_on_a_real_disk_loses_and_doubles_nothing() {
    const LINES: usize = 20_000;
    let folder = tempfile::tempdir().expect("a folder");
    let (logs, state) = (folder.path().join("pods"), folder.path().join("state"));
    let container = logs.join("shop_web_1/web");
    let world = World::real();
    world.disk.create_folder(&container).expect("folders");
    let settings =
        TailSettings { folder: logs, scan_ms: 5, settle_ms: 20, positions_ms: 10, ..TailSettings::default() };
    let sink = Sink::default();
    let disk = world.disk.clone();
    let writer = std::thread::spawn(move || write(disk.as_ref(), &container, LINES));
    // Stopped in the middle too.
    for lines in [LINES / 2, LINES] {
        let pace = Hurry { world: world.clone(), sink: &sink, lines, until_ns: Mutex::new(None) };
        let tail = Tail::open(world.clone(), settings.clone(), &state, Arc::new(NoMetadata)).expect("opens");
        at_once(run(tail, &sink, &pace)).expect("stops");
    }
    writer.join().expect("the writer ends");
    let came = sink.came.lock();
    let expect: Vec<String> = (0..LINES).map(|number| format!("line {number}")).collect();
    let differs = came.iter().zip(&expect).position(|(a, b)| a != b);
    assert!(*came == expect, "{} of {LINES}, differs at {differs:?}", came.len());
}

/// Rotates every thousand lines as the kubelet does: renames, then opens anew.
fn write(disk: &dyn Disk, container: &Path, lines: usize) {
    let name = |name: &str| container.join(name).to_str().expect("a path").to_owned();
    let mut file = append(disk, &name("0.log"), b"");
    let mut len = 0;
    for number in 0..lines {
        let raw = cri("stdout F", &format!("line {number}"));
        file.write_at(len, raw.as_bytes()).expect("write");
        len += raw.len() as u64;
        if number % 1000 == 999 {
            disk.rename(Path::new(&name("0.log")), Path::new(&name(&format!("0.log.20260101-{number:06}"))))
                .expect("rename");
            (file, len) = (append(disk, &name("0.log"), b""), 0);
        }
    }
}
