//! In which order objects are applied: what others refer to first, as Helm orders an install (helm/helm `pkg/release/util/kind_sorter.go`),
//! and which permissions a release needs.

use operate_plan::ObjectId;
use serde_json::Value;

use super::{ClusterRelease, Item, object};

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

/// `VERB/KIND/NAMESPACE` of whatever the release, and taking it back, needs to be allowed.
pub(super) fn accesses(release: &ClusterRelease) -> Vec<ObjectId> {
    let mut accesses = Vec::new();
    for item in &release.items {
        let ObjectId { kind, .. } = object(&item.body);
        let namespace = item.body.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
        // Server-side apply is a patch, and a create where nothing is there; a restore is an update, or a delete.
        for verb in ["get", "patch", "create", "update", "delete"] {
            accesses.push(ObjectId::new("access", format!("{verb}/{kind}/{namespace}")));
        }
        if is_workload(&kind) {
            accesses.push(ObjectId::new("access", format!("list/Pod/{namespace}")));
        }
    }
    accesses.sort();
    accesses.dedup();
    accesses
}
