//! A client's connection: who it is, its place among those allowed, and its bytes on their way to the parser.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Release},
};
use std::task::{Context as Poller, Poll, ready};
use std::time::Duration;

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Sleep;

use crate::framing::Framing;
use crate::metrics::Metrics;

/// A connected client; kept by its connection, and by the tunnel that may follow it.
pub(crate) struct Client {
    /// The address as it goes into `X-Forwarded-For`.
    pub(crate) peer: HeaderValue,
    tunnel: AtomicBool,
    _place: OwnedSemaphorePermit,
    _open: OpenOne,
}

impl Client {
    pub(crate) fn new(peer: IpAddr, place: OwnedSemaphorePermit, open: OpenOne) -> Arc<Self> {
        let peer = HeaderValue::from_str(&peer.to_canonical().to_string());
        let peer = peer.unwrap_or(HeaderValue::from_static("unknown"));
        Arc::new(Client { peer, tunnel: AtomicBool::new(false), _place: place, _open: open })
    }

    /// From now on its bytes are no HTTP.
    pub(crate) fn is_tunnel(&self) {
        self.tunnel.store(true, Release);
    }
}

/// Connections and tunnels that have not ended.
#[derive(Default)]
pub(crate) struct Open {
    count: AtomicU64,
    ended: Notify,
}

pub(crate) struct OpenOne {
    open: Arc<Open>,
    metrics: Arc<Metrics>,
}

impl Open {
    pub(crate) fn one(self: &Arc<Self>, metrics: &Arc<Metrics>) -> OpenOne {
        self.count.fetch_add(1, AcqRel);
        metrics.connections.fetch_add(1, AcqRel);
        metrics.connections_total.fetch_add(1, AcqRel);
        OpenOne { open: self.clone(), metrics: metrics.clone() }
    }

    pub(crate) async fn none(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.count.load(Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for OpenOne {
    fn drop(&mut self) {
        self.metrics.connections.fetch_sub(1, AcqRel);
        if self.open.count.fetch_sub(1, AcqRel) == 1 {
            self.open.ended.notify_waiters();
        }
    }
}

/// The bytes of an HTTP client, judged as they come; a head that dawdles is given up.
pub(crate) struct Judged {
    stream: TcpStream,
    client: Arc<Client>,
    framing: Framing,
    head_timeout: Duration,
    /// For a client that does not read what it asked for.
    write_timeout: Duration,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl Judged {
    pub(crate) fn new(stream: TcpStream, client: Arc<Client>, head_timeout: Duration, write_timeout: Duration) -> Self {
        let framing = Framing::default();
        Judged { stream, client, framing, head_timeout, write_timeout, reading: None, writing: None }
    }
}

impl Judged {
    /// A write that waits for the client to read, but not for ever: it holds an upstream.
    fn or_too_slow(&mut self, cx: &mut Poller<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let timeout = self.write_timeout;
        let timer = self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for Judged {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Poller<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buf) else {
            if !this.framing.in_head() {
                this.reading = None;
                return Poll::Pending;
            }
            // Counted from the head's first byte, not from its latest: a byte a second is no progress.
            let timeout = this.head_timeout;
            let timer = this.reading.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head took too long")));
        };
        read?;
        if this.client.tunnel.load(Acquire) {
            this.framing.pass_all();
        }
        this.framing.follow(buf.filled_mut().get_mut(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Judged {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Poller<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.or_too_slow(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Poller<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.or_too_slow(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
