//! An API server in this process that answers what it is told to, plain or over TLS.

use std::path::PathBuf;
use std::sync::Arc;

use base_world::World;
use connect_kube::{Cluster, Found, Resource};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// What the fake does with a request.
#[derive(Clone)]
pub(crate) enum Do {
    /// Writes these bytes and closes.
    Write(Vec<u8>),
    /// Writes these bytes and never goes on.
    Stay(Vec<u8>),
    /// Writes a head, then this chunk again and again.
    Endless(Vec<u8>),
    /// One byte after the other.
    Dribble(Vec<u8>),
}

/// A request: its head and its body.
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Asked {
    /// `GET /version`
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a body in JSON")
    }
}

/// An answer with its length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Do {
    let length = body.len();
    Do::Write(
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
            .into_bytes(),
    )
}

pub(crate) fn ok(body: &Value) -> Do {
    answer("200 OK", "", &body.to_string())
}

/// A stream of these lines.
pub(crate) fn lines(lines: &[Value]) -> Vec<u8> {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{lines}").into_bytes()
}

/// The same, and the connection breaks in the middle of what would come next.
pub(crate) fn broken(lines: &[Value]) -> Do {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    Do::Write(
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{text}\r\nff\r\nhalf", text.len())
            .into_bytes(),
    )
}

pub(crate) struct Fake {
    pub(crate) port: u16,
    pub(crate) asked: UnboundedReceiver<Asked>,
}

impl Fake {
    /// Answers in the order given, the last one for ever; a connection each.
    pub(crate) async fn new(answers: Vec<Do>) -> Self {
        Self::start(answers, None).await
    }

    /// The same over TLS, for `api.example.org`; it takes certificates of clients and wants none.
    pub(crate) async fn tls(answers: Vec<Do>) -> Self {
        Self::start(answers, Some(acceptor())).await
    }

    async fn start(answers: Vec<Do>, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (tell, asked) = unbounded_channel();
        tokio::spawn(async move {
            let mut next = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream: Box<dyn Duplex> = match &tls {
                    None => Box::new(stream),
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => Box::new(stream),
                        Err(_) => continue,
                    },
                };
                let Some(request) = read(&mut stream).await else { continue };
                let _ = tell.send(request);
                let what = answers[next.min(answers.len() - 1)].clone();
                next += 1;
                tokio::spawn(async move { play(&mut stream, what).await });
            }
        });
        Self { port, asked }
    }

    pub(crate) fn cluster(&self) -> Cluster {
        Cluster::new(Found::at(&format!("http://127.0.0.1:{}", self.port), "the test"), World::real())
    }

    pub(crate) async fn request(&mut self) -> Asked {
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), self.asked.recv()).await;
        next.expect("asked within 20 s").expect("it goes on as long as the test")
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let mut asked = Asked { head: String::from_utf8_lossy(&bytes).into_owned(), body: String::new() };
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Some(asked)
}

async fn play(stream: &mut (impl AsyncWrite + AsyncRead + Unpin), what: Do) {
    match what {
        Do::Write(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Do::Stay(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.flush().await;
            // Until the client leaves.
            let _ = stream.read_u8().await;
        }
        Do::Endless(chunk) => {
            let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(head).await;
            while stream.write_all(&chunk).await.is_ok() {}
        }
        Do::Dribble(bytes) => {
            for byte in bytes {
                if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_micros(200)).await;
            }
            let _ = stream.shutdown().await;
        }
    }
}

pub(crate) fn certificate(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

/// With the authority and keys of `tests/certificates`, which are good for nothing else.
fn acceptor() -> tokio_rustls::TlsAcceptor {
    let pem = |name: &str| World::real().disk.read(&certificate(name), 1 << 16).expect("a file of this crate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem("ca.pem")).expect("a certificate")).expect("good");
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let clients = clients.allow_unauthenticated().build().expect("one root");
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("known");
    let chain = vec![CertificateDer::from_pem_slice(&pem("server.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(&pem("server-key.pem")).expect("a key");
    let config = config.with_client_cert_verifier(clients).with_single_cert(chain, key).expect("they fit");
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

pub(crate) fn pods() -> Resource {
    Resource::namespaced("v1", "Pod", "pods")
}
