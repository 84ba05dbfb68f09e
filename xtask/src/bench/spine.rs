//! The spine: how quickly the engine starts, what it costs at rest, how soon a record is visible, and how much it takes in for a second of CPU. The load
//! is encoded before the clock starts. Nothing here is a bound.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

use super::engine::Engine;
use super::peer::Program;
use super::process::Process;
use super::{otlp, write};
use crate::http::{Client, Reply};
use crate::{ci, sh};

/// How long and how much.
pub(super) struct Size {
    idle_s: u64,
    starts: usize,
    probes: u64,
    /// Requests of each kind of load.
    requests: u64,
}

/// Long enough for figures that repeat.
pub(super) const FULL: Size = Size { idle_s: 60, starts: 7, probes: 50, requests: 1500 };
/// Only shows that everything answers.
pub(super) const SMOKE: Size = Size { idle_s: 3, starts: 2, probes: 5, requests: 60 };

/// Connections that send at once: more than one, so that group commit has something to group.
const SENDERS: usize = 4;

/// Measures, and prints a table.
pub(super) fn run(size: &Size) -> sh::Outcome {
    let (program, profile) = program()?;
    println!("machine: {}; profile: {profile}\n", machine());
    println!("| what | figure | unit |\n|---|---|---|");
    starts(&program, size)?;
    let home = folder()?;
    let engine = Engine::start(&program, &home)?;
    std::thread::sleep(Duration::from_secs(size.idle_s));
    let cpu = engine.process.cpu_s().unwrap_or(0.0);
    row(&format!("memory at rest after {} s", size.idle_s), engine.process.memory_mb(), "MB");
    row("CPU while at rest, start included", Some(cpu), "s");
    visible(&engine, size)?;
    sustained(&engine, size)?;
    row("memory after the load", engine.process.memory_mb(), "MB");
    engine.kill();
    let again = Engine::start(&program, &home)?;
    row("start to ready after kill -9 under that data", Some(again.ready_ms), "ms");
    Ok(())
}

fn starts(program: &std::path::Path, size: &Size) -> sh::Outcome {
    let mut times = Vec::new();
    for _ in 0..size.starts {
        times.push(Engine::start(program, &folder()?)?.ready_ms);
    }
    row("start to ready, empty folder, median", median(&mut times), "ms");
    Ok(())
}

/// From the last byte of the request to the first answer that holds the record.
fn visible(engine: &Engine, size: &Size) -> sh::Outcome {
    let mut sender = Client::connect(&engine.otlp_http)?;
    let mut reader = Client::connect(&engine.url)?;
    for kind in ["metric", "log", "trace"] {
        let mut times = Vec::new();
        for probe in 1..=size.probes {
            let now = now_ns();
            let name = format!("probe_{kind}_{probe}");
            let (path, body, question) = probe_request(kind, &name, probe, now);
            let start = Instant::now();
            good(&sender.post(&path, "content-type: application/json\r\n", body.as_bytes())?, &path)?;
            while !holds(&reader.get(&question)?, &name) {
                if start.elapsed() > Duration::from_secs(10) {
                    return Err(format!("{name} was acknowledged and is not visible after 10 s: GET {question}"));
                }
            }
            times.push(start.elapsed().as_secs_f64() * 1000.0);
        }
        row(&format!("{kind}: sent to visible, median"), median(&mut times), "ms");
    }
    Ok(())
}

/// The path and body that send one record called `name`, and the question whose answer then holds that name.
fn probe_request(kind: &str, name: &str, probe: u64, now: u64) -> (String, String, String) {
    let resource = r#""resource":{"attributes":[{"key":"service.name","value":{"stringValue":"probe"}}]}"#;
    match kind {
        "metric" => (
            "/v1/metrics".into(),
            format!(
                r#"{{"resourceMetrics":[{{{resource},"scopeMetrics":[{{"metrics":[{{"name":"{name}","gauge":{{"dataPoints":[{{"timeUnixNano":"{now}","asDouble":1}}]}}}}]}}]}}]}}"#
            ),
            format!("/api/v1/query?query={name}"),
        ),
        "log" => (
            "/v1/logs".into(),
            format!(
                r#"{{"resourceLogs":[{{{resource},"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{now}","body":{{"stringValue":"{name}"}}}}]}}]}}]}}"#
            ),
            format!(
                "/loki/api/v1/query_range?query=%7Bservice_name%3D%22probe%22%7D&limit=10&start={}&end={}",
                now - 1_000_000_000,
                now + 1_000_000_000
            ),
        ),
        _ => {
            let id = format!("{:032x}", u128::from(now) << 32 | u128::from(probe));
            (
                "/v1/traces".into(),
                format!(
                    r#"{{"resourceSpans":[{{{resource},"scopeSpans":[{{"spans":[{{"traceId":"{id}","spanId":"{probe:016x}","name":"{name}","kind":2,"startTimeUnixNano":"{now}","endTimeUnixNano":"{}"}}]}}]}}]}}"#,
                    now + 1000
                ),
                format!("/api/traces/{id}"),
            )
        }
    }
}

fn holds(reply: &Reply, name: &str) -> bool {
    reply.status == 200 && reply.body.windows(name.len()).any(|window| window == name.as_bytes())
}

/// Bodies of one kind, and where they go.
struct Load<'a> {
    url: &'a str,
    path: &'static str,
    headers: &'static str,
    bodies: Vec<Vec<u8>>,
    /// What is counted, and how many of it are in a body.
    unit: &'static str,
    each: u64,
    senders: usize,
}

fn sustained(engine: &Engine, size: &Size) -> sh::Outcome {
    let now = now_ns();
    let numbers = || 0..size.requests;
    let protobuf = "content-type: application/x-protobuf\r\n";
    let (url, each, senders) = (engine.otlp_http.as_str(), otlp::BATCH, SENDERS);
    let bodies = numbers().map(|number| otlp::spans(number, now)).collect();
    load(&engine.process, &Load { url, path: "/v1/traces", headers: protobuf, bodies, unit: "spans", each, senders })?;
    let bodies = numbers().map(|number| otlp::lines(number, now - (size.requests - number) * 1_000_000)).collect();
    load(&engine.process, &Load { url, path: "/v1/logs", headers: protobuf, bodies, unit: "lines", each, senders })?;
    let headers = "content-type: application/x-protobuf\r\ncontent-encoding: snappy\r\nx-prometheus-remote-write-version: 0.1.0\r\n";
    let scrapes = numbers().map(|number| write::scrape(number, now / 1_000_000 - (size.requests - number) * 1000));
    let bodies = scrapes.collect::<Result<Vec<_>, String>>()?;
    // The samples of one series must come in order, so one sender.
    let (url, each) = (engine.url.as_str(), write::SERIES);
    let mut samples = Load { url, path: "/api/v1/write", headers, bodies, unit: "samples", each, senders: 1 };
    load(&engine.process, &samples)?;
    // The peer acknowledges from memory, before anything is synced; its figures are read with that in mind.
    let home = folder()?;
    let peer = Program::prometheus()?.start(&home)?;
    (samples.url, samples.unit) = (&peer.url, "samples (Prometheus)");
    load(&peer.process, &samples)?;
    row("memory after the load (Prometheus, samples only)", peer.process.memory_mb(), "MB");
    Ok(())
}

/// Sends all bodies and prints how many items a second, and a CPU second of the server, it took.
fn load(process: &Process, load: &Load<'_>) -> sh::Outcome {
    let (cpu, start) = (process.cpu_s().unwrap_or(0.0), Instant::now());
    let (report, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        for first in 0..load.senders {
            let report = report.clone();
            scope.spawn(move || {
                let sent = Client::connect(load.url).and_then(|mut client| {
                    let mut share = load.bodies.iter().skip(first).step_by(load.senders);
                    share.try_for_each(|body| good(&client.post(load.path, load.headers, body)?, load.path))
                });
                let _ = report.send(sent);
            });
        }
    });
    drop(report);
    reports.iter().collect::<Result<Vec<()>, String>>()?;
    let (wall, cpu) = (start.elapsed().as_secs_f64(), process.cpu_s().unwrap_or(0.0) - cpu);
    let Load { bodies, unit, each, .. } = load;
    let items = bodies.len() as f64 * *each as f64;
    let bytes = bodies.iter().map(Vec::len).sum::<usize>() / bodies.len().max(1);
    row(
        &format!("{unit}: {items} in requests of {each}, {bytes} bytes each"),
        Some(items / wall),
        &format!("{unit}/s"),
    );
    row(&format!("{unit}: the same for the server's CPU"), Some(items / cpu.max(0.01)), &format!("{unit}/CPU s"));
    Ok(())
}

pub(super) fn good(reply: &Reply, path: &str) -> Result<(), String> {
    if (200..300).contains(&reply.status) {
        return Ok(());
    }
    Err(format!("{path}: status {}: {}", reply.status, String::from_utf8_lossy(&reply.body)))
}

/// `$APM_BIN`, else the `dist` build.
pub(super) fn program() -> sh::Outcome<(PathBuf, String)> {
    if let Some(program) = std::env::var_os("APM_BIN") {
        return Ok((program.clone().into(), format!("as built in {}", PathBuf::from(program).display())));
    }
    sh::run(sh::cargo().args(["build", "--profile", "dist", "-p", "app-cli"]))?;
    Ok((ci::target_folder()?.join("dist/apm"), "dist".into()))
}

pub(super) fn folder() -> sh::Outcome<TempDir> {
    tempfile::Builder::new().prefix("apm-bench-").tempdir().map_err(|error| format!("no temporary folder: {error}"))
}

pub(super) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} × {cores}", model.trim_start_matches([' ', '\t', ':']))
}

fn row(what: &str, figure: Option<f64>, unit: &str) {
    let figure = figure
        .map_or("?".to_owned(), |figure| if figure < 100.0 { format!("{figure:.1}") } else { format!("{figure:.0}") });
    println!("| {what} | {figure} | {unit} |");
}

pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

pub(super) fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
