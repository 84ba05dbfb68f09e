//! One decoded request from limits to its acknowledgement, counted on the way.
//!
//! What is acknowledged was appended by a [`Append`] of the caller's; this room only promises the order: spans and the
//! span metrics they make are handed over together, in the order in which they were counted. Knows no thread, no
//! listener, no file.

use std::future::Future;
use std::sync::Arc;

use base_signal::TenantId;
use observe_source::{Appended, LogWrite, MetricWrite, SourceError, SpanWrite};
use observe_wire::Decoded;
use observe_wire::otlp::Signal;
use parking_lot::Mutex;

use crate::limits::IngestLimits;
use crate::self_metrics::{IngestMetrics, Protocol};
use crate::span_metrics::SpanMetrics;

/// Where writes go. A call takes the write into a queue and returns at once; calls are applied in their order.
pub trait Append: Send + Sync {
    /// Ready when what was appended is durable; only then may the sender be told. `accepted` counts items of the
    /// request: for spans the spans, not the samples beside them.
    type Durable: Future<Output = Result<Appended, SourceError>> + Send;

    /// An error means that nothing was taken.
    fn metrics(&self, tenant: &TenantId, write: MetricWrite) -> Result<Self::Durable, SourceError>;

    /// An error means that nothing was taken.
    fn logs(&self, tenant: &TenantId, write: LogWrite) -> Result<Self::Durable, SourceError>;

    /// Both or neither; an error means that nothing was taken.
    fn spans(&self, tenant: &TenantId, write: SpanWrite, beside: MetricWrite) -> Result<Self::Durable, SourceError>;
}

/// What a request carries beside its items.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub tenant: &'a TenantId,
    pub protocol: Protocol,
    /// The decoded body's size, uncompressed.
    pub bytes: u64,
    /// Our clock, Unix nanoseconds.
    pub now_ns: i64,
}

/// The way in; shared by all listeners.
#[derive(Debug)]
pub struct Intake<A> {
    append: A,
    limits: IngestLimits,
    /// `None` when span metrics are turned off. Held from counting spans until they are queued.
    span_metrics: Option<Mutex<SpanMetrics>>,
    counters: Arc<IngestMetrics>,
}

impl<A: Append> Intake<A> {
    pub fn new(
        append: A,
        limits: IngestLimits,
        span_metrics: Option<SpanMetrics>,
        counters: Arc<IngestMetrics>,
    ) -> Self {
        Intake { append, limits, span_metrics: span_metrics.map(Mutex::new), counters }
    }

    /// Resolves when the samples are durable: what was taken, and what was left out and why.
    pub async fn metrics(&self, from: Origin<'_>, decoded: Decoded<MetricWrite>) -> Result<Appended, SourceError> {
        let Decoded { mut write, mut rejects } = decoded;
        rejects.merge(self.limits.metrics(&mut write, from.now_ns / 1_000_000));
        let queued = if write.is_empty() { None } else { Some(self.append.metrics(from.tenant, write)) };
        self.acknowledge(Signal::Metrics, from, rejects, queued).await
    }

    /// Resolves when the lines are durable.
    pub async fn logs(&self, from: Origin<'_>, decoded: Decoded<LogWrite>) -> Result<Appended, SourceError> {
        let Decoded { mut write, mut rejects } = decoded;
        rejects.merge(self.limits.logs(&mut write, from.now_ns));
        let queued = if write.entries.is_empty() { None } else { Some(self.append.logs(from.tenant, write)) };
        self.acknowledge(Signal::Logs, from, rejects, queued).await
    }

    /// Resolves when the spans and their metrics are durable.
    pub async fn spans(&self, from: Origin<'_>, decoded: Decoded<SpanWrite>) -> Result<Appended, SourceError> {
        let Decoded { mut write, mut rejects } = decoded;
        rejects.merge(self.limits.spans(&mut write, from.now_ns));
        let queued = if write.spans.is_empty() { None } else { Some(self.queue_spans(from, write)) };
        self.acknowledge(Signal::Traces, from, rejects, queued).await
    }

    /// Counts and queues under one lock, or a series could be queued with its later count first.
    fn queue_spans(&self, from: Origin<'_>, write: SpanWrite) -> Result<A::Durable, SourceError> {
        let Some(span_metrics) = &self.span_metrics else {
            return self.append.spans(from.tenant, write, MetricWrite::default());
        };
        let mut span_metrics = span_metrics.lock();
        let (beside, receipt) = span_metrics.observe_with_receipt(from.tenant, &write, from.now_ns / 1_000_000);
        let queued = self.append.spans(from.tenant, write, beside);
        if queued.is_err() {
            // It will be sent again and must not be counted twice.
            span_metrics.take_back(receipt);
        }
        queued
    }

    async fn acknowledge(
        &self,
        signal: Signal,
        from: Origin<'_>,
        rejects: Appended,
        queued: Option<Result<A::Durable, SourceError>>,
    ) -> Result<Appended, SourceError> {
        let durable = match queued {
            None => Ok(Appended::default()),
            Some(Ok(durable)) => durable.await,
            Some(Err(error)) => Err(error),
        };
        let mut outcome = durable.inspect_err(|error| {
            if matches!(error, SourceError::Shed { .. }) {
                self.counters.shed(signal);
            }
        })?;
        outcome.merge(rejects);
        self.counters.appended(signal, from.protocol, from.bytes, &outcome);
        Ok(outcome)
    }

    /// Counts a request that could not be decoded.
    pub fn undecodable(&self, signal: Signal, protocol: Protocol) {
        self.counters.undecodable(signal, protocol);
    }

    pub fn counters(&self) -> &IngestMetrics {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use base_signal::{LogEntry, Span};
    use observe_wire::exposition::{Format, TextWriter};

    use super::*;
    use crate::span_metrics::CALLS;

    /// Keeps what it is given; refuses while `full`.
    #[derive(Default)]
    struct Kept {
        full: Mutex<bool>,
        samples: Mutex<Vec<(String, i64, f64)>>,
        items: Mutex<u64>,
    }

    impl Kept {
        fn take(
            &self,
            items: usize,
            metrics: &MetricWrite,
        ) -> Result<Ready<Result<Appended, SourceError>>, SourceError> {
            if *self.full.lock() {
                return Err(SourceError::Shed { what: "memory", retry_after_ms: 1000 });
            }
            *self.items.lock() += items as u64;
            let name = |series| metrics.series.get(series).get("__name__").unwrap_or_default().to_owned();
            self.samples.lock().extend(metrics.samples.iter().map(|(s, t, v)| (name(*s), *t, *v)));
            Ok(ready(Ok(Appended { accepted: items as u64, ..Appended::default() })))
        }
    }

    impl Append for &Kept {
        type Durable = Ready<Result<Appended, SourceError>>;

        fn metrics(&self, _: &TenantId, write: MetricWrite) -> Result<Self::Durable, SourceError> {
            self.take(write.len(), &write)
        }

        fn logs(&self, _: &TenantId, write: LogWrite) -> Result<Self::Durable, SourceError> {
            self.take(write.entries.len(), &MetricWrite::default())
        }

        fn spans(&self, _: &TenantId, write: SpanWrite, beside: MetricWrite) -> Result<Self::Durable, SourceError> {
            self.take(write.spans.len(), &beside)
        }
    }

    fn now<F: Future>(future: F) -> F::Output {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("these futures are ready at once"),
        }
    }

    fn intake(kept: &Kept) -> Intake<&Kept> {
        Intake::new(kept, IngestLimits::default(), Some(SpanMetrics::default()), Arc::default())
    }

    fn spans(count: usize) -> Decoded<SpanWrite> {
        let span = Span { name: "x".into(), start_ns: 1_000_000_000, end_ns: 1_005_000_000, ..Span::default() };
        Decoded { write: SpanWrite { spans: vec![span; count] }, ..Decoded::default() }
    }

    #[test]
    fn refused_spans_that_come_again_are_counted_once() {
        let (kept, tenant) = (Kept::default(), TenantId::default());
        let intake = intake(&kept);
        let from = Origin { tenant: &tenant, protocol: Protocol::OtlpHttp, bytes: 10, now_ns: 2_000_000_000 };
        assert_eq!(now(intake.spans(from, spans(2))).unwrap().accepted, 2);
        *kept.full.lock() = true;
        assert!(matches!(now(intake.spans(from, spans(3))), Err(SourceError::Shed { .. })));
        *kept.full.lock() = false;
        assert_eq!(now(intake.spans(from, spans(3))).unwrap().accepted, 3);
        let samples = kept.samples.lock();
        let calls: Vec<_> = samples.iter().filter(|(name, ..)| name == CALLS).map(|(_, t, v)| (*t, *v)).collect();
        let [zero, first, second] = calls.as_slice() else { panic!("{calls:?}") };
        assert_eq!((zero.1, first.1, second.1), (0.0, 2.0, 5.0));
        assert!(zero.0 < first.0 && first.0 < second.0);
        let mut writer = TextWriter::new(Format::Prometheus);
        intake.counters().render(&mut writer);
        let text = writer.finish();
        for line in [
            r#"apm_ingest_items_total{signal="traces",protocol="otlp_http"} 5"#,
            r#"apm_ingest_shed_total{signal="traces"} 1"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn what_decoding_and_limits_left_out_is_told_with_the_rest() {
        let (kept, tenant) = (Kept::default(), TenantId::default());
        let intake = intake(&kept);
        let from = Origin { tenant: &tenant, protocol: Protocol::LokiPush, bytes: 10, now_ns: 2_000_000_000 };
        let mut decoded = Decoded::<LogWrite>::default();
        let stream = decoded.write.streams.push(&mut vec![("a", "b")]);
        for time_ns in [2_000_000_000, 9_000_000_000_000] {
            decoded.write.entries.push(LogEntry { stream, time_ns, line: "x".into(), metadata: Vec::new() });
        }
        decoded.rejects.reject(observe_source::RejectReason::InvalidLabels, || "bad".into());
        let outcome = now(intake.logs(from, decoded)).unwrap();
        assert_eq!((outcome.accepted, *kept.items.lock()), (1, 1));
        assert_eq!(
            outcome.message(),
            "1 too_far_in_future (first: time 9000000 ms is 8998 s ahead of the server's clock); 1 invalid_labels (first: bad)"
        );
        // A request of nothing but bad items does not trouble the store.
        *kept.full.lock() = true;
        let mut decoded = Decoded::<MetricWrite>::default();
        decoded.rejects.reject(observe_source::RejectReason::Invalid, || "delta".into());
        assert_eq!(now(intake.metrics(from, decoded)).unwrap().rejected_count(), 1);
    }
}
