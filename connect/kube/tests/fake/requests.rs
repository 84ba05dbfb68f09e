//! What is sent, to the letter.

use connect_kube::{
    AccessQuestion, DeleteOptions, ListOptions, LogOptions, Patch, Propagation, Resource, WriteOptions,
};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

use crate::server::{Asked, Fake, answer, ok, pods};

fn deployments() -> Resource {
    Resource::namespaced("apps/v1", "Deployment", "deployments")
}

fn check(asked: &Asked, line: &str, content_type: Option<&str>, body: Value) {
    assert_eq!(asked.line(), line);
    assert_eq!(asked.header("content-type"), content_type);
    if !body.is_null() {
        assert_eq!(asked.json(), body);
    }
}

#[tokio::test]
async fn writes() {
    let mut fake = Fake::new(vec![
        answer("201 Created", "warning: 299 - \"apps/v0 is \\\"old\\\"\"\r\n", "{}"),
        ok(&json!({"kind": "Status"})),
    ])
    .await;
    let (cluster, web) = (fake.cluster(), deployments().at("shop", "web"));
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
    let apm = WriteOptions::by("apm");

    let written = cluster.apply(&web, &object, &apm.clone().dry()).await.expect("applied");
    assert!(written.created);
    assert_eq!(written.warnings, ["apps/v0 is \"old\""]);
    let path = "/apis/apps/v1/namespaces/shop/deployments";
    let asked = fake.request().await;
    let line = format!("PATCH {path}/web?fieldManager=apm&fieldValidation=Strict&dryRun=All&force=false");
    check(&asked, &line, Some("application/apply-patch+yaml"), object.clone());

    cluster.apply(&web, &object, &apm.clone().forced()).await.expect("applied");
    assert!(fake.request().await.line().ends_with("&force=true"));

    cluster.create(&deployments(), "shop", &object, &apm).await.expect("made");
    let line = format!("POST {path}?fieldManager=apm&fieldValidation=Strict");
    check(&fake.request().await, &line, Some("application/json"), object.clone());

    let status = WriteOptions { subresource: Some("status".into()), strict: false, ..apm.clone() };
    cluster.replace(&web, &object, &status).await.expect("replaced");
    check(
        &fake.request().await,
        &format!("PUT {path}/web/status?fieldManager=apm&fieldValidation=Warn"),
        Some("application/json"),
        object,
    );

    for (patch, content_type) in [
        (Patch::Json(json!([{"op": "test"}])), "application/json-patch+json"),
        (Patch::Merge(json!({"a": 1})), "application/merge-patch+json"),
        (Patch::Strategic(json!({"a": 1})), "application/strategic-merge-patch+json"),
    ] {
        cluster.patch(&web, &patch, &apm).await.expect("patched");
        check(
            &fake.request().await,
            &format!("PATCH {path}/web?fieldManager=apm&fieldValidation=Strict"),
            Some(content_type),
            Value::Null,
        );
    }

    let only = DeleteOptions {
        uid: Some("u".into()),
        version: Some("7".into()),
        propagation: Propagation::Foreground,
        grace_s: Some(5),
        dry_run: true,
    };
    cluster.delete(&web, &only).await.expect("deleted");
    let body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground", "gracePeriodSeconds": 5, "dryRun": ["All"],
        "preconditions": {"uid": "u", "resourceVersion": "7"}});
    check(&fake.request().await, &format!("DELETE {path}/web"), Some("application/json"), body);

    cluster.set_scale(&web, 3, &apm).await.expect("scaled");
    check(
        &fake.request().await,
        &format!("PATCH {path}/web/scale?fieldManager=apm&fieldValidation=Strict"),
        Some("application/merge-patch+json"),
        json!({"spec": {"replicas": 3}}),
    );

    cluster.evict(&pods().at("shop", "web-1"), &DeleteOptions::default()).await.expect("evicted");
    let asked = fake.request().await;
    assert_eq!(asked.line(), "POST /api/v1/namespaces/shop/pods/web-1/eviction");
    assert_eq!(asked.json()["metadata"], json!({"namespace": "shop", "name": "web-1"}));
}

#[tokio::test]
async fn reads() {
    let list = |next: &str| {
        ok(&json!({"metadata": {"resourceVersion": "7", "continue": next}, "items": [{"metadata": {"name": "a"}}]}))
    };
    let mut fake = Fake::new(vec![list("n e/xt"), list(""), ok(&json!({"items": null}))]).await;
    let cluster = fake.cluster();
    let options = ListOptions { labels: Some("app=web,tier!=x".into()), page: Some(1), ..ListOptions::default() };
    let found = cluster.list(&pods(), None, &options, 10).await.expect("listed");
    // Items come without kind and version.
    assert_eq!(found, [json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}), found[1].clone()]);
    assert_eq!(fake.request().await.line(), "GET /api/v1/pods?labelSelector=app%3Dweb%2Ctier%21%3Dx&limit=1");
    assert_eq!(
        fake.request().await.line(),
        "GET /api/v1/pods?labelSelector=app%3Dweb%2Ctier%21%3Dx&limit=1&continue=n+e%2Fxt"
    );
    assert!(cluster.list(&pods(), Some("shop"), &ListOptions::default(), 10).await.expect("none").is_empty());

    let fake = Fake::new(vec![list("more")]).await;
    let error = fake.cluster().list(&pods(), None, &options, 3).await.expect_err("without end");
    assert!(error.to_string().contains("more than 3 objects"), "{error}");
}

#[tokio::test]
async fn logs() {
    let long = "x".repeat(300 << 10);
    let text = format!("2026-11-21T20:00:00.000000001Z one\n2026-11-21T20:00:01Z {long}\nlast");
    let mut fake = Fake::new(vec![answer("200 OK", "", &text)]).await;
    let options = LogOptions {
        container: Some("web".into()),
        previous: true,
        tail: Some(9),
        since_time: Some("2026-11-21T20:00:00Z".into()),
        ..LogOptions::default()
    };
    let lines: Vec<_> = fake
        .cluster()
        .logs(&pods().at("shop", "web-1"), &options)
        .await
        .expect("open")
        .try_collect()
        .await
        .expect("read");
    assert_eq!(
        fake.request().await.line(),
        "GET /api/v1/namespaces/shop/pods/web-1/log?timestamps=true&container=web&previous=true&sinceTime=2026-11-21T20%3A00%3A00Z&tailLines=9"
    );
    let shape: Vec<_> = lines.iter().map(|line| (line.at.as_str(), line.text.len(), line.goes_on)).collect();
    let piece = (256 << 10) - "2026-11-21T20:00:01Z ".len();
    let rest = (300 << 10) - piece;
    assert_eq!(
        shape,
        [
            ("2026-11-21T20:00:00.000000001Z", 3, false),
            ("2026-11-21T20:00:01Z", piece, true),
            ("", rest, false),
            ("", 4, false)
        ]
    );
}

#[tokio::test]
async fn reviews() {
    let mut fake = Fake::new(vec![
        ok(&json!({"status": {"allowed": false, "evaluationError": "webhook down"}})),
        ok(&json!({"status": {"resourceRules": [{"verbs": ["*"], "apiGroups": [""], "resources": ["pods"]}], "incomplete": true}})),
    ])
    .await;
    let cluster = fake.cluster();
    let question = AccessQuestion {
        subresource: Some("scale".into()),
        ..AccessQuestion::new("patch", &deployments(), Some("shop"))
    };
    let access = cluster.may(&question).await.expect("asked");
    assert!(!access.allowed && access.evaluation_error == "webhook down");
    let asked = fake.request().await;
    assert_eq!(asked.line(), "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
    assert_eq!(
        asked.json()["spec"]["resourceAttributes"],
        json!({"verb": "patch", "group": "apps", "version": "v1", "resource": "deployments", "subresource": "scale", "namespace": "shop"})
    );
    let rules = cluster.rules("shop").await.expect("asked");
    assert!(rules.incomplete && rules.rules[0].resources == ["pods"]);
}
