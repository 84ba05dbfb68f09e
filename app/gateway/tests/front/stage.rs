//! A front with upstreams behind it, and the words in which tests speak to both.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use app_gateway::control::Client as Control;
use app_gateway::{Front, Limits, Options, Upstream};
use base_world::World;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Nothing here takes so long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    pub(crate) front: Option<Front>,
    pub(crate) address: SocketAddr,
    pub(crate) control: Control,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn options(folder: &std::path::Path) -> Options {
    Options {
        listen: "127.0.0.1:0".into(),
        control: folder.join("front.sock"),
        state: folder.join("front.state"),
        tcp: false,
        metrics: None,
        limits: Limits::default(),
    }
}

impl Stage {
    pub(crate) async fn new(upstreams: Vec<Upstream>) -> Self {
        Self::with(upstreams, |_| ()).await
    }

    pub(crate) async fn with(upstreams: Vec<Upstream>, change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path());
        change(&mut options);
        let control = Control::new(&options.control);
        let front = Front::start(World::real(), options).await.unwrap();
        control.set(0, upstreams).await.unwrap();
        Stage { address: front.address(), front: Some(front), control, folder }
    }

    /// Switches from whatever generation there is.
    pub(crate) async fn switch(&self, upstreams: Vec<Upstream>) -> u64 {
        let generation = self.control.get().await.unwrap().generation;
        self.control.set(generation, upstreams).await.unwrap().generation
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire { stream: TcpStream::connect(self.address).await.unwrap(), rest: Vec::new() }
    }

    /// A GET on a connection of its own: status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = get(self.address, path).await;
        (status(&answer), body(&answer).to_owned())
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
    let mut wire = Wire { stream: TcpStream::connect(address).await.unwrap(), rest: Vec::new() };
    wire.send(&format!("GET {path} HTTP/1.1\r\nhost: front\r\nconnection: close\r\n\r\n")).await;
    wire.closing().await
}

/// A connection that is spoken to in bytes.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    rest: Vec<u8>,
}

impl Wire {
    pub(crate) async fn send(&mut self, text: &str) {
        // The other side may have closed already; what it answered is then what counts.
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// Everything until the other side closes or resets.
    pub(crate) async fn closing(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.rest);
        let mut piece = [0; 4096];
        let reading = async {
            while let Ok(count) = self.stream.read(&mut piece).await {
                if count == 0 {
                    break;
                }
                bytes.extend_from_slice(&piece[..count]);
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("the connection is closed in time");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Up to and with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let end = end.as_bytes();
        let mut piece = [0; 4096];
        loop {
            if let Some(at) = self.rest.windows(end.len()).position(|window| window == end) {
                let tail = self.rest.split_off(at + end.len());
                return String::from_utf8_lossy(&std::mem::replace(&mut self.rest, tail)).into_owned();
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await;
            let count = read.expect("an answer in time").unwrap_or(0);
            let so_far = String::from_utf8_lossy(&self.rest);
            assert!(count > 0, "closed before {:?}: {so_far:?}", String::from_utf8_lossy(end));
            self.rest.extend_from_slice(&piece[..count]);
        }
    }

    /// One answer with a known length: head and body.
    pub(crate) async fn answer(&mut self) -> (String, String) {
        let head = self.until("\r\n\r\n").await;
        let length: usize = header(&head, "content-length").map_or(0, |value| value.parse().unwrap());
        while self.rest.len() < length {
            let mut piece = [0; 4096];
            let count = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await.unwrap().unwrap();
            assert!(count > 0, "closed within a body");
            self.rest.extend_from_slice(&piece[..count]);
        }
        let tail = self.rest.split_off(length);
        (head, String::from_utf8_lossy(&std::mem::replace(&mut self.rest, tail)).into_owned())
    }
}

pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

pub(crate) fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    let named = |line: &&str| line.split_once(": ").is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
    head.lines().find(named).and_then(|line| line.split_once(": ")).map(|(_, value)| value)
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// An upstream that speaks HTTP/1.1 and h2c, until it is stopped or dropped.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// Requests whose head has come.
    pub(crate) begun: Arc<AtomicU64>,
    pub(crate) connections: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, connections) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (counted, opened, called) = (begun.clone(), connections.clone(), name.to_owned());
        let task = tokio::spawn(async move {
            // Dropped with this task, and with it every connection.
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                opened.fetch_add(1, Ordering::Relaxed);
                let (counted, called) = (counted.clone(), called.clone());
                open.spawn(async move {
                    let service = service_fn(move |request| {
                        counted.fetch_add(1, Ordering::Relaxed);
                        respond(called.clone(), request)
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
                });
                while open.try_join_next().is_some() {}
            }
        });
        Server { name: name.to_owned(), address, begun, connections, task }
    }

    pub(crate) fn spec(&self, weight: u32) -> Upstream {
        spec(&self.name, self.address, weight)
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Gone at once: the port refuses, connections break.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn spec(name: &str, address: SocketAddr, weight: u32) -> Upstream {
    let json = serde_json::json!({ "name": name, "address": address.to_string(), "weight": weight });
    serde_json::from_value(json).unwrap()
}

/// A scripted upstream: each connection's head is read, then `script` is written, then it is closed.
pub(crate) async fn scripted(script: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                let _ = stream.write_all(script).await;
            });
        }
    });
    address
}

/// A port that nobody listens on.
pub(crate) async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub(crate) fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

async fn respond(name: String, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let query: u64 = request.uri().query().and_then(|query| query.parse().ok()).unwrap_or(0);
    let mut response = Response::new(full(name));
    match path.as_str() {
        "/echo" => {
            if let Some(trailer) = request.headers().get("trailer") {
                response.headers_mut().insert("trailer", trailer.clone());
            }
            *response.body_mut() = request.into_body().boxed_unsync();
        }
        "/head" => {
            let mut lines = format!("{} {}\n", request.method(), request.uri());
            for (key, value) in request.headers() {
                lines.push_str(&format!("{key}: {}\n", value.to_str().unwrap()));
            }
            *response.body_mut() = full(lines);
        }
        "/status" => *response.status_mut() = StatusCode::from_u16(u16::try_from(query).unwrap()).unwrap(),
        "/slow" => tokio::time::sleep(Duration::from_millis(query)).await,
        "/count" => {
            let mut body = request.into_body();
            let mut bytes = 0;
            while let Some(Ok(frame)) = body.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
            }
            *response.body_mut() = full(bytes.to_string());
        }
        // A stream that begins and goes on for as long as the query says, in milliseconds.
        "/drip" => *response.body_mut() = drip(query),
        // So many bytes, of unknown length.
        "/big" => {
            let piece = Bytes::from(vec![b'x'; 64 << 10]);
            let pieces = query / piece.len() as u64;
            let frames = futures(pieces, move || Frame::data(piece.clone()));
            *response.body_mut() = frames;
        }
        _ => {}
    }
    Ok(response)
}

fn drip(for_ms: u64) -> Body {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let until = tokio::time::Instant::now() + Duration::from_millis(for_ms);
        while tokio::time::Instant::now() < until {
            if sender.send(Frame::data(Bytes::from_static(b"drop\n"))).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    received(receiver)
}

fn futures(count: u64, mut frame: impl FnMut() -> Frame<Bytes> + Send + 'static) -> Body {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        for _ in 0..count {
            if sender.send(frame()).await.is_err() {
                return;
            }
        }
    });
    received(receiver)
}

fn received(receiver: tokio::sync::mpsc::Receiver<Frame<Bytes>>) -> Body {
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let frame = receiver.recv().await?;
        Some((Ok::<_, hyper::Error>(frame), receiver))
    });
    StreamBody::new(stream).boxed_unsync()
}

/// The folder of a stage that outlives its front.
pub(crate) fn socket(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("front.sock")
}
