//! In which order objects are applied: what others refer to first, as Helm orders an install (helm/helm `pkg/release/util/kind_sorter.go`),
//! and which permissions a release needs.

use std::collections::{BTreeMap, BTreeSet};

use operate_plan::ObjectId;

use super::{ClusterRelease, Item, color, object, record};
use crate::Strategy;

/// Kinds of one row need nothing of each other.
const RANKS: [&[&str]; 8] = [
    &["Namespace", "PriorityClass.scheduling.k8s.io", "CustomResourceDefinition.apiextensions.k8s.io"],
    &[
        "NetworkPolicy.networking.k8s.io",
        "ResourceQuota",
        "LimitRange",
        "ServiceAccount",
        "StorageClass.storage.k8s.io",
        "PersistentVolume",
        "ClusterRole.rbac.authorization.k8s.io",
        "Role.rbac.authorization.k8s.io",
        "IngressClass.networking.k8s.io",
    ],
    &[
        "Secret",
        "ConfigMap",
        "PersistentVolumeClaim",
        "ClusterRoleBinding.rbac.authorization.k8s.io",
        "RoleBinding.rbac.authorization.k8s.io",
    ],
    &["Service"],
    &["DaemonSet.apps", "Pod", "Deployment.apps", "ReplicaSet.apps", "StatefulSet.apps", "Job.batch", "CronJob.batch"],
    &["PodDisruptionBudget.policy", "HorizontalPodAutoscaler.autoscaling", "Ingress.networking.k8s.io"],
    // Of kinds that nobody knows here.
    &[],
    &[
        "APIService.apiregistration.k8s.io",
        "MutatingWebhookConfiguration.admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration.admissionregistration.k8s.io",
        "ValidatingAdmissionPolicy.admissionregistration.k8s.io",
        "ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io",
    ],
];
const UNKNOWN: usize = 6;

fn rank(kind: &str) -> usize {
    RANKS.iter().position(|row| row.contains(&kind)).unwrap_or(UNKNOWN)
}

/// Rows of objects that may be applied side by side, each after the one before; within a row by name.
pub(super) fn rows<'a>(items: impl Iterator<Item = &'a Item>) -> Vec<Vec<&'a Item>> {
    let mut ranked: Vec<_> = items.map(|item| (rank(&object(&item.body).kind), object(&item.body), item)).collect();
    ranked.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    ranked.chunk_by(|a, b| a.0 == b.0).map(|row| row.iter().map(|(_, _, item)| *item).collect()).collect()
}

/// Kinds whose readiness is pods.
pub(super) fn is_workload(kind: &str) -> bool {
    ["Deployment.apps", "StatefulSet.apps", "DaemonSet.apps", "Job.batch", "Pod"].contains(&kind)
}

/// Kinds that are not taken away with the release that made them: others may have put something into them by then.
pub(super) fn keeps(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Namespace" => "an empty namespace does no harm, and what others put there would be lost",
        "CustomResourceDefinition.apiextensions.k8s.io" => "with it every object of its kind would be lost",
        "PersistentVolumeClaim" | "PersistentVolume" => "an empty volume does no harm, and data in it would be lost",
        _ => return None,
    })
}

/// `VERB/KIND/NAMESPACE/NAMES` of whatever the release, and taking it back, needs to be allowed. A Role may allow it for these names only.
pub(super) fn accesses(release: &ClusterRelease) -> Vec<ObjectId> {
    let mut needed = Accesses::default();
    for item in &release.items {
        let id = object(&item.body);
        let workload = id.kind == "Deployment.apps" && release.strategy != Strategy::Rolling;
        let beside = if workload { color::beside(&id) } else { Vec::new() };
        for id in [id.clone()].into_iter().chain(beside) {
            needed.changed(&id);
        }
        let (namespace, _) = place(&id);
        let kinds: &[&str] = match &*id.kind {
            "Deployment.apps" => &["Pod", "ReplicaSet.apps"],
            "Service" => &["EndpointSlice.discovery.k8s.io"],
            kind if is_workload(kind) => &["Pod"],
            _ => &[],
        };
        for kind in kinds {
            needed.add("list", kind, namespace, "");
        }
    }
    match &release.helm {
        // Where Helm keeps its records, under a name for each revision.
        Some(chart) => {
            let record = format!("sh.helm.release.v1.{}.v1", chart.release);
            for verb in ["get", "create", "update", "delete"] {
                needed.add(verb, "Secret", &release.namespace, &record);
            }
            needed.add("list", "Secret", &release.namespace, "");
        }
        None => needed.changed(&record::id(release)),
    }
    needed.all()
}

/// The same for what an earlier release left.
pub(super) fn accesses_left(left: &[ObjectId]) -> Vec<ObjectId> {
    let mut needed = Accesses::default();
    for id in left {
        let (namespace, name) = place(id);
        needed.add("delete", &id.kind, namespace, name);
    }
    needed.all()
}

fn place(id: &ObjectId) -> (&str, &str) {
    id.name.split_once('/').unwrap_or(("", &id.name))
}

/// Names by verb, kind and namespace.
#[derive(Default)]
pub(super) struct Accesses(BTreeMap<(String, String, String), BTreeSet<String>>);

impl Accesses {
    pub(super) fn add(&mut self, verb: &str, kind: &str, namespace: &str, name: &str) {
        let names = self.0.entry((verb.to_owned(), kind.to_owned(), namespace.to_owned())).or_default();
        if !name.is_empty() {
            names.insert(name.to_owned());
        }
    }

    pub(super) fn changed(&mut self, id: &ObjectId) {
        let (namespace, name) = place(id);
        // Server-side apply is a patch, and a create where nothing is there; a restore is an update, or a delete.
        for verb in ["get", "patch", "create", "update", "delete"] {
            self.add(verb, &id.kind, namespace, name);
        }
    }

    pub(super) fn all(self) -> Vec<ObjectId> {
        let access = |((verb, kind, namespace), names): ((String, String, String), BTreeSet<String>)| {
            let names = names.into_iter().collect::<Vec<_>>().join(",");
            ObjectId::new("access", format!("{verb}/{kind}/{namespace}/{names}"))
        };
        self.0.into_iter().map(access).collect()
    }
}
