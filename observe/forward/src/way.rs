//! The ways out: a protocol and a signal, each with a queue of its own, so that one that is blocked does not hold up the others.

use observe_wire::compression::{pack_gzip, pack_snappy};
use observe_wire::otlp::{self, Encoding, Signal};

/// By which protocol something leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// Samples by Prometheus remote write 1.
    RemoteWrite,
    /// Lines by Loki's push.
    LokiPush,
    /// OTLP as it came.
    Otlp(Signal),
}

/// A request's body as it goes out, and the headers that say what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    pub body: Vec<u8>,
    pub content_type: &'static str,
    pub headers: &'static [(&'static str, &'static str)],
}

/// Shorter bodies are not worth packing.
const GZIP_MIN_BYTES: usize = 1024;

impl Way {
    pub const ALL: [Way; 5] = [
        Way::RemoteWrite,
        Way::LokiPush,
        Way::Otlp(Signal::Metrics),
        Way::Otlp(Signal::Logs),
        Way::Otlp(Signal::Traces),
    ];

    /// The name of its folder and the `queue` label of its metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Way::RemoteWrite => "remote-write",
            Way::LokiPush => "loki-push",
            Way::Otlp(Signal::Metrics) => "otlp-metrics",
            Way::Otlp(Signal::Logs) => "otlp-logs",
            Way::Otlp(Signal::Traces) => "otlp-traces",
        }
    }

    /// As this protocol wants its body.
    pub fn pack(self, message: &[u8], encoding: Encoding) -> Packed {
        let content_type = encoding.content_type();
        let plain = || Packed { body: message.to_vec(), content_type, headers: &[] };
        match self {
            Way::RemoteWrite => {
                let headers = &[("content-encoding", "snappy"), ("x-prometheus-remote-write-version", "0.1.0")];
                Packed { body: pack_snappy(message), content_type: "application/x-protobuf", headers }
            }
            // Snappy is part of the format; Loki does not expect a header that says so.
            Way::LokiPush => {
                Packed { body: pack_snappy(message), content_type: "application/x-protobuf", headers: &[] }
            }
            Way::Otlp(_) if message.len() < GZIP_MIN_BYTES => plain(),
            Way::Otlp(_) => match pack_gzip(message) {
                Ok(body) => Packed { body, content_type, headers: &[("content-encoding", "gzip")] },
                Err(_) => plain(),
            },
        }
    }

    /// What an answer of success says was left out all the same, and why.
    pub fn left_out(self, content_type: &str, body: &[u8]) -> (u64, String) {
        match (self, Encoding::from_content_type(content_type)) {
            (Way::Otlp(_), Some(Encoding::Protobuf)) => otlp::rejected_by(body),
            _ => (0, String::new()),
        }
    }
}
