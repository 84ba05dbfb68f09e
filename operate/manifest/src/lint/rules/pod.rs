//! Pods as a whole, and what makes them: replicas, where they run, as whom, how they are replaced.

use super::super::found::{Found, Mend};
use super::super::view::{View, Workload, namespace};
use super::Pod;
use crate::validate::At;

/// What is said beside the pod's template.
pub(super) fn workload(workload: &Workload<'_>, root: &At<'_>, view: &View<'_>, found: &mut Found<'_>) {
    let spec = root.get("spec");
    let kind = workload.object.identity.kind.as_str();
    let replicas = spec.get("replicas");
    let place = if replicas.is() { &replicas } else { &spec };
    let scaled = view.is_scaled(workload.number);
    if matches!(kind, "Deployment" | "StatefulSet") && !scaled {
        let count = replicas.int().unwrap_or(1);
        if (1..3).contains(&count) {
            found.add("AK0801", place, format!("{count} of them")).suggest_set(&replicas, 3);
        }
    }
    if kind == "Deployment" {
        let strategy = spec.get("strategy");
        let how = strategy.get("type");
        if how.str() == "Recreate" {
            found.add("AK0804", &how, "`Recreate` stops all before it starts any");
        }
    }
    match kind {
        "Job" => ttl(&spec, found),
        "CronJob" => {
            let deadline = spec.get("startingDeadlineSeconds");
            if !deadline.is() {
                found.add("AK0816", &spec, "it has none");
            }
        }
        "StatefulSet" => {
            let service = spec.get("serviceName");
            match view.find("Service", namespace(workload.object), service.str()) {
                _ if service.str().is_empty() => {}
                None => drop(found.add("AK0817", &service, format!("there is no Service `{}`", service.str()))),
                Some(known) if known.text(&["spec", "clusterIP"]) != Some("None") => {
                    found.add("AK0817", &service, format!("Service `{}` is not headless", service.str()));
                }
                Some(_) => {}
            }
        }
        "Pod" => drop(found.add("AK0815", &spec, "it is a Pod by itself")),
        _ => {}
    }
}

fn ttl(spec: &At<'_>, found: &mut Found<'_>) {
    let ttl = spec.get("ttlSecondsAfterFinished");
    if !ttl.is() {
        found.add("AK0806", spec, "it has no `ttlSecondsAfterFinished`").suggest_set(&ttl, 86_400);
    }
}

pub(super) fn pod(pod: &Pod<'_>, view: &View<'_>, found: &mut Found<'_>) {
    spread(pod, view, found);
    account(pod, view, found);
    let spec = pod.spec;
    let restart = spec.get("restartPolicy");
    if restart.str() == "Never" && !matches!(pod.kind, "Job" | "CronJob") {
        found.add("AK0805", &restart, "`Never`");
    }
    let affinity = spec.get("affinity");
    if !affinity.get("nodeAffinity").is() && !spec.get("nodeSelector").is() {
        found.add("AK0803", spec, "it may run on any node");
    }
    if spec.get("priorityClassName").str().is_empty() {
        found.add("AK0807", spec, "it has none");
    }
    let dns = spec.get("dnsConfig");
    let options = dns.get("options");
    if !options.items().any(|option| option.get("name").str() == "ndots") {
        found.add("AK0808", spec, "`ndots` is left at five");
    }
}

/// Replicas are told to keep apart.
fn spread(pod: &Pod<'_>, view: &View<'_>, found: &mut Found<'_>) {
    let several = pod.workload.replicas().unwrap_or(1) > 1 || view.is_scaled(pod.workload.number);
    if !several || !matches!(pod.kind, "Deployment" | "StatefulSet" | "ReplicaSet" | "ReplicationController") {
        return;
    }
    let affinity = pod.spec.get("affinity");
    let anti = affinity.get("podAntiAffinity");
    let (hard, soft) = (
        anti.get("requiredDuringSchedulingIgnoredDuringExecution"),
        anti.get("preferredDuringSchedulingIgnoredDuringExecution"),
    );
    let spreads = pod.spec.get("topologySpreadConstraints");
    if hard.len() + soft.len() + spreads.len() == 0 {
        found.add("AK0802", pod.spec, "nothing keeps its replicas apart");
        return;
    }
    // A term that selects other pods keeps nothing apart.
    let labels = pod.metadata.get("labels");
    let selects = |selector: &At<'_>| !selector.is() || crate::rules::selects(selector, &labels);
    let own = hard.items().any(|term| selects(&term.get("labelSelector")))
        || soft.items().any(|one| selects(&one.get("podAffinityTerm").get("labelSelector")))
        || spreads.items().any(|one| selects(&one.get("labelSelector")));
    if !own {
        let place = if hard.is() {
            &hard
        } else if soft.is() {
            &soft
        } else {
            &spreads
        };
        found.add("AK0802", place, "the selector is not of these pods");
    }
}

fn account(pod: &Pod<'_>, view: &View<'_>, found: &mut Found<'_>) {
    let (name, old) = (pod.spec.get("serviceAccountName"), pod.spec.get("serviceAccount"));
    if old.is() {
        let added = found.add("AK0103", &old, format!("`serviceAccount: {}`", old.shown()));
        if !name.is() {
            added.safe("write `serviceAccountName`", Mend::Rename(old.steps(), "serviceAccountName"));
        } else if name.str() == old.str() {
            added.safe("take it out", Mend::Remove(old.steps()));
        }
    }
    let said = if name.is() { &name } else { &old };
    let place = if said.is() { said } else { pod.spec };
    if matches!(said.str(), "" | "default") {
        found.add("AK0811", place, "it runs as `default`");
    } else if view.find("ServiceAccount", namespace(pod.workload.object), said.str()).is_none() {
        found.add("AK0810", said, format!("there is no ServiceAccount `{}`", said.str()));
    }
    let mounts = pod.spec.get("automountServiceAccountToken");
    let accounts = view.find("ServiceAccount", namespace(pod.workload.object), said.str());
    let account_says = accounts.map(|account| At::root(&account.node).get("automountServiceAccountToken").shown());
    if mounts.bool() || !mounts.is() && account_says.as_deref() != Some("false") {
        let place = if mounts.is() { &mounts } else { pod.spec };
        found.add("AK0511", place, "its token is mounted").suggest_set(&mounts, false);
    }
}
