//! A team moves from Prometheus to `apm` and back: the same samples are written to both, and what `apm` exports and
//! imports as blocks is what Prometheus itself holds; promtool and Prometheus are the judges.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests_journeys::prometheus::{Prometheus, alike, number};
use tests_journeys::remote_write::Series;
use tests_journeys::{Engine, engine, http, peer, remote_write, tools, wait};

use crate::differential::series::{self, Sample, Written};
use crate::differential::wire;

/// A leap day's evening, at an even hour: a block of two hours begins there.
const BEGIN_MS: i64 = 1_709_236_800_000;
const WINDOW_MS: i64 = 7_200_000;
const WINDOWS: i64 = 6;
const KEEP: &str = "--storage.tsdb.retention.time=100y";

#[test]
fn what_is_exported_and_imported_is_what_prometheus_holds() {
    let engine = Engine::start_with("tsdb", &["--retention", "3650d", "--admin-api"], &[]);
    let flags = ["--web.enable-remote-write-receiver", "--web.enable-admin-api", KEEP];
    let prometheus = Prometheus::launch(&engine, peer::free_port(), "global: {}\n", &flags);
    for window in 0..WINDOWS {
        send_window(&engine.url, &prometheus.url, window);
    }
    let home = engine.home().to_path_buf();

    // Out, while the engine runs: of a snapshot.
    let refused = apm(&home, "export", &[&home.join("data"), &home.join("refused")], &[]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.told.contains("is in use") && refused.told.contains("make a snapshot"), "{refused:?}");
    assert!(!home.join("refused").exists(), "a refusal leaves nothing");
    let ours = home.join("data/snapshots").join(snapshot(&engine.url));
    let out = home.join("blocks");
    // Without what the engine measures of itself today.
    let exported = apm(&home, "export", &[&ours, &out], &["--end", &end_s().to_string()]).done();

    let twice = apm(&home, "export", &[&ours, &out], &[]);
    assert!(twice.code == 3 && twice.told.contains("already holds a block of that time"), "{twice:?}");
    let running = apm(&home, "import", &[&home.join("data"), &out], &[]);
    assert!(running.code == 3 && running.told.contains("stop that engine first"), "{running:?}");

    // Both sides hold the same: every sample, line by line.
    let theirs = home.join("prometheus/snapshots").join(snapshot(&prometheus.url));
    let expect = dump(&home, &theirs);
    assert!(expect.len() > 20_000, "{} samples", expect.len());
    same(&dump(&home, &out), &expect, "exported and Prometheus's own");
    assert_eq!(exported["samples"], expect.len(), "{exported}");
    assert_eq!(exported["blocks"], WINDOWS + 1, "one for each two hours and the one before: {exported}");
    promtool_reads(&out, &exported);

    // In: Prometheus's own blocks, into a new folder; twice, as after an interruption.
    let (imported, again) = (home.join("imported"), home.join("again"));
    let first = apm(&home, "import", &[&imported, &theirs], &["--retention", "3650d"]).done();
    assert_eq!((&first["samples"], &first["refused"]), (&exported["samples"], &json!({})), "{first}");
    assert_eq!(first["series"], exported["series"]);
    // Prometheus makes the end of a series of histograms one of them.
    let histograms = |summary: &Value| summary["histograms"].as_u64();
    assert!(histograms(&first) >= histograms(&exported) && histograms(&exported) > Some(5000), "{first}");
    cut_short(&home, &home.join("cut"), &theirs, &expect);
    let second = apm(&home, "import", &[&imported, &theirs], &["--retention", "3650d"]).done();
    assert_eq!((&second["samples"], &second["refused"]), (&first["samples"], &first["refused"]), "{second}");
    apm(&home, "export", &[&imported, &again], &[]).done();
    same(&dump(&home, &again), &expect, "imported, exported again, and Prometheus's own");
    // A NaN's payload is more than a dump shows: the chunks of both ways are the same bytes.
    let odd = |data: &Path, name: &str| {
        let out = home.join(name);
        let done = apm(&home, "export", &[data, &out], &["--match", "odd{job=\"api\"}"]).done();
        assert_eq!((&done["series"], &done["samples"]), (&json!(1), &json!(WINDOWS * 480)), "{done}");
        chunks(&out)
    };
    assert!(odd(&imported, "odd_imported") == odd(&ours, "odd_ours"), "values have other bits");

    // What is older than the retention is counted and said.
    let late = apm(&home, "import", &[&home.join("late"), &theirs], &["--retention", "15d"]);
    assert_eq!((late.code, late.done()["refused"]["too_old"]["samples"].as_u64()), (0, Some(expect.len() as u64)));

    opens_and_compacts(&engine, &out);
}

#[test]
fn what_newer_encodings_hold_is_imported_too() {
    let engine = Engine::start_with("tsdb_newer", &["--retention", "3650d"], &[]);
    let newer = "global: {}\nstorage: { tsdb: { chunk_encoding: { floats: xor2 } } }\n";
    let features = "--enable-feature=st-storage,histograms-st-encoding";
    let flags = ["--web.enable-remote-write-receiver", "--web.enable-admin-api", KEEP, features];
    let prometheus = Prometheus::launch(&engine, peer::free_port(), newer, &flags);
    for window in 0..2 {
        send_window(&engine.url, &prometheus.url, window);
    }
    let home = engine.home();
    let theirs = home.join("prometheus/snapshots").join(snapshot(&prometheus.url));
    let encodings: BTreeSet<u8> = chunks(&theirs).iter().flat_map(|file| encodings(file)).collect();
    assert!(encodings.is_superset(&[4, 5, 6].into()), "Prometheus wrote chunks of the encodings {encodings:?}");
    let (data, out) = (home.join("imported"), home.join("blocks"));
    apm(home, "import", &[&data, &theirs], &["--retention", "3650d"]).done();
    apm(home, "export", &[&data, &out], &[]).done();
    same(&dump(home, &out), &dump(home, &theirs), "imported, exported, and Prometheus's own");
}

/// Of all chunks of a file.
fn encodings(file: &[u8]) -> Vec<u8> {
    let (mut at, mut found) = (8, Vec::new());
    while at < file.len() {
        let (mut len, mut shift) = (0usize, 0);
        loop {
            let byte = file[at];
            at += 1;
            len |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        found.push(file[at]);
        at += 1 + len + 4;
    }
    found
}

/// Killed when the first block is in, run again: nothing is missing, and nothing there twice.
fn cut_short(home: &Path, data: &Path, from: &Path, expect: &[String]) {
    let mut program = engine::command(home, &engine::apm());
    program.args(["import", "prometheus", "--retention", "3650d", "--data"]).arg(data).arg(from);
    let mut child = program.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("apm can be started");
    let mut told = BufReader::new(child.stderr.take().expect("its stderr is ours"));
    let mut line = String::new();
    told.read_line(&mut line).expect("it says what it does");
    child.kill().expect("it runs");
    let ended = child.wait().expect("it ends");
    assert!(line.contains(" samples") && !ended.success(), "{ended} after {line:?}");
    let whole = apm(home, "import", &[data, from], &["--retention", "3650d"]).done();
    assert_eq!((&whole["samples"], &whole["refused"]), (&json!(expect.len()), &json!({})), "{whole}");
    let out = home.join("cut_blocks");
    apm(home, "export", &[data, &out], &[]).done();
    same(&dump(home, &out), expect, "imported after a kill, and Prometheus's own");
}

/// The real Prometheus on what was exported: the same answers before and after it wrote all of it anew; and what it
/// deleted does not come back by way of its files.
fn opens_and_compacts(engine: &Engine, out: &Path) {
    let home = engine.home();
    let flags = ["--web.enable-admin-api", KEEP];
    let prometheus = Prometheus::launch_on(engine, out, peer::free_port(), "global: {}\n", &flags);
    answers_alike(&engine.url, &prometheus.url, "on exported blocks");
    let matcher = ("match[]", "long_total");
    let deleted = http::request(
        "POST",
        &format!("{}/api/v1/admin/tsdb/delete_series?{}={}", prometheus.url, matcher.0, matcher.1),
    );
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    // It looks once a minute what there is to compact.
    wait::until("Prometheus to compact our blocks", 150, || {
        let done = own_number(&prometheus.url, "prometheus_tsdb_compactions_total");
        let failed = own_number(&prometheus.url, "prometheus_tsdb_compactions_failed_total");
        assert_eq!(failed, Some(0.0), "a compaction failed:\n{}", prometheus.printed());
        if done > Some(0.0) { Ok(()) } else { Err((done, prometheus.printed())) }
    });
    assert_eq!(number(&prometheus.url, &format!("count(last_over_time(long_total[14h] @ {}))", end_s())), None);
    prometheus.stop();
    let left = dump(home, out);
    assert!(left.len() > 10_000 && !left.iter().any(|line| line.contains("long_total")), "{}", left.len());
    let (moved, back) = (home.join("moved"), home.join("back"));
    let imported = apm(home, "import", &[&moved, out], &["--retention", "3650d"]).done();
    assert_eq!(imported["samples"], left.len(), "{imported}");
    apm(home, "export", &[&moved, &back], &[]).done();
    same(&dump(home, &back), &left, "a compacted folder with deletions, and what came of it");
}

fn end_s() -> i64 {
    (BEGIN_MS + WINDOWS * WINDOW_MS) / 1000
}

fn answers_alike(ours: &str, theirs: &str, what: &str) {
    let queries = [
        "sum by (code) (rate(c_total[5m]))",
        "increase(long_total[10m])",
        "histogram_quantile(0.9, sum(rate(whole[5m])))",
        "histogram_quantile(0.5, sum by (job) (rate(nh[5m])))",
        "nc",
        "ng",
        "mix",
        "g",
        "{\"my.metric\"}",
        "{\"größe\"}",
        "odd",
        "count_over_time(mix[2h])",
        "count by (__name__) ({__name__=~\".+\"})",
    ];
    let (start, end) = ((BEGIN_MS / 1000 - 3600).to_string(), end_s().to_string());
    for query in queries {
        let parameters = [("query", query), ("start", &*start), ("end", &*end), ("step", "300")];
        let ask = |url: &str| {
            http::get(&format!("{url}/api/v1/query_range"), &parameters).ok().json()["data"]["result"].take()
        };
        let (ours, theirs) = (ask(ours), ask(theirs));
        assert!(theirs.as_array().is_some_and(|series| !series.is_empty()), "{what}: nothing for {query}");
        assert!(alike(&ours, &theirs), "{what}: {query}\nours:   {ours}\ntheirs: {theirs}");
    }
}

/// Of the page `/metrics`.
fn own_number(url: &str, name: &str) -> Option<f64> {
    let text = http::get(&format!("{url}/metrics"), &[]).ok().text();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn snapshot(url: &str) -> String {
    let reply = http::post(&format!("{url}/api/v1/admin/tsdb/snapshot"), &[], "").ok().json();
    reply["data"]["name"].as_str().unwrap_or_else(|| panic!("no snapshot: {reply}")).to_owned()
}

/// All series of two hours, in the order of time: neither side shall have to sort.
fn send_window(ours: &str, theirs: &str, window: i64) {
    let begin_ms = BEGIN_MS + window * WINDOW_MS;
    if window == 0 {
        send(ours, theirs, &wire::remote_write(&series::catalogue(BEGIN_MS - 3_600_000)));
    }
    let mut rest = series::of_seed(window as u64 + 1, begin_ms);
    // Floats and histograms of a series in turn, as they come in time.
    while !rest.is_empty() {
        let mut part = Vec::new();
        for series in &mut rest {
            let is_float = |sample: &Sample| matches!(sample, Sample::Float(_));
            let kind = series.samples.first().map(|(_, sample)| is_float(sample));
            let run = series.samples.iter().take_while(|(_, sample)| Some(is_float(sample)) == kind).count();
            let samples = series.samples.drain(..run).collect();
            part.push(Written { labels: series.labels.clone(), samples });
        }
        rest.retain(|series| !series.samples.is_empty());
        send(ours, theirs, &wire::remote_write(&part));
    }
    send(ours, theirs, &remote_write::request(&more(begin_ms)));
}

/// Long ones, whole numbers in histograms, NaNs with payloads, and names beyond ASCII.
fn more(begin_ms: i64) -> Vec<Series> {
    let times = || (0..480).map(move |i| (i, begin_ms + i * 15_000));
    let long = times().map(|(i, time_ms)| (time_ms, (time_ms / 15_000 % 4000 * (1 + i % 3)) as f64)).collect();
    let odd = times().map(|(i, time_ms)| {
        let bits = match i % 8 {
            0 => 0x7ff8_0000_dead_beef,
            1 => 0xfff0_0000_0000_0001,
            2 => 0x8000_0000_0000_0000,
            3 => 0x7ff0_0000_0000_0002,
            4 => 1,
            5 => 0x7fef_ffff_ffff_ffff,
            _ => (i as f64 * 0.1).to_bits(),
        };
        (time_ms, f64::from_bits(bits))
    });
    let mut whole = Series::new(&[("__name__", "whole"), ("job", "api")], Vec::new());
    let grown = |i: i64| (0..(1 + i / 100)).map(|bucket| (i % 150 * (bucket + 1)) as u64).collect::<Vec<u64>>();
    whole.histograms = times().map(|(i, time_ms)| (time_ms, grown(i), i as f64 * 0.5)).collect();
    let mut all = vec![
        Series::new(&[("__name__", "long_total"), ("job", "api"), ("path", "/a\"b\\c\nd")], long),
        Series::new(&[("__name__", "odd"), ("job", "api")], odd.collect()),
        whole,
        Series::new(&[("__name__", "größe"), ("ключ", "𝄞 é"), ("a b", "\u{10ffff}")], vec![(begin_ms, 1.0)]),
    ];
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}

fn send(ours: &str, theirs: &str, body: &[u8]) {
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ];
    for url in [ours, theirs] {
        let reply = http::post(&format!("{url}/api/v1/write"), &headers, body.to_vec());
        assert_eq!(reply.status / 100, 2, "{url}: {}", reply.text());
    }
}

/// How `apm` ended and what it said.
#[derive(Debug)]
struct Ended {
    code: i32,
    answer: String,
    told: String,
}

impl Ended {
    /// The summary as JSON.
    fn done(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.told);
        serde_json::from_str(&self.answer).unwrap_or_else(|error| panic!("{error}: {}", self.answer))
    }
}

/// `apm export|import prometheus --data DATA OTHER`.
fn apm(home: &Path, command: &str, [data, other]: &[&Path; 2], words: &[&str]) -> Ended {
    let mut program = engine::command(home, &engine::apm());
    program.args([command, "prometheus", "--output", "json", "--data"]).arg(data).arg(other).args(words);
    let output = program.output().expect("apm can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints UTF-8");
    Ended { code: output.status.code().unwrap_or(-1), answer: text(output.stdout), told: text(output.stderr) }
}

fn promtool(words: &[&str], folder: &Path) -> String {
    let output = Command::new(tools::tool("promtool")).arg("tsdb").args(words).arg(folder).output();
    let output = output.expect("promtool can be started");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "promtool tsdb {words:?} {}: {told}", folder.display());
    String::from_utf8(output.stdout).expect("promtool prints UTF-8")
}

/// Every sample a line. The end of a histogram is a histogram or a float, as whoever wrote it liked: it is one end.
fn dump(home: &Path, folder: &Path) -> Vec<String> {
    let sandbox = home.join("sandbox");
    // promtool asks for a log, though it may be empty.
    for made in [&sandbox, &folder.join("wal")] {
        std::fs::create_dir_all(made).expect("a folder can be made");
    }
    let text = promtool(&["dump", &format!("--sandbox-dir-root={}", sandbox.display())], folder);
    // A line may hold a line break within a label: only what ends with a time ends a sample.
    let mut lines: Vec<String> = text.lines().map(|line| line.replace("{count:0, sum:NaN}", "NaN")).collect();
    lines.sort();
    lines
}

fn same(found: &[String], expect: &[String], what: &str) {
    let only = |a: &[String], b: &[String]| {
        let b: BTreeSet<&String> = b.iter().collect();
        a.iter().filter(|line| !b.contains(line)).take(10).cloned().collect::<Vec<_>>().join("\n")
    };
    assert!(
        found == expect,
        "{what}: {} and {} lines\nonly in the first:\n{}\nonly in the second:\n{}",
        found.len(),
        expect.len(),
        only(found, expect),
        only(expect, found)
    );
}

fn promtool_reads(out: &Path, exported: &Value) {
    let listed = promtool(&["list"], out);
    let samples: u64 =
        listed.lines().skip(1).filter_map(|line| line.split_whitespace().nth(4)?.parse::<u64>().ok()).sum();
    assert_eq!(exported["samples"], samples, "{listed}");
    let analyzed = promtool(&["analyze", "--extended"], out);
    assert!(analyzed.contains("Total Series:") && analyzed.contains("Label names"), "{analyzed}");
}

/// The bytes of all blocks' chunk files, in the order in which the blocks were written.
fn chunks(folder: &Path) -> Vec<Vec<u8>> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        entries.map(|entry| entry.expect("a listed file").path()).collect()
    };
    let mut files: Vec<PathBuf> = list(folder)
        .into_iter()
        .filter(|block| block.join("meta.json").exists())
        .map(|block| block.join("chunks/000001"))
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a block has chunks")).collect()
}
