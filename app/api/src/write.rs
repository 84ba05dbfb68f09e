//! Writes in the words of Prometheus (remote write 1 and 2) and Loki (push). Errors are plain text, as theirs are: 400 tells the
//! sender to give up, 429 and 5xx to try again.

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use observe_ingest::self_metrics::Protocol;
use observe_source::{Appended, SourceError};
use observe_wire::otlp::Signal;
use observe_wire::{DecodeError, Limits, loki_push, remote_write, remote_write_2};

use crate::Intake;
use crate::body::{BodyError, Unpacked};
use crate::once::{Once, partly};
use crate::otlp::{DECODED_FACTOR, retry_after};

pub(crate) fn routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Intake: FromRef<S>,
{
    Router::new().route("/api/v1/write", post(remote_write)).route("/loki/api/v1/push", post(push))
}

/// One request's fate, for the counters and the reply.
enum Failure {
    Request(StatusCode, String),
    Body(BodyError),
    Decode(DecodeError),
    Source(SourceError),
}

/// Which message a sender of samples sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    One,
    Two,
}

impl Message {
    /// By Content-Type; none is the first. An error is a sentence for the sender, with what is taken in it.
    fn of(content_type: &str) -> Result<Self, String> {
        let mut parts = content_type.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        if !matches!(kind, "" | "application/x-protobuf") {
            return Err(format!(
                "expected application/x-protobuf as the first (media) part, got {content_type} content-type"
            ));
        }
        let message = parts.filter_map(|part| part.split_once('=')).find(|(name, _)| *name == "proto");
        match message.map(|(_, message)| message) {
            None | Some("prometheus.WriteRequest") => Ok(Message::One),
            Some("io.prometheus.write.v2.Request") => Ok(Message::Two),
            Some(other) => Err(format!(
                "got {content_type} content type; unknown type for remote write protobuf message {other}, supported: \
                 prometheus.WriteRequest, io.prometheus.write.v2.Request"
            )),
        }
    }
}

async fn remote_write(State(api): State<Intake>, headers: HeaderMap, body: Body) -> Response {
    let message = Message::of(text(&headers, header::CONTENT_TYPE));
    let taken = async {
        let message = message.clone().map_err(|why| Failure::Request(StatusCode::UNSUPPORTED_MEDIA_TYPE, why))?;
        let tenant = api.tenant(&headers).map_err(|why| Failure::Request(StatusCode::UNAUTHORIZED, why))?;
        let body = api.bodies.read(&headers, body).await.map_err(Failure::Body)?;
        let (limits, sink, owner) = (limits(&api), api.sink.clone(), tenant.clone());
        let taking = move |_| async move {
            let decoded = match message {
                Message::One => remote_write::decode_write_request(&body.bytes, &limits),
                Message::Two => remote_write_2::decode_request(&body.bytes, &limits),
            };
            let decoded = decoded.map_err(Failure::Decode)?;
            let mut appended = sink.metrics(owner, decoded.write).await.map_err(Failure::Source)?;
            appended.merge(decoded.rejects);
            Ok((body, appended))
        };
        api.deliveries.once(&tenant, &headers, taking, is_whole).await
    };
    let taken = taken.await;
    let written = match &taken {
        Ok(Once::Done((_, appended))) => {
            let rest = appended.accepted.saturating_sub(appended.histograms).saturating_sub(appended.exemplars);
            (rest, appended.histograms, appended.exemplars)
        }
        _ => (0, 0, 0),
    };
    let mut response = reply(&api, Signal::Metrics, Protocol::RemoteWrite, taken);
    // A sender of the second version counts what it is not told of as lost.
    if message == Ok(Message::Two) {
        let headers = response.headers_mut();
        headers.insert("x-prometheus-remote-write-samples-written", written.0.into());
        headers.insert("x-prometheus-remote-write-histograms-written", written.1.into());
        headers.insert("x-prometheus-remote-write-exemplars-written", written.2.into());
    }
    response
}

async fn push(State(api): State<Intake>, headers: HeaderMap, body: Body) -> Response {
    let taken = async {
        let kind = text(&headers, header::CONTENT_TYPE);
        let json = match kind.split(';').next().unwrap_or_default().trim() {
            "application/json" => true,
            "application/x-protobuf" | "" => false,
            other => {
                let why = format!(
                    "Content-Type `{other}` is not known here; send application/json or application/x-protobuf"
                );
                return Err(Failure::Request(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
            }
        };
        let tenant = api.tenant(&headers).map_err(|why| Failure::Request(StatusCode::UNAUTHORIZED, why))?;
        let body = api.bodies.read(&headers, body).await.map_err(Failure::Body)?;
        let (limits, sink, owner) = (limits(&api), api.sink.clone(), tenant.clone());
        let taking = move |_| async move {
            let decoded = if json {
                loki_push::decode_json(&body.bytes, &limits)
            } else {
                loki_push::decode_protobuf(&body.bytes, &limits)
            };
            let decoded = decoded.map_err(Failure::Decode)?;
            let mut appended = sink.logs(owner, decoded.write).await.map_err(Failure::Source)?;
            appended.merge(decoded.rejects);
            Ok((body, appended))
        };
        api.deliveries.once(&tenant, &headers, taking, is_whole).await
    };
    reply(&api, Signal::Logs, Protocol::LokiPush, taken.await)
}

fn limits(api: &Intake) -> Limits {
    Limits { decoded_max_bytes: DECODED_FACTOR * api.bodies.limit_bytes() as u64, ..Limits::default() }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// Of a request that is partly refused the sender sends the parts again, to learn which.
fn is_whole((_, appended): &(Unpacked, Appended)) -> bool {
    appended.rejected_count() == 0
}

fn reply(
    api: &Intake,
    signal: Signal,
    protocol: Protocol,
    taken: Result<Once<(Unpacked, Appended)>, Failure>,
) -> Response {
    let failure = match taken {
        Ok(Once::Again) => return StatusCode::NO_CONTENT.into_response(),
        Ok(Once::Partly(mark)) => return partly(mark),
        Ok(Once::Done((body, appended))) => {
            api.counters.appended(signal, protocol, body.bytes.len() as u64, &appended);
            // What was good is kept; what was not will not be better the next time, so the sender must not try again.
            return match appended.rejected_count() {
                0 => StatusCode::NO_CONTENT.into_response(),
                _ => (StatusCode::BAD_REQUEST, appended.message() + "\n").into_response(),
            };
        }
        Err(failure) => failure,
    };
    match &failure {
        Failure::Source(_) => api.counters.shed(signal),
        Failure::Body(error) => error.count(&api.counters, signal, protocol),
        Failure::Request(..) | Failure::Decode(_) => api.counters.undecodable(signal, protocol),
    }
    let (status, why, retry) = match failure {
        Failure::Request(status, why) => (status, why, None),
        Failure::Decode(error) if error.is_too_large() => (StatusCode::PAYLOAD_TOO_LARGE, error.to_string(), None),
        Failure::Decode(error) => (StatusCode::BAD_REQUEST, error.to_string(), None),
        Failure::Source(error @ SourceError::Shed { .. }) => {
            (StatusCode::TOO_MANY_REQUESTS, error.to_string(), Some(retry_after(&error)))
        }
        Failure::Source(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string(), Some(retry_after(&error))),
        Failure::Body(error) => {
            let status = match &error {
                BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                BodyError::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
                BodyError::Slow => StatusCode::REQUEST_TIMEOUT,
                BodyError::Encoding(e) if e.is_too_large() => StatusCode::PAYLOAD_TOO_LARGE,
                BodyError::Encoding(e) if e.is_unsupported_encoding() => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                BodyError::Broken(_) | BodyError::Encoding(_) => StatusCode::BAD_REQUEST,
            };
            let retry = matches!(error, BodyError::Busy { .. }).then(|| HeaderValue::from_static("1"));
            (status, error.to_string(), retry)
        }
    };
    let mut response = (status, why + "\n").into_response();
    if let Some(seconds) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
