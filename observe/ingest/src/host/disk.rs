//! /proc/diskstats: completed, merged, bytes and time, for whole disks.

use super::{Rows, numbers};

/// What a "sector" is in this file, whatever the disk's own sectors are.
const SECTOR_BYTES: f64 = 512.0;

/// Partitions and memory-backed devices are left out, as node_exporter leaves them out.
fn ignored(device: &str) -> bool {
    let digits_after = |prefix: &str| {
        device.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let plain = ["ram", "zram", "loop", "fd"].iter().any(|prefix| digits_after(prefix));
    let whole = device.trim_end_matches(|c: char| c.is_ascii_digit());
    let has_number = whole.len() < device.len();
    let lettered = ["hd", "sd", "vd", "xvd"].iter().any(|p| {
        whole.strip_prefix(p).is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_lowercase()))
    });
    let nvme_partition = device.starts_with("nvme") && device.contains('n') && whole.ends_with('p');
    plain || has_number && (lettered || nvme_partition)
}

pub(super) fn diskstats(text: &str, rows: &mut Rows<'_>) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(2);
        let Some(device) = words.next().filter(|device| !ignored(device)) else { continue };
        let columns: Vec<f64> = numbers(words).collect();
        for (value, (name, help, unit)) in columns.iter().zip(COLUMNS) {
            let labels = [("device", device)];
            let value = match unit {
                Unit::Times | Unit::Now => *value,
                Unit::Sectors => value * SECTOR_BYTES,
                Unit::Milliseconds => value / 1000.0,
            };
            if !matches!(unit, Unit::Now) {
                rows.counter(name, help, &labels, value);
            } else {
                rows.gauge(name, help, &labels, value);
            }
        }
    }
}

enum Unit {
    Times,
    /// What is so now, and may fall.
    Now,
    Sectors,
    Milliseconds,
}

/// Columns 4 to 20 of the file (Documentation/admin-guide/iostats.rst), with node_exporter's names.
const COLUMNS: &[(&str, &str, Unit)] = &[
    ("node_disk_reads_completed_total", "The total number of reads completed successfully.", Unit::Times),
    ("node_disk_reads_merged_total", "The total number of reads merged.", Unit::Times),
    ("node_disk_read_bytes_total", "The total number of bytes read successfully.", Unit::Sectors),
    ("node_disk_read_time_seconds_total", "The total number of seconds spent by all reads.", Unit::Milliseconds),
    ("node_disk_writes_completed_total", "The total number of writes completed successfully.", Unit::Times),
    ("node_disk_writes_merged_total", "The number of writes merged.", Unit::Times),
    ("node_disk_written_bytes_total", "The total number of bytes written successfully.", Unit::Sectors),
    (
        "node_disk_write_time_seconds_total",
        "This is the total number of seconds spent by all writes.",
        Unit::Milliseconds,
    ),
    ("node_disk_io_now", "The number of I/Os currently in progress.", Unit::Now),
    ("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os.", Unit::Milliseconds),
    ("node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.", Unit::Milliseconds),
    ("node_disk_discards_completed_total", "The total number of discards completed successfully.", Unit::Times),
    ("node_disk_discards_merged_total", "The total number of discards merged.", Unit::Times),
    ("node_disk_discarded_sectors_total", "The total number of sectors discarded successfully.", Unit::Times),
    (
        "node_disk_discard_time_seconds_total",
        "This is the total number of seconds spent by all discards.",
        Unit::Milliseconds,
    ),
    ("node_disk_flush_requests_total", "The total number of flush requests completed successfully", Unit::Times),
    (
        "node_disk_flush_requests_time_seconds_total",
        "This is the total number of seconds spent by all flush requests.",
        Unit::Milliseconds,
    ),
];
