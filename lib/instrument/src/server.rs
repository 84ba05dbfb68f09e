//! The layer for incoming HTTP requests: one span, the RED metrics, a request id, and panics answered with 500.
//!
//! Names are OpenTelemetry's semantic conventions for HTTP servers (stable since 1.23). The duration ends when the
//! answer's head is ready; a streamed body is not waited for. It knows axum's matched route and nothing of the app.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath};
use axum::response::IntoResponse as _;
use futures_util::FutureExt as _;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};
use opentelemetry::trace::Status;
use tokio::time::Instant;
use tower::{Layer, Service};
use tracing::Instrument as _;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::request_id::{self, RequestId};

pub(crate) const SCOPE: &str = "lib-instrument";

/// The bucket bounds that the semantic conventions advise for `http.*.request.duration`.
pub(crate) const DURATION_BOUNDS_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Puts [`HttpService`] around a service. From [`crate::Telemetry::http_layer`].
#[derive(Debug, Clone)]
pub struct HttpLayer {
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
}

impl HttpLayer {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            duration: meter
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_description("Duration of HTTP server requests.")
                .with_boundaries(DURATION_BOUNDS_SECONDS.to_vec())
                .build(),
            active: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_unit("{request}")
                .with_description("Number of active HTTP server requests.")
                .build(),
        }
    }
}

impl<S> Layer<S> for HttpLayer {
    type Service = HttpService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpService { inner, instruments: self.clone() }
    }
}

/// A service whose every request leaves a span and metrics.
#[derive(Debug, Clone)]
pub struct HttpService<S> {
    inner: S,
    instruments: HttpLayer,
}

/// Counts a request as active until it is answered or its client goes away.
struct Active {
    counter: UpDownCounter<i64>,
    labels: [KeyValue; 2],
}

impl Drop for Active {
    fn drop(&mut self) {
        self.counter.add(-1, &self.labels);
    }
}

impl<S> Service<Request<Body>> for HttpService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The service that was polled ready is the one to call; its clone takes its place.
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        let instruments = self.instruments.clone();
        let id = RequestId::of(request.headers());
        let method = known_method(request.method());
        let scheme = if request.uri().scheme_str() == Some("https") { "https" } else { "http" };
        let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
        let span = server_span(&request, method, scheme, route.as_deref(), &id);
        request.extensions_mut().insert(id.clone());

        let mut labels = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.scheme", scheme),
            KeyValue::new("network.protocol.version", protocol(request.version())),
        ];
        if let Some(route) = route {
            labels.push(KeyValue::new("http.route", route));
        }
        let inside = span.clone();
        Box::pin(
            async move {
                let active_labels = [KeyValue::new("http.request.method", method), KeyValue::new("url.scheme", scheme)];
                instruments.active.add(1, &active_labels);
                let active = Active { counter: instruments.active.clone(), labels: active_labels };
                let started = Instant::now();
                // `call` itself may panic too, so it happens inside of the net.
                let outcome =
                    AssertUnwindSafe(id.clone().scope(async move { ready.call(request).await })).catch_unwind().await;
                let mut response = match outcome {
                    Ok(Ok(response)) => response,
                    Ok(Err(never)) => match never {},
                    Err(panic) => answer_panic(panic.as_ref(), &id),
                };
                let seconds = started.elapsed().as_secs_f64();
                drop(active);
                let status = response.status();
                inside.set_attribute("http.response.status_code", i64::from(status.as_u16()));
                labels.push(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
                if status.is_server_error() {
                    inside.set_attribute("error.type", status.as_str().to_owned());
                    labels.push(KeyValue::new("error.type", status.as_str().to_owned()));
                    // No description: the status code says it, and an error logged on the way says more.
                    inside.set_status(Status::error(""));
                }
                instruments.duration.record(seconds, &labels);
                if let Some(value) = id.header() {
                    response.headers_mut().insert(request_id::HEADER, value);
                }
                Ok(response)
            }
            .instrument(span),
        )
    }
}

fn server_span(
    request: &Request<Body>,
    method: &'static str,
    scheme: &'static str,
    route: Option<&str>,
    id: &RequestId,
) -> tracing::Span {
    let span = tracing::info_span!("HTTP server", otel.name = Empty, otel.kind = "server", request_id = id.as_str());
    match route {
        Some(route) => span.record("otel.name", format!("{method} {route}")),
        None => span.record("otel.name", method),
    };
    // The layer is missing only when telemetry is switched off; then there is nothing to link.
    let _ = span.set_parent(crate::propagate::extract(request.headers()));
    span.set_attribute("http.request.method", method);
    span.set_attribute("url.scheme", scheme);
    span.set_attribute("url.path", request.uri().path().to_owned());
    span.set_attribute("network.protocol.version", protocol(request.version()));
    if let Some(route) = route {
        span.set_attribute("http.route", route.to_owned());
    }
    if let Some(query) = request.uri().query() {
        span.set_attribute("url.query", query.to_owned());
    }
    if let Some(agent) = text(request.headers(), header::USER_AGENT) {
        span.set_attribute("user_agent.original", agent);
    }
    if let Some(host) = text(request.headers(), header::HOST) {
        let (address, port) = match host.rsplit_once(':') {
            Some((address, port)) => (address.to_owned(), port.parse::<i64>().ok()),
            None => (host, None),
        };
        span.set_attribute("server.address", address);
        if let Some(port) = port {
            span.set_attribute("server.port", port);
        }
    }
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        span.set_attribute("client.address", peer.ip().to_string());
    }
    span
}

fn answer_panic(panic: &(dyn Any + Send), id: &RequestId) -> Response<Body> {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic with a payload that is no text".to_owned());
    // Inside the span, this is its exception event too.
    tracing::error!(error = %message, "error.type" = "panic", "the handler panicked; answered 500");
    // What panicked is for the logs, not for the caller.
    let body = serde_json::json!({ "error": "internal error", "request_id": id.as_str() });
    (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(body)).into_response()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The method, or `_OTHER`: a label must not be the caller's to invent.
pub(crate) fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        _ => "_OTHER",
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_versions_are_of_a_closed_list() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"] {
            assert_eq!(known_method(&method.parse().unwrap()), method);
        }
        assert_eq!(known_method(&Method::from_bytes(b"PURGE").unwrap()), "_OTHER");
        let versions = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2, Version::HTTP_3];
        assert_eq!(versions.map(protocol), ["1.0", "1.1", "2", "3"]);
    }
}
