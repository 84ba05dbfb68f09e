//! Where an object of a plan is in the cluster: its kind and group as the server serves them today. It reads and writes no object but the one
//! it is asked for.

use std::sync::Arc;

use connect_kube::{Kinds, ObjectAt, Resource};
use operate_plan::{Class, Failure, ObjectId};
use serde_json::Value;

use crate::KubeTarget;
use crate::failure::failure;

/// Kinds that every server of the last years serves: no discovery is needed for them.
const USUAL: [(&str, &str, &str); 21] = [
    ("v1", "ConfigMap", "configmaps"),
    ("v1", "Secret", "secrets"),
    ("v1", "Service", "services"),
    ("v1", "ServiceAccount", "serviceaccounts"),
    ("v1", "Pod", "pods"),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("v1", "ResourceQuota", "resourcequotas"),
    ("v1", "LimitRange", "limitranges"),
    ("apps/v1", "Deployment", "deployments"),
    ("apps/v1", "ReplicaSet", "replicasets"),
    ("apps/v1", "StatefulSet", "statefulsets"),
    ("apps/v1", "DaemonSet", "daemonsets"),
    ("batch/v1", "Job", "jobs"),
    ("batch/v1", "CronJob", "cronjobs"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
    ("networking.k8s.io/v1", "Ingress", "ingresses"),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    ("rbac.authorization.k8s.io/v1", "Role", "roles"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
];

pub(crate) async fn at(target: &KubeTarget, object: &ObjectId) -> Result<ObjectAt, Failure> {
    let resource = resource(target, &object.kind, None).await?;
    let (namespace, name) = object.name.split_once('/').unwrap_or(("", &object.name));
    Ok(resource.at(namespace, name))
}

/// The same for a body that names its version.
pub(crate) async fn at_of(target: &KubeTarget, object: &ObjectId, body: &Value) -> Result<ObjectAt, Failure> {
    let resource = resource(target, &object.kind, body["apiVersion"].as_str()).await?;
    let (namespace, name) = object.name.split_once('/').unwrap_or(("", &object.name));
    Ok(resource.at(namespace, name))
}

/// `Deployment.apps` in this version, else in the one that the server prefers.
pub(crate) async fn resource(target: &KubeTarget, kind: &str, api_version: Option<&str>) -> Result<Resource, Failure> {
    let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
    let is = |(version, name, _): &&(&str, &str, &str)| {
        *name == kind && version.rsplit_once('/').map_or("", |(group, _)| group) == group
    };
    let usual = USUAL.iter().find(is).filter(|(version, ..)| api_version.is_none_or(|wanted| wanted == *version));
    if let Some((version, kind, plural)) = usual {
        return Ok(Resource::namespaced(version, kind, plural));
    }
    for fresh in [false, true] {
        let kinds = kinds(target, fresh).await?;
        let found = match api_version {
            Some(version) => kinds.of(version, kind),
            None => kinds.preferred(group, kind),
        };
        if let Some(found) = found {
            return Ok(found.resource.clone());
        }
    }
    let what = api_version.map_or(group.to_owned(), str::to_owned);
    let message = format!("the server knows no {kind} of {what}");
    let next = "install its CustomResourceDefinition, or use a version that it serves: kubectl api-resources";
    // A definition that was applied a moment ago is served a moment later.
    Err(Failure::new(Class::Transient, "kube.no-such-kind", message, next))
}

async fn kinds(target: &KubeTarget, fresh: bool) -> Result<Arc<Kinds>, Failure> {
    if !fresh && let Some(kinds) = &*target.kinds.read().await {
        return Ok(Arc::clone(kinds));
    }
    let kinds = Arc::new(target.cluster.kinds().await.map_err(|error| failure(&error))?);
    *target.kinds.write().await = Some(Arc::clone(&kinds));
    Ok(kinds)
}

pub(crate) async fn get(target: &KubeTarget, object: &ObjectId) -> Result<Option<Value>, Failure> {
    let at = at(target, object).await?;
    target.cluster.get_if_there(&at).await.map_err(|error| failure(&error))
}
