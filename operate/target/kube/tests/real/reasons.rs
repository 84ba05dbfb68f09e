//! A version that cannot get ready is undone, and the reason that people are told is the true one.

use operate_execute::Status;
use serde_json::{Value, json};

use crate::rig::Rig;

/// The second version is changed so that it cannot work; what was there is there again, and somebody is told why.
fn check(namespace: &str, change: impl FnOnce(&mut Value), expect: &[&str]) {
    check_in(namespace, |_| {}, change, expect);
}

fn check_in(namespace: &str, world: impl FnOnce(&Rig), change: impl FnOnce(&mut Value), expect: &[&str]) {
    let rig = Rig::new(namespace);
    let (run, status) = rig.deploy(&rig.release("1"), &[]);
    assert_eq!(status, Status::Complete, "{}", rig.reason(&run));
    world(&rig);
    let before = rig.objects();
    let mut release = rig.release("2");
    release.ready_ms = 15_000;
    change(&mut release.items[3].body);
    let (run, status) = rig.deploy(&release, &[]);
    let reason = rig.reason(&run);
    assert_eq!(status, Status::RolledBack, "{reason}");
    for word in expect {
        assert!(reason.contains(word), "`{word}` is not in: {reason}");
    }
    rig.is_as(&before).unwrap_or_else(|why| panic!("{why}"));
}

fn container(body: &mut Value) -> &mut Value {
    &mut body["spec"]["template"]["spec"]["containers"][0]
}

#[test]
fn an_image_that_is_not_there() {
    let change = |body: &mut Value| container(body)["image"] = json!("127.0.0.1:1/nobody/has:1");
    check("image", change, &["has no image: 127.0.0.1:1/nobody/has:1 cannot be pulled"]);
}

#[test]
fn an_image_that_must_be_there_already() {
    let change = |body: &mut Value| {
        container(body)["image"] = json!("nobody/has:1");
        container(body)["imagePullPolicy"] = json!("Never");
    };
    check("never", change, &["kube.image", "forbids to fetch it"]);
}

#[test]
fn a_crash_loop_with_its_last_words() {
    let change = |body: &mut Value| {
        container(body)["command"] = json!(["sh", "-c", "echo cannot reach $VERSION; exit 3"]);
    };
    check("crash", change, &["kube.crash-loop", "ended with code 3", "its last words: cannot reach $VERSION"]);
}

#[test]
fn a_probe_that_fails() {
    let change = |body: &mut Value| container(body)["readinessProbe"]["httpGet"]["path"] = json!("/nowhere");
    check("probe", change, &["runs and is not ready", "Readiness probe failed", "404"]);
}

#[test]
fn resources_that_no_node_has() {
    let change = |body: &mut Value| container(body)["resources"] = json!({"requests": {"cpu": "900"}});
    check("cpu", change, &["has no node", "Insufficient cpu"]);
}

#[test]
fn a_taint_that_is_not_tolerated() {
    let change = |body: &mut Value| body["spec"]["template"]["spec"]["nodeSelector"] = json!({"type": "kwok"});
    // By whatever words the scheduler has for it, and by its name.
    check("taint", change, &["has no node", "untolerated taint", "kwok.x-k8s.io/node"]);
}

#[test]
fn an_affinity_that_no_node_has() {
    let change = |body: &mut Value| body["spec"]["template"]["spec"]["nodeSelector"] = json!({"disk": "none"});
    check("affinity", change, &["has no node", "node affinity/selector"]);
}

#[test]
fn a_quota_that_is_used_up() {
    let world = |rig: &Rig| {
        rig.make(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few", "namespace": rig.namespace},
            "spec": {"hard": {"pods": "2"}}}));
    };
    // A pod more before one less, which the quota does not allow.
    let change = |body: &mut Value| {
        body["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    };
    check_in("quota", world, change, &["exceeded quota: few"]);
}

#[test]
fn a_policy_that_refuses() {
    let change = |body: &mut Value| container(body)["securityContext"] = json!({"privileged": true});
    let world = |rig: &Rig| {
        rig.make(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": rig.namespace,
            "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}));
    };
    check_in("policy", world, change, &["violates PodSecurity", "kube.admission"]);
}

#[test]
fn a_config_map_that_is_missing() {
    let change = |body: &mut Value| container(body)["envFrom"][0]["configMapRef"]["name"] = json!("nowhere");
    check("config", change, &["kube.config", "configmap \"nowhere\" not found"]);
}

#[test]
fn a_secret_to_mount_that_is_missing() {
    let change = |body: &mut Value| {
        body["spec"]["template"]["spec"]["volumes"] = json!([{"name": "keys", "secret": {"secretName": "nowhere"}}]);
        container(body)["volumeMounts"] = json!([{"name": "keys", "mountPath": "/keys"}]);
    };
    check("mount", change, &["kube.mount", "secret \"nowhere\" not found"]);
}

#[test]
fn a_field_that_cannot_be_changed() {
    let change = |body: &mut Value| {
        body["spec"]["selector"]["matchLabels"]["tier"] = json!("web");
        body["spec"]["template"]["metadata"]["labels"]["tier"] = json!("web");
    };
    check("immutable", change, &["kube.invalid", "spec.selector", "field is immutable"]);
}
