//! A running front: its listeners, the connections on them, and its end. It does not look into requests.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base_world::World;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Semaphore, watch};

use crate::control::Client as ControlClient;
use crate::control::server::{self, Control};
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::proxy::{self, Context};
use crate::state::{self, StateError};
use crate::stream::{Client, Judged, Open};
use crate::tcp;

/// What a front is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// `HOST:PORT`; port 0 takes any.
    pub listen: String,
    /// The path of the control socket.
    pub control: PathBuf,
    /// Where the set in force is kept.
    pub state: PathBuf,
    /// Raw TCP instead of HTTP.
    pub tcp: bool,
    /// Also serve `/metrics` here.
    pub metrics: Option<String>,
    pub limits: Limits,
}

/// What a client and an upstream are allowed.
#[derive(Clone, Debug)]
pub struct Limits {
    pub connections_max: usize,
    /// Of one request.
    pub body_bytes_max: u64,
    /// Of one request's head.
    pub header_bytes_max: usize,
    pub headers_max: usize,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// A client's connection without a request.
    pub keep_alive_timeout: Duration,
    /// A client of whose body nothing comes, or that does not read its answer.
    pub client_idle_timeout: Duration,
    pub connect_timeout: Duration,
    /// From a request's last byte to the head of its answer.
    pub response_timeout: Duration,
    /// An answer of which nothing comes.
    pub upstream_idle_timeout: Duration,
    /// What is open when the front is told to end.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_max: 10_000,
            body_bytes_max: u64::MAX,
            header_bytes_max: 64 << 10,
            headers_max: 100,
            header_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(75),
            client_idle_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(60),
            upstream_idle_timeout: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    #[error("`{listen}` is no address to listen on")]
    Address { listen: String, source: io::Error },
    #[error("the port of {listen} is taken; another front or program holds it (`ss -ltnp` names it)")]
    PortTaken { listen: String },
    #[error("the front cannot listen on {listen}")]
    Listen { listen: String, source: io::Error },
    #[error("another front (pid {pid}) answers on {}; it serves {listen}", path.display())]
    ControlTaken { path: PathBuf, pid: u32, listen: String },
    #[error("the control socket {} cannot be made", path.display())]
    Control { path: PathBuf, source: io::Error },
    #[error(transparent)]
    State(#[from] StateError),
}

/// A front that serves until it is stopped or dropped.
pub struct Front {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    /// Somebody said so over the control socket.
    end: watch::Receiver<bool>,
    open: Arc<Open>,
    drain_timeout: Duration,
    control: PathBuf,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Front {
    /// Takes the ports and comes up with the state that was kept last.
    pub async fn start(world: World, options: Options) -> Result<Self, FrontError> {
        let kept = state::read(&world, &options.state)?.unwrap_or_default();
        nobody_answers(&options.control).await?;
        let listener = bind(&options.listen).await?;
        let metrics_listener = match &options.metrics {
            Some(listen) => Some(bind(listen).await?),
            None => None,
        };
        // Last, so that a start that fails leaves no socket behind.
        let control = control_socket(&options.control)?;
        let listening = |source| FrontError::Listen { listen: options.listen.clone(), source };
        let address = listener.local_addr().map_err(listening)?;
        let metrics_address = metrics_listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let metrics = Arc::new(Metrics::default());
        let fleet = Fleet::new(world.clone(), metrics.clone());
        fleet.exchange(kept.generation, kept.upstreams);
        let limits = options.limits;
        let context = Arc::new(Context { world, fleet, metrics, limits: limits.clone() });
        let (stop, open) = (watch::Sender::new(false), Arc::new(Open::default()));
        let (end_asked, end) = watch::channel(false);
        let control_face = Control::new(context.clone(), options.state, address.to_string(), end_asked);
        let mut tasks = vec![
            tokio::spawn(accept(listener, context.clone(), open.clone(), stop.subscribe(), options.tcp)),
            tokio::spawn(server::serve_unix(control, control_face.clone())),
            tokio::spawn(expire(context)),
        ];
        if let Some(listener) = metrics_listener {
            tasks.push(tokio::spawn(server::serve_metrics(listener, control_face)));
        }
        let drain_timeout = limits.drain_timeout;
        Ok(Front { address, metrics_address, stop, end, open, drain_timeout, control: options.control, tasks })
    }

    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Returns when somebody wants it to end, over the control socket. Whoever runs it then calls [`Front::stop`].
    pub async fn is_told_to_end(&self) {
        told(&mut self.end.clone()).await;
    }

    /// Takes nothing new, lets what is open end within the drain timeout, and ends.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(self.drain_timeout, self.open.none()).await.is_err() {
            tracing::warn!("some requests did not end in time and were cut off");
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for task in &self.tasks {
            task.abort();
        }
        let _ = rustix::fs::unlink(&self.control);
    }
}

async fn bind(listen: &str) -> Result<TcpListener, FrontError> {
    let address = |source| FrontError::Address { listen: listen.to_owned(), source };
    let resolved = tokio::net::lookup_host(listen).await.map_err(address)?.next();
    let at = resolved.ok_or_else(|| address(io::Error::other("it names no address")))?;
    TcpListener::bind(at).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => FrontError::PortTaken { listen: listen.to_owned() },
        _ => FrontError::Listen { listen: listen.to_owned(), source },
    })
}

/// A front that lives is told from a socket that a killed one left.
async fn nobody_answers(path: &Path) -> Result<(), FrontError> {
    match ControlClient::new(path).get().await {
        Ok(state) => Err(FrontError::ControlTaken { path: path.to_owned(), pid: state.pid, listen: state.listen }),
        Err(error) if error.is_unreachable() => Ok(()),
        Err(error) => {
            let source = io::Error::other(format!("something answers on it: {error}"));
            Err(FrontError::Control { path: path.to_owned(), source })
        }
    }
}

/// Makes the socket, for this user only.
fn control_socket(path: &Path) -> Result<UnixListener, FrontError> {
    let failed = |source: io::Error| FrontError::Control { path: path.to_owned(), source };
    match rustix::fs::unlink(path) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(failed(error.into())),
    }
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    listener.map_err(failed)
}

async fn expire(context: Arc<Context>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        context.fleet.expire();
    }
}

async fn accept(
    listener: TcpListener,
    context: Arc<Context>,
    open: Arc<Open>,
    mut stop: watch::Receiver<bool>,
    is_tcp: bool,
) {
    let places = Arc::new(Semaphore::new(context.limits.connections_max));
    let builder = Arc::new(builder(&context));
    loop {
        // Beyond the limit clients wait in the system's queue.
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = told(&mut stop) => return,
        };
        let Ok(place) = place else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stop) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: accepting again at once would spin.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let client = Client::new(peer.ip(), place, open.one(&context.metrics));
        if is_tcp {
            tokio::spawn(tcp::handle(context.clone(), client, stream));
        } else {
            tokio::spawn(serve(builder.clone(), context.clone(), client, stream, stop.clone()));
        }
    }
}

/// Returns when the front is to end.
async fn told(stop: &mut watch::Receiver<bool>) {
    // The other end is gone only with the front itself.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn builder(context: &Context) -> auto::Builder<TokioExecutor> {
    let limits = &context.limits;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.keep_alive_timeout)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.header_bytes_max.max(8 << 10))
        // A client that has said all is still answered; one that is gone is noticed when it is written to.
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(256)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX));
    builder
}

async fn serve(
    builder: Arc<auto::Builder<TokioExecutor>>,
    context: Arc<Context>,
    client: Arc<Client>,
    stream: TcpStream,
    mut stop: watch::Receiver<bool>,
) {
    let (head, write) = (context.limits.header_timeout, context.limits.client_idle_timeout);
    let io = TokioIo::new(Judged::new(stream, client.clone(), head, write));
    let service = service_fn(move |request| proxy::handle(context.clone(), client.clone(), request));
    let connection = builder.serve_connection_with_upgrades(io, service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a client's connection ended badly");
    }
}
