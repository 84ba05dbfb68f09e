//! Kinds, told at once or group by group.

use connect_kube::Kinds;
use serde_json::json;

use crate::server::{Fake, answer, ok};

fn check(kinds: &Kinds, name: &str, expect: Option<&str>) {
    assert_eq!(kinds.named(name).map(|kind| kind.resource.to_string()).as_deref(), expect, "{name}");
}

#[tokio::test]
async fn told_at_once() {
    let served = |plural: &str, singular: &str, kind: &str, scope: &str, short: &[&str]| {
        json!({"resource": plural, "responseKind": {"group": "", "version": "", "kind": kind},
        "scope": scope, "singularResource": singular, "shortNames": short, "verbs": ["get", "list"], "subresources": [{"subresource": "status"}]})
    };
    let core = json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"creationTimestamp": null}, "versions": [{"version": "v1", "freshness": "Current", "resources": [
        served("pods", "pod", "Pod", "Namespaced", &["po"]), served("events", "event", "Event", "Namespaced", &["ev"]), served("nodes", "node", "Node", "Cluster", &["no"])]}]}]});
    let groups = json!({"kind": "APIGroupDiscoveryList", "items": [
        {"metadata": {"name": "apps"}, "versions": [
            {"version": "v1", "resources": [served("deployments", "deployment", "Deployment", "Namespaced", &["deploy"])]},
            {"version": "v1beta1", "resources": [served("deployments", "deployment", "Deployment", "Namespaced", &["deploy"])]}]},
        {"metadata": {"name": "events.k8s.io"}, "versions": [{"version": "v1", "resources": [served("events", "event", "Event", "Namespaced", &[])]}]},
        {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1", "freshness": "Stale", "resources": []}]}]});
    let mut fake = Fake::new(vec![ok(&core), ok(&groups)]).await;
    let kinds = fake.cluster().kinds().await.expect("told");
    assert!(
        fake.request()
            .await
            .header("accept")
            .is_some_and(|accept| accept.starts_with("application/json;g=apidiscovery.k8s.io;v=v2;"))
    );

    check(&kinds, "deploy", Some("Deployment (apps/v1)"));
    check(&kinds, "Deployment", Some("Deployment (apps/v1)"));
    check(&kinds, "deployments.apps", Some("Deployment (apps/v1)"));
    check(&kinds, "deployments.v1beta1.apps", Some("Deployment (apps/v1beta1)"));
    check(&kinds, "events", Some("Event (v1)"));
    check(&kinds, "events.events.k8s.io", Some("Event (events.k8s.io/v1)"));
    check(&kinds, "po.v1", Some("Pod (v1)"));
    check(&kinds, "deployments.batch", None);
    check(&kinds, "widgets", None);
    assert_eq!(kinds.silent, ["metrics.k8s.io/v1"]);
    assert!(kinds.of("v1", "Node").is_some_and(|node| !node.resource.namespaced && node.subresources == ["status"]));
    assert!(kinds.preferred("apps", "Deployment").is_some_and(|kind| kind.preferred && kind.resource.version == "v1"));
    assert!(kinds.of("apps/v1beta1", "Deployment").is_some_and(|kind| !kind.preferred));
}

#[tokio::test]
async fn told_group_by_group() {
    let mut fake = Fake::new(vec![
        ok(&json!({"kind": "APIVersions", "versions": ["v1"]})),
        ok(&json!({"kind": "APIResourceList", "resources": [{"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": ["get"], "shortNames": ["po"]},
            {"name": "pods/log", "namespaced": true, "kind": "Pod", "verbs": ["get"]}]})),
        ok(&json!({"kind": "APIGroupList", "groups": [{"name": "metrics.k8s.io", "versions": [{"version": "v1beta1"}], "preferredVersion": {"version": "v1beta1"}}]})),
        answer("503 Service Unavailable", "", "service unavailable"),
    ])
    .await;
    let kinds = fake.cluster().kinds().await.expect("told");
    check(&kinds, "po", Some("Pod (v1)"));
    assert_eq!(kinds.kinds[0].subresources, ["log"]);
    assert_eq!(kinds.silent, ["metrics.k8s.io/v1beta1"]);
    let mut asked = Vec::new();
    for _ in 0..4 {
        asked.push(fake.request().await.line().to_owned());
    }
    assert_eq!(asked, ["GET /api", "GET /api/v1", "GET /apis", "GET /apis/metrics.k8s.io/v1beta1"]);
}

#[tokio::test]
async fn openapi_stays_on_our_server() {
    let list = json!({"paths": {"apis/apps/v1": {"serverRelativeURL": "/openapi/v3/apis/apps/v1?hash=AB12"}, "evil": {"serverRelativeURL": "@evil.example.org/x"}}});
    let mut fake = Fake::new(vec![ok(&list), answer("200 OK", "", "{\"openapi\":\"3.0.0\"}")]).await;
    let cluster = fake.cluster();
    let documents = cluster.openapi().await.expect("listed");
    assert_eq!((documents[0].group_version.as_str(), documents[0].hash.as_str()), ("apis/apps/v1", "AB12"));
    fake.request().await;
    for (document, line) in documents.iter().zip(["GET /openapi/v3/apis/apps/v1?hash=AB12", "GET /@evil.example.org/x"])
    {
        assert_eq!(&cluster.openapi_document(document).await.expect("read")[..], b"{\"openapi\":\"3.0.0\"}");
        assert_eq!(fake.request().await.line(), line);
    }
}
