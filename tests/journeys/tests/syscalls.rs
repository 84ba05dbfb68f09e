//! "Acknowledged is durable", seen from the kernel: no answer to an ingest request leaves the process before an fdatasync, begun after the last write, of
//! every WAL file that was written since the request was read. strace is the witness; the requests go one after the other, so that each has its own window.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use tests_journeys::strace::{self, Step};
use tests_journeys::{Engine, otlp, tools, wait};

const REQUESTS: u64 = 60;
/// What `apps/sdk_grpc.py one-by-one` sends at least: 40 spans, 10 lines, 20 collections of metrics.
const GRPC_REQUESTS: u64 = 70;
/// What the engine writes of its own accord waits for nobody, and would look like a request's write that nobody synced.
const QUIET: &str = "observe: { host_metrics: false, self_interval: 1h }\n";

#[test]
fn no_acknowledgement_leaves_before_its_fdatasync() {
    watched("syscalls", REQUESTS, |engine| {
        let now = wait::now_ns();
        for number in 1..=REQUESTS {
            let (signal, body) = match number % 3 {
                0 => ("traces", otlp::spans("shop", &[otlp::span(number, "/cart", now, 1_000_000)])),
                1 => ("logs", otlp::logs("shop", &[(now + number, "paid")])),
                _ => ("metrics", otlp::gauge("shop", "depth", &[(now + number * 1_000_000, 1.0)])),
            };
            engine.send_otlp(signal, &body).ok();
        }
    });
}

#[test]
fn no_grpc_acknowledgement_leaves_before_its_fdatasync() {
    watched("syscalls_grpc", GRPC_REQUESTS, |engine| {
        let output = Command::new(tools::tool("python-grpc"))
            .args([concat!(env!("CARGO_MANIFEST_DIR"), "/apps/sdk_grpc.py"), "one-by-one"])
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &engine.otlp_grpc)
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
            .output()
            .expect("Python starts");
        let error = String::from_utf8_lossy(&output.stderr);
        // It says so when an answer is no OK.
        assert!(output.status.success() && error.is_empty(), "the SDK complains: {error}");
    });
}

/// Runs the load under strace and judges what was seen.
fn watched(journey: &str, requests: u64, load: impl FnOnce(&Engine)) {
    let settings = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a temporary file");
    std::fs::write(settings.path(), QUIET).expect("a temporary file can be written");
    let trace = tempfile::NamedTempFile::new().expect("a temporary file");
    let wrapper = strace::command(&tools::system("strace"), trace.path());
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let words = ["--config", &settings.path().to_string_lossy()];
    let mut engine = Engine::start_with(journey, &words, &wrapper);
    // The first and only samples of its own, before the first request.
    wait::until("the engine's own metrics", 30, || engine.number("apm_build_info").ok_or("not yet"));
    load(&engine);
    // strace has written everything when it ends with the engine.
    engine.terminate();
    let kept = engine.artefacts().join("trace.strace");
    let _ = std::fs::copy(trace.path(), &kept);

    let events = events(&read(trace.path()));
    let answers = judge(&events).unwrap_or_else(|problem| panic!("{problem}; the trace is {}", kept.display()));
    assert!(answers >= requests, "{answers} answers to {requests} requests; the trace is {}", kept.display());
    // The witness would have seen a sync that was left out.
    let is_sync = |event: &Event| matches!(event, Event::SyncBegan(..) | Event::SyncEnded(_));
    let without: Vec<Event> = events.into_iter().filter(|event| !is_sync(event)).collect();
    assert!(judge(&without).is_err(), "the judge would let pass a run without any sync");
}

/// What counts, in the order it happened. A call that strace saw in two halves counts as a write at both, and as an answer when it began: each reading is
/// the one that is harder on us.
#[derive(Debug, Clone, PartialEq)]
enum Event {
    /// A whole request was read; its connection, and its stream on it.
    Received(String, u32),
    WalWritten(String),
    SyncBegan(u32, String),
    SyncEnded(u32),
    /// The first bytes of the answer.
    Answered(String, u32),
}

/// Judges every request; how many there were.
fn judge(events: &[Event]) -> Result<u64, String> {
    let mut request: Option<(&str, u32)> = None;
    let mut written = false;
    let mut unsynced: BTreeSet<&str> = BTreeSet::new();
    let mut syncing: Vec<(u32, &str)> = Vec::new();
    let mut answers = 0;
    for event in events {
        match event {
            Event::Received(connection, stream) => {
                if let Some(open) = request.replace((connection, *stream)) {
                    return Err(format!(
                        "{connection} {stream} came before {open:?} was answered: nobody can tell their writes apart"
                    ));
                }
                written = false;
                unsynced.clear();
                syncing.clear();
            }
            Event::WalWritten(file) => {
                written = true;
                unsynced.insert(file);
                // A sync that runs now may have passed this write by.
                syncing.retain(|(_, other)| other != file);
            }
            Event::SyncBegan(thread, file) => syncing.push((*thread, file)),
            Event::SyncEnded(thread) => {
                for (_, file) in syncing.extract_if(.., |(other, _)| other == thread) {
                    unsynced.remove(file);
                }
            }
            Event::Answered(connection, stream) if request == Some((connection, *stream)) => {
                request = None;
                answers += 1;
                if !written {
                    return Err(format!("answer {answers} left before anything was written to the WAL"));
                }
                if !unsynced.is_empty() {
                    return Err(format!("answer {answers} left before the fdatasync of {unsynced:?}"));
                }
            }
            Event::Answered(..) => {}
        }
    }
    request.map_or(Ok(answers), |open| Err(format!("{open:?} was never answered")))
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).expect("strace wrote its file")).into_owned()
}

fn events(text: &str) -> Vec<Event> {
    let mut connections: BTreeMap<String, Connection> = BTreeMap::new();
    let mut events = Vec::new();
    for step in strace::steps(text) {
        if step.file.starts_with('/') {
            events.extend(on_file(&step));
        } else if step.file.starts_with("socket:") && !step.data.is_empty() {
            let connection = connections.entry(step.file.clone()).or_default();
            events.extend(connection.passed(&step));
        }
    }
    events
}

fn on_file(step: &Step) -> Vec<Event> {
    let mut events = Vec::new();
    if !step.file.contains("/wal/") {
        return events;
    }
    match step.call.as_str() {
        "fsync" | "fdatasync" => {
            if step.begins {
                events.push(Event::SyncBegan(step.thread, step.file.clone()));
            }
            if step.ends {
                events.push(Event::SyncEnded(step.thread));
            }
        }
        call if call.contains("write") => events.push(Event::WalWritten(step.file.clone())),
        _ => {}
    }
    events
}

/// One side's bytes that are no whole frame yet, and whether they are HTTP/2.
#[derive(Default)]
struct Connection {
    http2: bool,
    read: Vec<u8>,
    written: Vec<u8>,
}

/// HTTP/2's connection preface, and its frames: length (3 bytes), type, flags, stream (4), then so many bytes. RFC 9113, 3.4 and 4.1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

impl Connection {
    fn passed(&mut self, step: &Step) -> Vec<Event> {
        let reads = step.call.starts_with("re");
        let name = || step.file.clone();
        self.http2 |= reads && step.data.starts_with(b"PRI ");
        if !self.http2 {
            return match (reads, &*step.data) {
                (true, [b'P', b'O', b'S', b'T', b' ', ..]) => vec![Event::Received(name(), 0)],
                (false, data) if data.starts_with(b"HTTP/1.1 ") => vec![Event::Answered(name(), 0)],
                _ => Vec::new(),
            };
        }
        let bytes = if reads { &mut self.read } else { &mut self.written };
        bytes.extend_from_slice(&step.data);
        if bytes.starts_with(PREFACE) {
            bytes.drain(..PREFACE.len());
        } else if PREFACE.starts_with(bytes) {
            return Vec::new();
        }
        let event = |(kind, flags, stream)| match kind {
            // The request is whole with the end of its stream; the answer's first frame already is the verdict's beginning.
            DATA if reads && flags & END_STREAM != 0 => Some(Event::Received(name(), stream)),
            HEADERS if !reads => Some(Event::Answered(name(), stream)),
            _ => None,
        };
        std::iter::from_fn(|| frame(bytes)).filter_map(event).collect()
    }
}

/// Takes one whole frame off: its type, flags and stream.
fn frame(bytes: &mut Vec<u8>) -> Option<(u8, u8, u32)> {
    let &[high, middle, low, kind, flags, a, b, c, d, ..] = &**bytes else { return None };
    let end = FRAME_HEAD_BYTES + u32::from_be_bytes([0, high, middle, low]) as usize;
    if bytes.len() < end {
        return None;
    }
    bytes.drain(..end);
    Some((kind, flags, u32::from_be_bytes([a, b, c, d])))
}

const WRITE: &str = "7 pwrite64(5</tmp/d/wal/000001.wal>, \"x\", 1, 9) = 1";
const SYNC: &str = "7 fdatasync(5</tmp/d/wal/000001.wal>) = 0 (DELAYED)";
const BEGIN: &str = "8 fdatasync(5</tmp/d/wal/000001.wal> <unfinished ...>";
const END: &str = "8 <... fdatasync resumed>)             = 0 (DELAYED)";
const FAILED: &str = "8 fdatasync(5</tmp/d/wal/000001.wal>) = -1 EIO (Input/output error)";
const OTHER_FILE: &str = "8 fdatasync(6</tmp/d/manifest>) = 0";
const OTHER_WRITE: &str = "7 pwrite64(7</tmp/e/wal/000001.wal>, \"x\", 1, 9) = 1";
const OTHER_SYNC: &str = "7 fdatasync(7</tmp/e/wal/000001.wal>) = 0";

/// Whether a request with these lines between its coming and its answer is let pass, both ways.
#[test]
fn the_judge_sees_a_missing_or_early_sync() {
    let request = "9 recvfrom(11<socket:[1]>, \"POST /v1/logs HTTP/1.1\\r\\n\\r\\n\", 60, 0, NULL, NULL) = 26";
    let answer = "9 sendto(11<socket:[1]>, \"HTTP/1.1 200 OK\\r\\n\", 17, MSG_NOSIGNAL, NULL, 0) = 17";
    let grpc_request = [
        "9 recvfrom(11<socket:[2]>, \"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\", 24, 0, NULL, NULL) = 24",
        // SETTINGS there and back, HEADERS, then half of a DATA frame, which is no request yet; the answer to a PING says nothing either.
        "9 recvfrom(11<socket:[2]>, \"\\0\\0\\0\\4\\0\\0\\0\\0\\0\\0\\0\\1\\1\\4\\0\\0\\0\\3\\202\\0\\0\\2\\0\\1\\0\\0\\0\\3x\", 99, 0, NULL, NULL) = 29",
        "9 writev(11<socket:[2]>, [{iov_base=\"\\0\\0\\0\\4\\1\\0\\0\\0\\0\", iov_len=9}, {iov_base=\"\\0\\0\\0\\6\\1\\0\\0\\0\\0\", iov_len=9}], 2) = 18",
        "9 recvfrom(11<socket:[2]>,  <unfinished ...>",
        "9 <... recvfrom resumed>\"y\", 99, 0, NULL, NULL) = 1",
    ];
    let grpc_answer =
        "9 writev(11<socket:[2]>, [{iov_base=\"\\0\\0\\1\\1\\4\\0\\0\\0\\3\\210\", iov_len=10}], 1 <unfinished ...>";
    let check = |lines: &[&str], good: bool| {
        let ways: [(&[&str], &str); 2] = [(&[request], answer), (&grpc_request, grpc_answer)];
        for (request, answer) in ways {
            let between = |line: &&str| if *line == "answer" { answer.to_owned() } else { (*line).to_owned() };
            let lines = request.iter().copied().map(str::to_owned).chain(lines.iter().map(between));
            let events = events(&lines.collect::<Vec<_>>().join("\n"));
            assert_eq!(judge(&events) == Ok(1), good, "{:?} {events:?}", judge(&events));
        }
    };
    check(&[WRITE, SYNC, "answer"], true);
    check(&[WRITE, BEGIN, END, "answer"], true);
    check(&[WRITE, OTHER_WRITE, SYNC, OTHER_SYNC, "answer"], true);
    check(&[WRITE, "answer", SYNC], false);
    check(&[SYNC, "answer"], false);
    check(&[SYNC, WRITE, "answer"], false);
    check(&[BEGIN, WRITE, END, "answer"], false);
    check(&[WRITE, OTHER_FILE, "answer"], false);
    check(&[WRITE, FAILED, "answer"], false);
    check(&[WRITE, BEGIN, "answer", END], false);
    check(&[WRITE, OTHER_WRITE, SYNC, "answer"], false);
    check(&[WRITE, SYNC, WRITE, "answer"], false);
    check(&[WRITE, SYNC], false);
}
