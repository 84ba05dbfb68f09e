//! The real node: containerd, kubelet and kube-proxy, and the files they read. It does not know what pods they run.

use std::process::Command;

use serde_json::json;

use super::control_plane::{ensure, system};
use super::image::PAUSE;
use super::instance::{Instance, NODE};
use super::up::{kubectl, program, within};
use super::{kubeconfig, processes};
use crate::sh;

/// Starts containerd, which needs no API server.
pub(super) fn start_runtime(instance: &Instance) -> sh::Outcome {
    write_runtime(instance)?;
    ensure(instance, "containerd", containerd)
}

/// Starts what answers pods' questions for names, kubelet and kube-proxy, and waits until the node is ready.
pub(super) fn start(instance: &Instance) -> sh::Outcome {
    write_names(instance)?;
    ensure(instance, "coredns", coredns)?;
    write_kubelet(instance)?;
    ensure(instance, "kubelet", kubelet)?;
    ensure(instance, "kube-proxy", kube_proxy)?;
    let mut ended = None;
    let ready = processes::wait(60, || {
        ended = ["coredns", "containerd", "kubelet", "kube-proxy"]
            .into_iter()
            .find(|part| processes::alive(instance, part).is_none());
        let path = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
        let ask = || sh::output(kubectl(instance)?.args(["get", "node", NODE, "-o", path]));
        // What the API server knows of it may be from before a kill.
        let health = format!("/api/v1/nodes/{NODE}/proxy/healthz");
        let answers = || sh::output(kubectl(instance)?.args(["get", "--raw", &health]));
        ended.is_some() || ask().is_ok_and(|answer| answer == "True") && answers().is_ok()
    });
    match ended {
        Some(part) => Err(format!("{part} ended:\n{}", processes::last_lines(instance, part))),
        None if ready => Ok(()),
        None => Err(format!("the node is not ready:\n{}", processes::last_lines(instance, "kubelet"))),
    }
}

/// Where containerd answers.
pub(super) fn socket(instance: &Instance) -> String {
    instance.path("containerd.sock")
}

fn containerd(instance: &Instance) -> sh::Outcome<Command> {
    let mut command = within(instance, &system("containerd")?)?;
    command.args(["--config", &instance.path("containerd.toml")]);
    Ok(command)
}

/// A process of the node, not a pod: names can be asked for before the first pod runs.
fn coredns(instance: &Instance) -> sh::Outcome<Command> {
    let mut command = within(instance, &program("coredns")?)?;
    command.args(["-conf", &instance.path("Corefile")]);
    Ok(command)
}

fn kubelet(instance: &Instance) -> sh::Outcome<Command> {
    let mut command = within(instance, &program("kubelet")?)?;
    command.arg(format!("--config={}", instance.path("kubelet.yaml")));
    command.arg(format!("--kubeconfig={}", kubeconfig::path(instance, "kubelet").display()));
    command.arg("--root-dir=/var/lib/kubelet").arg(format!("--cert-dir={}", instance.path("kubelet-pki")));
    command.arg(format!("--hostname-override={NODE}")).arg(format!("--node-ip={}", instance.address()));
    Ok(command)
}

fn kube_proxy(instance: &Instance) -> sh::Outcome<Command> {
    let mut command = within(instance, &program("kube-proxy")?)?;
    command.arg(format!("--kubeconfig={}", kubeconfig::path(instance, "kube-proxy").display()));
    command.arg("--proxy-mode=nftables").arg(format!("--cluster-cidr={}", instance.pods()));
    command.arg(format!("--hostname-override={NODE}"));
    command.args(["--metrics-bind-address=127.0.0.1:10249", "--healthz-bind-address=127.0.0.1:10256"]);
    // Limits of the whole machine, which are not ours to set.
    command.args(["--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0"]);
    command.arg("--conntrack-tcp-timeout-close-wait=0");
    Ok(command)
}

fn write_runtime(instance: &Instance) -> sh::Outcome {
    let (folder, socket) = (instance.folder.display(), socket(instance));
    // Each pod has a link and a route of its own instead of a bridge: packets between two pods of a node then pass the rules of services.
    let network = json!({ "cniVersion": "0.4.0", "name": "apm", "plugins": [
        { "type": "ptp", "ipMasq": false, "ipam": {
            "type": "host-local", "dataDir": instance.path("addresses"),
            "ranges": [[{ "subnet": instance.pods() }]], "routes": [{ "dst": "0.0.0.0/0" }],
        } },
        { "type": "portmap", "capabilities": { "portMappings": true } },
    ] });
    sh::write(&instance.folder.join("cni/10-apm.conflist"), &format!("{network:#}\n"))?;
    // A process may not lower its out-of-memory score without a right that containers of CI lack.
    let config = format!(
        r#"version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#
    );
    sh::write(&instance.folder.join("containerd.toml"), &config)
}

/// Only the cluster's own names: there is no other network to ask.
fn write_names(instance: &Instance) -> sh::Outcome {
    let (address, admin) = (instance.address(), kubeconfig::path(instance, "admin").display().to_string());
    let config = format!(
        "cluster.local in-addr.arpa {{\n  bind {address}\n  errors\n  loadbalance\n  ready 127.0.0.1:8181\n  kubernetes cluster.local in-addr.arpa {{\n    kubeconfig {admin}\n    ttl 5\n  }}\n}}\n"
    );
    sh::write(&instance.folder.join("Corefile"), &config)
}

fn write_kubelet(instance: &Instance) -> sh::Outcome {
    sh::write(&instance.folder.join("resolv.conf"), "")?;
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        // The address of the cluster's own link: this machine reaches it, and nobody else.
        "address": instance.address(), "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": { "enabled": false }, "webhook": { "enabled": true },
            "x509": { "clientCAFile": instance.path("pki/ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": instance.path("pki/server.crt"), "tlsPrivateKeyFile": instance.path("pki/server.key"),
        "containerRuntimeEndpoint": format!("unix://{}", socket(instance)),
        "failCgroupV1": false, "failSwapOn": false, "cgroupDriver": "cgroupfs", "cgroupsPerQOS": true,
        "cgroupRoot": format!("/{}", instance.link().unwrap_or_default()),
        "enforceNodeAllocatable": [], "localStorageCapacityIsolation": true,
        "evictionHard": { "memory.available": "50Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%", "imagefs.available": "1%" },
        "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
        "clusterDNS": [instance.address()], "clusterDomain": "cluster.local",
        "resolvConf": instance.path("resolv.conf"), "volumePluginDir": instance.path("volume-plugins"),
        "serializeImagePulls": false, "containerLogMaxSize": "5Mi",
    });
    sh::write(&instance.folder.join("kubelet.yaml"), &format!("{config:#}\n"))
}
