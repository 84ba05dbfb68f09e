//! Reviews as the API server sends them.

use base64::Engine as _;
use serde_json::{Value, json};

use super::super::{Admission, FailurePolicy, InjectSettings, review};
use super::{object, pod};

fn answer(operation: &str, object: &Value, admission: &Admission) -> Value {
    let request = json!({"uid": "u-1", "operation": operation, "namespace": "shop", "object": object});
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
    let answer = review(body.to_string().as_bytes(), admission).expect("a review");
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["response"]["uid"], "u-1");
    answer["response"].clone()
}

#[test]
fn a_pod_gets_a_patch_once() {
    let before = pod(&json!({}), &json!({"name": "a", "image": "python:3"}));
    let admission = Admission::default();
    let response = answer("CREATE", &before, &admission);
    assert_eq!((&response["allowed"], &response["patchType"]), (&json!(true), &json!("JSONPatch")));
    let patch = base64::engine::general_purpose::STANDARD.decode(response["patch"].as_str().expect("text"));
    let patch: Value = serde_json::from_slice(&patch.expect("base64")).expect("JSON");
    assert!(
        patch.as_array().expect("a list").iter().any(|op| op["path"] == "/metadata/annotations/apm.dev~1injected"),
        "{patch}"
    );
    let after = object(&before, &InjectSettings::default());
    for (operation, object) in [("CREATE", &after), ("UPDATE", &before), ("DELETE", &Value::Null)] {
        assert_eq!(answer(operation, object, &admission)["patch"], Value::Null, "{operation}");
    }
}

#[test]
fn what_cannot_be_injected_is_warned_of_or_refused() {
    let from = json!([{"name": "PYTHONPATH", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]);
    let bad = pod(&json!({}), &json!({"name": "a", "image": "python:3", "env": from}));
    let check = |failure_policy, dry_run, object: &Value, allowed: bool, expect: &str| {
        let admission = Admission { failure_policy, dry_run, ..Admission::default() };
        let response = answer("CREATE", object, &admission);
        assert_eq!(response["allowed"], allowed, "{response}");
        assert!(response["patch"].is_null() && response.to_string().contains(expect), "{response}");
    };
    check(FailurePolicy::Ignore, false, &bad, true, "no telemetry injected: container `a` takes PYTHONPATH");
    check(FailurePolicy::Fail, false, &bad, false, "telemetry cannot be injected");
    check(FailurePolicy::Fail, true, &bad, true, "no telemetry injected");
    let good = pod(&json!({}), &json!({"name": "a", "image": "python:3"}));
    check(FailurePolicy::Fail, true, &good, true, "would inject telemetry");
}

#[test]
fn what_is_no_review_is_an_error() {
    for body in [
        "",
        "{",
        "[]",
        "{\"kind\":\"AdmissionReview\"}",
        "{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"kind\":\"AdmissionReview\",\"request\":{\"uid\":\"u\"}}",
    ] {
        assert!(review(body.as_bytes(), &Admission::default()).is_err(), "{body}");
    }
}
