//! What few containers need and those that need it cannot do without: names in networks, rights, limits of the kernel, logs. In the words of
//! a compose file; as Docker's create call wants them, and as flags of `docker create`. It does not know which of them are wise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Port;

/// Soft and hard limit, as `ulimit -S` and `-H`; -1 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub soft: i64,
    pub hard: i64,
}

/// Where the container's output goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logging {
    /// Empty: the engine's own.
    pub driver: String,
    pub options: BTreeMap<String, String>,
}

/// How the container is known in one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoint {
    pub aliases: Vec<String>,
    /// Empty: the engine chooses.
    pub ipv4_address: String,
    pub ipv6_address: String,
}

/// Each left out is Docker's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Extra {
    /// Beside those by which apm knows a container; those win.
    pub labels: BTreeMap<String, String>,
    /// By the name of the network, which is in `networks` too.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Published ports of UDP; the ports of `ports` are TCP.
    pub udp: Vec<Port>,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub working_dir: Option<String>,
    pub stop_signal: Option<String>,
    pub tty: bool,
    pub stdin_open: bool,
    pub privileged: bool,
    pub init: Option<bool>,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub security_opt: Vec<String>,
    pub group_add: Vec<String>,
    /// `/dev/x:/dev/y:rwm`
    pub devices: Vec<String>,
    /// `host`, `shareable`, `private`.
    pub ipc: Option<String>,
    /// `host`.
    pub pid: Option<String>,
    pub userns_mode: Option<String>,
    pub uts: Option<String>,
    pub cgroup_parent: Option<String>,
    pub runtime: Option<String>,
    pub ulimits: BTreeMap<String, Limit>,
    pub sysctls: BTreeMap<String, String>,
    /// `name:address`
    pub extra_hosts: Vec<String>,
    pub dns: Vec<String>,
    pub dns_search: Vec<String>,
    pub dns_opt: Vec<String>,
    /// Path to options such as `size=64m`.
    pub tmpfs: BTreeMap<String, String>,
    /// Paths of volumes that have no name.
    pub anonymous: Vec<String>,
    pub logging: Logging,
    pub shm_bytes: u64,
    pub memory_reservation_bytes: u64,
    /// Memory and swap together; -1 is no limit, 0 is Docker's default.
    pub memory_swap_bytes: i64,
    pub cpu_shares: u64,
    pub cpuset: String,
    pub oom_score_adj: i64,
    /// With `restart: on-failure`: 0 is for ever.
    pub restart_max: u32,
}

impl Extra {
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Extra::default()
    }

    /// Into the body of the create call, beside what stands there.
    pub(crate) fn put(&self, body: &mut Map<String, Value>, first_network: Option<&String>) {
        let mut set = |key: &str, wanted: bool, value: Value| {
            if wanted {
                body.insert(key.to_owned(), value);
            }
        };
        for (key, value) in [
            ("Hostname", &self.hostname),
            ("Domainname", &self.domainname),
            ("WorkingDir", &self.working_dir),
            ("StopSignal", &self.stop_signal),
        ] {
            set(key, value.is_some(), json!(value));
        }
        set("Tty", self.tty, json!(true));
        set("OpenStdin", self.stdin_open, json!(true));
        let empty = |paths: &[String]| paths.iter().map(|path| (path.clone(), json!({}))).collect::<Map<_, _>>();
        set("Volumes", !self.anonymous.is_empty(), json!(empty(&self.anonymous)));
        if let Some((name, endpoint)) = first_network.and_then(|name| Some((name, self.endpoint(name)?))) {
            set("NetworkingConfig", true, json!({"EndpointsConfig": {name.clone(): endpoint}}));
        }
        if !self.udp.is_empty() {
            let ports = body.entry("ExposedPorts").or_insert_with(|| json!({}));
            for port in &self.udp {
                ports[format!("{}/udp", port.container)] = json!({});
            }
        }
        if let Some(host) = body.get_mut("HostConfig").and_then(Value::as_object_mut) {
            self.put_host(host);
        }
    }

    fn put_host(&self, host: &mut Map<String, Value>) {
        let mut set = |key: &str, wanted: bool, value: Value| {
            if wanted {
                host.insert(key.to_owned(), value);
            }
        };
        for (key, list) in [
            ("CapAdd", &self.cap_add),
            ("CapDrop", &self.cap_drop),
            ("SecurityOpt", &self.security_opt),
            ("GroupAdd", &self.group_add),
            ("ExtraHosts", &self.extra_hosts),
            ("Dns", &self.dns),
            ("DnsSearch", &self.dns_search),
            ("DnsOptions", &self.dns_opt),
        ] {
            set(key, !list.is_empty(), json!(list));
        }
        for (key, value) in [
            ("IpcMode", &self.ipc),
            ("PidMode", &self.pid),
            ("UsernsMode", &self.userns_mode),
            ("UTSMode", &self.uts),
            ("CgroupParent", &self.cgroup_parent),
            ("Runtime", &self.runtime),
        ] {
            set(key, value.is_some(), json!(value));
        }
        set("Privileged", self.privileged, json!(true));
        set("Init", self.init.is_some(), json!(self.init));
        let devices: Vec<_> = self.devices.iter().map(|device| device_of(device)).collect();
        set("Devices", !devices.is_empty(), json!(devices));
        let limits: Vec<_> = self
            .ulimits
            .iter()
            .map(|(name, limit)| json!({"Name": name, "Soft": limit.soft, "Hard": limit.hard}))
            .collect();
        set("Ulimits", !limits.is_empty(), json!(limits));
        set("Sysctls", !self.sysctls.is_empty(), json!(self.sysctls));
        set("Tmpfs", !self.tmpfs.is_empty(), json!(self.tmpfs));
        let log = json!({"Type": self.logging.driver, "Config": self.logging.options});
        set("LogConfig", self.logging != Logging::default(), log);
        set("ShmSize", self.shm_bytes > 0, json!(self.shm_bytes));
        set("MemoryReservation", self.memory_reservation_bytes > 0, json!(self.memory_reservation_bytes));
        set("MemorySwap", self.memory_swap_bytes != 0, json!(self.memory_swap_bytes));
        set("CpuShares", self.cpu_shares > 0, json!(self.cpu_shares));
        set("CpusetCpus", !self.cpuset.is_empty(), json!(self.cpuset));
        set("OomScoreAdj", self.oom_score_adj != 0, json!(self.oom_score_adj));
        if self.restart_max > 0 {
            host.entry("RestartPolicy").or_insert_with(|| json!({}))["MaximumRetryCount"] = json!(self.restart_max);
        }
        let published = self.udp.iter().filter_map(|port| Some((port.container, port.publish.as_ref()?)));
        for (port, publish) in published {
            let all = host.entry("PortBindings").or_insert_with(|| json!({}));
            let binding = json!({"HostIp": publish.address, "HostPort": publish.port.to_string()});
            match all.get_mut(format!("{port}/udp")).and_then(Value::as_array_mut) {
                Some(list) => list.push(binding),
                None => all[format!("{port}/udp")] = json!([binding]),
            }
        }
    }

    /// The engine's words for how the container joins a network, if anything is wished.
    pub(crate) fn endpoint(&self, network: &str) -> Option<Value> {
        let wish = self.endpoints.get(network).filter(|wish| **wish != Endpoint::default())?;
        let mut endpoint = Map::new();
        if !wish.aliases.is_empty() {
            endpoint.insert("Aliases".into(), json!(wish.aliases));
        }
        let addresses = [("IPv4Address", &wish.ipv4_address), ("IPv6Address", &wish.ipv6_address)];
        let addresses: Map<_, _> = addresses
            .into_iter()
            .filter(|(_, address)| !address.is_empty())
            .map(|(key, address)| (key.to_owned(), json!(address)))
            .collect();
        if !addresses.is_empty() {
            endpoint.insert("IPAMConfig".into(), Value::Object(addresses));
        }
        Some(Value::Object(endpoint))
    }
}

fn device_of(text: &str) -> Value {
    let mut parts = text.splitn(3, ':');
    let on_host = parts.next().unwrap_or_default();
    let inside = parts.next().unwrap_or(on_host);
    json!({"PathOnHost": on_host, "PathInContainer": inside, "CgroupPermissions": parts.next().unwrap_or("rwm")})
}
