//! Pretended nodes, and whatever pods land on them: kwok answers for them, so a fleet costs an API server's memory and no more. It does not know what a
//! real node is.

use std::process::Command;

use serde_json::json;

use super::control_plane::ensure;
use super::instance::Instance;
use super::up::{kubectl, program, within};
use super::{kubeconfig, processes};
use crate::sh;

/// What marks a node as pretended: kwok looks for it, and a pod can tolerate it.
const MARK: &str = "kwok.x-k8s.io/node";
const STAGES: &str = include_str!("stages.yaml");

/// Starts kwok and makes nodes `kwok-0` and on, as many as are asked for; those that are there stay.
pub(super) fn start(instance: &Instance, nodes: usize) -> sh::Outcome {
    sh::write(&instance.folder.join("stages.yaml"), STAGES)?;
    ensure(instance, "kwok", kwok)?;
    if nodes == 0 {
        return Ok(());
    }
    let list: Vec<_> = (0..nodes).map(node).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": list });
    let file = instance.folder.join("kwok-nodes.json");
    sh::write(&file, &list.to_string())?;
    sh::output(kubectl(instance)?.args(["apply", "--server-side", "-f"]).arg(&file))?;
    let words = ["wait", "nodes", "-l", "type=kwok", "--for", "condition=Ready", "--timeout", "60s"];
    sh::output(kubectl(instance)?.args(words)).map(drop).map_err(|problem| {
        format!("pretended nodes are not ready: {problem}\n{}", processes::last_lines(instance, "kwok"))
    })
}

fn kwok(instance: &Instance) -> sh::Outcome<Command> {
    let mut command = within(instance, &program("kwok")?)?;
    command.arg("--kubeconfig").arg(kubeconfig::path(instance, "admin"));
    command.args(["--manage-all-nodes=false", &format!("--manage-nodes-with-annotation-selector={MARK}=fake")]);
    // Addresses from a range that nobody has (RFC 2544): they answer to no one.
    command.args(["--cidr=198.18.0.0/16", "--node-ip=198.19.0.1", "--node-lease-duration-seconds=40"]);
    command.arg(format!("--server-address=127.0.0.1:{}", instance.ports.kwok));
    command.args(["--config", &instance.path("stages.yaml")]).env("HOME", &instance.folder);
    Ok(command)
}

fn node(number: usize) -> serde_json::Value {
    let name = format!("kwok-{number}");
    let room = json!({ "cpu": "64", "memory": "256Gi", "pods": "500" });
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": { MARK: "fake", "node.alpha.kubernetes.io/ttl": "0" },
            "labels": { "type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/role": "agent" },
        },
        // A pod that wants to run for real does not land here.
        "spec": { "taints": [{ "key": MARK, "value": "fake", "effect": "NoSchedule" }] },
        "status": { "allocatable": room, "capacity": room },
    })
}
