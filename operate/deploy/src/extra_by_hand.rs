//! The rarer settings as flags of `docker create` and `docker network connect`. They are shown, never run.

use crate::by_hand::quoted;
use crate::{Extra, Health};

/// Flags for everything that differs from Docker's default.
pub(crate) fn words(extra: &Extra, first_network: Option<&String>) -> Vec<String> {
    let mut words = Vec::new();
    let mut flag = |name: &str, value: &str| words.push(format!("--{name} {}", quoted(value)));
    for (name, list) in [
        ("cap-add", &extra.cap_add),
        ("cap-drop", &extra.cap_drop),
        ("security-opt", &extra.security_opt),
        ("group-add", &extra.group_add),
        ("device", &extra.devices),
        ("add-host", &extra.extra_hosts),
        ("dns", &extra.dns),
        ("dns-search", &extra.dns_search),
        ("dns-option", &extra.dns_opt),
        ("volume", &extra.anonymous),
    ] {
        list.iter().for_each(|value| flag(name, value));
    }
    for (name, value) in [
        ("hostname", &extra.hostname),
        ("domainname", &extra.domainname),
        ("workdir", &extra.working_dir),
        ("stop-signal", &extra.stop_signal),
        ("ipc", &extra.ipc),
        ("pid", &extra.pid),
        ("userns", &extra.userns_mode),
        ("uts", &extra.uts),
        ("cgroup-parent", &extra.cgroup_parent),
        ("runtime", &extra.runtime),
    ] {
        value.iter().for_each(|value| flag(name, value));
    }
    extra.ulimits.iter().for_each(|(name, limit)| flag("ulimit", &format!("{name}={}:{}", limit.soft, limit.hard)));
    extra.sysctls.iter().for_each(|(name, value)| flag("sysctl", &format!("{name}={value}")));
    for (path, options) in &extra.tmpfs {
        let rest = if options.is_empty() { String::new() } else { format!(":{options}") };
        flag("tmpfs", &format!("{path}{rest}"));
    }
    if !extra.logging.driver.is_empty() {
        flag("log-driver", &extra.logging.driver);
    }
    extra.logging.options.iter().for_each(|(name, value)| flag("log-opt", &format!("{name}={value}")));
    for (name, bytes) in [
        ("shm-size", i64::try_from(extra.shm_bytes).unwrap_or(i64::MAX)),
        ("memory-reservation", i64::try_from(extra.memory_reservation_bytes).unwrap_or(i64::MAX)),
        ("memory-swap", extra.memory_swap_bytes),
        ("cpu-shares", i64::try_from(extra.cpu_shares).unwrap_or(i64::MAX)),
        ("oom-score-adj", extra.oom_score_adj),
    ] {
        if bytes != 0 {
            flag(name, &bytes.to_string());
        }
    }
    if !extra.cpuset.is_empty() {
        flag("cpuset-cpus", &extra.cpuset);
    }
    for port in &extra.udp {
        match &port.publish {
            Some(publish) if publish.address.is_empty() => {
                flag("publish", &format!("{}:{}/udp", publish.port, port.container));
            }
            Some(publish) => flag("publish", &format!("{}:{}:{}/udp", publish.address, publish.port, port.container)),
            None => flag("expose", &format!("{}/udp", port.container)),
        }
    }
    if let Some(network) = first_network {
        words.extend(endpoint(extra, network, "network-alias"));
    }
    for (name, wanted) in [("tty", extra.tty), ("interactive", extra.stdin_open), ("privileged", extra.privileged)] {
        if wanted {
            words.push(format!("--{name}"));
        }
    }
    words.extend(extra.init.map(|wanted| if wanted { "--init".to_owned() } else { "--init=false".to_owned() }));
    words
}

/// Flags for one network; an alias is called differently by `docker create` and by `docker network connect`.
pub(crate) fn endpoint(extra: &Extra, network: &str, alias: &str) -> Vec<String> {
    let Some(wish) = extra.endpoints.get(network) else { return Vec::new() };
    let mut words: Vec<_> = wish.aliases.iter().map(|name| format!("--{alias} {}", quoted(name))).collect();
    for (name, address) in [("ip", &wish.ipv4_address), ("ip6", &wish.ipv6_address)] {
        if !address.is_empty() {
            words.push(format!("--{name} {}", quoted(address)));
        }
    }
    words
}

/// Docker's own command has words for a shell only; a check without a shell is shown as one with.
pub(crate) fn health(health: &Health) -> Vec<String> {
    let command = match health.test.split_first() {
        Some((kind, _)) if kind == "NONE" => return vec!["--no-healthcheck".to_owned()],
        Some((kind, [command])) if kind == "CMD-SHELL" => command.clone(),
        Some((_, words)) => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
        None => String::new(),
    };
    let mut words = Vec::new();
    if !command.is_empty() {
        words.push(format!("--health-cmd {}", quoted(&command)));
    }
    for (name, ms) in
        [("interval", health.interval_ms), ("timeout", health.timeout_ms), ("start-period", health.start_period_ms)]
    {
        if ms > 0 {
            words.push(format!("--health-{name} {ms}ms"));
        }
    }
    if health.retries > 0 {
        words.push(format!("--health-retries {}", health.retries));
    }
    words
}
