//! Answers to OTLP requests: `Export…ServiceResponse` and, for errors over HTTP, `google.rpc.Status`.

use super::{Encoding, Signal};
use crate::proto::{Reader, Writer};

/// The body of a 200 answer. `rejected` items are told with `message`; with neither it is the empty message. A message
/// with nothing rejected is a warning, as the protocol has it.
pub fn export_response(signal: Signal, encoding: Encoding, rejected: u64, message: &str) -> Vec<u8> {
    let partial = rejected > 0 || !message.is_empty();
    match encoding {
        Encoding::Protobuf => {
            let mut writer = Writer::default();
            if partial {
                writer.message(1, |inner| {
                    inner.varint(1, rejected).text(2, message);
                });
            }
            writer.0
        }
        Encoding::Json if partial => {
            let count = match signal {
                Signal::Metrics => "rejectedDataPoints",
                Signal::Logs => "rejectedLogRecords",
                Signal::Traces => "rejectedSpans",
            };
            // 64-bit numbers are quoted in proto's JSON.
            let partial =
                serde_json::json!({ "partialSuccess": { count: rejected.to_string(), "errorMessage": message } });
            partial.to_string().into_bytes()
        }
        Encoding::Json => b"{}".to_vec(),
    }
}

/// What a 200 answer in protobuf says was left out, and why; a body that cannot be read says nothing.
pub fn rejected_by(body: &[u8]) -> (u64, String) {
    let read = || -> Result<(u64, String), crate::DecodeError> {
        let (mut rejected, mut message) = (0, String::new());
        let mut reader = Reader::new(body);
        while let Some((number, value)) = reader.field()? {
            if number != 1 {
                continue;
            }
            let (bytes, offset) = value.bytes()?;
            let mut inner = Reader::at(bytes, offset);
            while let Some((number, value)) = inner.field()? {
                match number {
                    1 => rejected = value.unsigned()?,
                    2 => message = value.text()?.to_owned(),
                    _ => {}
                }
            }
        }
        Ok((rejected, message))
    };
    read().unwrap_or_default()
}

/// The body of an error answer over HTTP: a gRPC code (3 invalid argument, 8 resource exhausted, 14 unavailable, …) and why.
pub fn status(encoding: Encoding, code: u32, message: &str) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => {
            let mut writer = Writer::default();
            writer.varint(1, u64::from(code)).text(2, message);
            writer.0
        }
        Encoding::Json => serde_json::json!({ "code": code, "message": message }).to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_byte_for_byte() {
        assert_eq!(export_response(Signal::Logs, Encoding::Protobuf, 0, ""), b"");
        assert_eq!(export_response(Signal::Logs, Encoding::Protobuf, 3, "no"), b"\x0a\x06\x08\x03\x12\x02no");
        assert_eq!(rejected_by(b"\x0a\x06\x08\x03\x12\x02no"), (3, "no".to_owned()));
        assert_eq!(rejected_by(b""), (0, String::new()));
        assert_eq!(rejected_by(b"<html>"), (0, String::new()));
        assert_eq!(export_response(Signal::Traces, Encoding::Json, 0, ""), b"{}");
        assert_eq!(
            String::from_utf8(export_response(Signal::Metrics, Encoding::Json, 3, "no")).unwrap(),
            r#"{"partialSuccess":{"errorMessage":"no","rejectedDataPoints":"3"}}"#
        );
        assert_eq!(status(Encoding::Protobuf, 3, "bad"), b"\x08\x03\x12\x03bad");
        assert_eq!(String::from_utf8(status(Encoding::Json, 3, "bad")).unwrap(), r#"{"code":3,"message":"bad"}"#);
    }
}
