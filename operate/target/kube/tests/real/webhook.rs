//! An admission webhook on this machine that says no to everything: a real one to the API server, with a certificate made for it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use base_world::World;
use base64::Engine as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::rig::Rig;

pub(crate) const NAME: &str = "saturday.example.org";
pub(crate) const WORDS: &str = "not on a Saturday";

/// Starts it, and has the API server ask it about these in the rig's namespace; the name of the configuration.
pub(crate) fn refuse(rig: &Rig, operation: &str, group: &str, resource: &str) -> String {
    let description: Value = serde_json::from_slice(&read(&Rig::folder().join("cluster.json"))).expect("JSON");
    // Without a real node the API server is on loopback too.
    let machine = description["network"].as_u64().map_or("127.0.0.1".to_owned(), |network| format!("10.{network}.0.1"));
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = certificate(folder.path(), &machine);
    let key = read(&folder.path().join("key.pem"));
    let port = rig.block_on(serve(&machine, &certificate, &key));
    let namespace = json!({"name": rig.namespace, "labels": {"webhook": rig.namespace}});
    rig.make(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": namespace}));
    let name = format!("no-{}", rig.namespace);
    rig.make(&json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name}, "webhooks": [{
            "name": NAME, "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": 5,
            "clientConfig": {"url": format!("https://{machine}:{port}/"),
                "caBundle": base64::engine::general_purpose::STANDARD.encode(&certificate)},
            "namespaceSelector": {"matchLabels": {"webhook": rig.namespace}},
            "rules": [{"apiGroups": [group], "apiVersions": ["v1"], "operations": [operation], "resources": [resource]}]}]}));
    name
}

/// One that is its own authority.
fn certificate(folder: &Path, address: &str) -> Vec<u8> {
    let san = format!("subjectAltName=IP:{address}");
    let words = ["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=webhook", "-addext", &san];
    let files = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", "key.pem", "-out", "cert.pem"];
    let output = Command::new("openssl").current_dir(folder).args(words).args(files).stdin(Stdio::null()).output();
    let output = output.expect("openssl can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    read(&folder.join("cert.pem"))
}

fn read(path: &Path) -> Vec<u8> {
    World::real().disk.read(path, 1 << 20).expect("it is there")
}

/// Its port.
async fn serve(address: &str, certificate: &[u8], key: &[u8]) -> u16 {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("known");
    let chain = vec![CertificateDer::from_pem_slice(certificate).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(key).expect("a key");
    let config = config.with_no_client_auth().with_single_cert(chain, key).expect("they fit");
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind((address, 0)).await.expect("a port");
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
                "uid": asked["request"]["uid"], "allowed": false, "status": {"code": 403, "message": WORDS}}});
            let answer = answer.to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}
