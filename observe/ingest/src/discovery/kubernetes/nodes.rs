//! Role `node`: one target a node, at its kubelet. It knows no other role.

use super::labels::{Set, address, sanitized};
use super::object::{Body, Object};
use crate::discovery::Group;

/// Which of a node's addresses counts, the best first.
const BEST: [&str; 6] = ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];

/// Without any address there is nothing to tell: what was told before stays.
pub(super) fn group(source: String, object: &Object) -> Option<Group> {
    let Body::Node(node) = &object.body else { return None };
    let first = |kind: &str| node.addresses.iter().find(|(of, _)| &**of == kind).map(|(_, address)| &**address);
    let best = BEST.into_iter().find_map(first)?;
    let mut labels = Set::default();
    labels.meta("node_provider_id", &node.provider_id);
    for (condition, status) in &node.conditions {
        let name = format!("node_condition_{}", sanitized(&condition.to_lowercase()));
        labels.meta(&name, &status.to_lowercase());
    }
    labels.object("node", &object.meta);
    let mut target = Set::at(&address(best, node.kubelet_port));
    target.plain("instance", &object.meta.name);
    for (kind, _) in &node.addresses {
        target.maybe(&format!("node_address_{}", sanitized(kind)), first(kind));
    }
    Some(Group { source, targets: vec![target.build()], labels: labels.build() })
}
