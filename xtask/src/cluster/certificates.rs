//! The cluster's own authority and what it signs: one certificate for all servers, one for each client, and the key of service account tokens. Made by
//! `openssl`; good for two days. It does not know who uses them.

use super::instance::{Instance, NODE};
use crate::sh;

/// Clients: the file's name, and the subject that the API server takes for user and groups.
const CLIENTS: [(&str, &str); 7] = [
    ("admin", "/O=system:masters/CN=apm-admin"),
    ("apiserver", "/O=system:masters/CN=kube-apiserver"),
    ("controller-manager", "/CN=system:kube-controller-manager"),
    ("scheduler", "/CN=system:kube-scheduler"),
    ("kube-proxy", "/CN=system:kube-proxy"),
    ("kubelet", ""),
    ("viewer", "/O=apm-test/CN=viewer"),
];

/// Makes all that are missing.
pub(super) fn make(instance: &Instance) -> sh::Outcome {
    let ca = instance.path("pki/ca.crt");
    if instance.folder.join("pki/.done").is_file() {
        return Ok(());
    }
    let words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let key = instance.path("pki/ca.key");
    openssl(&[&words[..], &["-subj", "/CN=apm-test-ca", "-keyout", &key, "-out", &ca]].concat())?;
    let names = [
        "DNS:localhost",
        "DNS:kubernetes",
        "DNS:kubernetes.default",
        "DNS:kubernetes.default.svc",
        "DNS:kubernetes.default.svc.cluster.local",
        &format!("DNS:{NODE}"),
        "IP:127.0.0.1",
        &format!("IP:{}", instance.address()),
        &format!("IP:{}", instance.first_service()),
    ]
    .join(",");
    sign(instance, "server", "/CN=apm-test-server", &format!("extendedKeyUsage=serverAuth\nsubjectAltName={names}\n"))?;
    for (name, subject) in CLIENTS {
        let node = format!("/O=system:nodes/CN=system:node:{NODE}");
        let subject = if subject.is_empty() { &node } else { subject };
        sign(instance, name, subject, "extendedKeyUsage=clientAuth\n")?;
    }
    openssl(&["genrsa", "-out", &instance.path("pki/sa.key"), "2048"])?;
    openssl(&["rsa", "-in", &instance.path("pki/sa.key"), "-pubout", "-out", &instance.path("pki/sa.pub")])?;
    sh::write(&instance.folder.join("pki/.done"), "")
}

fn sign(instance: &Instance, name: &str, subject: &str, extensions: &str) -> sh::Outcome {
    let file = |ending: &str| instance.path(&format!("pki/{name}.{ending}"));
    sh::write(&instance.folder.join(format!("pki/{name}.cnf")), extensions)?;
    let words = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    openssl(&[&words[..], &["-subj", subject, "-keyout", &file("key"), "-out", &file("csr")]].concat())?;
    let (ca, key) = (instance.path("pki/ca.crt"), instance.path("pki/ca.key"));
    let words = ["x509", "-req", "-days", "2", "-CAcreateserial", "-CA", &ca, "-CAkey", &key];
    openssl(&[&words[..], &["-extfile", &file("cnf"), "-in", &file("csr"), "-out", &file("crt")]].concat())
}

fn openssl(words: &[&str]) -> sh::Outcome {
    sh::output(sh::program("openssl").args(words)).map(drop)
}
