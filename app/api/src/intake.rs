//! What the faces need that take telemetry in, whoever stands behind them: an engine with stores, or a collector that passes it on.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use base_signal::TenantId;
use base_world::Clock;
use observe_ingest::self_metrics::IngestMetrics;
use observe_ingest::{TENANT_HEADER, tenant_of};

use crate::auth::{self, Tokens};
use crate::body::Bodies;
use crate::{Api, Control, Deliveries, Sink, admin, grpc, harden, nowhere, otlp, write};

/// The way in.
#[derive(Clone)]
pub struct Intake {
    pub sink: Arc<dyn Sink>,
    pub clock: Arc<dyn Clock>,
    pub counters: Arc<IngestMetrics>,
    pub bodies: Bodies,
    pub deliveries: Deliveries,
    /// Whether `X-Scope-OrgID` counts.
    pub tenancy: bool,
}

impl Intake {
    /// Whose data a request is about; an error is a sentence for the sender.
    pub(crate) fn tenant(&self, headers: &axum::http::HeaderMap) -> Result<TenantId, String> {
        tenant_in(headers, self.tenancy)
    }
}

pub(crate) fn tenant_in(headers: &axum::http::HeaderMap, tenancy: bool) -> Result<TenantId, String> {
    let given = headers.get(TENANT_HEADER).map(|value| value.to_str().unwrap_or_default());
    tenant_of(given, tenancy).map_err(|error| error.to_string())
}

impl FromRef<Api> for Intake {
    fn from_ref(api: &Api) -> Self {
        Intake {
            sink: api.sink.clone(),
            clock: api.clock.clone(),
            counters: api.counters.clone(),
            bodies: api.bodies.clone(),
            deliveries: api.deliveries.clone(),
            tenancy: api.tenancy,
        }
    }
}

impl FromRef<Api> for Arc<dyn Control> {
    fn from_ref(api: &Api) -> Self {
        api.control.clone()
    }
}

/// The faces of a collector: all that takes telemetry in, and what a supervisor and a scraper ask. There is nothing to read and nothing to order.
#[derive(Clone)]
pub struct Collector {
    pub intake: Intake,
    pub control: Arc<dyn Control>,
    /// `None`: whoever reaches the ports may send.
    pub tokens: Option<Tokens>,
}

impl FromRef<Collector> for Intake {
    fn from_ref(collector: &Collector) -> Self {
        collector.intake.clone()
    }
}

impl FromRef<Collector> for Arc<dyn Control> {
    fn from_ref(collector: &Collector) -> Self {
        collector.control.clone()
    }
}

impl Collector {
    /// For the main port.
    pub fn router(&self) -> Router {
        let routes = Router::new().merge(admin::looks()).merge(write::routes());
        self.finish(routes.merge(otlp::routes()).merge(grpc::routes()).fallback(nowhere))
    }

    /// OTLP over HTTP alone, for 4318.
    pub fn otlp_http_router(&self) -> Router {
        self.finish(otlp::routes().fallback(nowhere))
    }

    /// OTLP over gRPC alone, for 4317.
    pub fn otlp_grpc_router(&self) -> Router {
        self.finish(grpc::routes())
    }

    fn finish(&self, routes: Router<Collector>) -> Router {
        let guarded = match &self.tokens {
            Some(tokens) => {
                let state = (tokens.clone(), self.intake.clock.clone());
                routes.layer(axum::middleware::from_fn_with_state(state, auth::guard))
            }
            None => routes,
        };
        guarded.layer(axum::middleware::map_response(harden)).with_state(self.clone())
    }
}
