//! What a container shall be, and the body of Docker's create call made from it: pure. It sets nothing the caller did not ask for.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

/// Docker counts durations in nanoseconds.
const NS_PER_MS: u64 = 1_000_000;

/// A container to be made. Everything left at its default is left to image and engine.
#[derive(Clone, Default, PartialEq)]
pub struct ContainerSpec {
    pub name: String,
    /// A reference or an id; pulled by nobody here.
    pub image: String,
    /// Replaces the image's CMD.
    pub command: Option<Vec<String>>,
    /// Replaces the image's ENTRYPOINT.
    pub entrypoint: Option<Vec<String>>,
    /// Values may be secret: only names are shown by `Debug`.
    pub env: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub ports: Vec<Port>,
    pub mounts: Vec<Mount>,
    /// None means the engine's own bridge. A single one called `host` or `none` has Docker's meaning.
    pub networks: Vec<NetworkJoin>,
    pub limits: Limits,
    pub restart: Restart,
    pub health: Option<HealthCheck>,
    /// `user`, `uid` or `uid:gid`.
    pub user: Option<String>,
    pub working_folder: Option<String>,
    pub hostname: Option<String>,
    pub read_only_root: bool,
    /// Name to address; the address `host-gateway` is the machine's, seen from the container.
    pub extra_hosts: BTreeMap<String, String>,
    /// `SIGTERM`, if not the image's own.
    pub stop_signal: Option<String>,
    /// Between that signal and SIGKILL.
    pub stop_grace_s: Option<u32>,
    /// A small init that reaps orphans and hands signals on.
    pub init: bool,
}

impl fmt::Debug for ContainerSpec {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = to.debug_struct("ContainerSpec");
        shown
            .field("name", &self.name)
            .field("image", &self.image)
            .field("env", &Names(&self.env))
            .field("labels", &self.labels);
        shown.field("ports", &self.ports).field("mounts", &self.mounts).field("networks", &self.networks);
        shown.field("limits", &self.limits).field("restart", &self.restart).finish_non_exhaustive()
    }
}

/// Shows the names of variables, not what may be secret.
pub(crate) struct Names<'a>(pub(crate) &'a BTreeMap<String, String>);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_set().entries(self.0.keys()).finish()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

impl Protocol {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A port of the container, published or only declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    pub container: u16,
    pub protocol: Protocol,
    /// `None`: declared, but not published.
    pub publish: Option<Publish>,
}

/// Where on the machine a port is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publish {
    /// `127.0.0.1`; empty means every address, as Docker's own default.
    pub address: String,
    /// 0: any free port, seen afterwards in the container's view.
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// A folder or file of the machine; it must be there.
    Bind { host: String, path: String, read_only: bool },
    /// A named volume; made if it is not there.
    Volume { name: String, path: String, read_only: bool },
    /// Memory.
    Tmpfs { path: String, size_bytes: Option<u64> },
}

/// A network the container joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkJoin {
    pub network: String,
    /// Names by which others in that network find it, beside its own.
    pub aliases: Vec<String>,
}

/// 0 means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of memory, and of memory and swap together.
    pub memory_bytes: u64,
    /// 1000 is one whole processor.
    pub cpu_millis: u64,
    pub pids: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    #[default]
    No,
    Always,
    UnlessStopped,
    /// 0: without end.
    OnFailure {
        retries_max: u32,
    },
}

/// As in a Dockerfile's HEALTHCHECK; 0 leaves a time to the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheck {
    /// `["CMD", "/bin/check"]`, `["CMD-SHELL", "curl -f …"]` or `["NONE"]`, which switches the image's own off.
    pub test: Vec<String>,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub start_period_ms: u64,
    pub retries: u32,
}

impl ContainerSpec {
    /// The body of `POST /containers/create`. Networks after the first are joined by calls of their own: engines before API 1.44 take only one here.
    pub fn create_body(&self) -> Value {
        let mut body = Map::new();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(key.to_owned(), value);
            }
        };
        let env: Vec<String> = self.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        set("Image", Some(json!(self.image)));
        set("Cmd", self.command.as_ref().map(|words| json!(words)));
        set("Entrypoint", self.entrypoint.as_ref().map(|words| json!(words)));
        set("Env", (!env.is_empty()).then(|| json!(env)));
        set("Labels", (!self.labels.is_empty()).then(|| json!(self.labels)));
        set("User", self.user.as_ref().map(|user| json!(user)));
        set("WorkingDir", self.working_folder.as_ref().map(|folder| json!(folder)));
        set("Hostname", self.hostname.as_ref().map(|name| json!(name)));
        set("StopSignal", self.stop_signal.as_ref().map(|signal| json!(signal)));
        set("StopTimeout", self.stop_grace_s.map(|seconds| json!(seconds)));
        set("Healthcheck", self.health.as_ref().map(health));
        let exposed: Map<String, Value> = self.ports.iter().map(|port| (key(port), json!({}))).collect();
        set("ExposedPorts", (!exposed.is_empty()).then(|| json!(exposed)));
        set("HostConfig", Some(self.host_config()));
        if let Some(first) = self.networks.first().filter(|first| !special(&first.network)) {
            set("NetworkingConfig", Some(json!({"EndpointsConfig": {first.network.clone(): endpoint(first)}})));
        }
        Value::Object(body)
    }

    fn host_config(&self) -> Value {
        let mut host = Map::new();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                host.insert(key.to_owned(), value);
            }
        };
        let number = |value: u64| (value > 0).then(|| json!(value));
        let mut bindings: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for port in &self.ports {
            if let Some(publish) = &port.publish {
                let to = if publish.port == 0 { String::new() } else { publish.port.to_string() };
                bindings.entry(key(port)).or_default().push(json!({"HostIp": publish.address, "HostPort": to}));
            }
        }
        set("PortBindings", (!bindings.is_empty()).then(|| json!(bindings)));
        let mounts: Vec<Value> = self.mounts.iter().map(mount).collect();
        set("Mounts", (!mounts.is_empty()).then(|| json!(mounts)));
        set("NetworkMode", self.networks.first().map(|first| json!(first.network)));
        set("Memory", number(self.limits.memory_bytes));
        set("MemorySwap", number(self.limits.memory_bytes));
        set("NanoCpus", number(self.limits.cpu_millis.saturating_mul(NS_PER_MS)));
        set("PidsLimit", number(self.limits.pids));
        set("RestartPolicy", restart(self.restart));
        set("ReadonlyRootfs", self.read_only_root.then_some(Value::Bool(true)));
        set("Init", self.init.then_some(Value::Bool(true)));
        let hosts: Vec<String> = self.extra_hosts.iter().map(|(name, address)| format!("{name}:{address}")).collect();
        set("ExtraHosts", (!hosts.is_empty()).then(|| json!(hosts)));
        Value::Object(host)
    }
}

/// Networks that are modes of the container, not objects one can join.
pub(crate) fn special(network: &str) -> bool {
    matches!(network, "host" | "none" | "default" | "bridge") || network.starts_with("container:")
}

pub(crate) fn endpoint(join: &NetworkJoin) -> Value {
    if join.aliases.is_empty() { json!({}) } else { json!({"Aliases": join.aliases}) }
}

fn key(port: &Port) -> String {
    format!("{}/{}", port.container, port.protocol.word())
}

fn mount(mount: &Mount) -> Value {
    match mount {
        Mount::Bind { host, path, read_only } => {
            json!({"Type": "bind", "Source": host, "Target": path, "ReadOnly": read_only})
        }
        Mount::Volume { name, path, read_only } => {
            json!({"Type": "volume", "Source": name, "Target": path, "ReadOnly": read_only})
        }
        Mount::Tmpfs { path, size_bytes: None } => json!({"Type": "tmpfs", "Target": path}),
        Mount::Tmpfs { path, size_bytes: Some(size) } => {
            json!({"Type": "tmpfs", "Target": path, "TmpfsOptions": {"SizeBytes": size}})
        }
    }
}

fn restart(restart: Restart) -> Option<Value> {
    match restart {
        Restart::No => None,
        Restart::Always => Some(json!({"Name": "always"})),
        Restart::UnlessStopped => Some(json!({"Name": "unless-stopped"})),
        Restart::OnFailure { retries_max } => Some(json!({"Name": "on-failure", "MaximumRetryCount": retries_max})),
    }
}

fn health(check: &HealthCheck) -> Value {
    let mut body = json!({"Test": check.test});
    let times =
        [("Interval", check.interval_ms), ("Timeout", check.timeout_ms), ("StartPeriod", check.start_period_ms)];
    for (key, ms) in times.into_iter().filter(|(_, ms)| *ms > 0) {
        body[key] = json!(ms.saturating_mul(NS_PER_MS));
    }
    if check.retries > 0 {
        body["Retries"] = json!(check.retries);
    }
    body
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(spec: ContainerSpec, expect: Value) {
        assert_eq!(spec.create_body(), expect);
    }

    #[test]
    fn nothing_is_set_that_was_not_asked_for() {
        let spec = ContainerSpec { name: "web".into(), image: "shop:1".into(), ..Default::default() };
        check(spec, json!({"Image": "shop:1", "HostConfig": {}}));
    }

    #[test]
    fn everything_is_written_as_docker_reads_it() {
        let pairs =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let publish = |port| Some(Publish { address: "127.0.0.1".into(), port });
        check(
            ContainerSpec {
                name: "web".into(),
                image: "shop:1".into(),
                command: Some(vec!["serve".into()]),
                entrypoint: Some(vec![]),
                env: pairs(&[("A", "1"), ("B", "x=y")]),
                labels: pairs(&[("team", "shop")]),
                ports: vec![
                    Port { container: 80, publish: publish(8080), ..Default::default() },
                    Port { container: 80, publish: publish(0), ..Default::default() },
                    Port { container: 53, protocol: Protocol::Udp, publish: None },
                ],
                mounts: vec![
                    Mount::Bind { host: "/etc/x".into(), path: "/x".into(), read_only: true },
                    Mount::Volume { name: "data".into(), path: "/data".into(), read_only: false },
                    Mount::Tmpfs { path: "/tmp".into(), size_bytes: Some(1024) },
                ],
                networks: vec![
                    NetworkJoin { network: "shop".into(), aliases: vec!["web".into()] },
                    NetworkJoin { network: "later".into(), aliases: vec![] },
                ],
                limits: Limits { memory_bytes: 64 << 20, cpu_millis: 500, pids: 100 },
                restart: Restart::OnFailure { retries_max: 3 },
                health: Some(HealthCheck {
                    test: vec!["CMD".into(), "/ok".into()],
                    interval_ms: 500,
                    retries: 2,
                    ..Default::default()
                }),
                user: Some("1000:1000".into()),
                working_folder: Some("/app".into()),
                hostname: None,
                read_only_root: true,
                extra_hosts: pairs(&[("engine", "host-gateway")]),
                stop_signal: Some("SIGINT".into()),
                stop_grace_s: Some(7),
                init: true,
            },
            json!({
                "Image": "shop:1", "Cmd": ["serve"], "Entrypoint": [], "Env": ["A=1", "B=x=y"], "Labels": {"team": "shop"},
                "User": "1000:1000", "WorkingDir": "/app", "StopSignal": "SIGINT", "StopTimeout": 7,
                "Healthcheck": {"Test": ["CMD", "/ok"], "Interval": 500_000_000, "Retries": 2},
                "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
                "HostConfig": {
                    "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": ""}]},
                    "Mounts": [
                        {"Type": "bind", "Source": "/etc/x", "Target": "/x", "ReadOnly": true},
                        {"Type": "volume", "Source": "data", "Target": "/data", "ReadOnly": false},
                        {"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 1024}},
                    ],
                    "NetworkMode": "shop", "Memory": 67_108_864, "MemorySwap": 67_108_864, "NanoCpus": 500_000_000, "PidsLimit": 100,
                    "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}, "ReadonlyRootfs": true, "Init": true,
                    "ExtraHosts": ["engine:host-gateway"],
                },
                "NetworkingConfig": {"EndpointsConfig": {"shop": {"Aliases": ["web"]}}},
            }),
        );
    }

    #[test]
    fn a_mode_is_no_network() {
        let networks = vec![NetworkJoin { network: "host".into(), aliases: vec![] }];
        let spec = ContainerSpec { image: "a".into(), networks, ..Default::default() };
        check(spec, json!({"Image": "a", "HostConfig": {"NetworkMode": "host"}}));
    }

    #[test]
    fn values_of_variables_are_not_shown() {
        let spec = ContainerSpec { env: [("TOKEN".to_owned(), "hunter2".to_owned())].into(), ..Default::default() };
        let shown = format!("{spec:?}");
        assert!(shown.contains("TOKEN") && !shown.contains("hunter2"), "{shown}");
    }
}
