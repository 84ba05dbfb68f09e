//! OTLP: the three signals in protobuf and JSON, and the answers to them.
//!
//! The protocol is <https://opentelemetry.io/docs/specs/otlp/>, the messages those of opentelemetry-proto v1. Knows how
//! attributes become labels; does not know who sent the request or what becomes of it.

mod common;
mod exponential;
mod logs;
mod metrics;
mod metrics_model;
mod names;
mod response;
mod traces;

#[cfg(test)]
mod refused_tests;
#[cfg(test)]
mod tests;

pub use logs::{LogOptions, PROMOTED_BY_DEFAULT, decode_logs};
pub use metrics::{MetricOptions, decode_metrics};
pub use names::{NameKind, label_name, metric_name};
pub use response::{export_response, rejected_by, status};
pub use traces::decode_traces;

use crate::message::{Message, Spending, from_json, from_protobuf, parse_json};
use crate::{DecodeError, Limits};

/// How a body is encoded; answers use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// From a `Content-Type`; parameters after `;` do not matter. `None`: answer 415.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/x-protobuf") || media.eq_ignore_ascii_case("application/protobuf") {
            Some(Encoding::Protobuf)
        } else if media.eq_ignore_ascii_case("application/json") {
            Some(Encoding::Json)
        } else {
            None
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    Metrics,
    Logs,
    Traces,
}

impl Signal {
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
            Signal::Traces => "traces",
        }
    }
}

/// Something that takes a message of whatever lifetime the decoded request has.
trait Take<T> {
    type Message<'a>: Message<'a>;

    /// An error when the result would pass the request's limits.
    fn take(self, message: Self::Message<'_>) -> Result<T, DecodeError>;
}

fn decode<T, K: Take<T>>(body: &[u8], encoding: Encoding, limits: &Limits, taker: K) -> Result<T, DecodeError> {
    let spending = Spending::new(limits);
    match encoding {
        Encoding::Protobuf => taker.take(from_protobuf(body, &spending)?),
        Encoding::Json => {
            let document = parse_json(body, limits)?;
            taker.take(from_json(&document, &spending)?)
        }
    }
}
