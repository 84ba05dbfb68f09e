//! Bodies of requests that are larger than anybody should send, made piece by piece.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Valid JSON of about so many bytes, in pieces of about a MiB: log lines of a kilobyte.
pub fn honest_logs(bytes: usize) -> impl Iterator<Item = Vec<u8>> {
    let head = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":["#.to_vec();
    let tail = b"]}]}]}".to_vec();
    let filler = bytes - head.len() - tail.len();
    let record = |line: usize| {
        let text = format!("line {line:>10} {}", "abcdefghij".repeat(100));
        format!(r#"{{"timeUnixNano":"1","body":{{"stringValue":"{text}"}}}},"#)
    };
    let size = record(0).len();
    let pieces = (0..filler / size / 1000)
        .map(move |piece| (piece * 1000..(piece + 1) * 1000).map(record).collect::<String>().into_bytes());
    // The last record has no comma behind it; blanks make it as long as was said.
    let last = record(0).trim_end_matches(',').to_owned().into_bytes();
    let blanks = filler - (filler / size / 1000) * 1000 * size - last.len();
    std::iter::once(head).chain(pieces).chain([vec![b' '; blanks], last, tail])
}

/// A piece as `transfer-encoding: chunked` wants it.
pub fn chunk(piece: Vec<u8>) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat()
}

/// The pieces as one gzip stream.
pub fn packed(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for piece in pieces {
        encoder.write_all(&piece).expect("a vector takes everything");
    }
    encoder.finish().expect("a vector takes everything")
}
