//! What the control socket answers. Changes are made one after the other, kept on disk, and only then in force.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};

use super::{Drain, Drained, REQUEST_BYTES_MAX, Refused};
use crate::model::{Set, State, Upstream, validate};
use crate::proxy::Context;
use crate::state::{self, Kept};

/// Control connections at a time; more wait.
const CONNECTIONS_MAX: usize = 64;
/// The longest that one drain request waits.
const DRAIN_MS_MAX: u64 = 3_600_000;

pub(crate) struct Control {
    context: Arc<Context>,
    state: PathBuf,
    listen: String,
    /// Held from the comparison of generations until the new one is in force.
    changing: tokio::sync::Mutex<()>,
    /// Set when somebody wants the front to end.
    end: watch::Sender<bool>,
}

/// So that whoever asks for the end still gets his answer.
const BEFORE_END: Duration = Duration::from_millis(50);

enum Failure {
    Stale { wanted: u64 },
    Invalid(String),
    Unknown(String),
    Disk(String),
}

impl Control {
    pub(crate) fn new(context: Arc<Context>, state: PathBuf, listen: String, end: watch::Sender<bool>) -> Arc<Self> {
        Arc::new(Control { context, state, listen, changing: tokio::sync::Mutex::default(), end })
    }

    fn stop(&self) -> State {
        let end = self.end.clone();
        tokio::spawn(async move {
            tokio::time::sleep(BEFORE_END).await;
            end.send_replace(true);
        });
        self.state()
    }

    fn state(&self) -> State {
        let (generation, upstreams) = self.context.fleet.status();
        State { pid: std::process::id(), listen: self.listen.clone(), generation, upstreams }
    }

    async fn set(self: &Arc<Self>, set: Set) -> Result<State, Failure> {
        validate(&set.upstreams).map_err(|error| Failure::Invalid(error.to_string()))?;
        self.change(Some(set.generation), move |_| Ok(Some(set.upstreams))).await?;
        Ok(self.state())
    }

    /// Compares, keeps, and puts in force; a task of its own, so that a caller who hangs up half-way changes nothing.
    async fn change(
        self: &Arc<Self>,
        expected: Option<u64>,
        wish: impl FnOnce(Vec<Upstream>) -> Result<Option<Vec<Upstream>>, Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        let control = self.clone();
        let done = tokio::spawn(async move {
            let _turn = control.changing.lock().await;
            let (generation, upstreams) = control.context.fleet.set();
            if let Some(wanted) = expected.filter(|wanted| *wanted != generation) {
                return Err(Failure::Stale { wanted });
            }
            let Some(upstreams) = wish(upstreams)? else { return Ok(()) };
            let kept = Kept { generation: generation + 1, upstreams };
            let (world, path) = (control.context.world.clone(), control.state.clone());
            let kept = tokio::task::spawn_blocking(move || state::write(&world, &path, &kept).map(|()| kept)).await;
            let kept = kept.map_err(|error| Failure::Disk(error.to_string()))?;
            let kept = kept.map_err(|error| Failure::Disk(reason(&error)))?;
            control.context.fleet.exchange(kept.generation, kept.upstreams);
            control.context.metrics.switches.fetch_add(1, Relaxed);
            tracing::info!(generation = kept.generation, "another set of upstreams is in force");
            Ok(())
        });
        done.await.unwrap_or_else(|error| Err(Failure::Disk(error.to_string())))
    }

    async fn drain(self: &Arc<Self>, drain: Drain) -> Result<Drained, Failure> {
        let name = drain.upstream.clone();
        // Found first: the exchange forgets one that has nothing in flight.
        let known = !self.context.fleet.named(&name).is_empty();
        self.change(drain.generation, move |mut upstreams| {
            let Some(found) = upstreams.iter_mut().find(|one| one.name == name && !one.draining) else {
                return Ok(None);
            };
            found.draining = true;
            Ok(Some(upstreams))
        })
        .await?;
        let targets = self.context.fleet.named(&drain.upstream);
        let all_idle = async {
            for target in &targets {
                target.idle().await;
            }
        };
        let timeout = Duration::from_millis(drain.timeout_ms.min(DRAIN_MS_MAX));
        if tokio::time::timeout(timeout, all_idle).await.is_err() && drain.cut {
            for target in &targets {
                target.cut();
            }
            // Streams look once a second whether they were cut.
            let gone = async {
                for target in &targets {
                    target.idle().await;
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(3), gone).await;
        }
        let in_flight = targets.iter().map(|target| target.in_flight()).sum();
        Ok(Drained { generation: self.context.fleet.generation(), drained: in_flight == 0, in_flight, known })
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let known: &[(&str, Method)] = &[
            ("/v1/state", Method::GET),
            ("/v1/health", Method::GET),
            ("/metrics", Method::GET),
            ("/v1/upstreams", Method::PUT),
            ("/v1/drain", Method::POST),
            ("/v1/stop", Method::POST),
        ];
        let result = match (&head.method, path) {
            (&Method::GET, "/v1/state") => Ok(json(&self.state())),
            (&Method::GET, "/v1/health") => Ok(json(&self.state().upstreams)),
            (&Method::GET, "/metrics") => Ok(metrics(&self.context)),
            (&Method::PUT, "/v1/upstreams") => match read(body).await {
                Ok(set) => self.set(set).await.map(|state| json(&state)),
                Err(failure) => Err(failure),
            },
            (&Method::POST, "/v1/drain") => match read(body).await {
                Ok(drain) => self.drain(drain).await.map(|drained| json(&drained)),
                Err(failure) => Err(failure),
            },
            (&Method::POST, "/v1/stop") => Ok(json(&self.stop())),
            (method, path) => Err(Failure::Unknown(match known.iter().find(|(known, _)| *known == path) {
                Some((_, allowed)) => format!("{path} takes {allowed}, not {method}"),
                None => format!(
                    "there is no {path}; see /v1/state, /v1/health, /v1/upstreams, /v1/drain, /v1/stop and /metrics"
                ),
            })),
        };
        result.unwrap_or_else(|failure| self.refused(failure))
    }

    fn refused(&self, failure: Failure) -> Response<Full<Bytes>> {
        let generation = self.context.fleet.generation();
        let (status, error, reason) = match failure {
            Failure::Stale { wanted } => {
                let why = format!("generation {wanted} is stale: {generation} is in force; read it and decide again");
                (StatusCode::CONFLICT, "stale", why)
            }
            Failure::Invalid(why) => (StatusCode::BAD_REQUEST, "invalid", why),
            Failure::Unknown(why) => (StatusCode::NOT_FOUND, "unknown", why),
            Failure::Disk(why) => (StatusCode::INSUFFICIENT_STORAGE, "disk", format!("nothing was changed: {why}")),
        };
        let mut response = json(&Refused { error: error.to_owned(), reason, generation });
        *response.status_mut() = status;
        response
    }
}

fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

async fn read<T: serde::de::DeserializeOwned>(body: Incoming) -> Result<T, Failure> {
    let invalid = |why: String| Failure::Invalid(why);
    let whole = Limited::new(body, REQUEST_BYTES_MAX).collect().await.map_err(|error| invalid(error.to_string()))?;
    serde_json::from_slice(&whole.to_bytes()).map_err(|error| invalid(error.to_string()))
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn metrics(context: &Context) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(context.fleet.metrics_text())));
    let kind = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// Answers on the control socket until aborted.
pub(crate) async fn serve_unix(listener: UnixListener, control: Arc<Control>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let control = control.clone();
                tokio::spawn(async move {
                    serve(stream, move |request| control.clone().answer(request)).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Answers `/metrics`, and nothing that changes anything, until aborted.
pub(crate) async fn serve_metrics(listener: TcpListener, control: Arc<Control>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let control = control.clone();
                tokio::spawn(async move {
                    let answer = move |request: Request<Incoming>| {
                        let control = control.clone();
                        async move {
                            if request.method() == Method::GET && request.uri().path() == "/metrics" {
                                return metrics(&control.context);
                            }
                            control.refused(Failure::Unknown("only GET /metrics is here".to_owned()))
                        }
                    };
                    serve(stream, answer).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve<S, F, A>(stream: S, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30)).max_buf_size(16 << 10);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a control connection ended badly");
    }
}
