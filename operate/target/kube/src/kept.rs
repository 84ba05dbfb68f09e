//! What of an object is kept as its before-image, and which of it counts when two images are compared. What the API server and its
//! controllers write by themselves is neither. Pure.

use serde_json::{Map, Value, json};

/// Annotations that controllers write.
const THEIRS: [&str; 4] = [
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
    "pv.kubernetes.io/bind-completed",
    "autoscaling.alpha.kubernetes.io/conditions",
];
/// Of metadata, what only the server may say.
const OF_SERVER: [&str; 7] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// The object without what the server alone writes. Who owns which field stays in it, for a restore gives the fields back to them.
pub(crate) fn kept(object: &Value) -> Value {
    let mut kept = object.clone();
    if let Some(whole) = kept.as_object_mut() {
        whole.remove("status");
    }
    if let Some(metadata) = kept["metadata"].as_object_mut() {
        for name in OF_SERVER {
            metadata.remove(name);
        }
    }
    if let Some(annotations) = kept.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        for name in THEIRS {
            annotations.remove(name);
        }
    }
    drop_empty(&mut kept, "annotations");
    drop_empty(&mut kept, "labels");
    // Of status only: the server writes it again.
    if let Some(managers) = kept.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) {
        managers.retain(|manager| manager["subresource"] != "status");
    }
    kept
}

fn drop_empty(object: &mut Value, name: &str) {
    if let Some(metadata) = object["metadata"].as_object_mut()
        && metadata.get(name).and_then(Value::as_object).is_some_and(Map::is_empty)
    {
        metadata.remove(name);
    }
}

/// What is compared: not who owns a field, and not how many pods where something else scales them.
pub(crate) fn compared(kept: &Value) -> Value {
    let mut compared = kept.clone();
    if is_scaled_by_others(kept)
        && let Some(replicas) = compared.pointer_mut("/spec/replicas")
    {
        // From none at all nobody scales: an autoscaler leaves it alone.
        *replicas = json!(*replicas != 0);
    }
    if let Some(metadata) = compared["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    compared
}

/// An autoscaler writes `replicas` by the subresource.
pub(crate) fn is_scaled_by_others(object: &Value) -> bool {
    let managers = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    managers
        .into_iter()
        .flatten()
        .any(|manager| manager["subresource"] == "scale" && manager["manager"] != crate::MANAGER)
}

/// The whole object to put in the place of one that is there.
pub(crate) fn in_place_of(was: &Value, now: &Value) -> Value {
    let mut body = was.clone();
    let metadata = &mut body["metadata"];
    metadata["resourceVersion"] = now["metadata"]["resourceVersion"].clone();
    metadata["uid"] = now["metadata"]["uid"].clone();
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("managedFields");
    }
    // What a controller wrote there goes on being the controller's.
    for name in THEIRS {
        if let Some(value) = now["metadata"]["annotations"].get(name) {
            body["metadata"]["annotations"][name] = value.clone();
        }
    }
    if is_scaled_by_others(was)
        && let Some(replicas) = now.pointer("/spec/replicas").filter(|replicas| **replicas != 0)
    {
        body["spec"]["replicas"] = replicas.clone();
    }
    body
}

/// The object to make anew where it is gone.
pub(crate) fn anew(was: &Value) -> Value {
    let mut body = was.clone();
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        // The owner may be gone with it; a dangling one would have it collected at once.
        metadata.remove("ownerReferences");
    }
    if body["kind"] == "Job" {
        // Made by the server from the uid that it had.
        if let Some(spec) = body["spec"].as_object_mut() {
            spec.remove("selector");
        }
        if let Some(labels) = body.pointer_mut("/spec/template/metadata/labels").and_then(Value::as_object_mut) {
            labels.retain(|name, _| !name.ends_with("controller-uid") && !name.ends_with("job-name"));
        }
    }
    body
}

/// The patch that gives each field back to whoever owned it (as `kubectl` moves fields from one manager to another). `now` is what was
/// written last.
pub(crate) fn ownership(was: &Value, now: &Value) -> Option<Value> {
    let of = |object: &Value| object.pointer("/metadata/managedFields").cloned();
    let (was, status) = (of(was)?, of(now)?);
    let status = status.as_array().into_iter().flatten().filter(|manager| manager["subresource"] == "status").cloned();
    let all: Vec<Value> = was.as_array().into_iter().flatten().cloned().chain(status).collect();
    Some(json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": now["metadata"]["resourceVersion"]},
        {"op": "replace", "path": "/metadata/managedFields", "value": all},
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(replicas: u32, version: &str, manager: &str) -> Value {
        json!({"kind": "Deployment", "metadata": {"name": "cart", "resourceVersion": version, "uid": "u", "generation": 3,
            "annotations": {"deployment.kubernetes.io/revision": version}, "labels": {},
            "managedFields": [{"manager": "kubelet", "subresource": "status"}, {"manager": manager, "subresource": "scale"}]},
            "spec": {"replicas": replicas}, "status": {"replicas": 9}})
    }

    #[test]
    fn what_the_server_writes_is_not_kept() {
        let expect = json!({"kind": "Deployment", "metadata": {"name": "cart",
            "managedFields": [{"manager": "apm", "subresource": "scale"}]}, "spec": {"replicas": 2}});
        assert_eq!(kept(&object(2, "7", "apm")), expect);
    }

    #[test]
    fn how_many_pods_counts_unless_somebody_else_scales() {
        let same =
            |manager: &str| compared(&kept(&object(2, "7", manager))) == compared(&kept(&object(5, "8", manager)));
        assert!(same("kube-controller-manager"));
        assert!(!same("apm"));
        let others = "kube-controller-manager";
        assert_ne!(compared(&kept(&object(2, "7", others))), compared(&kept(&object(0, "8", others))), "stopped");
    }

    #[test]
    fn a_restore_leaves_the_controllers_their_own() {
        let was = kept(&object(2, "7", "kube-controller-manager"));
        let body = in_place_of(&was, &object(5, "8", "kube-controller-manager"));
        assert_eq!(body["spec"]["replicas"], 5);
        assert_eq!(in_place_of(&was, &object(0, "8", "apm"))["spec"]["replicas"], 2, "nobody scales from none");
        assert_eq!(body["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "8");
        assert_eq!(body["metadata"]["resourceVersion"], "8");
        let patch = ownership(&was, &object(5, "8", "apm")).expect("a patch");
        let managers: Vec<_> =
            patch[1]["value"].as_array().expect("managers").iter().map(|one| &one["manager"]).collect();
        assert_eq!(managers, ["kube-controller-manager", "kubelet"]);
    }

    #[test]
    fn a_job_is_made_anew_without_what_was_made_from_its_uid() {
        let job = json!({"kind": "Job", "metadata": {"name": "x", "ownerReferences": [{"uid": "gone"}]},
            "spec": {"selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
                "template": {"metadata": {"labels": {"a": "b", "batch.kubernetes.io/controller-uid": "u", "job-name": "x"}}}}});
        let expect = json!({"kind": "Job", "metadata": {"name": "x"}, "spec": {"template": {"metadata": {"labels": {"a": "b"}}}}});
        assert_eq!(anew(&job), expect);
    }
}
