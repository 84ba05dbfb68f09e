//! How fast logs of pods are read, on one core: `cargo run --release -p observe-ingest --example tail_rate [FOLDER]`. Writes files of lines as containerd
//! does, tails them into a sink that takes everything, and prints MB/s and lines/s of processor time and of the clock; then what 200 idle files cost.

#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base_world::{Disk, World};
use observe_ingest::tail::{NoMetadata, Tail, TailSettings};
use observe_source::Appended;

const FILES: usize = 8;
const LINES: usize = 250_000;
const IDLE_FILES: usize = 200;
const IDLE_S: u64 = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join("apm-tail-rate");
    let world = World::real();
    for (name, text) in [
        ("short", "GET /cart 200 12ms user=4711"),
        (
            "json",
            r#"{"level":"info","msg":"order placed","order":"8a7b6c5d","user":"4711","items":3,"total":129.90,"took_ms":12,"path":"/api/orders","method":"POST","status":201}"#,
        ),
    ] {
        let logs = folder.join(name);
        let bytes = write(world.disk.as_ref(), &logs, FILES, LINES, text)?;
        let before = ticks(&world)?;
        let (lines, taken_ns) = read(&world, &logs, &folder.join(format!("{name}-state")))?;
        let (cpu_seconds, seconds) = ((ticks(&world)? - before) as f64 / 100.0, taken_ns as f64 / 1e9);
        println!(
            "{name}: {lines} lines, {bytes} bytes in {seconds:.2} s, {cpu_seconds:.2} s of a core: {:.0} MB/s, {:.0} lines/s of a core",
            bytes as f64 / 1e6 / cpu_seconds,
            lines as f64 / cpu_seconds
        );
    }
    let logs = folder.join("idle");
    write(world.disk.as_ref(), &logs, IDLE_FILES, 1, "nothing more comes")?;
    let percent = idle(&world, &logs, &folder.join("idle-state"))?;
    println!("{IDLE_FILES} idle files: {percent:.2} % of a core");
    Ok(())
}

/// One container a file.
fn write(
    disk: &dyn Disk,
    logs: &Path,
    files: usize,
    lines: usize,
    text: &str,
) -> Result<u64, Box<dyn std::error::Error>> {
    let mut text_all = String::new();
    for number in 0..lines {
        text_all.push_str(&format!("2026-01-01T00:00:00.{number:09}Z stdout F {text}\n"));
    }
    for number in 0..files {
        let folder = logs.join(format!("shop_web-{number}_{number}")).join("web");
        disk.create_folder(&folder)?;
        let path = folder.join("0.log");
        if !disk.exists(&path)? {
            disk.create(&path)?.write_at(0, text_all.as_bytes())?;
        }
    }
    Ok((text_all.len() * files) as u64)
}

fn tail(world: &World, logs: &Path, state: &Path) -> Result<Tail, Box<dyn std::error::Error>> {
    let positions = state.join("positions");
    if world.disk.exists(&positions)? {
        world.disk.remove(&positions)?;
    }
    let settings = TailSettings { folder: logs.to_path_buf(), ..TailSettings::default() };
    Ok(Tail::open(world.clone(), settings, state, Arc::new(NoMetadata))?)
}

fn read(world: &World, logs: &Path, state: &Path) -> Result<(u64, u64), Box<dyn std::error::Error>> {
    let mut tail = tail(world, logs, state)?;
    let started_ns = world.clock.monotonic_ns();
    while let Some(batch) = tail.poll() {
        tail.acknowledge(batch, &Appended::default());
    }
    let taken_ns = world.clock.monotonic_ns() - started_ns;
    let lines = tail.stats().lines;
    tail.close()?;
    Ok((lines, taken_ns))
}

/// Processor time of this process, in parts of a core, while a tail has nothing to do.
#[expect(clippy::disallowed_methods, reason = "a bench waits for real time to pass")]
fn idle(world: &World, logs: &Path, state: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    let mut tail = tail(world, logs, state)?;
    while let Some(batch) = tail.poll() {
        tail.acknowledge(batch, &Appended::default());
    }
    let (cpu_ticks, started_ns) = (ticks(world)?, world.clock.monotonic_ns());
    while world.clock.monotonic_ns() - started_ns < IDLE_S * 1_000_000_000 {
        tail.poll();
        std::thread::sleep(std::time::Duration::from_millis(u64::from(tail.pause_ms())));
    }
    let ticks = ticks(world)? - cpu_ticks;
    // A tick is 10 ms on every Linux that runs containers.
    Ok(ticks as f64 / IDLE_S as f64)
}

/// Of user and system, from proc_pid_stat(5).
fn ticks(world: &World) -> Result<u64, Box<dyn std::error::Error>> {
    let file = world.disk.open(Path::new("/proc/self/stat"))?;
    let mut bytes = vec![0; 4096];
    let got = file.read_at(0, &mut bytes)?;
    let text = String::from_utf8_lossy(&bytes[..got]).into_owned();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Ok(number(11) + number(12))
}
