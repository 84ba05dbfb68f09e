//! What reaches the node: its namespaces, folders, ports and kernel settings.

use super::super::found::{Found, Mend};
use super::{Pod, called};
use crate::validate::At;

/// Safe in every namespace of their own: <https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/#safe-and-unsafe-sysctls>
const SAFE_SYSCTLS: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

const SOCKETS: &[&str] = &["/docker.sock", "/containerd.sock", "/crio.sock", "/podman.sock", "/cri-dockerd.sock"];

/// Folders that run the node; what is in them only where it is named too.
const SENSITIVE: &[&str] = &[
    "/",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sys",
    "/usr",
    "/var",
    "/var/lib",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/lib/etcd",
    "/var/run",
    "/etc/kubernetes",
    "/var/lib/containerd",
];

pub(super) fn pod(pod: &Pod<'_>, found: &mut Found<'_>) {
    let spec = pod.spec;
    for (id, key) in [("AK0601", "hostNetwork"), ("AK0602", "hostPID"), ("AK0603", "hostIPC")] {
        let at = spec.get(key);
        if at.bool() {
            found.add(id, &at, format!("`{key}: true`")).suggest(format!("take `{key}` out"), Mend::Remove(at.steps()));
        }
    }
    let context = spec.get("securityContext");
    let sysctls = context.get("sysctls");
    for one in sysctls.items() {
        let name = one.get("name");
        if !name.str().is_empty() && !SAFE_SYSCTLS.contains(&name.str().replace('/', ".").as_str()) {
            found.add("AK0507", &name, format!("`{}` is none of the safe ones", name.str()));
        }
    }
    let volumes = spec.get("volumes");
    for volume in volumes.items() {
        let host = volume.get("hostPath");
        let path = host.get("path");
        let clean = path.str().trim_end_matches('/');
        let clean = if clean.is_empty() && path.is() { "/" } else { clean };
        if SOCKETS.iter().any(|socket| clean.ends_with(socket)) {
            found.add("AK0604", &path, format!("`{clean}` as volume {}", called(&volume)));
        } else if SENSITIVE.contains(&clean) {
            found.add("AK0605", &path, format!("`{clean}` as volume {}", called(&volume)));
        }
    }
}

pub(super) fn container(at: &At<'_>, pod: &Pod<'_>, found: &mut Found<'_>) {
    let ports = at.get("ports");
    for port in ports.items() {
        let (number, host) = (port.get("containerPort"), port.get("hostPort"));
        let tcp = matches!(port.get("protocol").str(), "" | "TCP");
        if number.int() == Some(22) && tcp {
            found.add("AK0608", &number, format!("{} listens on 22", called(at)));
        }
        if let Some(low) = number.int().filter(|n| (1..1024).contains(n)) {
            found.add("AK0609", &number, format!("{} listens on {low}", called(at)));
        }
        // With the node's network it says what is so anyway.
        if host.int().is_some_and(|n| n != 0) && !pod.spec.get("hostNetwork").bool() {
            let what = format!("port {} of the node", host.shown());
            found.add("AK0607", &host, what).suggest("take `hostPort` out", Mend::Remove(host.steps()));
        }
    }
    let (mounts, volumes) = (at.get("volumeMounts"), pod.spec.get("volumes"));
    for mount in mounts.items() {
        let name = mount.get("name");
        let is_hosts = volumes
            .items()
            .any(|volume| volume.get("name").text() == name.text() && name.is() && volume.get("hostPath").is());
        if is_hosts && !mount.get("readOnly").bool() {
            let what = format!("{} may write to `{}`", called(at), name.str());
            found.add("AK0606", &name, what).suggest_set(&mount.get("readOnly"), true);
        }
    }
}
