//! A Docker engine that is not there: containers, images, networks and volumes in memory, asked over a Unix socket in Docker's own words, with faults where
//! a test wants them. Only tests use it; what holds on it is tried on a real engine too, by the same tests where that is possible.
//!
//! A container runs no process. What it would do is its image's [`Program`]: it serves a published port (really, on loopback), ends, or says nothing. Of
//! Docker's API there is what our rooms ask for, as Docker 20.10 answers it. It does not know who asks, nor what for.

mod answer;
mod containers;
mod fault;
mod files;
mod images;
mod program;
mod state;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use crate::answer::{Answer, Body, refuse};
pub use crate::fault::Fault;
pub use crate::images::{BuiltImage, ImageSpec};
pub use crate::program::Program;
use crate::state::State;

/// The engine. It ends with this handle, and everything in it.
pub struct FakeEngine {
    socket: PathBuf,
    state: Arc<State>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl FakeEngine {
    /// Listens, in a thread of its own: it outlives the runtimes of those who ask.
    pub fn start() -> std::io::Result<FakeEngine> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("d.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&socket)?
        };
        let state = Arc::new(State::default());
        let (end, ended) = oneshot::channel();
        let serving = serve(listener, Arc::clone(&state));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    _ = ended => {}
                }
            });
        });
        Ok(FakeEngine { socket, state, end: Some(end), thread: Some(thread), _folder: folder })
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// As `DOCKER_HOST` has it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// An image that the engine has; its id.
    pub fn image(&self, reference: &str, spec: ImageSpec) -> String {
        self.state.world.lock().add_image(reference, spec)
    }

    /// An image that it can pull.
    pub fn pullable(&self, reference: &str, spec: ImageSpec) {
        self.state.world.lock().pullable.insert(reference.to_owned(), spec);
    }

    /// The next so many requests whose `METHOD /path` holds these words are answered wrongly.
    pub fn fail(&self, line: &str, times: usize, fault: Fault) {
        self.state.faults.lock().push(fault::Rule::on(line, times, fault));
    }

    /// The request of this number, counted from 1 and from now, if its line holds these words.
    pub fn fail_number(&self, number: u64, line: &str, fault: Fault) {
        let now = self.state.asked.lock().len() as u64;
        self.state.faults.lock().push(fault::Rule::at(now + number, line, fault));
    }

    /// `METHOD /path` of each request so far but those for its version, without API version and query.
    pub fn asked(&self) -> Vec<String> {
        self.state.asked.lock().clone()
    }

    /// What was built, in order.
    pub fn builds(&self) -> Vec<BuiltImage> {
        self.state.world.lock().builds.clone()
    }

    /// Names of all containers that are there, running or not.
    pub fn container_names(&self) -> Vec<String> {
        self.state.world.lock().containers.values().map(containers::Container::name).collect()
    }

    /// Files that were written into a volume.
    pub fn volume_files(&self, name: &str) -> Option<Vec<String>> {
        self.state.world.lock().volumes.get(name).map(|volume| volume.files.keys().cloned().collect())
    }

    /// Changes a container's record as `docker inspect` shows it: what somebody else does meanwhile.
    pub fn meddle(&self, name: &str, change: impl FnOnce(&mut serde_json::Value)) -> bool {
        let mut world = self.state.world.lock();
        let Some(container) = world.containers.values_mut().find(|one| one.name() == name) else { return false };
        change(&mut container.record);
        true
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: UnixListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| exchange(request, Arc::clone(&state)));
            // An error of the service ends the connection without an answer, which is what a lost answer is.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The connection ends here.
#[derive(Debug)]
struct HungUp;

impl std::fmt::Display for HungUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hung up")
    }
}

impl std::error::Error for HungUp {}

async fn exchange(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Body>, HungUp> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    // `/v1.41/containers/…`
    let path = path.strip_prefix("/v1.").and_then(|rest| rest.find('/').map(|at| &rest[at..])).unwrap_or(path);
    let ask = Ask {
        method: parts.method.as_str().to_owned(),
        path: percent(path),
        query: form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
        body: body.collect().await.map_err(|_| HungUp)?.to_bytes(),
    };
    let line = format!("{} {}", ask.method, ask.path);
    let fault = if ask.path == "/version" { None } else { state.note(&line) };
    match fault {
        None => Ok(route(&state, &ask).await.into()),
        Some(Fault::Refuse(status, message)) => Ok(refuse(status, message).into()),
        Some(Fault::Garbage) => Ok(Answer::text(200, "<html>a proxy</html>").into()),
        Some(Fault::HangUp) => Err(HungUp),
        Some(Fault::LoseAnswer) => {
            route(&state, &ask).await;
            Err(HungUp)
        }
        Some(Fault::Silence) => std::future::pending::<Result<_, Infallible>>().await.map_err(|never| match never {}),
    }
}

/// A request, its path without the API's version and its escapes.
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: bytes::Bytes,
}

impl Ask {
    pub(crate) fn query(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn percent(path: &str) -> String {
    let decoded: Option<(String, String)> =
        form_urlencoded::parse(path.replace('+', "%2B").as_bytes()).into_owned().next();
    decoded.map_or_else(String::new, |(key, _)| key)
}

async fn route(state: &State, ask: &Ask) -> Answer {
    let parts: Vec<&str> = ask.path.trim_start_matches('/').split('/').collect();
    match (ask.method.as_str(), parts.as_slice()) {
        (_, ["version"]) => Answer::json(
            200,
            serde_json::json!({"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"}),
        ),
        (_, ["containers", rest @ ..]) => containers::route(state, ask, rest).await,
        (_, ["images", rest @ ..]) => images::route(state, ask, rest),
        ("POST", ["build"]) => images::build(state, ask),
        (_, ["networks" | "volumes", ..]) => state::route(state, ask, &parts),
        _ => refuse(404, "page not found"),
    }
}
