//! The listener: TLS, HTTP/1.1 and HTTP/2, a limit on everything. Knows no pod.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base_world::World;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use operate_manifest::inject::{Admission, BODY_BYTES_MAX, review};
use rustls::crypto::aws_lc_rs::default_provider;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::certificate::Certificate;
use crate::{AdmissionError, Options};

const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// The API server waits no longer than this for an answer.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What is open when the end is asked for.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// A webhook that listens, and answers once it is served.
pub struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
    options: Arc<Options>,
    world: World,
    address: SocketAddr,
}

impl Server {
    /// Reads the certificate and listens.
    pub async fn bind(options: Options, world: World) -> Result<Server, AdmissionError> {
        let certificate = Arc::new(Certificate::open(&options, world.disk.as_ref())?);
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| AdmissionError::Tls(error.to_string()))?;
        let resolver: Arc<dyn rustls::server::ResolvesServerCert> = certificate.clone();
        let mut config = config.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let failed = |cause| AdmissionError::Listen { address: options.listen, cause };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Server { listener, acceptor, certificate, options: Arc::new(options), world, address })
    }

    /// Where it listens, with the port that was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is done.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let (certificate, options, world) = (self.certificate, Arc::clone(&self.options), self.world);
        let watch = tokio::spawn(look(certificate, options, world));
        let slots = u32::try_from(self.options.connections_max).unwrap_or(u32::MAX).max(1);
        let open = Arc::new(Semaphore::new(slots as usize));
        let admission = Arc::new(self.options.admission.clone());
        let (end, ended) = tokio::sync::watch::channel(false);
        let accepting = async {
            loop {
                let Ok(slot) = Arc::clone(&open).acquire_owned().await else { return };
                let stream = match self.listener.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of file descriptors, most likely: some will come back.
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                };
                let (acceptor, admission, ended) = (self.acceptor.clone(), Arc::clone(&admission), ended.clone());
                tokio::spawn(async move {
                    connection(stream, acceptor, admission, ended).await;
                    drop(slot);
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop => {}
        }
        watch.abort();
        // Nobody listens if no connection is open.
        let _ = end.send(true);
        let _ = tokio::time::timeout(DRAIN_MAX, open.acquire_many(slots)).await;
    }
}

/// Keeps the certificate fresh.
async fn look(certificate: Arc<Certificate>, options: Arc<Options>, world: World) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        every.tick().await;
        let (certificate, options, world) = (Arc::clone(&certificate), Arc::clone(&options), world.clone());
        let looked = tokio::task::spawn_blocking(move || certificate.look(&options, world.disk.as_ref())).await;
        match looked {
            Ok(Ok(true)) => tracing::info!("the certificate was read again"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the old certificate stays in force"),
            Err(error) => tracing::error!(%error, "the certificate could not be looked at"),
        }
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    admission: Arc<Admission>,
    mut ended: tokio::sync::watch::Receiver<bool>,
) {
    // Small answers, one at a time: waiting for more to send only costs.
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "no TLS"),
        Err(_) => return tracing::debug!("a handshake took too long"),
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(BODY_TIME_MAX).max_buf_size(64 << 10);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(256).keep_alive_interval(Some(BODY_TIME_MAX));
    let service = service_fn(move |request| {
        let admission = Arc::clone(&admission);
        async move { Ok::<_, Infallible>(answer(request, &admission).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let is_over = tokio::select! {
        result = connection.as_mut() => Some(result),
        _ = ended.wait_for(|ended| *ended) => None,
    };
    let result = match is_over {
        Some(result) => result,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke");
    }
}

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

async fn answer(request: Request<Incoming>, admission: &Admission) -> Response<Full<Bytes>> {
    let text = |status, text: String| reply(status, "text/plain; charset=utf-8", text);
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/healthz" | "/readyz") => return text(StatusCode::OK, "ok\n".to_owned()),
        (&Method::POST, _) => {}
        _ => return text(StatusCode::METHOD_NOT_ALLOWED, "POST an AdmissionReview\n".to_owned()),
    }
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let body = match tokio::time::timeout(BODY_TIME_MAX, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => {
            let status = match error.downcast_ref::<http_body_util::LengthLimitError>() {
                Some(_) => StatusCode::PAYLOAD_TOO_LARGE,
                None => StatusCode::BAD_REQUEST,
            };
            return text(status, format!("the body cannot be read ({BODY_BYTES_MAX} bytes at most): {error}\n"));
        }
        Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "the body took too long\n".to_owned()),
    };
    match review(&body, admission) {
        Ok(answer) => reply(StatusCode::OK, "application/json", answer.to_string()),
        Err(error) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}
