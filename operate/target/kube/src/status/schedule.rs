//! Why a pod has no node, from the scheduler's sentence: `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a:
//! b}. preemption: …`. Source of the words: kubernetes/kubernetes `pkg/scheduler/framework/types.go` and the plugins' own.

use super::Trouble;
use super::pod::short;

pub(super) fn trouble(pod: &str, message: &str) -> Trouble {
    // After the first sentence: what preemption and claims could not do either.
    let said = message.split(". ").next().unwrap_or(message).trim().trim_end_matches('.');
    let reasons = said.split_once(" nodes are available: ").map_or(said, |(_, reasons)| reasons);
    let message = format!("pod {pod} has no node: {}", short(reasons));
    Trouble::new("kube.unschedulable", message, next(said))
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
