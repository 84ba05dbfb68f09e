//! Load, open files, pressure, and what the kernel calls itself.

use super::{ReadHost, Rows, numbers};

pub(super) fn load(text: &str, rows: &mut Rows<'_>) {
    let names =
        [("node_load1", "1m load average."), ("node_load5", "5m load average."), ("node_load15", "15m load average.")];
    for ((name, help), value) in names.iter().zip(numbers(text.split_ascii_whitespace())) {
        rows.gauge(name, help, &[], value);
    }
}

pub(super) fn file_handles(text: &str, rows: &mut Rows<'_>) {
    let values: Vec<f64> = numbers(text.split_ascii_whitespace()).collect();
    if let [allocated, _, maximum] = values.as_slice() {
        rows.gauge("node_filefd_allocated", "File descriptor statistics: allocated.", &[], *allocated);
        rows.gauge("node_filefd_maximum", "File descriptor statistics: maximum.", &[], *maximum);
    }
}

type Parse = fn(&str, &mut Rows<'_>);

/// Pressure stall information, where the kernel has it.
pub(super) const PRESSURE: &[(&str, Parse)] = &[
    ("/proc/pressure/cpu", |text, rows| pressure(text, "cpu", "", rows)),
    ("/proc/pressure/io", |text, rows| pressure(text, "io", "io", rows)),
    ("/proc/pressure/memory", |text, rows| pressure(text, "memory", "memory", rows)),
];

/// `some … total=N` is time in which something waited, `full …` in which everything stalled; N in microseconds.
fn pressure(text: &str, resource: &str, stalls: &str, rows: &mut Rows<'_>) {
    for line in text.lines() {
        let total = line.rsplit_once("total=").and_then(|(_, number)| number.trim().parse::<f64>().ok());
        let Some(seconds) = total.map(|us| us / 1e6) else { continue };
        if line.starts_with("some") {
            let help = format!("Total time in seconds that processes have waited for {resource}");
            rows.counter(&format!("node_pressure_{resource}_waiting_seconds_total"), &help, &[], seconds);
        } else if line.starts_with("full") && !stalls.is_empty() {
            let help = format!("Total time in seconds no process could make progress due to {resource} congestion");
            rows.counter(&format!("node_pressure_{resource}_stalled_seconds_total"), &help, &[], seconds);
        }
    }
}

pub(super) fn uname(host: &impl ReadHost, hostname: &str, machine: &str, rows: &mut Rows<'_>) {
    let read = |name: &str| host.read_text(&format!("/proc/sys/kernel/{name}")).map(|text| text.trim().to_owned());
    let (Some(sysname), Some(release)) = (read("ostype"), read("osrelease")) else { return };
    let (version, domain) = (read("version").unwrap_or_default(), read("domainname").unwrap_or_default());
    let labels = [
        ("sysname", sysname.as_str()),
        ("release", release.as_str()),
        ("version", version.as_str()),
        ("machine", machine),
        ("nodename", hostname),
        ("domainname", domain.as_str()),
    ];
    rows.gauge("node_uname_info", "Labeled system information as provided by the uname system call.", &labels, 1.0);
}
