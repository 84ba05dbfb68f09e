//! Disruption budgets and autoscalers: those that block, contradict or lead nowhere.

use ahash::AHashMap;

use super::super::found::{Found, Mend};
use super::super::view::{View, Workload, namespace};
use crate::format;
use crate::object::Object;
use crate::validate::At;

pub(super) fn budget(object: &Object, root: &At<'_>, view: &View<'_>, found: &mut Found<'_>) {
    let spec = root.get("spec");
    let (least, most) = (spec.get("minAvailable"), spec.get("maxUnavailable"));
    let selector = spec.get("selector");
    let pods = view.selected(namespace(object), &selector);
    let policy = spec.get("unhealthyPodEvictionPolicy");
    if policy.str() != "AlwaysAllow" {
        let place = if policy.is() { &policy } else { &spec };
        found.add("AK1003", place, "only working pods can be evicted").suggest_set(&policy, "AlwaysAllow");
    }
    if pods.is_empty() {
        let place = if selector.is() { &selector } else { &spec };
        found.add("AK1004", place, "no pods among the files have these labels");
    }
    if most.int() == Some(0) || most.text().and_then(format::percent) == Some(0) {
        found.add("AK1002", &most, format!("`maxUnavailable: {}`", most.shown()));
    }
    let percent = least.text().and_then(format::percent);
    if percent.is_some_and(|percent| percent >= 100) {
        found.add("AK1001", &least, "all of them must be there");
        return;
    }
    // What an autoscaler has at the least, or what is written.
    let count = |workload: &&Workload<'_>| match scaled_to(workload, view) {
        Some(least) => least,
        None => workload.replicas().unwrap_or(1),
    };
    // How many pods a DaemonSet or a Job has, the cluster decides.
    let counted = ["Deployment", "StatefulSet", "ReplicaSet", "ReplicationController", "Pod"];
    if !pods.iter().all(|pod| counted.contains(&pod.object.identity.kind.as_str())) {
        return;
    }
    let counts: Vec<i64> = pods.iter().map(count).filter(|count| *count > 0).collect();
    let all: i64 = counts.iter().sum();
    // A share is rounded up: 50% of one pod is one pod.
    let wanted = least.int().or(percent.map(|percent| (all * percent + 99) / 100));
    if let Some(wanted) = wanted.filter(|wanted| !counts.is_empty() && *wanted >= all && *wanted > 0) {
        found.add("AK1001", &least, format!("{wanted} of {all} must be there"));
    }
}

/// The least that an autoscaler makes of it.
fn scaled_to(workload: &Workload<'_>, view: &View<'_>) -> Option<i64> {
    if !view.is_scaled(workload.number) {
        return None;
    }
    let (_, hpa) = view.kind("HorizontalPodAutoscaler").find(|(_, hpa)| view.target(hpa) == Some(workload.number))?;
    let root = At::root(&hpa.node);
    Some(root.get("spec").get("minReplicas").int().unwrap_or(1))
}

pub(super) fn autoscaler(object: &Object, root: &At<'_>, view: &View<'_>, found: &mut Found<'_>) {
    let spec = root.get("spec");
    let (least, most, target) = (spec.get("minReplicas"), spec.get("maxReplicas"), spec.get("scaleTargetRef"));
    let from = least.int().unwrap_or(1);
    if from < 3 {
        let place = if least.is() { &least } else { &spec };
        let added = found.add("AK1006", place, format!("down to {from}"));
        // The server refuses a least above the most.
        if most.int().is_some_and(|most| most >= 3) {
            added.suggest_set(&least, 3);
        }
    }
    if most.int() == Some(from) {
        found.add("AK1007", &most, format!("from {from} to {from}"));
    }
    let kinds = ["Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"];
    let Some(number) = view.target(object) else {
        // Custom kinds that can be scaled may be anywhere.
        if kinds.contains(&target.get("kind").str()) {
            let name = target.get("name");
            found.add("AK1005", &name, format!("there is no {} `{}`", target.get("kind").str(), name.str()));
        }
        return;
    };
    let Some(workload) = view.workload(number) else { return };
    replicas(workload, number, found);
    let metrics = spec.get("metrics");
    for metric in metrics.items() {
        for at in [metric.get("resource"), metric.get("containerResource")] {
            let (name, goal) = (at.get("name"), at.get("target"));
            if goal.get("type").str() == "Utilization" || at.get("targetAverageUtilization").is() {
                requested(workload, &name, name.str(), at.get("container").text(), found);
            }
        }
    }
    let percentage = spec.get("targetCPUUtilizationPercentage");
    if percentage.is() {
        requested(workload, &percentage, "cpu", None, found);
    }
}

/// A number beside an autoscaler. It is found in the workload's file.
fn replicas(workload: &Workload<'_>, number: usize, found: &mut Found<'_>) {
    let root = At::root(&workload.object.node);
    let spec = root.get("spec");
    let replicas = spec.get("replicas");
    if replicas.is() {
        let here = found.now_about(number);
        found
            .add("AK1008", &replicas, format!("`replicas: {}`", replicas.shown()))
            .suggest("take `replicas` out", Mend::Remove(replicas.steps()));
        found.about(here);
    }
}

/// The containers request what utilisation is a share of.
fn requested(workload: &Workload<'_>, place: &At<'_>, resource: &str, only: Option<&str>, found: &mut Found<'_>) {
    for container in workload.containers() {
        let at = At::root(container);
        let resources = at.get("resources");
        let has = ["requests", "limits"].iter().any(|key| resources.get(key).get(resource).is());
        let meant = only.is_none_or(|only| at.get("name").str() == only);
        if meant && !has {
            let what = format!("{} of {} requests no {resource}", super::called(&at), workload.object.identity);
            found.add("AK1009", place, what);
        }
    }
}

/// Pods with more than one budget.
pub(super) fn overlaps(view: &View<'_>, found: &mut Found<'_>) {
    let mut owner: AHashMap<usize, &Object> = AHashMap::new();
    for (number, budget) in view.kind("PodDisruptionBudget") {
        let root = At::root(&budget.node);
        let spec = root.get("spec");
        let selector = spec.get("selector");
        for pod in view.selected(namespace(budget), &selector) {
            match owner.get(&pod.number) {
                Some(first) if first.identity != budget.identity => {
                    found.about(number);
                    let what = format!("{} selects the pods of {} too", first.identity, pod.object.identity);
                    found.add("AK1010", &selector, what);
                }
                _ => drop(owner.insert(pod.number, budget)),
            }
        }
    }
}

/// Replicas that no budget selects.
pub(super) fn missing(view: &View<'_>, found: &mut Found<'_>) {
    if !found.wants("AK1011") {
        return;
    }
    let budgets = view.kind("PodDisruptionBudget").flat_map(|(_, budget)| {
        let root = At::root(&budget.node);
        let spec = root.get("spec");
        let pods = view.selected(namespace(budget), &spec.get("selector"));
        pods.into_iter().map(|pod| pod.number).collect::<Vec<usize>>()
    });
    let covered: ahash::AHashSet<usize> = budgets.collect();
    for workload in view.workloads.iter().filter(|workload| !covered.contains(&workload.number)) {
        let several = workload.replicas().unwrap_or(1) > 1 || view.is_scaled(workload.number);
        if several && matches!(workload.object.identity.kind.as_str(), "Deployment" | "StatefulSet") {
            found.about(workload.number);
            found.add("AK1011", &At::root(&workload.object.node).get("metadata"), "none selects its pods");
        }
    }
}
