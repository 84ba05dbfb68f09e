//! Why a pod has no node, from the scheduler's sentence: `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a:
//! b}. preemption: …`. Source of the words: kubernetes/kubernetes `pkg/scheduler/framework/types.go` and the plugins' own.
//! That of 1.36 does not name the taint any more; then the nodes are asked.

use std::collections::BTreeMap;

use serde_json::Value;

use super::pod::short;
use super::{Trouble, list, name, text};

pub(super) fn trouble(pod: &Value, message: &str, nodes: &[Value]) -> Trouble {
    // After the first sentence: what preemption and claims could not do either.
    let said = message.split(". ").next().unwrap_or(message).trim().trim_end_matches('.');
    let reasons = said.split_once(" nodes are available: ").map_or(said, |(_, reasons)| reasons);
    let mut message = format!("pod {} has no node: {}", name(pod), short(reasons));
    if is_unnamed_taint(said) {
        let taints = untolerated(pod, nodes);
        let told = taints.iter().map(|(taint, on)| format!("{taint} on {on}")).collect::<Vec<_>>().join(", ");
        if !told.is_empty() {
            message.push_str(&format!(" (of {} nodes: {})", nodes.len(), short(&told)));
        }
    }
    Trouble::new("kube.unschedulable", message, next(said))
}

/// Whether the scheduler speaks of a taint and does not say which.
pub(crate) fn is_unnamed_taint(message: &str) -> bool {
    message.contains("untolerated taint") && !message.contains("untolerated taint {")
}

/// Taints that keep the pod away, each with the number of nodes that have it.
fn untolerated(pod: &Value, nodes: &[Value]) -> BTreeMap<String, usize> {
    let tolerations = list(pod, "/spec/tolerations");
    let mut found = BTreeMap::new();
    for taint in nodes.iter().flat_map(|node| list(node, "/spec/taints")) {
        let keeps_away = ["NoSchedule", "NoExecute"].contains(&text(taint, "/effect"));
        if keeps_away && !tolerations.iter().any(|toleration| tolerates(toleration, taint)) {
            let value = text(taint, "/value");
            let equals = if value.is_empty() { "" } else { "=" };
            let taint = format!("{}{equals}{value}:{}", text(taint, "/key"), text(taint, "/effect"));
            *found.entry(taint).or_insert(0) += 1;
        }
    }
    found
}

/// As the API says (`Toleration.ToleratesTaint`): no effect is every effect, no key with `Exists` is every taint.
fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let is_same = |place: &str| text(toleration, place) == text(taint, place);
    let is_any = |place: &str| text(toleration, place).is_empty();
    let exists = text(toleration, "/operator") == "Exists";
    (is_any("/effect") || is_same("/effect"))
        && (is_same("/key") || (is_any("/key") && exists))
        && (exists || is_same("/value"))
}

fn next(said: &str) -> &'static str {
    let said = said.to_ascii_lowercase();
    let table: [(&str, &str); 9] = [
        ("insufficient", "lower `resources.requests`, remove other pods, or add a node"),
        ("too many pods", "the nodes are full of pods: remove some, or add a node"),
        ("untolerated taint", "give the pod a toleration of that taint, or take the taint off the node"),
        ("node affinity/selector", "no node has the labels: correct `nodeSelector` or `affinity`, or label a node"),
        ("pod affinity", "no node satisfies `podAffinity`: loosen it, or start what it wants to be near to"),
        ("anti-affinity", "each node has such a pod already: add a node, or prefer instead of require"),
        ("topology spread", "`topologySpreadConstraints` leave no node: use `ScheduleAnyway`, or add a node"),
        ("free ports", "a `hostPort` is taken on each node: leave it out"),
        ("persistentvolumeclaim", "look at the claim: kubectl describe pvc"),
    ];
    let found = table.iter().find(|(word, _)| said.contains(word));
    found.map_or("look at what the pod asks for and what nodes offer: kubectl describe pod", |(_, next)| next)
}
