//! A write as a `PushRequest`, for whoever passes it on.

use base_signal::LabelsRef;
use observe_source::LogWrite;

use crate::proto::Writer;

/// The uncompressed message. Two of them one after the other are one message with the streams of both.
pub fn encode_message(write: &LogWrite) -> Vec<u8> {
    let mut rows: Vec<(u32, usize)> = write.entries.iter().enumerate().map(|(i, entry)| (entry.stream, i)).collect();
    // Stable: the entries of a stream stay in their order.
    rows.sort_by_key(|(stream, _)| *stream);
    let mut rows = rows.into_iter().peekable();
    let mut out = Writer::default();
    while let Some((stream, _)) = rows.peek().copied() {
        out.message(1, |out| {
            out.text(1, &labels_text(write.streams.get(stream)));
            while let Some((_, i)) = rows.next_if(|(of, _)| *of == stream) {
                let Some(entry) = write.entries.get(i) else { continue };
                out.message(2, |out| {
                    out.message(1, |time| {
                        let nanos = entry.time_ns.rem_euclid(1_000_000_000);
                        time.varint(1, entry.time_ns.div_euclid(1_000_000_000) as u64).varint(2, nanos as u64);
                    });
                    out.text(2, &entry.line);
                    for (name, value) in &entry.metadata {
                        out.message(3, |pair| {
                            pair.text(1, name).text(2, value);
                        });
                    }
                });
            }
        });
    }
    out.0
}

/// `{app="shop", env="prod"}` with Go's escapes.
fn labels_text(set: LabelsRef<'_>) -> String {
    let mut text = String::from("{");
    for (i, (name, value)) in set.iter().enumerate() {
        text.push_str(if i == 0 { "" } else { ", " });
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use base_signal::{LabelArena, LogEntry};

    use super::*;
    use crate::Limits;
    use crate::loki_push::decode_message;

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let mut streams = LabelArena::default();
        let a = streams.push(&mut vec![("service_name", "a\"\\\n{},ö"), ("x", "\t\r")]);
        let b = streams.push(&mut vec![("service_name", "b")]);
        let entry = |stream, time_ns, line: &str| {
            let metadata = vec![("detected_level".to_owned(), "warn".to_owned()), ("k".to_owned(), "v\n".to_owned())];
            LogEntry { stream, time_ns, line: line.to_owned(), metadata }
        };
        let entries = vec![entry(b, 5, "first"), entry(a, -1, "two\nlines"), entry(b, 1_700_000_000_123_456_789, "")];
        let write = LogWrite { streams, entries };
        let decoded = decode_message(&encode_message(&write), &Limits::default()).unwrap();
        assert_eq!(decoded.rejects.rejected_count(), 0);
        let told = |write: &LogWrite| {
            let of = |entry: &LogEntry| write.streams.get(entry.stream).to_labels().to_string();
            let mut told: Vec<String> = write
                .entries
                .iter()
                .map(|entry| format!("{} {} {:?} {:?}", of(entry), entry.time_ns, entry.line, entry.metadata))
                .collect();
            told.sort();
            told
        };
        assert_eq!(told(&decoded.write), told(&write));
        let twice = [encode_message(&write), encode_message(&write)].concat();
        assert_eq!(decode_message(&twice, &Limits::default()).unwrap().write.entries.len(), 6);
    }
}
