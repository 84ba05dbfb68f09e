//! The kubeconfigs: for the parts, and for those who test clients: an administrator by certificate, one by a token, one by an exec plugin whose tokens
//! end soon, and a user who may only look, and only at one namespace. It does not know who reads them.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::image::BUSYBOX;
use super::instance::Instance;
use super::up::{kubectl, program};
use crate::sh;

/// The service account of the token and the plugin.
const TESTER: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata: {name: tester, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: apm-tester}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: tester, namespace: kube-system}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: apm-viewer, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: viewer}]
";

/// Prints a token that ends after `$1` seconds: signed with the key the API server signs with, which itself gives none shorter than ten minutes.
const PLUGIN: &str = r#"#!/bin/sh
set -eu
now=$(date +%s)
end=$((now + ${1:-30}))
encode() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
claims='{"iss":"https://kubernetes.default.svc","aud":["https://kubernetes.default.svc"],"sub":"system:serviceaccount:kube-system:tester"'
claims="$claims,\"iat\":$now,\"nbf\":$now,\"exp\":$end"
claims="$claims,\"kubernetes.io\":{\"namespace\":\"kube-system\",\"serviceaccount\":{\"name\":\"tester\",\"uid\":\"UID\"}}}"
body=$(printf '{"alg":"RS256","typ":"JWT"}' | encode).$(printf '%s' "$claims" | encode)
token=$body.$(printf '%s' "$body" | openssl dgst -sha256 -sign 'KEY' | encode)
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s","expirationTimestamp":"%s"}}\n' \
    "$token" "$(date -u -d "@$end" +%Y-%m-%dT%H:%M:%SZ)"
"#;

/// Where the kubeconfig of a user is.
pub(super) fn path(instance: &Instance, user: &str) -> PathBuf {
    instance.folder.join("kubeconfig").join(user)
}

/// The kubeconfigs that need certificates only.
pub(super) fn make(instance: &Instance) -> sh::Outcome {
    for user in ["admin", "viewer", "controller-manager", "scheduler", "kube-proxy", "kubelet"] {
        let (certificate, key) = (format!("pki/{user}.crt"), format!("pki/{user}.key"));
        let credential = json!({
            "client-certificate-data": data(instance, &certificate)?,
            "client-key-data": data(instance, &key)?,
        });
        write(instance, user, &credential)?;
    }
    Ok(())
}

/// The two that need the API server: with a token of ten minutes, renewed by each `up`, and with the plugin.
pub(super) fn make_tokens(instance: &Instance) -> sh::Outcome {
    let manifest = instance.folder.join("users.yaml");
    sh::write(&manifest, TESTER)?;
    sh::output(kubectl(instance)?.args(["apply", "-f"]).arg(&manifest))?;
    let account = ["-n", "kube-system", "get", "serviceaccount", "tester", "-o", "jsonpath={.metadata.uid}"];
    let uid = sh::output(kubectl(instance)?.args(account))?;
    let token =
        sh::output(kubectl(instance)?.args(["-n", "kube-system", "create", "token", "tester", "--duration", "10m"]))?;
    write(instance, "token", &json!({ "token": token }))?;
    let plugin = instance.folder.join("kubeconfig/plugin.sh");
    sh::write(&plugin, &PLUGIN.replace("UID", &uid).replace("KEY", &instance.path("pki/sa.key")))?;
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
        "command": "sh", "args": [plugin.display().to_string(), "30"],
    });
    write(instance, "exec", &json!({ "exec": exec }))
}

/// What a person does with it.
pub(super) fn advice(instance: &Instance) -> sh::Outcome<String> {
    let admin = path(instance, "admin");
    let mut advice = format!(
        "export KUBECONFIG={}\n{} get nodes\nother users beside it: token (10 minutes), exec (30 seconds a token), viewer (may look at `default`)",
        admin.display(),
        program("kubectl")?.display()
    );
    if instance.has_node() {
        let (pods, services, here) = (instance.pods(), instance.services(), instance.gateway());
        advice += &format!(
            "\npods ({pods}) and services ({services}) can be reached from here; pods reach this machine at {here}"
        );
        advice += &format!("\nan image is there: {BUSYBOX}; others come in by `cargo xtask cluster load`");
    }
    Ok(advice)
}

fn data(instance: &Instance, file: &str) -> sh::Outcome<String> {
    Ok(STANDARD.encode(sh::read(&instance.folder.join(file))?))
}

fn write(instance: &Instance, user: &str, credential: &Value) -> sh::Outcome {
    let name = format!("apm-{}", instance.name);
    // JSON is YAML.
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{ "name": name, "cluster": {
            "server": instance.server(), "certificate-authority-data": data(instance, "pki/ca.crt")?,
        } }],
        "users": [{ "name": user, "user": credential }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": user } }],
    });
    sh::write(&path(instance, user), &format!("{config:#}\n"))
}
