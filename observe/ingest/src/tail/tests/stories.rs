//! One thing that happens to files at a time, and what comes out.

use std::path::Path;
use std::sync::Arc;

use base_world::Disk;
use base_world::sim::PowerLoss;
use parking_lot::Mutex;

use super::super::{Lookup, PodFacts, PodMetadata, PodRef, Start, TailError};
use super::{POD, STATE, Story, cri};

/// Runs a story in steps; after each `expect` is what came, and every line that was numbered came once.
fn check(story: impl FnOnce(&mut Story, &mut Vec<String>)) {
    let (mut on, mut came) = (Story::new(), Vec::new());
    story(&mut on, &mut came);
    came.extend(on.take(5));
    assert_eq!(came, Story::numbered(0, on.lines));
}

#[test]
fn what_happens_to_files_loses_and_doubles_nothing() {
    // The kubelet: renamed, written to once more, then a new one.
    check(|on, came| {
        on.log("0.log", 3);
        came.extend(on.take(1));
        on.log("0.log", 2);
        on.rename("0.log", "0.log.20260101-000000");
        on.log("0.log.20260101-000000", 2);
        on.log("0.log", 2);
        came.extend(on.take(1));
        on.remove("0.log.20260101-000000");
    });
    // Removed before it was looked at again: its handle still reads it.
    check(|on, came| {
        on.log("0.log", 3);
        came.extend(on.take(1));
        on.log("0.log", 20);
        on.remove("0.log");
        on.log("0.log", 2);
    });
    // Files that were rotated before the first look, and a copy that is being packed.
    check(|on, _| {
        on.log("0.log.20260101-000000", 3);
        on.log("0.log.20260102-000000", 3);
        on.log("0.log", 3);
        on.log("1.log", 3);
        on.write("0.log.20251231-000000.gz", "packed");
        on.write("0.log.20260101-000000.tmp", "half packed");
    });
    // Copied and cut, looked at in between or not.
    for looks in 0..4 {
        check(|on, came| {
            on.log("0.log", 30);
            came.extend(on.take(1));
            on.log("0.log", 30);
            if looks & 1 > 0
                && let Some(batch) = on.tail().poll()
            {
                came.extend(super::texts(batch.write()));
                on.tail().acknowledge(batch, &Default::default());
            }
            on.copy("0.log", "0.log.20260101-000000");
            if looks & 2 > 0 {
                came.extend(on.take(4));
            }
            on.cut("0.log");
            on.log("0.log", 5);
        });
    }
    // Cut, and grown beyond where it was.
    check(|on, came| {
        on.log("0.log", 3);
        came.extend(on.take(1));
        on.cut("0.log");
        on.log("0.log", 50);
    });
    // Stopped while it was rotated, and while it was copied and cut.
    check(|on, came| {
        on.log("0.log", 30);
        came.extend(on.take(1));
        on.stop();
        on.log("0.log", 3);
        on.rename("0.log", "0.log.20260101-000000");
        on.log("0.log", 3);
        came.extend(on.take(5));
        on.stop();
        on.log("0.log", 3);
        on.copy("0.log", "0.log.20260102-000000");
        on.cut("0.log");
        on.log("0.log", 40);
    });
    // The number of a removed file is given to a new one.
    check(|on, came| {
        on.log("0.log", 3);
        came.extend(on.take(1));
        on.stop();
        on.remove("0.log");
        on.sim.disk.reboot(PowerLoss::KeepAll);
        on.log("1.log", 30);
    });
    // Few may be open at once.
    check(|on, came| {
        on.settings.open_files_max = 1;
        on.log("0.log", 3);
        on.log("1.log", 3);
        came.extend(on.take(3));
        on.log("1.log", 3);
        assert_eq!(on.tail().stats().files_open, 1);
    });
}

#[test]
fn lines_that_are_not_plain() {
    let mut on = Story::new();
    for (stream, text) in
        [("stdout P", "one "), ("stderr F", "between"), ("stdout P", "and "), ("stdout F", "the same")]
    {
        on.write("0.log", &cri(stream, text));
    }
    on.write("0.log", "no format at all\n");
    on.write("0.log", &cri("stdout F", &"é".repeat(200)));
    on.write("0.log", &cri("stdout F", &"x".repeat(5000)));
    let docker =
        |text: &str| format!("{{\"log\":\"{text}\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00Z\"}}\n");
    on.write("0.log", &docker("in two "));
    on.write("0.log", &docker("halves\\n"));
    let cut_text = format!("{} [log_truncated_from_bytes=400]", "é".repeat(128));
    let long_text = format!("{} [log_truncated_from_bytes=5000]", "x".repeat(256));
    let expect = [
        "between",
        "one and the same",
        "no format at all [log_malformed=true]",
        &cut_text,
        &long_text,
        "in two halves",
    ];
    assert_eq!(on.take(1), expect);
    let stats = on.tail().stats();
    assert_eq!((stats.lines, stats.lines_malformed, stats.lines_cut), (6, 1, 2));

    // A part whose rest comes in the next file, one whose rest never comes, and a line without an end.
    on.write("0.log", &cri("stdout P", "first "));
    assert!(on.take(1).is_empty());
    on.rename("0.log", "0.log.20260101-000000");
    on.write("0.log", &cri("stdout F", "last"));
    assert_eq!(on.take(1), ["first last"]);
    on.write("0.log", &cri("stdout P", "abandoned"));
    on.write("0.log", cri("stdout F", "killed").trim_end());
    on.write("1.log", &cri("stdout F", "next run"));
    assert_eq!(on.take(1), ["abandoned [log_partial=true]", "next run"]);
    assert_eq!(on.take(40), ["killed"]);
    on.stop();
    assert!(on.take(40).is_empty(), "nothing comes twice");
}

#[test]
fn a_line_that_is_not_whole_outlives_a_stop() {
    let mut on = Story::new();
    on.write("0.log", &cri("stdout P", "kept "));
    on.write("0.log", &cri("stderr F", "seen"));
    assert_eq!(on.take(3), ["seen"]);
    on.stop();
    on.write("0.log", &cri("stdout F", "whole"));
    assert_eq!(on.take(3), ["kept whole"], "what stood between was handed out before");
}

#[test]
fn nothing_is_read_beyond_what_may_be_in_flight() {
    let mut on = Story::new();
    on.log("0.log", 400);
    let mut held = Vec::new();
    for _ in 0..100 {
        on.sim.clock.advance_ms(100);
        held.extend(on.tail().poll());
    }
    let bytes: usize = held.iter().map(|batch| batch.bytes()).sum();
    let (most, stats) =
        (on.settings.in_flight_bytes_max + on.settings.batch_bytes_max + 1024, on.tail().stats().clone());
    assert!(bytes < most && stats.in_flight_bytes == bytes && held.len() > 1, "{bytes} of {most}");
    // Given back in another order: positions wait for the first.
    let first = held.remove(0);
    let mut came = super::texts(first.write());
    for batch in held {
        came.extend(super::texts(batch.write()));
        on.tail().acknowledge(batch, &Default::default());
    }
    assert_eq!(on.tail().stats().in_flight_bytes, bytes);
    on.tail().acknowledge(first, &Default::default());
    assert_eq!(on.tail().stats().in_flight_bytes, 0);
    came.extend(on.take(10));
    assert_eq!(came, Story::numbered(0, 400));
}

#[derive(Default)]
struct Told(Mutex<Option<Arc<PodFacts>>>);

impl PodMetadata for Told {
    fn pod(&self, pod: &PodRef) -> Lookup {
        assert_eq!(pod, &PodRef::of_folder(POD).expect("a pod"));
        self.0.lock().clone().map_or(Lookup::NotYet, Lookup::Known)
    }
}

#[test]
fn lines_wait_for_metadata_but_not_for_ever() {
    let mut on = Story::new();
    let told = Arc::new(Told::default());
    on.pods = told.clone();
    on.log("0.log", 1);
    assert!(on.take(4).is_empty());
    assert_eq!(on.take(4), ["line 0"]);
    *told.0.lock() = Some(Arc::new(PodFacts { opted_out: true, ..PodFacts::default() }));
    on.take(1);
    on.log("0.log", 3);
    assert!(on.take(4).is_empty(), "its annotation says that its logs are left alone");
    *told.0.lock() = Some(Arc::default());
    on.take(1);
    on.log("0.log", 1);
    assert_eq!(on.take(4), ["line 4"], "what was written meanwhile stays unsent");
}

#[test]
fn a_first_start_may_begin_at_the_end() {
    let mut on = Story::new();
    on.settings.start = Start::End;
    on.log("0.log.20260101-000000", 3);
    on.log("0.log", 3);
    assert!(on.take(5).is_empty());
    on.log("0.log", 1);
    on.log("1.log", 1);
    assert_eq!(on.take(5), ["line 6", "line 7"]);
    on.stop();
    on.log("0.log", 1);
    on.log("2.log", 1);
    assert_eq!(on.take(5), ["line 8", "line 9"], "only the first start");
}

#[test]
fn positions_that_cannot_be_used_are_told() {
    let mut on = Story::new();
    on.log("0.log", 3);
    on.take(2);
    on.stop();
    let path = Path::new("/state/positions");
    assert!(on.sim.disk.flip_bit(path, 100, 0));
    assert_eq!(on.take(3), Story::numbered(0, 3), "rather twice than never");
    let stats = on.tail().stats();
    assert!(stats.last_error.as_deref().is_some_and(|why| why.contains("checksum")), "{stats:?}");
    on.stop();
    on.sim.disk.remove(path).expect("remove");
    super::append(&on.sim.disk, "/state/positions", b"{\"version\":2,\"positions\":0,\"crc32c\":0}\n");
    let error = super::super::Tail::open(on.sim.world(), on.settings.clone(), Path::new(STATE), on.pods.clone()).err();
    assert!(matches!(error, Some(TailError::Newer { version: 2, .. })), "{error:?}");
}

#[test]
fn a_pod_that_is_gone_is_forgotten_when_its_lines_were_taken() {
    let mut on = Story::new();
    on.log("0.log", 3);
    let mut came = on.take(1);
    on.log("0.log", 3);
    on.remove("0.log");
    for folder in [format!("{}/{POD}/web", super::LOGS), format!("{}/{POD}", super::LOGS)] {
        on.sim.disk.remove_folder(Path::new(&folder)).expect("remove");
    }
    came.extend(on.take(3));
    assert_eq!(came, Story::numbered(0, 6));
    let stats = on.tail().stats().clone();
    assert_eq!((stats.containers, stats.files, stats.files_open, stats.files_missed), (0, 0, 0, 0));
    on.stop();
    let positions = on.sim.disk.read(Path::new("/state/positions"), 1 << 20).expect("positions");
    assert_eq!(positions.iter().filter(|b| **b == b'\n').count(), 1, "nothing is kept of it");
}
