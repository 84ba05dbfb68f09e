//! What the API server would say to an act, without doing it: schema, conflicts, quotas of objects, admission; of the object, and of the pods that a
//! controller would make of it. It changes nothing.

use connect_kube::Resource;
use operate_plan::{Act, Failure};
use serde_json::{Value, json};

use crate::failure::failure;
use crate::{KubeTarget, act, writing};

/// Warnings that the act would bring.
pub(crate) async fn rehearse(target: &KubeTarget, act: &Act) -> Result<Vec<String>, Failure> {
    match act.verb.as_str() {
        "apply" => act::apply(target, &act.object, &act.with, &writing().dry()).await,
        _ if act.object.kind == crate::helm::KIND => crate::helm::rehearse(target, act).await,
        _ => Ok(Vec::new()),
    }
}

/// The same for a pod of the workload.
pub(crate) async fn pod(target: &KubeTarget, act: &Act) -> Result<Vec<String>, Failure> {
    let Some(body) = (act.verb == "apply").then(|| pod_of(&act.with["body"])).flatten() else { return Ok(Vec::new()) };
    let namespace = body["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
    let pods = Resource::namespaced("v1", "Pod", "pods");
    let written = target.cluster.create(&pods, &namespace, &body, &writing().dry()).await;
    Ok(written.map_err(|error| failure(&error))?.warnings)
}

/// A pod as the workload's controller would make it. Who wants pods to have an owner sees one.
fn pod_of(workload: &Value) -> Option<Value> {
    let kind = workload["kind"].as_str()?;
    let template = &workload["spec"]["template"];
    let (owner, version) = match kind {
        "Deployment" => ("ReplicaSet", "apps/v1"),
        "StatefulSet" | "DaemonSet" => (kind, "apps/v1"),
        "Job" => (kind, "batch/v1"),
        _ => return None,
    };
    let name = workload["metadata"]["name"].as_str()?;
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": format!("{name}-"), "namespace": workload["metadata"]["namespace"],
            "labels": template["metadata"]["labels"], "annotations": template["metadata"]["annotations"],
            "ownerReferences": [{"apiVersion": version, "kind": owner, "name": name, "controller": true,
                "uid": "00000000-0000-0000-0000-000000000000"}],
        },
        "spec": template["spec"],
    });
    // The volumes of a StatefulSet's claims are its controller's to add.
    for claim in workload["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
        let name = &claim["metadata"]["name"];
        let volume = json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
        match pod["spec"]["volumes"].as_array_mut() {
            Some(volumes) => volumes.push(volume),
            None => pod["spec"]["volumes"] = json!([volume]),
        }
    }
    Some(pod)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_as_its_controller_would_make_it() {
        let template = json!({"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db"}]}});
        let claims = json!([{"metadata": {"name": "data"}}]);
        let meta = json!({"name": "db", "namespace": "shop"});
        let of = |kind: &str, spec: Value| pod_of(&json!({"kind": kind, "metadata": meta, "spec": spec}));
        let pod = of("StatefulSet", json!({"template": template, "volumeClaimTemplates": claims})).expect("a pod");
        assert_eq!(pod["metadata"]["generateName"], "db-");
        assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "StatefulSet");
        assert_eq!(pod["metadata"]["labels"], json!({"app": "db"}));
        assert_eq!(pod["spec"]["volumes"], json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]));
        let pod = of("Deployment", json!({"template": template})).expect("a pod");
        assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "ReplicaSet");
        assert_eq!(pod["spec"], template["spec"]);
        assert!(of("CronJob", json!({})).is_none());
    }
}
