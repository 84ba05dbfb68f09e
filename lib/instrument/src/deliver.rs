//! The way out: one thread of its own, with its own small runtime, posts what the batch processors hand over.
//!
//! The SDK's batch processors are plain threads that block on a future; an HTTP client that needs tokio would panic
//! there, and one that lives on the app's runtime would deadlock when the last flush runs while that runtime is busy
//! or gone. Here neither can happen. A collector that cannot be reached costs the app nothing and is told once, and
//! once again when it is back. This file does not know what it carries.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::error::InstrumentError;

/// Requests waiting for the thread. Three signals send one at a time each, so this is never reached in practice; it is
/// there so that nothing grows without bound.
const WAITING_MAX: usize = 16;

/// Who is told that telemetry cannot be delivered, or can again.
pub(crate) type Notice = Arc<dyn Fn(&str) + Send + Sync>;

/// How delivery over OTLP is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Requests the collector accepted.
    pub delivered: u64,
    /// Requests that failed; the SDK retries some of them.
    pub failed: u64,
}

/// Counts and tells. Shared by the three signals, so that one outage is one remark.
pub(crate) struct Outages {
    delivered: AtomicU64,
    failed: AtomicU64,
    told: Mutex<HashSet<String>>,
    notice: Notice,
}

impl Outages {
    pub(crate) fn new(notice: Notice) -> Arc<Self> {
        Arc::new(Self {
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            told: Mutex::new(HashSet::new()),
            notice,
        })
    }

    pub(crate) fn delivery(&self) -> Delivery {
        Delivery { delivered: self.delivered.load(Ordering::Relaxed), failed: self.failed.load(Ordering::Relaxed) }
    }

    /// `about` is the host for an unreachable collector and the whole URL for a refusal.
    fn failure(&self, about: String, text: &str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        if self.told.lock().insert(about) {
            (self.notice)(text);
        }
    }

    fn success(&self, host: &str, url: &str) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock();
        let was_told = told.remove(host) | told.remove(url);
        drop(told);
        if was_told {
            (self.notice)(&format!("telemetry is delivered to {host} again"));
        }
    }
}

struct Job {
    request: Request<Bytes>,
    answer: oneshot::Sender<Result<Response<Bytes>, HttpError>>,
}

/// An HTTP client that works from any thread and any executor.
#[derive(Clone)]
pub(crate) struct Courier {
    jobs: mpsc::Sender<Job>,
    outages: Arc<Outages>,
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Courier")
    }
}

impl Courier {
    /// Starts the thread. It ends when the last clone is dropped.
    pub(crate) fn start(
        timeout: Duration,
        loopback_only: bool,
        outages: Arc<Outages>,
    ) -> Result<Self, InstrumentError> {
        let failed = |reason: String| InstrumentError::Thread { reason };
        let builder = || {
            let builder = reqwest::Client::builder().timeout(timeout).pool_max_idle_per_host(3);
            // A proxy named in the environment cannot reach this machine's own loopback.
            if loopback_only { builder.no_proxy() } else { builder }
        };
        // An image without certificates of authorities can still send to an address without TLS; one with TLS then fails by name.
        let client = builder()
            .build()
            .or_else(|_| builder().tls_certs_only([]).build())
            .map_err(|error| failed(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let (jobs, mut inbox) = mpsc::channel::<Job>(WAITING_MAX);
        std::thread::Builder::new()
            .name("otlp-delivery".to_owned())
            .spawn(move || {
                // What the HTTP client logs about delivering telemetry must not become telemetry.
                let silence = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
                runtime.block_on(async move {
                    while let Some(job) = inbox.recv().await {
                        let client = client.clone();
                        tokio::spawn(async move {
                            let answer = client.send_bytes(job.request).await;
                            // The processor gave up waiting: nobody to answer.
                            let _ = job.answer.send(answer);
                        });
                    }
                });
                drop(silence);
            })
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { jobs, outages })
    }

    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let url = request.uri().to_string();
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let (answer, answered) = oneshot::channel();
        if self.jobs.send(Job { request, answer }).await.is_err() {
            return Err("the delivery thread has ended".into());
        }
        let result = answered.await.unwrap_or_else(|_| Err("the delivery thread has ended".into()));
        match &result {
            Ok(response) if response.status().is_success() => self.outages.success(&host, &url),
            Ok(response) => {
                let status = response.status();
                let text =
                    format!("telemetry is not accepted: {url} answered {status}\n  hint: {}", status_hint(status));
                self.outages.failure(url, &text);
            }
            Err(error) => {
                let text = format!(
                    "telemetry is not delivered: {host}: {}\n  hint: {}; the service goes on without it, and this is said once",
                    root_cause(error.as_ref()),
                    reach_hint(&host)
                );
                self.outages.failure(host, &text);
            }
        }
        result
    }
}

impl HttpClient for Courier {
    // The shape that `#[async_trait]` gives this method.
    fn send_bytes<'me, 'out>(
        &'me self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'out>>
    where
        'me: 'out,
        Self: 'out,
    {
        Box::pin(self.carry(request))
    }
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    deepest.to_string()
}

fn reach_hint(host: &str) -> &'static str {
    if host.ends_with(":4317") {
        "4317 is usually the gRPC port; this library speaks HTTP, usually on 4318"
    } else {
        "is the collector running, and does OTEL_EXPORTER_OTLP_ENDPOINT name its HTTP port"
    }
}

fn status_hint(status: http::StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => "put the token into OTEL_EXPORTER_OTLP_HEADERS, for example authorization=Bearer%20TOKEN",
        404 | 405 => "OTEL_EXPORTER_OTLP_ENDPOINT is the address without /v1/traces; the path is appended",
        413 => "lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE or OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
        429 | 503 => "the collector is overloaded; the SDK retries, then drops",
        _ => "the collector's own log says more",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_fit_what_went_wrong() {
        let hint = |code| status_hint(http::StatusCode::from_u16(code).unwrap());
        for (code, word) in [
            (401, "OTEL_EXPORTER_OTLP_HEADERS"),
            (403, "OTEL_EXPORTER_OTLP_HEADERS"),
            (404, "without /v1/traces"),
            (405, "without /v1/traces"),
            (413, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
            (429, "overloaded"),
            (503, "overloaded"),
            (500, "own log"),
        ] {
            assert!(hint(code).contains(word), "{code}: {}", hint(code));
        }
        assert!(reach_hint("c.example:4317").contains("gRPC port"));
        assert!(reach_hint("c.example:4318").contains("is the collector running"));
    }
}
