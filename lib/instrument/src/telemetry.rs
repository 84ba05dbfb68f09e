//! What an installed service holds: the way to its meters and layers, and the guard that flushes at the end.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::client::Outgoing;
use crate::deliver::{Delivery, Outages};
use crate::prometheus::Pull;
use crate::server::HttpLayer;

/// A last flush that takes longer is abandoned: an orchestrator kills a service after 10 to 30 s anyway.
pub(crate) const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// The installed telemetry. Dropping it flushes, for at most five seconds; [`Telemetry::shutdown`] does the same
/// without blocking the runtime.
pub struct Telemetry {
    pub(crate) traces: Option<SdkTracerProvider>,
    pub(crate) metrics: SdkMeterProvider,
    pub(crate) logs: Option<SdkLoggerProvider>,
    pub(crate) pull: Option<Pull>,
    pub(crate) outages: Arc<Outages>,
    pub(crate) limit: Duration,
    pub(crate) done: bool,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("delivery", &self.delivery()).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// A meter, named after the crate or module that makes instruments with it.
    pub fn meter(&self, name: &'static str) -> Meter {
        self.metrics.meter(name)
    }

    /// The layer for an axum router: a span, RED metrics, a request id and caught panics for every request. Put it on
    /// the router that has the routes, so that spans are named `METHOD route`.
    pub fn http_layer(&self) -> HttpLayer {
        HttpLayer::new(&self.meter(crate::server::SCOPE))
    }

    /// A maker of client spans for outgoing HTTP requests. Cheap to clone; make it once.
    pub fn outgoing(&self) -> Outgoing {
        Outgoing::new(&self.meter(crate::server::SCOPE))
    }

    /// `GET /metrics` in the Prometheus text format 0.0.4. `None` unless the builder's `prometheus(true)` or
    /// `OTEL_METRICS_EXPORTER=prometheus` asked for it.
    pub fn metrics_router(&self) -> Option<axum::Router> {
        self.pull.clone().map(crate::prometheus::router)
    }

    /// The same text that `/metrics` answers.
    pub fn metrics_text(&self) -> Option<String> {
        self.pull.as_ref().map(Pull::text)
    }

    /// How delivery over OTLP is going.
    pub fn delivery(&self) -> Delivery {
        self.outages.delivery()
    }

    /// Sends what is queued. `false` when that did not finish within the limit or a collector refused.
    pub async fn flush(&self) -> bool {
        let (traces, metrics, logs) = (self.traces.clone(), self.metrics.clone(), self.logs.clone());
        in_time(
            self.limit,
            vec![
                Box::new(move || traces.is_none_or(|provider| provider.force_flush().is_ok())),
                Box::new(move || metrics.force_flush().is_ok()),
                Box::new(move || logs.is_none_or(|provider| provider.force_flush().is_ok())),
            ],
        )
        .await
    }

    /// Sends what is queued and ends the background threads. `false` when that did not finish within the limit (five
    /// seconds unless set otherwise) or a collector refused; the rest is then lost.
    pub async fn shutdown(mut self) -> bool {
        self.done = true;
        in_time(self.limit, self.endings()).await
    }

    fn endings(&self) -> Vec<Task> {
        let (traces, metrics, logs, limit) = (self.traces.clone(), self.metrics.clone(), self.logs.clone(), self.limit);
        vec![
            Box::new(move || traces.is_none_or(|provider| provider.shutdown_with_timeout(limit).is_ok())),
            Box::new(move || metrics.shutdown_with_timeout(limit).is_ok()),
            Box::new(move || logs.is_none_or(|provider| provider.shutdown_with_timeout(limit).is_ok())),
        ]
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let tasks = self.endings();
        let expected = tasks.len();
        let (finished, results) = mpsc::channel();
        start(tasks, move |ok| {
            let _ = finished.send(ok);
        });
        // Each wait has the whole limit, but the tasks run side by side, so the sum stays near one limit.
        for _ in 0..expected {
            if results.recv_timeout(self.limit).is_err() {
                break;
            }
        }
    }
}

type Task = Box<dyn FnOnce() -> bool + Send>;

/// The SDK's flush blocks its caller, so each signal gets a thread of its own for this moment.
fn start(tasks: Vec<Task>, finished: impl Fn(bool) + Send + Clone + 'static) {
    for task in tasks {
        let tell = finished.clone();
        let spawned = std::thread::Builder::new().name("otlp-flush".to_owned()).spawn(move || tell(task()));
        if spawned.is_err() {
            finished(false);
        }
    }
}

async fn in_time(limit: Duration, tasks: Vec<Task>) -> bool {
    let expected = tasks.len();
    let (finished, mut results) = tokio::sync::mpsc::unbounded_channel();
    start(tasks, move |ok| {
        let _ = finished.send(ok);
    });
    let all = async {
        let mut good = true;
        for _ in 0..expected {
            good &= results.recv().await.unwrap_or(false);
        }
        good
    };
    tokio::time::timeout(limit, all).await.unwrap_or(false)
}
