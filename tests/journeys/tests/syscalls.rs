//! "Acknowledged is durable", seen from the kernel: no 2xx to an ingest request leaves the process before an fdatasync of a WAL file that followed the
//! write of that request. strace is the witness; the requests go one after the other, so that each has its own window.

use std::path::Path;

use tests_journeys::{Engine, otlp, tools, wait};

const REQUESTS: u64 = 60;

#[test]
fn no_acknowledgement_leaves_before_its_fdatasync() {
    let strace = tools::system("strace");
    let strace = strace.to_string_lossy();
    let trace = tempfile::NamedTempFile::new().expect("a temporary file");
    let output = trace.path().to_string_lossy().into_owned();
    let calls = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync";
    let wrapper = [&*strace, "-f", "-y", "-s", "256", "-e", calls, "-e", "signal=none", "-o", &output];
    let mut engine = Engine::start_with("syscalls", &[], &wrapper);

    let now = wait::now_ns();
    for number in 1..=REQUESTS {
        // A header of the request comes back in no answer, so the answer's own status line is what is looked for.
        let (signal, body) = match number % 3 {
            0 => ("traces", otlp::spans("shop", &[otlp::span(number, "/cart", now, 1_000_000)])),
            1 => ("logs", otlp::logs("shop", &[(now + number, "paid")])),
            _ => ("metrics", otlp::gauge("shop", "depth", &[(now + number * 1_000_000, 1.0)])),
        };
        engine.send_otlp(signal, &body).ok();
    }
    // strace has written everything when it ends with the engine.
    engine.terminate();
    let _ = std::fs::copy(trace.path(), engine.artefacts().join("syscalls.strace"));

    let events = events(trace.path());
    let answers = events.iter().filter(|event| matches!(event, Event::Answered)).count() as u64;
    assert!(answers >= REQUESTS, "strace saw {answers} answers to {REQUESTS} requests");
    judge(&events).unwrap_or_else(|problem| {
        panic!("{problem}; the trace is {}", engine.artefacts().join("syscalls.strace").display())
    });
}

/// What counts, in the order it happened. A call that strace saw in two halves counts as a write when it ended, as a sync when it ended if it also
/// began after the write, and as an answer when it began: each reading is the one that is harder on us.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    WalWritten,
    SyncBegan(u32),
    SyncEnded(u32),
    /// The first bytes of an HTTP answer with a status of 2xx to a POST.
    Answered,
}

/// Between one answer and the next stand a WAL write, and a sync that began after it and ended before the answer.
fn judge(events: &[Event]) -> Result<(), String> {
    let mut written = false;
    let mut syncing: Vec<u32> = Vec::new();
    let mut durable = false;
    let mut answers = 0;
    for event in events {
        match event {
            Event::WalWritten => written = true,
            Event::SyncBegan(thread) if written => syncing.push(*thread),
            Event::SyncBegan(_) => {}
            Event::SyncEnded(thread) => {
                if syncing.contains(thread) {
                    durable = true;
                }
            }
            Event::Answered => {
                answers += 1;
                if !written {
                    return Err(format!("answer {answers} left before anything was written to the WAL"));
                }
                if !durable {
                    return Err(format!("answer {answers} left before the fdatasync that covers it"));
                }
                (written, durable) = (false, false);
                syncing.clear();
            }
        }
    }
    Ok(())
}

fn events(path: &Path) -> Vec<Event> {
    let text =
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).expect("strace wrote its file");
    // The threads whose unfinished call is a write to, or a sync of, a WAL file.
    let mut open: Vec<(u32, bool)> = Vec::new();
    text.lines().flat_map(|line| event(line, &mut open)).collect()
}

fn event(line: &str, open: &mut Vec<(u32, bool)>) -> Vec<Event> {
    let Some((thread, call)) = line.split_once(' ') else { return Vec::new() };
    let (thread, call) = (thread.parse::<u32>().unwrap_or(0), call.trim_start());
    if let Some(resumed) = call.strip_prefix("<... ") {
        let Some(at) = open.iter().position(|(other, _)| *other == thread) else { return Vec::new() };
        let (_, sync) = open.swap_remove(at);
        let failed = resumed.contains(") = -1 ");
        return if failed { Vec::new() } else { vec![if sync { Event::SyncEnded(thread) } else { Event::WalWritten }] };
    }
    let (name, rest) = call.split_once('(').unwrap_or((call, ""));
    let file = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(file, _)| file);
    let unfinished = call.ends_with("<unfinished ...>");
    let failed = call.contains(") = -1 ");
    let wal = file.starts_with('/') && file.to_lowercase().contains("wal");
    let sync = matches!(name, "fsync" | "fdatasync");
    if file.starts_with('/') && wal && !failed {
        if unfinished {
            open.push((thread, sync));
        }
        return match (sync, unfinished) {
            (true, true) => vec![Event::SyncBegan(thread)],
            (true, false) => vec![Event::SyncBegan(thread), Event::SyncEnded(thread)],
            (false, true) => Vec::new(),
            (false, false) => vec![Event::WalWritten],
        };
    }
    let answer = !file.starts_with('/') && rest.contains("\"HTTP/1.1 20") && rest.contains("application/json");
    if answer { vec![Event::Answered] } else { Vec::new() }
}

#[test]
fn the_judge_sees_a_missing_or_early_sync() {
    const WRITE: &str = "7 write(5</tmp/d/wal/000001.wal>, \"x\"..., 9) = 9";
    const SYNC: &str = "7 fdatasync(5</tmp/d/wal/000001.wal>) = 0";
    const BEGIN: &str = "8 fdatasync(5</tmp/d/wal/000001.wal> <unfinished ...>";
    const END: &str = "8 <... fdatasync resumed>) = 0";
    const OTHER: &str = "8 fdatasync(6</tmp/d/manifest>) = 0";
    const ANSWER: &str = "9 sendto(11<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\n\", 60) = 60";
    let check = |lines: &[&str], good: bool| {
        let mut open = Vec::new();
        let events: Vec<Event> = lines.iter().flat_map(|line| event(line, &mut open)).collect();
        assert_eq!(judge(&events).is_ok(), good, "{events:?}");
    };
    check(&[WRITE, SYNC, ANSWER], true);
    check(&[WRITE, BEGIN, END, ANSWER], true);
    check(&[WRITE, ANSWER, SYNC], false);
    check(&[SYNC, ANSWER], false);
    check(&[SYNC, WRITE, ANSWER], false);
    check(&[BEGIN, WRITE, END, ANSWER], false);
    check(&[WRITE, OTHER, ANSWER], false);
    check(&[WRITE, BEGIN, ANSWER, END], false);
    check(&[WRITE, SYNC, ANSWER, ANSWER], false);
}
