//! Reads what [`crate::status`] needs: what is under a workload, and the events about what is in trouble. It judges nothing.

use connect_kube::{Cluster, KubeError, ListOptions, Resource, Result};
use serde_json::Value;

use crate::status::{self, Scene, Trouble, needs_nodes};

/// Pods and ReplicaSets of one workload; more is no workload of one service.
const UNDER_MAX: usize = 5_000;
const BUDGETS_MAX: usize = 1_000;
const NODES_MAX: usize = 5_000;
const EVENTS_MAX: usize = 2_000;
/// Pods in trouble whose events are read: the others have the same trouble.
const TROUBLED_MAX: usize = 5;

/// What was read for one object.
#[derive(Debug, Default)]
pub struct Read {
    under: Vec<Value>,
    events: Vec<Value>,
    nodes: Vec<Value>,
}

impl Read {
    pub fn scene<'a>(&'a self, object: &'a Value) -> Scene<'a> {
        Scene { object, under: &self.under, events: &self.events, nodes: &self.nodes }
    }

    pub(crate) fn under(&self) -> &[Value] {
        &self.under
    }

    #[cfg(test)]
    pub(crate) fn of(under: Vec<Value>) -> Read {
        Read { under, ..Read::default() }
    }

    /// The label that tells the pods of the newest ReplicaSet of a Deployment.
    pub(crate) fn hash(&self, deployment: &Value) -> Option<&str> {
        self.sets(deployment).0?["metadata"]["labels"]["pod-template-hash"].as_str()
    }

    /// The newest ReplicaSet of a Deployment, and the older ones.
    pub(crate) fn sets(&self, deployment: &Value) -> (Option<&Value>, Vec<&Value>) {
        let Some(uid) = deployment["metadata"]["uid"].as_str() else { return (None, Vec::new()) };
        let owned = |set: &&Value| {
            set["kind"] == "ReplicaSet"
                && set["metadata"]["ownerReferences"].as_array().into_iter().flatten().any(|owner| owner["uid"] == uid)
        };
        let revision = |set: &&Value| {
            let text = set.pointer("/metadata/annotations/deployment.kubernetes.io~1revision");
            text.and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
        };
        let mut sets: Vec<_> = self.under.iter().filter(owned).collect();
        sets.sort_by_key(revision);
        (sets.pop(), sets)
    }
}

/// Reads what is under the object. A read that is not allowed is an error: without it nobody knows how far the workload is.
pub async fn read(cluster: &Cluster, object: &Value) -> Result<Read> {
    let namespace = object["metadata"]["namespace"].as_str();
    let mut read = Read::default();
    let kind = object["kind"].as_str().unwrap_or_default();
    let pods = Resource::namespaced("v1", "Pod", "pods");
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => {
            let labels = ListOptions::labelled(&selector(&object["spec"]["selector"]));
            if kind == "Deployment" {
                let sets = Resource::namespaced("apps/v1", "ReplicaSet", "replicasets");
                read.under.extend(cluster.list(&sets, namespace, &labels, UNDER_MAX).await?);
            }
            read.under.extend(cluster.list(&pods, namespace, &labels, UNDER_MAX).await?);
        }
        "Service" => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let labels = ListOptions::labelled(&format!("kubernetes.io/service-name={name}"));
            let slices = Resource::namespaced("discovery.k8s.io/v1", "EndpointSlice", "endpointslices");
            read.under.extend(cluster.list(&slices, namespace, &labels, UNDER_MAX).await?);
        }
        _ => {}
    }
    if needs_nodes(object) || read.under.iter().any(needs_nodes) {
        let nodes = Resource::cluster_wide("v1", "Node", "nodes");
        // Who may not look at nodes is told what the scheduler says.
        read.nodes = cluster.list(&nodes, None, &ListOptions::default(), NODES_MAX).await.unwrap_or_default();
    }
    let ready = |pod: &&Value| {
        let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
        conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    let mut troubled: Vec<&Value> = vec![];
    if kind != "Service" {
        troubled.push(object);
    }
    troubled.extend(read.under.iter().filter(|under| under["kind"] == "ReplicaSet" && under["spec"]["replicas"] != 0));
    let pods = read.under.iter().filter(|under| under["kind"] == "Pod").filter(|pod| !ready(pod));
    troubled.extend(pods.take(TROUBLED_MAX));
    let uids: Vec<_> = troubled.iter().filter_map(|one| one["metadata"]["uid"].as_str().map(str::to_owned)).collect();
    for uid in uids {
        match events(cluster, namespace, &uid).await {
            Ok(events) => read.events.extend(events),
            // Without events a reason has fewer words; that is no reason to know nothing.
            Err(KubeError::Permission { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// The disruption budgets that keep pods on nodes that are drained, each with what there is to say of it. Who may not look at nodes finds none.
pub async fn held_budgets(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<(Value, Trouble)>> {
    let budgets = Resource::namespaced("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets");
    let mut budgets = cluster.list(&budgets, namespace, &ListOptions::default(), BUDGETS_MAX).await?;
    budgets.retain(|budget| budget["status"]["disruptionsAllowed"] == 0 && budget["status"]["expectedPods"] != 0);
    if budgets.is_empty() {
        return Ok(Vec::new());
    }
    let nodes = Resource::cluster_wide("v1", "Node", "nodes");
    let drained = ListOptions { fields: Some("spec.unschedulable=true".into()), ..ListOptions::default() };
    let nodes = cluster.list(&nodes, None, &drained, NODES_MAX).await.unwrap_or_default();
    let pods = Resource::namespaced("v1", "Pod", "pods");
    let mut held = Vec::new();
    for budget in budgets.into_iter().filter(|_| !nodes.is_empty()) {
        let labels = ListOptions::labelled(&selector(&budget["spec"]["selector"]));
        let pods = cluster.list(&pods, budget["metadata"]["namespace"].as_str(), &labels, UNDER_MAX).await?;
        if let Some(trouble) = status::held(&budget, &pods, &nodes) {
            held.push((budget, trouble));
        }
    }
    Ok(held)
}

async fn events(cluster: &Cluster, namespace: Option<&str>, uid: &str) -> Result<Vec<Value>> {
    let events = Resource::namespaced("v1", "Event", "events");
    let options = ListOptions { fields: Some(format!("involvedObject.uid={uid}")), ..ListOptions::default() };
    cluster.list(&events, namespace, &options, EVENTS_MAX).await
}

/// `a=b,c in (d,e)`: a selector as the list call takes it.
fn selector(selector: &Value) -> String {
    let mut parts: Vec<String> = selector["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    for rule in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = rule["key"].as_str().unwrap_or_default();
        let values: Vec<_> = rule["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let values = values.join(",");
        match rule["operator"].as_str().unwrap_or_default() {
            "In" => parts.push(format!("{key} in ({values})")),
            "NotIn" => parts.push(format!("{key} notin ({values})")),
            "Exists" => parts.push(key.to_owned()),
            "DoesNotExist" => parts.push(format!("!{key}")),
            _ => {}
        }
    }
    parts.join(",")
}
