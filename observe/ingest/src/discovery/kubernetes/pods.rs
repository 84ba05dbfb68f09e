//! Role `pod`, and what a pod adds to the targets of other roles.

use super::labels::{Set, address};
use super::object::{Body, Container, Kind, Object, Pod, Port, key};
use super::view::Lookup;
use crate::discovery::Group;

pub(super) fn group(source: String, object: &Object, look: &mut Lookup<'_>) -> Option<Group> {
    let Body::Pod(pod) = &object.body else { return None };
    let mut group = Group::empty(source);
    // One that starts, or was evicted.
    if pod.ip.is_empty() {
        return Some(group);
    }
    let node = look.attach.node.then(|| look.get(Kind::Node, &pod.node));
    // A node that the selectors leave out takes its pods with it.
    if node == Some(None) {
        return Some(group);
    }
    let mut labels = labels(object, pod, look);
    labels.meta("namespace", &object.meta.namespace);
    if let Some(node) = node.flatten() {
        labels.object("node", &node.meta);
    }
    look.namespace(&object.meta.namespace, &mut labels);
    for container in &pod.containers {
        if container.ports.is_empty() {
            // The port is up to relabelling.
            group.targets.push(target(&pod.ip, container).build());
        }
        for port in &container.ports {
            let mut target = target(&address(&pod.ip, port.port.unwrap_or(0)), container);
            port_labels(&mut target, port, port.protocol.as_deref());
            group.targets.push(target.build());
        }
    }
    group.labels = labels.build();
    Some(group)
}

fn target(address: &str, container: &Container) -> Set {
    let mut target = Set::at(address);
    container_labels(&mut target, container);
    target.meta("pod_container_id", &container.id);
    target
}

fn container_labels(target: &mut Set, container: &Container) {
    target.meta("pod_container_name", &container.name);
    target.meta("pod_container_image", &container.image);
    target.meta("pod_container_init", if container.init { "true" } else { "false" });
}

fn port_labels(target: &mut Set, port: &Port, protocol: Option<&str>) {
    target.meta("pod_container_port_name", port.name.as_deref().unwrap_or_default());
    target.meta("pod_container_port_number", &port.port.unwrap_or(0).to_string());
    target.meta("pod_container_port_protocol", protocol.unwrap_or_default());
}

/// What every target of this pod says of it.
pub(super) fn labels(object: &Object, pod: &Pod, look: &mut Lookup<'_>) -> Set {
    let mut labels = Set::default();
    labels.meta("pod_ip", &pod.ip);
    labels.meta("pod_ready", &pod.ready.as_deref().unwrap_or("unknown").to_lowercase());
    labels.meta("pod_phase", &pod.phase);
    labels.meta("pod_node_name", &pod.node);
    labels.meta("pod_host_ip", &pod.host_ip);
    labels.meta("pod_uid", &object.meta.uid);
    labels.object("pod", &object.meta);
    let Some((kind, name)) = &object.meta.controller else { return labels };
    labels.meta("pod_controller_kind", kind);
    labels.meta("pod_controller_name", name);
    let owner = key(&object.meta.namespace, name);
    match &**kind {
        "ReplicaSet" if look.attach.deployment => {
            labels.maybe("pod_deployment_name", above(look, Kind::ReplicaSet, &owner, "Deployment"));
        }
        "Job" => {
            if look.attach.job {
                labels.meta("pod_job_name", name);
            }
            if look.attach.cronjob {
                labels.maybe("pod_cronjob_name", above(look, Kind::Job, &owner, "CronJob"));
            }
        }
        _ => {}
    }
    labels
}

/// Who controls the owner, if it is of the wanted kind.
fn above<'v>(look: &mut Lookup<'v>, kind: Kind, owner: &str, wanted: &str) -> Option<&'v str> {
    let (kind, name) = look.get(kind, owner)?.meta.controller.as_ref()?;
    (&**kind == wanted).then_some(&**name)
}

/// To the target of an endpoint: the container that has this port. `protocol` is the endpoint's where the role takes it from there.
pub(super) fn matching(target: &mut Set, pod: &Pod, number: i64, protocol: Option<&str>) {
    for container in &pod.containers {
        if let Some(port) = container.ports.iter().find(|port| port.port == Some(number)) {
            container_labels(target, container);
            port_labels(target, port, protocol.or(port.protocol.as_deref()));
        }
    }
}

/// Targets for the ports of a pod's containers that no endpoint has.
pub(super) fn others(pod: &Pod, common: &Set, covered: &[i64], targets: &mut Vec<base_signal::Labels>) {
    if pod.ip.is_empty() {
        return;
    }
    for container in &pod.containers {
        for port in container.ports.iter().filter(|port| !port.port.is_some_and(|number| covered.contains(&number))) {
            let mut target = Set::at(&address(&pod.ip, port.port.unwrap_or(0)));
            container_labels(&mut target, container);
            port_labels(&mut target, port, port.protocol.as_deref());
            target.extend(common);
            targets.push(target.build());
        }
    }
}
