//! OTLP over HTTP: `/v1/{traces,logs,metrics}`, protobuf and JSON, as the OpenTelemetry protocol says it.
//!
//! Errors are a `google.rpc.Status` in the encoding of the request; what was rejected of an otherwise good request is told
//! as partial success.

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base_signal::TenantId;
use observe_ingest::self_metrics::Protocol;
use observe_source::{Appended, LogWrite, MetricWrite, SourceError, SpanWrite};
use observe_wire::delivery::Delivery;
use observe_wire::otlp::{self, Encoding, LogOptions, MetricOptions, Signal};
use observe_wire::{DecodeError, Limits};

use crate::body::BodyError;
use crate::once::{Once, partly};
use crate::{Intake, Relayed};

pub(crate) fn routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Intake: FromRef<S>,
{
    Router::new()
        .route("/v1/traces", post(|state, headers, body| export(state, Signal::Traces, headers, body)))
        .route("/v1/logs", post(|state, headers, body| export(state, Signal::Logs, headers, body)))
        .route("/v1/metrics", post(|state, headers, body| export(state, Signal::Metrics, headers, body)))
        .route("/otlp/v1/traces", post(|state, headers, body| export(state, Signal::Traces, headers, body)))
        .route("/otlp/v1/logs", post(|state, headers, body| export(state, Signal::Logs, headers, body)))
        .route("/otlp/v1/metrics", post(|state, headers, body| export(state, Signal::Metrics, headers, body)))
        .route("/api/v1/otlp/v1/metrics", post(|state, headers, body| export(state, Signal::Metrics, headers, body)))
}

/// What a request may become in memory, as a multiple of the largest body: labels and attributes grow when unpacked.
pub(crate) const DECODED_FACTOR: u64 = 4;

/// Why an export was not taken; both transports turn it into their own words.
#[derive(Debug)]
pub(crate) enum ExportError {
    Decode(DecodeError),
    Source(SourceError),
}

/// What a request became.
enum Kept {
    Spans(SpanWrite),
    Logs(LogWrite),
    Metrics(MetricWrite),
}

/// Decodes one export and appends it; ends when it is durable.
pub(crate) async fn take(
    api: &Intake,
    tenant: TenantId,
    signal: Signal,
    encoding: Encoding,
    bytes: &[u8],
    delivery: Option<&Delivery>,
) -> Result<Appended, ExportError> {
    let limits = Limits { decoded_max_bytes: DECODED_FACTOR * api.bodies.limit_bytes() as u64, ..Limits::default() };
    let now_ns = api.clock.now_ns();
    let decode = ExportError::Decode;
    let relay = |items: usize| {
        let request = Relayed { signal, encoding, items: items as u64, body: bytes };
        Some((api.sink.relay(&tenant, &request)?, items as u64))
    };
    let (rejects, relayed, kept) = match signal {
        Signal::Traces => {
            let decoded = otlp::decode_traces(bytes, encoding, &limits).map_err(decode)?;
            (decoded.rejects, relay(decoded.write.spans.len()), Kept::Spans(decoded.write))
        }
        Signal::Logs => {
            let decoded = otlp::decode_logs(bytes, encoding, now_ns, &LogOptions { limits, ..LogOptions::default() })
                .map_err(decode)?;
            (decoded.rejects, relay(decoded.write.entries.len()), Kept::Logs(decoded.write))
        }
        Signal::Metrics => {
            let decoded = otlp::decode_metrics(bytes, encoding, &MetricOptions { limits, ..MetricOptions::default() })
                .map_err(decode)?;
            (decoded.rejects, relay(decoded.write.len()), Kept::Metrics(decoded.write))
        }
    };
    let appended = match (relayed, kept) {
        (Some((relayed, accepted)), kept) => {
            // Only looked at: it need not stay while the disk works.
            drop(kept);
            relayed.await.map(|()| Appended { accepted, ..Appended::default() })
        }
        (None, Kept::Spans(write)) => match delivery {
            Some(delivery) => api.sink.spans_of(tenant, write, delivery).await,
            None => api.sink.spans(tenant, write).await,
        },
        (None, Kept::Logs(write)) => api.sink.logs(tenant, write).await,
        (None, Kept::Metrics(write)) => api.sink.metrics(tenant, write).await,
    };
    let mut appended = appended.map_err(ExportError::Source)?;
    appended.merge(rejects);
    Ok(appended)
}

async fn export(State(api): State<Intake>, signal: Signal, headers: HeaderMap, body: Body) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let Some(encoding) = Encoding::from_content_type(kind) else {
        api.counters.undecodable(signal, Protocol::OtlpHttp);
        let why = format!("content type `{kind}` is not known here; send application/x-protobuf or application/json");
        return failure(Encoding::Json, StatusCode::UNSUPPORTED_MEDIA_TYPE, 3, &why);
    };
    let tenant = match api.tenant(&headers) {
        Ok(tenant) => tenant,
        Err(why) => return failure(encoding, StatusCode::UNAUTHORIZED, 16, &why),
    };
    let body = match api.bodies.read(&headers, body).await {
        Ok(body) => body,
        Err(error) => {
            error.count(&api.counters, signal, Protocol::OtlpHttp);
            return body_failure(encoding, &error);
        }
    };
    let taking = {
        let (api, tenant) = (api.clone(), tenant.clone());
        move |delivery: Option<Delivery>| async move {
            let appended = take(&api, tenant, signal, encoding, &body.bytes, delivery.as_ref()).await?;
            Ok((body, appended))
        }
    };
    let answer = |rejected: u64, why: &str| {
        let reply = otlp::export_response(signal, encoding, rejected, why);
        ([(header::CONTENT_TYPE, encoding.content_type())], reply).into_response()
    };
    match api.deliveries.once(&tenant, &headers, taking, |_| true).await {
        Ok(Once::Again) => answer(0, ""),
        Ok(Once::Partly(mark)) => partly(mark),
        Ok(Once::Done((body, appended))) => {
            api.counters.appended(signal, Protocol::OtlpHttp, body.bytes.len() as u64, &appended);
            answer(appended.rejected_count(), &appended.message())
        }
        Err(ExportError::Decode(error)) => {
            api.counters.undecodable(signal, Protocol::OtlpHttp);
            let status = if error.is_too_large() { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
            failure(encoding, status, 3, &error.to_string())
        }
        Err(ExportError::Source(error)) => {
            api.counters.shed(signal);
            let mut response = match &error {
                SourceError::Shed { .. } => failure(encoding, StatusCode::TOO_MANY_REQUESTS, 8, &error.to_string()),
                error => failure(encoding, StatusCode::SERVICE_UNAVAILABLE, 14, &error.to_string()),
            };
            response.headers_mut().insert(header::RETRY_AFTER, retry_after(&error));
            response
        }
    }
}

/// Whole seconds, at least one.
pub(crate) fn retry_after(error: &SourceError) -> HeaderValue {
    let seconds = match error {
        SourceError::Shed { retry_after_ms, .. } => retry_after_ms.div_ceil(1000).max(1),
        _ => 5,
    };
    HeaderValue::from(seconds)
}

fn body_failure(encoding: Encoding, error: &BodyError) -> Response {
    let (status, code) = match error {
        BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, 3),
        BodyError::Busy { .. } => (StatusCode::TOO_MANY_REQUESTS, 8),
        BodyError::Slow => (StatusCode::REQUEST_TIMEOUT, 4),
        BodyError::Broken(_) => (StatusCode::BAD_REQUEST, 3),
        BodyError::Encoding(error) if error.is_too_large() => (StatusCode::PAYLOAD_TOO_LARGE, 3),
        BodyError::Encoding(error) if error.is_unsupported_encoding() => (StatusCode::UNSUPPORTED_MEDIA_TYPE, 3),
        BodyError::Encoding(_) => (StatusCode::BAD_REQUEST, 3),
    };
    let mut response = failure(encoding, status, code, &error.to_string());
    if matches!(error, BodyError::Busy { .. }) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn failure(encoding: Encoding, status: StatusCode, code: u32, why: &str) -> Response {
    (status, [(header::CONTENT_TYPE, encoding.content_type())], otlp::status(encoding, code, why)).into_response()
}
