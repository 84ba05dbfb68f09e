//! Server-side apply, the other ways of writing, and what the server says to bad objects.

use connect_kube::{Cause, DeleteOptions, FieldConflict, KubeError, Patch, Resource, WriteOptions};
use serde_json::{Value, json};

use crate::support::{admin, by, config_map, config_maps, namespace, serving};

fn deployments() -> Resource {
    Resource::namespaced("apps/v1", "Deployment", "deployments")
}

fn deployment(spec: Value) -> Value {
    let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"schedulerName": "nobody", "containers": [{"name": "web", "image": "example.org/web:1"}]}}}});
    for (key, value) in spec.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    object
}

#[tokio::test]
async fn two_managers_of_one_field() {
    let (_serving, cluster) = (serving().await, admin());
    namespace(&cluster, "kube-apply", json!({})).await;
    let web = deployments().at("kube-apply", "web");
    let tried = cluster.apply(&web, &deployment(json!({"replicas": 1})), &by("first").dry()).await.expect("tried out");
    assert!(tried.created && tried.object["metadata"]["uid"].is_string());
    assert_eq!(cluster.get_if_there(&web).await.expect("asked"), None, "a dry run leaves nothing");

    assert!(cluster.apply(&web, &deployment(json!({"replicas": 1})), &by("first")).await.expect("made").created);
    assert!(!cluster.apply(&web, &deployment(json!({"replicas": 1})), &by("first")).await.expect("the same").created);
    let error = cluster.apply(&web, &deployment(json!({"replicas": 2})), &by("second")).await.expect_err("the first's");
    let KubeError::Conflict { fields, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*fields, [FieldConflict { manager: "first".into(), field: ".spec.replicas".into() }]);
    assert!(error.hint().is_some_and(|hint| hint.contains("other manager")));

    let taken =
        cluster.apply(&web, &deployment(json!({"replicas": 2})), &by("second").forced()).await.expect("taken over");
    assert_eq!(taken.object["spec"]["replicas"], 2);
    // Whoever edits by patch is a manager too.
    cluster.patch(&web, &Patch::Merge(json!({"spec": {"paused": true}})), &by("editor")).await.expect("edited");
    let error =
        cluster.apply(&web, &deployment(json!({"paused": false})), &by("first")).await.expect_err("the editor's");
    assert!(matches!(&error, KubeError::Conflict { fields, .. } if fields[0].manager == "editor"), "{error:?}");

    let scale = cluster.set_scale(&web, 3, &by("scaler")).await.expect("scaled");
    assert_eq!((scale.replicas, scale.selector.as_str()), (3, "app=web"));
    assert_eq!(cluster.scale(&web).await.expect("asked"), scale);
}

#[tokio::test]
async fn states_that_are_not_as_expected() {
    let (_serving, cluster) = (serving().await, admin());
    namespace(&cluster, "kube-states", json!({})).await;
    let at = config_maps().at("kube-states", "a");
    let made = cluster
        .create(&config_maps(), "kube-states", &config_map("a", &json!({"x": "1"})), &by("t"))
        .await
        .expect("made");
    let again = cluster.create(&config_maps(), "kube-states", &config_map("a", &json!({})), &by("t")).await;
    assert!(matches!(again, Err(KubeError::AlreadyExists { .. })), "{again:?}");
    cluster
        .patch(&at, &Patch::Json(json!([{"op": "replace", "path": "/data/x", "value": "2"}])), &by("t"))
        .await
        .expect("patched");
    let old = cluster.replace(&at, &made.object, &by("t")).await;
    assert!(matches!(&old, Err(KubeError::Conflict { fields, .. }) if fields.is_empty()), "{old:?}");
    let test =
        cluster.patch(&at, &Patch::Json(json!([{"op": "test", "path": "/data/x", "value": "1"}])), &by("t")).await;
    assert!(matches!(test, Err(KubeError::Invalid { .. })), "{test:?}");
    let other = DeleteOptions { uid: Some("another".into()), ..DeleteOptions::default() };
    let other = cluster.delete(&at, &other).await;
    assert!(matches!(&other, Err(KubeError::Conflict { fields, .. }) if fields.is_empty()), "{other:?}");
    let uid = made.object["metadata"]["uid"].as_str().map(str::to_owned);
    cluster.delete(&at, &DeleteOptions { uid, ..DeleteOptions::default() }).await.expect("deleted");
    let gone = cluster.get(&at).await;
    assert!(matches!(&gone, Err(KubeError::NotFound { .. })), "{gone:?}");
    assert!(!cluster.delete_if_there(&at, &DeleteOptions::default()).await.expect("not there is fine"));
    let nowhere = cluster.create(&config_maps(), "no-such-namespace", &config_map("a", &json!({})), &by("t")).await;
    assert!(
        matches!(&nowhere, Err(KubeError::NotFound { said, .. }) if said.message.contains("no-such-namespace")),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn bad_objects_are_told_field_by_field() {
    let (_serving, cluster) = (serving().await, admin());
    namespace(&cluster, "kube-bad", json!({})).await;
    let web = deployments().at("kube-bad", "web");
    let bad = deployment(
        json!({"replicas": -1, "template": {"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [{"name": "Web_1"}]}}}),
    );
    let error = cluster.apply(&web, &bad, &by("t")).await.expect_err("bad");
    let KubeError::Invalid { causes, .. } = &error else { panic!("{error:?}") };
    let has =
        |field: &str, reason: &str| causes.iter().any(|cause: &Cause| cause.field == field && cause.reason == reason);
    assert!(has("spec.replicas", "FieldValueInvalid"), "{causes:?}");
    assert!(has("spec.template.metadata.labels", "FieldValueInvalid"), "{causes:?}");
    assert!(has("spec.template.spec.containers[0].image", "FieldValueRequired"), "{causes:?}");

    let error = cluster
        .create(&deployments(), "kube-bad", &deployment(json!({"replica": 1})), &by("t"))
        .await
        .expect_err("unknown");
    assert!(matches!(&error, KubeError::Invalid { said, .. } if said.message.contains("spec.replica")), "{error:?}");
    let lax = WriteOptions { strict: false, ..by("t") };
    let written =
        cluster.create(&deployments(), "kube-bad", &deployment(json!({"replica": 1})), &lax).await.expect("made");
    assert!(written.warnings.iter().any(|warning| warning.contains("spec.replica")), "{:?}", written.warnings);
    let error = cluster
        .apply(&web, &deployment(json!({"selector": {"matchLabels": {"app": "b"}}})), &by("t").forced())
        .await
        .expect_err("immutable");
    assert!(matches!(&error, KubeError::Invalid { .. }), "{error:?}");
}

/// The server quotes what it does not understand.
#[tokio::test]
async fn data_of_a_secret_is_not_told() {
    let (_serving, cluster) = (serving().await, admin());
    namespace(&cluster, "kube-secret", json!({})).await;
    let secrets = Resource::namespaced("v1", "Secret", "secrets");
    for (data, hidden) in [
        (json!({"stringData": {"a": 47114711}}), "47114711"),
        (json!({"data": {"a": "hunter2hunter2!"}}), "hunter2"),
        (json!({"stringData": {"hunter2/": "x"}, "data": ["hunter2hunter2"]}), "hunter2hunter2"),
    ] {
        let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
        for (key, value) in data.as_object().expect("a map") {
            object[key] = value.clone();
        }
        let applied = cluster.apply(&secrets.at("kube-secret", "s"), &object, &by("t")).await.expect_err("bad");
        let created = cluster.create(&secrets, "kube-secret", &object, &by("t")).await.expect_err("bad");
        for error in [applied, created] {
            assert!(!format!("{error} {error:?}").contains(hidden), "{error:?}");
        }
    }
}
