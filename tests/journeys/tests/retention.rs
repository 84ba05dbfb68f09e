//! What has expired, by age or by size, is gone: from the answers of all three APIs, and its files from the disk.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tests_journeys::{Engine, otlp, wait};

#[test]
fn what_has_expired_is_gone_from_answers_and_from_disk() {
    let engine = Engine::start_with("retention", &["--retention", "20s"], &[]);
    let now_ns = wait::now_ns();
    let span = otlp::span(1, "GET /old", now_ns, 1_000_000);
    for (signal, body) in [
        ("metrics", otlp::gauge("old", "old_depth", &[(now_ns, 7.0)])),
        ("logs", otlp::logs("old", &[(now_ns, "an old line")])),
        ("traces", otlp::spans("old", &[span])),
    ] {
        assert_eq!(engine.send_otlp(signal, &body).status, 200, "{signal}");
    }
    let found = || {
        let depth = engine.number("last_over_time(old_depth[1h])");
        let lines = engine.loki("query_range", &[("query", "{service_name=\"old\"}"), ("since", "1h")]);
        let traces = engine.jaeger("traces", &[("service", "old")]);
        let count = |value: &serde_json::Value| value.as_array().map_or(0, Vec::len);
        (depth, count(&lines["result"]), count(&traces))
    };
    let before = segments(&engine.data());
    assert_eq!(engine.post("/-/flush", &[], "").status, 200);
    assert_eq!(found(), (Some(7.0), 1, 1), "all three are there while they are young");
    let written: BTreeSet<PathBuf> = segments(&engine.data()).difference(&before).cloned().collect();
    assert!(written.len() >= 3, "a flush writes a segment of each signal: {written:?}");

    wait::until("the answers to be empty", 60, || match found() {
        (None, 0, 0) => Ok(()),
        rest => Err(rest),
    });
    wait::until("the files to be gone", 60, || match written.iter().filter(|file| file.exists()).count() {
        0 => Ok(()),
        left => Err(left),
    });
}

const SIZE_MB: u64 = 32;
const BATCHES: u64 = 80;
/// Of each signal in each batch. Half a kilobyte an item that no compression makes small: more than twice the setting in all.
const ITEMS: u64 = 500;

#[test]
fn past_the_size_the_oldest_goes_and_the_newest_stays() {
    let setting = format!("{SIZE_MB}MB");
    let engine = Engine::start_with("retention_size", &["--retention-size", &setting], &[]);
    let mut noise = Noise(0x2545_f491_4f6c_dd1d);
    let start_ns = wait::now_ns() - BATCHES * 1_000_000_000;
    let time_ns = |batch: u64| start_ns + batch * 1_000_000_000;
    let mut sent_bytes = 0;
    for batch in 0..BATCHES {
        let time_ns = time_ns(batch);
        let lines: Vec<String> = (0..ITEMS).map(|item| format!("batch {batch} {item} {}", noise.text(500))).collect();
        let lines: Vec<(u64, &str)> = (time_ns..).zip(lines.iter().map(String::as_str)).collect();
        let spans: Vec<_> = (0..ITEMS)
            .map(|item| {
                let mut span = otlp::span(batch * ITEMS + item + 1, "GET /", time_ns + item, 1000);
                span["attributes"] = otlp::attributes(&[("note", &noise.text(500))]);
                span
            })
            .collect();
        let mut metrics = otlp::gauge("sized", "sized", &[(time_ns, batch as f64)]);
        let points = &mut metrics["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"];
        let point = points[0].take();
        *points = (0..ITEMS)
            .map(|_| {
                let mut point = point.clone();
                point["attributes"] = otlp::attributes(&[("batch", &batch.to_string()), ("note", &noise.text(500))]);
                point
            })
            .collect();
        for (signal, body) in
            [("metrics", metrics), ("logs", otlp::logs("sized", &lines)), ("traces", otlp::spans("sized", &spans))]
        {
            sent_bytes += body.to_string().len() as u64;
            // A sender that came too fast is told to wait.
            wait::until("the engine to take it", 60, || match engine.send_otlp(signal, &body).status {
                200 => Ok(()),
                other => Err(other),
            });
        }
        if batch == 0 {
            engine.post("/-/flush", &[], "").ok();
            assert_eq!(found(&engine, 0, time_ns), (ITEMS, ITEMS, true), "the first is there while it is the newest");
        }
    }
    assert!(sent_bytes > (2 * SIZE_MB) << 20, "only {sent_bytes} bytes were sent");
    engine.post("/-/flush", &[], "").ok();

    wait::until("the oldest to be gone", 60, || match found(&engine, 0, time_ns(0)) {
        (0, 0, false) => Ok(()),
        rest => Err(rest),
    });
    wait::until("the folder to shrink under the setting", 60, || match disk_bytes(&engine.data()) {
        bytes if bytes <= SIZE_MB << 20 => Ok(()),
        bytes => Err(format!("{} MB", bytes >> 20)),
    });
    // Also after the next round of housekeeping, which comes every second.
    let seen = engine.own_number("apm_disk_used_bytes", &[]);
    wait::until("another round", 10, || {
        if engine.number("timestamp(apm_disk_used_bytes{store=\"events\"})") > Some(wait::now_s() - 2.0) {
            Ok(())
        } else {
            Err(())
        }
    });
    for batch in BATCHES - 5..BATCHES {
        assert_eq!(
            found(&engine, batch, time_ns(batch)),
            (ITEMS, ITEMS, true),
            "batch {batch} of {BATCHES}, {seen} bytes"
        );
    }
    println!("{} MB sent, {} MB on the disk", sent_bytes >> 20, disk_bytes(&engine.data()) >> 20);
}

/// Series and lines of a batch that are found, and whether its first trace is.
fn found(engine: &Engine, batch: u64, time_ns: u64) -> (u64, u64, bool) {
    let series = engine.number(&format!("count(last_over_time(sized{{batch=\"{batch}\"}}[1h]))")).unwrap_or(0.0);
    let (from, to) = (time_ns.to_string(), (time_ns + 1_000_000_000).to_string());
    let query = format!("{{service_name=\"sized\"}} |= \"batch {batch} \"");
    let window = [("query", query.as_str()), ("start", &from), ("end", &to), ("limit", "5000")];
    let streams = engine.loki("query_range", &window);
    let streams = streams["result"].as_array().cloned().unwrap_or_default();
    let lines = streams.iter().filter_map(|stream| stream["values"].as_array()).map(Vec::len).sum::<usize>();
    let trace = engine.get(&format!("/api/traces/{}", otlp::trace_id(batch * ITEMS + 1)), &[]);
    (series as u64, lines as u64, trace.status == 200)
}

/// What `du` counts.
fn disk_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |path: PathBuf| match std::fs::symlink_metadata(&path) {
        Ok(about) if about.is_dir() => disk_bytes(&path),
        // It may just have been removed.
        about => about.map_or(0, |about| about.blocks() * 512),
    };
    entries.map(|entry| size(entry.path())).sum()
}

/// Text that cannot be compressed much, the same in every run (xorshift64).
struct Noise(u64);

impl Noise {
    fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let digits = |digit: u32| {
                char::from(
                    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
                        [(self.0 >> (6 * digit) & 63) as usize],
                )
            };
            text.extend((0..10).map(digits));
        }
        text.truncate(bytes);
        text
    }
}

/// All files of the data folder but logs, locks and manifests.
fn segments(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                if name != "wal" {
                    folders.push(path);
                }
            } else if name != "LOCK" && !name.starts_with("MANIFEST") && !name.ends_with(".tmp") {
                found.insert(path);
            }
        }
    }
    found
}
