//! Metrics of the machine under node_exporter's names, from the texts of /proc: what a dashboard made for node_exporter
//! shows without one running.
//!
//! Pure: texts and numbers come through [`ReadHost`]; a file that is missing or odd leaves its metrics out. Linux's files
//! only; another system's reader may hand in the same texts or none.

mod cpu;
mod disk;
mod filesystem;
mod memory;
mod network;
mod system;
#[cfg(test)]
mod tests;

use base_signal::{Metadata, MetricKind};
use observe_source::MetricWrite;

/// The machine as its reader sees it.
pub trait ReadHost {
    /// A whole file under /proc, such as `/proc/stat`; `None` when it cannot be read.
    fn read_text(&self, path: &str) -> Option<String>;

    /// What `statvfs` says of a mount point; `None` when it cannot be asked (or would hang).
    fn filesystem(&self, mount_point: &str) -> Option<FilesystemStats>;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilesystemStats {
    pub size_bytes: u64,
    pub free_bytes: u64,
    /// What an ordinary user may still take.
    pub avail_bytes: u64,
    pub files: u64,
    pub files_free: u64,
    pub read_only: bool,
}

/// Everything there is to say now: `job="node"`, `instance` = `hostname`, at `now_ms`. `machine` is the hardware's name
/// (`x86_64`), which no text under /proc tells.
pub fn collect(host: &impl ReadHost, hostname: &str, machine: &str, now_ms: i64) -> MetricWrite {
    let mut rows = Rows { write: MetricWrite::default(), instance: hostname, now_ms };
    let mut with = |path: &str, parse: fn(&str, &mut Rows<'_>)| {
        if let Some(text) = host.read_text(path) {
            parse(&text, &mut rows);
        }
    };
    with("/proc/stat", cpu::stat);
    with("/proc/loadavg", system::load);
    with("/proc/meminfo", memory::meminfo);
    with("/proc/vmstat", memory::vmstat);
    with("/proc/diskstats", disk::diskstats);
    with("/proc/net/dev", network::devices);
    with("/proc/net/sockstat", network::sockets);
    with("/proc/sys/fs/file-nr", system::file_handles);
    for (path, parse) in system::PRESSURE {
        with(path, *parse);
    }
    system::uname(host, hostname, machine, &mut rows);
    filesystem::filesystems(host, &mut rows);
    rows.gauge("node_time_seconds", "System time in seconds since epoch (1970).", &[], now_ms as f64 / 1000.0);
    rows.write
}

/// Collects samples under one target's labels.
struct Rows<'h> {
    write: MetricWrite,
    instance: &'h str,
    now_ms: i64,
}

impl Rows<'_> {
    fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.put(name, MetricKind::Counter, help, labels, value);
    }

    fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.put(name, MetricKind::Gauge, help, labels, value);
    }

    fn put(&mut self, name: &str, kind: MetricKind, help: &str, labels: &[(&str, &str)], value: f64) {
        let mut pairs = labels.to_vec();
        pairs.extend([("__name__", name), ("job", "node"), ("instance", self.instance)]);
        let series = self.write.series.push(&mut pairs);
        self.write.samples.push((series, self.now_ms, value));
        if !self.write.metadata.iter().any(|(family, _)| family == name) {
            let metadata = Metadata { kind, help: help.to_owned(), unit: String::new() };
            self.write.metadata.push((name.to_owned(), metadata));
        }
    }
}

/// The numbers of a line's words; words that are none end it.
fn numbers<'t>(words: impl Iterator<Item = &'t str>) -> impl Iterator<Item = f64> {
    words.map_while(|word| word.parse().ok())
}
