//! Outgoing HTTP requests: a client span, the context in the headers, and `http.client.request.duration`.
//!
//! Names are OpenTelemetry's semantic conventions for HTTP clients. It does not know which HTTP client is used.

use std::fmt::Display;
use std::future::Future;

use http::{HeaderMap, Method, StatusCode, Uri};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use opentelemetry::trace::Status;
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::server::{DURATION_BOUNDS_SECONDS, known_method};

/// Makes client spans. Get it from [`crate::Telemetry::outgoing`]; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Outgoing {
    duration: Histogram<f64>,
}

/// What an HTTP client answered, as far as telemetry needs it.
pub trait OutgoingAnswer {
    /// The answer's status code.
    fn status(&self) -> StatusCode;
}

impl OutgoingAnswer for reqwest::Response {
    fn status(&self) -> StatusCode {
        self.status()
    }
}

impl<B> OutgoingAnswer for http::Response<B> {
    fn status(&self) -> StatusCode {
        self.status()
    }
}

impl OutgoingAnswer for StatusCode {
    fn status(&self) -> StatusCode {
        *self
    }
}

impl Outgoing {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            duration: meter
                .f64_histogram("http.client.request.duration")
                .with_unit("s")
                .with_description("Duration of HTTP client requests.")
                .with_boundaries(DURATION_BOUNDS_SECONDS.to_vec())
                .build(),
        }
    }

    /// Runs `send` inside a client span named `METHOD template`. `template` is the path with placeholders
    /// (`/quotes/{symbol}`): spans of one operation share it. `send` gets headers that hold the context; it must send
    /// them. A status of 400 or above, or an error, is recorded on the span.
    ///
    /// # Errors
    /// Whatever `send` returns.
    pub async fn run<A, E, F>(
        &self,
        method: &Method,
        url: &Uri,
        template: &str,
        send: impl FnOnce(HeaderMap) -> F,
    ) -> Result<A, E>
    where
        A: OutgoingAnswer,
        E: Display,
        F: Future<Output = Result<A, E>>,
    {
        let name = known_method(method);
        let span = tracing::info_span!("HTTP client", otel.name = Empty, otel.kind = "client");
        span.record("otel.name", format!("{name} {template}"));
        let server = url.host().unwrap_or_default().to_owned();
        let port = i64::from(url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 }));
        span.set_attribute("http.request.method", name);
        span.set_attribute("url.full", url.to_string());
        span.set_attribute("url.template", template.to_owned());
        span.set_attribute("server.address", server.clone());
        span.set_attribute("server.port", port);
        let mut labels = vec![
            KeyValue::new("http.request.method", name),
            KeyValue::new("url.template", template.to_owned()),
            KeyValue::new("server.address", server),
            KeyValue::new("server.port", port),
        ];

        let mut headers = HeaderMap::new();
        span.in_scope(|| crate::propagate::inject(&mut headers));
        let started = Instant::now();
        let result = send(headers).instrument(span.clone()).await;
        let seconds = started.elapsed().as_secs_f64();
        match &result {
            Ok(answer) => {
                let status = answer.status();
                span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
                labels.push(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
                if status.as_u16() >= 400 {
                    let kind = status.as_str().to_owned();
                    span.set_attribute("error.type", kind.clone());
                    span.set_status(Status::error(""));
                    labels.push(KeyValue::new("error.type", kind));
                }
            }
            Err(error) => {
                let message = error.to_string();
                span.set_attribute("error.type", "request_failed");
                span.add_event(
                    "exception",
                    vec![
                        KeyValue::new("exception.type", std::any::type_name::<E>()),
                        KeyValue::new("exception.message", message.clone()),
                    ],
                );
                span.set_status(Status::error(message));
                labels.push(KeyValue::new("error.type", "request_failed"));
            }
        }
        self.duration.record(seconds, &labels);
        result
    }
}
