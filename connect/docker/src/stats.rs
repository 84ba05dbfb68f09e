//! A container's counters, raw, from one answer of the engine; the names of metrics are made elsewhere. Cgroup v1 and v2 spell some differently, and
//! the engine hands both through as they are: <https://docs.docker.com/reference/cli/docker/container/stats/>.

use std::collections::BTreeMap;

use serde_json::Value;

/// Counters since the container's start, but for memory and pids, which are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerStats {
    /// When the engine read them, RFC 3339.
    pub read_at: String,
    pub cpu: Cpu,
    pub memory: Memory,
    /// By interface, `eth0`; empty with the host's network.
    pub networks: BTreeMap<String, NetworkCounters>,
    /// By device, `8:0`.
    pub block_io: BTreeMap<String, BlockIo>,
    pub pids: u64,
    /// 0 means none.
    pub pids_limit: u64,
    /// By the restart policy.
    pub restarts: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    pub total_ns: u64,
    pub user_ns: u64,
    pub system_ns: u64,
    /// By processor; empty on cgroup v2.
    pub per_cpu_ns: Vec<u64>,
    /// Of all processors of the machine together, idle time too.
    pub machine_ns: u64,
    pub online: u64,
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_ns: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub usage_bytes: u64,
    pub usage_bytes_max: u64,
    /// The machine's memory when the container has none.
    pub limit_bytes: u64,
    /// Page cache.
    pub cache_bytes: u64,
    pub rss_bytes: u64,
    /// Usage without the inactive file cache: what counts before the kernel kills.
    pub working_set_bytes: u64,
    pub failures: u64,
    pub page_faults_major: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkCounters {
    pub received_bytes: u64,
    pub received_packets: u64,
    pub received_errors: u64,
    pub received_dropped: u64,
    pub sent_bytes: u64,
    pub sent_packets: u64,
    pub sent_errors: u64,
    pub sent_dropped: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockIo {
    pub read_bytes: u64,
    pub written_bytes: u64,
    pub reads: u64,
    pub writes: u64,
}

impl ContainerStats {
    /// From the answer of `GET /containers/ID/stats?stream=false`; what is missing is zero.
    pub fn from_answer(all: &Value, restarts: u64) -> Self {
        Self {
            read_at: all["read"].as_str().unwrap_or_default().to_owned(),
            cpu: cpu(&all["cpu_stats"]),
            memory: memory(&all["memory_stats"]),
            networks: networks(&all["networks"]),
            block_io: block_io(&all["blkio_stats"]),
            pids: number(&all["pids_stats"]["current"]),
            // The kernel's word for no limit arrives as the largest number.
            pids_limit: Some(number(&all["pids_stats"]["limit"])).filter(|limit| *limit < u64::MAX / 2).unwrap_or(0),
            restarts,
        }
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn cpu(all: &Value) -> Cpu {
    let (usage, throttling) = (&all["cpu_usage"], &all["throttling_data"]);
    Cpu {
        total_ns: number(&usage["total_usage"]),
        user_ns: number(&usage["usage_in_usermode"]),
        system_ns: number(&usage["usage_in_kernelmode"]),
        per_cpu_ns: usage["percpu_usage"].as_array().into_iter().flatten().map(number).collect(),
        machine_ns: number(&all["system_cpu_usage"]),
        online: number(&all["online_cpus"]),
        periods: number(&throttling["periods"]),
        throttled_periods: number(&throttling["throttled_periods"]),
        throttled_ns: number(&throttling["throttled_time"]),
    }
}

fn memory(all: &Value) -> Memory {
    let stats = &all["stats"];
    // v1 has totals of the whole tree; v2 counts the tree anyway and has other words.
    let first = |keys: &[&str]| keys.iter().find_map(|key| stats[*key].as_u64()).unwrap_or(0);
    let usage_bytes = number(&all["usage"]);
    Memory {
        usage_bytes,
        usage_bytes_max: number(&all["max_usage"]),
        limit_bytes: number(&all["limit"]),
        cache_bytes: first(&["total_cache", "cache", "file"]),
        rss_bytes: first(&["total_rss", "rss", "anon"]),
        working_set_bytes: usage_bytes.saturating_sub(first(&["total_inactive_file", "inactive_file"])),
        failures: number(&all["failcnt"]),
        page_faults_major: first(&["total_pgmajfault", "pgmajfault"]),
    }
}

fn networks(all: &Value) -> BTreeMap<String, NetworkCounters> {
    let one = |network: &Value| NetworkCounters {
        received_bytes: number(&network["rx_bytes"]),
        received_packets: number(&network["rx_packets"]),
        received_errors: number(&network["rx_errors"]),
        received_dropped: number(&network["rx_dropped"]),
        sent_bytes: number(&network["tx_bytes"]),
        sent_packets: number(&network["tx_packets"]),
        sent_errors: number(&network["tx_errors"]),
        sent_dropped: number(&network["tx_dropped"]),
    };
    all.as_object().into_iter().flatten().map(|(name, network)| (name.clone(), one(network))).collect()
}

fn block_io(all: &Value) -> BTreeMap<String, BlockIo> {
    let mut devices: BTreeMap<String, BlockIo> = BTreeMap::new();
    for (list, bytes) in [("io_service_bytes_recursive", true), ("io_serviced_recursive", false)] {
        for item in all[list].as_array().into_iter().flatten() {
            let device = devices.entry(format!("{}:{}", number(&item["major"]), number(&item["minor"]))).or_default();
            let value = number(&item["value"]);
            // "Read" on cgroup v1, "read" on v2; the sums beside them are left out.
            match (item["op"].as_str().unwrap_or_default().to_ascii_lowercase().as_str(), bytes) {
                ("read", true) => device.read_bytes = value,
                ("write", true) => device.written_bytes = value,
                ("read", false) => device.reads = value,
                ("write", false) => device.writes = value,
                _ => {}
            }
        }
    }
    devices
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::ContainerStats;

    /// What Docker 20.10 answered on cgroup v1.
    #[test]
    fn a_recorded_answer() {
        let recorded: Value = serde_json::from_str(include_str!("../tests/recorded/stats.json")).expect("JSON");
        let stats = ContainerStats::from_answer(&recorded, 2);
        assert!(stats.cpu.total_ns > 0 && stats.cpu.machine_ns > stats.cpu.total_ns);
        assert_eq!(stats.cpu.per_cpu_ns.iter().sum::<u64>(), stats.cpu.total_ns);
        assert!(stats.memory.working_set_bytes > 0 && stats.memory.working_set_bytes <= stats.memory.usage_bytes);
        assert_eq!(stats.memory.limit_bytes, 64 << 20);
        assert!(stats.networks["eth0"].received_packets > 0);
        assert_eq!((stats.pids, stats.pids_limit, stats.restarts), (1, 100, 2));
    }

    #[test]
    fn cgroup_v2_has_other_words() {
        let stats = ContainerStats::from_answer(
            &json!({
                "cpu_stats": {"cpu_usage": {"total_usage": 9, "usage_in_kernelmode": 4, "usage_in_usermode": 5}, "online_cpus": 2},
                "memory_stats": {"usage": 100, "limit": 1000, "stats": {"anon": 60, "file": 30, "inactive_file": 25, "pgmajfault": 3}},
                "blkio_stats": {"io_service_bytes_recursive": [
                    {"major": 8, "minor": 0, "op": "read", "value": 11}, {"major": 8, "minor": 0, "op": "write", "value": 12}
                ], "io_serviced_recursive": null},
                "pids_stats": {"current": 3, "limit": u64::MAX},
            }),
            0,
        );
        assert_eq!((stats.memory.cache_bytes, stats.memory.rss_bytes, stats.memory.working_set_bytes), (30, 60, 75));
        assert_eq!((stats.block_io["8:0"].read_bytes, stats.block_io["8:0"].written_bytes), (11, 12));
        assert_eq!((stats.pids, stats.pids_limit, stats.cpu.user_ns), (3, 0, 5));
    }

    #[test]
    fn a_container_that_does_not_run_has_zeros() {
        let stats = ContainerStats::from_answer(
            &json!({"read": "0001-01-01T00:00:00Z", "memory_stats": {}, "blkio_stats": {"io_service_bytes_recursive": null}}),
            0,
        );
        assert_eq!((stats.cpu.total_ns, stats.memory.usage_bytes, stats.networks.len()), (0, 0, 0));
    }
}
