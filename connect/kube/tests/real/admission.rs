//! Those who may refuse what is well-formed: roles, quotas, policies, webhooks, pod security, budgets.

use std::sync::Arc;

use base_world::World;
use base64::Engine as _;
use connect_kube::{AccessQuestion, Admission, DeleteOptions, KubeError, ListOptions, Resource};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{admin, by, cluster_by, config_map, config_maps, kubeconfig, namespace, refused, serving, until};

#[tokio::test]
async fn a_missing_right_is_named() {
    let _serving = serving().await;
    let viewer = cluster_by(kubeconfig("viewer"));
    let secrets = Resource::namespaced("v1", "Secret", "secrets");
    let error = viewer.list(&secrets, Some("default"), &ListOptions::default(), 10).await.expect_err("not his");
    let KubeError::Permission { denied, .. } = &error else { panic!("{error:?}") };
    assert_eq!(denied.to_string(), "`viewer` may not list secrets in namespace `default`");
    assert_eq!(
        error.hint().as_deref(),
        Some("ask for a role that allows it; `kubectl auth can-i list secrets -n default` shows whether it does")
    );
    let deployments = Resource::namespaced("apps/v1", "Deployment", "deployments");
    let error = viewer.list(&deployments, None, &ListOptions::default(), 10).await.expect_err("only one namespace");
    assert!(
        matches!(&error, KubeError::Permission { denied, .. } if denied.to_string() == "`viewer` may not list deployments.apps in the cluster"),
        "{error:?}"
    );
    viewer.list(&deployments, Some("default"), &ListOptions::default(), 10).await.expect("his");

    for (verb, expect) in [("list", true), ("create", false)] {
        let access = viewer.may(&AccessQuestion::new(verb, &deployments, Some("default"))).await.expect("asked");
        assert_eq!(access.allowed, expect, "{verb}");
    }
    let rules = viewer.rules("default").await.expect("asked");
    assert!(rules.rules.iter().any(|rule| rule.resources.iter().any(|resource| resource == "configmaps")), "{rules:?}");
}

#[tokio::test]
async fn a_quota_is_named() {
    let (_serving, cluster) = (serving().await, admin());
    namespace(&cluster, "kube-quota", json!({})).await;
    let quotas = Resource::namespaced("v1", "ResourceQuota", "resourcequotas");
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"count/secrets": "0"}}});
    cluster.create(&quotas, "kube-quota", &quota, &by("t")).await.expect("made");
    let at = quotas.at("kube-quota", "few");
    until("the quota is counted", async || Ok(cluster.get(&at).await?["status"]["hard"].is_object())).await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
    let secrets = Resource::namespaced("v1", "Secret", "secrets");
    let error = cluster.create(&secrets, "kube-quota", &secret, &by("t")).await.expect_err("too many");
    assert!(matches!(&error, KubeError::QuotaExceeded { quota, .. } if quota == "few"), "{error:?}");
}

#[tokio::test]
async fn a_policy_is_named() {
    let (_serving, cluster) = (serving().await, admin());
    namespace(&cluster, "kube-policy", json!({"policy": "on"})).await;
    let policies = Resource::cluster_wide(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
    );
    let bindings = Resource::cluster_wide(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
    );
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "no-bad"}, "spec": {
        "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]},
        "validations": [{"expression": "!has(object.data) || !('bad' in object.data)", "message": "nothing bad here"}]}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "no-bad-here"}, "spec": {
        "policyName": "no-bad", "validationActions": ["Deny"], "matchResources": {"namespaceSelector": {"matchLabels": {"policy": "on"}}}}});
    cluster.apply(&policies.at("", "no-bad"), &policy, &by("t")).await.expect("made");
    cluster.apply(&bindings.at("", "no-bad-here"), &binding, &by("t")).await.expect("made");
    let bad = config_map("bad", &json!({"bad": "yes"}));
    let attempt = async || cluster.create(&config_maps(), "kube-policy", &bad, &by("t").dry()).await.map(drop);
    let error =
        refused("the policy is in force", attempt, |error| matches!(error, KubeError::AdmissionRefused { .. })).await;
    let KubeError::AdmissionRefused { by: Admission::Policy { name, binding }, said, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((name.as_str(), binding.as_str()), ("no-bad", "no-bad-here"));
    assert!(said.message.contains("nothing bad here"), "{said}");
    cluster.delete(&bindings.at("", "no-bad-here"), &DeleteOptions::default()).await.expect("gone");
    cluster.delete(&policies.at("", "no-bad"), &DeleteOptions::default()).await.expect("gone");
}

fn pem(name: &str) -> Vec<u8> {
    let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name);
    World::real().disk.read(&path, 1 << 16).expect("a file of this crate")
}

/// A webhook on this machine that says no to everything; its port.
async fn webhook() -> u16 {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("known");
    let chain = vec![CertificateDer::from_pem_slice(&pem("server.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(&pem("server-key.pem")).expect("a key");
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(
        config.with_no_client_auth().with_single_cert(chain, key).expect("they fit"),
    ));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            let _ = stream.read_exact(&mut body).await;
            let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
            let answer = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
                "uid": asked["request"]["uid"], "allowed": false, "status": {"code": 418, "message": "not on a Saturday"}}});
            let answer = answer.to_string();
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

#[tokio::test]
async fn a_webhook_is_named_whether_it_refuses_or_is_silent() {
    let (_serving, cluster) = (serving().await, admin());
    namespace(&cluster, "kube-webhook", json!({"webhook": "on"})).await;
    let hooks = Resource::cluster_wide(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
    )
    .at("", "no-saturdays");
    let authority = base64::engine::general_purpose::STANDARD.encode(pem("ca.pem"));
    let hook = |port: u16| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "no-saturdays"}, "webhooks": [{
        "name": "saturday.example.org", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": 5,
        "clientConfig": {"url": format!("https://localhost:{port}/"), "caBundle": authority},
        "namespaceSelector": {"matchLabels": {"webhook": "on"}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]}]})
    };
    let attempt = async || {
        cluster.create(&config_maps(), "kube-webhook", &config_map("a", &json!({})), &by("t").dry()).await.map(drop)
    };

    cluster.apply(&hooks, &hook(webhook().await), &by("t")).await.expect("made");
    let is_it = |error: &KubeError| matches!(error, KubeError::AdmissionRefused { by: Admission::Webhook { name }, said, .. } if name == "saturday.example.org" && said.message.contains("not on a Saturday"));
    let error = refused("the webhook refuses", attempt, is_it).await;
    assert!(!error.is_transient() && error.status() == Some(418), "{error:?}");

    // Nobody listens on port 1.
    cluster.apply(&hooks, &hook(1), &by("t")).await.expect("exchanged");
    let is_it = |error: &KubeError| matches!(error, KubeError::AdmissionRefused { by: Admission::WebhookSilent { name }, .. } if name == "saturday.example.org");
    let error = refused("the webhook is silent", attempt, is_it).await;
    assert!(error.is_transient(), "{error:?}");
    cluster.delete(&hooks, &DeleteOptions::default()).await.expect("gone");
}

#[tokio::test]
async fn pod_security_and_budgets_are_told_apart() {
    let (_serving, cluster) = (serving().await, admin());
    namespace(&cluster, "kube-security", json!({"pod-security.kubernetes.io/enforce": "restricted"})).await;
    let pods = Resource::namespaced("v1", "Pod", "pods");
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "example.org/c:1"}]}});
    let error = cluster.create(&pods, "kube-security", &pod, &by("t")).await.expect_err("not restricted");
    assert!(
        matches!(&error, KubeError::AdmissionRefused { by: Admission::PodSecurity { level }, .. } if level == "restricted:latest"),
        "{error:?}"
    );

    namespace(&cluster, "kube-budget", json!({})).await;
    cluster.create(&pods, "kube-budget", &pod, &by("t")).await.expect("made");
    let at = pods.at("kube-budget", "web");
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let running = json!({"status": {"phase": "Running", "conditions": [condition("Ready")]}});
    let status = connect_kube::WriteOptions { subresource: Some("status".into()), ..by("t") };
    cluster.patch(&at, &connect_kube::Patch::Merge(running), &status).await.expect("pretended");
    let budgets = Resource::namespaced("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets");
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "all"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    cluster.create(&budgets, "kube-budget", &budget, &by("t")).await.expect("made");
    let budget = budgets.at("kube-budget", "all");
    until("the budget is counted", async || Ok(cluster.get(&budget).await?["status"]["currentHealthy"] == 1)).await;
    let error = cluster.evict(&at, &DeleteOptions::default()).await.expect_err("the last one");
    assert!(matches!(&error, KubeError::DisruptionBudget { .. }), "{error:?}");
    cluster.delete(&budget, &DeleteOptions::default()).await.expect("gone");
    cluster.evict(&at, &DeleteOptions { grace_s: Some(0), ..DeleteOptions::default() }).await.expect("evicted");
}
