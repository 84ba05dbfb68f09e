//! A client that says an AdmissionReview over TLS, and the certificates of other rooms' tests, which are good for nothing else.

use std::path::PathBuf;
use std::sync::Arc;

use base_world::World;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};

fn file(room: &str, name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../connect").join(room).join("tests/certificates");
    World::real().disk.read(&path.join(name), 1 << 16).expect("a file of a room's tests")
}

/// Certificate and key as PEM, and the certificate as it is shown; of `kube` or `docker`.
pub(crate) fn certificate(room: &str) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let name = if room == "kube" { "server" } else { "engine" };
    let chain = file(room, &format!("{name}.pem"));
    let shown = CertificateDer::from_pem_slice(&chain).expect("a certificate").to_vec();
    (chain, file(room, &format!("{name}-key.pem")), shown)
}

/// A review of a pod that gets an agent.
pub(crate) fn body() -> Vec<u8> {
    let env = json!([{"name": "LOG_LEVEL", "value": "info"}]);
    let container = json!({"name": "app", "image": "python:3.12", "env": env, "ports": [{"containerPort": 8080}]});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cart-1", "labels": {"app": "cart"}}, "spec": {"containers": [container]}});
    let request = json!({"uid": "u", "operation": "CREATE", "namespace": "shop", "object": pod});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string().into_bytes()
}

/// One connection, for one review after another.
pub(crate) struct Client {
    send: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
    /// What the server showed.
    #[allow(dead_code, reason = "the bench does not look at it")]
    pub(crate) certificate: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(port: u16) -> std::io::Result<Client> {
        let mut roots = rustls::RootCertStore::empty();
        for room in ["kube", "docker"] {
            roots.add(CertificateDer::from_pem_slice(&file(room, "ca.pem")).expect("a certificate")).expect("good");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("known");
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let stream = connector.connect(ServerName::try_from("localhost").expect("a name"), stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = shown.map(|one| one.to_vec()).unwrap_or_default();
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (send, connection) = handshake.map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok(Client { send, certificate })
    }

    /// Status and answer; null where it is no JSON.
    pub(crate) async fn post(&mut self, body: &[u8]) -> Result<(u16, Value), hyper::Error> {
        let request =
            http::Request::post("/inject").header("host", "localhost").header("content-type", "application/json");
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request");
        self.send.ready().await?;
        let response = self.send.send_request(request).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}
