//! Connections to one upstream: kept HTTP/1.1 ones, one shared h2 one. Does not choose upstreams and retries nothing.

use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;

use crate::body::Outbound;
use crate::upstream::Target;

/// Unused connections kept for one upstream.
const IDLE_MAX: usize = 256;
/// Shorter than the keep-alive of usual servers (Node 5 s), so that we are the first to let go.
const IDLE_NS_MAX: u64 = 4_000_000_000;

#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
    h2: Mutex<Option<http2::SendRequest<Outbound>>>,
    /// One at a time opens the shared connection; the others wait for it.
    h2_opening: tokio::sync::Mutex<()>,
}

struct Idle {
    sender: http1::SendRequest<Outbound>,
    since_ns: u64,
}

/// A connection that can take a request.
pub(crate) enum Connection {
    Http1 { sender: http1::SendRequest<Outbound>, reused: bool },
    H2 { sender: http2::SendRequest<Outbound>, reused: bool },
}

impl Connection {
    pub(crate) fn is_reused(&self) -> bool {
        match self {
            Connection::Http1 { reused, .. } | Connection::H2 { reused, .. } => *reused,
        }
    }
}

impl Pool {
    /// A kept connection, the one used last first.
    fn take(&self, now_ns: u64) -> Option<http1::SendRequest<Outbound>> {
        let mut idle = self.idle.lock();
        // Sorted by age, as each is pushed when it is given back.
        let stale = idle.partition_point(|one| now_ns.saturating_sub(one.since_ns) > IDLE_NS_MAX);
        idle.drain(..stale);
        let ready = idle.iter().rposition(|one| one.sender.is_ready())?;
        let found = idle.remove(ready);
        // Whoever is not ready now is closed, or still sends a body whose answer came early.
        idle.retain(|one| !one.sender.is_closed());
        Some(found.sender)
    }

    pub(crate) fn give_back(&self, sender: http1::SendRequest<Outbound>, now_ns: u64) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.len() >= IDLE_MAX {
            idle.remove(0);
        }
        idle.push(Idle { sender, since_ns: now_ns });
    }

    /// Lets go of what nobody used for a while; called now and then.
    pub(crate) fn expire(&self, now_ns: u64) {
        self.idle.lock().retain(|one| !one.sender.is_closed() && now_ns.saturating_sub(one.since_ns) <= IDLE_NS_MAX);
    }

    pub(crate) fn close_idle(&self) {
        self.idle.lock().clear();
        // Streams that run keep their own handle; the connection ends after the last of them.
        *self.h2.lock() = None;
    }

    pub(crate) fn idle_count(&self) -> usize {
        self.idle.lock().len()
    }
}

impl Target {
    /// A connection for the next request: kept, or new.
    pub(crate) async fn connection(&self, h2: bool, now_ns: u64, timeout: Duration) -> Result<Connection, String> {
        if h2 {
            return self.h2(timeout).await;
        }
        if let Some(sender) = self.pool.take(now_ns) {
            return Ok(Connection::Http1 { sender, reused: true });
        }
        let stream = self.connect(timeout).await?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(64 << 10).max_headers(128);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let name = self.name.clone();
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(upstream = name, %error, "a connection ended badly");
            }
        });
        Ok(Connection::Http1 { sender, reused: false })
    }

    async fn h2(&self, timeout: Duration) -> Result<Connection, String> {
        let kept = || self.pool.h2.lock().clone().filter(|sender| !sender.is_closed());
        if let Some(sender) = kept() {
            return Ok(Connection::H2 { sender, reused: true });
        }
        let _turn = self.pool.h2_opening.lock().await;
        if let Some(sender) = kept() {
            return Ok(Connection::H2 { sender, reused: true });
        }
        let stream = self.connect(timeout).await?;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .max_header_list_size(64 << 10);
        let handshake = tokio::time::timeout(timeout, builder.handshake(TokioIo::new(stream))).await;
        let (sender, connection) = match handshake {
            Ok(done) => done.map_err(|error| error.to_string())?,
            Err(_) => return Err(format!("no h2 handshake within {} ms", timeout.as_millis())),
        };
        let name = self.name.clone();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(upstream = name, %error, "an h2 connection ended badly");
            }
        });
        if !self.is_retired() {
            *self.pool.h2.lock() = Some(sender.clone());
        }
        Ok(Connection::H2 { sender, reused: false })
    }
}
