//! Scenes as clusters show them, and what a person is told. The words of kubelet, scheduler and controllers are those that Kubernetes 1.36
//! writes.

use serde_json::{Value, json};

use super::{Progress, Scene, progress};

/// A Deployment of two pods, of which the second revision is on its way.
fn rollout(status: Value) -> Value {
    let metadata = json!({"name": "cart", "uid": "d", "generation": 2});
    let mut object = json!({"kind": "Deployment", "metadata": metadata, "spec": {"replicas": 2}, "status": status});
    object["status"]["observedGeneration"] = json!(2);
    object
}

fn set(name: &str, revision: u32) -> Value {
    let annotations = json!({"deployment.kubernetes.io/revision": revision.to_string()});
    json!({"kind": "ReplicaSet", "metadata": {"name": name, "uid": name, "annotations": annotations,
        "ownerReferences": [{"uid": "d"}]}})
}

fn pod(set: &str, status: Value) -> Value {
    let name = format!("{set}-x");
    json!({"kind": "Pod", "metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": set}]}, "status": status})
}

fn waits(reason: &str, message: &str) -> Value {
    json!({"containerStatuses": [{"name": "app", "image": "shop/cart:2", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}}}]})
}

fn event(uid: &str, reason: &str, message: &str) -> Value {
    json!({"reason": reason, "message": message, "lastTimestamp": "2026-01-01T00:00:00Z",
        "involvedObject": {"uid": uid, "fieldPath": "spec.containers{app}"}})
}

fn line(progress: &Progress) -> String {
    match progress {
        Progress::Ready => "ready".into(),
        Progress::Waiting(says) => format!("waiting: {says}"),
        Progress::Trouble(trouble) => {
            let lasting = if trouble.lasting { " for good" } else { "" };
            format!("{}{lasting}: {}", trouble.code, trouble.message)
        }
    }
}

fn check(object: &Value, under: &[Value], events: &[Value], expect: &str) {
    assert_eq!(line(&progress(&Scene { object, under, events, nodes: &[] })), expect);
}

/// A new pod with this status, and what is said of the rollout; an old pod beside it has troubles of its own, which do not matter.
fn check_pod(status: Value, events: &[(&str, &str)], expect: &str) {
    let object = rollout(json!({"replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}));
    let old = pod("cart-1", waits("ImagePullBackOff", "Back-off pulling image"));
    let under = [set("cart-1", 1), set("cart-2", 2), old, pod("cart-2", status)];
    let events: Vec<_> = events.iter().map(|(reason, message)| event("cart-2-x", reason, message)).collect();
    check(&object, &under, &events, expect);
}

#[test]
fn a_rollout_is_ready_when_kubectl_would_say_so() {
    let full = |updated: u32, all: u32, available: u32| {
        rollout(json!({"replicas": all, "updatedReplicas": updated, "availableReplicas": available}))
    };
    check(&full(2, 2, 2), &[], &[], "ready");
    check(&full(1, 3, 2), &[], &[], "waiting: 1 of 2 new pods are made");
    check(&full(2, 3, 3), &[], &[], "waiting: 1 old pods are still to go");
    check(&full(2, 2, 1), &[], &[], "waiting: 1 of 2 new pods are available");
    let mut unseen = full(2, 2, 2);
    unseen["metadata"]["generation"] = json!(3);
    check(&unseen, &[], &[], "waiting: the controller has not seen it yet");
    let mut none = full(0, 0, 0);
    none["spec"]["replicas"] = json!(0);
    check(&none, &[], &[], "ready");
}

#[test]
fn an_image_that_does_not_come_is_told_in_the_registrys_words() {
    let pulled = "Failed to pull image \"shop/cart:2\": rpc error: code = NotFound desc = failed to pull and unpack image \
                  \"docker.io/shop/cart:2\": failed to resolve reference: docker.io/shop/cart:2: not found";
    check_pod(
        waits("ImagePullBackOff", "Back-off pulling image \"shop/cart:2\""),
        &[("Failed", pulled), ("Failed", "Error: ImagePullBackOff")],
        "kube.image for good: container app of pod cart-2-x has no image: shop/cart:2 cannot be pulled: failed to pull and unpack \
         image \"docker.io/shop/cart:2\": failed to resolve reference: docker.io/shop/cart:2: not found",
    );
    check_pod(
        waits("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout"),
        &[],
        "kube.image: container app of pod cart-2-x has no image: shop/cart:2 cannot be pulled: dial tcp 10.0.0.1:443: i/o timeout",
    );
    check_pod(
        waits("InvalidImageName", "x"),
        &[],
        "kube.image for good: container app of pod cart-2-x: `shop/cart:2` is no image name",
    );
}

#[test]
fn a_container_that_ends_is_told_by_how_it_ended() {
    let ended = |restarts: u32, state: Value, last: Value| {
        json!({"containerStatuses": [{"name": "app", "image": "i", "ready": false, "restartCount": restarts,
            "state": state, "lastState": last}]})
    };
    let with = |code: u32, reason: &str| json!({"terminated": {"exitCode": code, "reason": reason}});
    let back_off = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}});
    check_pod(
        ended(3, back_off.clone(), with(1, "Error")),
        &[],
        "kube.crash-loop for good: container app of pod cart-2-x ended with code 1, and was started again 3 times",
    );
    check_pod(
        ended(1, json!({"running": {}}), with(1, "Error")),
        &[],
        "kube.crash-loop: container app of pod cart-2-x ended with code 1, and was started again once",
    );
    check_pod(
        ended(1, back_off.clone(), with(137, "OOMKilled")),
        &[],
        "kube.memory for good: container app of pod cart-2-x was killed for the memory it took, and was started again once",
    );
    check_pod(
        ended(2, back_off, with(0, "Completed")),
        &[("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500")],
        "kube.crash-loop for good: container app of pod cart-2-x ended with code 0, and was started again 2 times; Liveness probe \
         failed: HTTP probe failed with statuscode: 500",
    );
    // An init container that has done its work, before the others are made.
    check_pod(
        json!({"initContainerStatuses": [{"name": "init", "ready": true, "restartCount": 0,
            "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]}),
        &[],
        "waiting: 1 of 2 new pods are made",
    );
}

#[test]
fn a_probe_that_fails_is_quoted() {
    check_pod(
        json!({"containerStatuses": [{"name": "app", "ready": false, "restartCount": 0, "state": {"running": {}}}]}),
        &[("Unhealthy", "Readiness probe failed: Get \"http://10.244.0.9:80/healthz\": connection refused")],
        "kube.unready: container app of pod cart-2-x runs and is not ready: Readiness probe failed: Get \
         \"http://10.244.0.9:80/healthz\": connection refused",
    );
}

#[test]
fn what_a_pod_refers_to_and_is_not_there_is_named() {
    check_pod(
        waits("CreateContainerConfigError", "configmap \"cart\" not found"),
        &[],
        "kube.config for good: container app of pod cart-2-x cannot be configured: configmap \"cart\" not found",
    );
    check_pod(
        waits("ContainerCreating", ""),
        &[("FailedMount", "MountVolume.SetUp failed for volume \"conf\" : configmap \"cart\" not found")],
        "kube.mount for good: pod cart-2-x cannot mount a volume: MountVolume.SetUp failed for volume \"conf\" : configmap \
         \"cart\" not found",
    );
}

#[test]
fn a_pod_without_a_node_is_told_which_constraint_keeps_it() {
    let unscheduled = |message: &str| json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]});
    check_pod(
        unscheduled(
            "0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: 1 No preemption victims found \
             for incoming pod.",
        ),
        &[],
        "kube.unschedulable: pod cart-2-x has no node: 1 Insufficient memory",
    );
    check_pod(
        unscheduled(
            "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}. no new claims to deallocate",
        ),
        &[],
        "kube.unschedulable: pod cart-2-x has no node: 1 node(s) had untolerated taint {dedicated: gpu}",
    );
}

#[test]
fn a_taint_that_the_scheduler_does_not_name_is_named_by_the_nodes() {
    let node = |key: &str, value: &str, effect: &str| json!({"spec": {"taints": [{"key": key, "value": value, "effect": effect}]}});
    let nodes = [
        node("dedicated", "gpu", "NoSchedule"),
        node("dedicated", "gpu", "NoSchedule"),
        node("slow", "", "PreferNoSchedule"),
        node("old", "", "NoExecute"),
        node("ours", "yes", "NoSchedule"),
    ];
    let tolerations =
        json!([{"key": "ours", "operator": "Equal", "value": "yes"}, {"key": "dedicated", "value": "cpu"}]);
    let message = "0/5 nodes are available: 4 node(s) had untolerated taint(s). no new claims to deallocate";
    let mut object = pod(
        "cart-2",
        json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}),
    );
    object["spec"] = json!({"tolerations": tolerations});
    let scene = Scene { object: &object, under: &[], events: &[], nodes: &nodes };
    assert_eq!(
        line(&progress(&scene)),
        "kube.unschedulable: pod cart-2-x has no node: 4 node(s) had untolerated taint(s) (of 5 nodes: dedicated=gpu:NoSchedule on 2, \
         old:NoExecute on 1)"
    );
}

#[test]
fn a_controller_that_may_make_no_pod_says_who_forbids_it() {
    let refused = |message: &str| {
        rollout(json!({"replicas": 2, "updatedReplicas": 0, "availableReplicas": 2, "conditions":
            [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}]}))
    };
    check(
        &refused(
            "pods \"cart-2-x\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2",
        ),
        &[],
        &[],
        "kube.quota: Deployment cart cannot make a pod: pods \"cart-2-x\" is forbidden: exceeded quota: few, requested: pods=1, \
         used: pods=2, limited: pods=2",
    );
    check(
        &refused("admission webhook \"no.example.org\" denied the request: not on a Friday"),
        &[],
        &[],
        "kube.admission for good: Deployment cart cannot make a pod: admission webhook \"no.example.org\" denied the request: not \
         on a Friday",
    );
    let object = rollout(json!({"replicas": 2, "updatedReplicas": 0, "availableReplicas": 2}));
    let said = "Error creating: pods \"cart-2-\" is forbidden: error looking up service account shop/cart: serviceaccount \"cart\" \
                not found";
    check(
        &object,
        &[set("cart-2", 2)],
        &[event("cart-2", "FailedCreate", said)],
        &format!("kube.account for good: ReplicaSet cart-2 cannot make a pod: {said}"),
    );
    let said = "pods \"cart-2-\" is forbidden: error looking up service account new/default: serviceaccount \"default\" not found";
    check(
        &object,
        &[set("cart-2", 2)],
        &[event("cart-2", "FailedCreate", said)],
        &format!("kube.account: ReplicaSet cart-2 cannot make a pod: {said}"),
    );
}

#[test]
fn other_kinds_get_ready_in_their_own_way() {
    let of = |kind: &str, spec: Value, status: Value| json!({"kind": kind, "metadata": {"name": "x", "uid": "x"}, "spec": spec, "status": status});
    let stateful = of(
        "StatefulSet",
        json!({"replicas": 2}),
        json!({"readyReplicas": 2, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
    );
    check(&stateful, &[], &[], "waiting: 2 of 2 pods are ready, 1 are of the new revision");
    let daemon = json!({"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1});
    check(&of("DaemonSet", json!({}), daemon), &[], &[], "waiting: 1 of 2 nodes have it, 2 the new one");
    let failed = json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
        "message": "Job has reached the specified backoff limit"}]});
    check(
        &of("Job", json!({}), failed),
        &[],
        &[],
        "kube.job for good: job x failed: BackoffLimitExceeded: Job has reached the specified backoff limit",
    );
    let service = of("Service", json!({"selector": {"app": "x"}}), json!({}));
    let slice = |ready: bool| json!({"kind": "EndpointSlice", "endpoints": [{"conditions": {"ready": ready}}]});
    check(&service, &[], &[], "waiting: no pod has the labels that it selects");
    check(&service, &[slice(false)], &[], "waiting: none of its 1 pods is ready");
    check(&service, &[slice(false), slice(true)], &[], "ready");
    check(&of("ConfigMap", json!({}), json!({})), &[], &[], "ready");
    check(&of("Service", json!({"type": "ExternalName", "selector": {"app": "x"}}), json!({})), &[], &[], "ready");
    let defined = of("CustomResourceDefinition", json!({}), json!({}));
    check(&defined, &[], &[], "waiting: the API server does not serve it yet");
}

#[test]
fn jobs_claims_and_autoscalers_say_why() {
    let of = |kind: &str, spec: Value, status: Value| json!({"kind": kind, "metadata": {"name": "x", "uid": "x", "generation": 2}, "spec": spec, "status": status});
    let rows = [
        ("Job", json!({"conditions": [{"type": "Complete", "status": "True"}]}), "ready"),
        ("Job", json!({"succeeded": 2}), "waiting: 2 of its pods have ended well"),
        ("PersistentVolumeClaim", json!({"phase": "Bound"}), "ready"),
        ("PersistentVolumeClaim", json!({"phase": "Pending"}), "ready"),
        ("PersistentVolumeClaim", json!({"phase": "Lost"}), "kube.claim for good: claim x has lost its volume"),
        (
            "HorizontalPodAutoscaler",
            json!({"conditions": [{"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics"}]}),
            "kube.autoscaler: x cannot scale: no metrics",
        ),
        (
            "HorizontalPodAutoscaler",
            json!({"conditions": [{"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled", "message": "0 replicas"}]}),
            "ready",
        ),
        ("HorizontalPodAutoscaler", json!({}), "ready"),
        (
            "CustomResourceDefinition",
            json!({"conditions": [{"type": "Established", "status": "False", "message": "names conflict"}]}),
            "waiting: names conflict",
        ),
        ("Pod", json!({"phase": "Succeeded"}), "ready"),
        ("Pod", json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}), "ready"),
        ("Pod", json!({"phase": "Running"}), "waiting: it is not ready yet"),
        ("StatefulSet", json!({"observedGeneration": 1}), "waiting: the controller has not seen it yet"),
        ("DaemonSet", json!({"observedGeneration": 1}), "waiting: the controller has not seen it yet"),
        (
            "StatefulSet",
            json!({"observedGeneration": 2, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "a"}),
            "ready",
        ),
        (
            "DaemonSet",
            json!({"observedGeneration": 2, "desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1}),
            "ready",
        ),
    ];
    for (kind, status, expect) in rows {
        check(&of(kind, json!({}), status), &[], &[], expect);
    }
    // A job tries its pods again by itself.
    let job = of("Job", json!({}), json!({}));
    let crashing = pod("x", waits("CrashLoopBackOff", "back-off"));
    check(&job, &[crashing], &[], "kube.crash-loop: container app of pod x-x ended");
    let paused = |status: Value| of("Deployment", json!({"paused": true}), status);
    check(&paused(json!({"observedGeneration": 2})), &[], &[], "kube.paused: the rollout of x is paused");
    let late = json!({"observedGeneration": 2, "conditions": [{"type": "Progressing", "status": "False",
        "reason": "ProgressDeadlineExceeded", "message": "it has timed out progressing"}]});
    check(&of("Deployment", json!({}), late), &[], &[], "kube.deadline for good: it has timed out progressing");
}
