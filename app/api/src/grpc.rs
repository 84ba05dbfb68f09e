//! OTLP over gRPC: the three `Export` calls, gzip and zstd.
//!
//! tonic carries the frames; messages pass as raw bytes, so that the decoder is the same as over HTTP.

use axum::Router;
use axum::extract::{FromRef, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Buf, BufMut, Bytes};
use futures_util::future::BoxFuture;
use observe_ingest::self_metrics::Protocol;
use observe_source::SourceError;
use observe_wire::otlp::{self, Encoding, Signal};
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};

use crate::Intake;
use crate::body::{BodyError, Held};
use crate::otlp::{ExportError, take};

pub(crate) fn routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Intake: FromRef<S>,
{
    let path = |part| format!("/opentelemetry.proto.collector.{part}/Export");
    Router::new()
        .route(&path("trace.v1.TraceService"), post(|state, request| export(state, Signal::Traces, request)))
        .route(&path("logs.v1.LogsService"), post(|state, request| export(state, Signal::Logs, request)))
        .route(&path("metrics.v1.MetricsService"), post(|state, request| export(state, Signal::Metrics, request)))
}

async fn export(State(api): State<Intake>, signal: Signal, request: Request) -> Response {
    let limit = api.bodies.limit_bytes();
    let mut server = Grpc::new(RawCodec)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(limit);
    let counters = api.counters.clone();
    let refuse = move |error: BodyError| {
        error.count(&counters, signal, Protocol::OtlpGrpc);
        match error {
            BodyError::Busy { .. } => retry_later(error.to_string(), 1000),
            BodyError::Slow => Status::deadline_exceeded(error.to_string()),
            error => Status::cancelled(error.to_string()),
        }
    };
    let (parts, body) = request.into_parts();
    let (body, held) = api.bodies.held(body, refuse);
    server.unary(Export { api, signal, held }, Request::from_parts(parts, body)).await.into_response()
}

struct Export {
    api: Intake,
    signal: Signal,
    held: Held,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (api, signal, held) = (self.api.clone(), self.signal, self.held.clone());
        Box::pin(async move {
            let headers = request.metadata().clone().into_headers();
            let tenant = api.tenant(&headers).map_err(Status::unauthenticated)?;
            let bytes = request.into_inner();
            // The packed form is gone.
            held.give_back();
            let _share = api.bodies.reserve(bytes.len()).map_err(|error| {
                api.counters.shed(signal);
                retry_later(error.to_string(), 1000)
            })?;
            let taken = take(&api, tenant, signal, Encoding::Protobuf, &bytes, None).await;
            match taken {
                Ok(appended) => {
                    api.counters.appended(signal, Protocol::OtlpGrpc, bytes.len() as u64, &appended);
                    let count = appended.rejected_count();
                    let reply = otlp::export_response(signal, Encoding::Protobuf, count, &appended.message());
                    Ok(tonic::Response::new(Bytes::from(reply)))
                }
                Err(ExportError::Decode(error)) => {
                    api.counters.undecodable(signal, Protocol::OtlpGrpc);
                    Err(Status::invalid_argument(error.to_string()))
                }
                Err(ExportError::Source(error)) => {
                    api.counters.shed(signal);
                    Err(match error {
                        SourceError::Shed { retry_after_ms, .. } => retry_later(error.to_string(), retry_after_ms),
                        error => Status::unavailable(error.to_string()),
                    })
                }
            }
        })
    }
}

/// RESOURCE_EXHAUSTED tells an OTLP client to try again only with a `google.rpc.RetryInfo` in its details; without one the
/// data would be dropped. Field numbers: Status.code 1, message 2, details 3; Any.type_url 1, value 2; RetryInfo.delay 1;
/// Duration.seconds 1, nanos 2.
fn retry_later(why: String, retry_after_ms: u64) -> Status {
    use observe_wire::proto::Writer;
    let mut info = Writer::default();
    info.message(1, |delay| {
        delay.varint(1, retry_after_ms / 1000).varint(2, retry_after_ms % 1000 * 1_000_000);
    });
    let mut status = Writer::default();
    status.varint(1, Code::ResourceExhausted as u64).text(2, &why).message(3, |any| {
        any.text(1, "type.googleapis.com/google.rpc.RetryInfo").bytes(2, &info.0);
    });
    Status::with_details(Code::ResourceExhausted, why, Bytes::from(status.0))
}

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> RawCodec {
        RawCodec
    }

    fn decoder(&mut self) -> RawCodec {
        RawCodec
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}
