//! One call sets up OpenTelemetry for a Rust service: traces, logs and metrics over OTLP/HTTP, a Prometheus endpoint,
//! W3C propagation, an HTTP layer with RED metrics, and health endpoints.
//!
//! ```ignore
//! let telemetry = lib_instrument::Instrument::new("cart").version("1.2.0").install()?;
//! let routes = axum::Router::new().route("/items/{id}", get(item)).layer(telemetry.http_layer());
//! // Health first: what is merged last keeps its layered 404, so unknown paths are measured too.
//! let app = lib_instrument::health_router(vec![]).merge(routes);
//! // … serve …
//! telemetry.shutdown().await;
//! ```
//!
//! It knows OpenTelemetry's own environment variables and nothing of any particular backend: whatever accepts
//! OTLP/HTTP or scrapes Prometheus text is fine.

mod client;
mod console;
mod deliver;
mod environment;
mod error;
mod errors;
mod health;
mod install;
mod prometheus;
mod propagate;
mod request_id;
mod resource;
mod server;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use client::{Outgoing, OutgoingAnswer};
pub use console::Console;
pub use deliver::Delivery;
pub use error::InstrumentError;
pub use health::{Dependency, health_router};
pub use install::Instrument;
pub use opentelemetry;
pub use prometheus::exposition;
pub use propagate::{context_to_text, continue_trace, current_trace_id, extract, inject};
pub use request_id::RequestId;
pub use server::{HttpLayer, HttpService};
pub use telemetry::Telemetry;
