//! The rules, object by object. Each file has those of one subject; what is found goes to [`Found`], which knows what is wanted.

mod access;
mod api;
mod budget;
mod container;
mod host;
mod meta;
mod network;
mod pod;
mod probe;
mod service;
mod traffic;
mod variables;

pub(super) use api::is_removed;

use super::found::Found;
use super::view::{View, Workload};
use crate::object::Object;
use crate::validate::At;

/// A pod as rules look at it.
pub(super) struct Pod<'a> {
    pub(super) workload: &'a Workload<'a>,
    pub(super) kind: &'a str,
    pub(super) metadata: &'a At<'a>,
    pub(super) spec: &'a At<'a>,
}

/// Looks at all objects.
pub(super) fn all(view: &View<'_>, objects: &[Object], found: &mut Found<'_>) {
    for (number, object) in objects.iter().enumerate() {
        found.about(number);
        let root = At::root(&object.node);
        api::object(object, &root, view.minor, found);
        meta::object(object, &root, found);
        match (object.identity.group(), object.identity.kind.as_str()) {
            ("", "Service") => service::service(object, &root, view, found),
            ("networking.k8s.io" | "extensions", "Ingress") => traffic::ingress(object, &root, view, found),
            ("networking.k8s.io", "NetworkPolicy") => network::policy(object, &root, view, found),
            ("monitoring.coreos.com", "ServiceMonitor") => network::monitor(object, &root, view, found),
            ("policy", "PodDisruptionBudget") => budget::budget(object, &root, view, found),
            ("autoscaling", "HorizontalPodAutoscaler") => budget::autoscaler(object, &root, view, found),
            ("rbac.authorization.k8s.io", kind) => access::access(kind, &root, found),
            ("security.openshift.io", "SecurityContextConstraints") => access::constraints(&root, found),
            ("", "ConfigMap") => variables::config_map(&root, found),
            _ => {}
        }
        if let Some(workload) = view.workload(number) {
            pod::workload(workload, &root, view, found);
            let path = object.pod_path().unwrap_or_default();
            down(&root, path, &mut |at| {
                let (metadata, spec) = (at.get("metadata"), at.get("spec"));
                let kind = object.identity.kind.as_str();
                one_pod(&Pod { workload, kind, metadata: &metadata, spec: &spec }, view, found);
            });
        }
    }
    budget::overlaps(view, found);
    network::isolation(view, found);
    budget::missing(view, found);
}

/// What stands at a way of keys.
fn down(at: &At<'_>, path: &[&str], look: &mut dyn FnMut(&At<'_>)) {
    match path {
        [] => look(at),
        [first, rest @ ..] => down(&at.get(first), rest, look),
    }
}

fn one_pod(pod: &Pod<'_>, view: &View<'_>, found: &mut Found<'_>) {
    if !pod.spec.is() {
        return;
    }
    pod::pod(pod, view, found);
    host::pod(pod, found);
    for (list, starts) in [("containers", true), ("initContainers", false)] {
        let containers = pod.spec.get(list);
        for one in containers.items() {
            container::container(&one, pod, found);
            host::container(&one, pod, found);
            variables::container(&one, pod, view, found);
            // What ends before the others start is asked for nothing; a sidecar is.
            if starts || one.get("restartPolicy").str() == "Always" {
                probe::container(&one, pod, found);
            }
        }
    }
}

/// As [`At::str`], with what it is called in a message: the container's name, or its place.
fn called(at: &At<'_>) -> String {
    match at.get("name").str() {
        "" => at.path(),
        name => format!("`{name}`"),
    }
}
