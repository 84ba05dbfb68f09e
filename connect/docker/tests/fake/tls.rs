//! An engine behind TLS.

use std::path::PathBuf;

use connect_docker::{DockerError, Engine, Found, Place, TlsFiles};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An engine over TLS that asks for a certificate, with the authority and the keys of `tests/certificates`, which are good for nothing else.
#[tokio::test]
async fn tls_both_ways() {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let pem = |name: &str| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name);
        base_world::World::real().disk.read(&path, 1 << 16).expect("a file of this crate")
    };
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem("ca.pem")).expect("a certificate")).expect("good");
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .expect("one root");
    let chain = vec![CertificateDer::from_pem_slice(&pem("engine.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(&pem("engine-key.pem")).expect("a key");
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("known");
    let config = config.with_client_cert_verifier(clients).with_single_cert(chain, key).expect("they fit");
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                bytes.push(byte);
            }
            let body = r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let engine = |host: &str, ca: &str, identity: bool| {
        let identity = identity.then(|| (pem("client.pem"), pem("client-key.pem")));
        let tls = Some(TlsFiles { ca: pem(ca), identity });
        let place = Place::Tcp { host: host.into(), port, tls };
        Engine::new(Found { place, found_by: "the test".into() }).expect("good files")
    };
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(engine(host, "ca.pem", true).version().await.expect("it answers").version, "20.10.24");
    }
    assert!(engine("127.0.0.1", "ca.pem", false).version().await.is_err(), "no certificate of ours");
    let error = engine("127.0.0.1", "client.pem", true).version().await.expect_err("another authority");
    assert!(matches!(error, DockerError::NotReachable { .. }) && error.to_string().contains("certificate"), "{error}");
}
