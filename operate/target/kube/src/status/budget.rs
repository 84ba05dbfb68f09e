//! Whether a disruption budget keeps pods where they should not be. A budget never holds a rollout, for controllers evict nobody; it holds the
//! draining of a node, and says nothing of it to those who own the pods.

use serde_json::Value;

use super::{Trouble, list, name, number, text};

/// Pods of a budget that cannot be evicted from nodes that take no new ones. `pods` are those that the budget selects.
pub fn held(budget: &Value, pods: &[Value], nodes: &[Value]) -> Option<Trouble> {
    let [allowed, expected, wanted, healthy] =
        ["disruptionsAllowed", "expectedPods", "desiredHealthy", "currentHealthy"]
            .map(|field| number(budget, &format!("/status/{field}")));
    if allowed > 0 || expected == 0 {
        return None;
    }
    let drained = |node: &&Value| node.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
    let drained: Vec<_> = nodes.iter().filter(drained).map(name).collect();
    let lives = |pod: &&Value| {
        pod.pointer("/metadata/deletionTimestamp").is_none()
            && !["Succeeded", "Failed"].contains(&text(pod, "/status/phase"))
    };
    let stay = |pod: &&Value| drained.contains(&text(pod, "/spec/nodeName"));
    // Where a pod may go that is not healthy anyway, it does.
    let always = text(budget, "/spec/unhealthyPodEvictionPolicy") == "AlwaysAllow";
    let ready = |pod: &&Value| {
        list(pod, "/status/conditions").iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    let mut stuck: Vec<_> = pods.iter().filter(lives).filter(stay).filter(|pod| !always || ready(pod)).collect();
    stuck.sort_by_key(|pod| name(pod));
    let first = stuck.first()?;
    let more = match stuck.len() {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    let message = format!(
        "pod {}{more} cannot be evicted from node {}, which takes no new pods: budget {} wants {wanted} of {expected} pods healthy, and {healthy} are",
        name(first),
        text(first, "/spec/nodeName"),
        name(budget)
    );
    let next = match healthy < wanted {
        true => "get its pods ready first, and it lets them go one by one",
        false => "run one pod more, or let the budget spare one: `maxUnavailable: 1`",
    };
    Some(Trouble::new("kube.disruption-budget", message, next))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Pods as (name, node); `None` where nobody is held.
    fn check(status: Value, pods: &[(&str, &str)], expect: Option<&str>) {
        let budget = json!({"metadata": {"name": "full"}, "status": status});
        let pod = |(name, node): &(&str, &str)| json!({"metadata": {"name": name}, "spec": {"nodeName": node}});
        let pods: Vec<_> = pods.iter().map(pod).collect();
        let nodes = [
            json!({"metadata": {"name": "a"}, "spec": {"unschedulable": true}}),
            json!({"metadata": {"name": "b"}, "spec": {}}),
        ];
        assert_eq!(held(&budget, &pods, &nodes).map(|trouble| trouble.message).as_deref(), expect);
    }

    #[test]
    fn a_budget_holds_pods_on_nodes_that_are_drained() {
        let full = json!({"disruptionsAllowed": 0, "expectedPods": 2, "desiredHealthy": 2, "currentHealthy": 2});
        check(
            full.clone(),
            &[("y", "a"), ("x", "a")],
            Some(
                "pod x and 1 more cannot be evicted from node a, which takes no new pods: budget full wants 2 of 2 pods healthy, and 2 are",
            ),
        );
        check(full, &[("x", "b")], None);
        let spare = json!({"disruptionsAllowed": 1, "expectedPods": 2, "desiredHealthy": 1, "currentHealthy": 2});
        check(spare, &[("x", "a")], None);
    }
}
