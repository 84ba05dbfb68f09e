//! `/api/v1/read`: remote read, by which another Prometheus (or Thanos) asks us as if our samples were its own.
//!
//! Errors are plain text, as Prometheus's are. A streamed answer leaves as it is read, a few frames ahead of its reader; a client that goes away
//! ends the reading.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base_signal::TenantId;
use futures_util::StreamExt;
use observe_source::{Budget, Cancel, MetricBatches, Reservation, SelectHints, SelectMetrics, SourceError};
use observe_wire::Limits;
use observe_wire::remote_read::{
    Answer, ReadQuery, ReadRequest, SamplesAnswer, decode_read_request, encode_frames, encode_samples,
};
use tokio::sync::mpsc;

use super::client_gone;
use crate::Api;
use crate::body::BodyError;
use crate::query::Refused;

/// Frames that wait for the client.
const FRAMES_AHEAD: usize = 4;

/// Status and sentence.
struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, self.1 + "\n").into_response()
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let status = match error {
            // As Prometheus answers what passes its limit of samples.
            SourceError::Budget { .. } => StatusCode::BAD_REQUEST,
            SourceError::Cancelled => client_gone(),
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure(status, error.to_string())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Refused::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure(status, refused.to_string())
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        let status = match &error {
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            BodyError::Slow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken(_) | BodyError::Encoding(_) => StatusCode::BAD_REQUEST,
        };
        Failure(status, error.to_string())
    }
}

pub(super) async fn read(State(api): State<Api>, headers: HeaderMap, request: Request) -> Response {
    let answered = async {
        let bad = |why: String| Failure(StatusCode::BAD_REQUEST, why);
        let tenant = api.tenant(&headers).map_err(bad)?;
        let body = api.bodies.read(&headers, request.into_body()).await?;
        // What a request becomes is a few matchers; a body that unpacks to more is none.
        let limits = Limits { decoded_max_bytes: api.bodies.limit_bytes() as u64, ..Limits::default() };
        let request = decode_read_request(&body.bytes, &limits).map_err(|error| bad(error.to_string()))?;
        drop(body);
        match request.answer().map_err(bad)? {
            Answer::Samples => samples(&api, tenant, request).await,
            Answer::StreamedChunks => streamed(api.clone(), tenant, request).await,
        }
    };
    answered.await.unwrap_or_else(IntoResponse::into_response)
}

fn select(
    api: &Api,
    tenant: &TenantId,
    query: &ReadQuery,
    budget: &Budget,
    cancel: &Cancel,
) -> Result<Box<dyn MetricBatches>, SourceError> {
    let (matchers, range, hints) = (&query.matchers, query.range, SelectHints::default());
    api.metrics.select(&SelectMetrics { tenant, matchers, range, hints, budget, cancel })
}

async fn samples(api: &Api, tenant: TenantId, request: ReadRequest) -> Result<Response, Failure> {
    let owned = api.clone();
    let work = move |budget: &Budget, cancel: &Cancel| {
        let (mut results, mut held) = (Vec::new(), Vec::<Reservation>::new());
        for query in request.queries.iter().filter(|query| query.range.start_ms <= query.range.end_ms) {
            let mut result = SamplesAnswer::default();
            let mut batches = select(&owned, &tenant, query, budget, cancel)?;
            while let Some(batch) = batches.next()? {
                let before = result.size_bytes();
                result.add(&batch);
                held.push(budget.reserve((result.size_bytes() - before) as u64)?);
            }
            results.push(result);
        }
        Ok::<_, SourceError>(encode_samples(&results))
    };
    let packed = api.queries.run(None, work).await??;
    let kind = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
    Ok((kind, packed).into_response())
}

type Frame = Result<Bytes, SourceError>;

async fn streamed(api: Api, tenant: TenantId, request: ReadRequest) -> Result<Response, Failure> {
    let (frames, mut waiting) = mpsc::channel::<Frame>(FRAMES_AHEAD);
    let queries = api.queries.clone();
    let work = move |budget: &Budget, cancel: &Cancel| {
        let send = |frame: Vec<u8>| frames.blocking_send(Ok(Bytes::from(frame))).is_ok();
        if let Err(error) = put_all(&api, &tenant, &request, (budget, cancel), send) {
            // Nobody may be there any more to hear it.
            let _ = frames.blocking_send(Err(error));
        }
    };
    tokio::spawn(async move {
        if let Err(refused) = queries.run(None, work).await {
            tracing::warn!(%refused, "a remote read was not answered to its end");
        }
    });
    // While nothing was sent an error can still be a status.
    let first = match waiting.recv().await {
        Some(Err(error)) => return Err(error.into()),
        first => first,
    };
    let rest = futures_util::stream::poll_fn(move |context| waiting.poll_recv(context));
    let body = Body::from_stream(futures_util::stream::iter(first).chain(rest));
    let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

fn put_all(
    api: &Api,
    tenant: &TenantId,
    request: &ReadRequest,
    (budget, cancel): (&Budget, &Cancel),
    send: impl Fn(Vec<u8>) -> bool,
) -> Result<(), SourceError> {
    for (number, query) in request.queries.iter().enumerate() {
        if query.range.start_ms > query.range.end_ms {
            continue;
        }
        let mut batches = select(api, tenant, query, budget, cancel)?;
        while let Some(batch) = batches.next()? {
            if !encode_frames(&batch, number, &send) {
                return Ok(());
            }
        }
    }
    Ok(())
}
