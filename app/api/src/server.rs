//! Listeners and connections: HTTP/1 and h2c on one port, with limits on headers, idle time and the number of connections.
//!
//! `handle` takes any byte stream, so TLS is one more `accept` between the socket and it. Knows nothing of routes.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::http::header::RETRY_AFTER;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// What one listener allows.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// At most so many at once; a further one waits in the system's queue.
    pub connections: usize,
    /// For the whole head of a request, the wait for it on an open connection included.
    pub header_timeout: Duration,
    /// After a stop: how long running requests may take to end.
    pub drain_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            connections: 2000,
            header_timeout: Duration::from_secs(23),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Serves until `stop` turns true, then ends what runs within the drain time.
pub async fn serve(listener: TcpListener, router: Router, limits: ConnectionLimits, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    while !*stop.borrow() {
        while connections.try_join_next().is_some() {}
        let permit = tokio::select! {
            permit = permits.clone().acquire_owned() => permit,
            _ = stop.changed() => break,
        };
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, Peer(address.ip())),
            Err(error) => {
                // Out of file descriptors, mostly: accepting again at once would spin.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (router, limits, stop) = (router.clone(), limits.clone(), stop.clone());
        connections.spawn(async move {
            handle(stream, peer, router, &limits, stop).await;
            drop(permit);
        });
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain_timeout, drained).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
}

/// Who is at the other end of a connection; every request carries it among its extensions. A proxy hides those behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// One connection, over whatever carries its bytes.
pub(crate) async fn handle<S>(
    stream: S,
    peer: Peer,
    router: Router,
    limits: &ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(256)
        .max_header_list_size(64 << 10);
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// A router that answers 503 until the real one is there.
#[derive(Clone, Default)]
pub struct Gate(Arc<OnceLock<Router>>);

impl Gate {
    /// From now on requests go to `router`.
    pub fn open(&self, router: Router) {
        // A second router would be a mistake of ours; the first one stays.
        let _ = self.0.set(router);
    }

    pub fn router(&self) -> Router {
        let inner = self.0.clone();
        Router::new().fallback(move |request: axum::extract::Request| {
            let inner = inner.clone();
            async move {
                match inner.get() {
                    Some(router) => router.clone().oneshot(request).await.into_response(),
                    None if request.uri().path() == "/-/healthy" => "apm is Healthy.\n".into_response(),
                    None => (
                        StatusCode::SERVICE_UNAVAILABLE,
                        [(RETRY_AFTER, "1")],
                        "apm is not ready: it replays its log\n",
                    )
                        .into_response(),
                }
            }
        })
    }
}
