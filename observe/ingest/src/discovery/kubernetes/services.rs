//! Roles `service` and `ingress`: names to be probed, each port or path a target. They know nothing of what stands behind.

use super::labels::{Set, address};
use super::object::{Body, Object};
use super::view::Lookup;
use crate::discovery::Group;

pub(super) fn group(source: String, object: &Object, look: &mut Lookup<'_>) -> Option<Group> {
    let Body::Service(service) = &object.body else { return None };
    let mut common = labels(object);
    look.namespace(&object.meta.namespace, &mut common);
    let host = format!("{}.{}.svc", object.meta.name, object.meta.namespace);
    let target = |port: &super::object::Port| {
        let number = port.port.unwrap_or(0);
        let mut target = Set::at(&address(&host, number));
        target.meta("service_port_name", port.name.as_deref().unwrap_or_default());
        target.meta("service_port_number", &number.to_string());
        target.meta("service_port_protocol", port.protocol.as_deref().unwrap_or_default());
        target.meta("service_type", &service.kind);
        match &*service.kind {
            "ExternalName" => target.meta("service_external_name", &service.external_name),
            _ => target.meta("service_cluster_ip", &service.cluster_ip),
        }
        if &*service.kind == "LoadBalancer" {
            target.meta("service_loadbalancer_ip", &service.balancer_ip);
        }
        target.build()
    };
    let targets = service.ports.iter().map(target).collect();
    Some(Group { source, targets, labels: common.build() })
}

/// What a service says of itself, here and to its endpoints.
pub(super) fn labels(object: &Object) -> Set {
    let mut labels = Set::default();
    labels.meta("namespace", &object.meta.namespace);
    labels.object("service", &object.meta);
    labels
}

pub(super) fn ingress(source: String, object: &Object, look: &mut Lookup<'_>) -> Option<Group> {
    let Body::Ingress(ingress) = &object.body else { return None };
    let mut labels = Set::default();
    labels.meta("namespace", &object.meta.namespace);
    labels.maybe("ingress_class_name", ingress.class.as_deref());
    labels.object("ingress", &object.meta);
    look.namespace(&object.meta.namespace, &mut labels);
    let mut targets = Vec::new();
    for (host, paths) in &ingress.rules {
        let secured = ingress.tls_hosts.iter().any(|pattern| covers(pattern, host));
        for path in paths {
            let mut target = Set::at(host);
            target.meta("ingress_scheme", if secured { "https" } else { "http" });
            target.meta("ingress_host", host);
            target.meta("ingress_path", if path.is_empty() { "/" } else { path });
            targets.push(target.build());
        }
    }
    Some(Group { source, targets, labels: labels.build() })
}

/// Whether a name of a certificate, its first part perhaps `*`, is a host's.
fn covers(pattern: &str, host: &str) -> bool {
    if pattern == host {
        return true;
    }
    let (pattern, host): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), host.split('.').collect());
    pattern.first() == Some(&"*") && pattern.len() == host.len() && pattern.iter().skip(1).eq(host.iter().skip(1))
}
