//! What we count about our own intake. Plain atomics in a named struct, shared by reference; no registry, no globals.

use std::sync::atomic::{AtomicU64, Ordering};

use base_signal::MetricKind;
use observe_source::{Appended, RejectReason};
use observe_wire::exposition::TextWriter;
use observe_wire::otlp::Signal;

/// The way an item came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    OtlpGrpc,
    OtlpHttp,
    RemoteWrite,
    LokiPush,
    Scrape,
    Host,
    Containers,
    SpanMetrics,
}

impl Protocol {
    const ALL: [Protocol; 8] = [
        Protocol::OtlpGrpc,
        Protocol::OtlpHttp,
        Protocol::RemoteWrite,
        Protocol::LokiPush,
        Protocol::Scrape,
        Protocol::Host,
        Protocol::Containers,
        Protocol::SpanMetrics,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::OtlpGrpc => "otlp_grpc",
            Protocol::OtlpHttp => "otlp_http",
            Protocol::RemoteWrite => "remote_write",
            Protocol::LokiPush => "loki_push",
            Protocol::Scrape => "scrape",
            Protocol::Host => "host",
            Protocol::Containers => "containers",
            Protocol::SpanMetrics => "span_metrics",
        }
    }
}

const SIGNALS: [Signal; 3] = [Signal::Metrics, Signal::Logs, Signal::Traces];

const REASONS: [RejectReason; 9] = [
    RejectReason::OutOfOrder,
    RejectReason::DuplicateTimestamp,
    RejectReason::TooOld,
    RejectReason::TooFarInFuture,
    RejectReason::InvalidLabels,
    RejectReason::LabelLimit,
    RejectReason::SeriesLimit,
    RejectReason::TooLarge,
    RejectReason::Invalid,
];

type Counters<const N: usize> = [[AtomicU64; N]; 3];

/// Counters of the intake since the process began.
#[derive(Debug, Default)]
pub struct IngestMetrics {
    items: Counters<8>,
    bytes: Counters<8>,
    undecodable: Counters<8>,
    rejected: Counters<9>,
    shed: [AtomicU64; 3],
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl IngestMetrics {
    /// A request that was decoded: its size uncompressed, and what became of its items.
    pub fn appended(&self, signal: Signal, protocol: Protocol, bytes: u64, outcome: &Appended) {
        let (signal, protocol) = (signal as usize, protocol as usize);
        add(&self.items[signal][protocol], outcome.accepted);
        add(&self.bytes[signal][protocol], bytes);
        for (reason, reject) in &outcome.rejected {
            if let Some(i) = REASONS.iter().position(|known| known == reason) {
                add(&self.rejected[signal][i], reject.count);
            }
        }
    }

    /// A request that could not be read.
    pub fn undecodable(&self, signal: Signal, protocol: Protocol) {
        add(&self.undecodable[signal as usize][protocol as usize], 1);
    }

    /// A request that was turned away whole because the store is over a limit.
    pub fn shed(&self, signal: Signal) {
        add(&self.shed[signal as usize], 1);
    }

    /// Items of a signal taken since the start, by whatever way.
    pub fn taken(&self, signal: Signal) -> u64 {
        self.items[signal as usize].iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    /// Items of a signal left out of requests that were taken.
    pub fn rejected(&self, signal: Signal) -> u64 {
        self.rejected[signal as usize].iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    /// Requests turned away because a limit was reached, of all signals.
    pub fn shed_total(&self) -> u64 {
        self.shed.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    /// Writes all families. Combinations that never happened are left out, but each family always has a sample.
    pub fn render(&self, writer: &mut TextWriter) {
        let by_protocol = |writer: &mut TextWriter, name: &str, help: &str, counters: &Counters<8>| {
            writer.family(name, MetricKind::Counter, help);
            for (signal, row) in SIGNALS.iter().zip(counters) {
                for (protocol, counter) in Protocol::ALL.iter().zip(row) {
                    let labels = [("signal", signal.as_str()), ("protocol", protocol.as_str())];
                    sample(writer, name, &labels, counter, *protocol == Protocol::OtlpHttp);
                }
            }
        };
        by_protocol(writer, "apm_ingest_items_total", "Samples, log lines and spans taken.", &self.items);
        by_protocol(writer, "apm_ingest_bytes_total", "Bytes of decoded requests, uncompressed.", &self.bytes);
        let help = "Requests that could not be read.";
        by_protocol(writer, "apm_ingest_undecodable_requests_total", help, &self.undecodable);
        let name = "apm_ingest_rejected_total";
        writer.family(name, MetricKind::Counter, "Items left out of requests that were taken, by reason.");
        for (signal, row) in SIGNALS.iter().zip(&self.rejected) {
            for (reason, counter) in REASONS.iter().zip(row) {
                let labels = [("signal", signal.as_str()), ("reason", reason.as_str())];
                sample(writer, name, &labels, counter, *reason == RejectReason::Invalid);
            }
        }
        let name = "apm_ingest_shed_total";
        writer.family(name, MetricKind::Counter, "Requests turned away because a limit of memory or disk was reached.");
        for (signal, counter) in SIGNALS.iter().zip(&self.shed) {
            sample(writer, name, &[("signal", signal.as_str())], counter, true);
        }
    }
}

fn sample(writer: &mut TextWriter, name: &str, labels: &[(&str, &str)], counter: &AtomicU64, always: bool) {
    let count = counter.load(Ordering::Relaxed);
    if always || count > 0 {
        writer.sample(name, labels, count as f64);
    }
}

#[cfg(test)]
mod tests {
    use observe_wire::exposition::Format;

    use super::*;

    #[test]
    fn what_was_counted_is_shown() {
        let metrics = IngestMetrics::default();
        let mut outcome = Appended { accepted: 5, ..Appended::default() };
        outcome.reject(RejectReason::TooOld, || "x".into());
        metrics.appended(Signal::Logs, Protocol::LokiPush, 100, &outcome);
        metrics.undecodable(Signal::Traces, Protocol::OtlpGrpc);
        metrics.shed(Signal::Metrics);
        let mut writer = TextWriter::new(Format::Prometheus);
        metrics.render(&mut writer);
        let text = writer.finish();
        for line in [
            r#"apm_ingest_items_total{signal="logs",protocol="loki_push"} 5"#,
            r#"apm_ingest_items_total{signal="traces",protocol="otlp_http"} 0"#,
            r#"apm_ingest_bytes_total{signal="logs",protocol="loki_push"} 100"#,
            r#"apm_ingest_rejected_total{signal="logs",reason="too_old"} 1"#,
            r#"apm_ingest_undecodable_requests_total{signal="traces",protocol="otlp_grpc"} 1"#,
            r#"apm_ingest_shed_total{signal="metrics"} 1"#,
            "# TYPE apm_ingest_shed_total counter",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn every_reason_has_its_place() {
        let metrics = IngestMetrics::default();
        for (i, reason) in REASONS.iter().enumerate() {
            let mut outcome = Appended::default();
            outcome.reject(*reason, String::new);
            metrics.appended(Signal::Metrics, Protocol::Scrape, 0, &outcome);
            assert_eq!(metrics.rejected[0][i].load(Ordering::Relaxed), 1, "{reason:?}");
        }
        assert!(Protocol::ALL.iter().enumerate().all(|(i, protocol)| *protocol as usize == i));
    }
}
