//! One request: judged, given to an upstream, sent again where that is surely safe, and its answer passed back.
//! Knows nothing of listeners, and of the set only whose turn it is.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use base_world::World;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use crate::body::{Finish, Inbound, Outbound, Reply, Told, Trouble};
use crate::fleet::Fleet;
use crate::front::Limits;
use crate::head;
use crate::metrics::Metrics;
use crate::model::Protocol;
use crate::pool::Connection;
use crate::stream::Client;
use crate::tunnel;
use crate::upstream::{Held, Target};

/// Bodies up to this are kept so that an idempotent request can be sent again.
const KEPT_BODY_BYTES_MAX: u64 = 16 << 10;
/// How often one request is tried in all.
const ATTEMPTS_MAX: u32 = 6;

/// What every request needs.
pub(crate) struct Context {
    pub(crate) world: World,
    pub(crate) fleet: Fleet,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
}

/// How sending ended without an answer.
enum Failed {
    /// Nothing of it was written: the body comes back whole.
    Unsent(Outbound, String),
    /// It may have been read.
    Lost(String),
    TimedOut,
    Cut,
}

pub(crate) async fn handle(
    context: Arc<Context>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let started_ns = context.world.clock.monotonic_ns();
    Ok(match forward(&context, &client, request, started_ns).await {
        Ok(response) => response,
        Err(own) => {
            let took_ns = context.world.clock.monotonic_ns().saturating_sub(started_ns);
            context.metrics.own.ended(own.status, took_ns);
            own.response()
        }
    })
}

/// An answer of the front's own.
struct Own {
    status: u16,
    why: String,
    /// What is left of the request's body can not be skipped safely.
    close: bool,
}

impl Own {
    fn new(status: u16, why: impl Into<String>) -> Self {
        Own { status, why: why.into(), close: false }
    }

    fn response(self) -> Response<Reply> {
        let text = Bytes::from(format!("apm front: {}\n", self.why));
        let mut response = Response::new(Reply::Text(text));
        *response.status_mut() = http::StatusCode::from_u16(self.status).unwrap_or(http::StatusCode::BAD_GATEWAY);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if self.status == 503 {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

async fn forward(
    context: &Arc<Context>,
    client: &Arc<Client>,
    mut request: Request<Incoming>,
    started_ns: u64,
) -> Result<Response<Reply>, Own> {
    let wanted = head::upgrade(request.version(), request.headers());
    let client_side = wanted.is_some().then(|| hyper::upgrade::on(&mut request));
    let (mut head, body) = request.into_parts();
    head.extensions.clear();
    if let Some(refusal) = head::refusal(&head) {
        let close = head.version != http::Version::HTTP_2;
        return Err(Own { status: refusal.status, why: refusal.why.to_owned(), close });
    }
    let told = Told::default();
    let mut body = outbound(context, &head, body, &told).await?;
    let is_idempotent = head.method.is_idempotent();
    let is_grpc = head::is_grpc(&head);
    let (mut tried, mut last): (Vec<Arc<Target>>, Option<String>) = (Vec::new(), None);
    for _ in 0..ATTEMPTS_MAX {
        let Some(held) = context.fleet.pick(&tried) else { break };
        let to_h2 = match held.target.protocol {
            Protocol::Http1 => false,
            Protocol::H2 => true,
            Protocol::Auto => is_grpc,
        };
        if to_h2 && wanted.is_some() {
            return Err(Own::new(501, "an upstream that speaks h2 takes no upgraded connection"));
        }
        let now_ns = context.world.clock.monotonic_ns();
        let connection = match held.target.connection(to_h2, now_ns, context.limits.connect_timeout).await {
            Ok(connection) => connection,
            Err(error) => {
                // Nothing was sent, so any request may go elsewhere.
                retried(&held.target, &mut tried, &mut last, error);
                continue;
            }
        };
        let mut outgoing = head.clone();
        head::to_upstream(&mut outgoing, &client.peer, wanted.clone(), to_h2);
        let again = if is_idempotent { body.again() } else { None };
        let is_reused = connection.is_reused();
        let failed = match send(context, &held, connection, outgoing, body).await {
            Ok((response, sender)) => {
                let code = response.status().as_u16();
                let finish = Finish { context: context.clone(), held, sender, started_ns, code };
                return Ok(answer(context, client, response, finish, client_side));
            }
            Err(failed) => failed,
        };
        let error = match failed {
            Failed::Unsent(unsent, error) => {
                body = unsent;
                error
            }
            Failed::Lost(error) => {
                if let Some(trouble) = told.get() {
                    return Err(client_trouble(trouble));
                }
                let Some(again) = again else {
                    return Err(Own { status: 502, why: format!("{} did not answer", held.target.name), close: true });
                };
                body = again;
                error
            }
            Failed::TimedOut => {
                return Err(Own {
                    status: 504,
                    why: format!("{} did not answer in time", held.target.name),
                    close: true,
                });
            }
            Failed::Cut => {
                return Err(Own { status: 502, why: format!("{} was taken away", held.target.name), close: true });
            }
        };
        if is_reused {
            // A kept connection that the other side had closed says nothing about the upstream.
            held.target.counters.retries.fetch_add(1, Relaxed);
            last = Some(error);
        } else {
            retried(&held.target, &mut tried, &mut last, error);
        }
    }
    Err(match (tried.is_empty() && last.is_none(), last) {
        (true, _) => Own::new(503, "there is no upstream to ask"),
        (false, error) => {
            tracing::debug!(error, "no upstream took the request");
            Own::new(502, "no upstream could be reached")
        }
    })
}

fn retried(target: &Arc<Target>, tried: &mut Vec<Arc<Target>>, last: &mut Option<String>, error: String) {
    target.counters.retries.fetch_add(1, Relaxed);
    tried.push(target.clone());
    *last = Some(error);
}

fn client_trouble(trouble: Trouble) -> Own {
    let status = match trouble {
        Trouble::TooLarge => 413,
        Trouble::Idle => 408,
        _ => 400,
    };
    Own { status, why: trouble.to_string(), close: true }
}

/// The body as it will be sent: nothing, kept whole when it is small and may be needed twice, or streamed.
async fn outbound(context: &Context, head: &Parts, body: Incoming, told: &Told) -> Result<Outbound, Own> {
    if body.is_end_stream() {
        return Ok(Outbound::Empty);
    }
    let limits = &context.limits;
    let known = body.size_hint().exact();
    if known.is_some_and(|bytes| bytes > limits.body_bytes_max) {
        return Err(client_trouble(Trouble::TooLarge));
    }
    let is_small = known.is_some_and(|bytes| bytes <= KEPT_BODY_BYTES_MAX);
    let inbound = Inbound::new(body, limits.body_bytes_max, limits.client_idle_timeout, told.clone());
    if is_small && head.method.is_idempotent() && head.method != Method::CONNECT {
        let collected = inbound.collect().await.map_err(client_trouble)?;
        return Ok(Outbound::Whole(collected.to_bytes()));
    }
    Ok(Outbound::Stream(Box::new(inbound)))
}

type Sent = (Response<Incoming>, Option<hyper::client::conn::http1::SendRequest<Outbound>>);

async fn send(
    context: &Context,
    held: &Held,
    connection: Connection,
    head: Parts,
    body: Outbound,
) -> Result<Sent, Failed> {
    let request = Request::from_parts(head, body);
    match connection {
        Connection::Http1 { mut sender, .. } => {
            let response = within(context, held, sender.try_send_request(request)).await?;
            Ok((response, Some(sender)))
        }
        Connection::H2 { mut sender, .. } => {
            let response = within(context, held, sender.try_send_request(request)).await?;
            Ok((response, None))
        }
    }
}

/// Waits for the head of the answer, looking up each second whether it still should.
async fn within(
    context: &Context,
    held: &Held,
    answer: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Outbound>>>>,
) -> Result<Response<Incoming>, Failed> {
    tokio::pin!(answer);
    let mut left = context.limits.response_timeout;
    loop {
        let step = left.min(Duration::from_secs(1));
        match tokio::time::timeout(step, answer.as_mut()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(request) => Failed::Unsent(request.into_body(), error.into_error().to_string()),
                    None => Failed::Lost(error.into_error().to_string()),
                });
            }
            Err(_) if held.target.was_cut() => return Err(Failed::Cut),
            Err(_) => left = left.saturating_sub(step),
        }
        if left.is_zero() {
            return Err(Failed::TimedOut);
        }
    }
}

/// Passes the answer on; after a 101 both sides become a tunnel.
fn answer(
    context: &Arc<Context>,
    client: &Arc<Client>,
    mut response: Response<Incoming>,
    finish: Finish,
    client_side: Option<hyper::upgrade::OnUpgrade>,
) -> Response<Reply> {
    let is_upgraded = response.status() == http::StatusCode::SWITCHING_PROTOCOLS;
    let upstream_side = is_upgraded.then(|| hyper::upgrade::on(&mut response));
    let (mut head, body) = response.into_parts();
    head.extensions.clear();
    head::to_client(&mut head);
    if is_upgraded && client_side.is_none() {
        finish.done(false);
        let own = Own { status: 502, why: "the upstream left HTTP unasked".to_owned(), close: true };
        return own.response();
    }
    if let (Some(client_side), Some(upstream_side)) = (client_side, upstream_side) {
        // Before the 101 leaves, so that what the client sends after it is not taken for HTTP.
        client.is_tunnel();
        tokio::spawn(tunnel::run(client.clone(), finish, client_side, upstream_side));
        return Response::from_parts(head, Reply::Text(Bytes::new()));
    }
    Response::from_parts(head, Reply::stream(body, context.limits.upstream_idle_timeout, finish))
}
