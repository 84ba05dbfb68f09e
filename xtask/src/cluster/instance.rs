//! One cluster: its name, its folder, its addresses, what it was asked to be. All of it lies in a file of the folder, so that any later call finds it.
//! It does not know how a part is started.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{sh, tools};

/// The version that is built unless another is asked for.
pub(super) const VERSION: &str = "v1.36.3";
/// The one real node.
pub(super) const NODE: &str = "node-1";
/// Addresses are 10.216.0.0/16 to 10.231.0.0/16, one for each cluster with a real node. (The Docker engines of the journeys have 10.200 to 10.215.)
pub(super) const NETWORK_FIRST: u8 = 216;
pub(super) const NETWORKS: u8 = 16;

/// What `up` was asked for.
#[derive(Default)]
pub(crate) struct Wishes {
    pub(crate) minor: Option<String>,
    pub(crate) emulate: Option<String>,
    pub(crate) control_plane_only: bool,
    pub(crate) kwok_nodes: Option<usize>,
}

/// A cluster's description.
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// It is this older minor, such as `1.30`.
    pub(super) minor: Option<String>,
    /// The newest, behaving as this minor before it.
    pub(super) emulate: Option<String>,
    /// The second number of its addresses; none without a real node: then everything listens on loopback.
    pub(super) network: Option<u8>,
    pub(super) kwok: bool,
    pub(super) ports: Ports,
}

/// Where the parts listen. With a real node they are the usual ones, in a network namespace of the cluster's own; else free ones.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) etcd: u16,
    pub(super) etcd_peer: u16,
    pub(super) api: u16,
    pub(super) controller_manager: u16,
    pub(super) scheduler: u16,
    pub(super) kwok: u16,
}

impl Instance {
    /// A new one; nothing is written yet.
    pub(super) fn plan(name: &str, wishes: &Wishes, network: Option<u8>) -> sh::Outcome<Self> {
        let ports = if network.is_some() { Ports::usual() } else { Ports::free()? };
        let kwok = wishes.kwok_nodes.is_some();
        let (minor, emulate) = (wishes.minor.clone(), wishes.emulate.clone());
        Ok(Self { name: name.into(), folder: folder(name)?, minor, emulate, network, kwok, ports })
    }

    /// One that `up` has made.
    pub(super) fn open(name: &str) -> sh::Outcome<Self> {
        Self::find(name)?
            .ok_or_else(|| format!("no cluster `{name}`: start it with `cargo xtask cluster up --name {name}`"))
    }

    /// The same, if there is one.
    pub(super) fn find(name: &str) -> sh::Outcome<Option<Self>> {
        let folder = folder(name)?;
        let file = folder.join("cluster.json");
        if !file.is_file() {
            return Ok(None);
        }
        let value: Value =
            serde_json::from_str(&sh::read(&file)?).map_err(|error| format!("{}: {error}", file.display()))?;
        let port = |name: &str| value["ports"][name].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
        Ok(Some(Self {
            name: name.into(),
            folder,
            minor: value["minor"].as_str().map(str::to_owned),
            emulate: value["emulate"].as_str().map(str::to_owned),
            network: value["network"].as_u64().and_then(|network| u8::try_from(network).ok()),
            kwok: value["kwok"].as_bool().unwrap_or(false),
            ports: Ports {
                etcd: port("etcd"),
                etcd_peer: port("etcd_peer"),
                api: port("api"),
                controller_manager: port("controller_manager"),
                scheduler: port("scheduler"),
                kwok: port("kwok"),
            },
        }))
    }

    /// Writes the file that `find` reads.
    pub(super) fn save(&self) -> sh::Outcome {
        let ports = json!({
            "etcd": self.ports.etcd, "etcd_peer": self.ports.etcd_peer, "api": self.ports.api,
            "controller_manager": self.ports.controller_manager, "scheduler": self.ports.scheduler, "kwok": self.ports.kwok,
        });
        let value = json!({
            "minor": self.minor, "emulate": self.emulate, "network": self.network, "kwok": self.kwok, "ports": ports,
        });
        sh::write(&self.folder.join("cluster.json"), &format!("{value:#}\n"))
    }

    /// The names of all that have a folder.
    pub(super) fn all() -> sh::Outcome<Vec<String>> {
        let Ok(entries) = std::fs::read_dir(root()?) else { return Ok(Vec::new()) };
        let folders = entries.filter_map(Result::ok).filter(|entry| entry.path().join("cluster.json").is_file());
        let mut names: Vec<String> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Whether it runs pods for real.
    pub(super) fn has_node(&self) -> bool {
        self.network.is_some()
    }

    /// Its parts, in the order they are started.
    pub(super) fn parts(&self) -> Vec<&'static str> {
        let mut parts = vec!["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
        if self.has_node() {
            parts.splice(0..0, ["namespace"]);
            parts.extend(["coredns", "containerd", "kubelet", "kube-proxy"]);
        }
        if self.kwok {
            parts.push("kwok");
        }
        if let Some(minor) = &self.minor {
            let built = tools::programs(minor);
            parts.retain(|part| matches!(*part, "etcd" | "kwok") || built.contains(part));
        }
        parts
    }

    /// The address of the API server and of the real node.
    pub(super) fn address(&self) -> String {
        self.network.map_or_else(|| "127.0.0.1".into(), |network| format!("10.{network}.0.2"))
    }

    /// This machine as pods see it.
    pub(super) fn gateway(&self) -> String {
        self.network.map_or_else(|| "127.0.0.1".into(), |network| format!("10.{network}.0.1"))
    }

    /// What clients connect to.
    pub(super) fn server(&self) -> String {
        format!("https://{}:{}", self.address(), self.ports.api)
    }

    /// The range of service addresses.
    pub(super) fn services(&self) -> String {
        self.network.map_or_else(|| "10.96.0.0/16".into(), |network| format!("10.{network}.64.0/18"))
    }

    /// The address of the service `kubernetes`, the first of the range.
    pub(super) fn first_service(&self) -> String {
        self.network.map_or_else(|| "10.96.0.1".into(), |network| format!("10.{network}.64.1"))
    }

    /// The range of pod addresses.
    pub(super) fn pods(&self) -> String {
        self.network.map_or_else(|| "10.244.0.0/16".into(), |network| format!("10.{network}.128.0/17"))
    }

    /// The link on this machine's side and the folder of its cgroups: `apmk0` and on.
    pub(super) fn link(&self) -> Option<String> {
        self.network.map(link)
    }

    /// A path below its folder, as text.
    pub(super) fn path(&self, below: &str) -> String {
        self.folder.join(below).display().to_string()
    }
}

impl Ports {
    fn usual() -> Self {
        Self { etcd: 2379, etcd_peer: 2380, api: 6443, controller_manager: 10257, scheduler: 10259, kwok: 10247 }
    }

    fn free() -> sh::Outcome<Self> {
        // All are held until each is known, so that no two are the same.
        let held: Vec<TcpListener> = (0..6)
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<Result<_, _>>()
            .map_err(|error| format!("no free port on 127.0.0.1: {error}"))?;
        let ports: Vec<u16> =
            held.iter().filter_map(|held| held.local_addr().ok()).map(|address| address.port()).collect();
        match ports[..] {
            [etcd, etcd_peer, api, controller_manager, scheduler, kwok] => {
                Ok(Self { etcd, etcd_peer, api, controller_manager, scheduler, kwok })
            }
            _ => Err("a bound port without its number".into()),
        }
    }
}

/// The link of a network, whose making takes it.
pub(super) fn link(network: u8) -> String {
    format!("apmk{}", network - NETWORK_FIRST)
}

/// Where the folder of a cluster of this name is.
pub(super) fn folder(name: &str) -> sh::Outcome<PathBuf> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if name.is_empty() || name.len() > 32 || name.starts_with('-') || !name.chars().all(plain) {
        return Err(format!("`{name}` is no name for a cluster: at most 32 small letters, digits and dashes"));
    }
    Ok(root()?.join(name))
}

/// `$XDG_STATE_HOME/apm-cluster`, else `~/.local/state/apm-cluster`.
fn root() -> sh::Outcome<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    let root = state.ok_or("no place for a cluster: set XDG_STATE_HOME or HOME")?.join("apm-cluster");
    // Sockets lie in it: their paths have 107 bytes at most.
    if root.as_os_str().len() > 60 || !root.is_absolute() {
        return Err(format!("{} is too long for sockets or not absolute: set XDG_STATE_HOME", root.display()));
    }
    Ok(root)
}

/// Removes a folder and all below; one that is not there is fine.
pub(super) fn remove(folder: &Path) -> sh::Outcome {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}
