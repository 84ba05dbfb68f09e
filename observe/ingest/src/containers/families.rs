//! Containers as families of metrics, in cAdvisor's words and units. Knows no label's meaning.

use base_signal::MetricKind::{self, Counter, Gauge};
use observe_wire::exposition::{Format, TextWriter};

use super::{Container, Health, Traffic, Usage, labels};

/// Nanoseconds in a second.
const NS: f64 = 1e9;

/// The text that cAdvisor would expose for these containers at `now_ms` (Unix), in Prometheus's format. `apm_container_restarts_total` is ours:
/// cAdvisor has no word for it.
pub fn exposition(containers: &[Container], now_ms: i64) -> String {
    let labels: Vec<_> = containers.iter().map(labels::of).collect();
    let mut out =
        Families { out: TextWriter::new(Format::Prometheus), containers: containers.iter().zip(&labels).collect() };
    out.one("container_last_seen", Gauge, "Last time a container was seen.", |_| Some((now_ms / 1000) as f64));
    let help = "Start time of the container since unix epoch in seconds.";
    out.one("container_start_time_seconds", Gauge, help, |container| container.started_s);
    let help = "Restarts by the restart policy since the container was made.";
    out.one("apm_container_restarts_total", Counter, help, |container| Some(container.restarts as f64));
    let help = "The result of the container's health check: 1 healthy, 0 not (yet), -1 without one.";
    out.one("container_health_state", Gauge, help, |container| {
        Some(match container.health {
            Health::Healthy => 1.0,
            Health::NotHealthy => 0.0,
            Health::Unchecked => -1.0,
        })
    });
    limits(&mut out);
    processor(&mut out);
    memory(&mut out);
    networks(&mut out);
    disks(&mut out);
    out.out.finish()
}

struct Families<'c> {
    out: TextWriter,
    containers: Vec<(&'c Container, &'c Vec<(String, String)>)>,
}

impl Families<'_> {
    /// One sample a container, where it has one.
    fn one(&mut self, name: &str, kind: MetricKind, help: &str, value: impl Fn(&Container) -> Option<f64>) {
        self.labelled(name, kind, help, &[], value);
    }

    /// The same of those that run.
    fn used(&mut self, name: &str, kind: MetricKind, help: &str, value: impl Fn(&Usage) -> f64) {
        self.one(name, kind, help, |container| container.usage.as_ref().map(&value));
    }

    fn labelled(
        &mut self,
        name: &str,
        kind: MetricKind,
        help: &str,
        more: &[(&str, &str)],
        value: impl Fn(&Container) -> Option<f64>,
    ) {
        self.many(name, kind, help, |container, put| {
            if let Some(value) = value(container) {
                put(more, value);
            }
        });
    }

    /// Any number of samples a container.
    fn many(
        &mut self,
        name: &str,
        kind: MetricKind,
        help: &str,
        samples: impl Fn(&Container, &mut dyn FnMut(&[(&str, &str)], f64)),
    ) {
        self.out.family(name, kind, help);
        for (container, labels) in &self.containers {
            let own: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            samples(container, &mut |more, value| {
                self.out.sample(name, &[&own[..], more].concat(), value);
            });
        }
    }
}

/// A limit that there is.
fn set(limit: u64) -> Option<f64> {
    (limit > 0).then_some(limit as f64)
}

fn limits(out: &mut Families<'_>) {
    let help = "CPU share of the container.";
    out.one("container_spec_cpu_shares", Gauge, help, |container| set(container.limits.cpu_shares));
    let help = "CPU period of the container.";
    out.one("container_spec_cpu_period", Gauge, help, |container| {
        set(container.limits.cpu_quota_us).map(|_| container.limits.cpu_period_us as f64)
    });
    let help = "CPU quota of the container.";
    out.one("container_spec_cpu_quota", Gauge, help, |container| set(container.limits.cpu_quota_us));
    // Of memory cAdvisor shows a limit that is not there as 0.
    let help = "Memory limit for the container.";
    out.one("container_spec_memory_limit_bytes", Gauge, help, |container| Some(container.limits.memory_bytes as f64));
    let help = "Memory swap limit for the container.";
    out.one("container_spec_memory_swap_limit_bytes", Gauge, help, |container| {
        Some(container.limits.memory_swap_bytes as f64)
    });
    let help = "Memory reservation limit for the container.";
    out.one("container_spec_memory_reservation_limit_bytes", Gauge, help, |container| {
        Some(container.limits.memory_reservation_bytes as f64)
    });
    let help = "Maximum number of threads allowed inside the container.";
    out.one("container_threads_max", Gauge, help, |container| Some(container.limits.threads as f64));
}

fn processor(out: &mut Families<'_>) {
    // As a cAdvisor that does not tell the processors apart, which is how it runs in Kubernetes.
    let help = "Cumulative cpu time consumed in seconds.";
    out.labelled("container_cpu_usage_seconds_total", Counter, help, &[("cpu", "total")], |container| {
        Some(container.usage.as_ref()?.cpu_ns as f64 / NS)
    });
    let help = "Cumulative user cpu time consumed in seconds.";
    out.used("container_cpu_user_seconds_total", Counter, help, |usage| usage.cpu_user_ns as f64 / NS);
    let help = "Cumulative system cpu time consumed in seconds.";
    out.used("container_cpu_system_seconds_total", Counter, help, |usage| usage.cpu_system_ns as f64 / NS);
    let limited = |container: &Container, value: fn(&Usage) -> f64| {
        set(container.limits.cpu_quota_us).and_then(|_| container.usage.as_ref().map(value))
    };
    let help = "Number of elapsed enforcement period intervals.";
    out.one("container_cpu_cfs_periods_total", Counter, help, |container| {
        limited(container, |usage| usage.cpu_periods as f64)
    });
    let help = "Number of throttled period intervals.";
    out.one("container_cpu_cfs_throttled_periods_total", Counter, help, |container| {
        limited(container, |usage| usage.cpu_throttled_periods as f64)
    });
    let help = "Total time duration the container has been throttled.";
    out.one("container_cpu_cfs_throttled_seconds_total", Counter, help, |container| {
        limited(container, |usage| usage.cpu_throttled_ns as f64 / NS)
    });
    let help = "Number of threads running inside the container.";
    out.used("container_threads", Gauge, help, |usage| usage.threads as f64);
}

fn memory(out: &mut Families<'_>) {
    let help = "Current memory usage in bytes, including all memory regardless of when it was accessed.";
    out.used("container_memory_usage_bytes", Gauge, help, |usage| usage.memory_bytes as f64);
    let help = "Maximum memory usage recorded in bytes.";
    out.one("container_memory_max_usage_bytes", Gauge, help, |container| {
        container.usage.as_ref().and_then(|usage| set(usage.memory_bytes_max))
    });
    let help = "Current working set in bytes.";
    out.used("container_memory_working_set_bytes", Gauge, help, |usage| usage.memory_working_set_bytes as f64);
    out.used("container_memory_rss", Gauge, "Size of RSS in bytes.", |usage| usage.memory_rss_bytes as f64);
    let help = "Number of bytes of page cache memory.";
    out.used("container_memory_cache", Gauge, help, |usage| usage.memory_cache_bytes as f64);
    let help = "Number of memory usage hits limits.";
    out.used("container_memory_failcnt", Counter, help, |usage| usage.memory_failures as f64);
    let labels = [("failure_type", "pgmajfault"), ("scope", "hierarchy")];
    let help = "Cumulative count of memory allocation failures.";
    out.labelled("container_memory_failures_total", Counter, help, &labels, |container| {
        Some(container.usage.as_ref()?.page_faults_major as f64)
    });
}

fn networks(out: &mut Families<'_>) {
    type Field = fn(&Traffic) -> u64;
    let fields: [(&str, &str, Field); 4] = [
        ("bytes", "bytes", |traffic| traffic.bytes),
        ("packets", "packets", |traffic| traffic.packets),
        ("packets_dropped", "packets dropped while", |traffic| traffic.dropped),
        ("errors", "errors encountered while", |traffic| traffic.errors),
    ];
    for (way, doing) in [("receive", "receiving"), ("transmit", "transmitting")] {
        for (field, words, value) in fields {
            let help = match field {
                "bytes" | "packets" => format!(
                    "Cumulative count of {words} {}.",
                    if way == "receive" { "received" } else { "transmitted" }
                ),
                _ => format!("Cumulative count of {words} {doing}."),
            };
            out.many(&format!("container_network_{way}_{field}_total"), Counter, &help, |container, put| {
                for (interface, network) in container.usage.iter().flat_map(|usage| &usage.networks) {
                    let traffic = if way == "receive" { &network.received } else { &network.sent };
                    put(&[("interface", interface)], value(traffic) as f64);
                }
            });
        }
    }
}

fn disks(out: &mut Families<'_>) {
    type Field = fn(&super::Disk) -> u64;
    let fields: [(&str, &str, Field); 4] = [
        ("container_fs_reads_bytes_total", "Cumulative count of bytes read", |disk| disk.read_bytes),
        ("container_fs_writes_bytes_total", "Cumulative count of bytes written", |disk| disk.written_bytes),
        ("container_fs_reads_total", "Cumulative count of reads completed", |disk| disk.reads),
        ("container_fs_writes_total", "Cumulative count of writes completed", |disk| disk.writes),
    ];
    for (name, help, value) in fields {
        out.many(name, Counter, help, |container, put| {
            for (device, disk) in container.usage.iter().flat_map(|usage| &usage.disks) {
                put(&[("device", device)], value(disk) as f64);
            }
        });
    }
}
