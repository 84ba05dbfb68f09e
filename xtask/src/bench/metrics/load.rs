//! Load of the metrics suites in Prometheus's remote write 1.0 form. The labels of a series are encoded once; a request is copied together from them.

use std::ops::Range;

use super::super::otlp::mix;
use super::super::protobuf::Message;

/// Label sets, encoded.
pub(super) struct Series(Vec<Vec<u8>>);

impl Series {
    pub(super) fn new(count: u64) -> Self {
        Self::between(0, count)
    }

    pub(super) fn between(from: u64, to: u64) -> Self {
        Self((from..to).map(labels).collect())
    }
}

/// Five to eight labels, about 190 bytes in all, sorted by name as senders do.
fn labels(series: u64) -> Vec<u8> {
    let mut labels = vec![
        ("__name__", format!("http_server_requests_{}_total", series % 50)),
        ("code", if series.is_multiple_of(7) { "500" } else { "200" }.to_owned()),
        ("handler", format!("/api/v1/handler-{}", series / 50 % 10)),
        ("instance", format!("10.{}.{}.{}:9090", series / 125_000, series / 500 % 250, series % 250)),
        ("job", format!("service-{}", series % 20)),
    ];
    if series.is_multiple_of(2) {
        labels.push(("namespace", format!("team-{}", series % 12)));
        labels.push(("pod", format!("service-{}-7d9f8b6c5d-{:05}", series % 20, series / 500)));
    }
    if series.is_multiple_of(3) {
        labels.push(("zone", "eu-central-1a".to_owned()));
    }
    let mut all = Message::default();
    for (name, value) in labels {
        all = all.bytes(1, &Message::default().bytes(1, name.as_bytes()).bytes(2, value.as_bytes()).0);
    }
    all.0
}

/// A packed request.
pub(super) struct Request;

impl Request {
    /// One sample of each of these series: counters that rise by a few, as most series do.
    pub(super) fn of(series: &Series, which: Range<u64>, round: u64, time_ms: u64) -> Vec<u8> {
        Self::with(series, which, |number| [(time_ms, (round * (mix(number) % 20)) as f64)])
    }

    /// Samples of each of these series, as `samples` says.
    pub(super) fn with<const N: usize>(
        series: &Series,
        which: Range<u64>,
        samples: impl Fn(u64) -> [(u64, f64); N],
    ) -> Vec<u8> {
        let mut request = Message::default();
        for number in which {
            let Some(labels) = series.0.get(number as usize) else { continue };
            let mut one = labels.clone();
            for (time_ms, value) in samples(number) {
                let sample = Message::default().fixed64(1, value.to_bits()).varint(2, time_ms);
                one.extend_from_slice(&Message::default().bytes(2, &sample.0).0);
            }
            request = request.bytes(1, &one);
        }
        snap::raw::Encoder::new().compress_vec(&request.0).unwrap_or_default()
    }
}

pub(super) fn now_ms() -> u64 {
    super::super::spine::now_ns() / 1_000_000
}
