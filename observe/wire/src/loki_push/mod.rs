//! Loki's push: snappy protobuf or JSON to streams and entries.
//!
//! The messages are those of `pkg/push/push.proto`; the JSON is that of Loki's HTTP API. As Loki does, a stream without a
//! `service_name` gets one from its other labels, and every entry a `detected_level`. A stream whose labels cannot be read
//! is left out with its entries and counted.

mod encode;
mod labels;

use base_signal::LogEntry;
use observe_source::{LogWrite, RejectReason};
use serde_json::Value as Json;

pub use encode::encode_message;
pub use labels::{LabelSyntaxError, parse_labels};

use crate::compression::snappy_block;
use crate::level::{detect_level, tidy};
use crate::message::parse_json;
use crate::proto::{Reader, WireValue};
use crate::{DecodeError, DecodeErrorKind, Decoded, Limits};

/// Labels that may name the service, the first that is there wins: Loki's default `discover_service_name`.
const SERVICE_LABELS: &[&str] = &[
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
];

/// Estimated heap bytes of an entry beside its texts.
const ENTRY_BYTES: usize = 96;
const PAIR_BYTES: usize = 48;

/// Decodes a protobuf push as it came: one snappy block.
pub fn decode_protobuf(body: &[u8], limits: &Limits) -> Result<Decoded<LogWrite>, DecodeError> {
    let limit_bytes = usize::try_from(limits.decoded_max_bytes).unwrap_or(usize::MAX);
    decode_message(&snappy_block(body, limit_bytes)?, limits)
}

/// Decodes the uncompressed `PushRequest`.
pub fn decode_message(body: &[u8], limits: &Limits) -> Result<Decoded<LogWrite>, DecodeError> {
    let mut decoder = Decoder::new(limits);
    let mut reader = Reader::new(body);
    while let Some((number, value)) = reader.field()? {
        if number == 1 {
            decoder.stream(value).map_err(|e| e.within("streams"))?;
        }
    }
    Ok(decoder.decoded)
}

/// Decodes `{"streams":[{"stream":{…},"values":[["<ns>","<line>",{…}],…]}]}`.
pub fn decode_json(body: &[u8], limits: &Limits) -> Result<Decoded<LogWrite>, DecodeError> {
    let document = parse_json(body, limits)?;
    let mut decoder = Decoder::new(limits);
    let streams = document.get("streams").and_then(Json::as_array);
    let streams = streams.ok_or_else(|| content("streams: an array of streams is wanted"))?;
    for (i, stream) in streams.iter().enumerate() {
        decoder.json_stream(stream).map_err(|e| e.within(&format!("streams[{i}]")))?;
    }
    Ok(decoder.decoded)
}

fn content(text: impl Into<String>) -> DecodeError {
    DecodeErrorKind::Content(text.into()).into()
}

struct Decoder<'l> {
    decoded: Decoded<LogWrite>,
    left_bytes: u64,
    limits: &'l Limits,
}

type Pairs = Vec<(String, String)>;

impl<'l> Decoder<'l> {
    fn new(limits: &'l Limits) -> Self {
        Decoder { decoded: Decoded::default(), left_bytes: limits.decoded_max_bytes, limits }
    }

    fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        let error = DecodeErrorKind::TooLarge(self.limits.decoded_max_bytes);
        self.left_bytes = self.left_bytes.checked_sub(bytes as u64).ok_or_else(|| DecodeError::new(error))?;
        Ok(())
    }

    fn stream(&mut self, value: WireValue<'_>) -> Result<(), DecodeError> {
        let (bytes, offset) = value.bytes()?;
        let mut reader = Reader::at(bytes, offset);
        let (mut text, mut entries) = ("", Vec::new());
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => text = value.text().map_err(|e| e.within("labels"))?,
                2 => {
                    self.charge(ENTRY_BYTES)?;
                    entries.push(value);
                }
                _ => {}
            }
        }
        let labels = match parse_labels(text) {
            Ok(labels) => labels,
            Err(error) => {
                self.reject_stream(entries.len(), || error.to_string());
                return Ok(());
            }
        };
        let Some((stream, level)) = self.open(labels, entries.len()) else { return Ok(()) };
        for entry in entries {
            self.entry(entry, stream, &level).map_err(|e| e.within("entries"))?;
        }
        Ok(())
    }

    fn entry(&mut self, value: WireValue<'_>, stream: u32, level: &Pairs) -> Result<(), DecodeError> {
        let (bytes, offset) = value.bytes()?;
        let mut reader = Reader::at(bytes, offset);
        let (mut time_ns, mut line, mut metadata) = (0, String::new(), Vec::new());
        self.charge(bytes.len())?;
        while let Some((number, value)) = reader.field()? {
            match number {
                1 => time_ns = timestamp(value).map_err(|e| e.within("timestamp"))?,
                // A line is whatever a program wrote; bad UTF-8 must not lose it.
                2 => line = String::from_utf8_lossy(value.bytes()?.0).into_owned(),
                3 => {
                    self.charge(PAIR_BYTES)?;
                    metadata.push(pair(value).map_err(|e| e.within("structuredMetadata"))?);
                }
                _ => {}
            }
        }
        self.push(stream, time_ns, line, metadata, level);
        Ok(())
    }

    fn json_stream(&mut self, stream: &Json) -> Result<(), DecodeError> {
        let labels = stream.get("stream").and_then(Json::as_object);
        let labels = labels.ok_or_else(|| content("stream: an object of labels is wanted"))?;
        let values = stream.get("values").and_then(Json::as_array);
        let values = values.ok_or_else(|| content("values: an array of entries is wanted"))?;
        let labels = texts(labels).map_err(|e| e.within("stream"))?;
        if let Some((name, _)) = labels.iter().find(|(name, _)| !labels::is_name(name)) {
            self.reject_stream(values.len(), || format!("{name:?} is not a label name"));
            return Ok(());
        }
        let Some((stream, level)) = self.open(labels, values.len()) else { return Ok(()) };
        for (i, value) in values.iter().enumerate() {
            self.json_entry(value, stream, &level).map_err(|e| e.within(&format!("values[{i}]")))?;
        }
        Ok(())
    }

    fn json_entry(&mut self, value: &Json, stream: u32, level: &Pairs) -> Result<(), DecodeError> {
        let parts = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let [time, line, rest @ ..] = parts else {
            return Err(content(
                r#"an entry is ["<nanoseconds>", "<line>"] or ["<nanoseconds>", "<line>", {metadata}]"#,
            ));
        };
        let time_ns = match time {
            Json::String(text) => text.parse().ok(),
            Json::Number(number) => number.as_i64(),
            _ => None,
        };
        let time_ns = time_ns.ok_or_else(|| content(format!("{time} is not a time in Unix nanoseconds")))?;
        let line = line.as_str().ok_or_else(|| content("the line must be a string"))?;
        let metadata = match rest.first() {
            None | Some(Json::Null) => Pairs::new(),
            Some(Json::Object(object)) => texts(object)?,
            Some(_) => return Err(content("structured metadata must be an object of strings")),
        };
        self.charge(ENTRY_BYTES + line.len() + metadata.len() * PAIR_BYTES)?;
        self.push(stream, time_ns, line.to_owned(), metadata, level);
        Ok(())
    }

    /// Registers a stream; its level label, if it has one, is looked at for every entry.
    fn open(&mut self, mut labels: Pairs, entries: usize) -> Option<(u32, Pairs)> {
        labels.retain(|(_, value)| !value.is_empty());
        if labels.is_empty() {
            self.reject_stream(entries, || "a stream needs at least one label".to_owned());
            return None;
        }
        if !labels.iter().any(|(name, _)| name == "service_name") {
            let service = SERVICE_LABELS.iter().find_map(|wanted| labels.iter().find(|(name, _)| name == wanted));
            let service = service.map_or_else(|| "unknown_service".to_owned(), |(_, value)| value.clone());
            labels.push(("service_name".to_owned(), service));
        }
        let mut borrowed: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let stream = self.decoded.write.streams.push(&mut borrowed);
        Some((stream, labels))
    }

    fn push(&mut self, stream: u32, time_ns: i64, line: String, mut metadata: Pairs, labels: &Pairs) {
        if !metadata.iter().any(|(name, _)| name == "detected_level") {
            let level = match detect_level(&metadata, "") {
                "unknown" => detect_level(labels, &line),
                known => known,
            };
            metadata.push(("detected_level".to_owned(), level.to_owned()));
        }
        tidy(&mut metadata);
        self.decoded.write.entries.push(LogEntry { stream, time_ns, line, metadata });
    }

    fn reject_stream(&mut self, entries: usize, why: impl Fn() -> String) {
        for _ in 0..entries.max(1) {
            self.decoded.rejects.reject(RejectReason::InvalidLabels, &why);
        }
    }
}

fn texts(object: &serde_json::Map<String, Json>) -> Result<Pairs, DecodeError> {
    let text = |(name, value): (&String, &Json)| match value {
        Json::String(text) => Ok((name.clone(), text.clone())),
        other => Err(content(
            format!("the value of {name:?} must be a string, not {other}").chars().take(200).collect::<String>(),
        )),
    };
    object.iter().map(text).collect()
}

/// A `google.protobuf.Timestamp`.
fn timestamp(value: WireValue<'_>) -> Result<i64, DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    let (mut seconds, mut nanos) = (0i64, 0i64);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => seconds = value.unsigned()? as i64,
            2 => nanos = i64::from(value.unsigned()? as i32),
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// A `LabelPairAdapter`.
fn pair(value: WireValue<'_>) -> Result<(String, String), DecodeError> {
    let (bytes, offset) = value.bytes()?;
    let mut reader = Reader::at(bytes, offset);
    let (mut name, mut text) = (String::new(), String::new());
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => name = value.text()?.to_owned(),
            2 => text = value.text()?.to_owned(),
            _ => {}
        }
    }
    Ok((name, text))
}

#[cfg(test)]
mod tests;
