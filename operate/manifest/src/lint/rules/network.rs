//! Network policies and monitors: what they select is there, and pods are selected by a policy.

use ahash::AHashSet;

use super::super::found::Found;
use super::super::view::{View, namespace};
use crate::object::Object;
use crate::rules::selects;
use crate::validate::At;

pub(super) fn policy(object: &Object, root: &At<'_>, view: &View<'_>, found: &mut Found<'_>) {
    let spec = root.get("spec");
    let selector = spec.get("podSelector");
    let empty = selector.get("matchLabels").len() + selector.get("matchExpressions").len() == 0;
    // One that selects all is a namespace's default, meant for what comes.
    if !empty && view.selected(namespace(object), &selector).is_empty() {
        found.add("AK0905", &selector, "no pods among the files have these labels");
    }
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        let rules = spec.get(rules);
        for rule in rules.items() {
            let peers = rule.get(peers);
            for peer in peers.items() {
                let pods = peer.get("podSelector");
                // Pods of other namespaces may be in other files.
                let here = pods.is() && pods.len() > 0 && !peer.get("namespaceSelector").is();
                if here && view.selected(namespace(object), &pods).is_empty() {
                    found.add("AK0906", &pods, "no pods among the files have these labels");
                }
            }
        }
    }
}

pub(super) fn monitor(object: &Object, root: &At<'_>, view: &View<'_>, found: &mut Found<'_>) {
    let spec = root.get("spec");
    let (selector, elsewhere) = (spec.get("selector"), spec.get("namespaceSelector"));
    let any = elsewhere.get("any").bool();
    let named = elsewhere.get("matchNames");
    let in_scope = |of: &str| {
        let listed = named.items().any(|name| name.str() == of);
        any || listed || !named.is() && of == namespace(object)
    };
    let has = view.kind("Service").any(|(_, service)| {
        let service_root = At::root(&service.node);
        let metadata = service_root.get("metadata");
        in_scope(namespace(service)) && selects(&selector, &metadata.get("labels"))
    });
    if !has {
        found.add("AK0907", &selector, "no Service among the files has these labels");
    }
}

/// Pods that no policy selects.
pub(super) fn isolation(view: &View<'_>, found: &mut Found<'_>) {
    if !found.wants("AK0908") {
        return;
    }
    let mut isolated: AHashSet<usize> = AHashSet::new();
    for (_, policy) in view.kind("NetworkPolicy") {
        let root = At::root(&policy.node);
        let spec = root.get("spec");
        let pods = view.selected(namespace(policy), &spec.get("podSelector"));
        isolated.extend(pods.iter().map(|pod| pod.number));
    }
    for workload in view.workloads.iter().filter(|workload| !isolated.contains(&workload.number)) {
        found.about(workload.number);
        found.add("AK0908", &At::root(&workload.object.node).get("metadata"), "none selects its pods");
    }
}
