//! Small encoders for tests: the other side of the decoders, written apart from them.

use crate::proto::Writer;

/// Repeated `{1: name, 2: value}` under `field`.
pub(crate) fn labelled(writer: &mut Writer, field: u32, pairs: &[(&str, &str)]) {
    for (name, value) in pairs {
        writer.message(field, |pair| {
            pair.text(1, name).text(2, value);
        });
    }
}

/// A `prometheus.Sample`.
pub(crate) fn sample_bytes(value: f64, time_ms: i64) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.double(1, value).varint(2, time_ms as u64);
    writer.0
}

/// Repeated OTLP `KeyValue`s with string values under `field`.
pub(crate) fn attributes(writer: &mut Writer, field: u32, pairs: &[(&str, &str)]) {
    for (name, value) in pairs {
        writer.message(field, |pair| {
            pair.text(1, name).message(2, |any| {
                any.text(1, value);
            });
        });
    }
}
