//! The only room with listeners, routes, tokens and body limits; one file a face.
//!
//! A face speaks one product's API in that product's own words and errors. Reads go to the waist (`observe/source`) through
//! the languages, writes are decoded by `observe/wire` and handed to a [`Sink`]; who stands behind either, this room does
//! not know. Nor does it know files, stores or the clock's source.

mod admin;
mod apm;
mod auth;
mod body;
mod deployments;
mod grpc;
mod intake;
mod jaeger;
mod json;
mod loki;
mod once;
mod otlp;
mod page;
mod params;
mod prometheus;
mod query;
mod server;
mod services;
mod session;
mod sign_in;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use base_signal::TenantId;
use base_world::Clock;
use futures_util::future::BoxFuture;
use observe_source::{Appended, LogSource, LogWrite, MetricSource, MetricWrite, SourceError, SpanSource, SpanWrite};
use observe_wire::delivery::Delivery;

pub use auth::{Role, TokenError, Tokens};
pub use body::{Bodies, BodyLimits};
pub use deployments::{
    Deployments, Following, Health, JudgeWanted, Kept, Lines, OutputWanted, Past, Prepared, Promoted, Refused,
    RefusedKind, Retag, Wanted, Watchers, Yes,
};
pub use intake::{Collector, Intake};
pub use once::Deliveries;
pub use prometheus::{ActiveTarget, DroppedTarget, Head, Insides, Job, LastScrape, Runtime, StoredBlock, Targets};
pub use query::{Queries, QueryLimits, Refused as RefusedQuery};
pub use server::{ConnectionLimits, Gate, serve};

/// Where decoded writes go. The future ends when what was accepted is durable.
pub trait Sink: Send + Sync {
    fn metrics(&self, tenant: TenantId, write: MetricWrite) -> BoxFuture<'_, Result<Appended, SourceError>>;
    fn logs(&self, tenant: TenantId, write: LogWrite) -> BoxFuture<'_, Result<Appended, SourceError>>;
    fn spans(&self, tenant: TenantId, write: SpanWrite) -> BoxFuture<'_, Result<Appended, SourceError>>;

    /// Spans of a request that tells which part of its sender's queue it is: they count once, also over a restart, where the sink can keep that.
    fn spans_of(
        &self,
        tenant: TenantId,
        write: SpanWrite,
        _delivery: &Delivery,
    ) -> BoxFuture<'_, Result<Appended, SourceError>> {
        self.spans(tenant, write)
    }

    /// A whole OTLP request that was found good, for who passes it on as it came; `None` where what was decoded is wanted. The future ends when it
    /// is durable.
    fn relay(&self, _tenant: &TenantId, _request: &Relayed<'_>) -> Option<BoxFuture<'_, Result<(), SourceError>>> {
        None
    }
}

/// An OTLP request as it came, unpacked.
#[derive(Clone, Copy, Debug)]
pub struct Relayed<'b> {
    pub signal: observe_wire::otlp::Signal,
    pub encoding: observe_wire::otlp::Encoding,
    /// Samples, lines or spans that are good.
    pub items: u64,
    pub body: &'b [u8],
}

/// What an operator may ask of the engine. Errors are sentences for a person.
pub trait Control: Send + Sync {
    /// An error says what it still waits for.
    fn ready(&self) -> Result<(), String>;
    fn flush(&self) -> BoxFuture<'_, Result<(), String>>;
    fn compact(&self) -> BoxFuture<'_, Result<(), String>>;
    fn reload(&self) -> BoxFuture<'_, Result<(), String>>;
    /// The body of `/apm/v1/status`.
    fn status(&self) -> serde_json::Value;
    /// The body of `/metrics`, text format 0.0.4.
    fn metrics_text(&self) -> String;
    /// What is scraped.
    fn targets(&self) -> Targets;
}

/// Everything the faces need.
#[derive(Clone)]
pub struct Api {
    pub metrics: Arc<dyn MetricSource>,
    pub logs: Arc<dyn LogSource>,
    pub spans: Arc<dyn SpanSource>,
    pub sink: Arc<dyn Sink>,
    pub control: Arc<dyn Control>,
    pub insides: Arc<dyn Insides>,
    pub deployments: Arc<dyn Deployments>,
    pub watchers: Watchers,
    pub clock: Arc<dyn Clock>,
    pub counters: Arc<observe_ingest::self_metrics::IngestMetrics>,
    pub bodies: Bodies,
    pub deliveries: Deliveries,
    pub queries: Queries,
    pub tokens: Tokens,
    /// Whether `X-Scope-OrgID` counts.
    pub tenancy: bool,
}

impl Api {
    /// All faces, for the main port.
    pub fn router(&self) -> Router {
        let routes = Router::new()
            .merge(admin::routes())
            .merge(prometheus::routes())
            .merge(loki::routes())
            .merge(jaeger::routes())
            .merge(apm::routes())
            .merge(deployments::routes())
            .merge(sign_in::routes())
            .merge(write::routes())
            .merge(otlp::routes())
            .merge(grpc::routes())
            .merge(page::routes());
        self.finish(routes.fallback(nowhere))
    }

    /// OTLP over HTTP alone, for 4318.
    pub fn otlp_http_router(&self) -> Router {
        self.finish(otlp::routes().fallback(nowhere))
    }

    /// OTLP over gRPC alone, for 4317.
    pub fn otlp_grpc_router(&self) -> Router {
        self.finish(grpc::routes())
    }

    fn finish(&self, routes: Router<Api>) -> Router {
        let guarded = routes
            .layer(axum::middleware::from_fn_with_state((self.tokens.clone(), self.clock.clone()), auth::guard))
            .layer(tower_http::compression::CompressionLayer::new())
            .layer(axum::middleware::map_response(harden));
        guarded.with_state(self.clone())
    }

    /// Whose data a request is about; an error is a sentence for the sender.
    fn tenant(&self, headers: &axum::http::HeaderMap) -> Result<TenantId, String> {
        intake::tenant_in(headers, self.tenancy)
    }
}

/// A path that nobody serves.
async fn nowhere(uri: axum::http::Uri) -> (axum::http::StatusCode, String) {
    let why = format!("there is nothing at {}; the page is at /ui/services\n", uri.path());
    (axum::http::StatusCode::NOT_FOUND, why)
}

/// Headers that every answer carries.
async fn harden(mut response: axum::response::Response) -> axum::response::Response {
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.entry(HeaderName::from_static("x-content-type-options")).or_insert(nosniff);
    response
}
