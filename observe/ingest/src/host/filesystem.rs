//! Mounted filesystems: which of /proc/mounts count, and how full they are.

use super::{ReadHost, Rows};

/// Filesystems without a disk behind them, and mounts that belong to containers; node_exporter's defaults.
const IGNORED_TYPES: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];
const IGNORED_UNDER: &[&str] = &["/dev", "/proc", "/sys"];
const IGNORED_BELOW: &[&str] = &["/run/credentials/", "/var/lib/docker/", "/var/lib/containers/storage/"];

/// More mounts than this are a container host's; each costs a call.
const MOUNTS_MAX: usize = 256;

struct Mount {
    device: String,
    point: String,
    kind: String,
}

fn mounts(text: &str) -> Vec<Mount> {
    let mut found = Vec::<Mount>::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(device), Some(point), Some(kind)) = (words.next(), words.next(), words.next()) else { continue };
        let (device, point) = (unescape(device), unescape(point));
        // A container's own root is an overlay; it is still the disk that fills up.
        let ignored_type = IGNORED_TYPES.contains(&kind) && point != "/";
        let under =
            IGNORED_UNDER.iter().any(|top| point.strip_prefix(top).is_some_and(|r| r.is_empty() || r.starts_with('/')));
        let below = IGNORED_BELOW.iter().any(|top| point.starts_with(top));
        if !(ignored_type || under || below || found.iter().any(|mount| mount.point == point)) {
            found.push(Mount { device, point, kind: kind.to_owned() });
        }
    }
    found.truncate(MOUNTS_MAX);
    found
}

/// Blanks in a path are written as `\040` and the like.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

pub(super) fn filesystems(host: &impl ReadHost, rows: &mut Rows<'_>) {
    let Some(text) = host.read_text("/proc/self/mounts").or_else(|| host.read_text("/proc/mounts")) else { return };
    for mount in mounts(&text) {
        let labels =
            [("device", mount.device.as_str()), ("mountpoint", mount.point.as_str()), ("fstype", mount.kind.as_str())];
        let stats = host.filesystem(&mount.point);
        let help = "Whether an error occurred while getting statistics for the given device.";
        rows.gauge("node_filesystem_device_error", help, &labels, if stats.is_none() { 1.0 } else { 0.0 });
        let Some(stats) = stats else { continue };
        let flag = if stats.read_only { 1.0 } else { 0.0 };
        rows.gauge("node_filesystem_readonly", "Filesystem read-only status.", &labels, flag);
        for (name, help, value) in [
            ("node_filesystem_size_bytes", "Filesystem size in bytes.", stats.size_bytes),
            ("node_filesystem_free_bytes", "Filesystem free space in bytes.", stats.free_bytes),
            (
                "node_filesystem_avail_bytes",
                "Filesystem space available to non-root users in bytes.",
                stats.avail_bytes,
            ),
            ("node_filesystem_files", "Filesystem total file nodes.", stats.files),
            ("node_filesystem_files_free", "Filesystem total free file nodes.", stats.files_free),
        ] {
            rows.gauge(name, help, &labels, value as f64);
        }
    }
}
