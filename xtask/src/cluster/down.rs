//! Taking a cluster away: its pods first, then its processes in order, then what is left of it on the machine. It works on one half dead too, and does
//! not know what ran in it.

use std::path::PathBuf;

use super::instance::{self, Instance, NODE};
use super::up::{alone, kubectl};
use super::{namespace, processes};
use crate::sh;

/// Takes it away and says so.
pub(super) fn down(name: &str) -> sh::Outcome {
    let word = if gone(name)? { "is gone" } else { "was not there" };
    println!("cluster {name} {word}");
    Ok(())
}

/// Takes it away, if it is there.
pub(super) fn gone(name: &str) -> sh::Outcome<bool> {
    let lock = alone(name)?;
    let found = Instance::find(name)?;
    found.as_ref().map_or(Ok(()), take_away)?;
    let _ = std::fs::remove_file(instance::folder(name)?.with_extension("lock"));
    drop(lock);
    Ok(found.is_some())
}

/// The same without asking for the lock; the folder goes last, so that a second try finds what the first could not remove.
pub(super) fn take_away(instance: &Instance) -> sh::Outcome {
    // Nobody may start pods again.
    for part in ["kube-controller-manager", "kube-scheduler", "kwok"] {
        processes::stop(instance, part, 5)?;
    }
    let answers = |part: &str| processes::alive(instance, part).is_some();
    if answers("kubelet") && answers("kube-apiserver") && answers("etcd") {
        let node = format!("spec.nodeName={NODE}");
        let words = ["delete", "pods", "--all-namespaces", "--field-selector", &node, "--grace-period", "1"];
        // A pod that will not go is killed with its cgroup below.
        let _ = sh::output(kubectl(instance)?.args(words).args(["--timeout", "15s", "--request-timeout", "20s"]));
    }
    processes::stop(instance, "kubelet", 10)?;
    for part in ["kube-proxy", "coredns"] {
        processes::stop(instance, part, 5)?;
    }
    if let Some(link) = instance.link() {
        processes::kill_all("processes of pods", || namespace::in_cgroups(&link))?;
    }
    for part in ["containerd", "kube-apiserver", "etcd"] {
        // An API server waits for its clients' long requests; whatever it knows is in etcd, and goes too.
        processes::stop(instance, part, 3)?;
    }
    let folder: PathBuf = instance.folder.clone();
    processes::kill_all("processes of the cluster", || processes::marked(&folder))?;
    if let Some(link) = instance.link() {
        namespace::remove(&link)?;
    }
    instance::remove(&instance.folder)
}
