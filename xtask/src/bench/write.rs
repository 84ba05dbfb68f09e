//! Load in Prometheus's remote write 1.0 form: one scrape of many targets a request. It sends nothing.

use super::otlp::mix;
use super::protobuf::Message;

/// Series in one request; Prometheus sends 2,000 samples by default.
pub(super) const SERIES: u64 = 2000;

/// The request with one sample of each series at a time; counters that rise by a few, as most series do.
pub(super) fn scrape(number: u64, time_ms: u64) -> Result<Vec<u8>, String> {
    let request = (0..SERIES).fold(Message::default(), |request, series| {
        let rises = mix(series) % 20;
        let labels = [
            ("__name__", format!("http_requests_{}_total", series % 50)),
            ("code", if series.is_multiple_of(7) { "500" } else { "200" }.to_owned()),
            ("handler", format!("/api/v1/handler-{}", series / 50 % 10)),
            ("instance", format!("10.0.{}.{}:9090", series / 500, series % 250)),
            ("job", format!("service-{}", series % 20)),
        ];
        let labelled = labels.iter().fold(Message::default(), |message, (name, value)| {
            message.bytes(1, &Message::default().bytes(1, name.as_bytes()).bytes(2, value.as_bytes()).0)
        });
        let value = ((number * rises) as f64).to_bits();
        let sample = Message::default().fixed64(1, value).varint(2, time_ms);
        request.bytes(1, &labelled.bytes(2, &sample.0).0)
    });
    snap::raw::Encoder::new().compress_vec(&request.0).map_err(|error| format!("snappy: {error}"))
}
