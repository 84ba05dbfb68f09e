//! Texts as a Linux machine writes them, and the series a node_exporter dashboard asks for.

use std::collections::BTreeMap;

use super::*;

#[derive(Default)]
struct FakeHost {
    texts: BTreeMap<String, String>,
    filesystems: BTreeMap<String, FilesystemStats>,
}

impl ReadHost for FakeHost {
    fn read_text(&self, path: &str) -> Option<String> {
        self.texts.get(path).cloned()
    }

    fn filesystem(&self, mount_point: &str) -> Option<FilesystemStats> {
        self.filesystems.get(mount_point).copied()
    }
}

/// Each expected line is `series value`, without job and instance; `-` before one says that no such series exists.
fn check(path: &str, text: &str, expect: &[&str]) {
    let mut host = FakeHost::default();
    host.texts.insert(path.to_owned(), text.to_owned());
    host.filesystems
        .insert("/".to_owned(), FilesystemStats { size_bytes: 100, avail_bytes: 40, ..FilesystemStats::default() });
    check_host(&host, expect);
}

fn check_host(host: &FakeHost, expect: &[&str]) {
    let write = collect(host, "box", "x86_64", 5_000);
    let mut found = Vec::new();
    for (series, time_ms, value) in &write.samples {
        let labels = write.series.get(*series).to_labels();
        assert_eq!((labels.get("job"), labels.get("instance"), *time_ms), (Some("node"), Some("box"), 5_000));
        let name = labels.get("__name__").unwrap().to_owned();
        let rest = labels.without(|n| ["__name__", "job", "instance"].contains(&n)).to_string();
        found.push(format!("{name}{rest} {value}"));
    }
    for line in expect {
        match line.strip_prefix('-') {
            Some(absent) => assert!(!found.iter().any(|f| f.starts_with(absent)), "{absent} in {found:#?}"),
            None => assert!(found.iter().any(|f| f == line), "{line} in {found:#?}"),
        }
    }
}

#[test]
fn processors_and_processes() {
    check(
        "/proc/stat",
        "cpu  10 0 0 0\ncpu0 100 20 300 4000 50 6 7 8 9 10\ncpu1 1 2\nintr 77 1 2\nctxt 12345\nbtime 1700000000\nprocesses 42\nprocs_running 3\nprocs_blocked 1\nodd\n",
        &[
            r#"node_cpu_seconds_total{cpu="0", mode="user"} 1"#,
            r#"node_cpu_seconds_total{cpu="0", mode="steal"} 0.08"#,
            r#"node_cpu_guest_seconds_total{cpu="0", mode="user"} 0.09"#,
            r#"node_cpu_seconds_total{cpu="1", mode="nice"} 0.02"#,
            r#"-node_cpu_seconds_total{cpu="1", mode="system"}"#,
            r#"-node_cpu_seconds_total{cpu="","#,
            "node_intr_total{} 77",
            "node_context_switches_total{} 12345",
            "node_boot_time_seconds{} 1700000000",
            "node_forks_total{} 42",
            "node_procs_running{} 3",
            "node_procs_blocked{} 1",
        ],
    );
}

#[test]
fn memory_load_and_pressure() {
    check(
        "/proc/meminfo",
        "MemTotal:       16384 kB\nMemAvailable: 1 kB\nActive(anon):  2 kB\nHugePages_Total:       3\nbroken\n",
        &[
            "node_memory_MemTotal_bytes{} 16777216",
            "node_memory_MemAvailable_bytes{} 1024",
            "node_memory_Active_anon_bytes{} 2048",
            "node_memory_HugePages_Total{} 3",
        ],
    );
    check(
        "/proc/loadavg",
        "0.50 1.25 2.00 1/200 999\n",
        &["node_load1{} 0.5", "node_load5{} 1.25", "node_load15{} 2", "node_time_seconds{} 5"],
    );
    check("/proc/vmstat", "pgmajfault 5\nnr_free 7\n", &["node_vmstat_pgmajfault{} 5", "-node_vmstat_nr_free"]);
    check(
        "/proc/pressure/io",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n",
        &["node_pressure_io_waiting_seconds_total{} 2.5", "node_pressure_io_stalled_seconds_total{} 1"],
    );
    check("/proc/sys/fs/file-nr", "100\t0\t9000\n", &["node_filefd_allocated{} 100", "node_filefd_maximum{} 9000"]);
}

#[test]
fn disks_and_networks() {
    check(
        "/proc/diskstats",
        "   8 0 sda 10 1 4 2000 5 0 8 1000 2 1500 3500 0 0 0 0 3 4\n   8 1 sda1 1 1 1 1 1 1 1 1 1 1 1\n 259 0 nvme0n1 1 0 0 0\n 259 1 nvme0n1p1 1 0 0 0\n 7 0 loop0 1 0 0 0\n",
        &[
            r#"node_disk_reads_completed_total{device="sda"} 10"#,
            r#"node_disk_read_bytes_total{device="sda"} 2048"#,
            r#"node_disk_read_time_seconds_total{device="sda"} 2"#,
            r#"node_disk_written_bytes_total{device="sda"} 4096"#,
            r#"node_disk_io_now{device="sda"} 2"#,
            r#"node_disk_io_time_seconds_total{device="sda"} 1.5"#,
            r#"node_disk_flush_requests_total{device="sda"} 3"#,
            r#"node_disk_reads_completed_total{device="nvme0n1"} 1"#,
            r#"-node_disk_reads_completed_total{device="sda1"}"#,
            r#"-node_disk_reads_completed_total{device="nvme0n1p1"}"#,
            r#"-node_disk_reads_completed_total{device="loop0"}"#,
        ],
    );
    check(
        "/proc/net/dev",
        "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n  eth0: 1000 10 1 2 3 4 5 6 2000 20 7 8 9 10 11 12\neth0:1:5 1 0 0 0 0 0 0 6 1\n",
        &[
            r#"node_network_receive_bytes_total{device="eth0"} 1000"#,
            r#"node_network_receive_multicast_total{device="eth0"} 6"#,
            r#"node_network_transmit_bytes_total{device="eth0"} 2000"#,
            r#"node_network_transmit_compressed_total{device="eth0"} 12"#,
            r#"node_network_receive_bytes_total{device="eth0:1"} 5"#,
        ],
    );
    check(
        "/proc/net/sockstat",
        "sockets: used 9\nTCP: inuse 5 orphan 0\n",
        &["node_sockstat_TCP_inuse{} 5", "node_sockstat_sockets_used{} 9"],
    );
}

#[test]
fn filesystems_that_can_fill_up() {
    let mounts = "overlay / overlay rw 0 0\nproc /proc proc rw 0 0\n/dev/sda2 /my\\040data ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\noverlay /var/lib/docker/x/merged ext4 rw 0 0\n";
    check(
        "/proc/mounts",
        mounts,
        &[
            r#"node_filesystem_size_bytes{device="overlay", fstype="overlay", mountpoint="/"} 100"#,
            r#"node_filesystem_avail_bytes{device="overlay", fstype="overlay", mountpoint="/"} 40"#,
            r#"node_filesystem_readonly{device="overlay", fstype="overlay", mountpoint="/"} 0"#,
            r#"node_filesystem_device_error{device="/dev/sda2", fstype="ext4", mountpoint="/my data"} 1"#,
            r#"-node_filesystem_size_bytes{device="/dev/sda2""#,
            r#"-node_filesystem_device_error{device="proc""#,
            r#"-node_filesystem_device_error{device="tmpfs""#,
            r#"-node_filesystem_device_error{device="overlay", fstype="ext4""#,
        ],
    );
}

#[test]
fn the_kernel_and_its_name() {
    let mut host = FakeHost::default();
    for (name, text) in
        [("ostype", "Linux\n"), ("osrelease", "6.1.0\n"), ("version", "#1 SMP\n"), ("domainname", "(none)\n")]
    {
        host.texts.insert(format!("/proc/sys/kernel/{name}"), text.to_owned());
    }
    check_host(
        &host,
        &[
            r##"node_uname_info{domainname="(none)", machine="x86_64", nodename="box", release="6.1.0", sysname="Linux", version="#1 SMP"} 1"##,
        ],
    );
    let write = collect(&host, "box", "x86_64", 1);
    assert_eq!(
        write.metadata.len(),
        write
            .series
            .iter()
            .map(|s| s.get("__name__").unwrap().to_owned())
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    );
}

#[test]
fn odd_texts_leave_metrics_out_and_nothing_else() {
    let texts = [
        "",
        "\n\n",
        "cpu0",
        "cpu0 x",
        ":",
        "a:",
        "  :  :",
        "some total=",
        "\u{1F600} : 5 kB",
        "8 0 sda NaN inf -1",
        "TCP: a",
    ];
    for path in [
        "/proc/stat",
        "/proc/meminfo",
        "/proc/diskstats",
        "/proc/net/dev",
        "/proc/net/sockstat",
        "/proc/loadavg",
        "/proc/mounts",
        "/proc/pressure/cpu",
        "/proc/sys/fs/file-nr",
        "/proc/vmstat",
    ] {
        for text in texts {
            check(path, text, &["node_time_seconds{} 5"]);
        }
    }
}
