//! What a container of an engine becomes, held against lines of cAdvisor.

use super::{Container, Disk, Health, Limits, Network, Traffic, Usage, exposition};

fn cart() -> Container {
    let labels = [
        ("com.docker.compose.service", "cart"),
        ("com.docker.compose.config-hash", "a9f"),
        ("org.opencontainers.image.title", "busybox"),
        ("apm.service", "cart"),
        ("apm.config", "9c1d"),
    ];
    let received = Traffic { bytes: 1000, packets: 10, errors: 1, dropped: 2 };
    let sent = Traffic { bytes: 2000, packets: 20, errors: 3, dropped: 4 };
    Container {
        id: "f00".into(),
        name: "shop-cart".into(),
        image: "shop/cart:2".into(),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        started_s: Some(1_700_000_000.5),
        health: Health::Healthy,
        restarts: 3,
        limits: Limits { memory_bytes: 64 << 20, cpu_quota_us: 50_000, cpu_period_us: 100_000, ..Limits::default() },
        usage: Some(Usage {
            cpu_ns: 12_500_000_000,
            cpu_throttled_ns: 250_000_000,
            memory_bytes: 40 << 20,
            memory_working_set_bytes: 30 << 20,
            networks: [("eth0".to_owned(), Network { received, sent })].into(),
            disks: [("8:0".to_owned(), Disk { read_bytes: 4096, ..Disk::default() })].into(),
            ..Usage::default()
        }),
    }
}

/// A line of this name, more labels than every line has, and value.
#[track_caller]
fn check(text: &str, name: &str, more: &str, value: &str) {
    let labels = r#"id="/docker/f00",name="shop-cart",image="shop/cart:2",container_label_apm_service="cart",container_label_com_docker_compose_service="cart""#;
    let line = format!("{name}{{{labels}{more}}} {value}");
    assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
}

#[test]
fn a_running_container_speaks_as_cadvisor_does() {
    let text = exposition(&[cart()], 1_700_000_060_000);
    for (name, more, value) in [
        ("container_last_seen", "", "1700000060"),
        ("container_start_time_seconds", "", "1700000000.5"),
        ("apm_container_restarts_total", "", "3"),
        ("container_health_state", "", "1"),
        ("container_cpu_usage_seconds_total", r#",cpu="total""#, "12.5"),
        ("container_cpu_cfs_throttled_seconds_total", "", "0.25"),
        ("container_spec_cpu_quota", "", "50000"),
        ("container_spec_cpu_period", "", "100000"),
        ("container_memory_working_set_bytes", "", "31457280"),
        ("container_memory_usage_bytes", "", "41943040"),
        ("container_spec_memory_limit_bytes", "", "67108864"),
        ("container_network_receive_bytes_total", r#",interface="eth0""#, "1000"),
        ("container_network_receive_packets_dropped_total", r#",interface="eth0""#, "2"),
        ("container_network_transmit_errors_total", r#",interface="eth0""#, "3"),
        ("container_fs_reads_bytes_total", r#",device="8:0""#, "4096"),
    ] {
        check(&text, name, more, value);
    }
    assert!(text.contains("# TYPE container_cpu_usage_seconds_total counter"), "{text}");
    for noise in ["config_hash", "opencontainers", "apm_config"] {
        assert!(!text.contains(noise), "{noise}");
    }
}

#[test]
fn between_two_restarts_only_its_start_and_its_count_are_known() {
    let text = exposition(&[Container { usage: None, ..cart() }], 0);
    check(&text, "apm_container_restarts_total", "", "3");
    check(&text, "container_start_time_seconds", "", "1700000000.5");
    assert!(!text.contains("container_cpu_usage_seconds_total{") && !text.contains("container_memory_rss{"), "{text}");
}

#[test]
fn without_limits_there_is_no_quota_and_a_memory_limit_of_0() {
    let text = exposition(&[Container { limits: Limits::default(), health: Health::Unchecked, ..cart() }], 0);
    check(&text, "container_spec_memory_limit_bytes", "", "0");
    check(&text, "container_health_state", "", "-1");
    for absent in ["container_spec_cpu_quota{", "container_spec_cpu_period{", "container_cpu_cfs_periods_total{"] {
        assert!(!text.contains(absent), "{absent}");
    }
}
