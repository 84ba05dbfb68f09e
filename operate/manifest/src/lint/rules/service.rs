//! Services: whether they lead to pods, at ports that the pods have.

use super::super::found::Found;
use super::super::view::{View, Workload, namespace};
use crate::object::Object;
use crate::validate::At;

pub(super) fn service(object: &Object, root: &At<'_>, view: &View<'_>, found: &mut Found<'_>) {
    let spec = root.get("spec");
    let kind = spec.get("type");
    if matches!(kind.str(), "NodePort" | "LoadBalancer") {
        found.add("AK0903", &kind, format!("`{}`", kind.str()));
    }
    let selector = spec.get("selector");
    let Some(labels) = selector.node.filter(|labels| !labels.pairs().is_empty() && kind.str() != "ExternalName") else {
        return;
    };
    let pods = view.with_labels(namespace(object), labels);
    if pods.is_empty() {
        found.add("AK0901", &selector, "no pods among the files have all of these labels");
        return;
    }
    let ports = spec.get("ports");
    for port in ports.items() {
        let (target, own) = (port.get("targetPort"), port.get("port"));
        let asked = if target.is() { &target } else { &own };
        let udp = port.get("protocol");
        let protocol = if udp.str().is_empty() { "TCP" } else { udp.str() };
        if !pods.iter().all(|pod| has_port(pod, asked, protocol)) {
            let name = pods.first().map(|pod| pod.object.identity.to_string()).unwrap_or_default();
            found.add("AK0902", asked, format!("the containers of {name} have no {protocol} port {}", asked.shown()));
        }
    }
}

/// A pod that says no ports at all may listen on any number; a name must be said.
fn has_port(pod: &Workload<'_>, asked: &At<'_>, protocol: &str) -> bool {
    let (number, name) = (asked.int(), asked.text());
    let mut said = false;
    for container in pod.containers() {
        let container = At::root(container);
        let ports = container.get("ports");
        for port in ports.items() {
            said = true;
            let own = port.get("protocol");
            let own = if own.str().is_empty() { "TCP" } else { own.str() };
            let fits = match name {
                Some(name) => port.get("name").text() == Some(name),
                None => port.get("containerPort").int() == number,
            };
            if fits && own == protocol {
                return true;
            }
        }
    }
    !said && name.is_none()
}
