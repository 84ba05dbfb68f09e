//! Kinds, schemas, and kinds that are only just made.

use connect_kube::{DeleteOptions, KubeError, Resource};
use serde_json::{Value, json};

use crate::support::{MINUTE, admin, by, namespace, serving, until};

#[tokio::test]
async fn what_the_server_knows() {
    let (_serving, cluster) = (serving().await, admin());
    assert_eq!(cluster.version().await.expect("told").numbers().map(|(major, _)| major), Some(1));
    let kinds = cluster.kinds().await.expect("told");
    for (name, expect) in [
        ("deploy", "Deployment (apps/v1)"),
        ("po", "Pod (v1)"),
        ("events", "Event (v1)"),
        ("hpa", "HorizontalPodAutoscaler (autoscaling/v2)"),
        ("pdb", "PodDisruptionBudget (policy/v1)"),
        ("nodes", "Node (v1)"),
    ] {
        assert_eq!(kinds.named(name).map(|kind| kind.resource.to_string()).as_deref(), Some(expect));
    }
    let deployment = kinds.of("apps/v1", "Deployment").expect("there");
    assert!(
        deployment.subresources.iter().any(|name| name == "scale")
            && deployment.verbs.iter().any(|verb| verb == "patch")
    );
    // Version by version the server tells the same.
    let apps = cluster.kinds_of("apps/v1").await.expect("told").expect("there");
    for kind in &apps {
        let same = kinds.of("apps/v1", &kind.resource.kind).expect("known");
        let mut subresources = [same.subresources.clone(), kind.subresources.clone()];
        subresources.iter_mut().for_each(|names| names.sort());
        assert_eq!((&same.resource, &subresources[0]), (&kind.resource, &subresources[1]));
    }
    assert_eq!(cluster.kinds_of("apps/v9").await.expect("told"), None);

    let documents = cluster.openapi().await.expect("listed");
    let apps = documents.iter().find(|document| document.group_version == "apis/apps/v1").expect("there");
    assert!(!apps.hash.is_empty());
    let document: Value = serde_json::from_slice(&cluster.openapi_document(apps).await.expect("read")).expect("JSON");
    assert!(document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"].is_object());
}

fn definition(plural: &str, kind: &str) -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("{plural}.kube.example.org")}, "spec": {
        "group": "kube.example.org", "scope": "Namespaced", "names": {"plural": plural, "singular": kind.to_ascii_lowercase(), "kind": kind},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
            "properties": {"size": {"type": "integer", "maximum": 5}}, "x-kubernetes-validations": [{"rule": "self.size != 3", "message": "not three"}]}}}}}]}})
}

#[tokio::test]
async fn a_kind_is_not_there_until_it_is_established() {
    let (_serving, cluster) = (serving().await, admin());
    namespace(&cluster, "kube-definitions", json!({})).await;
    let definitions =
        Resource::cluster_wide("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions");
    for name in ["widgets", "widgetries"] {
        let at = definitions.at("", &format!("{name}.kube.example.org"));
        if cluster.delete_if_there(&at, &DeleteOptions::default()).await.expect("asked to go") {
            until("the old one is gone", async || Ok(cluster.get_if_there(&at).await?.is_none())).await;
        }
    }
    let widgets = Resource::namespaced("kube.example.org/v1", "Widget", "widgets");
    let widget = |size: u8| json!({"apiVersion": "kube.example.org/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": size}});
    let at = widgets.at("kube-definitions", "w");
    let early = cluster.apply(&at, &widget(1), &by("t")).await.expect_err("no such kind yet");
    assert!(matches!(&early, KubeError::NoSuchKind { .. }), "{early:?}");
    let unknown = cluster.wait_established("widgets.kube.example.org", "v1", MINUTE).await.expect_err("not even made");
    assert!(unknown.is_not_found(), "{unknown:?}");

    cluster.create(&definitions, "", &definition("widgets", "Widget"), &by("t")).await.expect("made");
    cluster.wait_established("widgets.kube.example.org", "v1", MINUTE).await.expect("established");
    assert!(cluster.apply(&at, &widget(1), &by("t")).await.expect("at once").created);
    let error = cluster.apply(&at, &widget(9), &by("t")).await.expect_err("too large");
    assert!(
        matches!(&error, KubeError::Invalid { causes, .. } if causes.iter().any(|cause| cause.field == "spec.size")),
        "{error:?}"
    );
    let error = cluster.apply(&at, &widget(3), &by("t")).await.expect_err("a rule");
    assert!(matches!(&error, KubeError::Invalid { said, .. } if said.message.contains("not three")), "{error:?}");

    // Another definition whose kind is taken never becomes established.
    cluster.create(&definitions, "", &definition("widgetries", "Widget"), &by("t")).await.expect("made");
    let taken = cluster.wait_established("widgetries.kube.example.org", "v1", MINUTE).await.expect_err("taken");
    assert!(taken.to_string().contains("its names are taken"), "{taken}");
    let never = cluster
        .wait_established("widgets.kube.example.org", "v2", std::time::Duration::from_secs(1))
        .await
        .expect_err("no such version");
    assert!(matches!(&never, KubeError::Timeout { .. }), "{never:?}");
}

#[tokio::test]
async fn events_of_one_object() {
    let (_serving, cluster) = (serving().await, admin());
    namespace(&cluster, "kube-events", json!({})).await;
    let pods = Resource::namespaced("v1", "Pod", "pods");
    // No node has so much: the scheduler says so.
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "large"}, "spec": {"containers": [{"name": "c", "image": "example.org/c:1", "resources": {"requests": {"cpu": "100000"}}}]}});
    let made = cluster.create(&pods, "kube-events", &pod, &by("t")).await.expect("made").object;
    let uid = made["metadata"]["uid"].as_str().expect("a uid").to_owned();
    let at = pods.at("kube-events", "large");
    until("the scheduler speaks", async || {
        Ok(cluster.events(&at, Some(&uid)).await?.iter().any(|event| event.reason == "FailedScheduling"))
    })
    .await;
    let events = cluster.events(&at, Some(&uid)).await.expect("listed");
    let failed = events.iter().find(|event| event.reason == "FailedScheduling").expect("there");
    assert_eq!(
        (failed.kind.as_str(), failed.source.as_str(), failed.object_uid.as_str()),
        ("Warning", "default-scheduler", uid.as_str())
    );
    assert!(failed.count >= 1 && failed.message.contains("nodes"), "{failed:?}");
    assert!(cluster.events(&at, Some("another")).await.expect("listed").is_empty());
    // The other face of the same records, for who may read only that.
    let new = cluster
        .list(
            &Resource::namespaced("events.k8s.io/v1", "Event", "events"),
            Some("kube-events"),
            &connect_kube::ListOptions::default(),
            100,
        )
        .await
        .expect("listed");
    assert!(
        new.iter()
            .map(connect_kube::Event::of)
            .any(|event| event.reason == "FailedScheduling" && event.message == failed.message)
    );
}
