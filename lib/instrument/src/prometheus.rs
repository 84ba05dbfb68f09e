//! The Prometheus face: the same instruments that go out over OTLP, pulled as text.
//!
//! `names` turns OpenTelemetry's names into Prometheus's, `text` writes the exposition. Neither knows HTTP.

mod names;
mod text;

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, Temporality};

pub use text::exposition;

/// A reader that collects when asked. Clones share one pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Pull(Arc<ManualReader>);

impl Pull {
    pub(crate) fn new() -> Self {
        Self(Arc::new(ManualReader::builder().with_temporality(Temporality::Cumulative).build()))
    }

    /// The exposition of this moment; empty after shutdown.
    pub(crate) fn text(&self) -> String {
        let mut collected = ResourceMetrics::default();
        match self.0.collect(&mut collected) {
            Ok(()) => exposition(&collected),
            Err(_) => String::new(),
        }
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn collected(&self) -> ResourceMetrics {
        let mut collected = ResourceMetrics::default();
        let _ = self.0.collect(&mut collected);
        collected
    }
}

impl MetricReader for Pull {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

pub(crate) fn router(pull: Pull) -> Router {
    let answer = move || {
        let pull = pull.clone();
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], pull.text()) }
    };
    Router::new().route("/metrics", get(answer))
}
