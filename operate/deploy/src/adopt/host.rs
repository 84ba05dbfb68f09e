//! The part of a container's record that is about its machine: ports, volumes, limits, rights. Each is taken out of what is left, and what a
//! setting cannot say is named.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::left::Left;
use super::{Adopted, names, port_of, put_port, text, texts, words};
use crate::{Limit, Logging, Port, Publish, Volume};

pub(super) fn ports(config: &mut Left, host: &mut Left, image: &Value, adopted: &mut Adopted) {
    let bindings = host.take("PortBindings");
    for (name, places) in bindings.as_object().into_iter().flatten() {
        let known = port_of(name).filter(|(_, protocol)| ["tcp", "udp"].contains(protocol));
        for place in places.as_array().into_iter().flatten() {
            let on_host = place["HostPort"].as_str().unwrap_or_default();
            // Docker's empty port is any free one, as 0 is.
            let number = if on_host.is_empty() { Some(0) } else { on_host.parse().ok() };
            let (Some((container, protocol)), Some(port)) = (known, number) else {
                adopted
                    .unsaid
                    .push(format!("the port {name} published at {on_host}: apm publishes TCP and UDP, port by port"));
                continue;
            };
            let publish = Publish { address: text(&place["HostIp"]), port };
            put_port(adopted, protocol, Port { container, publish: Some(publish) });
        }
    }
    let of_image = names(&image["ExposedPorts"]);
    for name in names(&config.take("ExposedPorts")) {
        if of_image.contains(&name) || bindings.get(&name).is_some() {
            continue;
        }
        match port_of(&name) {
            Some((container, protocol @ ("tcp" | "udp"))) => {
                put_port(adopted, protocol, Port { container, publish: None })
            }
            _ => adopted.unsaid.push(format!("the port {name}: apm knows TCP and UDP")),
        }
    }
    // Docker keeps them by name, where `udp` and ten thousand come first.
    adopted.container.ports.sort_by_key(|port| port.container);
    adopted.container.extra.udp.sort_by_key(|port| port.container);
    if host.take("PublishAllPorts") == json!(true) {
        adopted
            .unsaid
            .push("every port of its image is published somewhere (--publish-all): name them in `ports`".to_owned());
    }
}

pub(super) fn volumes(config: &mut Left, host: &mut Left, image: &Value, adopted: &mut Adopted) {
    for bind in words(&host.take("Binds")) {
        bound(&bind, adopted);
    }
    let mounts = host.take("Mounts");
    for mount in mounts.as_array().into_iter().flatten() {
        mounted(mount, adopted);
    }
    for (path, options) in texts(&host.take("Tmpfs")) {
        adopted.container.extra.tmpfs.insert(path, options);
    }
    let of_image = names(&image["Volumes"]);
    let own = names(&config.take("Volumes"));
    adopted.container.extra.anonymous = own.into_iter().filter(|path| !of_image.contains(path)).collect();
    let driver = text(&host.take("VolumeDriver"));
    if !["", "local"].contains(&driver.as_str()) {
        adopted
            .unsaid
            .push(format!("its volumes are made by the driver {driver}: make them by `docker volume create`"));
    }
}

/// `data:/data:ro,z`
fn bound(bind: &str, adopted: &mut Adopted) {
    let mut parts = bind.splitn(3, ':');
    let (source, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut volume = Volume { source: source.to_owned(), path: path.to_owned(), read_only: false };
    for option in parts.next().unwrap_or_default().split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => volume.read_only = true,
            // As Docker does without a word.
            "rw" | "rprivate" => {}
            other => adopted.unsaid.push(format!("the option `{other}` of its volume {path}")),
        }
    }
    adopted.container.volumes.push(volume);
}

fn mounted(mount: &Value, adopted: &mut Adopted) {
    let (kind, path) = (text(&mount["Type"]), text(&mount["Target"]));
    let mut rest = Left::named(&format!("the mount at {path}:"), mount);
    rest.take("Type");
    rest.take("Target");
    let (source, read_only) = (text(&rest.take("Source")), rest.take("ReadOnly") == json!(true));
    match kind.as_str() {
        "tmpfs" => {
            let mut options = Left::named(&format!("the mount at {path}:"), &rest.take("TmpfsOptions"));
            let size = options.take("SizeBytes").as_u64().filter(|size| *size > 0).map(|size| format!("size={size}"));
            let mode = options.take("Mode").as_u64().filter(|mode| *mode > 0).map(|mode| format!("mode={mode:o}"));
            let words: Vec<String> = size.into_iter().chain(mode).collect();
            options.tell(&mut adopted.unsaid);
            adopted.container.extra.tmpfs.insert(path, words.join(","));
        }
        "volume" if source.is_empty() => adopted.container.extra.anonymous.push(path),
        "bind" | "volume" => adopted.container.volumes.push(Volume { source, path, read_only }),
        other => adopted.unsaid.push(format!("the mount of the kind `{other}` at {path}")),
    }
    rest.tell(&mut adopted.unsaid);
}

pub(super) fn limits(host: &mut Left, adopted: &mut Adopted) {
    let container = &mut adopted.container;
    let mut number = |key: &str| host.take(key).as_u64().unwrap_or(0);
    container.memory_bytes = number("Memory");
    container.extra.memory_reservation_bytes = number("MemoryReservation");
    let (quota, period, nano) = (number("CpuQuota"), number("CpuPeriod"), number("NanoCpus"));
    container.extra.cpu_shares = number("CpuShares");
    // What the engine gives when nobody says: 64 MiB.
    container.extra.shm_bytes = Some(number("ShmSize")).filter(|size| *size != 64 << 20).unwrap_or(0);
    // In thousandths of a processor; both of Docker's ways to say it are the kernel's quota and period.
    let (share, whole) =
        if nano > 0 { (nano, 1_000_000_000) } else { (quota, if period > 0 { period } else { 100_000 }) };
    container.cpu_millis = u64::try_from(u128::from(share) * 1_000 / u128::from(whole)).unwrap_or(u64::MAX);
    if u128::from(share) * 1_000 % u128::from(whole) != 0 {
        adopted.unsaid.push(format!(
            "its processors to the last digit: {} thousandths are what apm would set",
            container.cpu_millis
        ));
    }
    let swap = host.take("MemorySwap").as_i64().unwrap_or(0);
    let usual = i64::try_from(container.memory_bytes.saturating_mul(2)).unwrap_or(i64::MAX);
    container.extra.memory_swap_bytes = if swap == usual { 0 } else { swap };
    // Negative and null are no limit.
    container.pids = host.take("PidsLimit").as_u64().unwrap_or(0);
    container.extra.cpuset = text(&host.take("CpusetCpus"));
    container.extra.oom_score_adj = host.take("OomScoreAdj").as_i64().unwrap_or(0);
    let policy = host.take("RestartPolicy");
    let restart = policy["Name"].as_str().filter(|name| !name.is_empty()).unwrap_or("no");
    container.restart = if restart == "unless-stopped" { String::new() } else { restart.to_owned() };
    let most = policy["MaximumRetryCount"].as_u64().unwrap_or(0);
    container.extra.restart_max = u32::try_from(most).unwrap_or(u32::MAX);
    for limit in host.take("Ulimits").as_array().into_iter().flatten() {
        let number = |key: &str| limit[key].as_i64().unwrap_or(-1);
        container.extra.ulimits.insert(text(&limit["Name"]), Limit { soft: number("Soft"), hard: number("Hard") });
    }
    container.extra.sysctls = texts(&host.take("Sysctls"));
    let log = host.take("LogConfig");
    let (driver, options) = (text(&log["Type"]), texts(&log["Config"]));
    let (secret, options): (BTreeMap<_, _>, BTreeMap<_, _>) =
        options.into_iter().partition(|(name, value)| super::looks_secret(name, value));
    for name in secret.keys() {
        adopted.unsaid.push(format!("the option {name} of its log: it looks like a secret"));
    }
    // What an engine does that nobody set otherwise.
    let plain = driver == "json-file" && options.is_empty();
    container.extra.logging = if plain { Logging::default() } else { Logging { driver, options } };
}

pub(super) fn rights(host: &mut Left, adopted: &mut Adopted) {
    let extra = &mut adopted.container.extra;
    for (key, list) in [
        ("CapAdd", &mut extra.cap_add),
        ("CapDrop", &mut extra.cap_drop),
        ("SecurityOpt", &mut extra.security_opt),
        ("GroupAdd", &mut extra.group_add),
        ("ExtraHosts", &mut extra.extra_hosts),
        ("Dns", &mut extra.dns),
        ("DnsSearch", &mut extra.dns_search),
        ("DnsOptions", &mut extra.dns_opt),
    ] {
        *list = words(&host.take(key));
    }
    // What the engine writes there without being asked counts as nothing.
    for (key, usual, word) in [
        ("IpcMode", "private", &mut extra.ipc),
        ("PidMode", "", &mut extra.pid),
        ("UsernsMode", "", &mut extra.userns_mode),
        ("UTSMode", "", &mut extra.uts),
        ("CgroupParent", "", &mut extra.cgroup_parent),
        ("Runtime", "runc", &mut extra.runtime),
    ] {
        *word = Some(text(&host.take(key))).filter(|word| !word.is_empty() && word != usual);
    }
    extra.privileged = host.take("Privileged") == json!(true);
    if extra.privileged {
        // The engine adds it itself (moby, `daemon/create.go`).
        extra.security_opt.retain(|option| option != "label=disable");
    }
    extra.init = host.take("Init").as_bool();
    adopted.container.read_only_root = host.take("ReadonlyRootfs") == json!(true);
    for device in host.take("Devices").as_array().into_iter().flatten() {
        let (on_host, inside) = (text(&device["PathOnHost"]), text(&device["PathInContainer"]));
        let rights = text(&device["CgroupPermissions"]);
        extra.devices.push(if rights == "rwm" || rights.is_empty() {
            format!("{on_host}:{inside}")
        } else {
            format!("{on_host}:{inside}:{rights}")
        });
    }
    let privileged = extra.privileged;
    for key in ["MaskedPaths", "ReadonlyPaths"] {
        let paths = host.take(key);
        if paths.as_array().is_some_and(Vec::is_empty) && !privileged {
            adopted.unsaid.push("the kernel's files are open to it (--security-opt systempaths=unconfined)".to_owned());
            host.take("ReadonlyPaths");
        }
    }
    // Of the terminal that made it, and what the engine decides by its own settings; links and --rm are refused before anything is planned.
    for noise in ["ConsoleSize", "ContainerIDFile", "CgroupnsMode", "Isolation", "Links", "AutoRemove"] {
        host.take(noise);
    }
    if host.take("OomKillDisable") == json!(true) {
        adopted.unsaid.push("it is not killed when it runs out of memory (--oom-kill-disable)".to_owned());
    }
}
