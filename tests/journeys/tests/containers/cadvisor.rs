//! The same container as cAdvisor's own code measures it, beside us on the same engine: each of our metrics is one of its, with its labels, and a number that
//! lies where its does.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use tests_journeys::{Dockerd, Engine, Peer, http, peer, tools, wait};

use super::{BURN, MIB};

/// Ours alone: whose it is, by the container's labels, and who asked.
const OUR_LABELS: [&str; 4] = ["__name__", "job", "instance", "container_label_com_docker_compose_service"];
/// What the table of docs/guides/containers.md promises of a container like this one, at least.
const PROMISED: [&str; 28] = [
    "container_cpu_usage_seconds_total",
    "container_cpu_user_seconds_total",
    "container_cpu_system_seconds_total",
    "container_cpu_cfs_periods_total",
    "container_cpu_cfs_throttled_periods_total",
    "container_cpu_cfs_throttled_seconds_total",
    "container_spec_cpu_quota",
    "container_spec_cpu_period",
    "container_spec_cpu_shares",
    "container_memory_usage_bytes",
    "container_memory_working_set_bytes",
    "container_memory_rss",
    "container_memory_cache",
    "container_memory_max_usage_bytes",
    "container_memory_failcnt",
    "container_memory_failures_total",
    "container_spec_memory_limit_bytes",
    "container_spec_memory_swap_limit_bytes",
    "container_spec_memory_reservation_limit_bytes",
    "container_network_receive_bytes_total",
    "container_network_receive_packets_total",
    "container_network_receive_errors_total",
    "container_network_receive_packets_dropped_total",
    "container_network_transmit_bytes_total",
    "container_threads",
    "container_threads_max",
    "container_start_time_seconds",
    "container_last_seen",
];

/// Name and labels of a series, without those that differ by design.
type Key = (String, BTreeMap<String, String>);

/// Series with their values; `at_ms` is when the counters were read.
struct Page {
    series: BTreeMap<Key, f64>,
    at_ms: f64,
}

#[test]
fn our_metrics_are_cadvisors() {
    let docker = Dockerd::start("cadvisor");
    let busybox = docker.busybox_image();
    let words = [
        "run",
        "-d",
        "--name",
        "burner",
        "--cpus",
        "0.5",
        "--memory",
        "128m",
        "--shm-size",
        "80m",
        "--cpu-shares",
        "77",
        "--pids-limit",
        "50",
    ];
    let id = docker
        .docker(&[&words[..], &["--label", "com.docker.compose.service=oven", busybox, "sh", "-c", BURN]].concat());
    let engine = Engine::start_with("cadvisor", &["--docker", &docker.host], &[]);
    let port = peer::free_port();
    let mut command = Command::new(tools::tool("cadvisor"));
    command.args([&format!("127.0.0.1:{port}"), &docker.host]);
    let mut peer = Peer::start(&mut command, engine.artefacts().join("cadvisor.log"));
    let theirs = || theirs(&format!("http://127.0.0.1:{port}/metrics"), &id);
    let full = |page: &Page| value(page, "container_memory_usage_bytes").is_some_and(|usage| usage > 64.0 * MIB);
    wait::until("cAdvisor to see the container", 60, || {
        assert!(peer.ended().is_none(), "cAdvisor ended:\n{}", peer.printed());
        theirs().filter(full).map(|_| ()).ok_or_else(|| peer.printed())
    });
    wait::until("us to see it", 60, || ours(&engine, &id).filter(full).map(|_| ()).ok_or("not yet"));

    // Ours lies between two readings of theirs.
    let before = theirs().expect("a page");
    let mine = wait::until("a newer look of ours", 60, || {
        ours(&engine, &id).filter(|page| page.at_ms > before.at_ms + 500.0).ok_or("not yet")
    });
    let after = wait::until("a newer look of cAdvisor's", 60, || {
        theirs().filter(|page| page.at_ms > mine.at_ms + 500.0).ok_or("not yet")
    });
    let named: BTreeSet<&str> = mine.series.keys().map(|(name, _)| name.as_str()).collect();
    let missing: Vec<_> = PROMISED.iter().filter(|name| !named.contains(**name)).collect();
    assert!(missing.is_empty(), "we have no {missing:?}, only {named:?}");
    let mut odd = Vec::new();
    for (key, ours) in &mine.series {
        let (Some(low), Some(high)) = (before.series.get(key), after.series.get(key)) else {
            let same: Vec<_> = after.series.keys().filter(|(name, _)| *name == key.0).collect();
            odd.push(format!("{key:?} is none of cAdvisor's: {same:?}"));
            continue;
        };
        let slack = slack(&key.0);
        if *ours < low - slack || *ours > high + slack {
            odd.push(format!("{key:?}: ours {ours}, cAdvisor's {low} and then {high}"));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
    println!("{} series of ours are cAdvisor's", mine.series.len());
    drop((engine, peer));
    docker.docker(&["rm", "-f", "burner"]);
    assert_eq!(docker.stop(), Vec::<String>::new());
}

/// By how much two looks at different moments may differ, where nothing only grows.
fn slack(name: &str) -> f64 {
    match name {
        // The kernel keeps user and system time in ticks of 10 ms.
        "container_cpu_user_seconds_total" | "container_cpu_system_seconds_total" => 0.03,
        // Docker tells it to the nanosecond, cAdvisor to the second.
        "container_start_time_seconds" | "container_last_seen" => 1.0,
        name if name.starts_with("container_memory_") && name.ends_with("_bytes") => 2.0 * MIB,
        "container_memory_rss" | "container_memory_cache" => 2.0 * MIB,
        _ => 0.0,
    }
}

fn value(page: &Page, name: &str) -> Option<f64> {
    page.series.iter().find(|((own, _), _)| own == name).map(|(_, value)| *value)
}

/// The last part of an id: cAdvisor puts the cgroup before it, Docker's API knows none.
fn short(labels: &mut BTreeMap<String, String>, id: &str) -> bool {
    match labels.get_mut("id") {
        Some(own) if own.ends_with(id) => {
            *own = id.to_owned();
            true
        }
        _ => false,
    }
}

/// The engine's newest look, all of one moment; nothing while there is none.
fn ours(engine: &Engine, id: &str) -> Option<Page> {
    let at = engine.number("timestamp(container_cpu_usage_seconds_total{name=\"burner\"})")?;
    let words = [("query", "{name=\"burner\",__name__=~\"container_.+\"}"), ("time", &format!("{at:.3}"))];
    let answer = http::get(&format!("{}/api/v1/query", engine.url), &words).ok().json();
    let mut series = BTreeMap::new();
    for one in answer["data"]["result"].as_array()? {
        let mut labels: BTreeMap<String, String> = serde_json::from_value(one["metric"].clone()).ok()?;
        let name = labels.get("__name__")?.clone();
        labels.retain(|label, _| !OUR_LABELS.contains(&label.as_str()));
        if short(&mut labels, id) {
            series.insert((name, labels), one["value"][1].as_str()?.parse().ok()?);
        }
    }
    Some(Page { series, at_ms: at * 1e3 })
}

/// cAdvisor's page, of this container (Prometheus' text format).
fn theirs(url: &str, id: &str) -> Option<Page> {
    let text = http::try_get(url, &[]).ok().filter(|reply| reply.status == 200)?.text();
    let (mut series, mut at_ms) = (BTreeMap::new(), 0.0);
    for line in text.lines().filter(|line| line.contains("name=\"burner\"")) {
        let (head, rest) = line.split_once('{')?;
        let (labels, numbers) = rest.rsplit_once("} ")?;
        let pair = |pair: &str| {
            pair.split_once("=\"").map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()))
        };
        let mut labels: BTreeMap<String, String> = labels.split(',').filter_map(pair).collect();
        labels.retain(|label, _| !OUR_LABELS.contains(&label.as_str()));
        let mut numbers = numbers.split(' ');
        let value = numbers.next()?.parse().ok()?;
        if head == "container_cpu_usage_seconds_total" {
            at_ms = numbers.next()?.parse().ok()?;
        }
        if short(&mut labels, id) {
            series.insert((head.to_owned(), labels), value);
        }
    }
    (!series.is_empty()).then_some(Page { series, at_ms })
}
