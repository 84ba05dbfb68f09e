//! What has expired is gone: from the answers of all three APIs, and its files from the disk.

use std::collections::BTreeSet;
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
