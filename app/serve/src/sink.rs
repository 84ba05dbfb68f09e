//! From decoded writes to durable ones: limits, then the stores' writers, and span metrics beside the spans.

use std::sync::{Arc, OnceLock};

use app_api::Sink;
use base_explain::Report;
use base_signal::TenantId;
use base_world::Clock;
use futures_util::future::BoxFuture;
use observe_ingest::delivered::Delivered;
use observe_ingest::delta::Accumulator;
use observe_ingest::limits::IngestLimits;
use observe_ingest::span_metrics::SpanMetrics;
use observe_metrics::MetricStore;
use observe_source::{Appended, LogWrite, MetricWrite, SourceError, SpanWrite};
use observe_wire::delivery::Delivery;
use observe_wire::otlp::Signal;
use parking_lot::Mutex;

use crate::engine::{Engine, SharedMetrics};
use crate::scrape::TakeScraped;
use crate::seen::Seen;

/// The way in.
pub(crate) struct EngineSink {
    engine: Arc<OnceLock<Engine>>,
    limits: IngestLimits,
    clock: Arc<dyn Clock>,
    seen: Arc<Seen>,
    resumed: Resumed,
    deltas: Arc<Mutex<Accumulator>>,
    told: Arc<Told>,
}

/// Nobody gets an answer about samples that we scraped ourselves: what was left out of them is told in the log, once a minute.
#[derive(Default)]
struct Told(Mutex<Option<i64>>);

impl Told {
    const AGAIN_MS: i64 = 60_000;

    fn tell(&self, appended: &Appended, now_ms: i64) {
        if appended.rejected_count() == 0 {
            return;
        }
        let mut last_ms = self.0.lock();
        if last_ms.is_none_or(|last_ms| now_ms.saturating_sub(last_ms) >= Self::AGAIN_MS) {
            *last_ms = Some(now_ms);
            tracing::warn!("scraped samples were left out: {}", appended.message());
        }
    }
}

/// What goes on over a restart beside the stores.
#[derive(Clone, Default)]
pub(crate) struct Resumed {
    span_metrics: Arc<Mutex<SpanMetrics>>,
    /// How far the queues of senders were stored.
    pub(crate) delivered: Arc<Mutex<Delivered>>,
}

/// Takes up the span metrics where the stored series end, so that their counters go on without a reset. Reads the store, so
/// it takes as long as that takes.
pub(crate) fn resume(engine: &Engine, now_ms: i64) -> Result<Resumed, Report> {
    let (mut span_metrics, mut delivered) = (SpanMetrics::default(), Delivered::default());
    let source = SharedMetrics(engine.metrics.clone());
    // Not in the head of the loop: the lock would be held until its end.
    let tenants = engine.metrics.lock().tenants();
    for tenant in tenants {
        span_metrics.resume_from(&source, &tenant, now_ms).map_err(|error| Report::of(&error))?;
        delivered.resume_from(&source, &tenant, now_ms).map_err(|error| Report::of(&error))?;
    }
    Ok(Resumed { span_metrics: Arc::new(Mutex::new(span_metrics)), delivered: Arc::new(Mutex::new(delivered)) })
}

impl EngineSink {
    pub(crate) fn new(resumed: Resumed, clock: Arc<dyn Clock>, seen: Arc<Seen>, engine: Arc<OnceLock<Engine>>) -> Self {
        EngineSink {
            engine,
            limits: IngestLimits::default(),
            clock,
            seen,
            resumed,
            deltas: Arc::default(),
            told: Arc::default(),
        }
    }

    fn engine(&self) -> Result<&Engine, SourceError> {
        self.engine.get().ok_or_else(|| SourceError::Unavailable { reason: "the engine is starting".into() })
    }
}

impl TakeScraped for EngineSink {
    fn metrics_lazily(&self, tenant: TenantId, write: MetricWrite) -> Result<(), SourceError> {
        let told = self.told.clone();
        let now_ms = self.clock.now_ms();
        self.engine()?.metric_writer.write_lazily(move |store| {
            let appended = store.append(&tenant, &write)?;
            told.tell(&appended, now_ms);
            Ok(appended)
        })
    }
}

impl Sink for EngineSink {
    fn metrics(&self, tenant: TenantId, mut write: MetricWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        Box::pin(async move {
            self.seen.mark(Signal::Metrics, self.clock.now_ms());
            let rejects = self.limits.metrics(&mut write, self.clock.now_ms());
            let deltas = self.deltas.clone();
            let take = move |store: &mut MetricStore| {
                if write.increases.is_empty() {
                    return store.append(&tenant, &write);
                }
                let mut deltas = deltas.lock();
                let (told, receipt) = deltas.add_up(&tenant, &mut write, store)?;
                let appended = store.append(&tenant, &write);
                if appended.is_err() {
                    deltas.take_back(receipt);
                }
                let mut appended = appended?;
                appended.merge(told);
                Ok(appended)
            };
            let mut appended = self.engine()?.metric_writer.write(take).await?;
            appended.merge(rejects);
            Ok(appended)
        })
    }

    fn logs(&self, tenant: TenantId, mut write: LogWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        Box::pin(async move {
            self.seen.mark(Signal::Logs, self.clock.now_ms());
            let rejects = self.limits.logs(&mut write, self.clock.now_ns());
            let mut appended =
                self.engine()?.event_writer.write(move |store| store.append_logs(&tenant, &write)).await?;
            appended.merge(rejects);
            Ok(appended)
        })
    }

    fn spans(&self, tenant: TenantId, write: SpanWrite) -> BoxFuture<'_, Result<Appended, SourceError>> {
        Box::pin(self.spans_then_counts(tenant, write, None))
    }

    fn spans_of(
        &self,
        tenant: TenantId,
        write: SpanWrite,
        delivery: &Delivery,
    ) -> BoxFuture<'_, Result<Appended, SourceError>> {
        Box::pin(self.spans_then_counts(tenant, write, Some(*delivery)))
    }
}

impl EngineSink {
    /// Spans first, then what they count: if the machine stops between the two, nothing was acknowledged, and the spans that
    /// the sender sends again are known by their ids while their calls are counted once. How far the sender's queue is then
    /// stored goes with the counts, in one write: both are there after a crash, or neither.
    async fn spans_then_counts(
        &self,
        tenant: TenantId,
        mut write: SpanWrite,
        delivery: Option<Delivery>,
    ) -> Result<Appended, SourceError> {
        self.seen.mark(Signal::Traces, self.clock.now_ms());
        let rejects = self.limits.spans(&mut write, self.clock.now_ns());
        let engine = self.engine()?;
        let write = Arc::new(write);
        let mut appended = {
            let (tenant, write) = (tenant.clone(), write.clone());
            engine.event_writer.write(move |store| store.append_spans(&tenant, (*write).clone())).await?
        };
        let (resumed, now_ms) = (self.resumed.clone(), self.clock.now_ms());
        let counted = engine.metric_writer.write(move |store| {
            let mut span_metrics = resumed.span_metrics.lock();
            let (mut counted, receipt) = span_metrics.observe_with_receipt(&tenant, &write, now_ms);
            if let Some(delivery) = &delivery {
                resumed.delivered.lock().note(&tenant, delivery, now_ms, &mut counted);
            }
            let appended = store.append(&tenant, &counted);
            if appended.is_err() {
                // The sender is told to send them again; they must count once.
                span_metrics.take_back(receipt);
            }
            appended
        });
        counted.await?;
        appended.merge(rejects);
        Ok(appended)
    }
}

#[cfg(test)]
mod tests {
    use observe_source::RejectReason;

    use super::*;

    #[test]
    fn what_is_left_out_of_scrapes_is_told_once_a_minute() {
        let told = Told::default();
        let mut appended = Appended::default();
        told.tell(&appended, 1);
        assert_eq!(*told.0.lock(), None, "nothing was left out");
        appended.reject(RejectReason::SeriesLimit, || "too many".into());
        for (now_ms, expect_ms) in [(1_000, 1_000), (2_000, 1_000), (61_000, 61_000)] {
            told.tell(&appended, now_ms);
            assert_eq!(*told.0.lock(), Some(expect_ms), "{now_ms}");
        }
    }
}
