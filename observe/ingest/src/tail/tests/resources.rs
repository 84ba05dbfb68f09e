//! Whose lines they are.

use serde_json::{Value, json};

use super::super::line::Stream;
use super::super::resource::Resource;
use super::super::{PodFacts, PodRef, TailSettings, facts_of, log_uids};

/// What is different from what the path says, by name: labels, then metadata.
fn check(pod: Value, expect: &[(&str, &str)]) {
    let facts = facts_of(&pod);
    let own = all(Some(&facts));
    let path = all(None);
    let said = own.iter().filter(|pair| !path.contains(pair)).map(|(name, value)| (name.as_str(), value.as_str()));
    assert_eq!(said.collect::<Vec<_>>(), expect, "{pod}");
}

fn all(facts: Option<&PodFacts>) -> Vec<(String, String)> {
    let pod = PodRef { namespace: "shop".into(), name: "web-1".into(), uid: "u".into() };
    let settings = TailSettings { node_name: "node-a".into(), ..TailSettings::default() };
    let resource = Resource::of(&pod, "web", facts, &settings);
    [resource.labels.clone(), resource.metadata(2, Some(Stream::Stdout))].concat()
}

#[test]
fn what_the_path_says() {
    let expect = [
        ("k8s_container_name", "web"),
        ("k8s_namespace_name", "shop"),
        ("k8s_pod_name", "web-1"),
        ("service_instance_id", "shop.web-1.web"),
        ("service_name", "web-1"),
        ("service_namespace", "shop"),
        ("k8s_container_restart_count", "2"),
        ("k8s_node_name", "node-a"),
        ("k8s_pod_uid", "u"),
        ("log_iostream", "stdout"),
    ];
    assert_eq!(all(None), expect.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn names_by_opentelemetrys_rules() {
    let owner = |kind: &str, name: &str| json!([{"kind": "Other", "name": "x"}, {"kind": kind, "name": name, "controller": true}]);
    let labels = json!({"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "web-eu", "pod-template-hash": "6d4c", "x": "y"});
    check(
        json!({"metadata": {"labels": labels, "ownerReferences": owner("ReplicaSet", "front-6d4c"),
            "annotations": {"resource.opentelemetry.io/service.name": "annotated", "resource.opentelemetry.io/team.name": "a", "z": "z"}},
            "spec": {"nodeName": "node-b", "containers": [{"name": "web", "image": "r:5000/web:1.2@sha256:0"}]}}),
        &[
            ("k8s_deployment_name", "front"),
            ("k8s_replicaset_name", "front-6d4c"),
            ("service_name", "annotated"),
            ("k8s_node_name", "node-b"),
            ("service_version", "1.2"),
            ("team_name", "a"),
        ],
    );
    let name = |labels: Value, owners: Value| {
        let facts = facts_of(&json!({"metadata": {"labels": labels, "ownerReferences": owners}}));
        let pairs = all(Some(&facts));
        pairs.into_iter().find(|(name, _)| name == "service_name").map(|(_, value)| value).expect("always")
    };
    for (labels, owners, expect) in [
        (labels.clone(), owner("ReplicaSet", "front-6d4c"), "web-eu"),
        (
            json!({"app.kubernetes.io/name": "web", "pod-template-hash": "6d4c"}),
            owner("ReplicaSet", "front-6d4c"),
            "web",
        ),
        (json!({"pod-template-hash": "6d4c"}), owner("ReplicaSet", "front-6d4c"), "front"),
        (json!({"pod-template-hash": "other"}), owner("ReplicaSet", "front-6d4c"), "front-6d4c"),
        (json!({}), owner("StatefulSet", "db"), "db"),
        (json!({}), owner("DaemonSet", "agent"), "agent"),
        (json!({}), owner("Job", "nightly-29384756"), "nightly"),
        (json!({}), owner("Job", "once"), "once"),
        (json!({}), owner("Node", "node-a"), "web-1"),
        (json!(7), json!("none"), "web-1"),
    ] {
        assert_eq!(name(labels, owners), expect);
    }
}

#[test]
fn a_container_that_sends_traces_has_their_name() {
    let env = json!([
        {"name": "OTEL_SERVICE_NAME", "value": "checkout"},
        {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "service.version=7,k8s.pod.uid=$(UID), deployment.environment.name=prod,"},
    ]);
    check(
        json!({"metadata": {"labels": {"app.kubernetes.io/name": "other", "app.kubernetes.io/version": "6"}},
            "spec": {"containers": [{"name": "web", "image": "web", "env": env}]}}),
        &[("deployment_environment_name", "prod"), ("service_name", "checkout"), ("service_version", "7")],
    );
    check(
        json!({"spec": {"initContainers": [{"name": "web", "image": "web@sha256:0"}]}}),
        &[("service_version", "sha256:0")],
    );
    check(json!({"spec": {"containers": [{"name": "web", "image": "localhost:5000/web"}]}}), &[]);
}

#[test]
fn annotations_that_leave_logs_alone_and_uids() {
    for (annotations, expect) in
        [(json!({"apm.dev/logs": "false"}), true), (json!({"apm.dev/logs": "true"}), false), (json!(null), false)]
    {
        assert_eq!(facts_of(&json!({"metadata": {"annotations": annotations}})).opted_out, expect);
    }
    assert_eq!(
        log_uids(&json!({"metadata": {"uid": "a", "annotations": {"kubernetes.io/config.hash": "b"}}})),
        ["a", "b"]
    );
    assert_eq!(log_uids(&json!({})), [""; 0]);
}
