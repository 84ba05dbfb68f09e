//! The containers of a real Docker engine in our store: beside `docker stats` and the kernel's own files, through a crash loop, a removal, and an
//! engine that goes away and comes back.

mod cadvisor;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests_journeys::{Dockerd, Engine, http, wait};

/// Half a processor is all it gets, and 64 MiB lie in its memory file system.
const BURN: &str = "dd if=/dev/zero of=/dev/shm/held bs=1M count=64 2>/dev/null; while :; do :; done";
const MIB: f64 = (1 << 20) as f64;

#[test]
fn our_numbers_are_the_engines_and_the_kernels() {
    let docker = Dockerd::start("containers");
    let busybox = docker.busybox_image();
    let limits = ["run", "-d", "--name", "burner", "--cpus", "0.5", "--memory", "128m", "--shm-size", "80m"];
    let id = docker
        .docker(&[&limits[..], &["--label", "com.docker.compose.service=oven", busybox, "sh", "-c", BURN]].concat());
    docker.docker(&["run", "-d", "--name", "crasher", "--restart", "always", busybox, "sh", "-c", "sleep 1; exit 3"]);
    let engine = Engine::start_with("containers", &["--docker", &docker.host], &[]);
    let until = |query: &str, good: &dyn Fn(f64) -> bool| {
        wait::until(query, 60, || engine.number(query).filter(|value| good(*value)).ok_or_else(|| engine.number(query)))
    };

    // Limits and labels.
    let one =
        r#"{name="burner",image="journey/busybox:1",container_label_com_docker_compose_service="oven",job="cadvisor"}"#;
    until(&format!("container_spec_cpu_quota{one} / container_spec_cpu_period{one}"), &|share| share == 0.5);
    until(&format!("container_spec_memory_limit_bytes{one}"), &|limit| limit == 128.0 * MIB);
    assert_eq!(engine.number(&format!(r#"count(container_last_seen{{id="/docker/{id}"}})"#)), Some(1.0));

    // Memory: the kernel's file, Docker's own client, ours.
    let ours = until(&format!("container_memory_usage_bytes{one}"), &|usage| usage > 64.0 * MIB);
    let kernel = kernels(&id, "memory.usage_in_bytes", "memory.current");
    assert!((ours - kernel).abs() < 2.0 * MIB, "ours {ours}, the kernel's {kernel}");
    let shown = docker.docker(&["stats", "--no-stream", "--format", "{{.MemUsage}} {{.CPUPerc}}", "burner"]);
    let shown_mib: f64 =
        shown.split("MiB").next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{shown}"));
    let set = until(&format!("container_memory_working_set_bytes{one}"), &|_| true);
    assert!((set / MIB - shown_mib).abs() < 2.0, "ours {set}, Docker's {shown}");

    // Processor: the counter lies between two readings of the kernel's, early and late.
    let seconds = || kernels(&id, "cpuacct.usage", "cpu.stat") / 1e9;
    let beside_the_kernels = || {
        let (before, read_at) = (seconds(), wait::now_s());
        until(&format!("timestamp(container_cpu_usage_seconds_total{one})"), &|time| time > read_at);
        let counter = until(&format!("container_cpu_usage_seconds_total{one}"), &|_| true);
        let after = seconds();
        assert!(before <= counter && counter <= after, "{before} <= {counter} <= {after}");
    };
    beside_the_kernels();
    // Its rate is what was allowed, over a window that is full: before, a rate is of a part of it.
    let (before, read_at) = (seconds(), wait::now_s());
    until(&format!("count_over_time(container_cpu_usage_seconds_total{one}[30s])"), &|samples| samples >= 5.0);
    until(&format!("time() - min_over_time(timestamp(container_cpu_usage_seconds_total{one})[30s:1s])"), &|age| {
        age >= 30.0 && wait::now_s() - read_at >= 30.0
    });
    let rate = until(&format!("rate(container_cpu_usage_seconds_total{one}[30s])"), &|_| true);
    // A busy machine gives it less than it may have.
    let kernels_rate = (seconds() - before) / (wait::now_s() - read_at);
    assert!((rate - kernels_rate).abs() < 0.15 && rate < 0.56, "ours {rate}, the kernel's {kernels_rate}");
    beside_the_kernels();
    until(&format!("container_cpu_cfs_periods_total{one}"), &|periods| periods > 0.0);

    // A crash loop is seen by its count and by its starts.
    until(r#"apm_container_restarts_total{name="crasher"}"#, &|restarts| restarts >= 2.0);
    until(r#"changes(container_start_time_seconds{name="crasher"}[1m])"#, &|starts| starts >= 2.0);

    // What is removed ends at once, not after the five minutes of a series that nobody ended.
    docker.docker(&["rm", "-f", "burner"]);
    wait::until("the removed container's series to end", 20, || {
        engine.number(&format!("container_last_seen{one}")).map_or(Ok(()), Err)
    });

    // The engine goes and comes back: said once, and seen.
    docker.kill();
    until(r#"up{job="cadvisor"}"#, &|up| up == 0.0);
    std::thread::sleep(Duration::from_secs(11));
    let lines = |words: &str| engine.printed().lines().filter(|line| line.contains(words)).count();
    assert_eq!(lines("are measured no more"), 1, "{}", engine.printed());
    docker.restart();
    until(r#"up{job="cadvisor"}"#, &|up| up == 1.0);
    drop(engine);
    assert_eq!(docker.stop(), Vec::<String>::new());
}

#[test]
fn without_an_engine_nothing_is_said_and_off_is_off() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let nowhere = format!("unix://{}/docker.sock", folder.path().display());
    let named = Engine::start_with("containers_named", &["--docker", &nowhere], &[]);
    wait::until("one line about the engine that was named", 30, || {
        let printed = named.printed();
        if printed.matches("containers are not measured").count() == 1 { Ok(()) } else { Err(printed) }
    });
    let off = Engine::start_with("containers_off", &["--docker", "off"], &[]);
    wait::until("metrics of the host", 30, || off.number("node_time_seconds").ok_or("none"));
    assert!(!off.printed().contains("containers"), "{}", off.printed());
    let answer = http::get(&format!("{}/api/v1/series", off.url), &[("match[]", r#"{job="cadvisor"}"#)]).ok().json();
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(0), "{answer}");
}

/// A number of the kernel about a container: the file of cgroup v1, or that of v2.
fn kernels(id: &str, v1: &str, v2: &str) -> f64 {
    let file = find(Path::new("/sys/fs/cgroup"), id, v1, 6).or_else(|| find(Path::new("/sys/fs/cgroup"), id, v2, 6));
    let text = fs::read_to_string(file.unwrap_or_else(|| panic!("no {v1} of {id}"))).expect("it can be read");
    match text.strip_prefix("usage_usec ") {
        Some(rest) => rest.lines().next().and_then(|number| number.parse::<f64>().ok()).expect("a number") * 1e3,
        None => text.trim().parse().expect("a number"),
    }
}

fn find(folder: &Path, id: &str, file: &str, depth: usize) -> Option<PathBuf> {
    let called = folder.file_name().is_some_and(|name| name.to_string_lossy().contains(id));
    if called && folder.join(file).is_file() {
        return Some(folder.join(file));
    }
    if depth == 0 {
        return None;
    }
    let below = fs::read_dir(folder)
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    below.into_iter().find_map(|entry| find(&entry.path(), id, file, depth - 1))
}
